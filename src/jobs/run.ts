import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { validate } from '../core/validate.ts'
import type { Claimed, Outcome } from './claim.ts'
import { isFailure, JobFailure } from './failure.ts'
import type { Handler, Job } from './handler.ts'

const resultLimit = 64 * 1024
const progressLimit = 4 * 1024
const errorLimit = 2000

/** Seconds, where the host's backoff answers none. */
const lastResort = 3600

/** An attempt that goes on. */
export interface Attempt {
  readonly id: string
  /** Never fails. */
  readonly outcome: Promise<Outcome>
  /** The last progress that was not written yet, once. */
  takeProgress(): string | undefined
  /** Tells the handler to stop; what it answers does not count any more. */
  abort(reason: string): void
}

/** Starts a job's handler. */
export function attempt(
  scope: Scope,
  handler: Handler,
  { claimed, lease }: { claimed: Claimed; lease: string },
): Attempt {
  const controller = new AbortController()
  const progress = progressOf(scope, { id: claimed.id, lease })
  const job: Job = Object.freeze({
    id: claimed.id,
    name: claimed.name,
    idempotencyKey: claimed.id,
    attempt: claimed.attempt,
    attempts: claimed.attempts,
    owner: claimed.owner_id,
    scheduledAt: claimed.scheduled_at,
    signal: controller.signal,
    progress: progress.say,
  })
  const stop = (reason: string) => controller.abort(new Error(reason))
  const work = async () => {
    const payload = await checkedPayload(handler, claimed.payload)
    return handler.run(scope, payload, job)
  }
  return {
    id: claimed.id,
    takeProgress: progress.take,
    abort: stop,
    outcome: within(handler.timeout, work(), controller)
      .then(
        (result) => done(scope, claimed, { result, progress: progress.take() }),
        (error) => failed(scope, claimed, { error, handler, progress: progress.take() }),
      )
      // The host's backoff, or an error that is no proper one, must not keep the others of the round from ending.
      .catch(() =>
        failed(scope, claimed, {
          error: 'The attempt failed, and so did its backoff',
          handler: { ...handler, wait: () => lastResort },
          progress: undefined,
        }),
      ),
  }
}

async function checkedPayload(handler: Handler, text: string): Promise<unknown> {
  try {
    return await validate(handler.payload, JSON.parse(text))
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    // Enqueued by an older deployment: no attempt will find it otherwise.
    throw new JobFailure(`The payload is not valid any more: ${error.message}`, null)
  }
}

/** A handler that does not stop cannot be stopped, but it is not waited for either. */
async function within<T>(
  seconds: number,
  work: Promise<T>,
  controller: AbortController,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const { signal } = controller
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    timer = setTimeout(
      () => controller.abort(new Error(`The attempt took longer than ${seconds} s`)),
      seconds * 1000,
    )
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    clearTimeout(timer)
    work.catch(() => {})
  }
}

const sizeOf = (text: string): number => new TextEncoder().encode(text).length

interface Kept {
  /** JSON. */
  readonly progress: string | undefined
}

const withProgress = ({ progress }: Kept) => (progress === undefined ? {} : { progress })

function done(
  scope: Scope,
  { id }: Claimed,
  { result, ...kept }: Kept & { result: unknown },
): Outcome {
  const end = { id, state: 'done', due: scope.now(), ...withProgress(kept) } as const
  // The work is done and must not be done again because its result cannot be kept.
  let text: string | undefined
  try {
    text = JSON.stringify(result)
  } catch {
    return { ...end, error: 'The result was not JSON, and was not kept' }
  }
  if (text === undefined) return end
  if (sizeOf(text) > resultLimit)
    return { ...end, error: 'The result was over 64 KB, and was not kept' }
  return { ...end, result: text }
}

function failed(
  scope: Scope,
  { id, attempt, attempts }: Claimed,
  { error, handler, ...kept }: Kept & { error: unknown; handler: Handler },
): Outcome {
  const now = scope.now()
  const about = { id, error: textOf(error), ...withProgress(kept) }
  const asked = isFailure(error) ? error.wait : undefined
  if (asked === null || attempt >= attempts) return { ...about, state: 'dead', due: now }
  // What a service asks for is a least wait: chance only adds to it.
  const seconds =
    asked === undefined
      ? waitOf(handler, attempt) * (0.5 + Math.random() / 2)
      : asked * (1 + Math.random() / 10)
  return { ...about, state: 'waiting', due: now + Math.ceil(seconds * 1000) }
}

function waitOf({ wait }: Handler, attempt: number): number {
  const seconds = wait(attempt)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : lastResort
}

const textOf = (error: unknown): string => {
  const text = error instanceof Fault ? `${error.code}: ${error.message}` : messageOf(error)
  return text.replaceAll('\0', '').slice(0, errorLimit).toWellFormed()
}

const messageOf = (error: unknown): string =>
  error instanceof Error
    ? String(error.message)
    : typeof error === 'string'
      ? error
      : 'Unknown error'

/** Progress as a handler says it: written once a second at most. */
function progressOf(scope: Scope, { id, lease }: { id: string; lease: string }) {
  let kept: string | undefined
  let written = Number.NEGATIVE_INFINITY
  const take = () => {
    const value = kept
    kept = undefined
    return value
  }
  const say = async (value: unknown) => {
    const text = JSON.stringify(value)
    if (text === undefined || sizeOf(text) > progressLimit)
      throw new TypeError('progress: must be JSON of up to 4 KB')
    kept = text
    if (scope.now() - written < 1000) return
    written = scope.now()
    kept = undefined
    await scope.db
      .prepare('UPDATE leanto_jobs_jobs SET progress = ?3 WHERE id = ?1 AND lease = ?2')
      .bind(id, lease, text)
      .run()
  }
  return { say, take }
}
