import { allDocs, type Counts, countStatement, parseAllDocs } from './all-docs.ts'
import { bulkDocs } from './bulk-docs.ts'
import { bulkGet } from './bulk-get.ts'
import {
  createDatabase,
  deleteDatabase,
  describe,
  inDatabase,
  securityOf,
  setOption,
} from './database.ts'
import { isObject } from './document.ts'
import type { Wrote } from './document-routes.ts'
import { bad, syncFaults } from './faults.ts'
import { channelsOf, demand } from './permission.ts'
import { on, optionsOf } from './query.ts'
import { type Asked, bodyIfAny, bodyOf, demandJson, jsonAnswer as json, jsonOf } from './request.ts'
import { revsDiff } from './revs-diff.ts'
import { showOf } from './show.ts'

const ok = (status = 200, more: object = {}): Response =>
  Response.json({ ok: true, ...more }, { status })

export async function readInfo({ scope, place }: Asked): Promise<Response> {
  demand(place, 'read')
  const counting = channelsOf(place) === null ? [] : [countStatement(scope, place)]
  const { database, results } = await inDatabase(scope, place, counting)
  const mine = results[0]?.results[0] as Counts | undefined
  return Response.json(
    describe(
      mine
        ? { ...database, doc_count: mine.living, del_count: mine.dead, bytes: mine.bytes }
        : database,
    ),
    { status: 200 },
  )
}

export async function create({ scope, place, mount, request }: Asked): Promise<Response> {
  demand(place, 'admin')
  if (!(await createDatabase(scope, place))) throw syncFaults.file_exists()
  const location = new URL(`${mount}/${encodeURIComponent(place.name)}`, request.url).href
  return Response.json({ ok: true }, { status: 201, headers: { location } })
}

export async function remove({ scope, place, query }: Asked): Promise<Response> {
  demand(place, 'admin')
  // The id of a document was empty: CouchDB, too, does not take it for the whole database's.
  if (query.has('rev'))
    throw bad(
      'bad_request',
      'You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?',
    )
  await deleteDatabase(scope, place)
  return ok()
}

export const postBulkDocs =
  (wrote: Wrote) =>
  async (asked: Asked): Promise<Response> => {
    demand(asked.place, 'write')
    const { lines, written } = await bulkDocs(asked)
    wrote(asked, written)
    return Response.json(lines, { status: 201 })
  }

export async function postBulkGet(asked: Asked): Promise<Response> {
  const { scope, place, query } = asked
  demand(place, 'read')
  const options = optionsOf(query)
  for (const name of ['open_revs', 'new_edits', 'w', 'rev', 'atts_since'])
    if (options[name] !== undefined)
      throw bad('bad_request', `"${name}" query parameter is not acceptable`)
  const body = await bodyOf(asked)
  return json(
    await bulkGet(scope, place, { body, show: showOf(options), latest: on(options, 'latest') }),
  )
}

export async function postRevsDiff(asked: Asked): Promise<Response> {
  const { scope, place } = asked
  demand(place, 'read')
  return Response.json(await revsDiff(scope, place, await bodyOf(asked)), { status: 200 })
}

export async function readAllDocs(asked: Asked): Promise<Response> {
  const { scope, place, query } = asked
  demand(place, 'read')
  const options = optionsOf(query, await bodyIfAny(asked))
  return json(await allDocs(scope, place, parseAllDocs(options, query)))
}

/** There is nothing to wait for: what was acknowledged is kept. */
export async function postFullCommit(asked: Asked): Promise<Response> {
  const { scope, place } = asked
  demand(place, 'read')
  demandJson(asked)
  const { database } = await inDatabase(scope, place, [])
  return ok(201, { instance_start_time: String(database.created_at) })
}

export async function readRevsLimit({ scope, place }: Asked): Promise<Response> {
  demand(place, 'read')
  const { database } = await inDatabase(scope, place, [])
  return json(String(database.revs_limit ?? place.definition.rules.revsLimit ?? 200))
}

export async function putRevsLimit(asked: Asked): Promise<Response> {
  demand(asked.place, 'admin')
  const limit = await jsonOf(asked)
  if (!(Number.isSafeInteger(limit) && (limit as number) > 0))
    throw bad('bad_request', 'Rev limit has to be an integer')
  await setOption(asked.scope, asked.place, 'revs_limit', limit)
  return ok()
}

export async function readSecurity({ scope, place }: Asked): Promise<Response> {
  demand(place, 'read')
  const { database } = await inDatabase(scope, place, [])
  return Response.json(securityOf(database), { status: 200 })
}

export async function putSecurity(asked: Asked): Promise<Response> {
  demand(asked.place, 'admin')
  const security = await jsonOf(asked)
  if (!isObject(security)) throw bad('bad_request', 'Security object must be a JSON object')
  await setOption(asked.scope, asked.place, 'security', JSON.stringify(security))
  return ok()
}
