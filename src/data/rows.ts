import { needField, type View, visibleFields } from './compile.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import type { Accepted } from './prefer.ts'
import type { Selected } from './query.ts'
import { type Fragment, sql } from './sql.ts'

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

/**
 * The columns of a SELECT or RETURNING list.
 *
 * @param guarded What must be evaluated for each row, and is then true. It goes into the first column: D1 takes 100, and
 * a table may have as many.
 */
export function outputSql(outputs: readonly Output[], guarded?: Fragment): Fragment {
  if (outputs.length === 0) return sql`${guarded ?? sql`1`} as "leanto:none"`
  const columns = outputs.map(({ name, field }, i) => {
    const value =
      guarded && i === 0 ? sql`case when ${guarded} then ${field.column} end` : field.column
    return sql`${value} as ${sql.identifier(name)}`
  })
  return sql.join(columns, ', ')
}

export const contentTypeOf = ({ format, stripNulls }: Accepted): string =>
  `${contentTypes[format]}${stripNulls ? ';nulls=stripped' : ''}; charset=utf-8`

const contentTypes = {
  array: 'application/json',
  object: 'application/vnd.pgrst.object+json',
  csv: 'text/csv',
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
  for (const output of outputs) {
    const value = wireValue(output, row)
    if (!stripNulls || value !== null) json[output.name] = value
  }
  return json
}

/** As it goes into JSON. */
export const wireValue = ({ name, field: { type } }: Output, row: Row): unknown =>
  type.decode ? type.decode(row[name]) : row[name]

/** CSV as Postgres writes a row: nothing for null, `t` and `f`, quotes where needed (RFC 4180). */
function csv(rows: readonly Row[], outputs: readonly Output[]): string {
  const lines = [outputs.map(({ name }) => quoted(name)).join()]
  for (const row of rows) lines.push(outputs.map((output) => cell(wireValue(output, row))).join())
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
