import type { Scope } from '../core/scope.ts'
import { allows, every, filterSql, mustAllow, orderSql, prepare, type View } from './compile.ts'
import { dbFault } from './db-fault.ts'
import { dataFaults } from './faults.ts'
import type { Window } from './prefer.ts'
import type { Query } from './query.ts'
import { type Output, outputSql, outputsOf, type Row } from './rows.ts'
import { sql } from './sql.ts'

export interface ReadResult {
  rows: Row[]
  outputs: Output[]
  /** How many rows there are in the window. */
  count: number
  /** How many rows there are in all, if that was asked. */
  total: number | null
}

/**
 * Reads rows in one trip: the policy is part of the statement, the count a second statement of the same batch.
 *
 * @param count Whether to count all rows that match: `only` if the rows themselves are not wanted (HEAD).
 * @throws {Fault} 42501 without a policy, 42703 for an unknown column, PGRST103 for an offset past the counted end.
 */
export async function read(
  scope: Scope,
  view: View,
  { query, window, count }: { query: Query; window: Window; count: boolean | 'only' },
): Promise<ReadResult> {
  mustAllow(view, 'select')
  const { table, policies, maxRows } = view.resource
  const outputs = outputsOf(view, query.select)
  const where = every([allows(policies.select, view.who), filterSql(view, query.filters)])
  const limit = Math.min(window.limit ?? maxRows, maxRows)
  const select = prepare(
    scope.replica,
    sql`select ${outputSql(outputs)} from ${table} where ${where}${orderSql(view, query.order)} limit ${sql.raw(String(limit))} offset ${sql.raw(String(window.offset))}`,
  )
  try {
    if (!count) {
      const { results: rows } = await select.all()
      return { rows, outputs, count: rows.length, total: null }
    }
    const counting = prepare(
      scope.replica,
      sql`select count(*) as total from ${table} where ${where}`,
    )
    const statements = count === 'only' ? [counting] : [counting, select]
    const [counted, found] = await scope.replica.batch(statements)
    const total = Number(counted?.results[0]?.total)
    if (window.offset > total)
      throw dataFaults.PGRST103({
        details: `An offset of ${window.offset} was requested, but there are only ${total} rows.`,
        headers: { 'content-range': `*/${total}` },
      })
    const rows = found?.results ?? []
    const inWindow = Math.max(Math.min(limit, total - window.offset), 0)
    return { rows, outputs, count: found ? rows.length : inWindow, total }
  } catch (error) {
    throw dbFault(error, view, 'update')
  }
}
