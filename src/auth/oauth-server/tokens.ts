import { SignJWT } from 'jose'
import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { base64url, hash, randomToken } from '../../core/secret.ts'
import type { Condition } from '../condition.ts'
import { algorithm } from '../keys.ts'
import type { Client } from '../session.ts'
import type { Settings } from '../settings.ts'
import { type Amr, audience, role, type SessionRow, type User } from '../wire.ts'
import { type ClientRow, grantTypesOf, wordsOf } from './client.ts'
import type { Binding, TokenAnswer } from './extension.ts'
import type { Server } from './settings.ts'
import { claimsOf } from './user-claims.ts'

/*
 * What a client is given is a session of the user's, as GoTrue has it: it ends with all others at a new password, a ban, a
 * deletion or a global sign-out. Its refresh token is in the same table, under a hash of another kind, so that `/token` of
 * `auth` itself, which authenticates no client, does not know it (case 15).
 */
export const refreshHash = (token: string): Promise<string> => hash(`oauth:${token}`)

/** A client's session with its user, as `readGrant` reads it. */
export type GrantRow = SessionRow & {
  client_id: string
  scope: string
  /** JSON list. */
  resource: string
  jkt: string | null
  /** Seconds. */
  auth_time: number
}

const columns = 'o.client_id, o.scope, o.resource, o.jkt, o.auth_time'

/** Of a session `s`, its user `u` and what it was granted for, `o`. */
export const grantColumns = (settings: Settings): string =>
  `${settings.userColumns}, ${settings.sessionColumns}, ${columns}`

export interface NewGrant {
  /** `newGrantId`, which the row that is used up may bear as its mark. */
  readonly id: string
  /**
   * What follows `FROM`: the one row `g` that was used up for it, with `user_id, client_id, scope, resource, aal, amr,
   * factor_id, auth_time, jkt`; none, and nothing is stored. It has to have asked for the user's being neither banned nor
   * deleted.
   */
  readonly from: Condition
  readonly client: ClientRow
  readonly binding: Binding | undefined
  readonly device: Client
}

export const newGrantId = (scope: Scope): string => uuidv7(scope.now())

/**
 * The statements that start a client's session; they join the batch that uses the grant up. The last one reads its `GrantRow`.
 *
 * A client that may not refresh has a session all the same, whose one refresh token nobody knows, and which ends with the
 * access token.
 */
export async function startGrant(
  { settings }: Server,
  scope: Scope,
  { id, from, client, binding, device }: NewGrant,
): Promise<{ refreshToken: string | undefined; statements: Statement[] }> {
  // The very first call makes the signing key. If that fails, it must before anything is stored.
  await settings.keys.signer(scope)
  const now = scope.now()
  const { idle, absolute } = settings.refresh
  const refreshable = grantTypesOf(client).includes('refresh_token')
  const lives = refreshable ? idle : settings.lifetime * 1000
  const notAfter = absolute === null ? null : now + absolute
  const refreshToken = randomToken()
  // Without an address: that is the client's, and no place where the user is signed in.
  const session = scope.db
    .prepare(
      `INSERT INTO leanto_auth_sessions
         (id, user_id, created_at, not_after, aal, amr, factor_id, refreshed_at, user_agent)
       SELECT ?, g.user_id, ?, ?, g.aal, g.amr, g.factor_id, ?, ? FROM ${from.sql}`,
    )
    .bind(...[id, now, notAfter, now], device.userAgent?.slice(0, 512) ?? null, ...from.values)
  const token = scope.db
    .prepare(
      `INSERT INTO leanto_auth_refresh_tokens (hash, session_id, expires_at)
       SELECT ?1, id, ?2 FROM leanto_auth_sessions WHERE id = ?3`,
    )
    .bind(await refreshHash(refreshToken), Math.min(now + lives, notAfter ?? Infinity), id)
  const grant = scope.db
    .prepare(
      `INSERT INTO leanto_auth_oauth_sessions
         (session_id, client_id, user_id, scope, resource, jkt, auth_time)
       SELECT ?, g.client_id, g.user_id, g.scope, g.resource, ?, g.auth_time FROM ${from.sql}`,
    )
    // RFC 9449, 5: of a client with a secret, that is what its refresh tokens are bound to.
    .bind(id, client.secret === null ? (binding?.jkt ?? null) : null, ...from.values)
  const read = scope.db
    .prepare(
      `SELECT ${grantColumns(settings)} FROM leanto_auth_sessions s
       JOIN leanto_auth_oauth_sessions o ON o.session_id = s.id
       JOIN leanto_auth_users u ON u.id = s.user_id WHERE s.id = ?`,
    )
    .bind(id)
  return {
    refreshToken: refreshable ? refreshToken : undefined,
    statements: [session, token, grant, read],
  }
}

