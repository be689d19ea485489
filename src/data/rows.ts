import { type SQL, sql } from 'drizzle-orm'
import { needField, type View, visibleFields } from './compile.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import type { Accepted } from './prefer.ts'
import type { Selected } from './query.ts'

/** One column of an answer. */
export interface Output {
  /** Its key in the JSON, its heading in the CSV. */
  readonly name: string
  readonly field: Field
}

/** A row as D1 gives it, keyed by output name. */
export type Row = Record<string, unknown>

/** `select`, held against the table. `*` is every visible column; naming one twice keeps one. */
export function outputsOf(view: View, selected: readonly Selected[]): Output[] {
  const outputs = new Map<string, Output>()
  for (const { column, alias } of selected)
    for (const field of column === '*' ? visibleFields(view) : [needField(view, column)]) {
      const name = alias ?? field.name
      outputs.set(name, { name, field })
    }
  return [...outputs.values()]
}

/** The columns of a SELECT or RETURNING list. */
export const outputSql = (outputs: readonly Output[]): SQL =>
  outputs.length === 0
    ? sql`1 as "leanto:none"`
    : sql.join(
        outputs.map(({ name, field }) => sql`${field.column} as ${sql.identifier(name)}`),
        sql`, `,
      )

export const contentTypes = {
  array: 'application/json; charset=utf-8',
  object: 'application/vnd.pgrst.object+json; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
}

/**
 * Rows as a response body.
 *
 * @throws {Fault} PGRST116 if one object was asked for and there is not exactly one row.
 */
export function bodyOf(
  rows: readonly Row[],
  outputs: readonly Output[],
  accepted: Accepted,
): string {
  if (accepted.format === 'csv') return csv(rows, outputs)
  if (accepted.format === 'object' && rows.length !== 1) throw notSingle(rows.length)
  const json = rows.map((row) => jsonRow(row, outputs, accepted.stripNulls))
  return JSON.stringify(accepted.format === 'object' ? json[0] : json)
}

export const notSingle = (count: number | string) =>
  dataFaults.PGRST116({ details: `The result contains ${count} rows` })

function jsonRow(row: Row, outputs: readonly Output[], stripNulls: boolean): Row {
  const json: Row = {}
  for (const { name, field } of outputs) {
    const stored = row[name]
    const value = field.type.decode ? field.type.decode(stored) : stored
    if (!stripNulls || value !== null) json[name] = value
  }
  return json
}

/** CSV as Postgres writes a row: nothing for null, `t` and `f`, quotes where needed (RFC 4180). */
function csv(rows: readonly Row[], outputs: readonly Output[]): string {
  const lines = [outputs.map(({ name }) => quoted(name)).join()]
  for (const row of rows)
    lines.push(
      outputs
        .map(({ name, field }) =>
          cell(field.type.decode ? field.type.decode(row[name]) : row[name]),
        )
        .join(),
    )
  return lines.join('\n')
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'boolean') return value ? 't' : 'f'
  if (typeof value === 'object') return quoted(JSON.stringify(value))
  return value === '' ? '""' : quoted(String(value))
}

const quoted = (text: string): string =>
  /[",\n\r\\]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
