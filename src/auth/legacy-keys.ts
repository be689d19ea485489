import { createLocalJWKSet, decodeJwt, type JWK, type JWTVerifyGetKey } from 'jose'
import { coreFaults } from '../core/fault.ts'
import { isUuid } from '../core/id.ts'
import { principalOf, verifyJwt } from '../core/jwt.ts'
import type { Scope } from '../core/scope.ts'
import type { AuthPart } from './part.ts'
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
}

const algorithms: readonly string[] = ['RS256', 'ES256', 'EdDSA']

const wrong = (i: number, fix: string) => new TypeError(`trust: issuer ${i} ${fix}`)

/**
 * Takes access tokens that others have signed, while their users move here: whoever has one goes on
 * until it expires, and signs in then; `auth`'s own routes take only its own. Such a token is
 * its `sub`, a UUID, and `authenticated` if its `role` says so; it is never `service`, whatever it says.
 *
 * HS256 is verified with `secret` alone and the other algorithms with `keys` alone, by what each key says of itself: no
 * public key is ever taken for a secret (case 31).
 *
 * @throws {TypeError} if an issuer has no key, or one that is not what it should be.
 */
export function trust<Env>(issuers: readonly TrustedIssuer<Env>[]): AuthPart {
  if (!Array.isArray(issuers) || issuers.length === 0)
    throw new TypeError('trust: list at least one issuer')
  const known = new Map(issuers.map((issuer, i) => [issuer?.issuer, checked(issuer, i)]))
  if (known.size !== issuers.length) throw new TypeError('trust: an issuer is listed twice')
  return {
    name: 'trust',
    async trusted(scope, token) {
      const issuer = known.get(issuerOf(token) ?? '')
      if (!issuer) return null
      const claims = await verifyJwt(token, issuer.keyOf(scope), {
        ...issuer,
        now: scope.now(),
      })
      if (claims.role !== role || !isUuid(claims.sub))
        throw coreFaults.bad_token({ message: 'Invalid token' })
      return principalOf(claims)
    },
  }
}

/** Unverified: it only says with whose keys to verify. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss
  } catch {
    return undefined
  }
}

function checked<Env>(
  { issuer, audience = ownAudience, keys = [], secret }: TrustedIssuer<Env>,
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
  }
}

/** A public key in the place of a secret would let everyone sign (CVE-2015-9235 and its kin). */
function checkSecret(secret: unknown): string {
  if (typeof secret !== 'string' || secret.length < 32)
    throw new TypeError('trust: `secret` must be at least 32 characters')
  if (/-----BEGIN|^\s*[{[]|^ssh-/.test(secret))
    throw new TypeError('trust: `secret` must be a secret, not a key')
  return secret
}
