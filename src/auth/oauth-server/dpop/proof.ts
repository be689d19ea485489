import {
  calculateJwkThumbprint,
  EmbeddedJWK,
  errors,
  type JWTHeaderParameters,
  jwtVerify,
} from 'jose'
import { hash } from '../../../core/secret.ts'
import { dpopFaults } from './faults.ts'

/** What may sign a proof: no symmetric algorithm, for everyone has the key that the proof itself shows. */
export const proofAlgorithms = ['ES256', 'EdDSA', 'Ed25519', 'RS256', 'PS256'] as const

/** In characters; one under an RSA key of 4096 bits has 2200. */
const longest = 8192

/** What only the holder of a key has (RFC 7518, 6; RFC 8037, 2). A client that shows them has lost its key. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** What a proof must say. */
export interface ExpectedProof {
  readonly method: string
  /** The URL that was asked, by each name that it has. Query and fragment do not count. */
  readonly urls: readonly string[]
  /** Unix time in milliseconds. */
  readonly now: number
  /** Seconds that it may be old, and that clocks may differ by. */
  readonly seconds: number
  /** The nonces that count, the newest first. With them it is the nonce that says how old the proof is. */
  readonly nonces?: readonly string[] | undefined
  /** At a resource: the access token that is shown with it. */
  readonly accessToken?: string | undefined
}

/** A proof that is good, but may have been shown before. */
export interface Proof {
  /** SHA-256 thumbprint of its key (RFC 7638), base64url: what `cnf.jkt` is of a token that is bound to it. */
  readonly jkt: string
  readonly jti: string
}

const invalid = (message: string, cause?: unknown) =>
  dpopFaults.invalid_dpop_proof({ message, cause })

/**
 * Checks a proof as RFC 9449, 4.3 lists it, but for its one use, which `once` sees to.
 *
 * @param shown The header `DPoP`. Two of them come joined by a comma, which no JWT has.
 * @throws {Fault} `invalid_dpop_proof`, `use_dpop_nonce` (400).
 */
export async function verifyProof(shown: string, expected: ExpectedProof): Promise<Proof> {
  if (shown.length > longest || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(shown))
    throw invalid('DPoP must be one JWT')
  const { payload, protectedHeader } = await verifySignature(shown, expected)
  const { jti, htm, htu, iat, nonce, ath } = payload
  if (typeof jti !== 'string' || jti === '') throw invalid('DPoP proof must have a jti')
  if (htm !== expected.method) throw invalid('DPoP proof is for another method')
  if (!isOf(htu, expected.urls)) throw invalid('DPoP proof is for another URL')
  if (typeof iat !== 'number') throw invalid('DPoP proof must have an iat')
  if (expected.accessToken !== undefined && ath !== (await hash(expected.accessToken)))
    throw invalid('DPoP proof is for another access token')
  if (expected.nonces) {
    if (typeof nonce !== 'string' || !expected.nonces.includes(nonce))
      throw dpopFaults.use_dpop_nonce({ headers: nonceHeader(expected.nonces) })
  } else if (Math.abs(expected.now / 1000 - iat) > expected.seconds)
    throw invalid('DPoP proof is too old, or of the future')
  return { jkt: await calculateJwkThumbprint(protectedHeader.jwk as object), jti }
}

/** @param nonces The newest first. */
export const nonceHeader = (nonces: readonly string[]): Record<string, string> => ({
  'dpop-nonce': nonces[0] ?? '',
})

async function verifySignature(shown: string, { now, nonces }: ExpectedProof) {
  try {
    return await jwtVerify(shown, keyOf, {
      typ: 'dpop+jwt',
      algorithms: [...proofAlgorithms],
      currentDate: new Date(now),
      // A device whose clock is wrong has the nonce to say when it is.
      ...(nonces ? { clockTolerance: Number.MAX_SAFE_INTEGER } : {}),
    })
  } catch (cause) {
    // What else it throws comes of what was shown as well: WebCrypto has no such key.
    throw invalid('DPoP proof has no signature that counts, by a public key in its jwk', cause)
  }
}

async function keyOf(header: JWTHeaderParameters): Promise<CryptoKey> {
  const { jwk } = header
  if (!jwk || privateMembers.some((name) => Object.hasOwn(jwk, name)))
    throw new errors.JWSInvalid('"jwk" must be a public key')
  return EmbeddedJWK(header)
}

/** Syntax-based normalisation (RFC 3986, 6.2.2 and 6.2.3), which the proof's maker may or may not have done. */
function isOf(htu: unknown, urls: readonly string[]): boolean {
  if (typeof htu !== 'string') return false
  const shown = targetOf(htu)
  return shown !== null && urls.some((url) => targetOf(url) === shown)
}

/** A URL without query and fragment; `null` if it is none, or has credentials. */
function targetOf(text: string): string | null {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) return null
  const path = url.pathname.replace(/%[\da-f]{2}/gi, (escaped) => {
    const sign = String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    return /[\w.~-]/.test(sign) ? sign : escaped.toUpperCase()
  })
  return url.origin + path
}
