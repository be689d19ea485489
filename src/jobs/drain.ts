import type { QueryResult, Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { randomToken } from '../core/secret.ts'
import {
  type Claimed,
  claim,
  type Dead,
  finish,
  type Keep,
  type Outcome,
  renew,
  roundSize,
  sweep,
} from './claim.ts'
import type { Handler, Handlers } from './handler.ts'
import { type Attempt, attempt } from './run.ts'

/** What draining needs to know of the module. */
export interface Engine {
  readonly handlers: Handlers
  readonly keep: Keep
  /** Seconds. */
  readonly lease: number
  readonly gaveUp: (scope: Scope, dead: readonly Dead[]) => void
}

export interface DrainOptions {
  /**
   * The most jobs to run. Each 20 take one trip of three statements, and one more at the end; a Worker on the free plan has
   * 50 statements an invocation.
   * @default 200
   */
  limit?: number
  /** For how many seconds to take more. What has been taken is still run to its end. @default 25 */
  seconds?: number
}

export interface Drained {
  /** How many attempts were made. */
  readonly ran: number
  /** Whether it stopped at its limit or time, so that there may be more. */
  readonly more: boolean
}

/**
 * Runs what is ready, 20 jobs at a time, until there is no more. Up to 20 jobs take 2 trips: one claims, one finishes and
 * finds no more.
 *
 * @param first Statements to run before the first claim, in its trip.
 */
export async function drain(
  scope: Scope,
  engine: Engine,
  { limit = 200, seconds = 25, first = [] }: DrainOptions & { first?: readonly Statement[] } = {},
): Promise<Drained> {
  const until = scope.now() + seconds * 1000
  let before = first
  let ran = 0
  for (;;) {
    const room = scope.now() < until ? Math.min(roundSize, limit - ran) : 0
    const round = { lease: randomToken(16), seconds: engine.lease, room }
    const taking =
      room > 0
        ? [sweep(scope, engine.keep), claim(scope, { ...round, handlers: engine.handlers })]
        : []
    const statements = [...before, ...taking]
    const results = statements.length > 0 ? await insist(scope, statements, before.length) : []
    tellDead(scope, engine, results)
    const taken = results[before.length + 1]
    const claimed = (taken?.results ?? []) as unknown as Claimed[]
    if (claimed.length === 0) return { ran, more: taken === undefined }
    ran += claimed.length
    const outcomes = await runAll(scope, engine, { claimed, lease: round.lease })
    before = finish(scope, round.lease, { outcomes, keep: engine.keep })
  }
}

/**
 * A round's trip. What has been done must be written, or it is done again once its lease has run out: if the trip fails, the
 * statements that write it are tried again alone; they are harmless when they had been written already.
 */
async function insist(
  scope: Scope,
  statements: Statement[],
  mustRun: number,
): Promise<QueryResult[]> {
  try {
    return await scope.db.batch(statements)
  } catch (error) {
    if (mustRun === 0) throw error
    for (const wait of [100, 1000]) {
      await new Promise((resolve) => setTimeout(resolve, wait))
      const done = await scope.db.batch(statements.slice(0, mustRun)).catch(() => null)
      if (done) return done
    }
    throw error
  }
}

/** Runs jobs at the same time, renewing their leases, and writing what has ended while others go on. */
async function runAll(
  scope: Scope,
  engine: Engine,
  { claimed, lease }: { claimed: readonly Claimed[]; lease: string },
): Promise<Outcome[]> {
  let ended: Outcome[] = []
  const going = new Map<string, Attempt>()
  const inOrder = [...claimed].sort((a, b) => b.priority - a.priority)
  const all = Promise.all(
    inOrder.map(async (one) => {
      const handler = engine.handlers[one.name] as Handler
      const running = attempt(scope, handler, { claimed: one, lease })
      going.set(one.id, running)
      const outcome = await running.outcome
      going.delete(one.id)
      ended.push(outcome)
    }),
  )
  let holds = scope.now() + engine.lease * 1000
  while (!(await isOver(all, (engine.lease * 1000) / 3))) {
    const writing = ended
    ended = []
    try {
      await beat(scope, engine, { lease, writing, going })
      holds = scope.now() + engine.lease * 1000
    } catch (error) {
      console.error('leanto: the leases of jobs could not be renewed', error)
      ended.unshift(...writing)
      // Another Worker may take them from here on.
      if (scope.now() + (engine.lease * 1000) / 3 >= holds)
        for (const running of going.values()) running.abort('The lease could not be renewed')
    }
  }
  return ended
}

async function beat(
  scope: Scope,
  engine: Engine,
  {
    lease,
    writing,
    going,
  }: { lease: string; writing: Outcome[]; going: ReadonlyMap<string, Attempt> },
) {
  const { lease: seconds, keep } = engine
  const asked = [...going.keys()]
  const said = [...going.values()].flatMap((running) => {
    const progress = running.takeProgress()
    return progress === undefined ? [] : [{ id: running.id, progress }]
  })
  const statements = [renew(scope, { lease, seconds }, asked)]
  if (said.length > 0) statements.push(sayAll(scope, lease, said))
  statements.push(...finish(scope, lease, { outcomes: writing, keep }))
  const results = await scope.db.batch(statements)
  tellDead(scope, engine, results.slice(1))
  const held = new Set(results[0]?.results.map(({ id }) => id))
  for (const id of asked)
    if (!held.has(id)) going.get(id)?.abort('The job was cancelled, or another Worker has it')
}

const sayAll = ({ db }: Scope, lease: string, said: readonly { id: string; progress: string }[]) =>
  db
    .prepare(
      `UPDATE leanto_jobs_jobs SET progress = s.progress
       FROM (SELECT value ->> 'id' AS id, value ->> 'progress' AS progress FROM json_each(?1)) s
       WHERE leanto_jobs_jobs.id = s.id AND lease = ?2`,
    )
    .bind(JSON.stringify(said), lease)

async function isOver(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const wait = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds)
  })
  const over = await Promise.race([work.then(() => true), wait])
  clearTimeout(timer)
  return over
}

/** Of what sweeping and finishing returned. */
function tellDead(scope: Scope, { gaveUp }: Engine, results: readonly QueryResult[]) {
  const rows = results.flatMap((result) => result.results) as unknown as Ended[]
  const dead = rows.filter(({ state }) => state === 'dead')
  if (dead.length > 0)
    gaveUp(
      scope,
      dead.map(({ id, name, error }) => ({ id, name, error })),
    )
}

type Ended = Dead & { readonly state: string }
