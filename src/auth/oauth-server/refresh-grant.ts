import { Fault } from '../../core/fault.ts'
import { condition } from '../condition.ts'
import { checkRotated, type RotatedState, refreshTokenShape, rotation, unused } from '../refresh.ts'
import { childOf } from '../session.ts'
import { wordsOf } from './client.ts'
import type { Grant } from './extension.ts'
import { oauthServerFaults } from './faults.ts'
import { invalidRequest } from './form.ts'
import { checkResource, targetsOf } from './resource.ts'
import { answerGrant, type GrantRow, grantColumns, refreshHash } from './tokens.ts'

const invalidGrant = (message: string, cause?: unknown) =>
  oauthServerFaults.invalid_grant({ message, cause })

/**
 * `grant_type=refresh_token` (OAuth 2.1, 4.3). Each token is used once and gives the next; one that is shown again after the
 * grace ends the session (RFC 9700, 4.14.2). Within it, parallel calls get the same.
 */
export const refreshGrant: Grant = async (server, scope, { form, client, binding }) => {
  const { settings } = server
  const shown = form.get('refresh_token')
  if (!shown) throw invalidRequest('refresh_token is required')
  if (!refreshTokenShape.test(shown)) throw invalidGrant('The refresh token is not valid')
  const wanted = targetsOf(form)
  const words = wordsOf(form.get('scope'))
  const now = scope.now()
  const child = await childOf(scope, shown)
  const [parentHash, childHash] = await Promise.all([refreshHash(shown), refreshHash(child)])
  const may = condition(
    `EXISTS (SELECT 1 FROM leanto_auth_oauth_sessions o WHERE o.session_id = s.id
       AND o.client_id = ? AND coalesce(o.jkt, ?) IS ?
       AND NOT EXISTS (SELECT 1 FROM json_each(?) w
         WHERE instr(' ' || o.scope || ' ', ' ' || w.value || ' ') = 0)
       AND NOT EXISTS (SELECT 1 FROM json_each(?) r
         WHERE r.value NOT IN (SELECT value FROM json_each(o.resource))))`,
    ...[client.id, binding?.jkt ?? null, binding?.jkt ?? null],
    ...[JSON.stringify(words), JSON.stringify(wanted)],
  )
  const read = scope.db
    .prepare(
      `SELECT ${grantColumns(settings)}, p.used_at, p.expires_at, p.child
       FROM leanto_auth_refresh_tokens p
       JOIN leanto_auth_oauth_sessions o ON o.session_id = p.session_id
       LEFT JOIN leanto_auth_sessions s ON s.id = p.session_id
       LEFT JOIN leanto_auth_users u ON u.id = s.user_id
       WHERE p.hash = ?`,
    )
    .bind(parentHash)
  const statements = [...rotation(settings, scope, { parentHash, childHash, may }), read]
  const results = await settings.keys.batch(scope, statements)
  const found = results.at(-1)?.results[0] as (GrantRow & RotatedState) | undefined
  if (!found || found.client_id !== client.id) throw invalidGrant('The refresh token is not valid')
  if (found.session_id !== null) {
    if (found.jkt !== null && found.jkt !== binding?.jkt)
      throw invalidGrant('The refresh token is bound to another key')
    const granted = wordsOf(found.scope)
    if (words.some((word) => !granted.includes(word)))
      throw oauthServerFaults.invalid_scope({ message: 'That is more than was granted' })
    const target = checkResource(wanted, found.resource)
    if (target) throw target
  }
  try {
    checkRotated(found, childHash, now)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw invalidGrant(error.message, error)
  }
  try {
    return await answerGrant(server, scope, {
      ...{ row: found, refreshToken: child, binding },
      scope: words.length > 0 ? words.join(' ') : undefined,
      resource: wanted.length > 0 ? wanted : undefined,
    })
  } catch (error) {
    // As `refresh` of `auth`: the client has no child, and its next try must not look like a thief's.
    if (!(error instanceof Fault) || error.status >= 500) await unused(scope, parentHash)
    throw error
  }
}
