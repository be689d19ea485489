import { base64url } from '../../core/secret.ts'
import { type Cbor, readOneCbor } from './cbor.ts'

/*
 * COSE keys (RFC 9052, 7; RFC 9053, 7) and the signatures that WebAuthn makes with them, by WebCrypto. The three algorithms
 * that every platform authenticator and security key has one of.
 */

/** COSE's numbers (IANA), in the order in which an authenticator is asked for them. */
export const algorithms = [-7, -8, -257] as const
type Algorithm = (typeof algorithms)[number]

const importing = {
  [-7]: { name: 'ECDSA', namedCurve: 'P-256' },
  [-8]: { name: 'Ed25519' },
  [-257]: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
} as const
const verifying = {
  [-7]: { name: 'ECDSA', hash: 'SHA-256' },
  [-8]: { name: 'Ed25519' },
  [-257]: { name: 'RSASSA-PKCS1-v1_5' },
} as const

export interface PublicKey {
  readonly algorithm: Algorithm
  readonly jwk: Readonly<Record<'kty', string>> & Readonly<Record<string, string>>
}

/** @returns `null` if it is none of ours: another algorithm, another curve, a number that does not fit. */
export function publicKeyOf(value: Cbor): PublicKey | null {
  if (!(value instanceof Map)) return null
  const bytes = (label: number, least: number, most = least): string | null => {
    const found = value.get(label)
    const fits = found instanceof Uint8Array && found.length >= least && found.length <= most
    return fits ? base64url(found) : null
  }
  const [kty, algorithm, crv] = [value.get(1), value.get(3), value.get(-1)]
  if (algorithm === -7 && kty === 2 && crv === 1) {
    const [x, y] = [bytes(-2, 32), bytes(-3, 32)]
    return x && y ? { algorithm, jwk: { kty: 'EC', crv: 'P-256', x, y } } : null
  }
  if (algorithm === -8 && kty === 1 && crv === 6) {
    const x = bytes(-2, 32)
    return x ? { algorithm, jwk: { kty: 'OKP', crv: 'Ed25519', x } } : null
  }
  if (algorithm === -257 && kty === 3) {
    // 2048 bits at least (NIST SP 800-131A); 8192 at most, for what each costs to verify. The exponent is everyone's.
    const [n, e] = [bytes(-1, 256, 1024), bytes(-2, 3)]
    return n && e === 'AQAB' ? { algorithm, jwk: { kty: 'RSA', n, e } } : null
  }
  return null
}

/** @param cose The key as it was stored. */
export const storedKey = (cose: Uint8Array<ArrayBuffer>): PublicKey | null =>
  publicKeyOf(readOneCbor(cose))

/** Whether the key has signed this. A key that is none, such as a point beside the curve, has signed nothing. */
export async function hasSigned(
  { algorithm, jwk }: PublicKey,
  signature: Uint8Array<ArrayBuffer>,
  data: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const raw = algorithm === -7 ? fromDer(signature) : signature
  if (!raw) return false
  try {
    const key = await crypto.subtle.importKey('jwk', jwk, importing[algorithm], false, ['verify'])
    return await crypto.subtle.verify(verifying[algorithm], key, raw, data)
  } catch {
    return false
  }
}

/** Whether WebCrypto takes the key: else it would lock out whoever was let register it. */
export async function isUsable({ algorithm, jwk }: PublicKey): Promise<boolean> {
  try {
    await crypto.subtle.importKey('jwk', jwk, importing[algorithm], false, ['verify'])
    return true
  } catch {
    return false
  }
}

/**
 * An ECDSA signature as WebCrypto has it, r and s in 32 bytes each, of one as WebAuthn has it: DER of two integers
 * (WebAuthn Level 3, 6.5.5).
 */
function fromDer(der: Uint8Array): Uint8Array<ArrayBuffer> | null {
  if (der.length < 8 || der.length > 72 || der[0] !== 0x30 || der[1] !== der.length - 2) return null
  const raw = new Uint8Array(64)
  let at = 2
  for (const end of [32, 64]) {
    const length = der[at + 1] ?? 0
    const integer = der.subarray(at + 2, at + 2 + length)
    if (der[at] !== 2 || length === 0 || integer.length !== length) return null
    // No negative number, and no byte more than the number needs.
    const [first = 0, second = 0] = integer
    if (first > 127 || (first === 0 && length > 1 && second < 128)) return null
    const digits = first === 0 ? integer.subarray(1) : integer
    if (digits.length > 32) return null
    raw.set(digits, end - digits.length)
    at += 2 + length
  }
  return at === der.length ? raw : null
}
