import type { Scope } from '../core/scope.ts'
import { candidate, changed, typed } from './candidate.ts'
import { clausesOf } from './clauses.ts'
import { allows, every, prepare, type View } from './compile.ts'
import { columnDefault, type JsonObject, layOut } from './payload.ts'
import { type Fragment, render, sql } from './sql.ts'
import { changesOf } from './update.ts'

/*
 * Why an answer is empty, or a write refused: which policy, which part of it, how many rows. Asked of the database in a
 * trip of its own, and only for those who may know: see `mayKnow`.
 */

export type PolicyName = 'select' | 'insert' | 'update' | 'delete'

/** A part of a policy's condition. */
export interface Clause {
  /** As it stands in the statement, a `?` for each value. */
  readonly sql: string
  /** How many of the rows it does not hold for. */
  readonly fails: number
}

/** A policy, asked of some rows. */
export interface Verdict {
  readonly policy: PolicyName
  /** For how many of the rows it does not hold. */
  readonly fails: number
  /** Whether all clauses must hold, or one of them. */
  readonly joined: 'and' | 'or'
  readonly clauses: readonly Clause[]
}

interface Asked {
  policy: PolicyName
  condition: Fragment
  joined: 'and' | 'or'
  clauses: readonly Fragment[]
}

const asked = ({ resource, who }: View, policy: PolicyName): Asked => {
  const condition = allows(resource.policies[policy], who)
  return { policy, condition, ...clausesOf(condition) }
}

/** Asks policies of rows: `rows` is what follows FROM, `over` puts a condition to one of them. */
async function verdicts(
  scope: Scope,
  view: View,
  policies: readonly PolicyName[],
  { rows, over }: { rows: Fragment; over: (condition: Fragment) => Fragment },
): Promise<{ matched: number; verdicts: Verdict[] }> {
  const all = policies.map((policy) => asked(view, policy))
  const failing = (condition: Fragment) => sql`total(coalesce(${over(condition)}, 0) = 0)`
  const counts = all.flatMap(({ condition, clauses }) => [condition, ...clauses].map(failing))
  const columns = [sql`count(*)`, ...counts].map(
    (count, i) => sql`${count} as ${sql.identifier(`n${i}`)}`,
  )
  const [row] = (
    await prepare(scope.replica, sql`select ${sql.join(columns, ', ')} from ${rows}`).all()
  ).results
  let at = 0
  const next = () => Number(row?.[`n${at++}`])
  const matched = next()
  return {
    matched,
    verdicts: all.map(({ policy, joined, clauses }) => ({
      policy,
      fails: next(),
      joined,
      clauses: clauses.map((clause) => ({ sql: textOf(clause), fails: next() })),
    })),
  }
}

const textOf = (fragment: Fragment): string =>
  render(fragment).text.replace(/\?\d+/g, '?').replace(/\s+/g, ' ').trim()

/**
 * Why rows that a request named were not reached.
 *
 * @param where The request's own filters.
 */
export async function whyHidden(
  scope: Scope,
  view: View,
  policies: readonly PolicyName[],
  where: Fragment,
): Promise<string> {
  const rows = sql`${view.resource.table} where ${where}`
  const told = await verdicts(scope, view, policies, {
    rows,
    over: (condition) => sql`(${condition})`,
  })
  if (told.matched === 0) return 'no row matches the filters'
  const failing = told.verdicts.filter(({ fails }) => fails > 0).map((verdict) => shown(verdict))
  // Where a policy lets some of them pass, it is `limit`, `offset` or a cursor that has none.
  const [verdict, ...more] = told.verdicts
  if (failing.length === 0 || (verdict && more.length === 0 && verdict.fails < told.matched))
    failing.push('none is on this page')
  return `${told.matched} ${told.matched === 1 ? 'row matches' : 'rows match'} the filters; ${failing.join('; ')}`
}

/** Why new rows are refused. */
export async function whyRefused(
  scope: Scope,
  view: View,
  policies: readonly PolicyName[],
  rows: readonly JsonObject[],
): Promise<string> {
  const told = await ofNewRows(scope, view, policies, rows)
  return told
    .filter(({ fails }) => fails > 0)
    .map((verdict) => shown(verdict))
    .join('; ')
}

/** Why rows are refused as they would be once they are changed. */
export async function whyChanged(
  scope: Scope,
  view: View,
  { where, columns, row }: { where: Fragment; columns?: readonly string[]; row: JsonObject },
): Promise<string> {
  const policies = ['select', 'update'] as const
  const changes = changesOf(scope, view, columns, row)
  const reached = every([where, ...policies.map((policy) => asked(view, policy).condition)])
  const { verdicts: told } = await verdicts(scope, view, policies, {
    rows: sql`${view.resource.table} where ${reached}`,
    over: (condition) => changed(view, condition, changes),
  })
  return told
    .filter(({ fails }) => fails > 0)
    .map((verdict) => shown(verdict, ' as changed'))
    .join('; ')
}

/** @param laidFor Who the rows are laid out for: whose defaults they get, and what they may hold. */
async function ofNewRows(
  scope: Scope,
  view: View,
  policies: readonly PolicyName[],
  rows: readonly JsonObject[],
  laidFor = view,
): Promise<Verdict[]> {
  const laid = layOut(laidFor, rows, { fillMissing: true, now: scope.now })
  const over = (condition: Fragment) =>
    candidate(view, condition, (field) =>
      typed(field, laid.values[laid.fields.indexOf(field)] ?? columnDefault(field)),
    )
  const given = sql`json_each(${`[${laid.rows.join()}]`}) as leanto_given`
  return (await verdicts(scope, view, policies, { rows: given, over })).verdicts
}

/** `select hides 3: "notes"."owner_id" = ? (3)`. A header takes ASCII and no line ends. */
function shown({ policy, fails, joined, clauses }: Verdict, how = ''): string {
  const parts = clauses
    .filter((clause) => clause.fails > 0)
    .map(({ sql: text, fails: count }) => `${text.slice(0, 200)} (${count})`)
  return `${policy} refuses ${fails}${how}: ${parts.join(` ${joined} `)}`.replace(
    /[^\x20-\x7e]/g,
    '?',
  )
}

/** No policy at all: closed to all but `service`. */
export const isClosed = ({ resource, who }: View, policy: PolicyName): boolean =>
  who.role !== 'service' && resource.policies[policy] === undefined

/** What `explainPolicy` tells. */
export interface PolicyExplanation {
  /** Whether the row passes every policy that the operation asks. */
  readonly allowed: boolean
  readonly policies: readonly Verdict[]
}

const policiesOf: Record<PolicyName, readonly PolicyName[]> = {
  select: ['select'],
  insert: ['insert'],
  update: ['select', 'update'],
  delete: ['select', 'delete'],
}

/**
 * Asks a table's policies of one row, as a test of them would: for an update, the row before and after are the same.
 *
 * @param row By SQL names, as a body would hold it; what it lacks gets its default.
 */
export async function explainRow(
  scope: Scope,
  view: View,
  operation: PolicyName,
  row: JsonObject,
): Promise<PolicyExplanation> {
  const { resource, who } = view
  // What a row holds is the question, not who may write it.
  const open: View = { resource, who: { ...who, role: 'service' } }
  const policies = await ofNewRows(scope, view, policiesOf[operation], [row], open)
  const closed = policiesOf[operation].some((policy) => isClosed(view, policy))
  return { allowed: !closed && policies.every(({ fails }) => fails === 0), policies }
}
