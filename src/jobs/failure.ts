import type { JobFailed } from '../core/ports.ts'

/** Thrown by a handler to say what comes of its failure. Anything else that is thrown is retried with backoff. */
export class JobFailure extends Error implements JobFailed {
  override readonly name = 'JobFailure'
  /** Seconds until the next attempt, or `null` for none. */
  readonly wait: number | null

  constructor(message: string, wait: number | null) {
    super(message)
    this.wait = wait
  }
}

/** By its name: other modules' handlers throw one of their own. */
export const isFailure = (error: unknown): error is JobFailed =>
  error instanceof Error && error.name === 'JobFailure'

/** `throw giveUp('no such user')`: trying again would not help, so the job is a dead letter at once. */
export const giveUp = (message: string): Error => new JobFailure(message, null)

/**
 * `throw retryIn(60, 'the service is busy')`: the next attempt, if there is one left, comes after this many seconds, as a
 * `Retry-After` asks for.
 */
export const retryIn = (seconds: number, message: string): Error => {
  if (!(Number.isFinite(seconds) && seconds >= 0))
    throw new TypeError('retryIn: `seconds` must be a number of at least 0')
  return new JobFailure(message, seconds)
}
