import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Base } from '../core/bind.ts'
import type { Statement } from '../core/database.ts'
import { problem } from '../core/fault.ts'
import type { Migration } from '../core/migrate.ts'
import type { Module, QueueBatch } from '../core/module.ts'
import type { EnqueueOptions, Identity } from '../core/ports.ts'
import { routesOf } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { type Dead, forget, type Keep } from './claim.ts'
import { type Drained, type DrainOptions, drain, type Engine } from './drain.ts'
import { prepareJob } from './enqueue.ts'
import { jobsFaults } from './faults.ts'
import type { Handlers } from './handler.ts'
import {
  cancelJob,
  type JobRecord,
  type JobSummary,
  type ListOptions,
  listJobs,
  readJob,
  retryJob,
} from './manage.ts'
import { jobsMigrations } from './migrations.ts'
import { jobsRoutes } from './routes.ts'
import { type Schedule, slotStatements } from './slots.ts'
import { idsOf, type QueueBinding, settle, wake } from './wake.ts'

export type { Dead } from './claim.ts'
export type { Drained, DrainOptions } from './drain.ts'
export { giveUp, retryIn } from './failure.ts'
export { type Backoff, type Handler, type HandlerOptions, type Job, job } from './handler.ts'
export type { JobRecord, JobSummary, ListOptions, State } from './manage.ts'
export type { Schedule } from './slots.ts'
export type { QueueBinding } from './wake.ts'

/** What a host may leave out: `webhooks` of `leanto/jobs/webhooks`. */
export interface Part {
  readonly handlers: Handlers
  /** @default [] */
  readonly migrations?: readonly Migration[]
  /** Upkeep, at every cron trigger: statements of one trip with the first claim. */
  readonly upkeep?: (scope: Scope) => Statement[]
}

export interface JobsOptions<Env, H extends Handlers> {
  /** What there is to do, each made by `job(…)`, by names of letters, digits, `.`, `_` and `-`. */
  handlers: H
  /** Who asks by the routes. Without it there are none. */
  identity?: Identity
  /** A Cloudflare Queue to run jobs by, at once and beside requests: `(env) => env.JOBS`. @default cron triggers alone */
  queue?: (env: Env) => QueueBinding
  /** Without a queue: whether the request that enqueues a job also runs what is ready, in `waitUntil`. @default false */
  eager?: boolean
  /** What runs by the clock: `schedule(…)` of `leanto/jobs/cron`. @default [] */
  cron?: readonly Schedule[]
  /** @default [] */
  parts?: readonly Part[]
  /** How many days jobs are kept after their end, those that are done or cancelled, and dead letters. @default { done: 7, dead: 30 } */
  keepFor?: { done?: number; dead?: number }
  /** Seconds after which a job whose Worker died is taken by another. It is renewed while the Worker lives. @default 60 */
  lease?: number
  /** Runs in `waitUntil` for jobs that were given up. */
  after?: { dead?: (scope: Scope<Env>, dead: readonly Dead[]) => unknown }
}

type PayloadOf<H extends Handlers, Name extends keyof H> = StandardSchemaV1.InferInput<
  H[Name]['payload']
>

export interface Enqueued {
  /** The job's, or with a `key` that of the job which was there. With `within` always the one that it gets if it is new. */
  readonly id: string
  /** Whether it is new; `undefined` with `within`, when it cannot be known yet. */
  readonly fresh?: boolean
}

