import type { Scope } from '../../core/scope.ts'
import { sortKey } from '../collate.ts'
import { type DatabaseRow, databaseId, inDatabase, type Place, placed } from '../database.ts'
import type { Doc } from '../definition.ts'
import { isObject } from '../document.ts'
import { bad } from '../faults.ts'
import {
  type Condition,
  fieldPath,
  isThere,
  matches,
  type Node,
  parseSelector,
  valueAt,
} from '../selector.ts'
import type { RowSource } from './view-rows.ts'

/** An index as its design document has it. */
export interface MangoIndex {
  /** `null` for the one that is always there, by `_id`. */
  ddoc: string | null
  name: string
  type: 'json' | 'special'
  fields: readonly string[]
  partial: Record<string, unknown> | undefined
}

export const byId: MangoIndex = {
  ddoc: null,
  name: '_all_docs',
  type: 'special',
  fields: ['_id'],
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
  return Object.entries(views).flatMap(([name, view]) => {
    const { map } = (view ?? {}) as {
      map?: { fields?: unknown; partial_filter_selector?: unknown }
    }
    if (!isObject(map?.fields)) return []
    const partial = map.partial_filter_selector
    return {
      ddoc,
      name,
      type: 'json' as const,
      fields: Object.keys(map.fields),
      partial: isObject(partial) && Object.keys(partial).length > 0 ? partial : undefined,
    }
  })
}

/** An index as `_index` and `_explain` show it. */
export const shownIndex = ({ ddoc, name, type, fields, partial }: MangoIndex) => ({
  ddoc,
  name,
  type,
  partitioned: false,
  def: {
    fields: fields.map((field) => ({ [field]: 'asc' })),
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

/** `sort`, taken apart. @throws {Fault} `invalid_sort_json` (400). */
export function parseSort(sort: unknown): { fields: string[]; descending: boolean } {
  if (sort === undefined) return { fields: [], descending: false }
  if (!Array.isArray(sort)) throw bad('invalid_sort_json', 'Sort must be an array of sort specs')
  const parts = sort.map((one): [string, string] => {
    if (typeof one === 'string') return [one, 'asc']
    const entries = isObject(one) ? Object.entries(one) : []
    const [[field, way] = ['', '']] = entries
    if (entries.length !== 1 || (way !== 'asc' && way !== 'desc'))
      throw bad('invalid_sort_json', 'Sort specs must be a field name or { field: "asc" | "desc" }')
    return [field, way]
  })
  if (new Set(parts.map(([, way]) => way)).size > 1)
    throw bad('invalid_sort_json', 'Sorting by fields of different direction is not supported')
  return { fields: parts.map(([field]) => field), descending: parts[0]?.[1] === 'desc' }
}

/** The conditions that hold for every document that a selector finds. */
function conditionsOf(node: Node): Condition[] {
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

/**
 * The index to answer by: of those that have every document that may be found and the order that is asked for, the one
 * that the selector narrows most.
 *
 * @throws {Fault} `no_usable_index` (400) if none has the order.
 */
export function choose(
  indexes: readonly MangoIndex[],
  node: Node,
  { sort, use }: { sort: readonly string[]; use: readonly string[] },
): Choice {
  const conditions = conditionsOf(node)
  const constant = (field: string) =>
    conditions.some(
      ({ path, operator }) => operator === '$eq' && path.join('.') === fieldPath(field).join('.'),
    )
  const begins = (all: readonly string[], first: readonly string[]) =>
    first.every((field, i) => all[i] === field)
  const varying = (fields: readonly string[]) => fields.filter((field) => !constant(field))
  const inOrder = (fields: readonly string[]) =>
    begins(fields, sort) || begins(varying(fields), varying(sort))
  const usable = indexes.filter(
    (index) =>
      index.type === 'json' &&
      (index.partial === undefined || isNamed(index, use)) &&
      index.fields.every((field) => sort.includes(field) || requires(node, field)) &&
      inOrder(index.fields),
  )
  const named = usable.filter((index) => isNamed(index, use))
  const best = (named.length > 0 ? named : usable.filter(({ partial }) => !partial))
    .map((index) => ({ index, bounds: boundsOf(index.fields, conditions) }))
    .sort(
      (a, b) =>
        b.bounds.depth - a.bounds.depth ||
        a.index.fields.length - b.index.fields.length ||
        (`${a.index.ddoc}/${a.index.name}` < `${b.index.ddoc}/${b.index.name}` ? -1 : 1),
    )[0]
  const byIdAlone = sort.length === 0 || (sort.length === 1 && sort[0] === '_id')
  if (!best) {
    if (!byIdAlone)
      throw bad(
        'no_usable_index',
        'No index exists for this sort, try indexing by the sort fields.',
      )
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
    const low = of('$gt', '$gte').sort().at(-1)
    const high = of('$lt', '$lte').sort()[0]
    depth += Number(low !== undefined) + Number(high !== undefined)
    return { low: prefix + (low ?? ''), high: `${prefix}${high ?? ''}ff`, depth }
  }
  return { low: prefix, high: `${prefix}ff`, depth }
}
