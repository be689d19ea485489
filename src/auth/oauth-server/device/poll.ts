import { Fault } from '../../../core/fault.ts'
import type { Scope } from '../../../core/scope.ts'
import { condition } from '../../condition.ts'
import { happened } from '../../part.ts'
import type { Grant } from '../extension.ts'
import { oauthServerFaults } from '../faults.ts'
import { invalidRequest } from '../form.ts'
import { checkResource, targetsOf } from '../resource.ts'
import { answerGrant, type GrantRow, newGrantId, startGrant } from '../tokens.ts'
import { deviceHash } from './begin.ts'
import { deviceFaults } from './faults.ts'

/** A row of `leanto_auth_oauth_devices`, as a poll reads it. */
interface Looked {
  decision: 'approved' | 'denied' | null
  early: number
  resource: string
  session_id: string | null
  expires_at: number
}

/** Seconds that a device is told to wait longer, each time that it came too early (RFC 8628, 3.5). */
const slower = 5
/** The longest that it is made to wait. */
const slowest = 60
/** Milliseconds of each second of the interval that must have passed: a network does not deliver as evenly as is sent. */
const passed = 800

/**
 * `grant_type=urn:ietf:params:oauth:grant-type:device_code` (RFC 8628, 3.4). The batch is the whole decision: it counts the poll
 * and, once its user has approved, uses the code up and starts the session. Of many polls one is given it (case 19).
 *
 * Early is what comes before the interval has passed since the last poll that was not: a device that polls evenly, but too
 * fast, is told so, and still gets its answer in time. Whoever has been approved is not kept waiting.
 */
export const deviceCodeGrant: Grant = async (server, scope, asked) => {
  const { settings } = server
  const { form, client, binding, device } = asked
  const code = form.get('device_code')
  if (!code) throw invalidRequest('device_code is required')
  const wanted = targetsOf(form)
  const key = await deviceHash(code)
  const now = scope.now()
  const id = newGrantId(scope)
  const early = `coalesce(polled_at + every * ${passed}, 0) > ?2`
  const count = scope.db
    .prepare(
      `UPDATE leanto_auth_oauth_devices SET early = ${early},
         every = CASE WHEN ${early} THEN min(every + ${slower}, max(every, ${slowest})) ELSE every END,
         polled_at = CASE WHEN ${early} THEN polled_at ELSE ?2 END
       WHERE hash = ?1 AND client_id = ?3 AND decision IS NULL AND expires_at > ?2`,
    )
    .bind(key, now, client.id)
  // Whoever has been signed out since, or has taken the grant back, has not approved any more.
  const take = scope.db
    .prepare(
      `UPDATE leanto_auth_oauth_devices AS d SET session_id = ? WHERE d.hash = ?
         AND d.session_id IS NULL AND d.decision = 'approved' AND d.expires_at > ?
         AND d.client_id = ? AND NOT EXISTS (SELECT 1 FROM json_each(?) r
           WHERE r.value NOT IN (SELECT value FROM json_each(d.resource)))
         AND (d.approved_in IS NULL OR EXISTS (
           SELECT 1 FROM leanto_auth_sessions s WHERE s.id = d.approved_in))
         AND EXISTS (SELECT 1 FROM leanto_auth_oauth_consents n
           WHERE n.user_id = d.user_id AND n.client_id = d.client_id)
         AND EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = d.user_id
           AND coalesce(u.banned_until, 0) <= ? AND u.deleted_at IS NULL)`,
    )
    .bind(id, key, now, client.id, JSON.stringify(wanted), now)
  const look = scope.db
    .prepare(
      `SELECT decision, early, resource, session_id, expires_at
       FROM leanto_auth_oauth_devices WHERE hash = ? AND client_id = ?`,
    )
    .bind(key, client.id)
  const from = condition(
    'leanto_auth_oauth_devices g WHERE g.hash = ? AND g.session_id = ?',
    key,
    id,
  )
  const started = await startGrant(server, scope, { id, from, client, binding, device })
  const results = await settings.keys.batch(scope, [count, take, look, ...started.statements])
  const row = results.at(-1)?.results[0] as GrantRow | undefined
  if (!row) throw why(results[2]?.results[0] as Looked | undefined, now, wanted)
  const data = { client_id: client.id, scope: row.scope }
  const resource = wanted.length > 0 ? wanted : undefined
  try {
    const answer = await answerGrant(server, scope, {
      ...{ row, refreshToken: started.refreshToken, binding, resource },
    })
    happened(settings, scope, { action: 'login', userId: row.id, network: asked.network, data })
    return answer
  } catch (error) {
    // The host's hook for claims has failed, and the device has nothing: its user need not enter another code.
    if (!(error instanceof Fault) || error.status >= 500) await giveBack(scope, key, id)
    throw error
  }
}

const giveBack = (scope: Scope, key: string, id: string) =>
  scope.db.batch([
    scope.db.prepare('DELETE FROM leanto_auth_sessions WHERE id = ?').bind(id),
    scope.db.prepare('DELETE FROM leanto_auth_oauth_sessions WHERE session_id = ?').bind(id),
    scope.db
      .prepare(
        'UPDATE leanto_auth_oauth_devices SET session_id = NULL WHERE hash = ? AND session_id = ?',
      )
      .bind(key, id),
  ])

function why(looked: Looked | undefined, now: number, wanted: readonly string[]): Error {
  const invalid = (message: string) => oauthServerFaults.invalid_grant({ message })
  if (!looked) return invalid('The device code is not valid, or has ended')
  if (looked.session_id !== null) return invalid('The device code has been used')
  if (looked.expires_at <= now) return deviceFaults.expired_token()
  if (looked.decision === null)
    return looked.early === 1 ? deviceFaults.slow_down() : deviceFaults.authorization_pending()
  if (looked.decision === 'denied') return deviceFaults.access_denied()
  return (
    checkResource(wanted, looked.resource) ??
    deviceFaults.access_denied({ message: 'The user has taken the approval back' })
  )
}
