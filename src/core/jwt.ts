import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { coreFaults } from './fault.ts'
import type { Principal } from './ports.ts'

/** What an access token must say. */
export interface Expected {
  issuer: string
  /** One of them, if it is a list. */
  audience: string | string[]
  /** Asymmetric algorithms only: the allow-list is what stops `none` and HS256 with a public key. */
  algorithms: string[]
  /** Unix time in milliseconds. */
  now: number
}

/** The claims of a token. Only these make a token an access token; an id_token or a refresh token has others. */
export type Claims = JWTPayload & { sub: string; exp: number }

/**
 * Verifies a JWT (RFC 7519, RFC 8725): algorithm, signature, issuer, audience, times, and that it has a subject.
 * `jku`, `x5u` and `jwk` in its header are never followed: the key comes from `keyOf` alone.
 *
 * @throws {Fault} `bad_token` (401). A failure to get the keys is not the token's fault and is thrown as it is.
 */
export async function verifyJwt(
  token: string,
  keyOf: JWTVerifyGetKey,
  expected: Expected,
): Promise<Claims> {
  const { issuer, audience, algorithms, now } = expected
  try {
    const { payload } = await jwtVerify(token, keyOf, {
      issuer,
      audience,
      algorithms,
      currentDate: new Date(now),
      requiredClaims: ['sub', 'exp'],
    })
    if (typeof payload.sub !== 'string' || payload.sub === '')
      throw new errors.JWTClaimValidationFailed('"sub" claim must be a string', payload, 'sub')
    return payload as Claims
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError) || cause instanceof errors.JWKSTimeout) throw cause
    const expired = cause instanceof errors.JWTExpired
    throw coreFaults.bad_token({ message: expired ? 'Token has expired' : 'Invalid token', cause })
  }
}

/** A valid token's bearer. Never `service`, whatever `role` the token claims: only the secret API key is that. */
export const principalOf = (claims: Claims): Principal =>
  Object.freeze({ id: claims.sub, role: 'authenticated', claims: Object.freeze(claims) })
