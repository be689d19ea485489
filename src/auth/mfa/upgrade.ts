import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { beganAt } from '../caller.ts'
import { and, byId, condition } from '../condition.ts'
import { endElsewhere } from '../part.ts'
import { type Caller, readSession } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { FactorType } from './factor.ts'

/** How `amr` calls a factor, as GoTrue has it. */
const methods: Readonly<Record<FactorType, string>> = {
  totp: 'totp',
  phone: 'mfa/phone',
  webauthn: 'mfa/webauthn',
  recovery_code: 'mfa/recovery_code',
}

/**
 * The statements that raise the caller's session to aal2, for the batch whose first statement has set the factor's
 * `proof` to `mark`; where it has not, they do nothing. The session gets a new refresh token and all its earlier ones die
 * (ASVS 7.2.4, case 16); the user's other sessions that have shown no second factor end, as in GoTrue. In the place of a
 * session elsewhere there is one of ours from then on.
 *
 * @returns The statements, of which the last reads the session, and the session with its new token.
 */
export async function upgrade(
  settings: Settings,
  scope: Scope,
  input: Caller & { factorId: string; type: FactorType; mark: string },
) {
  const { userId, factorId, type, mark, elsewhere } = input
  const now = scope.now()
  const refreshToken = randomToken()
  const sessionId = elsewhere ? uuidv7(now) : input.sessionId
  const { absolute } = settings.refresh
  const proven = condition(
    'EXISTS (SELECT 1 FROM leanto_auth_factors p WHERE p.id = ? AND p.proof = ?)',
    factorId,
    mark,
  )
  const when = (sql: string, ...values: unknown[]): Statement =>
    scope.db.prepare(`${sql} AND ${proven.sql}`).bind(...values, ...proven.values)
  const method = methods[type]
  const moved = elsewhere && [
    when(
      `INSERT INTO leanto_auth_sessions (id, user_id, created_at, not_after, amr, refreshed_at)
       SELECT ?, u.id, ?, ?, ?, ? FROM leanto_auth_users u WHERE u.id = ?`,
      sessionId,
      beganAt(scope, elsewhere),
      absolute === null ? null : now + absolute,
      elsewhere.amr,
      now,
      userId,
    ),
    ...settings.parts.flatMap((part) => part.started?.(scope, sessionId) ?? []),
  ]
  const statements = [
    ...(moved ?? []),
    when(
      `UPDATE leanto_auth_sessions SET aal = 'aal2', factor_id = ?, refreshed_at = ?, amr = (
         SELECT json_group_array(json(entry)) FROM (
           SELECT json_object('method', ?, 'timestamp', ?) AS entry
           UNION ALL SELECT value FROM json_each(amr) WHERE value ->> 'method' <> ?))
       WHERE id = ?`,
      factorId,
      now,
      method,
      Math.floor(now / 1000),
      method,
      sessionId,
    ),
    when('DELETE FROM leanto_auth_refresh_tokens WHERE session_id = ?', sessionId),
    when(
      `INSERT INTO leanto_auth_refresh_tokens (hash, session_id, expires_at)
       SELECT ?, s.id, min(?, coalesce(s.not_after, ?)) FROM leanto_auth_sessions s WHERE s.id = ?`,
      await hash(refreshToken),
      now + settings.refresh.idle,
      now + settings.refresh.idle,
      sessionId,
    ),
    when(
      `DELETE FROM leanto_auth_sessions WHERE user_id = ? AND id <> ? AND aal = 'aal1'`,
      userId,
      sessionId,
    ),
    when(
      `DELETE FROM leanto_auth_factors
       WHERE user_id = ? AND status = 'unverified' AND type = ? AND id <> ?`,
      userId,
      type,
      factorId,
    ),
    ...endElsewhere(settings, scope, { user: and(byId(userId), proven), which: 'aal1' }),
    readSession(settings, scope, sessionId),
  ]
  return { statements, session: { id: sessionId, refreshToken } }
}
