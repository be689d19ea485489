import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { open, seal } from '../core/secret.ts'
import type { Outgoing } from './message.ts'
import { fromStored, longestPiece, pieces, toStored } from './stored.ts'

/*
 * A mail is a row before it is sent. Whoever sends it holds it for `lease`: after that it is due again, so that one whose
 * Worker died is sent by the next. `attempts` says whose hold it is: what a late one reports counts no more.
 */

/** Milliseconds. Longer than any transport may take. */
const lease = 5 * 60_000
export const mostAttempts = 10
const sentDays = 7
const failedDays = 30
const day = 86_400_000

const purpose = (id: string) => `email:outbox:${id}`

export interface Held {
  readonly id: string
  readonly attempts: number
  readonly local: boolean
  /** `null` if it cannot be opened: it was sealed under a secret that is no more. */
  readonly mail: Outgoing | null
  /** Whether its body goes on in other rows. */
  readonly long: boolean
  /** Who delivers it, if not the outbox itself. */
  readonly by?: Deliverer
}

/** Who sees itself that a mail is tried again. */
export interface Deliverer {
  /** Milliseconds until the outbox takes a mail all the same. */
  readonly patience: number
  /** Whether it will not try again. */
  readonly last: boolean
}

interface Row {
  id: string
  attempts: number
  local: number
  body: string | null
}

interface Enqueue {
  key?: string | undefined
  /** Whether the caller sends it at once. */
  held: boolean
  /** Milliseconds until it is due, if not. @default 0 */
  wait?: number | undefined
  /** What must be so for it to go in. */
  when?: { sql: string; values: readonly unknown[] }
}

/** The statements that put a mail into the outbox. The first answers a row unless `key` was used before. */
export async function enqueued(
  scope: Scope,
  mail: Outgoing,
  { key, held, wait = 0, when = { sql: 'true', values: [] } }: Enqueue,
): Promise<{ statements: Statement[]; held: Held }> {
  const [body, ...rest] = pieces(await seal(scope, purpose(mail.id), toStored(mail)))
  const now = scope.now()
  const attempts = held ? 1 : 0
  const due = now + (held ? lease : wait)
  const statements = [
    scope.db
      .prepare(
        `INSERT INTO leanto_email_outbox (id, key, state, attempts, due_at, local, created_at, body)
         SELECT ?, ?, 'queued', ?, ?, ?, ?, ? WHERE ${when.sql}
         ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING RETURNING id`,
      )
      .bind(mail.id, key ?? null, attempts, due, scope.local ? 1 : 0, now, body, ...when.values),
    ...rest.map((part, i) =>
      scope.db
        .prepare(
          `INSERT INTO leanto_email_parts (id, part, body)
           SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM leanto_email_outbox WHERE id = ?1)`,
        )
        .bind(mail.id, i, part),
    ),
  ]
  return {
    statements,
    held: { id: mail.id, attempts, local: scope.local, mail, long: rest.length > 0 },
  }
}

/** The statement that finds the mail of a key. */
export const byKey = (scope: Scope, key: string): Statement =>
  scope.db.prepare('SELECT id FROM leanto_email_outbox WHERE key = ?').bind(key)

/** Takes hold of what is due, 20 at most, or of one mail. */
export async function hold(scope: Scope, id?: string): Promise<Held[]> {
  const which = `SELECT id FROM leanto_email_outbox WHERE state = 'queued' AND due_at <= ?2`
  return id === undefined
    ? take(scope, { which: `${which} ORDER BY due_at LIMIT 20`, length: lease })
    : take(scope, { which: `${which} AND id = ?3`, length: lease }, id)
}

/**
 * Takes hold of mails.
 *
 * @param which Finds their ids; `?2` is now.
 * @param length Of the hold, in milliseconds.
 * @param again What else makes them such as wait. @default nothing
 */
export async function take(
  scope: Scope,
  { which, length, again = '' }: { which: string; length: number; again?: string },
  ...values: readonly unknown[]
): Promise<Held[]> {
  const now = scope.now()
  const { results } = await scope.db
    .prepare(
      `UPDATE leanto_email_outbox SET attempts = attempts + 1, due_at = ?1${again}
       WHERE id IN (${which}) RETURNING id, attempts, local, body`,
    )
    .bind(now + length, now, ...values)
    .all<Row>()
  return Promise.all(results.map((row) => opened(scope, row)))
}

async function opened(scope: Scope, { id, attempts, local, body }: Row): Promise<Held> {
  const long = body !== null && body.length >= longestPiece
  const whole = long ? body + (await restOf(scope, id)) : body
  const text = whole === null ? null : await open(scope, purpose(id), whole)
  return { id, attempts, local: local === 1, mail: text === null ? null : fromStored(text), long }
}

