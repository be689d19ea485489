import type { Statement } from '../core/database.ts'
import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { hash } from '../core/secret.ts'
import { type Condition, condition } from './condition.ts'
import { authFaults } from './faults.ts'
import { answerSession, childOf } from './session.ts'
import type { Settings } from './settings.ts'
import type { Session, SessionRow } from './wire.ts'

export interface Refresh {
  refreshToken: string
}

/** A refresh token with its session and user, if they are there. */
export type RotatedState = Omit<SessionRow, 'session_id'> & {
  used_at: number | null
  expires_at: number
  child: string | null
  session_id: string | null
}

export const refreshTokenShape = /^[\w-]{43}$/

/**
 * Exchanges a refresh token for a session with the next one. One trip.
 *
 * The batch is the whole decision: it consumes the token, stores its one child, or ends the session if the token had been
 * used before. Within the grace, as long as the child is unused, parallel and repeated calls get that same child.
 *
 * @throws {Fault} `refresh_token_not_found`, `refresh_token_already_used` (and the session has ended: RFC 9700, 4.14.2),
 * `session_expired`, `user_banned`.
 */
export const refresh =
  (settings: Settings) =>
  async (scope: Scope, { refreshToken }: Refresh): Promise<Session> => {
    if (!refreshTokenShape.test(refreshToken)) throw authFaults.refresh_token_not_found()
    const now = scope.now()
    const child = await childOf(scope, refreshToken)
    const [parentHash, childHash] = await Promise.all([hash(refreshToken), hash(child)])
    const read = scope.db
      .prepare(
        `SELECT ${settings.userColumns}, p.used_at, p.expires_at, p.child,
           ${settings.sessionColumns}
         FROM leanto_auth_refresh_tokens p
         LEFT JOIN leanto_auth_sessions s ON s.id = p.session_id
         LEFT JOIN leanto_auth_users u ON u.id = s.user_id
         WHERE p.hash = ?1`,
      )
      .bind(parentHash)

    const statements = [...rotation(settings, scope, { parentHash, childHash }), read]
    const results = await settings.keys.batch(scope, statements)
    const state = checkRotated(results[4]?.results[0] as RotatedState | undefined, childHash, now)
    try {
      const session = { id: state.session_id, refreshToken: child }
      return await answerSession(settings, scope, session, state)
    } catch (error) {
      // The host's hook for claims has failed, and the client has no child. Its next tries must not look like a thief's.
      if (!(error instanceof Fault) || error.status >= 500) await unused(scope, parentHash)
      throw error
    }
  }

export interface Rotation {
  /** Of the token that is used up. */
  parentHash: string
  /** Of the one that comes after it. */
  childHash: string
  /** What must hold of its session `s` besides. @default nothing */
  may?: Condition
}

/** The four statements that use a refresh token up, bear its child, and end the session if it had been used before. */
export function rotation(
  { refresh: { grace, idle } }: Settings,
  scope: Scope,
  { parentHash, childHash, may = condition('1') }: Rotation,
): Statement[] {
  const now = scope.now()
  const asked = may.sql === '1' ? '' : ` AND ${may.sql}`
  const consume = scope.db
    .prepare(
      `UPDATE leanto_auth_refresh_tokens SET used_at = ?1, child = ?3
       WHERE hash = ?2 AND used_at IS NULL AND expires_at > ?1 AND EXISTS (
         SELECT 1 FROM leanto_auth_sessions s JOIN leanto_auth_users u ON u.id = s.user_id
         WHERE s.id = session_id AND coalesce(s.not_after, ?1 + 1) > ?1
           AND coalesce(u.banned_until, 0) <= ?1 AND u.deleted_at IS NULL${asked})`,
    )
    .bind(now, parentHash, childHash, ...may.values)
  // Two calls in one millisecond both get here; the second finds the child there already.
  const bear = scope.db
    .prepare(
      `INSERT OR IGNORE INTO leanto_auth_refresh_tokens (hash, session_id, expires_at)
       SELECT ?1, p.session_id, min(?2, coalesce(s.not_after, ?2))
       FROM leanto_auth_refresh_tokens p JOIN leanto_auth_sessions s ON s.id = p.session_id
       WHERE p.hash = ?3 AND p.child = ?1 AND p.used_at = ?4`,
    )
    .bind(childHash, now + idle, parentHash, now)
  const seen = scope.db
    .prepare(
      `UPDATE leanto_auth_sessions SET refreshed_at = ?1 WHERE id = (
         SELECT session_id FROM leanto_auth_refresh_tokens WHERE hash = ?2 AND used_at = ?1)`,
    )
    .bind(now, parentHash)
  const revoke = scope.db
    .prepare(
      `DELETE FROM leanto_auth_sessions AS s WHERE s.id = (
         SELECT session_id FROM leanto_auth_refresh_tokens p
         WHERE p.hash = ?1 AND p.used_at IS NOT NULL AND (p.used_at < ?2 OR EXISTS (
           SELECT 1 FROM leanto_auth_refresh_tokens c
           WHERE c.hash = p.child AND c.used_at IS NOT NULL)))${asked}`,
    )
    .bind(parentHash, now - grace, ...may.values)
  return [consume, bear, seen, revoke]
}

/** Lets a token be used again, whose one child is not in use either. */
export const unused = (scope: Scope, parentHash: string) =>
  scope.db
    .prepare(
      `UPDATE leanto_auth_refresh_tokens AS p SET used_at = NULL WHERE hash = ?
         AND EXISTS (SELECT 1 FROM leanto_auth_refresh_tokens c
           WHERE c.hash = p.child AND c.used_at IS NULL)`,
    )
    .bind(parentHash)
    .run()

/**
 * @param state What stands of the token after its `rotation`.
 * @throws {Fault} What `refresh` throws.
 */
export function checkRotated(
  state: RotatedState | undefined,
  childHash: string,
  now: number,
): SessionRow & RotatedState {
  if (!state) throw authFaults.refresh_token_not_found()
  if (state.session_id === null || state.id === null || state.deleted_at !== null)
    throw state.used_at === null
      ? authFaults.refresh_token_not_found()
      : authFaults.refresh_token_already_used()
  if ((state.banned_until ?? 0) > now)
    throw authFaults.user_banned({ message: 'Invalid Refresh Token: User Banned' })
  if (state.expires_at <= now || (state.not_after ?? now + 1) <= now)
    throw authFaults.session_expired()
  // Used within the grace, but under another secret: the child that exists cannot be computed any more.
  if (state.child !== childHash) throw authFaults.refresh_token_already_used()
  return state as SessionRow & RotatedState
}
