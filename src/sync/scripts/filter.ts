import type { Doc } from '../definition.ts'
import { bad } from '../faults.ts'
import type { Asked } from '../request.ts'
import { memberOf, Realms, readDesign, unwrap } from './design.ts'
import { requestOf } from './request.ts'

/**
 * The filter `<design>/<name>` of a design document.
 *
 * @throws {Fault} `not_found` (404), `bad_request`, `compilation_error` (400).
 * @see https://docs.couchdb.org/en/stable/ddocs/ddocs.html#filter-functions
 */
export async function filterOf(
  asked: Asked,
  name: string,
): Promise<((doc: Doc) => boolean) | undefined> {
  const slash = name.indexOf('/')
  if (slash <= 0)
    throw bad('bad_request', 'filter parameter must be of the form `designname/filtername`')
  const { database, row } = await readDesign(asked.scope, asked.place, name.slice(0, slash))
  const path = ['filters', name.slice(slash + 1)]
  const body = JSON.parse(row.body)
  if (memberOf(body, path) === undefined) {
    if (memberOf(body, ['filters']) === undefined) return undefined
    throw bad('not_found', `missing json key: ${path[1]}`)
  }
  const { realm, fn } = await new Realms().compile(row, path)
  const request = JSON.stringify(requestOf(asked, database))
  return (doc) => unwrap(realm.call('filter', fn, JSON.stringify(doc), request)) === 'true'
}
