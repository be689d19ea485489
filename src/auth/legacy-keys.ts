import {
  createLocalJWKSet,
  decodeJwt,
  errors,
  type JWK,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'
import type { Statement } from '../core/database.ts'
import { coreFaults } from '../core/fault.ts'
import { isUuid } from '../core/id.ts'
import { guest } from '../core/identity.ts'
import { principalOf, verifyJwt } from '../core/jwt.ts'
import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { aalOf } from './caller.ts'
import type { Condition } from './condition.ts'
import {
  elsewhereId,
  importSessions,
  isForeign,
  type MovedSession,
  type MovedWho,
  moveSession,
  readAmr,
  sinceOf,
  trustFaults,
  type Upstream,
} from './moved-sessions.ts'
import type { AuthPart } from './part.ts'
import { trustMigrations } from './parts/migrations.ts'
import type { Settings } from './settings.ts'
import { audience as ownAudience, role } from './wire.ts'

/** Whose tokens are taken beside our own. */
export interface TrustedIssuer<Env = unknown> {
  /** The claim `iss`, such as `https://abcd.supabase.co/auth/v1`. */
  issuer: string
  /** The claim `aud`. @default 'authenticated' */
  audience?: string
  /** Public keys, each with its `alg`: RS256, ES256 or EdDSA. */
  keys?: readonly JWK[]
  /**
   * The secret of HS256, as older Supabase projects sign. Whoever has it can make tokens: remove it when the last token
   * of the move is over.
   */
  secret?: string | ((env: Env) => string)
  /** Where its refresh tokens are exchanged, each once, for sessions here. At most one issuer has it. @default nowhere */
  upstream?: Upstream<Env>
  /**
   * Takes its tokens of the role `service_role`, which name no user, for the secret key: past every policy, and for `auth`'s
   * admin routes. Whoever has one from that issuer, however old, is the server here.
   * @default false
   */
  unsafeServiceRole?: boolean
}

/** The part, and how to bring sessions over whose project is gone. */
export interface Trust extends AuthPart {
  /**
   * Stores sessions of another project, so that their clients go on with the refresh tokens that they have, each of which is
   * used once. Nothing of a token is stored but a keyed hash. Those of unknown or deleted users are left out. One trip for
   * each 500.
   *
   * @returns How many were stored.
   * @throws {TypeError} if the part is not mounted, or a session is not what it should be.
   */
  importSessions(scope: Scope, sessions: readonly MovedSession[]): Promise<number>
}

const algorithms: readonly string[] = ['RS256', 'ES256', 'EdDSA']
const serviceRole = 'service_role'

const wrong = (i: number, fix: string) => new TypeError(`trust: issuer ${i} ${fix}`)

/**
 * Takes access tokens that others have signed, while their users move here. Such a token is its `sub`, a UUID, and
 * `authenticated` if its `role` says so; it is never more than it says, and never `service` unless the host says so. With
 * `upstream`, or `importSessions`, its client goes on with a session of ours once it ends, and nobody signs in anew.
 *
 * HS256 is verified with `secret` alone and the other algorithms with `keys` alone, by what each key says of itself: no
 * public key is ever taken for a secret (case 31).
 *
 * @throws {TypeError} if an issuer has no key, or an option that is not what it should be.
 */
export function trust<Env>(issuers: readonly TrustedIssuer<Env>[]): Trust {
  if (!Array.isArray(issuers) || issuers.length === 0)
    throw new TypeError('trust: list at least one issuer')
  const known = new Map(issuers.map((issuer, i) => [issuer?.issuer, checked(issuer, i)]))
  if (known.size !== issuers.length) throw new TypeError('trust: an issuer is listed twice')
  const upstreams = [...known.values()].filter(({ upstream }) => upstream)
  if (upstreams.length > 1) throw new TypeError('trust: at most one issuer has an `upstream`')
  const [source] = upstreams
  let settings: Settings | undefined

  /** Never our own: those are verified by our keys, whatever the host has listed. */
  const find = (scope: Scope, issuer: unknown) =>
    issuer === settings?.issuer(scope) ? undefined : known.get(String(issuer))

  return Object.freeze({
    name: 'trust',
    migrations: trustMigrations,
    faults: trustFaults,
    routes(doors) {
      if (settings) throw new TypeError('trust: one part is for one auth')
      settings = doors.settings
      return []
    },
    async trusted(scope, token) {
      const said = claimsOf(token)
      const issuer = find(scope, said?.iss)
      if (!issuer) return null
      if (issuer.unsafeServiceRole && said?.role === serviceRole)
        return verifyService(issuer, scope, token)
      return verifyUser(issuer, scope, token)
    },
    caller(scope, principal) {
      if (!find(scope, principal.claims.iss)) return undefined
      const { userId, session, aal, ...elsewhere } = whoOf(principal)
      return { userId, sessionId: elsewhereId(session), aal, elsewhere }
    },
    refresh(mounted, scope, input) {
      if (!isForeign(input.refreshToken)) return undefined
      const verify = async (of: Scope, token: string) =>
        whoOf(await verifyUser(source as Issuer<Env>, of, token))
      return moveSession(mounted, source?.upstream, verify)(scope, input)
    },
    ended: (scope, { user, which = '', spared = null }) => [
      // What ends with all the others need not be remembered by itself: so a user has few, however often they sign out.
      ...(which === '' ? [forgetEnded(scope, user, spared)] : []),
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_endings (user_id, which, at, spared)
           SELECT u.id, ?, ?, ? FROM leanto_auth_users u WHERE ${user.sql}
           ON CONFLICT (user_id, which) DO UPDATE SET at = excluded.at, spared = excluded.spared`,
        )
        .bind(which, scope.now(), spared, ...user.values),
    ],
    removed: (scope, userId) => [
      scope.db.prepare('DELETE FROM leanto_auth_endings WHERE user_id = ?').bind(userId),
    ],
    async importSessions(scope, sessions) {
      if (!settings) throw new TypeError('trust: must be listed in the `with` of auth first')
      sessions.forEach(checkMoved)
      let stored = 0
      for (let i = 0; i < sessions.length; i += 500)
        stored += await importSessions(settings, scope, sessions.slice(i, i + 500))
      return stored
    },
  } satisfies Trust)
}

/** Before what replaces them is stored, for that ends what `user` may ask for. */
const forgetEnded = (scope: Scope, user: Condition, spared: string | null): Statement =>
  scope.db
    .prepare(
      `DELETE FROM leanto_auth_endings WHERE user_id = (
         SELECT u.id FROM leanto_auth_users u WHERE ${user.sql})
         AND which <> '' AND which IS NOT ?${user.values.length + 1}
         AND (which <> 'aal1' OR ?${user.values.length + 1} IS NULL)`,
    )
    .bind(...user.values, spared)

function checkMoved({ refreshToken, userId, aal, since = 0 }: MovedSession, i: number): void {
  const refuse = (fix: string) => new TypeError(`trust: session ${i} ${fix}`)
  if (typeof refreshToken !== 'string' || !isForeign(refreshToken))
    throw refuse('needs the `refreshToken` of another project')
  if (!isUuid(userId)) throw refuse('needs a `userId`, a UUID')
  if (aal !== undefined && aal !== 'aal1' && aal !== 'aal2') throw refuse('has an unknown `aal`')
  if (!Number.isSafeInteger(since) || since < 0)
    throw refuse('has a `since` that is not in milliseconds')
}

/** Unverified: it only says with whose keys to verify, and as what. */
function claimsOf(token: string) {
  try {
    return decodeJwt(token)
  } catch {
    return undefined
  }
}

type Issuer<Env> = ReturnType<typeof checked<Env>>

async function verifyUser<Env>(
  issuer: Issuer<Env>,
  scope: Scope,
  token: string,
): Promise<Principal> {
  const claims = await verifyJwt(token, issuer.keyOf(scope), { ...issuer, now: scope.now() })
  if (claims.role !== role || !isUuid(claims.sub))
    throw coreFaults.bad_token({ message: 'Invalid token' })
  return principalOf(claims)
}

/** Supabase's key `service_role` is such a token; it has neither a subject nor an audience. */
async function verifyService<Env>(
  { issuer, audience, algorithms, keyOf }: Issuer<Env>,
  scope: Scope,
  token: string,
): Promise<Principal> {
  try {
    const { payload } = await jwtVerify(token, keyOf(scope), {
      issuer,
      algorithms,
      currentDate: new Date(scope.now()),
      requiredClaims: ['exp'],
    })
    const forUs = payload.aud === undefined || payload.aud === audience
    if (payload.role === serviceRole && forUs) return service
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError)) throw cause
    throw coreFaults.bad_token({ message: 'Invalid token', cause })
  }
  throw coreFaults.bad_token({ message: 'Invalid token' })
}

const service: Principal = Object.freeze({ ...guest, role: 'service' })

/** What a verified token says of its user's session there. */
function whoOf(principal: Principal): MovedWho {
  const { session_id: session, amr: shown } = principal.claims
  const amr = readAmr(shown)
  return {
    userId: principal.id.toLowerCase(),
    session,
    aal: aalOf(principal),
    amr: JSON.stringify(amr),
    since: sinceOf(amr),
  }
}

function checked<Env>(
  {
    issuer,
    audience = ownAudience,
    keys = [],
    secret,
    upstream,
    unsafeServiceRole = false,
  }: TrustedIssuer<Env>,
  i: number,
) {
  if (typeof issuer !== 'string' || issuer === '') throw wrong(i, 'needs `issuer`')
  if (keys.length === 0 && secret === undefined) throw wrong(i, 'needs `keys` or a `secret`')
  for (const key of keys) {
    if (!algorithms.includes(String(key?.alg)))
      throw wrong(i, `has a key without an \`alg\` of ${algorithms.join(', ')}`)
    if (key.kty === 'oct' || 'd' in key) throw wrong(i, 'has a key that is not public')
  }
  if (typeof secret === 'string') checkSecret(secret)
  if (typeof unsafeServiceRole !== 'boolean')
    throw wrong(i, 'has an `unsafeServiceRole` that is neither true nor false')
  const local = createLocalJWKSet({ keys: keys.map((key) => ({ ...key })) })
  const keyOf =
    (scope: Scope): JWTVerifyGetKey =>
    (header, token) => {
      if (header.alg !== 'HS256') return local(header, token)
      const text = typeof secret === 'function' ? secret(scope.env as Env) : secret
      return new TextEncoder().encode(checkSecret(text))
    }
  const used = keys.map(({ alg }) => alg as string)
  return {
    issuer,
    audience,
    keyOf,
    algorithms: [...new Set([...used, ...(secret === undefined ? [] : ['HS256'])])],
    upstream: upstream && checkUpstream(upstream, i),
    unsafeServiceRole,
  }
}

function checkUpstream<Env>({ url, key }: Upstream<Env>, i: number): Upstream<Env> {
  const parsed = typeof url === 'string' ? URL.parse(url) : null
  const plain = parsed && !parsed.search && !parsed.hash && !parsed.username && !parsed.password
  if (!plain || !/^https?:$/.test(parsed.protocol))
    throw wrong(i, 'needs `upstream.url`, such as https://abcd.supabase.co/auth/v1')
  if (typeof key !== 'function' && (typeof key !== 'string' || key === ''))
    throw wrong(i, 'needs `upstream.key`, the publishable API key')
  return { url: parsed.href.replace(/\/+$/, ''), key }
}

/** A public key in the place of a secret would let everyone sign (CVE-2015-9235 and its kin). */
function checkSecret(secret: unknown): string {
  if (typeof secret !== 'string' || secret.length < 32)
    throw new TypeError('trust: `secret` must be at least 32 characters')
  if (/-----BEGIN|^\s*[{[]|^ssh-/.test(secret))
    throw new TypeError('trust: `secret` must be a secret, not a key')
  return secret
}
