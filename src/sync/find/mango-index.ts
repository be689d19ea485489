import type { Scope } from '../../core/scope.ts'
import { sortKey } from '../collate.ts'
import { type DatabaseRow, databaseId, inDatabase, type Place, placed } from '../database.ts'
import type { Doc } from '../definition.ts'
import { isObject } from '../document.ts'
import {
  type Condition,
  fieldPath,
  isThere,
  matches,
  type Node,
  parseSelector,
  valueAt,
} from '../selector.ts'
import { findFaults } from './faults.ts'
import type { FindInput } from './mango-input.ts'
import type { RowSource } from './view-rows.ts'

/** An index as its design document has it. */
export interface MangoIndex {
  /** `null` for the one that is always there, by `_id`. */
  ddoc: string | null
  name: string
  type: 'json' | 'special'
  fields: readonly string[]
  /** What each of them says of its order; no index is read otherwise for it. */
  ways: readonly unknown[]
  partial: Record<string, unknown> | undefined
}

export const byId: MangoIndex = {
  ddoc: null,
  name: '_all_docs',
  type: 'special',
  fields: ['_id'],
  ways: ['asc'],
  partial: undefined,
}

/** Reads the indexes of a database. One trip. */
export async function indexesOf(
  scope: Scope,
  place: Place,
): Promise<{ database: DatabaseRow; indexes: MangoIndex[] }> {
  const { database, results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT d.id, d.body FROM leanto_sync_documents d WHERE d.db = ${databaseId}
       AND d.id >= '_design/' AND d.id < '_design0' AND d.deleted = 0 ORDER BY d.id`,
      [],
    ),
  ])
  const rows = (results[0]?.results ?? []) as { id: string; body: string }[]
  return { database, indexes: [byId, ...rows.flatMap(({ id, body }) => indexesIn(id, body))] }
}

function indexesIn(ddoc: string, body: string): MangoIndex[] {
  const { language, views } = JSON.parse(body)
  if (language !== 'query' || !isObject(views)) return []
  const sorted = Object.entries(views).sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.flatMap(([name, view]) => {
    const { map } = (view ?? {}) as {
      map?: { fields?: unknown; partial_filter_selector?: unknown; selector?: unknown }
    }
    if (!isObject(map?.fields)) return []
    // What it was called first.
    const partial = map.partial_filter_selector ?? map.selector
    return {
      ddoc,
      name,
      type: 'json' as const,
      fields: Object.keys(map.fields),
      ways: Object.values(map.fields),
      partial: isObject(partial) && Object.keys(partial).length > 0 ? partial : undefined,
    }
  })
}

/** An index as `_index` and `_explain` show it. */
export const shownIndex = ({ ddoc, name, type, fields, ways, partial }: MangoIndex) => ({
  ddoc,
  name,
  type,
  partitioned: false,
  def: {
    fields: fields.map((field, i) => ({ [field]: ways[i] })),
    ...(partial ? { partial_filter_selector: partial } : {}),
  },
})

/** The rows of an index: a document has one if it has all fields, and what the index is limited to is true of it. */
export function sourceOf({ ddoc, name, fields, partial }: MangoIndex): RowSource {
  const paths = fields.map(fieldPath)
  const filter = partial && parseSelector(partial)
  return {
    name: `${ddoc}/${name}`,
    version: JSON.stringify([fields, partial ?? null]),
    rows(doc: Doc) {
      const key = paths.map((path) => valueAt(doc, path))
      if (!key.every(isThere) || (filter && !matches(filter, doc))) return []
      return [{ key, value: null }]
    },
  }
}

/** The conditions that hold for every document that a selector finds. */
export function conditionsOf(node: Node): Condition[] {
  if (node.kind === 'field') return [node]
  return node.kind === 'and' ? node.nodes.flatMap(conditionsOf) : []
}

/** The one id that a selector asks for, `undefined` if it may be another. */
export const idOf = (node: Node): string | undefined => {
  const same = conditionsOf(node).find(
    ({ path, operator }) => operator === '$eq' && path.length === 1 && path[0] === '_id',
  )
  return typeof same?.argument === 'string' ? same.argument : undefined
}

/** Whether what a selector finds has a field. */
function requires(node: Node, field: string): boolean {
  if (node.kind === 'and') return node.nodes.some((one) => requires(one, field))
  if (node.kind === 'or')
    return node.nodes.length > 0 && node.nodes.every((one) => requires(one, field))
  return (
    node.path.join('.') === fieldPath(field).join('.') &&
    !(node.operator === '$exists' && node.argument === false)
  )
}

export interface Choice {
  index: MangoIndex
  /** Bounds of the sort keys of its rows. */
  low: string
  high: string
}

/** What an index is chosen for. */
type Wanted = Pick<FindInput, 'node' | 'sort' | 'use' | 'fallback'>

/** Whether an index has every document that may be found, in the order that is asked for. */
export function isUsable(index: MangoIndex, { node, sort, use }: Wanted): boolean {
  const constant = (field: string) =>
    conditionsOf(node).some(
      ({ path, operator }) => operator === '$eq' && path.join('.') === fieldPath(field).join('.'),
    )
  const begins = (all: readonly string[], first: readonly string[]) =>
    first.every((field, i) => all[i] === field)
  const varying = (fields: readonly string[]) => fields.filter((field) => !constant(field))
  return (
    index.type === 'json' &&
    (index.partial === undefined || isNamed(index, use)) &&
    index.fields.every(
      (field) => sort.fields.includes(field) || /^_(id|rev)$/.test(field) || requires(node, field),
    ) &&
    (begins(index.fields, sort.fields) || begins(varying(index.fields), varying(sort.fields)))
  )
}

/**
 * The index to answer by: of those that are usable the one that the selector narrows most.
 *
 * @throws {Fault} `no_usable_index` (400) if none has the order.
 */
export function choose(indexes: readonly MangoIndex[], wanted: Wanted): Choice {
  const { node, sort, use, fallback } = wanted
  const conditions = conditionsOf(node)
  const usable = indexes.filter((index) => isUsable(index, wanted))
  const named = usable.filter((index) => isNamed(index, use))
  if (!fallback && use.length > 0 && named.length === 0)
    throw findFaults.no_usable_index({
      message: `${use.join(', ')} is not a valid index for this query`,
    })
  const best = (named.length > 0 ? named : usable.filter(({ partial }) => !partial))
    .map((index) => ({ index, bounds: boundsOf(index.fields, conditions) }))
    .sort(
      (a, b) =>
        b.bounds.depth - a.bounds.depth ||
        a.index.fields.length - b.index.fields.length ||
        (`${a.index.ddoc}/${a.index.name}` < `${b.index.ddoc}/${b.index.name}` ? -1 : 1),
    )[0]
  if (!best) {
    if (sort.fields.some((field, i) => i > 0 || field !== '_id')) throw findFaults.no_usable_index()
    // Ids are in the order of bytes, which is not that of a selector: its bounds are none of theirs.
    return { index: byId, low: '', high: 'ff' }
  }
  return { index: best.index, low: best.bounds.low, high: best.bounds.high }
}

/** Whether a request names this index: `"ddoc"`, `["ddoc"]` or `["ddoc", "name"]`. */
export const isNamed = ({ ddoc, name }: MangoIndex, [design, view]: readonly string[]): boolean =>
  ddoc !== null &&
  design !== undefined &&
  (ddoc === design || ddoc === `_design/${design}`) &&
  (view === undefined || view === name)

/** A superset: what lies within is looked at once more. */
function boundsOf(
  fields: readonly string[],
  conditions: readonly Condition[],
): { low: string; high: string; depth: number } {
  // The key is a list: its own first byte, then its elements.
  let prefix = '06'
  let depth = 0
  for (const field of fields) {
    const path = fieldPath(field).join('.')
    const mine = conditions.filter((one) => one.path.join('.') === path)
    const of = (...operators: string[]) =>
      mine
        .filter(({ operator }) => operators.includes(operator))
        .map(({ argument }) => sortKey(argument))
    const [same] = of('$eq')
    if (same !== undefined) {
      prefix += same
      depth += 2
      continue
    }
    // Ids are compared in another order than rows are.
    const ranging = path !== '_id'
    const low = ranging ? of('$gt', '$gte').sort().at(-1) : undefined
    const high = ranging ? of('$lt', '$lte').sort()[0] : undefined
    depth += Number(low !== undefined) + Number(high !== undefined)
    return { low: prefix + (low ?? ''), high: `${prefix}${high ?? ''}ff`, depth }
  }
  return { low: prefix, high: `${prefix}ff`, depth }
}
