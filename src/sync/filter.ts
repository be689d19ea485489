import type { FeedFilter } from './changes-input.ts'
import type { Doc, View } from './definition.ts'
import { isObject } from './document.ts'
import { bad } from './faults.ts'
import { json, type Options, word } from './query.ts'
import type { Asked } from './request.ts'
import { selectorTest } from './selector.ts'
import type { Stored } from './stored.ts'

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
  const { rules, scripts } = place.definition
  const own = rules.filters && Object.hasOwn(rules.filters, name) ? rules.filters[name] : undefined
  const request = { query: Object.fromEntries(query), who: place.who }
  const test = own ? (doc: Doc) => own(doc, request) : await scripts?.filter(asked, name)
  if (!test) throw bad('not_found', 'missing json key: filters')
  return { kind: 'test', test }
}

function idsOf(ids: unknown): FeedFilter {
  if (!Array.isArray(ids)) throw bad('bad_request', '`doc_ids` filter parameter is not a list.')
  return { kind: 'ids', ids: ids.filter((id) => typeof id === 'string') }
}

/** Those documents for which a view's `map` emits something. */
async function viewFilter({ scope, place }: Asked, name: string | undefined): Promise<FeedFilter> {
  if (name === undefined || !/^[^/]+\/[^/]+$/.test(name))
    throw bad('bad_request', '`view` filter parameter is not valid.')
  const { rules, scripts } = place.definition
  const own = rules.views && Object.hasOwn(rules.views, name) ? rules.views[name] : undefined
  const view: (View & Stored) | undefined = own ?? (await scripts?.view(scope, place, name))
  if (!view) throw bad('not_found', 'missing json key: views')
  await view.ready?.()
  return { kind: 'test', test: (doc) => emits(view.map, doc) }
}

function emits(map: (doc: Doc, emit: () => void) => void, doc: Doc): boolean {
  let emitted = false
  map(doc, () => {
    emitted = true
  })
  return emitted
}
