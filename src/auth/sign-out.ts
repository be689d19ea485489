import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { sessionOf } from './caller.ts'
import { condition } from './condition.ts'
import { authFaults } from './faults.ts'
import { endElsewhere, happened } from './part.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'

/** Which of the user's sessions end: all, the caller's own, or all but it. */
export type SignOutScope = 'global' | 'local' | 'others'

export interface SignOut extends Caller {
  which: SignOutScope
  /** Where the call comes from (`networkOf`). */
  network?: string | null
}

const ends: Readonly<Record<SignOutScope, string>> = {
  global: 'id IS NOT ?',
  local: 'id = ?',
  others: 'id <> ?',
}

/**
 * Ends sessions, and with them their refresh tokens. Access tokens that are out stay valid for other modules until they
 * expire. One trip.
 *
 * @throws {Fault} `session_not_found` (403) if the caller's own session has ended before.
 */
export const signOut =
  (settings: Settings) =>
  async (scope: Scope, input: SignOut): Promise<void> => {
    const { userId, sessionId, which, elsewhere, network, act } = input
    const session = sessionOf(scope, input)
    const own = scope.db
      .prepare(`SELECT 1 FROM ${session.sql} s WHERE s.user_id = ?`)
      .bind(...session.values, userId)
    const here = scope.db
      .prepare(
        `DELETE FROM leanto_auth_sessions WHERE user_id = ? AND ${ends[which]}
           AND EXISTS (SELECT 1 FROM ${session.sql})`,
      )
      .bind(userId, which === 'global' ? null : sessionId, ...session.values)
    const user = condition(`u.id IN (SELECT s.user_id FROM ${session.sql} s)`, ...session.values)
    const there: Record<SignOutScope, readonly Statement[]> = {
      global: endElsewhere(settings, scope, { user }),
      local: elsewhere ? endElsewhere(settings, scope, { user, which: sessionId }) : [],
      others: endElsewhere(settings, scope, { user, spared: sessionId }),
    }
    // Each asks whether the caller's session goes on: the one that ends it comes last.
    const end = elsewhere ? [here, ...there[which]] : [...there[which], here]
    const [found] = await scope.db.batch([own, ...end])
    if (found?.results.length !== 1) throw authFaults.session_not_found()
    happened(settings, scope, { action: 'logout', userId, network, data: { scope: which, act } })
  }
