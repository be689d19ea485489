import type { Scope } from '../../core/scope.ts'
import type { Place } from '../database.ts'
import { type Condition, fieldPath, type Node } from '../selector.ts'
import {
  byId,
  choose,
  conditionsOf,
  indexesOf,
  isNamed,
  isUsable,
  type MangoIndex,
  shownIndex,
} from './mango-index.ts'
import type { FindInput } from './mango-input.ts'

const named = (path: readonly string[]): string =>
  path.map((part) => part.replaceAll('.', '\\.')).join('.')

/** A selector as it was understood: each condition with its field and operator. */
function shownSelector(node: Node): Record<string, unknown> {
  if (node.kind === 'field') return { [named(node.path)]: { [node.operator]: node.argument } }
  if (node.nodes.length === 0) return {}
  return { [`$${node.kind}`]: node.nodes.map(shownSelector) }
}

const fieldsOf = (node: Node): string[] =>
  node.kind === 'field' ? [named(node.path)] : node.nodes.flatMap(fieldsOf)

const ranging = ['$eq', '$lt', '$lte', '$gt', '$gte']

const on = (conditions: readonly Condition[], field: string, ...operators: string[]) =>
  conditions.find(
    ({ path, operator }) =>
      path.join('.') === fieldPath(field).join('.') && operators.includes(operator),
  )

/** Between which keys of an index it is looked. */
function keysOf({ fields, type }: MangoIndex, conditions: readonly Condition[]) {
  if (type === 'special') {
    const same = on(conditions, '_id', '$eq')?.argument
    const low = same ?? on(conditions, '_id', '$gt', '$gte')?.argument ?? ''
    return [low, same ?? on(conditions, '_id', '$lt', '$lte')?.argument ?? '<MAX>']
  }
  const side = (...operators: string[]) => {
    const key: unknown[] = []
    for (const field of fields) {
      const bound = on(conditions, field, '$eq', ...operators)
      if (!bound) break
      key.push(bound.argument)
    }
    return key
  }
  return [side('$gt', '$gte'), [...side('$lt', '$lte'), '<MAX>']]
}

const covers = (index: MangoIndex, { fields }: FindInput): boolean | null =>
  index.type === 'special'
    ? null
    : (fields?.every((field) => field === '_id' || index.fields.includes(field)) ?? false)

/** How `_find` would answer. One trip. @see https://docs.couchdb.org/en/stable/api/database/find.html#db-explain */
export async function explain(scope: Scope, place: Place, input: FindInput): Promise<unknown> {
  const { indexes } = await indexesOf(scope, place)
  const { index } = choose(indexes, input)
  const { node, use, limit, skip, sort, conflicts, update, stable, stats, fallback } = input
  const conditions = conditionsOf(node)
  const fields = input.fields ?? []
  const [low, high] = keysOf(index, conditions)
  const [start, end] = sort.descending ? [high, low] : [low, high]
  const all = [...new Set(fieldsOf(node))]
  const indexable = all.filter((field) => on(conditions, field, ...ranging))
  return {
    dbname: place.name,
    index: shownIndex(index),
    partitioned: false,
    selector: shownSelector(node),
    opts: {
      use_index: use,
      bookmark: 'nil',
      limit,
      skip,
      sort: Object.fromEntries(
        sort.fields.map((field) => [field, sort.descending ? 'desc' : 'asc']),
      ),
      fields,
      partition: '',
      r: 1,
      conflicts,
      stale: false,
      update,
      stable,
      execution_stats: stats,
      allow_fallback: fallback,
    },
    limit,
    skip,
    fields,
    index_candidates: indexes
      .filter((one) => one !== index)
      .map((one, i) => ({
        index: shownIndex(one),
        analysis: {
          ...whyNot(one, index, input),
          ranking: i + 1,
          covering: covers(one, input),
        },
      })),
    selector_hints: [
      {
        type: 'json',
        indexable_fields: indexable,
        unindexable_fields: all.filter((field) => !indexable.includes(field)),
      },
    ],
    mrargs: {
      include_docs: true,
      view_type: 'map',
      reduce: false,
      partition: null,
      start_key: start,
      end_key: end,
      direction: sort.descending ? 'rev' : 'fwd',
      stable,
      update,
      conflicts: conflicts || 'undefined',
    },
    covering: covers(index, input) ?? false,
  }
}

/** Why another index answers. */
function whyNot(one: MangoIndex, chosen: MangoIndex, input: FindInput) {
  const usable = one === byId || isUsable(one, input)
  const reason = () => {
    if (one.partial) return 'is_partial'
    if (!usable)
      return isUsable(one, { ...input, sort: { ...input.sort, fields: [] } })
        ? 'sort_order_mismatch'
        : 'field_mismatch'
    if (input.use.length > 0 && !isNamed(one, input.use)) return 'excluded_by_user'
    if (one === byId) return 'unfavored_type'
    if (one.fields.length > chosen.fields.length) return 'too_many_fields'
    return one.fields.join() === chosen.fields.join()
      ? 'alphabetically_comes_after'
      : 'less_overlap'
  }
  return { usable, reasons: [{ name: reason() }] }
}