async function restOf(scope: Scope, id: string): Promise<string> {
  const { results } = await scope.db
    .prepare('SELECT body FROM leanto_email_parts WHERE id = ? ORDER BY part')
    .bind(id)
    .all<{ body: string }>()
  return results.map(({ body }) => body).join('')
}

export type Outcome =
  | { state: 'sent'; remote?: string | undefined; error?: string | undefined }
  | { state: 'suppressed' }
  /** Not begun: there was no time left. */
  | { state: 'released' }
  | { state: 'failed'; error: string; final: boolean; retryAfter?: number | undefined }

/** Whether it is given up. */
export const isLost = ({ attempts, by }: Held, outcome: Outcome): boolean =>
  outcome.state === 'failed' && (outcome.final || (by ? by.last : attempts >= mostAttempts))

/** The statements that write down what became of a mail, if it is still this holder's. */
export function finished(scope: Scope, held: Held, outcome: Outcome): Statement[] {
  const { id, attempts } = held
  const now = scope.now()
  const update = (set: string, ...values: unknown[]) =>
    scope.db
      .prepare(
        `UPDATE leanto_email_outbox SET ${set} WHERE id = ? AND attempts = ? AND state = 'queued'`,
      )
      .bind(...values, id, attempts)
  if (outcome.state === 'released') return [update('attempts = attempts - 1, due_at = ?', now)]
  if (outcome.state === 'failed') {
    const { error, retryAfter } = outcome
    // What failed is kept, sealed, to be sent again once the cause is gone.
    if (isLost(held, outcome))
      return [update(`state = 'failed', done_at = ?, error = ?`, now, error)]
    return [
      update('due_at = ?, error = ?', now + (held.by?.patience ?? waitOf(held, retryAfter)), error),
    ]
  }
  const { remote = null, error = null } = outcome.state === 'sent' ? outcome : {}
  return [
    update(
      'state = ?, done_at = ?, remote = ?, error = ?, body = NULL',
      outcome.state,
      now,
      remote,
      error,
    ),
    ...(held.long
      ? [scope.db.prepare('DELETE FROM leanto_email_parts WHERE id = ?').bind(id)]
      : []),
  ]
}

/** Seconds after an attempt that failed, of which the first is 1: 1, 2, 4 … minutes, at most 4 hours. */
export const backoff = (attempt: number): number => Math.min(60 * 2 ** (attempt - 1), 14_400)

/** Milliseconds: the backoff, each a fifth more or less so that those who failed together part. */
const waitOf = ({ attempts }: Held, retryAfter = 0): number =>
  1000 * Math.max(backoff(attempts) * (0.8 + Math.random() * 0.4), Math.min(retryAfter, 86_400))

export interface Status {
  id: string
  state: 'queued' | 'sent' | 'failed' | 'suppressed'
  attempts: number
  /** What went wrong last, in the transport's words. */
  error: string | null
  /** How the provider calls it. */
  remote: string | null
}

export const statusOf = (scope: Scope, id: string): Promise<Status | null> =>
  scope.db
    .prepare('SELECT id, state, attempts, error, remote FROM leanto_email_outbox WHERE id = ?')
    .bind(id)
    .first<Status>()

/** Makes a mail that has failed due again. @returns Whether there was one. */
export async function requeue(scope: Scope, id: string): Promise<boolean> {
  const { results } = await scope.db
    .prepare(
      `UPDATE leanto_email_outbox SET state = 'queued', attempts = 0, due_at = ?, done_at = NULL
       WHERE id = ? AND state = 'failed' RETURNING id`,
    )
    .bind(scope.now(), id)
    .all()
  return results.length > 0
}

/** Forgets what was sent 7 days, and what failed 30 days ago: idempotency keys live as long. 1,000 at a time. */
export const purge = (scope: Scope): Statement[] => {
  const now = scope.now()
  const old = (table: string, where: string, ...values: unknown[]) =>
    scope.db
      .prepare(`DELETE FROM ${table} WHERE id IN (SELECT id FROM ${where} LIMIT 1000)`)
      .bind(...values)
  return [
    old(
      'leanto_email_outbox',
      `leanto_email_outbox WHERE done_at <= ? AND (state <> 'failed' OR done_at <= ?)`,
      now - sentDays * day,
      now - failedDays * day,
    ),
    scope.db.prepare(
      `DELETE FROM leanto_email_parts WHERE NOT EXISTS (
         SELECT 1 FROM leanto_email_outbox AS o WHERE o.id = leanto_email_parts.id)`,
    ),
    old('leanto_email_events', 'leanto_email_events WHERE at <= ?', now - failedDays * day),
  ]
}
