import { type Cbor, readCbor } from './cbor.ts'

/** What an authenticator says of itself and of what it did (WebAuthn Level 3, 6.1). */
export interface AuthenticatorData {
  readonly rpIdHash: Uint8Array
  readonly userPresent: boolean
  readonly userVerified: boolean
  /** Whether the credential may be on more than one device, ever. */
  readonly backupEligible: boolean
  /** Whether it is, now. */
  readonly backedUp: boolean
  /** Signatures so far; 0 if the authenticator does not count. */
  readonly counter: number
  /** Of a registration. */
  readonly attested?: {
    /** The make of the authenticator, as a UUID; all zeros if it does not tell. */
    readonly aaguid: string
    readonly credentialId: Uint8Array<ArrayBuffer>
    /** COSE, as it came. */
    readonly cose: Uint8Array<ArrayBuffer>
    readonly key: Cbor
  }
}

const longestId = 1023

/** @returns `null` if it is cut short, has bytes that nobody asked for, or contradicts itself. @throws {CborError} */
export function readAuthenticatorData(bytes: Uint8Array<ArrayBuffer>): AuthenticatorData | null {
  if (bytes.length < 37) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const flags = view.getUint8(32)
  const has = (bit: number) => (flags & (1 << bit)) !== 0
  const data = {
    rpIdHash: bytes.slice(0, 32),
    userPresent: has(0),
    userVerified: has(2),
    backupEligible: has(3),
    backedUp: has(4),
    counter: view.getUint32(33),
  }
  // A copy of what can have none (7.1, step 18).
  if (data.backedUp && !data.backupEligible) return null
  let end = 37
  let attested: AuthenticatorData['attested']
  if (has(6)) {
    if (bytes.length < 55) return null
    const length = view.getUint16(53)
    const at = 55 + length
    if (length === 0 || length > longestId || at >= bytes.length) return null
    const key = readCbor(bytes, at)
    end = key.end
    attested = {
      aaguid: uuidOf(bytes.subarray(37, 53)),
      credentialId: bytes.slice(55, at),
      cose: bytes.slice(at, end),
      key: key.value,
    }
  }
  if (has(7)) {
    const extensions = readCbor(bytes, end)
    if (!(extensions.value instanceof Map)) return null
    end = extensions.end
  }
  if (end !== bytes.length) return null
  return attested ? { ...data, attested } : data
}

function uuidOf(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
