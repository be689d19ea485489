import { SignJWT } from 'jose'
import type { QueryResult, Statement } from '../core/database.ts'
import { coreFaults } from '../core/fault.ts'
import { isUuid, uuidv7 } from '../core/id.ts'
import { type Claims, principalOf, verifyJwt } from '../core/jwt.ts'
import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { base64url, derive, hash, randomToken } from '../core/secret.ts'
import { aalOf, type Elsewhere } from './caller.ts'
import { type Condition, condition } from './condition.ts'
import { authFaults } from './faults.ts'
import { algorithm } from './keys.ts'
import type { Settings } from './settings.ts'
import { type Amr, audience, role, type Session, type SessionRow } from './wire.ts'

/** How a session began, as its `amr` claim says it (RFC 8176's idea with GoTrue's words). */
export type AuthMethod =
  | 'password'
  | 'otp'
  | 'magiclink'
  | 'email/signup'
  | 'recovery'
  | 'invite'
  | 'email_change'
  | 'oauth'
  | 'anonymous'
  | 'passkey'
  | 'web3'
  | 'impersonation'

/** What is remembered of the device that a session began on. */
export interface Client {
  readonly userAgent?: string | null | undefined
  /** The address that Cloudflare saw. */
  readonly ip?: string | null | undefined
}

export interface NewSession {
  /** Selects the one user `u`: with none, or one who is banned or deleted, no session starts. */
  user: Condition
  /** A word, or SQL that answers one. */
  method: AuthMethod | Condition
  client?: Client | undefined
}

/** A session that the next batch will store. */
export interface StartedSession {
  readonly id: string
  readonly refreshToken: string
  /** The last one reads what `answerSession` wants: its one row, or none if the guards refused. */
  readonly statements: readonly Statement[]
}

/**
 * The statements that start a user's session with its first refresh token. They join the batch that uses up the proof, and
 * their `user` asks for that proof, so that a session never outlives what it was given for: a password change between
 * the check and this write wins.
 */
export async function startSession(
  settings: Settings,
  scope: Scope,
  { user, method, client }: NewSession,
): Promise<StartedSession> {
  // The very first call makes the signing key. If that fails, it must before anything is stored.
  await settings.keys.signer(scope)
  const now = scope.now()
  const { idle, absolute } = settings.refresh
  const id = uuidv7(now)
  const refreshToken = randomToken()
  const notAfter = absolute === null ? null : now + absolute
  const how = typeof method === 'string' ? condition('?', method) : method
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_auth_sessions
         (id, user_id, created_at, not_after, amr, refreshed_at, user_agent, ip)
       SELECT ?, u.id, ?, ?, json_array(json_object('method', ${how.sql}, 'timestamp', ?)), ?, ?, ?
       FROM leanto_auth_users u
       WHERE (${user.sql}) AND coalesce(u.banned_until, 0) <= ? AND u.deleted_at IS NULL`,
    )
    .bind(
      id,
      now,
      notAfter,
      ...how.values,
      Math.floor(now / 1000),
      now,
      client?.userAgent?.slice(0, 512) ?? null,
      client?.ip ?? null,
      ...user.values,
      now,
    )
  const firstToken = scope.db
    .prepare(
      `INSERT INTO leanto_auth_refresh_tokens (hash, session_id, expires_at)
       SELECT ?1, id, ?2 FROM leanto_auth_sessions WHERE id = ?3`,
    )
    .bind(await hash(refreshToken), Math.min(now + idle, notAfter ?? Infinity), id)
  const seen = scope.db
    .prepare(
      `UPDATE leanto_auth_users SET last_sign_in_at = ?1, updated_at = ?1
       WHERE id = (SELECT user_id FROM leanto_auth_sessions WHERE id = ?2)`,
    )
    .bind(now, id)
  const joined = settings.parts.flatMap((part) => part.started?.(scope, id) ?? [])
  const read = readSession(settings, scope, id)
  return { id, refreshToken, statements: [insert, firstToken, seen, ...joined, read] }
}

/** Reads a session with its user: one `SessionRow`. */
export const readSession = (settings: Settings, scope: Scope, id: string): Statement =>
  scope.db
    .prepare(
      `SELECT ${settings.userColumns}, ${settings.sessionColumns}
       FROM leanto_auth_sessions s JOIN leanto_auth_users u ON u.id = s.user_id WHERE s.id = ?`,
    )
    .bind(id)

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

/**
 * Signs an access token (RFC 9068's idea with GoTrue's claims) and makes the answer of it.
 *
 * @param read What the last of the session's statements answered.
 * @throws {Fault} `otp_expired` (403) if no session was started: the proof was gone or the user may not sign in.
 */
export async function answerSession(
  settings: Settings,
  scope: Scope,
  { id, refreshToken }: { id: string; refreshToken: string },
  read: QueryResult | SessionRow | undefined,
): Promise<Session> {
  const row = read && 'results' in read ? (read.results[0] as SessionRow | undefined) : read
  if (!row) throw authFaults.otp_expired()
  // Whose sessions a part marks, it must be there to mark them: else they would go on as the user's own (case 18).
  if (row.tag && !settings.parts.some(({ name }) => name === row.tag))
    throw authFaults.session_not_found()
  const user = settings.toUser(row)
  const { kid, key } = await settings.keys.signer(scope)
  const now = Math.floor(scope.now() / 1000)
  // No token outlives its session.
  const last = row.not_after === null ? Number.POSITIVE_INFINITY : Math.floor(row.not_after / 1000)
  const expiresAt = Math.min(now + settings.lifetime, last)
  const claims = {
    iss: settings.issuer(scope),
    sub: user.id,
    aud: audience,
    exp: expiresAt,
    iat: now,
    email: user.email,
    phone: user.phone,
    app_metadata: user.app_metadata,
    user_metadata: user.user_metadata,
    role,
    aal: row.aal,
    amr: JSON.parse(row.amr) as Amr[],
    session_id: id,
    is_anonymous: user.is_anonymous,
    ...Object.assign({}, ...settings.parts.map((part) => part.claims?.(user, { ...row }))),
  }
  return {
    access_token: await new SignJWT({ ...(await settings.claims(scope, user)), ...claims })
      .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
      .sign(key),
    token_type: 'bearer',
    expires_in: expiresAt - now,
    expires_at: expiresAt,
    refresh_token: refreshToken,
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
  /** What the token says: whoever shows an older one is no surer than it. @default as the session has it */
  readonly aal?: string | undefined
  /** Of a token that another issuer has signed, who has the session. */
  readonly elsewhere?: Elsewhere | undefined
  /** Who acts in the user's place, as the token's claim `act` says it (RFC 8693, 4.1). */
  readonly act?: unknown
}

/** @throws {Fault} `unauthenticated` (401) if the principal is no user of this module. */
export function callerOf(principal: Principal): Caller {
  const sessionId = principal.claims.session_id
  if (principal.role !== 'authenticated' || !isUuid(principal.id) || !isUuid(sessionId))
    throw coreFaults.unauthenticated()
  return { userId: principal.id, sessionId, aal: aalOf(principal) }
}
