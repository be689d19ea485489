import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { isGuestsStill, sessionOf, signInFirst } from '../caller.ts'
import { type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import type { Caller } from '../session.ts'
import type { FactorRow } from './factor.ts'

/** Who calls, how sure we are of them, and what they could show. */
export interface Standing {
  readonly email: string | null
  /** The address, if it is proven: where notices go. */
  readonly mailbox: string | null
  readonly phone: string | null
  readonly aal: string
  readonly factors: readonly FactorRow[]
}

interface StandingRow {
  email: string | null
  amr: string
  email_confirmed_at: number | null
  phone: string | null
  banned_until: number | null
  is_anonymous: number
  session_id: string | null
  aal: string
}

/** Two statements for a batch; `readStanding` reads their answers. */
export function standing(scope: Scope, caller: Caller): Statement[] {
  const { userId } = caller
  const session = sessionOf(scope, caller)
  return [
    scope.db
      .prepare(
        `SELECT u.email, u.email_confirmed_at, u.phone, u.banned_until, u.is_anonymous,
           s.id AS session_id, s.aal, s.amr
         FROM leanto_auth_users u LEFT JOIN ${session.sql} s ON s.user_id = u.id
         WHERE u.id = ? AND u.deleted_at IS NULL`,
      )
      .bind(...session.values, userId),
    scope.db
      .prepare('SELECT * FROM leanto_auth_factors WHERE user_id = ? ORDER BY id')
      .bind(userId),
  ]
}

/**
 * @param read What the two statements answered.
 * @throws {Fault} `user_not_found`, `session_not_found`, `user_banned`, `no_authorization` (403 each), and
 * `reauthentication_needed` for a guest who has become a user since.
 */
export function readStanding(
  scope: Scope,
  read: readonly { results: readonly unknown[] }[],
): Standing {
  const row = read[0]?.results[0] as StandingRow | undefined
  if (!row) throw authFaults.user_not_found()
  if (row.session_id === null) throw authFaults.session_not_found()
  if ((row.banned_until ?? 0) > scope.now()) throw authFaults.user_banned({ status: 403 })
  if (row.is_anonymous === 1)
    throw authFaults.no_authorization({
      status: 403,
      message: 'Anonymous user not allowed to perform these actions',
    })
  if (isGuestsStill(row)) throw signInFirst()
  const { email, phone, aal } = row
  const mailbox = row.email_confirmed_at === null ? null : email
  return { email, mailbox, phone, aal, factors: (read[1]?.results ?? []) as FactorRow[] }
}

/**
 * For `FROM`, with a `WHERE` and more to follow: the caller's session `s`, as long as it lives and its user may use it. What
 * `readStanding` refuses, a write does too.
 */
export function alive(scope: Scope, caller: Caller): Condition {
  const session = sessionOf(scope, caller)
  return condition(
    `${session.sql} s WHERE EXISTS (
       SELECT 1 FROM leanto_auth_users u WHERE u.id = s.user_id AND u.deleted_at IS NULL
         AND u.is_anonymous = 0 AND coalesce(u.banned_until, 0) <= ?)`,
    ...session.values,
    scope.now(),
  )
}
