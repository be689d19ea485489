import type { Queryable, Statement } from '../core/database.ts'
import { guard, prepare } from './compile.ts'
import { dataFaults } from './faults.ts'
import type { Captured, Told } from './plan.ts'
import { type Output, packed, unpacked } from './rows.ts'
import { type Fragment, sql } from './sql.ts'

/*
 * SQLite's RETURNING feeds no other statement, and a batch that fails answers no rows. What must be known inside of the
 * batch is therefore kept in rows of `leanto_data_answers`: before a write, what afterwards could no longer be told
 * (the keys of what is updated, the rows of what is deleted), and after it what it wrote.
 */

/** Where the answer of one operation is kept. */
export interface Slot {
  readonly db: Queryable
  readonly key: string
  readonly n: number
  /** Unix time in seconds. */
  readonly expires: number
  /** What later operations of the batch use of its rows. */
  readonly referred: readonly Output[]
}

export const answersTable = sql.raw('leanto_data_answers')

// What an error's text may carry.
const maxRollbackBytes = 1_000_000

// D1's bound of a value; its local simulation does not hold it.
const maxBytes = 2_000_000

const at = ({ key, n }: Slot, part: number): Fragment =>
  sql`key = ${key} and n = ${sql.raw(String(n))} and part = ${sql.raw(String(part))}`

interface Opening {
  kept?: Fragment
  affected?: Fragment
  found?: Fragment
  rows?: Fragment
}

/** Opens a part of a slot: an operation has one for each of its statements that write. */
export function open(slot: Slot, part: number, opening: Opening): Statement {
  const nothing = sql.raw('null')
  const { kept = nothing, affected = nothing, found = sql.raw('0'), rows = nothing } = opening
  return prepare(
    slot.db,
    sql`insert into ${answersTable} (key, n, part, expires_at, kept, affected, found, rows) select ${slot.key}, ${sql.raw(`${slot.n}, ${part}`)}, ${slot.expires}, ${kept}, ${affected}, ${found}, ${rows}`,
  )
}

/**
 * Right after a write: how many rows it wrote, and those.
 *
 * @param rows If they are wanted. They must be as many as were written: a trigger of the host may make rows that cannot
 * be told from the client's, and then none is told.
 */
export function close(slot: Slot, part: number, rows?: Fragment): Statement {
  if (!rows)
    return prepare(
      slot.db,
      sql`update ${answersTable} set affected = changes(), kept = null where ${at(slot, part)}`,
    )
  const complete = guard(sql`json_array_length(leanto_taken.v) = changes()`, 'PGRST127')
  return prepare(
    slot.db,
    sql`update ${answersTable} set affected = changes(), kept = null, rows = case when ${complete} then leanto_taken.v end from (select ${rows} as v) as leanto_taken where ${at(slot, part)}`,
  )
}

/** Right after a delete: its rows were taken before. */
export const closeTaken = (slot: Slot, part: number): Statement =>
  prepare(
    slot.db,
    sql`update ${answersTable} set affected = case when ${guard(sql`rows is null or json_array_length(rows) = changes()`, 'PGRST127')} then changes() end where ${at(slot, part)}`,
  )

/** What `open` kept. */
export const keptAt = (slot: Slot, part: number): Fragment =>
  sql`(select kept from ${answersTable} where ${at(slot, part)})`

/** A row, and what later operations use of it, as JSON. */
export const packedRow = (slot: Slot, outputs: readonly Output[]): Fragment =>
  sql`json_array(${packed(outputs)}, ${packed(slot.referred)})`

/**
 * A list of rows as one value.
 *
 * @param rows A SELECT of one column, `v`.
 */
export function listOf(rows: Fragment): Fragment {
  const list = sql`(select json_group_array(json(v)) from (${rows}))`
  return sql`(select case when ${guard(sql`octet_length(l) <= ${sql.raw(String(maxBytes))}`, '54000')} then l end from (select ${list} as l))`
}

/** A value of a row that an operation before has captured. */
export function referredValue(
  { key }: Pick<Slot, 'key'>,
  { n, row, index, blob }: { n: Fragment; row: Fragment; index: Fragment; blob: boolean },
): Fragment {
  const value = sql`(select json_extract(rows, '$[' || ${row} || '][1][' || ${index} || ']') from ${answersTable} where key = ${key} and n = ${n} and part = 0)`
  return blob ? sql`unhex(${value})` : value
}

/** Fails unless the slot has a row of this index. */
export const needsRow = (slot: Slot, index: number): Statement =>
  prepare(
    slot.db,
    sql`select ${guard(sql`(select json_array_length(rows) > ${sql.raw(String(index))} from ${answersTable} where ${at(slot, 0)})`, 'PT424', sql.raw(`'${index}'`))}`,
  )

/** All that is captured under a key, and the claim of it. */
export const capturedSql = (key: string): Fragment =>
  sql`select n, part, affected, found, rows, kept from ${answersTable} where key = ${key}`

/** As `capturedSql`, and takes it away. */
export const takenSql = (key: string): Fragment =>
  sql`delete from ${answersTable} where key = ${key} returning n, part, affected, found, rows`

export const isCaptured = ({ n }: Captured): boolean => n >= 0

/**
 * Undoes the whole batch, with an error whose text is what was captured: of a batch that fails, D1 answers nothing else.
 */
export function rollbackSql(key: string): Fragment {
  const all = sql`(select json_group_array(json_array(n, part, affected, found, rows)) from ${answersTable} where key = ${key})`
  const small = guard(sql`octet_length(v) <= ${sql.raw(String(maxRollbackBytes))}`, '54000')
  return sql`select case when ${small} then json_extract('{}', 'leanto:TX:' || v || ':end') end from (select ${all} as v)`
}

/** What `rollbackSql` told, if this is its error. */
export function rolledBack(error: unknown): Captured[] | undefined {
  const { message } = error as Error
  const from = message.match(/bad JSON path: '+leanto:TX:/)
  if (!from) return undefined
  const start = (from.index as number) + from[0].length
  const end = message.lastIndexOf(":end'")
  // Whoever carried the text may have cut it.
  if (end < start) throw dataFaults['54000']({ message: 'the answer is too large for tx=rollback' })
  const text = message.slice(start, end).replaceAll("''", "'")
  return (JSON.parse(text) as [number, number, number | null, number, string | null][]).map(
    ([n, part, affected, found, rows]) => ({ n, part, affected, found, rows }),
  )
}

/** What the parts of one operation tell together. */
export function toldOf(outputs: readonly Output[], parts: readonly Captured[]): Told {
  const rows = parts.flatMap((part) => JSON.parse(part.rows ?? '[]') as [unknown[], unknown[]][])
  const sum = (of: (part: Captured) => number | null) =>
    parts.reduce((total, part) => total + Number(of(part) ?? 0), 0)
  return {
    affected: parts.some((part) => part.affected === null) ? null : sum((part) => part.affected),
    found: sum((part) => part.found),
    rows: rows.map(([values]) => unpacked(outputs, values)),
  }
}
