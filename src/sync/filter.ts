import type { FeedFilter } from './changes-input.ts'
import type { Doc } from './definition.ts'
import { isObject } from './document.ts'
import { bad } from './faults.ts'
import { json, type Options, word } from './query.ts'
import type { Asked } from './request.ts'
import { selectorTest } from './selector.ts'

/**
 * Which changes a request for the feed wants.
 *
 * @throws {Fault} `bad_request` (400), `not_found` (404) for a filter or view that is not there.
 */
export async function filterOf(
  asked: Asked,
  options: Options,
  body: Record<string, unknown>,
): Promise<FeedFilter> {
  const { place, query } = asked
  const name = word(options, 'filter')
  if (name === undefined) {
    // Ids without their filter are CouchDB's older way to ask for it.
    return body.doc_ids === undefined ? null : idsOf(body.doc_ids)
  }
  if (name === '_doc_ids') return idsOf(json(options, query, 'doc_ids'))
  if (name === '_selector') {
    const selector = json(options, query, 'selector')
    if (!isObject(selector)) throw bad('bad_request', 'Selector must be a JSON object')
    return { kind: 'test', test: selectorTest(selector) }
  }
  if (name === '_design') return { kind: 'design' }
  if (name === '_view') return viewFilter(asked, word(options, 'view'))
  const { filters } = place.definition.rules
  const test = filters && Object.hasOwn(filters, name) ? filters[name] : undefined
  if (!test) throw bad('not_found', 'missing json key: filters')
  const request = { query: Object.fromEntries(query), who: place.who }
  return { kind: 'test', test: (doc) => test(doc, request) }
}

function idsOf(ids: unknown): FeedFilter {
  if (!Array.isArray(ids)) throw bad('bad_request', '`doc_ids` filter parameter is not a list.')
  return { kind: 'ids', ids: ids.filter((id) => typeof id === 'string') }
}

/** Those documents for which a view's `map` emits something. */
function viewFilter({ place }: Asked, name: string | undefined): FeedFilter {
  if (name === undefined || !/^[^/]+\/[^/]+$/.test(name))
    throw bad('bad_request', '`view` filter parameter is not valid.')
  const { views } = place.definition.rules
  const view = views && Object.hasOwn(views, name) ? views[name] : undefined
  if (!view) throw bad('not_found', 'missing json key: views')
  return { kind: 'test', test: (doc) => emits(view.map, doc) }
}

function emits(map: (doc: Doc, emit: () => void) => void, doc: Doc): boolean {
  let emitted = false
  map(doc, () => {
    emitted = true
  })
  return emitted
}
