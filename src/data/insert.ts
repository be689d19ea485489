import type { QueryResult, Statement } from '../core/database.ts'
import { candidate, changed, checksOf, guardedSet, isTrue, policyOf, typed } from './candidate.ts'
import { close, open } from './capture.ts'
import { captureRows } from './capture-insert.ts'
import {
  allows,
  either,
  every,
  guard,
  mustAllow,
  needField,
  prepare,
  type View,
} from './compile.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import { columnDefault, type Inserted, type JsonObject, layOut, updatedValue } from './payload.ts'
import type { Plan, Planning } from './plan.ts'
import type { Query } from './query.ts'
import { allOf, checkOf, lastStates, nothingShown, returnedBy, returning } from './returning.ts'
import { notSingle } from './rows.ts'
import { type Fragment, sql } from './sql.ts'
import { hasVersion, nextVersion } from './version.ts'
import {
  countGuards,
  idle,
  tallied,
  toldBy,
  type WriteInput,
  type WriteResult,
  writeResult,
} from './write.ts'

/** D1 takes values of 2 MB; several parameters of this many characters go into one batch. */
const maxParameterLength = 600_000

/** What the rows become, and by what they are known. */
export interface Inserting {
  readonly laid: Inserted
  /** The columns by which two rows are the same one: `on_conflict`, or the primary key. Only where that matters. */
  readonly target: readonly Field[] | undefined
  readonly merging: boolean
}

/**
 * Inserts rows of any number in one trip, all or none. Every new row must pass the insert policy, and the select policy
 * if it is to be returned. `resolution` makes it an upsert: a row that exists must then pass the update policy before
 * and after.
 *
 * @param versioned Whether the answer tells the version of the row.
 */
export function planInsert(
  scope: Planning,
  view: View,
  {
    query,
    rows,
    versioned = false,
    ...answering
  }: WriteInput & { rows: readonly JsonObject[]; versioned?: boolean },
): Plan<WriteResult> {
  const { prefer, single, precondition } = answering
  const merging = prefer.resolution === 'merge-duplicates'
  mustAllow(view, 'insert')
  const target = conflictTarget(view, query, prefer.resolution !== undefined)
  const returned = returnedBy(view, query, {
    prefer,
    versioned,
    key: merging && rows.length > 1 ? target : undefined,
  })
  // As in Postgres: what comes back, and what is found to be there already, must be readable.
  const reads = returned !== undefined || merging
  if (reads) mustAllow(view, 'select')
  if (merging) mustAllow(view, 'update')
  const about = {
    view,
    operation: 'insert' as const,
    finish: (told: Parameters<typeof writeResult>[0]) => writeResult(told, returned),
  }
  if (rows.length === 0) {
    if (single) throw notSingle(0)
    return { ...about, ...idle(returned) }
  }
  const laid = layOut(view, rows, {
    ...(query.columns ? { columns: query.columns } : {}),
    fillMissing: prefer.missing === 'default',
    now: scope.now,
  })
  const inserting: Inserting = { laid, target, merging }
  const policy = (referred: boolean) =>
    policyOf(view, reads || referred ? ['insert', 'select'] : ['insert'])
  // A row that was there already has passed the policy of update, on its old and new form.
  const written = (referred: boolean) =>
    merging
      ? every([policyOf(view, ['select']), either(policy(referred), policyOf(view, ['update']))])
      : policy(referred)
  const conflict = conflictSql(scope, view, inserting)
  const chunks = chunked(laid.rows)
  const guards = countGuards(scope, { ...answering, precondition: absence(precondition) })
  // They count what one statement changed.
  if (guards.length > 0 && chunks.length > 1)
    throw dataFaults['54000']({ message: 'payload too large to be bounded in its number of rows' })
  const before = (): Statement[] =>
    precondition.match
      ? [matching(scope, view, inserting, precondition.match, chunks[0] as string)]
      : []
  const write = (json: string, { shows, referred }: { shows: boolean; referred: boolean }) =>
    prepare(
      scope.db,
      insertSql(view, laid, {
        policy: policy(referred),
        json,
        tail: sql`${conflict}${returning(shows ? returned : undefined, checkOf(written(referred)))}`,
      }),
    )
  const tally = {
    returns: returned !== undefined || !isTrue(written(false)),
    matters: merging || prefer.count !== undefined,
  }
  const existing = () =>
    merging && target
      ? chunks.flatMap((chunk) => {
          const found = foundSql(view, inserting, chunk)
          return found ? [prepare(scope.db, found)] : []
        })
      : []
  return {
    ...about,
    written: laid.fields,
    statements: () => [
      ...before(),
      ...existing(),
      ...chunks.flatMap((json) =>
        tallied(scope, write(json, { shows: true, referred: false }), tally),
      ),
      ...guards,
    ],
    told(results) {
      const from = precondition.match ? 1 : 0
      const writes =
        results.length - guards.length - chunks.length * (tally.returns || !tally.matters ? 1 : 2)
      const told = toldBy(results.slice(writes, results.length - guards.length), returned)
      return { ...told, rows: lastStates(told.rows), found: sumOf(results.slice(from, writes)) }
    },
    capture(slot) {
      const referred = slot.referred.length > 0
      if (referred) mustAllow(view, 'select')
      return [
        ...before(),
        ...chunks.flatMap((json, part) => {
          const statement = write(json, { shows: false, referred })
          if (!returned && !referred) {
            const found = merging ? foundSql(view, inserting, json) : undefined
            const opening = found ? { found: sql`(${found})` } : {}
            return [open(slot, part, opening), statement, ...guards, close(slot, part)]
          }
          const { opening, rows } = captureRows(view, slot, {
            inserting,
            json,
            part,
            returned: returned ?? nothingShown(view, query),
          })
          return [open(slot, part, opening), statement, ...guards, close(slot, part, rows)]
        }),
      ]
    },
    outputs: returned ? allOf(returned) : [],
  }
}

