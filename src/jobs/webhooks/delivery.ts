import { closedTarget } from '../../core/address.ts'
import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { open } from '../../core/secret.ts'
import { giveUp, retryIn } from '../failure.ts'
import type { Job } from '../handler.ts'
import { purposeOf, type Targets } from './endpoints.ts'
import { signatureOf } from './signature.ts'

export interface DeliverySettings extends Targets {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  /** Seconds. */
  readonly timeout: number
}

interface Row {
  url: string
  secret: string
  old_secret: string | null
  old_until: number | null
  disabled: string | null
  body: string
}

/** What an attempt came to. */
interface Answer {
  readonly status: number | null
  /** Why there is no status, or why it does not count. Never what the receiver wrote: that may be anything. */
  readonly error: string | null
  readonly retryAfter?: number
  /** No later attempt would fare better. */
  readonly final?: boolean
}

/**
 * Delivers a message to an endpoint, and writes the attempt into the log. Two trips.
 *
 * @returns The status, or `null` if there is nothing to deliver any more.
 */
export async function deliverTo(
  scope: Scope,
  settings: DeliverySettings,
  { endpoint, message, job }: { endpoint: string; message: string; job: Job },
): Promise<{ status: number | null }> {
  const row = await scope.db
    .prepare(
      `SELECT e.url, e.secret, e.old_secret, e.old_until, e.disabled, m.body
       FROM leanto_jobs_endpoints e JOIN leanto_jobs_messages m ON m.id = ?2 WHERE e.id = ?1`,
    )
    .bind(endpoint, message)
    .first<Row>()
  // Removed or disabled since, or the message was forgotten: that is no failure.
  if (!row || row.disabled !== null) return { status: null }
  const started = scope.now()
  const answer = await call(scope, settings, { row, endpoint, message, job })
  const { status, error } = answer
  const log = scope.db
    .prepare(
      `INSERT INTO leanto_jobs_deliveries (endpoint_id, message_id, attempt, at, took, status, error)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(endpoint, message, job.attempt, started, scope.now() - started, status, error)
  await scope.db.batch(status === 410 ? [log, disable(scope, endpoint)] : [log])
  if (error === null) return { status }
  if (answer.final) throw giveUp(error)
  throw answer.retryAfter === undefined ? new Error(error) : retryIn(answer.retryAfter, error)
}

/** 410 Gone: the receiver wants no more of it, as Standard Webhooks says. */
const disable = ({ db }: Scope, endpoint: string): Statement =>
  db
    .prepare(
      `UPDATE leanto_jobs_endpoints SET disabled = 'The receiver answered 410 Gone' WHERE id = ?`,
    )
    .bind(endpoint)

async function call(
  scope: Scope,
  { fetch, timeout, resolve, unsafeAllow }: DeliverySettings,
  { row, endpoint, message, job }: { row: Row; endpoint: string; message: string; job: Job },
): Promise<Answer> {
  const url = new URL(row.url)
  try {
    const closed = unsafeAllow(url) ? undefined : await closedTarget(url, resolve)
    if (closed) return { status: null, error: `The address ${closed}`, final: true }
  } catch {
    return { status: null, error: 'The name could not be resolved' }
  }
  const secrets = await secretsOf(scope, endpoint, row)
  if (!secrets) return { status: null, error: 'The secret cannot be opened', final: true }
  const timestamp = Math.floor(scope.now() / 1000)
  try {
    const response = await fetch(url.href, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'leanto-webhooks',
        'webhook-id': message,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': await signatureOf({ id: message, timestamp, body: row.body }, secrets),
      },
      body: row.body,
      // A redirect would lead past the check of the address.
      redirect: 'manual',
      signal: AbortSignal.any([job.signal, AbortSignal.timeout(timeout * 1000)]),
    })
    await response.body?.cancel().catch(() => {})
    return answerOf(response, scope.now())
  } catch (error) {
    const late = error instanceof Error && error.name === 'TimeoutError'
    return {
      status: null,
      error: late ? `No answer in ${timeout} s` : 'The connection failed',
    }
  }
}

function answerOf({ status, headers }: Response, now: number): Answer {
  if (status >= 200 && status < 300) return { status, error: null }
  if (status === 410) return { status, error: 'The receiver answered 410 Gone', final: true }
  const error = `The receiver answered ${status}`
  const wait = status === 429 || status === 503 ? waitOf(headers.get('retry-after'), now) : null
  return wait === null ? { status, error } : { status, error, retryAfter: wait }
}

/** In seconds. Not at once, whatever is asked for: attempts would be spent in a moment. */
const [shortestWait, longestWait] = [5, 24 * 60 * 60]

/** `Retry-After` (RFC 9110, 10.2.3): seconds or a date, which ends with GMT. */
function waitOf(header: string | null, now: number): number | null {
  if (header === null || !/^(?:\d+|[A-Z][\w, :-]+ GMT)$/.test(header)) return null
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, shortestWait), longestWait) : null
}

async function secretsOf(scope: Scope, endpoint: string, row: Row): Promise<string[] | null> {
  const sealed = [row.secret]
  if (row.old_secret !== null && (row.old_until ?? 0) > scope.now()) sealed.push(row.old_secret)
  const secrets = await Promise.all(sealed.map((one) => open(scope, purposeOf(endpoint), one)))
  return secrets.every((secret) => secret !== null) ? secrets : null
}
