import type { QueryResult } from '../core/database.ts'
import { every, fieldOf, guard, type View } from './compile.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import { compileNode, fieldOutput } from './node.ts'
import { orderOutputs, sorted } from './order.ts'
import type { Preferences } from './prefer.ts'
import type { Query } from './query.ts'
import { type Output, outputSql, packed, type Row, unpacked } from './rows.ts'
import { type Fragment, sql } from './sql.ts'
import { bytesOf } from './stored.ts'
import { versionOutput } from './version.ts'
import type { OrderTerm } from './where.ts'
import { numberType } from './wire.ts'

/** What a write returns of its rows. */
export interface Returned {
  /** What the answer shows of them, or the key for `Location`. */
  readonly outputs: readonly Output[]
  /** What else is to be known of them: their version, and whether the answer shows them. */
  readonly others: readonly Output[]
  /** What they are to be sorted by. */
  readonly terms: readonly OrderTerm[]
}

/** What is asked of rows of which only later operations use something: their order. */
export const nothingShown = (view: View, query: Query): Returned => ({
  outputs: [],
  others: [],
  terms: compileNode(view, { ...query, select: [], filters: [] }, { next: 1 }).terms,
})

const shownName = 'leanto:shown'
const rowName = 'leanto:row'
const keyName = 'leanto:key:'

// A row of more columns than D1 answers with travels as one JSON value.
const maxColumns = 100

/**
 * @param versioned Whether the answer tells the version, also if it shows no row.
 * @param key What tells the rows apart, where one of them may be written twice.
 * @returns `undefined` if the answer is no more than that it happened: that takes no right to read.
 */
export function returnedBy(
  view: View,
  query: Query,
  about: { prefer: Preferences; versioned?: boolean; key?: readonly Field[] | undefined },
): Returned | undefined {
  const { prefer, versioned = false, key = [] } = about
  const { version, primaryKey } = view.resource
  const others = [
    ...(version ? [versionOutput(view, version)] : []),
    ...key.map((field, i) => ({ ...fieldOutput(view, field), name: `${keyName}${i}` })),
  ]
  if (prefer.return === 'representation') {
    const plan = compileNode(view, { ...query, filters: [] }, { next: 1 })
    if (plan.grouped)
      throw dataFaults.PGRST127({
        details: 'Aggregates of what a write returns are not implemented.',
      })
    // As in PostgREST: what an inner embed leaves out is written all the same.
    const shown = plan.where === every([]) ? [] : [shownOutput(plan.where)]
    return { outputs: plan.outputs, others: [...others, ...shown], terms: plan.terms }
  }
  const own = primaryKey.filter((field) => fieldOf(view, field.name))
  if (prefer.return === 'headers-only' && own.length > 0)
    return { outputs: own.map((field) => fieldOutput(view, field)), others, terms: [] }
  return versioned && version ? { outputs: [], others, terms: [] } : undefined
}

const shownOutput = (value: Fragment): Output => ({
  kind: 'value',
  name: shownName,
  value,
  type: numberType('integer'),
})

/** All that is asked of a row, sort keys apart: SQL sorts what is captured. */
export const allOf = ({ others, outputs }: Returned): Output[] => [...others, ...outputs]

/**
 * `RETURNING` with a guard of the new row; nothing where there is nothing to return or to check.
 *
 * @param check What must hold of each row; always true if it is `undefined`.
 */
export function returning(returned: Returned | undefined, check: Fragment | undefined): Fragment {
  if (!returned && !check) return sql.empty
  if (!returned) return sql` returning ${outputSql([], check)}`
  const all = [...orderOutputs(returned.terms), ...allOf(returned)]
  if (all.length <= maxColumns) return sql` returning ${outputSql(all, check)}`
  const row = packed(all.map(inJson))
  const guarded = check ? sql`case when ${check} then ${row} end` : row
  return sql` returning ${guarded} as ${sql.identifier(rowName)}`
}

/** A sort key may be a blob, whose hex sorts as it does. */
const inJson = (output: Output): Output =>
  output.name.startsWith('leanto:order:')
    ? {
        ...output,
        value: sql`case typeof(${output.value}) when 'blob' then hex(${output.value}) else ${output.value} end`,
      }
    : output

/** The rows that `returning` made, in the order that the client asked for: `RETURNING` knows none. */
export function returnedRows(returned: Returned, results: readonly QueryResult[]): Row[] {
  const rows = results.flatMap(({ results: rows }) => rows)
  const all = [...orderOutputs(returned.terms), ...allOf(returned)]
  const read = rows.map((row) => {
    const json = row[rowName]
    return typeof json === 'string' ? unpacked(all, JSON.parse(json) as unknown[]) : row
  })
  return sorted(read, returned.terms)
}

/** Of a row that was written twice, what it was in between is no row: each is answered as it came to be. */
export function lastStates(rows: Row[]): Row[] {
  const last = new Map(rows.map((row) => [keyOf(row), row]))
  return last.size === rows.length ? rows : rows.map((row) => last.get(keyOf(row)) as Row)
}

/** Without a key, each row is one of its own. */
function keyOf(row: Row): unknown {
  const key = Object.entries(row).filter(([name]) => name.startsWith(keyName))
  if (key.length === 0) return row
  return JSON.stringify(
    key.map(([, value]) => (typeof value === 'object' && value ? [...bytesOf(value)] : value)),
  )
}

/** The rows that the answer shows. */
export const shownRows = (rows: readonly Row[]): Row[] => rows.filter((row) => row[shownName] !== 0)

/** A policy in `RETURNING`: `undefined` where it lets everything through. */
export const checkOf = (policy: Fragment): Fragment | undefined =>
  policy === every([]) ? undefined : guard(policy, '42501')