export interface Granted {
  readonly row: GrantRow
  readonly refreshToken: string | undefined
  readonly binding?: Binding | undefined
  /** Of the request for authorization. */
  readonly nonce?: string | null
  /** Less than was granted, where a client asks for less (RFC 6749, 6). */
  readonly scope?: string | undefined
  readonly resource?: readonly string[] | undefined
}

/** Signs what a grant gives, and makes the answer of it. */
export async function answerGrant(
  server: Server,
  scope: Scope,
  { row, refreshToken, binding, nonce, ...asked }: Granted,
): Promise<TokenAnswer> {
  const { settings } = server
  const user = settings.toUser(row)
  const granted = asked.scope ?? row.scope
  const resource = asked.resource ?? (JSON.parse(row.resource) as string[])
  const words = wordsOf(granted)
  const accessToken = await signAccess(server, scope, {
    ...(await hostClaims(server, scope, { row, user, words, resource })),
    ...(words.includes('email') && user.email ? { email: user.email } : {}),
    ...(words.includes('phone') && user.phone ? { phone: user.phone } : {}),
    sub: user.id,
    role,
    client_id: row.client_id,
    scope: granted,
    aud: audienceOf(settings.issuer(scope), words, resource),
    aal: row.aal,
    amr: JSON.parse(row.amr) as Amr[],
    session_id: row.session_id,
    is_anonymous: user.is_anonymous,
    ...(binding ? { cnf: binding.cnf } : {}),
  })
  return {
    access_token: accessToken,
    token_type: binding?.tokenType ?? 'Bearer',
    expires_in: settings.lifetime,
    scope: granted,
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    ...(words.includes('openid')
      ? { id_token: await signId(server, scope, { row, user, words, accessToken, nonce }) }
      : {}),
  }
}

/**
 * What policies go by, such as roles, is in a token only if it reaches them: whoever is merely told who someone is learns
 * no more of them than that.
 */
async function hostClaims(
  { settings, scopes }: Server,
  scope: Scope,
  { row, user, words, resource }: Pick<Identified, 'row' | 'user' | 'words'> & Targeted,
): Promise<Record<string, unknown>> {
  if (resource.length === 0 && !words.some((word) => Object.hasOwn(scopes, word))) return {}
  return {
    ...(await settings.claims(scope, user)),
    app_metadata: user.app_metadata,
    ...Object.assign({}, ...settings.parts.map((part) => part.claims?.(user, { ...row }))),
  }
}

/**
 * A token for a resource is good there alone (RFC 8707), and, where the client is told who someone is, at UserInfo. Every
 * other is one for this app, as those of its own sessions.
 */
export function audienceOf(
  issuer: string,
  words: readonly string[],
  resource: readonly string[],
): string | string[] {
  if (resource.length === 0) return audience
  const all = [...resource, ...(words.includes('openid') ? [issuer] : [])]
  return all.length === 1 ? (all[0] as string) : all
}

/** Signs an access token (RFC 9068). @param claims Of undefined ones there are none. */
export async function signAccess(
  { settings }: Server,
  scope: Scope,
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { kid, key } = await settings.keys.signer(scope)
  const now = Math.floor(scope.now() / 1000)
  const times = { iat: now, exp: now + settings.lifetime, jti: randomToken(16) }
  return new SignJWT({ ...claims, iss: settings.issuer(scope), ...times })
    .setProtectedHeader({ alg: algorithm, kid, typ: 'at+jwt' })
    .sign(key)
}

interface Targeted {
  resource: readonly string[]
}

interface Identified {
  row: GrantRow
  user: User
  words: readonly string[]
  accessToken: string
  nonce: string | null | undefined
}

/** OpenID Connect Core, 2. Its audience is the client, so that nobody takes it for an access token (case 32). */
async function signId(
  { settings }: Server,
  scope: Scope,
  { row, user, words, accessToken, nonce }: Identified,
): Promise<string> {
  const { kid, key } = await settings.keys.signer(scope)
  const now = Math.floor(scope.now() / 1000)
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(accessToken))
  return new SignJWT({
    ...claimsOf(user, words),
    iss: settings.issuer(scope),
    aud: row.client_id,
    iat: now,
    exp: now + settings.lifetime,
    auth_time: row.auth_time,
    amr: [...new Set((JSON.parse(row.amr) as Amr[]).map(({ method }) => method))],
    at_hash: base64url(digest.slice(0, 16)),
    sid: row.session_id,
    ...(nonce ? { nonce } : {}),
  })
    .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
    .sign(key)
}
