import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { base64url, derive, hash, randomToken } from '../core/secret.ts'
import { type Condition, condition } from './condition.ts'

/** What a token may be used for; one of one kind is never taken for another (case 23). */
export type CodeKind =
  | 'signup'
  | 'recovery'
  | 'magiclink'
  | 'invite'
  | 'email_change_new'
  | 'email_change_current'
  | 'reauthentication'
  | 'sms'
  | 'phone_change'

/** Wrong guesses that a code endures. Its link lives on: a stranger's guesses must not end the owner's way in. */
const mostAttempts = 5

/** Seconds that a code lives at most (ASVS 5.0, 6.5.5), whatever its link does. */
export const longestCode = 600

export interface NewCode {
  kind: CodeKind
  /** Selects the one user `u` that it is for; with none, nothing is stored, at the same cost. */
  user: Condition
  /** Where it is sent, normalised. */
  target: string
  data?: object
  /** Digits of the code. */
  length: number
  /** How long the link lives; the code lives as long, but at most `longestCode`. */
  seconds: number
  /** Starts the link's token with `pkce_`, as GoTrue marks those that answer with a code. */
  pkce?: boolean
}

/** A token that the next batch will store, in place of the user's last one of this kind. */
export async function newCode(scope: Scope, input: NewCode) {
  const { kind, user, target, data = {}, length, seconds, pkce } = input
  const code = randomDigits(length)
  const tokenHash = (pkce ? 'pkce_' : '') + randomToken()
  const now = scope.now()
  const statement = scope.db
    .prepare(
      `INSERT INTO leanto_auth_tokens
         (hash, kind, user_id, target, code, code_expires_at, data, created_at, expires_at)
       SELECT ?, ?, u.id, ?, ?, ?, ?, ?, ? FROM leanto_auth_users u
       WHERE (${user.sql}) AND u.deleted_at IS NULL
       ON CONFLICT (user_id, kind) DO UPDATE SET hash = excluded.hash, target = excluded.target,
         code = excluded.code, code_expires_at = excluded.code_expires_at, attempts = 0,
         taken = NULL, data = excluded.data, created_at = excluded.created_at,
         expires_at = excluded.expires_at
       RETURNING user_id`,
    )
    .bind(
      await hash(tokenHash),
      kind,
      target,
      await codeHash(scope, target, code),
      now + Math.min(seconds, longestCode) * 1000,
      JSON.stringify(data),
      now,
      now + seconds * 1000,
      ...user.values,
    )
  return { code, tokenHash, statement }
}

/** What a client shows: the token of a link, or an address and the code that was sent there. */
export type Shown = { tokenHash: string } | { target: string; code: string }

/** A token that a batch takes first, and what of that batch may ask about it. */
export interface TakenCode {
  /** Goes first: marks the token as this batch's, or counts a wrong guess. Its rows are the tokens that it looked at. */
  readonly take: Statement
  /** The token `t` that was taken. */
  readonly token: Condition
  /** The user `u` whose token was taken; nobody if none was. */
  readonly user: Condition
  /** Goes last: the token is used. */
  readonly remove: Statement
}

/**
 * The statements that use a token up. They stand in one batch with what the token grants, each of which asks `user` or
 * `token`: parallel calls find it taken, and a batch that fails has neither taken it nor spent an attempt.
 */
export async function consumeCode(
  scope: Scope,
  kinds: readonly CodeKind[],
  shown: Shown,
  guard: Condition = condition('1'),
): Promise<TakenCode> {
  const now = scope.now()
  const mark = randomToken(16)
  const list = JSON.stringify(kinds)
  const of = 'kind IN (SELECT value FROM json_each(?))'
  let where: Condition
  let set: Condition
  if ('tokenHash' in shown) {
    where = condition(
      `hash = ? AND ${of} AND expires_at > ?`,
      await hash(shown.tokenHash),
      list,
      now,
    )
    set = condition('taken = ?', mark)
  } else {
    where = condition(
      `target = ? AND ${of} AND code_expires_at > ? AND attempts < ${mostAttempts}`,
      shown.target,
      list,
      now,
    )
    set = condition(
      'attempts = attempts + 1, taken = CASE WHEN code = ? THEN ? END',
      await codeHash(scope, shown.target, shown.code),
      mark,
    )
  }
  const token = condition(
    ['tokenHash' in shown ? 't.hash = ?' : 't.target = ?', 't.taken = ?'].join(' AND '),
    where.values[0],
    mark,
  )
  return {
    take: scope.db
      .prepare(
        `UPDATE leanto_auth_tokens AS t SET ${set.sql}
         WHERE ${where.sql} AND taken IS NULL AND (${guard.sql})
         RETURNING kind, user_id, target, data, taken`,
      )
      .bind(...set.values, ...where.values, ...guard.values),
    token,
    user: condition(
      `u.id = (SELECT t.user_id FROM leanto_auth_tokens t WHERE ${token.sql})`,
      ...token.values,
    ),
    remove: scope.db
      .prepare(`DELETE FROM leanto_auth_tokens AS t WHERE ${token.sql}`)
      .bind(...token.values),
  }
}

/** A row that `TakenCode.take` answers. */
export interface TakenRow {
  kind: CodeKind
  user_id: string
  target: string
  data: string
  /** `null` if the code was wrong. */
  taken: string | null
}

/** Uniform: a byte of 250 and more would favour the low digits. */
export function randomDigits(length: number): string {
  let digits = ''
  while (digits.length < length)
    for (const byte of crypto.getRandomValues(new Uint8Array(length * 2)))
      if (byte < 250 && digits.length < length) digits += byte % 10
  return digits
}

export const codeHash = (scope: Scope, target: string, code: string): Promise<string> =>
  keyedHash(scope, 'auth:code', JSON.stringify([target, code]))

/** HMAC-SHA-256 under the secret, base64url: of what is too short to be stored as a plain hash. */
export async function keyedHash(scope: Scope, purpose: string, text: string): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const bits = await derive(scope.secret, purpose)
  const key = await crypto.subtle.importKey('raw', bits, algorithm, false, ['sign'])
  return base64url(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(text)))
}

export const purgeCodes = (scope: Scope): Statement =>
  scope.db
    .prepare(
      `DELETE FROM leanto_auth_tokens WHERE hash IN (
         SELECT hash FROM leanto_auth_tokens WHERE expires_at <= ? LIMIT 1000)`,
    )
    .bind(scope.now())
