import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Scope } from '../core/scope.ts'

/** The job that a handler runs. */
export interface Job {
  readonly id: string
  readonly name: string
  /** The same in every attempt, and no other job's: give it to whatever must not happen twice. It is the job's id. */
  readonly idempotencyKey: string
  /** 1 at first. */
  readonly attempt: number
  /** How many there may be. */
  readonly attempts: number
  /** Who may read it, as given to `enqueue`. */
  readonly owner: string | null
  /** When it was to run, in Unix milliseconds: `at`, or the slot of its schedule. Retries do not change it. */
  readonly scheduledAt: number
  /** Aborts when the job was cancelled, its time is up, or another Worker may have it: stop then. */
  readonly signal: AbortSignal
  /**
   * Says how far it is, for `GET /:id`: any JSON up to 4 KB. Written at once, but once a second at most (one trip each);
   * what comes in between is written with the next renewal or the end.
   *
   * @throws {TypeError} if it is no JSON or larger.
   */
  progress(value: unknown): Promise<void>
}

/** How long to wait after a failure. The wait is drawn at random between half of it and all of it. */
export interface Backoff {
  /** Seconds after the first attempt. @default 10 */
  first?: number
  /** By what it grows from one attempt to the next. @default 2 */
  factor?: number
  /** The most, in seconds. @default 3600 */
  max?: number
}

export interface HandlerOptions<Schema extends StandardSchemaV1, Env = unknown> {
  /** Any Standard Schema (valibot, zod, arktype, …). Checked when enqueued and again when run. Payloads are JSON, up to 256 KB. */
  payload: Schema
  /**
   * Does the work. It may run more than once, never twice at the same time while its lease holds. What it returns is kept
   * as the result: JSON, up to 64 KB.
   */
  run: (scope: Scope<Env>, payload: StandardSchemaV1.InferOutput<Schema>, job: Job) => unknown
  /** How often it is tried before it is a dead letter. @default 10 */
  attempts?: number
  /** A function gets the attempt that failed, from 1, and answers seconds. @default { first: 10, factor: 2, max: 3600 } */
  backoff?: Backoff | ((attempt: number) => number)
  /** How many jobs of this name may run at the same time, in all Workers together. @default no limit */
  concurrency?: number
  /** Seconds after which an attempt has failed. @default 300 */
  timeout?: number
}

/** A handler, as `job(…)` makes it. */
export interface Handler<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  readonly payload: Schema
  // biome-ignore lint/suspicious/noExplicitAny: what a handler takes is known to it alone; `payload` checks it.
  readonly run: (scope: Scope<any>, payload: any, job: Job) => unknown
  readonly attempts: number
  /** Seconds, before chance. */
  readonly wait: (attempt: number) => number
  readonly concurrency: number | null
  readonly timeout: number
}

/**
 * Makes a handler of `jobs(base, { handlers: { digest: job({ payload, run }) } })`.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function job<const Schema extends StandardSchemaV1, Env = unknown>({
  payload,
  run,
  attempts = 10,
  backoff = {},
  concurrency,
  timeout = 300,
}: HandlerOptions<Schema, Env>): Handler<Schema> {
  if (typeof payload?.['~standard']?.validate !== 'function')
    throw new TypeError('job: `payload` must be a Standard Schema, such as v.object({ … })')
  if (typeof run !== 'function')
    throw new TypeError('job: `run` must be a function of (scope, payload, job)')
  for (const [option, count] of Object.entries({ attempts, concurrency: concurrency ?? 1 }))
    if (!(Number.isSafeInteger(count) && count >= 1))
      throw new TypeError(`job: \`${option}\` must be a whole number of at least 1`)
  if (!(Number.isFinite(timeout) && timeout > 0))
    throw new TypeError('job: `timeout` must be a number of seconds')
  return Object.freeze({
    payload,
    run,
    attempts,
    wait: typeof backoff === 'function' ? backoff : growing(backoff),
    concurrency: concurrency ?? null,
    timeout,
  })
}

function growing({ first = 10, factor = 2, max = 3600 }: Backoff): (attempt: number) => number {
  for (const [option, value] of Object.entries({ first, factor, max }))
    if (!(Number.isFinite(value) && value >= (option === 'factor' ? 1 : 0)))
      throw new TypeError(
        `job: \`backoff.${option}\` must be a number of at least ${option === 'factor' ? 1 : 0}`,
      )
  return (attempt) => Math.min(first * factor ** (attempt - 1), max)
}

export type Handlers = Readonly<Record<string, Handler>>
