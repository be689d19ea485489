import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Enqueue, JobFailed } from '../../core/ports.ts'
import type { Scope } from '../../core/scope.ts'
import { deliverHeld } from '../deliver.ts'
import { backoff, mostAttempts, type Outcome, take } from '../outbox.ts'
import type { Part } from '../part.ts'
import type { Sending } from '../send.ts'

export interface ByJobsOptions {
  /** What has them done: `jobs(…)`, which is made after this, so as a function. */
  jobs: () => Enqueue
}

/** The part of a job that its handler uses. */
interface Attempt {
  readonly attempt: number
  readonly attempts: number
}

/** What `byJobs` makes: a part of `email(…)` and of `jobs(…)`. */
export interface ByJobs extends Part {
  readonly handlers: Readonly<Record<typeof name, Handler>>
}

/** As `job(…)` of `leanto/jobs` makes one. */
interface Handler {
  readonly payload: StandardSchemaV1<{ id: string }>
  // biome-ignore lint/suspicious/noExplicitAny: the scope of whatever Worker runs it.
  readonly run: (scope: Scope<any>, payload: { id: string }, job: Attempt) => Promise<unknown>
  readonly attempts: number
  readonly wait: (attempt: number) => number
  readonly concurrency: null
  readonly timeout: number
}

const name = 'email.deliver'

/** Milliseconds. Longer than jobs wait at most before they try again: for a `Retry-After` of a day, and a tenth more. */
const patience = 27 * 3_600_000

/**
 * Has mails delivered by jobs: by their queue, retries and dead letters. A mail's job is enqueued by the batch that stores
 * the mail. Mount it in both:
 * `email(base, { …, parts: [delivery] })` and `jobs(base, { …, parts: [delivery] })`.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function byJobs({ jobs }: ByJobsOptions): ByJobs {
  if (typeof jobs !== 'function')
    throw new TypeError('byJobs: `jobs` must be a function: () => jobs')
  let mounted: Sending<unknown> | undefined
  return Object.freeze<ByJobs>({
    rails(sending) {
      mounted = sending as Sending<unknown>
      return {
        patience,
        async enqueue(scope, id, within) {
          const work = jobs()
          const job = await work.enqueue(scope, name, { id }, { within })
          return () => work.wake?.(scope, [job.id])
        },
      }
    },
    handlers: {
      [name]: {
        payload,
        run: (scope, { id }, job) => {
          if (!mounted) throw new TypeError('byJobs: it is not among `parts` of email(…)')
          return run(mounted, scope, { id, job })
        },
        attempts: mostAttempts,
        wait: backoff,
        concurrency: null,
        // Longer than any transport may take.
        timeout: 180,
      },
    },
  })
}

/** @throws {JobFailed} what comes next. */
async function run(
  sending: Sending<unknown>,
  scope: Scope,
  { id, job }: { id: string; job: Attempt },
): Promise<string> {
  const mails = await take(
    scope,
    {
      // One that was given up too: its dead letter was retried.
      which: `SELECT id FROM leanto_email_outbox WHERE id = ?3 AND state IN ('queued', 'failed')`,
      length: patience,
      again: `, state = 'queued', done_at = NULL`,
    },
    id,
  )
  const by = { patience, last: job.attempt >= job.attempts }
  const held = mails.map((mail) => ({ ...mail, by }))
  const [outcome] = (await deliverHeld(sending, scope, held)).values()
  // Its batch was not run, its key was used before, or another attempt was faster.
  if (!outcome) return 'nothing to send'
  if (outcome.state === 'failed') throw failure(outcome, job)
  return outcome.state
}

function failure(
  { error, final, retryAfter = 0 }: Outcome & { state: 'failed' },
  { attempt }: Attempt,
): Error {
  const wait = final ? null : Math.max(backoff(attempt), Math.min(retryAfter, 86_400))
  return Object.assign(new Error(error), { name: 'JobFailure', wait } satisfies Partial<JobFailed>)
}

const payload: StandardSchemaV1<{ id: string }> = {
  '~standard': {
    version: 1,
    vendor: 'leanto',
    validate: (value) =>
      typeof (value as { id?: unknown } | null)?.id === 'string'
        ? { value: value as { id: string } }
        : { issues: [{ message: 'must be { id }' }] },
  },
}
