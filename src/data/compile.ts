import type { SQL } from 'drizzle-orm'
import type { Queryable, Statement } from '../core/database.ts'
import type { Earlier } from './earlier.ts'
import type { Field, Policy, Resource } from './expose.ts'
import { dataFaults } from './faults.ts'
import { type Fragment, render, sameSql, sql } from './sql.ts'
import type { Who } from './who.ts'

/** A table, and who looks at it: what every verb here works on. */
export interface View {
  readonly resource: Resource
  readonly who: Who
  /** What the table is called in the statement, where that is not its own name: an embed's. */
  readonly name?: string
  /** What earlier operations of the batch give. */
  readonly earlier?: Earlier
}

/** A column in a statement. */
export function columnSql({ name, who }: View, { column, computed }: Field): Fragment {
  if (name !== undefined) return sql`${sql.identifier(name)}.${sql.identifier(column.name)}`
  return computed ? computed(who) : sql`${column}`
}

/** What the caller may name. A hidden column is, for everyone but `service`, a column that does not exist. */
export function fieldOf({ resource, who }: View, name: string): Field | undefined {
  const field = resource.fields.get(name)
  return field?.hidden && who.role !== 'service' ? undefined : field
}

export const visibleFields = (view: View): Field[] =>
  [...view.resource.fields.values()].filter((field) => fieldOf(view, field.name))

/** @throws {Fault} 42703, the same for a column that is hidden as for one that never was. */
export function needField(view: View, name: string): Field {
  const field = fieldOf(view, name)
  if (field) return field
  throw dataFaults['42703']({
    message: `column ${view.resource.name}.${name.slice(0, 100)} does not exist`,
  })
}

const yes = sql.raw('1')
const no = sql.raw('0')

/** A policy's condition for this caller. `service` passes all. */
export const allows = (policy: Policy | undefined, who: Who): Fragment =>
  who.role === 'service' ? yes : conditionSql(policy?.(who))

/** A condition that the host gave; none is never true. */
export function conditionSql(condition: SQL | boolean | undefined): Fragment {
  if (condition === true) return yes
  return condition === undefined || condition === false ? no : sql`${condition}`
}

/**
 * The rows of a table as a subquery under the view's name, computed columns as well. A condition knows the table by its
 * own name, so it is asked inside; SQLite's planner takes such a subquery apart again and finds the rows by an index.
 *
 * @param tail What follows the condition, such as a limit.
 */
export function rowsSql(
  { resource: { table, computed }, who, name }: View,
  where: Fragment,
  tail: Fragment = sql.empty,
): Fragment {
  const as = sql.identifier(name as string)
  if (where === yes && computed.size === 0 && tail === sql.empty) return sql`${table} as ${as}`
  const columns = [sql.raw('*')]
  for (const { name: column, computed: value } of computed.values())
    if (value) columns.push(sql`${value(who)} as ${sql.identifier(column)}`)
  return sql`(select ${sql.join(columns, ', ')} from ${table} where ${where}${tail}) as ${as}`
}

/** @throws {Fault} 42501 if the operation has no policy: it is not there for anyone but `service`. */
export function mustAllow(
  { resource, who }: View,
  operation: 'select' | 'insert' | 'update' | 'delete',
) {
  if (who.role === 'service' || resource.policies[operation]) return
  throw denied(who, `permission denied for table ${resource.name}`)
}

/** 42501 is 401 for a guest, who may sign in, and 403 for the rest: as PostgREST has it. */
export const denied = (who: Who, message: string) =>
  dataFaults['42501']({
    message,
    ...(who.role === 'anon' ? { status: 401, headers: { 'www-authenticate': 'Bearer' } } : {}),
  })

/** All conditions; trivial ones and second ones fall away, so that SQLite's planner and its depth limit see only real ones. */
export function every(conditions: readonly Fragment[]): Fragment {
  if (conditions.includes(no)) return no
  const real: Fragment[] = []
  for (const condition of conditions)
    if (condition !== yes && !real.some((other) => sameSql(other, condition))) real.push(condition)
  if (real.length === 0) return yes
  return sql.join(
    real.map((condition) => sql`(${condition})`),
    ' and ',
  )
}

export function either(one: Fragment, other: Fragment): Fragment {
  if (one === yes || other === yes) return yes
  return sql`((${one}) or (${other}))`
}

/**
 * A value that makes the statement, and the batch that it is in, fail with a code unless the condition holds.
 * `json_extract` with a bad path is SQLite's way to raise an error whose text we choose; `dbFault` reads it.
 */
export const guard = (condition: Fragment, code: string, detail: Fragment = sql`''`): Fragment =>
  sql`case when ${condition} then 1 else json_extract('{}', ${sql.raw(`'leanto:${code}:'`)} || ${detail}) end`

// D1's limits, which its local simulation does not hold: https://developers.cloudflare.com/d1/platform/limits/
const maxParameters = 100
const maxSqlBytes = 100_000
const maxValueBytes = 2_000_000

/** @throws {Fault} 54000 past D1's limits of parameters, their size and the statement's. */
export function prepare(db: Queryable, query: Fragment): Statement {
  const { text, values } = render(query)
  if (values.length > maxParameters)
    throw dataFaults['54000']({
      message: `the request holds ${values.length} values, of which ${maxParameters} fit into one statement`,
      hint: 'Many values of one column fit into one in.(…).',
    })
  if (sizeOf(text) > maxSqlBytes || values.some((value) => sizeOf(value) > maxValueBytes))
    throw dataFaults['54000']({
      message: 'a value or the request is too large',
      details: `One value may have ${maxValueBytes} bytes.`,
    })
  const statement = db.prepare(text)
  return values.length > 0 ? statement.bind(...values) : statement
}

/** In bytes; a text too short to matter is not counted through. */
function sizeOf(value: unknown): number {
  if (value instanceof ArrayBuffer) return value.byteLength
  if (typeof value !== 'string') return 0
  return value.length * 3 < maxSqlBytes ? value.length : new TextEncoder().encode(value).byteLength
}
