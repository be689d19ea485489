import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { candidate, changed, guardedSet, isTrue, policyOf, typed } from './candidate.ts'
import { either, every, guard, mustAllow, needField, prepare, type View } from './compile.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import { columnDefault, type Inserted, type JsonObject, layOut, updatedValue } from './payload.ts'
import type { Query } from './query.ts'
import { notSingle } from './rows.ts'
import { type Fragment, sql } from './sql.ts'
import {
  type Answering,
  countGuards,
  returnedBy,
  returning,
  runWrite,
  tallied,
  type WriteResult,
  writeResult,
} from './write.ts'

export interface InsertResult extends WriteResult {
  /** How many of the written rows are new. */
  inserted: number
}

/** D1 takes values of 2 MB; several parameters of this many characters go into one batch. */
const maxParameterLength = 600_000

/**
 * Inserts rows of any number in one trip, all or none. Every new row must pass the insert policy, and the select policy
 * if it is to be returned. `resolution` makes it an upsert: a row that exists must then pass the update policy before
 * and after.
 */
export async function insert(
  scope: Scope,
  view: View,
  { query, rows, ...answering }: { query: Query; rows: JsonObject[] } & Answering,
): Promise<InsertResult> {
  const { prefer, single } = answering
  const merging = prefer.resolution === 'merge-duplicates'
  mustAllow(view, 'insert')
  const returned = returnedBy(view, query, prefer)
  // As in Postgres: what comes back, and what is found to be there already, must be readable.
  const reads = returned !== undefined || merging
  if (reads) mustAllow(view, 'select')
  if (merging) mustAllow(view, 'update')
  const target = conflictTarget(view, query, prefer.resolution !== undefined)
  if (rows.length === 0) {
    if (single) throw notSingle(0)
    return { ...writeResult([], returned), inserted: 0 }
  }
  const laid = layOut(view, rows, query.columns, prefer.missing === 'default')
  const policy = policyOf(view, reads ? ['insert', 'select'] : ['insert'])
  // A row that was there already has passed the policy of update, on its old and new form.
  const written = merging
    ? every([policyOf(view, ['select']), either(policy, policyOf(view, ['update']))])
    : policy
  const tail = sql`${conflictSql(view, laid, target, merging)}${returning(view, returned, written)}`

  const chunks = chunked(laid.rows)
  const existing =
    merging && target ? chunks.map((chunk) => existingSql(scope, view, laid, target, chunk)) : []
  const guards = countGuards(scope, answering)
  // They count what one statement changed.
  if (guards.length > 0 && chunks.length > 1)
    throw dataFaults['54000']({ message: 'payload too large to be bounded in its number of rows' })
  const tally = {
    returns: returned !== undefined || !isTrue(written),
    matters: merging || prefer.count !== undefined,
  }
  const writes = chunks.flatMap((chunk) =>
    tallied(scope, insertSql(scope, view, laid, { policy, json: chunk, tail }), tally),
  )
  const found = existing.filter((statement) => statement !== undefined)
  const results = await runWrite(scope, view, 'insert', [...found, ...writes, ...guards])
  const result = writeResult(results.slice(found.length, found.length + writes.length), returned)
  const before = results
    .slice(0, found.length)
    .reduce((sum, { results: [row] }) => sum + Number(row?.found), 0)
  return { ...result, inserted: Math.max(result.affected - before, 0) }
}

/** The columns by which two rows are the same one: `on_conflict`, or the primary key. */
function conflictTarget(view: View, query: Query, resolving: boolean): Field[] | undefined {
  if (!resolving) return undefined
  const target = query.onConflict?.map((name) => needField(view, name)) ?? [
    ...view.resource.primaryKey,
  ]
  return target.length > 0 ? target : undefined
}

const names = (fields: readonly Field[]): Fragment =>
  sql.join(
    fields.map(({ name }) => sql.identifier(name)),
    ', ',
  )

function insertSql(
  scope: Scope,
  view: View,
  laid: Inserted,
  { policy, json, tail }: { policy: Fragment; json: string; tail: Fragment },
): Statement {
  const values = sql.join([...laid.values], ', ')
  const proposed = candidate(view, policy, (field) => {
    const at = laid.fields.indexOf(field)
    return typed(field, laid.values[at] ?? columnDefault(field))
  })
  const check = isTrue(policy) ? policy : guard(proposed, '42501')
  // A WHERE also tells SQLite's parser that the ON of an upsert is not the ON of a join.
  return prepare(
    scope.db,
    sql`insert into ${view.resource.table} (${names(laid.fields)}) select ${values} from json_each(${json}) as leanto_given where ${check}${tail}`,
  )
}

/** How many of the rows are there already: the status of an upsert tells. Part of the same batch. */
function existingSql(
  scope: Scope,
  view: View,
  laid: Inserted,
  target: readonly Field[],
  json: string,
) {
  const values = target.map((field) => laid.values[laid.fields.indexOf(field)])
  if (values.some((value) => value === undefined)) return undefined
  const { table } = view.resource
  const matches = target.map((field, i) => sql`${field.column} = ${values[i]}`)
  return prepare(
    scope.db,
    // CROSS JOIN keeps the rows outside: the other order would scan the table.
    sql`select count(*) as found from json_each(${json}) as leanto_given cross join ${table} where ${sql.join(matches, ' and ')}`,
  )
}

/**
 * `ON CONFLICT`. To update, the old row must pass the policy, and so must the row that it becomes: that one is put
 * together in a subquery under the table's own name, so that the policy reads it as it reads any row.
 */
function conflictSql(
  view: View,
  { given }: Inserted,
  target: readonly Field[] | undefined,
  merging: boolean,
): Fragment {
  if (!target) return sql.empty
  const on = sql` on conflict (${names(target)})`
  if (!merging || given.length === 0) return sql`${on} do nothing`
  const policy = policyOf(view, ['select', 'update'])
  const changes = new Map<Field, Fragment>()
  for (const field of view.resource.fields.values()) {
    if (given.includes(field)) changes.set(field, sql`excluded.${sql.identifier(field.name)}`)
    else if (field.column.onUpdateFn && !field.generated) changes.set(field, updatedValue(field))
  }
  const after = changed(view, policy, changes)
  const set = guardedSet([...changes], isTrue(policy) ? policy : sql`(${policy}) and ${after}`)
  return sql`${on} do update set ${set}`
}

/** Joins rows into JSON lists that each fit into one parameter. */
function chunked(rows: readonly string[]): string[] {
  const chunks: string[] = []
  let chunk: string[] = []
  let length = 0
  for (const row of rows) {
    if (length + row.length > maxParameterLength && chunk.length > 0) {
      chunks.push(`[${chunk.join()}]`)
      chunk = []
      length = 0
    }
    chunk.push(row)
    length += row.length + 1
  }
  if (chunk.length > 0) chunks.push(`[${chunk.join()}]`)
  return chunks
}
