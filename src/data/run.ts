import type { Queryable, QueryResult, Statement } from '../core/database.ts'
import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { randomToken } from '../core/secret.ts'
import { type Claim, claimStatements, isAnswered, storedAnswer } from './answers.ts'
import { capturedSql, needsRow, rollbackSql, rolledBack, takenSql, toldOf } from './capture.ts'
import { guard, prepare } from './compile.ts'
import { dbFault, guardOf, unavailable } from './db-fault.ts'
import { dataFaults } from './faults.ts'
import { isRowidFault, withoutRowid } from './insertion-order.ts'
import type { Captured, Plan, Told } from './plan.ts'
import type { Output } from './rows.ts'
import { sql } from './sql.ts'

/** A plan in its place of a transaction. */
export interface Step {
  readonly plan: Plan<unknown>
  /** What later steps use of its rows, and how many rows there must be for them. */
  readonly referred: readonly Output[]
  readonly rows: number
}

/** What a transaction does beside its steps. */
export interface Effects {
  /** `Prefer: tx=rollback`: nothing is kept, the claim neither. */
  readonly rollback: boolean
  /** `Idempotency-Key`: the answer is kept with what was written. */
  readonly claim?: Claim | undefined
  /** Under which the steps capture, where they refer to what is captured. The claim's, if that is kept. */
  readonly key?: string
  /** How many statements may be run. */
  readonly statements?: number
}

/** An error, and the step that it belongs to, if that is known. */
export class StepError extends Error {
  readonly step: number | undefined

  constructor(step: number | undefined, cause: unknown) {
    super('a step failed', { cause })
    this.step = step
  }
}

/**
 * Runs steps in one trip and one transaction: all or none. Their answer comes as it would from each of them alone.
 *
 * @param make Makes the steps, and makes them anew if a table turns out to have no rowid.
 * @returns What each step results in.
 * @throws {StepError}
 */
export async function run(
  scope: Scope,
  make: () => readonly Step[],
  effects: Effects,
): Promise<unknown[]> {
  const steps = make()
  try {
    const told = await attempt(scope, steps, effects)
    return steps.map(({ plan }, i) => plan.finish(told[i] as Told))
  } catch (error) {
    if (error instanceof StepError) throw error
    const found = steps.find(({ plan }) => isRowidFault(error, plan.view.resource))
    if (!found) throw await stepError(scope, steps, effects.key, error)
    withoutRowid(found.plan.view.resource)
    return run(scope, make, effects)
  }
}

async function attempt(
  scope: Scope,
  steps: readonly Step[],
  { rollback, claim, key: given, statements: bound = Number.POSITIVE_INFINITY }: Effects,
): Promise<Told[]> {
  const kept = rollback ? undefined : claim
  const key = given ?? kept?.key ?? randomToken(16)
  const first = kept ? claimStatements(scope, kept, steps) : []
  const groups = groupsOf(scope, steps, {
    key,
    expires: kept?.expires,
    all: rollback || kept !== undefined,
  })
  const last: Statement[] = []
  if (rollback) last.push(prepare(scope.db, rollbackSql(key)))
  else if (kept) last.push(prepare(scope.db, capturedSql(key)))
  else if (groups.some(({ captured }) => captured)) last.push(prepare(scope.db, takenSql(key)))
  const all = [...first, ...groups.flatMap(({ statements }) => statements), ...last]
  if (all.length > bound)
    throw dataFaults['54000']({
      message: `the batch takes ${all.length} statements, of which ${bound} may be run`,
    })
  let results: QueryResult[]
  try {
    results = await runStatements(scope, all)
  } catch (error) {
    const parts = rollback ? rolledBack(error) : undefined
    if (parts) return groups.map((group) => recalled(group, parts))
    if (!kept || !isAnswered(error)) throw error
    const stored = await storedAnswer(scope, kept, steps)
    return groups.map((group) => recalled(group, stored))
  }
  const parts = (last.length > 0 ? results.at(-1)?.results : []) as unknown as Captured[]
  let from = first.length
  return groups.map((group) => {
    const own = results.slice(from, (from += group.statements.length))
    return group.captured ? recalled(group, parts) : group.plan.told(own)
  })
}

