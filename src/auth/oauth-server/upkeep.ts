import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import type { Condition } from '../condition.ts'
import type { Ending } from '../part.ts'

/** Rows of a kind that one run of the upkeep removes at most. */
const slice = 1000

/** Milliseconds that a used code is remembered after its end, so that it is known when it is shown again. */
const remembered = 3_600_000
/** Milliseconds after which a client that registered itself, and that nobody uses, is forgotten. */
const unused = 90 * 86_400_000

/** Deletes what has ended: requests, codes, grants whose session is gone, clients that registered themselves for nothing. */
export function purgeOAuth(scope: Scope): Statement[] {
  const now = scope.now()
  const prepare = (sql: string, ...values: unknown[]) => scope.db.prepare(sql).bind(...values)
  return [
    prepare(
      `DELETE FROM leanto_auth_oauth_requests WHERE id IN (
         SELECT id FROM leanto_auth_oauth_requests WHERE expires_at <= ? LIMIT ${slice})`,
      now,
    ),
    prepare(
      `DELETE FROM leanto_auth_oauth_codes WHERE hash IN (
         SELECT hash FROM leanto_auth_oauth_codes WHERE expires_at <= ? LIMIT ${slice})`,
      now - remembered,
    ),
    prepare(
      `DELETE FROM leanto_auth_oauth_sessions WHERE session_id IN (
         SELECT o.session_id FROM leanto_auth_oauth_sessions o WHERE NOT EXISTS (
           SELECT 1 FROM leanto_auth_sessions s WHERE s.id = o.session_id) LIMIT ${slice})`,
    ),
    prepare(
      `DELETE FROM leanto_auth_oauth_clients WHERE id IN (
         SELECT c.id FROM leanto_auth_oauth_clients c
         WHERE c.registration = 'dynamic' AND c.created_at <= ? AND NOT EXISTS (
           SELECT 1 FROM leanto_auth_oauth_consents n WHERE n.client_id = c.id)
         LIMIT ${slice})`,
      now - unused,
    ),
  ]
}

/** A user's own of every table. */
export const removeUser = (scope: Scope, userId: string): Statement[] =>
  ['requests', 'codes', 'consents', 'sessions'].map((table) =>
    scope.db.prepare(`DELETE FROM leanto_auth_oauth_${table} WHERE user_id = ?`).bind(userId),
  )

/** When a user's sessions end, so do the codes that were given and not yet exchanged. */
export const endCodes = (scope: Scope, { user }: Ending): Statement[] => [
  scope.db
    .prepare(
      `DELETE FROM leanto_auth_oauth_codes WHERE session_id IS NULL
         AND user_id IN (SELECT u.id FROM leanto_auth_users u WHERE ${user.sql})`,
    )
    .bind(...user.values),
]

/** What was agreed to before an address was proven may have been another's agreement (case 3). */
export const forgetConsents = (scope: Scope, user: Condition): Statement[] =>
  ['codes', 'consents'].map((table) =>
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_oauth_${table}
         WHERE user_id = (SELECT u.id FROM leanto_auth_users u WHERE ${user.sql})`,
      )
      .bind(...user.values),
  )
