import { fromBase64url } from '../base64url.ts'

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** The 32 bytes of an address (base58, as Bitcoin has it); `null` if it is none. */
export function keyOf(address: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(address)) return null
  const bytes = new Uint8Array(32)
  for (const digit of address) {
    let carry = alphabet.indexOf(digit)
    for (let i = 31; i >= 0; i--) {
      carry += (bytes[i] as number) * 58
      bytes[i] = carry & 255
      carry >>= 8
    }
    if (carry > 0) return null
  }
  // One spelling for each key: as many leading ones as there are leading zeros.
  const zeros = bytes.findIndex((byte) => byte !== 0)
  const ones = address.match(/^1*/)?.[0].length ?? 0
  return ones === (zeros < 0 ? 32 : zeros) ? bytes : null
}

/** Whether an address, which is its own public key (Ed25519), has signed a message. @param signature 64 bytes in base64url. */
export async function hasSigned(
  address: string,
  message: string,
  signature: string,
): Promise<boolean> {
  const key = keyOf(address)
  const bytes = fromBase64url(signature)
  if (!key || bytes?.length !== 64) return false
  try {
    const publicKey = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify'])
    return await crypto.subtle.verify(
      'Ed25519',
      publicKey,
      bytes,
      new TextEncoder().encode(message),
    )
  } catch {
    return false
  }
}
