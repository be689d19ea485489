import type { View } from '../definition.ts'
import { isObject } from '../document.ts'
import { bad } from '../faults.ts'
import { demand } from '../permission.ts'
import { optionsOf } from '../query.ts'
import { type Asked, bodyIfAny, jsonAnswer } from '../request.ts'
import { parseView, queryView, viewSource } from './view-query.ts'

/** The view that a path names. @throws {Fault} `not_found` (404). */
function viewOf({ place, rest }: Asked): { name: string; view: View } {
  const [, design = '', , view = ''] = rest
  const name = `${design}/${view}`
  const { views } = place.definition.rules
  const found = views && Object.hasOwn(views, name) ? views[name] : undefined
  if (!found) throw bad('not_found', 'missing_named_view')
  return { name, view: found }
}

export async function readView(asked: Asked): Promise<Response> {
  const { scope, place, query } = asked
  demand(place, 'read')
  const { name, view } = viewOf(asked)
  const input = parseView(optionsOf(query, await bodyIfAny(asked)), query, view)
  return jsonAnswer(await queryView(scope, place, { view, source: viewSource(name, view), input }))
}

/** Several questions to one view. */
export async function postViewQueries(asked: Asked): Promise<Response> {
  const { scope, place, query } = asked
  demand(place, 'read')
  const { name, view } = viewOf(asked)
  const { queries } = await bodyIfAny(asked)
  if (!Array.isArray(queries) || !queries.every(isObject))
    throw bad('bad_request', '`queries` member must be an array of objects.')
  if (queries.length > 50) throw bad('bad_request', 'More than 50 queries')
  const pages: string[] = []
  for (const one of queries) {
    const input = parseView(optionsOf(query, one), query, view)
    pages.push(await queryView(scope, place, { view, source: viewSource(name, view), input }))
  }
  return jsonAnswer(`{"results":[${pages.join(',')}]}`)
}
