import { getTableName } from 'drizzle-orm'
import { columnSql, type View } from './compile.ts'
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

/** @param resource If it must be of this table. */
export const isRowidFault = (error: unknown, resource?: Resource): boolean => {
  const name = error instanceof Error && error.message.match(/no such column: (\S*)\browid/i)?.[1]
  return typeof name === 'string' && (!resource || name === `${getTableName(resource.table)}.`)
}

/** The terms of `ORDER BY`, ended by one that leaves no two rows equal. */
export function insertionOrder(view: View, terms: readonly OrderTerm[]): readonly OrderTerm[] {
  const rowid = rowidOf(view)
  if (!rowid || terms.some(({ value }) => sameSql(value, rowid) || isUnique(view, value)))
    return terms
  // In the direction of the last term: an index is read backwards with its rowids.
  const descending = terms.at(-1)?.descending === true
  return [...terms, { value: rowid, how: sql.raw(descending ? ' desc' : ''), descending }]
}

export function rowidOf(view: View): Fragment | undefined {
  const { primaryKey, table, fields } = view.resource
  const [key, ...more] = primaryKey
  if (key && more.length === 0 && affinityOf(key.column) === 'integer') return columnSql(view, key)
  // An embed stands under another name, where it has no rowid: it is found by an index, in whose order it stays.
  if (view.name || rowidless.has(view.resource) || fields.has('rowid')) return undefined
  return sql`${table}.rowid`
}

const isUnique = (view: View, value: Fragment): boolean =>
  [...view.resource.uniques.keys()].some((columns) => {
    const field = view.resource.fields.get(columns)
    return field?.column.notNull === true && sameSql(value, columnSql(view, field))
  })
