import type { QueryResult, Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { changed, guardedSet, isTrue, policyOf } from './candidate.ts'
import { allows, every, fieldOf, guard, mustAllow, prepare, type View } from './compile.ts'
import { dbFault } from './db-fault.ts'
import type { Field } from './expose.ts'
import { compileNode, fieldOutput } from './node.ts'
import { orderOutputs, sorted } from './order.ts'
import { type JsonObject, storedValue, updatedValue, writableField } from './payload.ts'
import type { Preferences } from './prefer.ts'
import type { Query } from './query.ts'
import { notSingle, type Output, outputSql, type Row } from './rows.ts'
import { type Fragment, sql } from './sql.ts'
import { filterSql } from './where.ts'

/** How a write answers. */
export interface Answering {
  prefer: Preferences
  /** Exactly one row must be written, or none is. */
  single: boolean
}

export interface WriteResult {
  /** The written rows, if they were asked for. */
  rows: Row[]
  outputs: readonly Output[]
  /** How many rows were written. */
  affected: number
}

/** What a write returns. */
export interface Returned {
  /** The asked columns, or the key for `Location`. */
  outputs: readonly Output[]
  /** What the rows are to be sorted by; `RETURNING` has no order. */
  order: Query['order']
}

/** @returns `undefined` if the answer is no more than that it happened: that takes no right to read. */
export function returnedBy(view: View, query: Query, prefer: Preferences): Returned | undefined {
  if (prefer.return === 'representation')
    return {
      outputs: compileNode(view, { ...query, filters: [], order: [] }, { next: 1 }).outputs,
      order: query.order,
    }
  if (prefer.return !== 'headers-only') return undefined
  const key = view.resource.primaryKey.filter((field) => fieldOf(view, field.name))
  if (key.length === 0) return undefined
  return { outputs: key.map((field) => fieldOutput(view, field)), order: [] }
}

/** `RETURNING` with a guard of the new row; nothing where there is nothing to return or to check. */
export function returning(view: View, returned: Returned | undefined, check: Fragment): Fragment {
  const guarded = isTrue(check) ? undefined : guard(check, '42501')
  if (!returned && !guarded) return sql.empty
  const outputs = returned ? [...orderOutputs(view, returned.order), ...returned.outputs] : []
  return sql` returning ${outputSql(outputs, guarded)}`
}

const tallyName = 'leanto:changes'

/**
 * A write, and, if its answer depends on how many rows it wrote and it returns none, a statement that tells: what D1
 * reports as `changes` counts the rows that the host's triggers write as well.
 */
export function tallied(
  scope: Scope,
  statement: Statement,
  { returns, matters }: { returns: boolean; matters: boolean },
): Statement[] {
  if (returns || !matters) return [statement]
  return [statement, prepare(scope.db, sql`select changes() as ${sql.identifier(tallyName)}`)]
}

/** What bounds how many rows a write may touch, checked inside its transaction, after the statement that wrote. */
export function countGuards(scope: Scope, { prefer, single }: Answering): Statement[] {
  const guards: Statement[] = []
  const changes = sql`changes()`
  if (single)
    guards.push(prepare(scope.db, sql`select ${guard(sql`${changes} = 1`, 'PGRST116', changes)}`))
  if (prefer.maxAffected !== undefined)
    guards.push(
      prepare(
        scope.db,
        sql`select ${guard(sql`${changes} <= ${sql.raw(String(prefer.maxAffected))}`, 'PGRST124', changes)}`,
      ),
    )
  return guards
}

/** Runs a write and its guards in one trip and one transaction. */
export async function runWrite(
  scope: Scope,
  view: View,
  operation: 'insert' | 'update' | 'delete',
  statements: readonly Statement[],
): Promise<QueryResult[]> {
  try {
    const [only] = statements
    if (statements.length === 1 && only) return [await only.all()]
    return await scope.db.batch([...statements])
  } catch (error) {
    throw dbFault(error, view, operation)
  }
}

/** The result of the statements that wrote, without those that only guarded. */
export function writeResult(
  results: readonly QueryResult[],
  returned: Returned | undefined,
): WriteResult {
  let affected = 0
  for (const { results: rows } of results) affected += Number(rows[0]?.[tallyName] ?? rows.length)
  const rows = returned ? results.flatMap(({ results: rows }) => rows) : []
  return { rows: sorted(rows, returned?.order ?? []), outputs: returned?.outputs ?? [], affected }
}

/**
 * Updates the rows that the filters and the policy select; the new rows must pass it too, or none is changed. As in
 * Postgres, rows that the caller may not read are not reached, and must not come out unreadable.
 */
export async function update(
  scope: Scope,
  view: View,
  { query, body, ...answering }: { query: Query; body: JsonObject } & Answering,
): Promise<WriteResult> {
  mustAllow(view, 'update')
  mustAllow(view, 'select')
  const { table, fields } = view.resource
  const returned = returnedBy(view, query, answering.prefer)
  const changes = new Map<Field, Fragment>()
  // As in PostgREST, a column that `columns=` names and the body lacks becomes null.
  for (const name of query.columns ?? Object.keys(body)) {
    const field = writableField(view, name)
    const value = Object.hasOwn(body, name) ? body[name] : null
    changes.set(field, sql`${storedValue(field, value)}`)
  }
  const where = filterSql(view, query.filters)
  if (changes.size === 0 || Object.keys(body).length === 0) {
    if (answering.single) throw notSingle(0)
    return writeResult([], returned)
  }
  for (const field of fields.values())
    if (field.column.onUpdateFn && !field.generated && !changes.has(field))
      changes.set(field, updatedValue(field))
  const policy = policyOf(view, ['select', 'update'])
  const set = guardedSet([...changes], isTrue(policy) ? policy : changed(view, policy, changes))
  const statement = prepare(
    scope.db,
    sql`update ${table} set ${set} where ${every([policy, where])}${returning(view, returned, policy)}`,
  )
  const returns = returned !== undefined || !isTrue(policy)
  const written = tallied(scope, statement, { returns, matters: true })
  const results = await runWrite(scope, view, 'update', [
    ...written,
    ...countGuards(scope, answering),
  ])
  return writeResult(results.slice(0, written.length), returned)
}

/** Deletes the rows that the filters and the policies select. */
export async function remove(
  scope: Scope,
  view: View,
  { query, ...answering }: { query: Query } & Answering,
): Promise<WriteResult> {
  mustAllow(view, 'delete')
  mustAllow(view, 'select')
  const { table, policies } = view.resource
  const returned = returnedBy(view, query, answering.prefer)
  const where = every([
    allows(policies.select, view.who),
    allows(policies.delete, view.who),
    filterSql(view, query.filters),
  ])
  const statement = prepare(
    scope.db,
    sql`delete from ${table} where ${where}${returning(view, returned, every([]))}`,
  )
  const matters = answering.prefer.count !== undefined
  const written = tallied(scope, statement, { returns: returned !== undefined, matters })
  const results = await runWrite(scope, view, 'delete', [
    ...written,
    ...countGuards(scope, answering),
  ])
  return writeResult(results.slice(0, written.length), returned)
}
