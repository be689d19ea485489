import type { QueryResult, Statement } from '../core/database.ts'
import { open } from './capture.ts'
import { guard, prepare } from './compile.ts'
import type { Plan, Planning, Told } from './plan.ts'
import type { Preferences } from './prefer.ts'
import type { Query } from './query.ts'
import { allOf, type Returned, returnedRows, shownRows } from './returning.ts'
import type { Output, Row } from './rows.ts'
import { sql } from './sql.ts'
import { etagOf, type Precondition, versionOf } from './version.ts'

/** How a write answers, and under which conditions it happens. */
export interface Answering {
  prefer: Preferences
  /** Exactly one row must be written, or none is. */
  single: boolean
  precondition: Precondition
}

export interface WriteResult {
  /** The written rows, if they were asked for. */
  rows: readonly Row[]
  outputs: readonly Output[]
  /** How many rows were written. */
  affected: number
  /** How many of them were there before; only an upsert knows. */
  found: number
  /** Of the one row that was written. */
  etag: string | undefined
}

/** What of a request every write needs. */
export interface WriteInput extends Answering {
  query: Query
}

const tallyName = 'leanto:changes'

/**
 * A write, and, if its answer depends on how many rows it wrote and it returns none, a statement that tells: what D1
 * reports as `changes` counts the rows that the host's triggers write as well.
 */
export function tallied(
  { db }: Planning,
  statement: Statement,
  { returns, matters }: { returns: boolean; matters: boolean },
): Statement[] {
  if (returns || !matters) return [statement]
  return [statement, prepare(db, sql`select changes() as ${sql.identifier(tallyName)}`)]
}

/** What bounds how many rows a write may touch, checked inside its transaction, after the statement that wrote. */
export function countGuards(
  { db }: Planning,
  { prefer, single, precondition }: Answering,
): Statement[] {
  const guards: Statement[] = []
  const changes = sql`changes()`
  if (precondition.absent || precondition.match)
    guards.push(prepare(db, sql`select ${guard(sql`${changes} > 0`, 'PT412')}`))
  if (single)
    guards.push(prepare(db, sql`select ${guard(sql`${changes} = 1`, 'PGRST116', changes)}`))
  if (prefer.maxAffected !== undefined)
    guards.push(
      prepare(
        db,
        sql`select ${guard(sql`${changes} <= ${sql.raw(String(prefer.maxAffected))}`, 'PGRST124', changes)}`,
      ),
    )
  return guards
}

/** What the statements that wrote told, without those that only guarded. */
export function toldBy(results: readonly QueryResult[], returned: Returned | undefined): Told {
  let affected = 0
  for (const { results: rows } of results) affected += Number(rows[0]?.[tallyName] ?? rows.length)
  return { affected, found: 0, rows: returned ? returnedRows(returned, results) : [] }
}

export function writeResult(
  { affected, found, rows }: Told,
  returned: Returned | undefined,
): WriteResult {
  return {
    rows: shownRows(rows),
    outputs: returned?.outputs ?? [],
    affected: affected ?? 0,
    found,
    etag: etagOf(versionOf(rows)),
  }
}

/**
 * What is done where there is nothing to do.
 *
 * @param guards What must hold for that.
 */
export const idle = (
  returned: Returned | undefined,
  guards: () => Statement[] = () => [],
): Pick<Plan<WriteResult>, 'statements' | 'told' | 'capture' | 'outputs'> => ({
  statements: guards,
  told: () => ({ affected: 0, found: 0, rows: [] }),
  capture: (slot) => [
    ...guards(),
    open(slot, 0, { affected: sql.raw('0'), rows: sql.raw("'[]'") }),
  ],
  outputs: returned ? allOf(returned) : [],
})