const sumOf = (results: readonly QueryResult[]): number =>
  results.reduce((sum, { results: [row] }) => sum + Number(row?.found), 0)

/** Of a PUT: that there was no row is told by what was written, that there is one must be asked before. */
const absence = ({ absent }: WriteInput['precondition']) => (absent ? { absent } : {})

/** Fails unless the row is there, readable, and has one of the versions. */
function matching(
  { db }: Planning,
  view: View,
  inserting: Inserting,
  match: '*' | readonly string[],
  json: string,
): Statement {
  const versions = match === '*' ? every([]) : hasVersion(view, match)
  const found = foundSql(
    view,
    inserting,
    json,
    every([allows(view.resource.policies.select, view.who), versions]),
  )
  return prepare(db, sql`select ${guard(found ? sql`(${found}) > 0` : sql.raw('0'), 'PT412')}`)
}

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
  view: View,
  laid: Inserted,
  { policy, json, tail }: { policy: Fragment; json: string; tail: Fragment },
): Fragment {
  const values = sql.join([...laid.values], ', ')
  const proposed = candidate(view, policy, (field) => {
    const at = laid.fields.indexOf(field)
    return typed(field, laid.values[at] ?? columnDefault(field))
  })
  const check = isTrue(policy) ? policy : guard(proposed, '42501')
  // A WHERE also tells SQLite's parser that the ON of an upsert is not the ON of a join.
  return sql`insert into ${view.resource.table} (${names(laid.fields)}) select ${values} from json_each(${json}) as leanto_given where ${check}${tail}`
}

/** Whether a row of the table is the one that a row of the payload names. `undefined` if the payload names none. */
export function sameRow({ laid }: Inserting, key: readonly Field[]): Fragment | undefined {
  const values = key.map((field) => laid.values[laid.fields.indexOf(field)])
  if (values.length === 0 || values.some((value) => value === undefined)) return undefined
  return sql.join(
    key.map((field, i) => sql`${field.column} = ${values[i]}`),
    ' and ',
  )
}

/** How many of the rows are there already: the status of an upsert tells. */
function foundSql(
  view: View,
  inserting: Inserting,
  json: string,
  also: Fragment = every([]),
): Fragment | undefined {
  const same = inserting.target && sameRow(inserting, inserting.target)
  if (!same) return undefined
  const { table } = view.resource
  const where = also === every([]) ? same : every([same, also])
  // CROSS JOIN keeps the rows outside: the other order would scan the table.
  return sql`select count(*) as found from json_each(${json}) as leanto_given cross join ${table} where ${where}`
}

/**
 * `ON CONFLICT`. To update, the old row must pass the policy, and so must the row that it becomes: that one is put
 * together in a subquery under the table's own name, so that the policy reads it as it reads any row.
 */
function conflictSql(
  scope: Planning,
  view: View,
  { laid: { given, fields }, target, merging }: Inserting,
): Fragment {
  if (!target) return sql.empty
  const on = sql` on conflict (${names(target)})`
  if (!merging || given.length === 0) return sql`${on} do nothing`
  const policy = policyOf(view, ['select', 'update'])
  const changes = new Map<Field, Fragment>()
  const excluded = (field: Field) => sql`excluded.${sql.identifier(field.name)}`
  for (const field of view.resource.fields.values()) {
    if (field.version) changes.set(field, nextVersion(field, scope))
    else if (given.includes(field)) changes.set(field, excluded(field))
    else if (view.resource.policies.set?.[field.key] && fields.includes(field))
      changes.set(field, excluded(field))
    else if (field.column.onUpdateFn && !field.generated) changes.set(field, updatedValue(field))
  }
  const after = changed(view, policy, changes)
  return sql`${on} do update set ${guardedSet([...changes], checksOf(policy, sql`(${policy}) and ${after}`))}`
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
