import { fieldOf, type View } from './compile.ts'
import { dataFaults } from './faults.ts'
import type { Query } from './query.ts'
import type { Output, Row } from './rows.ts'
import { type Fragment, sql } from './sql.ts'
import { fromHex, toHex } from './stored.ts'
import type { OrderTerm } from './where.ts'
import { textPathType } from './wire.ts'

/*
 * Keyset paging: a page begins after the last row of the one before, wherever that is by then. No row is read to be
 * skipped, and rows that come or go in between move none onto two pages. `cursor=` (empty) begins; the answer's
 * `Next-Cursor` is the next one's. A cursor holds the order's values of that row, which its holder has seen or may see.
 */

const nameOf = (index: number) => `leanto:key:${index}`

/** The values that a cursor is made of, beside what was asked. */
export const keyOutputs = (terms: readonly OrderTerm[]): Output[] =>
  terms.map(({ value }, i) => ({ kind: 'value', name: nameOf(i), value, type: textPathType }))

/**
 * The order, ended by the primary key.
 *
 * @throws {Fault} PGRST127 for a table without a key that the caller may see.
 */
export function keyedTerms(view: View, terms: readonly OrderTerm[]): OrderTerm[] {
  const { primaryKey, name } = view.resource
  if (primaryKey.length === 0 || primaryKey.some((field) => !fieldOf(view, field.name)))
    throw dataFaults.PGRST127({ details: `A cursor needs a primary key, which ${name} has not.` })
  const descending = terms.at(-1)?.descending === true
  const keys = primaryKey.map(({ column }) => ({
    value: sql`${column}`,
    how: sql.raw(descending ? ' desc' : ' asc'),
    descending,
    nulls: undefined,
  }))
  return [...terms, ...keys]
}

/** The row's place in the order, as an opaque text. */
export function cursorOf(query: Query, row: Row, count: number): string {
  const values = Array.from({ length: count }, (_, i) => {
    const value = row[nameOf(i)]
    return value instanceof ArrayBuffer || Array.isArray(value)
      ? {
          hex: toHex(Uint8Array.from(value instanceof ArrayBuffer ? new Uint8Array(value) : value)),
        }
      : value
  })
  const bytes = new TextEncoder().encode(JSON.stringify([orderOf(query), values]))
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '')
}

const orderOf = ({ order }: Query): string => JSON.stringify(order)

/**
 * That a row comes after the cursor's.
 *
 * @throws {Fault} PGRST100 if it is none, or of another order.
 */
export function afterCursor(query: Query, terms: readonly OrderTerm[]): Fragment {
  const values = valuesOf(query, query.cursor as string, terms.length)
  const [first] = terms
  const plain = terms.every(
    ({ nulls, descending }, i) =>
      nulls === undefined && descending === first?.descending && values[i] !== null,
  )
  if (plain) {
    const left = sql.join(
      terms.map(({ value }) => value),
      ', ',
    )
    const right = sql.join(
      values.map((value) => sql`${value}`),
      ', ',
    )
    return sql`(${left}) ${sql.raw(first?.descending ? '<' : '>')} (${right})`
  }
  return terms.reduceRight<Fragment>((rest, term, i) => {
    const value = values[i]
    return sql`(${strictlyAfter(term, value)} or (${term.value} is ${value} and ${rest}))`
  }, sql`0`)
}

function strictlyAfter({ value, descending, nulls }: OrderTerm, at: unknown): Fragment {
  if (at === null) return nulls === 'first' ? sql`${value} is not null` : sql`0`
  const beyond = sql`${value} ${sql.raw(descending ? '<' : '>')} ${at}`
  return nulls === 'last' ? sql`(${beyond} or ${value} is null)` : beyond
}

function valuesOf(query: Query, cursor: string, count: number): unknown[] {
  const wrong = dataFaults.PGRST100({
    message: 'failed to parse cursor parameter',
    details: 'It belongs to another order, or is none. An empty one begins.',
  })
  let parsed: unknown
  try {
    const binary = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'))
    parsed = JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))))
  } catch {
    throw wrong
  }
  if (!Array.isArray(parsed) || parsed[0] !== orderOf(query)) throw wrong
  const values: unknown = parsed[1]
  if (!Array.isArray(values) || values.length !== count) throw wrong
  return values.map((value: unknown) => {
    if (value === null || typeof value === 'string' || typeof value === 'number') return value
    const hex = (value as { hex?: unknown }).hex
    if (typeof hex !== 'string' || !/^(?:[0-9a-f]{2})*$/.test(hex)) throw wrong
    return fromHex(hex)
  })
}
