import type { Queryable, QueryResult, Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { allows, every, mustAllow, prepare, type View } from './compile.ts'
import { dbFault } from './db-fault.ts'
import { dataFaults } from './faults.ts'
import { insertionOrder, isRowidFault, withoutRowid } from './insertion-order.ts'
import { compileNode, type NodePlan } from './node.ts'
import type { Window } from './prefer.ts'
import type { Query } from './query.ts'
import { type Output, outputSql, type Row } from './rows.ts'
import { type Fragment, sql } from './sql.ts'
import { orderBy } from './where.ts'

export interface ReadResult {
  rows: Row[]
  outputs: readonly Output[]
  /** How many rows there are in the window. */
  count: number
  /** How many rows there are in all, if that was asked. */
  total: number | null
}

export interface ReadInput {
  query: Query
  window: Window
  /** Whether to count all rows that match: `only` if the rows themselves are not wanted (HEAD). */
  count: boolean | 'only'
}

/** A read, ready to be part of a batch. */
export interface ReadPlan {
  readonly statements: readonly Statement[]
  finish(results: readonly QueryResult[]): ReadResult
}

/**
 * Reads rows, with whatever is embedded in them, in one trip: the policy is part of the statement, the count a second
 * statement of the same batch.
 *
 * @throws {Fault} 42501 without a policy, 42703 for an unknown column, PGRST103 for an offset past the counted end.
 */
export async function read(scope: Scope, view: View, input: ReadInput): Promise<ReadResult> {
  const { statements, finish } = planRead(scope.replica, view, input)
  try {
    const [only] = statements
    const results =
      statements.length === 1 && only
        ? [await only.all()]
        : await scope.replica.batch([...statements])
    return finish(results)
  } catch (error) {
    if (!isRowidFault(error)) throw dbFault(error, view, 'update')
    withoutRowid(view.resource)
    return read(scope, view, input)
  }
}

export function planRead(db: Queryable, view: View, { query, window, count }: ReadInput): ReadPlan {
  mustAllow(view, 'select')
  const { policies, maxRows } = view.resource
  const plan = compileNode(view, query, { next: 1 })
  const where = every([allows(policies.select, view.who), plan.where])
  const limit = Math.min(window.limit ?? maxRows, maxRows)
  const rows = prepare(db, selectSql(view, plan, { where, limit, offset: window.offset }))
  const finishRows = ({ results }: QueryResult, total: number | null): ReadResult => ({
    rows: results,
    outputs: plan.outputs,
    count: results.length,
    total,
  })
  if (!count)
    return { statements: [rows], finish: ([found]) => finishRows(found as QueryResult, null) }
  const counting = prepare(db, countSql(plan, where))
  return {
    statements: count === 'only' ? [counting] : [counting, rows],
    finish([counted, found]) {
      const total = Number(counted?.results[0]?.total)
      if (window.offset > total)
        throw dataFaults.PGRST103({
          details: `An offset of ${window.offset} was requested, but there are only ${total} rows.`,
          headers: { 'content-range': `*/${total}` },
        })
      if (found) return finishRows(found, total)
      const inWindow = Math.max(Math.min(limit, total - window.offset), 0)
      return { rows: [], outputs: plan.outputs, count: inWindow, total }
    },
  }
}

function selectSql(
  view: View,
  { outputs, from, terms, grouped = sql.empty }: NodePlan,
  { where, limit, offset }: { where: Fragment; limit: number; offset: number },
): Fragment {
  const order = grouped === sql.empty ? insertionOrder(view, terms) : terms
  return sql`select ${outputSql(outputs)} from ${from} where ${where}${grouped}${orderBy(order)} limit ${sql.raw(String(limit))} offset ${sql.raw(String(offset))}`
}

/** Of groups, if there are any, the number of groups. */
const countSql = ({ from, grouped, outputs }: NodePlan, where: Fragment): Fragment =>
  grouped
    ? sql`select count(*) as total from (select ${outputSql(outputs)} from ${from} where ${where}${grouped})`
    : sql`select count(*) as total from ${from} where ${where}`
