import { getTableColumns, is, SQL } from 'drizzle-orm'
import {
  type SQLiteColumn,
  SQLiteColumnBuilder,
  type SQLiteColumnBuilderBase,
  sqliteTable,
} from 'drizzle-orm/sqlite-core'
import type { Field } from './expose.ts'
import { sql } from './sql.ts'
import type { Who } from './who.ts'
import { wireType } from './wire.ts'

/** What a computed column holds, over the columns of its row. It may depend on who asks. */
export type ComputedValue = SQL | ((who: Who) => SQL)

/** Made by `computed`. */
export interface Computed<
  // biome-ignore lint/suspicious/noExplicitAny: any column; its type comes in where it is declared.
  Builder extends SQLiteColumnBuilderBase = any,
> {
  readonly type: Builder
  readonly value: ComputedValue
}

/**
 * A column that is worked out at each read: `computed(text().notNull(), sql`${users.first} || ' ' || ${users.last}`)`.
 * Clients select it by name (it is no part of `*`), filter, sort, cast and aggregate by it, and never write it:
 * https://docs.postgrest.org/en/v14/references/api/computed_fields.html
 *
 * @param type A drizzle column without a name: what is stored is what the value gives, and what travels is its form. Nullable
 * unless `notNull()`.
 * @param value Over the columns of the drizzle table. It may read what is hidden, and then tells what it tells.
 * @throws {TypeError} if one of them is none.
 */
export function computed<Builder extends SQLiteColumnBuilderBase>(
  type: Builder,
  value: ComputedValue,
): Computed<Builder> {
  if (!is(type, SQLiteColumnBuilder))
    throw new TypeError('computed: the type must be a drizzle column, such as text().notNull()')
  if (typeof value !== 'function' && !is(value, SQL))
    throw new TypeError('computed: the value must be sql`…`, or a function (who) => sql`…`')
  return Object.freeze({ type, value })
}

// D1's limit of columns, of a subquery as well: https://developers.cloudflare.com/d1/platform/limits/
const maxColumns = 100

/**
 * The computed columns of a table.
 *
 * @throws {TypeError} if one has the name of another column, or there are more than D1 takes.
 */
export function computedFields(
  table: string,
  declared: Readonly<Record<string, Computed>>,
  columns: readonly SQLiteColumn[],
): ReadonlyMap<string, Field> {
  const names = Object.keys(declared)
  if (names.length > 0 && names.length + columns.length > maxColumns)
    throw new TypeError(
      `expose(${table}): with the computed ones it has more than ${maxColumns} columns, which D1 does not take`,
    )
  const fields = new Map<string, Field>()
  for (const name of names) {
    const refuse = (why: string) => new TypeError(`expose(${table}): \`computed.${name}\` ${why}`)
    const { type, value } = declared[name] ?? {}
    if (value === undefined) throw refuse('must be made by computed(type, value)')
    if (columns.some((column) => column.name === name)) throw refuse('has the name of a column')
    const column = columnOf(table, name, type)
    if (column.name !== name)
      throw refuse('takes a drizzle column of its own, without a name: it has that of its key')
    // One that is the same for all is put together once.
    const fixed = typeof value === 'function' ? undefined : sql`(${value})`
    fields.set(name, {
      name,
      key: name,
      column,
      type: wireType(column),
      hidden: false,
      readOnly: true,
      version: false,
      generated: true,
      computed: (who) => fixed ?? sql`(${(value as (who: Who) => SQL)(who)})`,
    })
  }
  return fields
}

/** A column that is in no table of the database. */
const columnOf = (table: string, name: string, type: SQLiteColumnBuilderBase): SQLiteColumn =>
  getTableColumns(sqliteTable(table, { [name]: type }))[name] as SQLiteColumn
