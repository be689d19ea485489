import { SignJWT } from 'jose'
import type { Statement } from '../core/database.ts'
import { coreFaults } from '../core/fault.ts'
import { isUuid, uuidv7 } from '../core/id.ts'
import { type Claims, principalOf, verifyJwt } from '../core/jwt.ts'
import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { base64url, derive, hash, randomToken } from '../core/secret.ts'
import { algorithm } from './keys.ts'
import type { Settings } from './settings.ts'
import { audience, role, type Session, toUser, type UserRow } from './wire.ts'

/** A session that the next batch will store. */
export interface NewSession {
  readonly id: string
  readonly refreshToken: string
  readonly statements: readonly Statement[]
}

/**
 * The statements that start a user's session with its first refresh token. They store nothing unless the user still
 * has this password and is not banned, so that a session never outlives the proof that it was given for: a password
 * change between the check and this write wins.
 */
export async function newSession(
  settings: Settings,
  scope: Scope,
  user: { id: string; password: string },
): Promise<NewSession> {
  // The very first call makes the signing key. If that fails, it must before anything is stored.
  await settings.keys.signer(scope)
  const now = scope.now()
  const { idle, absolute } = settings.refresh
  const id = uuidv7(now)
  const refreshToken = randomToken()
  const notAfter = absolute === null ? null : now + absolute
  return {
    id,
    refreshToken,
    statements: [
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_sessions (id, user_id, created_at, not_after)
           SELECT ?1, id, ?2, ?3 FROM leanto_auth_users
           WHERE id = ?4 AND password = ?5 AND coalesce(banned_until, 0) <= ?2`,
        )
        .bind(id, now, notAfter, user.id, user.password),
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_refresh_tokens (hash, session_id, expires_at)
           SELECT ?1, id, ?2 FROM leanto_auth_sessions WHERE id = ?3`,
        )
        .bind(await hash(refreshToken), Math.min(now + idle, notAfter ?? Infinity), id),
    ],
  }
}

/**
 * The one child that a refresh token can have. Derived, not random, so that parallel calls with the same parent make
 * the same child without asking each other; whoever lacks the secret cannot compute it.
 */
export async function childOf(scope: Scope, refreshToken: string): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const bits = await derive(scope.secret, 'auth:refresh')
  const key = await crypto.subtle.importKey('raw', bits, algorithm, false, ['sign'])
  return base64url(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(refreshToken)))
}

/** Signs an access token (RFC 9068's idea with GoTrue's claims) and makes the answer of it. */
export async function answerSession(
  settings: Settings,
  scope: Scope,
  session: { id: string; createdAt: number; refreshToken: string; user: UserRow },
): Promise<Session> {
  const user = toUser(session.user)
  const { kid, key } = await settings.keys.signer(scope)
  const now = Math.floor(scope.now() / 1000)
  const expiresAt = now + settings.lifetime
  const claims = {
    iss: settings.issuer(scope),
    sub: user.id,
    aud: audience,
    exp: expiresAt,
    iat: now,
    email: user.email,
    phone: '',
    app_metadata: user.app_metadata,
    user_metadata: user.user_metadata,
    role,
    aal: 'aal1',
    amr: [{ method: 'password', timestamp: Math.floor(session.createdAt / 1000) }],
    session_id: session.id,
    is_anonymous: false,
  }
  return {
    access_token: await new SignJWT(claims)
      .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
      .sign(key),
    token_type: 'bearer',
    expires_in: settings.lifetime,
    expires_at: expiresAt,
    refresh_token: session.refreshToken,
    user,
  }
}

/**
 * Verifies an access token. No database trip once this isolate has the keys, so a session that has ended is still taken
 * until the token expires; `getUser` asks the database.
 *
 * @throws {Fault} `bad_token` (401).
 */
export async function verifyAccessToken(
  settings: Settings,
  scope: Scope,
  token: string,
): Promise<Principal> {
  const claims = await verifyJwt(token, settings.keys.keyOf(scope), {
    issuer: settings.issuer(scope),
    audience,
    algorithms: [algorithm],
    now: scope.now(),
  })
  if (claims.role !== role || !isUuid(claims.sub) || !isUuid(claims.session_id))
    throw coreFaults.bad_token({ message: 'Invalid token' })
  return principalOf(claims as Claims)
}

/** Who calls a verb on their own account: from a verified access token. */
export interface Caller {
  readonly userId: string
  readonly sessionId: string
}

/** @throws {Fault} `unauthenticated` (401) if the principal is no user of this module. */
export function callerOf(principal: Principal): Caller {
  const sessionId = principal.claims.session_id
  if (principal.role !== 'authenticated' || !isUuid(principal.id) || !isUuid(sessionId))
    throw coreFaults.unauthenticated()
  return { userId: principal.id, sessionId }
}
