import { type SQL, sql } from 'drizzle-orm'
import type { QueryResult, Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { candidate, guardedSet, isTrue, policyOf } from './candidate.ts'
import { allows, every, filterSql, guard, mustAllow, prepare, type View } from './compile.ts'
import { dbFault } from './db-fault.ts'
import type { Field } from './expose.ts'
import { driverValue, type JsonObject, storedValue, writableField } from './payload.ts'
import type { Preferences } from './prefer.ts'
import type { Query } from './query.ts'
import { type Output, outputSql, outputsOf, type Row } from './rows.ts'

/** How a write answers. */
export interface Answering {
  prefer: Preferences
  /** Exactly one row must be written, or none is. */
  single: boolean
}

export interface WriteResult {
  /** The written rows, if they were asked for. */
  rows: Row[]
  outputs: Output[]
  /** How many rows were written. */
  affected: number
}

/** What a write returns: the asked columns, the key for `Location`, or no more than that it happened. */
export function returnedOutputs(view: View, query: Query, prefer: Preferences): Output[] {
  if (prefer.return === 'representation') return outputsOf(view, query.select)
  if (prefer.return === 'headers-only')
    return view.resource.primaryKey
      .filter((field) => !field.hidden)
      .map((field) => ({ name: field.name, field }))
  return []
}

/** `RETURNING` with a guard of the new row; nothing where there is nothing to return or to check. */
export function returning(outputs: readonly Output[], check: SQL): SQL {
  const parts: SQL[] = []
  if (outputs.length > 0) parts.push(outputSql(outputs))
  if (!isTrue(check)) parts.push(sql`${guard(check, '42501')} as "leanto:ok"`)
  return parts.length === 0 ? sql.empty() : sql` returning ${sql.join(parts, sql`, `)}`
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
export function writeResult(results: readonly QueryResult[], outputs: Output[]): WriteResult {
  let affected = 0
  for (const { meta } of results) affected += meta.changes ?? 0
  return {
    rows: outputs.length > 0 ? results.flatMap(({ results: rows }) => rows) : [],
    outputs,
    affected,
  }
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
  const outputs = returnedOutputs(view, query, answering.prefer)
  const names = query.columns?.filter((name) => Object.hasOwn(body, name)) ?? Object.keys(body)
  const changes = new Map<Field, SQL>()
  for (const name of names) {
    const field = writableField(view, name)
    changes.set(field, sql`${storedValue(field, body[name])}`)
  }
  const where = filterSql(view, query.filters)
  if (changes.size === 0) return { rows: [], outputs, affected: 0 }
  for (const field of fields.values())
    if (field.column.onUpdateFn && !field.generated && !changes.has(field))
      changes.set(field, sql`${driverValue(field.column, field.column.onUpdateFn())}`)
  const policy = policyOf(view, ['select', 'update'])
  const after = candidate(view, policy, (field) => changes.get(field) ?? sql`${field.column}`)
  const set = guardedSet([...changes], isTrue(policy) ? policy : after)
  const statement = prepare(
    scope.db,
    sql`update ${table} set ${set} where ${every([policy, where])}${returning(outputs, every([]))}`,
  )
  const results = await runWrite(scope, view, 'update', [
    statement,
    ...countGuards(scope, answering),
  ])
  return writeResult(results.slice(0, 1), outputs)
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
  const outputs = returnedOutputs(view, query, answering.prefer)
  const where = every([
    allows(policies.select, view.who),
    allows(policies.delete, view.who),
    filterSql(view, query.filters),
  ])
  const statement = prepare(
    scope.db,
    sql`delete from ${table} where ${where}${returning(outputs, every([]))}`,
  )
  const results = await runWrite(scope, view, 'delete', [
    statement,
    ...countGuards(scope, answering),
  ])
  return writeResult(results.slice(0, 1), outputs)
}