export interface Jobs<H extends Handlers = Handlers> extends Module {
  readonly name: 'jobs'
  /**
   * Has a job done, at least once. One trip; with `within` none, and the caller's batch carries it.
   *
   * @throws {Fault} `bad_request` (400) if the payload is not as its schema says.
   * @throws {TypeError} if there is no such handler, or an option makes no sense.
   */
  enqueue<Name extends keyof H & string>(
    scope: Scope,
    name: Name,
    payload: PayloadOf<H, Name>,
    options?: EnqueueOptions,
  ): Promise<Enqueued>
  /** The statements that enqueue a job, for a batch of `scope.db`, and the job's id. */
  statements<Name extends keyof H & string>(
    scope: Scope,
    name: Name,
    payload: PayloadOf<H, Name>,
    options?: Omit<EnqueueOptions, 'within'>,
  ): Promise<{ id: string; statements: Statement[] }>
  /** After a batch with jobs has been written: has them run soon, by the queue or, if `eager`, in `waitUntil`. */
  wake(scope: Scope, ids: readonly string[]): void
  /** Runs what is ready. Any number of Workers may, at the same time. Cron triggers and the queue do by themselves. */
  drain(scope: Scope, options?: DrainOptions): Promise<Drained>
  /** @throws {Fault} `job_not_found` (404). */
  read(scope: Scope, id: string): Promise<JobRecord>
  /** Newest first, without payloads and results; `{ dead: true }` are the dead letters. */
  list(scope: Scope, options?: ListOptions): Promise<JobSummary[]>
  /** @throws {Fault} `job_not_found` (404), `job_ended` (409). */
  cancel(scope: Scope, id: string): Promise<void>
  /** Gives a dead letter all its attempts again. @throws {Fault} `job_not_found` (404), `job_not_dead` (409). */
  retry(scope: Scope, id: string): Promise<void>
}

