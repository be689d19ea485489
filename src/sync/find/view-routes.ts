import type { View } from '../definition.ts'
import { bad } from '../faults.ts'
import { demand } from '../permission.ts'
import { optionsOf } from '../query.ts'
import { type Asked, bodyIfAny, bodyOf, jsonAnswer } from '../request.ts'
import { queriesOf } from './doc-lists.ts'
import { parseView, queryView, viewSource } from './view-query.ts'

/** The view that a path names. @throws {Fault} `not_found` (404). */
async function viewOf({ scope, place, rest }: Asked): Promise<{ name: string; view: View }> {
  const [, design = '', , view = ''] = rest
  const name = `${design}/${view}`
  const { rules, scripts } = place.definition
  const { views } = rules
  const own = views && Object.hasOwn(views, name) ? views[name] : undefined
  const found = own ?? (await scripts?.view(scope, place, name))
  if (!found) throw bad('not_found', 'missing_named_view')
  return { name, view: found }
}

export async function readView(asked: Asked): Promise<Response> {
  const { scope, place, query } = asked
  demand(place, 'read')
  const { name, view } = await viewOf(asked)
  const body = await bodyIfAny(asked)
  if (body.queries !== undefined)
    throw bad('bad_request', 'The `queries` parameter is no longer supported at this endpoint')
  const input = parseView(optionsOf(query, body), query, view)
  return jsonAnswer(await queryView(scope, place, { view, source: viewSource(name, view), input }))
}

/** Several questions to one view. */
export async function postViewQueries(asked: Asked): Promise<Response> {
  const { scope, place, query } = asked
  demand(place, 'read')
  const { name, view } = await viewOf(asked)
  const pages: string[] = []
  for (const one of queriesOf(await bodyOf(asked))) {
    const input = parseView(optionsOf(query, { ...one }), query, view)
    pages.push(await queryView(scope, place, { view, source: viewSource(name, view), input }))
  }
  return jsonAnswer(`{"results":[${pages.join(',')}]}`)
}
