import {
  integer,
  real,
  type SQLiteColumnBuilderBase,
  sqliteTable,
  text,
} from 'drizzle-orm/sqlite-core'
import { every, type View } from './compile.ts'
import { expose, type Field, type Resource, resourceOf } from './expose.ts'
import { dataFaults } from './faults.ts'
import type { Source } from './function-found.ts'
import { fieldOutput } from './node.ts'
import type { Query } from './query.ts'
import type { ReadResult } from './read.ts'
import type { Row } from './rows.ts'
import { sql } from './sql.ts'
import { driverValue, inJson } from './stored.ts'

/*
 * Rows of a function that are in no table. What is asked of them is asked of SQLite, which gets them as one JSON parameter:
 * so every filter, order and aggregate is that of a table.
 */

type Columns = Readonly<Record<string, SQLiteColumnBuilderBase>>

// D1's limit: https://developers.cloudflare.com/d1/platform/limits/
const maxColumns = 100

/**
 * A table for such rows. Within the statement its columns have other names than for clients: a handler's keys may differ
 * in their case alone, which SQLite does not see.
 *
 * @throws {Fault} 54000 for more columns than D1 takes.
 */
export function rowResource(name: string, columns: Columns): Resource {
  const names = Object.keys(columns)
  if (names.length > maxColumns)
    throw dataFaults['54000']({ message: `the rows of function ${name} have too many columns` })
  const named = names.map((key, i) => [`c${i}`, columns[key] as SQLiteColumnBuilderBase] as const)
  const table = sqliteTable('leanto', Object.fromEntries(named))
  const exposed = expose(table, { select: () => true, maxRows: Number.MAX_SAFE_INTEGER })
  const resource = resourceOf(name, exposed)
  const fields = names.map((key, i): [string, Field] => [
    key,
    { ...(resource.fields.get(`c${i}`) as Field), name: key },
  ])
  return Object.freeze({ ...resource, fields: new Map(fields) })
}

/**
 * The columns of rows of which none are declared: all their keys. A column of which all values are of one kind is of that
 * type; any other is JSON.
 */
export function inferredColumns(rows: readonly Row[]): Columns {
  const kinds = new Map<string, Set<string>>()
  for (const row of rows)
    for (const [name, value] of Object.entries(row)) {
      const found = kinds.get(name) ?? new Set()
      if (value !== null) found.add(kindOf(value))
      kinds.set(name, found)
    }
  // SQL text ends at a NUL.
  const names = [...kinds.keys()].filter((name) => !name.includes('\0'))
  return Object.fromEntries(names.map((name) => [name, columnFor(kinds.get(name) as Set<string>)]))
}

const kindOf = (value: unknown): string => (Number.isInteger(value) ? 'integer' : typeof value)

function columnFor(kinds: ReadonlySet<string>): SQLiteColumnBuilderBase {
  const [kind = 'string', ...more] = kinds
  if (more.length === 0) {
    if (kind === 'string') return text()
    if (kind === 'integer') return integer()
    if (kind === 'number') return real()
    if (kind === 'boolean') return integer({ mode: 'boolean' })
  }
  const numbers = [...kinds].every((one) => one === 'integer' || one === 'number')
  return numbers ? real() : text({ mode: 'json' })
}

/** Rows as the place that a read reads them from, in their order. */
export function rowsGiven(view: View, rows: readonly Row[]): Source {
  const name = 'leanto:rows'
  const fields = [...view.resource.fields.values()]
  const stored = rows.map((row) =>
    fields.map((field) => inJson(driverValue(field.column, row[field.name]))),
  )
  const columns = fields.map(({ column, type }, i) => {
    const value = sql`json_extract(value, ${sql.raw(`'$[${i}]'`)})`
    return sql`${type.blob ? sql`unhex(${value})` : value} as ${sql.identifier(column.name)}`
  })
  return {
    view: { ...view, name },
    source: () => ({
      from: sql`(select ${sql.join(columns.length > 0 ? columns : [sql.raw('null')], ', ')} from json_each(${JSON.stringify(stored)})) as ${sql.identifier(name)}`,
      where: every([]),
      // As json_each gives them.
      order: [],
    }),
  }
}

/** Whether nothing is asked of rows but which of them: that takes no database. */
export const asksNothing = ({ select, filters, order, cursor }: Query): boolean =>
  select.length === 1 &&
  select[0]?.kind === 'all' &&
  filters.length === 0 &&
  order.length === 0 &&
  cursor === undefined

/** All columns of rows of declared ones, as a read would have given them. */
export function declaredRows(
  view: View,
  rows: readonly Row[],
): Pick<ReadResult, 'rows' | 'outputs'> {
  const fields = [...view.resource.fields.values()]
  return {
    outputs: fields.map((field) => fieldOutput(view, field)),
    rows: rows.map((row) =>
      Object.fromEntries(fields.map(({ name, column }) => [name, driverValue(column, row[name])])),
    ),
  }
}
