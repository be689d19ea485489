import type { Accepted } from './accept.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import type { Operand } from './operand.ts'
import type { Aggregate } from './query.ts'
import { type Fragment, sql } from './sql.ts'
import { fromHex } from './stored.ts'
import type { WireType } from './wire.ts'

/** One column of an answer. */
export interface ValueOutput {
  readonly kind: 'value'
  /** Its key in the JSON, its heading in the CSV. */
  readonly name: string
  readonly value: Fragment
  readonly type: WireType
  /** The column, where it is one. */
  readonly field?: Field
  readonly aggregate?: { readonly name: Aggregate; readonly of: Operand | undefined }
}

/** A table in an answer: one JSON value, which `unpacked` reads. */
export interface EmbedOutput {
  readonly kind: 'embed'
  readonly name: string
  readonly value: Fragment
  /** A list of rows, or one row or null. */
  readonly many: boolean
  /** Whether its columns stand in the row itself: a value each, or, of many rows, a list each. */
  readonly spread: boolean
  readonly outputs: readonly Output[]
}

export type Output = ValueOutput | EmbedOutput

/** A row as D1 gives it, keyed by output name. */
export type Row = Record<string, unknown>

/**
 * The columns of a SELECT or RETURNING list.
 *
 * @param guarded What must be evaluated for each row, and is then true. It goes into the first column: D1 takes 100, and
 * a table may have as many.
 */
export function outputSql(outputs: readonly Output[], guarded?: Fragment): Fragment {
  if (outputs.length === 0) return sql`${guarded ?? sql`1`} as "leanto:none"`
  const columns = outputs.map(({ name, value }, i) => {
    const shown = guarded && i === 0 ? sql`case when ${guarded} then ${value} end` : value
    return sql`${shown} as ${sql.identifier(name)}`
  })
  return sql.join(columns, ', ')
}

// D1's limit of arguments: https://developers.cloudflare.com/d1/platform/limits/
const maxArguments = 32

/** A row as one JSON array in SQL. A blob travels as hex: JSON has none. */
export const packed = (outputs: readonly Output[]): Fragment =>
  list(
    outputs.map((output) => {
      if (output.kind === 'embed') return sql`json(${output.value})`
      return output.type.blob ? hexOf(output.value) : output.value
    }),
  )

/** Of null, `hex` would make an empty blob. */
export const hexOf = (value: Fragment): Fragment => sql`iif(${value} is null, null, hex(${value}))`

function list(values: readonly Fragment[]): Fragment {
  if (values.length <= maxArguments) return sql`json_array(${sql.join(values, ', ')})`
  const lists: Fragment[] = []
  for (let i = 0; i < values.length; i += maxArguments)
    lists.push(list(values.slice(i, i + maxArguments)))
  return list(lists)
}

/** A row that `packed` packed. */
export function unpacked(outputs: readonly Output[], json: readonly unknown[]): Row {
  const values = outputs.length <= maxArguments ? json : flattened(json, outputs.length)
  const row: Row = {}
  for (const [i, output] of outputs.entries()) {
    const value = values[i] ?? null
    row[output.name] =
      output.kind === 'value' && output.type.blob && typeof value === 'string'
        ? fromHex(value)
        : value
  }
  return row
}

/** The values of lists of lists: as deep as so many values need. */
function flattened(json: readonly unknown[], count: number): readonly unknown[] {
  let values = json
  for (
    let lists = Math.ceil(count / maxArguments);
    lists > 1;
    lists = Math.ceil(lists / maxArguments)
  )
    values = (values as unknown[][]).flat(1)
  return values
}

export const contentTypeOf = ({ format, stripNulls }: Accepted): string =>
  `${contentTypes[format]}${stripNulls ? ';nulls=stripped' : ''}; charset=utf-8`

const contentTypes = {
  array: 'application/json',
  object: 'application/vnd.pgrst.object+json',
  csv: 'text/csv',
  geojson: 'application/geo+json',
  plan: 'application/json',
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
  if (accepted.format === 'object' && rows.length !== 1) throw notSingle(rows.length)
  const json = decoded(rows, outputs)
  if (accepted.format === 'csv') return csv(json, namesOf(outputs))
  const shown = accepted.stripNulls ? json.map((row) => stripped(row) as Row) : json
  return JSON.stringify(accepted.format === 'object' ? shown[0] : shown)
}

/** D1's rows as those of the answer. */
export function decoded(rows: readonly Row[], outputs: readonly Output[]): readonly Row[] {
  // What a write returned holds more than was asked: what it was sorted by.
  const exact = Object.keys(rows[0] ?? {}).length === outputs.length
  return exact && isPlain(outputs) ? rows : rows.map(decoder(outputs))
}

export const notSingle = (count: number | string) =>
  dataFaults.PGRST116({ details: `The result contains ${count} rows` })

/** Whether D1's values are those of the answer. */
const isPlain = (outputs: readonly Output[]): boolean =>
  outputs.every((output) => output.kind === 'value' && !output.type.decode)

/** Makes D1's rows those of the answer. */
function decoder(outputs: readonly Output[]): (row: Row) => Row {
  return (row) => {
    const json: Row = {}
    for (const output of outputs) place(json, output, row[output.name])
    return json
  }
}

function place(json: Row, output: Output, stored: unknown) {
  if (output.kind === 'value') {
    const { decode } = output.type
    json[output.name] = decode ? decode(stored) : stored
    return
  }
  const rows = embedded(output, stored)
  if (!output.spread) json[output.name] = output.many ? rows : (rows[0] ?? null)
  else if (!output.many)
    for (const name of namesOf(output.outputs)) json[name] = rows[0]?.[name] ?? null
  else for (const name of namesOf(output.outputs)) json[name] = rows.map((row) => row[name])
}

/** The rows of an embed; of one row at most if it is not `many`. */
function embedded({ many, outputs }: EmbedOutput, stored: unknown): Row[] {
  if (stored === null || stored === undefined) return []
  // At the top it is a text, further inside it was read with it.
  const json = (typeof stored === 'string' ? JSON.parse(stored) : stored) as unknown[]
  const decode = decoder(outputs)
  return ((many ? json : [json]) as unknown[][]).map((values) => decode(unpacked(outputs, values)))
}

/** The keys of a row of the answer. */
function namesOf(outputs: readonly Output[]): string[] {
  const names = outputs.flatMap((output) =>
    output.kind === 'embed' && output.spread ? namesOf(output.outputs) : [output.name],
  )
  return [...new Set(names)]
}

/** As it goes into JSON. */
export const wireValue = (output: Output, row: Row): unknown => {
  const json: Row = {}
  place(json, output, row[output.name])
  return json[output.name]
}

/** Without the keys whose value is null, at any depth: Postgres's `json_strip_nulls`. */
function stripped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stripped)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, part]) => (part === null ? [] : [[key, stripped(part)]])),
  )
}

/** CSV as Postgres writes a row: nothing for null, `t` and `f`, quotes where needed (RFC 4180). */
function csv(rows: readonly Row[], names: readonly string[]): string {
  const lines = [names.map(quoted).join()]
  for (const row of rows) lines.push(names.map((name) => cell(row[name])).join())
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