/**
 * Work that outlives the request, in D1: each job runs at least once, and by one Worker at a time.
 *
 * It needs the cron trigger `* * * * *`, with a queue too: the trigger finds what a Worker that died left, what was enqueued
 * `within` a batch, and what is due.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function jobs<Env, const H extends Handlers>(
  base: Base<Env>,
  options: JobsOptions<Env, H>,
): Jobs<H> {
  const { identity, queue, eager = false, cron = [], parts = [], lease = 60, after } = options
  const handlers = handlersOf(options.handlers, parts)
  const keep = keepOf(options.keepFor)
  check({ ...options, lease, cron }, handlers)
  const engine: Engine = {
    handlers,
    keep,
    lease,
    gaveUp(scope, dead) {
      for (const { id, name } of dead) console.warn(`leanto: job ${id} (${name}) was given up`)
      const tell = after?.dead
      if (tell) scope.waitUntil(Promise.resolve().then(() => tell(scope as Scope<Env>, dead)))
    },
  }

  const wakeAt = (scope: Scope, id: string, at: number) => {
    if (queue) scope.waitUntil(wake(scope, queue(scope.env as Env), { id, at }))
    else if (eager && at <= scope.now()) scope.waitUntil(drain(scope, engine, { limit: 20 }))
  }
  const statements: Jobs['statements'] = (scope, name, payload, more = {}) => {
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
    if (!handler) throw new TypeError(`enqueue: there is no handler ${JSON.stringify(name)}`)
    return prepareJob(scope, name, { ...more, payload, handler })
  }
  const retry = async (scope: Scope, id: string) => {
    await retryJob(scope, { id })
    wakeAt(scope, id, scope.now())
  }

  const { routes, table } = routesOf(
    { base, render: problem, bug },
    identity
      ? jobsRoutes({ identity, keep, woken: (scope, id) => wakeAt(scope, id, scope.now()) })
      : [],
  )
  return Object.freeze({
    name: 'jobs',
    routes,
    table,
    migrations: Object.freeze([
      ...jobsMigrations,
      ...parts.flatMap(({ migrations = [] }) => migrations),
    ]),
    faults: jobsFaults,
    statements,
    async enqueue(scope, name, payload, { within, ...more } = {}) {
      const { id, statements: made } = await statements(scope, name, payload, more)
      if (within) {
        within.push(...made)
        return { id }
      }
      const results = await scope.db.batch<{ id: string }>(made)
      const found = results[1]?.results[0]?.id ?? id
      if (found === id) wakeAt(scope, id, more.at === undefined ? scope.now() : Number(more.at))
      return { id: found, fresh: found === id }
    },
    wake(scope, ids) {
      // Without a queue, one drain runs them all.
      for (const id of queue ? ids : ids.slice(0, 1)) wakeAt(scope, id, scope.now())
    },
    drain: (scope, more) => drain(scope, engine, more),
    read: (scope, id) => readJob(scope, { id }),
    list: (scope, more) => listJobs(scope, more),
    cancel: (scope, id) => cancelJob(scope, { id, keep }),
    retry,
    async scheduled(scope, at) {
      const slots = slotStatements(scope, { schedules: cron, handlers, at })
      const upkeep = parts.flatMap((part) => part.upkeep?.(scope) ?? [])
      await drain(scope, engine, { first: [...slots, forget(scope), ...upkeep] })
    },
    async queue(scope, batch: QueueBatch) {
      const ids = queue ? idsOf(batch) : null
      if (!queue || !ids) return false
      await drain(scope, engine)
      await settle(scope, queue(scope.env as Env), { batch, ids })
      return true
    },
  } satisfies Jobs<H>)
}

function handlersOf(own: Handlers, parts: readonly Part[]): Handlers {
  if (typeof own !== 'object' || own === null)
    throw new TypeError('jobs: `handlers` must be { name: job({ … }) }')
  const all = [own, ...parts.map(({ handlers }) => handlers)].flatMap((one) => Object.entries(one))
  for (const [name, handler] of all) {
    if (!/^[\w.-]{1,64}$/.test(name))
      throw new TypeError(
        `jobs: \`handlers\` holds ${JSON.stringify(name)}; names are letters, digits, ., _ and -`,
      )
    if (typeof handler?.run !== 'function' || typeof handler.wait !== 'function')
      throw new TypeError(`jobs: \`handlers.${name}\` must be made by job({ payload, run })`)
    if (all.filter(([other]) => other === name).length > 1)
      throw new TypeError(`jobs: \`handlers.${name}\` is there twice, also among \`parts\``)
  }
  return Object.freeze(Object.fromEntries(all))
}

function keepOf({ done = 7, dead = 30 }: { done?: number; dead?: number } = {}): Keep {
  for (const [option, days] of Object.entries({ done, dead }))
    if (!(Number.isFinite(days) && days > 0))
      throw new TypeError(`jobs: \`keepFor.${option}\` must be a number of days`)
  const day = 24 * 60 * 60 * 1000
  return { done: Math.ceil(done * day), dead: Math.ceil(dead * day) }
}

function check<Env, H extends Handlers>(
  {
    identity,
    queue,
    lease,
    cron,
  }: JobsOptions<Env, H> & { lease: number; cron: readonly Schedule[] },
  handlers: Handlers,
) {
  if (identity !== undefined && typeof identity?.principal !== 'function')
    throw new TypeError(
      'jobs: `identity` must have principal(scope, request): pass auth(…) or jwks(…)',
    )
  if (queue !== undefined && typeof queue !== 'function')
    throw new TypeError('jobs: `queue` must be a function of env, such as (env) => env.JOBS')
  if (!(Number.isFinite(lease) && lease >= 1))
    throw new TypeError('jobs: `lease` must be a number of seconds, at least 1')
  const ids = new Set<string>()
  for (const { id, name } of cron) {
    if (!Object.hasOwn(handlers, name))
      throw new TypeError(
        `jobs: \`cron\` has a schedule of ${JSON.stringify(name)}, which is no handler`,
      )
    if (ids.has(id))
      throw new TypeError(`jobs: \`cron\` has the schedule ${JSON.stringify(id)} twice`)
    ids.add(id)
  }
}

const bug = (): Response =>
  Response.json(
    { type: 'about:blank', title: 'Internal Server Error', status: 500 },
    { status: 500, headers: { 'content-type': 'application/problem+json' } },
  )
