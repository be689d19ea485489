import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { sessionOf } from '../caller.ts'
import { type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { answerSession, type Caller, readSession } from '../session.ts'
import type { Session } from '../wire.ts'
import { checkUser, isUser, standing } from './acting.ts'
import type { Context } from './context.ts'
import { organizationFaults } from './faults.ts'

/**
 * Makes an organisation the one that the caller's session is for, or none. The session gets new tokens and its earlier refresh
 * tokens die (ASVS 7.2.4, case 16). One trip.
 *
 * @param input.organizationId `null` for none.
 * @throws {Fault} What `checkUser` throws, `organization_not_found` (404), `session_not_found` (403) for a session of another
 * issuer, and for a token that is older than the session's second factor: refresh it first.
 */
export const setActive =
  ({ settings }: Context) =>
  async (
    scope: Scope,
    { actor, organizationId }: { actor: Caller; organizationId: string | null },
  ): Promise<Session> => {
    if (actor.elsewhere) throw authFaults.session_not_found()
    const { userId, sessionId } = actor
    const session = sessionOf(scope, actor)
    const user = isUser(scope, actor)
    // What the row says is what the new token will say: no more than the one that was shown.
    const alive = condition(
      `EXISTS (SELECT 1 FROM ${session.sql} c
         JOIN leanto_auth_sessions n ON n.id = c.id AND n.aal = c.aal)
       AND EXISTS (SELECT 1 FROM leanto_auth_users u WHERE ${user.sql})`,
      ...session.values,
      ...user.values,
    )
    const member = condition(
      'EXISTS (SELECT 1 FROM leanto_auth_members WHERE organization_id = ? AND user_id = ?)',
      organizationId,
      userId,
    )
    const good =
      organizationId === null
        ? alive
        : condition(`${alive.sql} AND ${member.sql}`, ...alive.values, ...member.values)
    const when = (sql: string, { sql: more, values: shown }: Condition, ...values: unknown[]) =>
      scope.db.prepare(`${sql} ${more}`).bind(...values, ...shown)
    const now = scope.now()
    const { idle } = settings.refresh
    const refreshToken = randomToken()
    const chosen =
      organizationId === null
        ? when(
            'DELETE FROM leanto_auth_active_organizations WHERE session_id = ? AND',
            good,
            sessionId,
          )
        : scope.db
            .prepare(
              `INSERT INTO leanto_auth_active_organizations (session_id, organization_id)
               SELECT ?, ? WHERE ${good.sql} ON CONFLICT (session_id)
               DO UPDATE SET organization_id = excluded.organization_id`,
            )
            .bind(sessionId, organizationId, ...good.values)
    const [caller, found, , , , , read] = await settings.keys.batch(scope, [
      standing(scope, { actor, organizationId: organizationId ?? '' }),
      when('SELECT 1 WHERE', good),
      chosen,
      when('DELETE FROM leanto_auth_refresh_tokens WHERE session_id = ? AND', good, sessionId),
      when(
        `INSERT INTO leanto_auth_refresh_tokens (hash, session_id, expires_at)
         SELECT ?, x.id, min(?, coalesce(x.not_after, ?)) FROM leanto_auth_sessions x
         WHERE x.id = ? AND`,
        good,
        ...[await hash(refreshToken), now + idle, now + idle, sessionId],
      ),
      when(
        'UPDATE leanto_auth_sessions SET refreshed_at = ? WHERE id = ? AND',
        good,
        now,
        sessionId,
      ),
      readSession(settings, scope, sessionId),
    ])
    const row = checkUser(scope, caller?.results[0]) as { member_role?: string | null } | undefined
    if (organizationId !== null && row?.member_role === null)
      throw organizationFaults.organization_not_found()
    if (!found?.results[0]) throw authFaults.session_not_found()
    return answerSession(settings, scope, { id: sessionId, refreshToken }, read)
  }