interface Group {
  readonly plan: Plan<unknown>
  readonly n: number
  readonly captured: boolean
  readonly statements: readonly Statement[]
}

function groupsOf(
  scope: Scope,
  steps: readonly Step[],
  {
    key,
    expires = Math.floor(scope.now() / 1000),
    all,
  }: { key: string; expires?: number; all: boolean },
): Group[] {
  return steps.map(({ plan, referred, rows }, n) => {
    const captured = all || referred.length > 0
    const db = steps.length > 1 ? labelled(scope.db, n) : scope.db
    const slot = { db, key, n, expires, referred }
    try {
      const needed = rows > 0 ? [needsRow(slot, rows - 1)] : []
      const statements = captured ? [...plan.capture(slot), ...needed] : plan.statements()
      return { plan, n, captured, statements }
    } catch (error) {
      throw new StepError(n, error)
    }
  })
}

/** A database whose guards say which step they belong to. */
export const labelled = (db: Queryable, step: number): Queryable => ({
  prepare: (text) => db.prepare(text.replaceAll("'leanto:", `'leanto@${step}:`)),
  batch: (statements) => db.batch(statements),
})

const recalled = ({ plan, n }: Group, parts: readonly Captured[]): Told =>
  toldOf(
    plan.outputs,
    parts.filter((part) => part.n === n).sort((a, b) => a.part - b.part),
  )

async function runStatements(scope: Scope, statements: Statement[]): Promise<QueryResult[]> {
  const [only] = statements
  if (!only) return []
  return statements.length === 1 ? [await only.all()] : await scope.db.batch(statements)
}

async function stepError(
  scope: Scope,
  steps: readonly Step[],
  key: string | undefined,
  error: unknown,
): Promise<StepError> {
  const passing = unavailable(error)
  if (error instanceof Fault || passing !== error) return new StepError(undefined, passing)
  const guarded = guardOf(error)
  const at = guarded ? (guarded.step ?? only(steps)) : await culprit(scope, steps, key)
  const { plan } = steps[at ?? 0] as Step
  // It failed, and would not fail now: what it met has gone.
  if (at === undefined && !guarded) return new StepError(at, dataFaults.PGRST001({ cause: error }))
  const own = guarded && plan.guarded?.(guarded.code, guarded.count)
  return new StepError(at, own ?? dbFault(error, plan.view, plan))
}

/** What no step's guard raised belongs to all of them. */
const only = (steps: readonly Step[]) => (steps.length === 1 ? 0 : undefined)

/**
 * The step that fails: D1 does not tell. The first half of the steps is tried, without keeping anything, then half of
 * the half that it must be, until one is left.
 *
 * @returns `undefined` if they succeed after all.
 */
async function culprit(
  scope: Scope,
  steps: readonly Step[],
  key = randomToken(16),
): Promise<number | undefined> {
  if (steps.length === 1) return 0
  let [low, high] = [0, steps.length]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (await fails(scope, steps.slice(0, middle), key)) high = middle
    else low = middle
  }
  return high < steps.length || (await fails(scope, steps, key)) ? low : undefined
}

async function fails(scope: Scope, steps: readonly Step[], key: string): Promise<boolean> {
  const groups = groupsOf(scope, steps, { key, all: false })
  const undo = prepare(scope.db, sql`select ${guard(sql.raw('0'), 'UNDONE')}`)
  try {
    await scope.db.batch([...groups.flatMap(({ statements }) => statements), undo])
    return true
  } catch (error) {
    if (unavailable(error) !== error) throw unavailable(error)
    return guardOf(error)?.code !== 'UNDONE'
  }
}
