import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import type { Scope } from '../../core/scope.ts'
import { base64url, equal } from '../../core/secret.ts'
import type { Documents } from './cache.ts'

/** Asymmetric only: the list is what refuses `none`, and HS256 with a public key as its secret (case 31). */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
].concat('EdDSA', 'Ed25519')

/** Seconds for clocks that differ. */
const tolerance = 10

/** The claims of an ID token that was verified. */
export type IdClaims = JWTPayload & { iss: string; sub: string; aud: string }

export interface IdTokenCheck {
  token: string
  /** Checked: it may be called. */
  jwksUri: string
  /** The issuers that may stand in `iss`. */
  isIssuer: (issuer: string, claims: JWTPayload) => boolean
  /** The client ids that may stand in `aud`. */
  audiences: readonly string[]
  /** What `nonce` must be; `null` for none, `undefined` where the provider does not repeat one. */
  nonce: string | null | undefined
  /** Checked against `at_hash` if the token has one. */
  accessToken?: string | undefined
  /** A provider's rule for who may sign with a key. */
  isKeyOf?: ((key: Readonly<Record<string, unknown>>, claims: JWTPayload) => boolean) | undefined
}

/**
 * Verifies an ID token (OpenID Connect Core 3.1.3.7): signature by the provider's published keys and nothing that the
 * token's header says (`jku`, `jwk`, `x5u`), issuer, audience, times, nonce, `at_hash`.
 *
 * `aud` must be one string. A list may name an attacker's client beside ours, and a token without one is for nobody (case 5).
 *
 * @throws {Error} that says why.
 */
export async function verifyIdToken(
  scope: Scope,
  documents: Documents,
  check: IdTokenCheck,
): Promise<IdClaims> {
  const { jwksUri: uri } = check
  const verify = (set: Record<string, unknown>) =>
    jwtVerify(check.token, createLocalJWKSet(set as unknown as JSONWebKeySet), {
      algorithms,
      currentDate: new Date(scope.now()),
      clockTolerance: tolerance,
      requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'],
    })
  let set = await documents.read(scope, uri)
  let verified: Awaited<ReturnType<typeof verify>>
  try {
    verified = await verify(set)
  } catch (error) {
    if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
    // A key that is new, or made up: the throttle keeps made-up ones from costing a request each.
    set = await documents.again(scope, uri)
    verified = await verify(set)
  }
  const { payload, protectedHeader } = verified
  const refuse = (why: string) => new Error(`leanto: ID token ${why}`)
  const { iss, sub, aud } = payload
  if (typeof iss !== 'string' || !check.isIssuer(iss, payload)) throw refuse('of another issuer')
  if (typeof aud !== 'string' || !check.audiences.includes(aud)) throw refuse('for someone else')
  if (typeof sub !== 'string' || sub === '') throw refuse('without a subject')
  if (check.nonce === null && payload.nonce !== undefined) throw refuse('with a nonce')
  if (typeof check.nonce === 'string')
    if (typeof payload.nonce !== 'string' || !(await equal(payload.nonce, check.nonce)))
      throw refuse('with another nonce')
  if (check.isKeyOf) {
    const keys = (set.keys ?? []) as Record<string, unknown>[]
    const key = keys.find(({ kid }) => kid === protectedHeader.kid)
    if (!key || !check.isKeyOf(key, payload)) throw refuse('signed by a key of someone else')
  }
  if (check.accessToken !== undefined && payload.at_hash !== undefined) {
    const half = await halfHash(protectedHeader.alg, check.accessToken)
    if (payload.at_hash !== half) throw refuse('of another access token')
  }
  return payload as IdClaims
}

/** `at_hash` (OpenID Connect Core 3.1.3.6): the left half of the hash that the signature uses. */
async function halfHash(algorithm: string, accessToken: string): Promise<string> {
  const bits = /\d+$/.exec(algorithm)?.[0]
  const name = algorithm.startsWith('Ed') ? 'SHA-512' : `SHA-${bits}`
  const digest = await crypto.subtle.digest(name, new TextEncoder().encode(accessToken))
  return base64url(digest.slice(0, digest.byteLength / 2))
}
