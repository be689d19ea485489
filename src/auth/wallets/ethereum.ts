import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

const encoder = new TextEncoder()

/**
 * Whose key has signed a message, as wallets do by `personal_sign` (EIP-191, version 0x45). Accounts that are contracts
 * (EIP-1271) have no key: only the chain could say, and it is not asked.
 *
 * @param signature `0x` and 65 bytes in hex: r, s, v.
 * @returns The address, in lower case; `null` if it is no signature.
 */
export function signerOf(message: string, signature: string): string | null {
  if (!/^0x[\da-f]{130}$/i.test(signature)) return null
  const bytes = Uint8Array.from(signature.slice(2).match(/../g) ?? [], (pair) =>
    Number.parseInt(pair, 16),
  )
  const v = bytes[64] as number
  const recovery = v >= 27 ? v - 27 : v
  if (recovery > 1) return null
  const text = encoder.encode(message)
  const prefix = encoder.encode(`\x19Ethereum Signed Message:\n${text.length}`)
  const signed = new Uint8Array(prefix.length + text.length)
  signed.set(prefix)
  signed.set(text, prefix.length)
  try {
    const point = secp256k1.Signature.fromBytes(bytes.slice(0, 64), 'compact')
      .addRecoveryBit(recovery)
      .recoverPublicKey(keccak_256(signed))
    return addressOf(point.toBytes(false))
  } catch {
    // r or s is no number of the curve's, or there is no such point.
    return null
  }
}

/** @param key Uncompressed, with its first byte. */
export const addressOf = (key: Uint8Array): string =>
  `0x${[...keccak_256(key.slice(1)).slice(-20)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
