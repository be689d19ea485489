import { errors, jwtVerify } from 'jose'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { condition } from '../condition.ts'
import { algorithm } from '../keys.ts'
import { happened } from '../part.ts'
import { refreshTokenShape } from '../refresh.ts'
import type { Settings } from '../settings.ts'
import { isPublic } from './client.ts'
import { authenticateClient } from './client-auth.ts'
import { oauthServerFaults } from './faults.ts'
import { inProtocol, invalidRequest, readForm, secretly } from './form.ts'
import type { Server } from './settings.ts'
import { refreshHash } from './tokens.ts'

type Claims = Record<string, unknown>

/** What an access token of ours says; `null` if it is none, or has ended. Whoever it is for. */
async function readAccess(settings: Settings, scope: Scope, token: string): Promise<Claims | null> {
  try {
    const { payload } = await jwtVerify(token, settings.keys.keyOf(scope), {
      issuer: settings.issuer(scope),
      algorithms: [algorithm],
      typ: 'at+jwt',
      currentDate: new Date(scope.now()),
      requiredClaims: ['sub', 'exp', 'client_id'],
    })
    return payload
  } catch (cause) {
    if (cause instanceof errors.JOSEError) return null
    throw cause
  }
}

async function shown(server: Server, scope: Scope, request: Request) {
  const form = await readForm(request)
  const { client } = await authenticateClient(server.settings, scope, { request, form })
  const token = form.get('token')
  if (!token) throw invalidRequest('token is required')
  return { client, token }
}

/** Whose session `s` a token is of, which is still to be asked for its client. */
async function sessionAt(settings: Settings, scope: Scope, token: string) {
  if (refreshTokenShape.test(token)) {
    const sql = 's.id = (SELECT session_id FROM leanto_auth_refresh_tokens WHERE hash = ?)'
    return { claims: null, where: condition(sql, await refreshHash(token)) }
  }
  const claims = await readAccess(settings, scope, token)
  const where = claims ? condition('s.id = ?', String(claims.session_id ?? '')) : null
  return { claims, where }
}

/**
 * `POST /oauth/revoke` (RFC 7009): by either token the whole grant's session ends, with its refresh tokens. What is no token of
 * this client's is answered the same. Two trips.
 */
export const revoke = (server: Server): Route[2] =>
  inProtocol(async (scope, c) => {
    const { settings } = server
    const { client, token } = await shown(server, scope, c.req.raw)
    const { where } = await sessionAt(settings, scope, token)
    if (where) {
      const ended = await scope.db
        .prepare(
          `DELETE FROM leanto_auth_sessions AS s WHERE ${where.sql} AND EXISTS (
             SELECT 1 FROM leanto_auth_oauth_sessions o
             WHERE o.session_id = s.id AND o.client_id = ?) RETURNING user_id`,
        )
        .bind(...where.values, client.id)
        .first<{ user_id: string }>()
      const data = { client_id: client.id }
      if (ended)
        happened(settings, scope, { action: 'oauth_token_revoked', userId: ended.user_id, data })
    }
    return secretly({})
  })

interface Row {
  user_id: string
  scope: string
  resource: string
  jkt: string | null
  expires_at: number | null
}

/**
 * `POST /oauth/introspect` (RFC 7662): what a client with a secret was given, and whether it still holds. Of what is another's
 * it learns nothing. Two trips.
 */
export const introspect = (server: Server): Route[2] =>
  inProtocol(async (scope, c) => {
    const { settings } = server
    const { client, token } = await shown(server, scope, c.req.raw)
    if (isPublic(client)) throw oauthServerFaults.unauthorized_client()
    const { claims, where } = await sessionAt(settings, scope, token)
    // A machine's own: there is no session that could have ended.
    if (claims && claims.sub === client.id) return secretly(described(claims))
    if (!where) return secretly({ active: false })
    const now = scope.now()
    const row = await scope.db
      .prepare(
        `SELECT o.user_id, o.scope, o.resource, o.jkt,
           (SELECT min(t.expires_at) FROM leanto_auth_refresh_tokens t
            WHERE t.hash = ? AND t.used_at IS NULL AND t.expires_at > ?) AS expires_at
         FROM leanto_auth_sessions s JOIN leanto_auth_oauth_sessions o ON o.session_id = s.id
         JOIN leanto_auth_users u ON u.id = s.user_id
         WHERE ${where.sql} AND o.client_id = ? AND coalesce(s.not_after, ?) > ?
           AND coalesce(u.banned_until, 0) <= ? AND u.deleted_at IS NULL`,
      )
      .bind(await refreshHash(token), now, ...where.values, client.id, now + 1, now, now)
      .first<Row>()
    if (!row) return secretly({ active: false })
    if (claims) return secretly(described(claims))
    if (row.expires_at === null) return secretly({ active: false })
    return secretly({
      active: true,
      iss: settings.issuer(scope),
      sub: row.user_id,
      client_id: client.id,
      scope: row.scope,
      exp: Math.floor(row.expires_at / 1000),
      ...(row.jkt === null ? {} : { cnf: { jkt: row.jkt } }),
    })
  })

/** The members of RFC 7662, 2.2. */
function described({ iss, sub, aud, exp, iat, jti, client_id, scope, cnf }: Claims): Claims {
  const token_type = cnf === undefined ? 'Bearer' : 'DPoP'
  return { active: true, iss, sub, aud, exp, iat, jti, client_id, scope, token_type, cnf }
}
