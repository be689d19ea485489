import { getTableName, is, SQL } from 'drizzle-orm'
import { allows, conditionSql, every, rowsSql, type View } from './compile.ts'
import type { Field } from './expose.ts'
import type { Found } from './function.ts'
import { insertionOrder } from './insertion-order.ts'
import type { RowSource } from './read.ts'
import { type Fragment, sql } from './sql.ts'
import { driverValue, inJson } from './stored.ts'
import { type OrderTerm, orderBy as orderBySql } from './where.ts'

/** A read's input: who looks at which table, and where its rows are. */
export interface Source {
  readonly view: View
  readonly source: () => RowSource
}

/**
 * The rows that a function has found. The table's select policy is part of the statement that reads them.
 *
 * @throws {TypeError} if they are no rows of the table.
 */
export function rowsFound(view: View, found: Found): Source {
  const { table, policies, primaryKey } = view.resource
  const readable = () => allows(policies.select, view.who)
  if (Array.isArray(found)) {
    const keys = keysOf(view, found)
    return { view, source: () => rowsOfKeys(view, keys, readable()) }
  }
  const { where, orderBy = [], limit } = parted(found as Exclude<Found, readonly unknown[]>)
  const terms = [orderBy].flat().map((value) => term(sql`${value}`))
  const condition = () => every([readable(), conditionSql(where)])
  if (limit === undefined)
    return {
      view,
      source: () => ({
        from: sql`${table}`,
        where: condition(),
        order: insertionOrder(view, terms),
      }),
    }
  if (!Number.isSafeInteger(limit) || limit < 0)
    throw new TypeError('data: the `limit` of a function must be a whole number')
  // What is asked of the rows is asked of those within the limit. By the key, because a subquery has no rowid.
  const order = [...terms, ...primaryKey.map(({ column }) => term(sql`${column}`))]
  const limited: View = { ...view, name: getTableName(table) }
  return {
    view: limited,
    source: () => ({
      from: rowsSql(
        limited,
        condition(),
        sql`${orderBySql(order)} limit ${sql.raw(String(limit))}`,
      ),
      where: every([]),
      order,
    }),
  }
}

/** The first of the rows. */
export const oneFound = (found: Found): Found =>
  Array.isArray(found)
    ? found.slice(0, 1)
    : { ...parted(found as Exclude<Found, readonly unknown[]>), limit: 1 }

const parted = (found: Exclude<Found, readonly unknown[]>) => {
  if (found === null || found === undefined) return { where: false }
  if (typeof found === 'boolean' || is(found, SQL)) return { where: found }
  const { where = true, orderBy, limit } = found
  return { where, ...(orderBy ? { orderBy } : {}), ...(limit === undefined ? {} : { limit }) }
}

const term = (value: Fragment): OrderTerm => ({ value, how: sql.empty, descending: false })

/** Keys as JSON lists of what is stored; one that is there twice counts once. */
function keysOf({ resource: { name, primaryKey } }: View, found: readonly unknown[]): string[] {
  if (primaryKey.length === 0)
    throw new TypeError(`data: ${name} has no primary key by which a function could name rows`)
  return [
    ...new Set(
      found.map((row) => JSON.stringify(primaryKey.map((part) => partOf(row, part, primaryKey)))),
    ),
  ]
}

/** A part of a key: of a row, or the value itself. */
function partOf(row: unknown, { key, column }: Field, { length }: readonly Field[]) {
  const isRow = typeof row === 'object' && row !== null && Object.hasOwn(row, key)
  if (!isRow && length > 1)
    throw new TypeError(`data: a function must name the rows by objects that hold ${key}`)
  return inJson(driverValue(column, isRow ? (row as Record<string, unknown>)[key] : row))
}

function rowsOfKeys({ resource }: View, keys: readonly string[], readable: Fragment): RowSource {
  const same = resource.primaryKey.map(({ column, type }, i) => {
    const value = sql`json_extract(leanto_found.value, ${sql.raw(`'$[${i}]'`)})`
    return sql`${column} = ${type.blob ? sql`unhex(${value})` : value}`
  })
  return {
    // Each key leads to its row by the index: in their own order, which so costs no sorting.
    from: sql`json_each(${`[${keys.join()}]`}) as leanto_found cross join ${resource.table}`,
    where: every([...same, readable]),
    order: [],
  }
}
