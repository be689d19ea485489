import type { Scope } from '../core/scope.ts'
import { authFaults } from './faults.ts'
import type { Caller } from './session.ts'

/** Which of the user's sessions end: all, the caller's own, or all but it. */
export type SignOutScope = 'global' | 'local' | 'others'

export interface SignOut extends Caller {
  which: SignOutScope
}

const ends: Readonly<Record<SignOutScope, string>> = {
  global: '1',
  local: 'id = ?2',
  others: 'id <> ?2',
}

/**
 * Ends sessions, and with them their refresh tokens. Access tokens that are out stay valid for other modules until they
 * expire. One trip.
 *
 * @throws {Fault} `session_not_found` (403) if the caller's own session has ended before.
 */
export async function signOut(scope: Scope, { userId, sessionId, which }: SignOut): Promise<void> {
  const own = scope.db
    .prepare('SELECT 1 FROM leanto_auth_sessions WHERE user_id = ?1 AND id = ?2')
    .bind(userId, sessionId)
  const end = scope.db
    .prepare(
      `DELETE FROM leanto_auth_sessions WHERE user_id = ?1 AND ${ends[which]} AND EXISTS (
         SELECT 1 FROM leanto_auth_sessions WHERE user_id = ?1 AND id = ?2)`,
    )
    .bind(userId, sessionId)
  const [found] = await scope.db.batch([own, end])
  if (found?.results.length !== 1) throw authFaults.session_not_found()
}
