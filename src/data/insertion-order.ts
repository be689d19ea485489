import type { View } from './compile.ts'
import type { Resource } from './expose.ts'
import { type Fragment, sameSql, sql } from './sql.ts'
import { affinityOf } from './stored.ts'
import type { OrderTerm } from './where.ts'

/*
 * Rows without an order come as they were inserted, and rows that an order holds for equal come so too: pages of them
 * never overlap. SQLite's rowid is that order. Every index ends with it, so it costs no sorting.
 */

// Tables that a migration declared WITHOUT ROWID: drizzle does not know, the database tells.
const rowidless = new WeakSet<Resource>()

export const withoutRowid = (resource: Resource) => rowidless.add(resource)

export const isRowidFault = (error: unknown): boolean =>
  error instanceof Error && /no such column: \S*rowid/i.test(error.message)

/** The terms of `ORDER BY`, ended by one that leaves no two rows equal. */
export function insertionOrder(view: View, terms: readonly OrderTerm[]): readonly OrderTerm[] {
  const rowid = rowidOf(view.resource)
  if (!rowid || terms.some(({ value }) => sameSql(value, rowid) || isUnique(view, value)))
    return terms
  // In the direction of the last term: an index is read backwards with its rowids.
  const descending = terms.at(-1)?.descending === true
  return [...terms, { value: rowid, how: sql.raw(descending ? ' desc' : ''), descending }]
}

export function rowidOf(resource: Resource): Fragment | undefined {
  const [key, ...more] = resource.primaryKey
  if (key && more.length === 0 && affinityOf(key.column) === 'integer') return sql`${key.column}`
  if (rowidless.has(resource) || resource.fields.has('rowid')) return undefined
  return sql`${resource.table}.rowid`
}

const isUnique = ({ resource }: View, value: Fragment): boolean =>
  [...resource.uniques.keys()].some((columns) => {
    const field = resource.fields.get(columns)
    return field?.column.notNull === true && sameSql(value, sql`${field.column}`)
  })
