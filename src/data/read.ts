import type { Queryable, QueryResult, Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { allows, every, mustAllow, prepare, type View } from './compile.ts'
import { afterCursor, cursorOf, keyedTerms, keyOutputs } from './cursor.ts'
import { dbFault } from './db-fault.ts'
import { asNamed, namedSql } from './embed.ts'
import { dataFaults } from './faults.ts'
import { isRowidFault, withoutRowid } from './insertion-order.ts'
import { compileNode, type NodePlan } from './node.ts'
import type { Window } from './prefer.ts'
import type { Query } from './query.ts'
import { type Output, outputSql, type Row } from './rows.ts'
import { type Fragment, sql } from './sql.ts'
import { versionOf, versionOutputs } from './version.ts'
import { type OrderTerm, orderBy } from './where.ts'

export interface ReadResult {
  rows: Row[]
  outputs: readonly Output[]
  /** How many rows there are in the window. */
  count: number
  /** How many rows there are in all, if that was asked. */
  total: number | null
  /** Of the one row, if its table counts versions. */
  version?: unknown
  /** Where the next page begins, if it was paged by cursor and is full. */
  next?: string
}

export interface ReadInput {
  query: Query
  window: Window
  /** Whether to count all rows that match: `only` if the rows themselves are not wanted (HEAD). */
  count: boolean | 'only'
  /** Where the rows are, if they are not all that the caller may read of the table. Asked anew for each attempt. */
  source?: () => RowSource
}

/** Rows that a function returns. */
export interface RowSource {
  /** Under the view's name. */
  readonly from: Fragment
  /** With the policy. */
  readonly where: Fragment
  /** How they come where the client does not say. */
  readonly order: readonly OrderTerm[]
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
    if (!isRowidFault(error)) throw dbFault(error, view, { operation: 'select' })
    withoutRowid(view.resource)
    return read(scope, view, input)
  }
}

export function planRead(db: Queryable, view: View, input: ReadInput): ReadPlan {
  const { rows, counting, finish } = readingOf(view, input)
  if (!counting)
    return {
      statements: [prepare(db, rows)],
      finish: ([found]) => finish(found?.results ?? [], null),
    }
  const count = prepare(db, counting)
  return {
    statements: input.count === 'only' ? [count] : [count, prepare(db, rows)],
    finish: ([counted, found]) => finish(found?.results, Number(counted?.results[0]?.total)),
  }
}

/** What a read asks, and how its answer is read. */
export interface Reading {
  /** The SELECT of the rows. */
  readonly rows: Fragment
  /** What it asks of each: the answer's columns, and others. */
  readonly outputs: readonly Output[]
  /** The same with one column, `v`. */
  packed(row: (outputs: readonly Output[]) => Fragment): Fragment
  /** How many rows there are in all, if that is asked: `total`. */
  readonly counting: Fragment | undefined
  /** @throws {Fault} PGRST103 for an offset past the counted end. */
  finish(rows: Row[] | undefined, total: number | null): ReadResult
}

/** @throws {Fault} as `read` does. */
export function readingOf(view: View, input: ReadInput): Reading {
  mustAllow(view, 'select')
  const { query, window, count } = input
  const { policies, maxRows } = view.resource
  const source = input.source?.()
  const plan = from(source, compileNode(view, query, { next: 1 }))
  const where = every([source?.where ?? allows(policies.select, view.who), plan.where])
  const limit = Math.min(window.limit ?? maxRows, maxRows)
  const paged = query.cursor === undefined ? undefined : pagedBy(view, query, window, plan)
  const after = paged && query.cursor !== '' ? afterCursor(query, paged) : every([])
  const others = [...(paged ? keyOutputs(paged) : []), ...versionOutputs(view, plan)]
  const outputs = [...plan.outputs, ...others]
  const select = (columns: Fragment) =>
    selectSql(plan, columns, paged, { where: every([where, after]), limit, offset: window.offset })
  return {
    rows: select(outputSql(outputs)),
    outputs,
    packed: (row) =>
      plan.grouped
        ? sql`select ${row(asNamed(outputs))} as v from (${select(namedSql(outputs))})`
        : select(sql`${row(outputs)} as v`),
    counting: count ? countSql(plan, where) : undefined,
    finish(rows, total) {
      if (total !== null && window.offset > total) throw pastTheEnd(window.offset, total)
      if (!rows) {
        const inWindow = Math.max(Math.min(limit, (total ?? 0) - window.offset), 0)
        return { rows: [], outputs: plan.outputs, count: inWindow, total }
      }
      const last = rows.at(-1)
      const full = paged && last && rows.length === limit
      return {
        rows,
        outputs: plan.outputs,
        count: rows.length,
        total,
        version: versionOf(rows),
        ...(full ? { next: cursorOf(query, last, paged.length) } : {}),
      }
    },
  }
}

const from = (source: RowSource | undefined, plan: NodePlan): NodePlan =>
  source
    ? {
        ...plan,
        from: source.from,
        order: plan.terms.length === 0 && !plan.grouped ? orderBy(source.order) : plan.order,
      }
    : plan

export const pastTheEnd = (offset: number, total: number) =>
  dataFaults.PGRST103({
    details: `An offset of ${offset} was requested, but there are only ${total} rows.`,
    headers: { 'content-range': `*/${total}` },
  })

/** @throws {Fault} PGRST100 for a cursor and an offset, or groups: they have no place in the order. */
function pagedBy(view: View, query: Query, window: Window, { terms, grouped }: NodePlan) {
  if (grouped || window.offset > 0)
    throw dataFaults.PGRST100({
      message: 'failed to parse cursor parameter',
      details: `A cursor does not go with ${grouped ? 'aggregates' : 'an offset'}.`,
    })
  if (query.order.some(({ relation }) => relation !== undefined))
    throw dataFaults.PGRST127({ details: 'A cursor does not go with a related order.' })
  return keyedTerms(view, terms)
}

function selectSql(
  { from, order, grouped }: NodePlan,
  columns: Fragment,
  paged: readonly OrderTerm[] | undefined,
  { where, limit, offset }: { where: Fragment; limit: number; offset: number },
): Fragment {
  return sql`select ${columns} from ${from} where ${where}${grouped ?? sql.empty}${paged ? orderBy(paged) : order} limit ${sql.raw(String(limit))} offset ${sql.raw(String(offset))}`
}

/** Of groups, if there are any, the number of groups. */
const countSql = ({ from, grouped, outputs }: NodePlan, where: Fragment): Fragment =>
  grouped
    ? sql`select count(*) as total from (select ${outputSql(outputs)} from ${from} where ${where}${grouped})`
    : sql`select count(*) as total from ${from} where ${where}`
