import { pbkdf2Async } from '@noble/hashes/pbkdf2.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { equal } from '../../core/secret.ts'
import type { PasswordFormat } from '../password.ts'
import { fromBase64, mayBeBase64, toHex } from './base64.ts'

/** Above it Cloudflare's WebCrypto throws in production (and only there): the same sum in JavaScript, slower. */
const mostNativeRounds = 100_000

const django = /^pbkdf2_sha(256|512)\$([1-9]\d{0,6})\$([^$]{1,128})\$([\w+/=]{20,128})$/
const passlib = /^\$pbkdf2-sha(256|512)\$([1-9]\d{0,6})\$([\w./+]{0,128})\$([\w./+]{20,128})$/

/** PBKDF2 with SHA-256 or SHA-512, as Django (`pbkdf2_sha256$…`) and passlib (`$pbkdf2-sha256$…`) write it. */
export const pbkdf2: PasswordFormat = {
  matches(encoded) {
    const [, , , hash] = encoded.match(django) ?? []
    if (hash) return mayBeBase64(hash)
    return encoded.match(passlib)?.slice(3).every(mayBeBase64) ?? false
  },
  async verify(encoded, password) {
    const own = encoded.match(django)
    const [, bits, rounds, salt = '', hash = ''] =
      own ?? (encoded.match(passlib) as RegExpMatchArray)
    const fromText = (text: string) => fromBase64(text.replaceAll('.', '+'))
    // Django's salt is the text itself.
    const saltBytes = own ? new TextEncoder().encode(salt) : fromText(salt)
    const expected = fromText(hash)
    const made = await derive(password, saltBytes, {
      sha: bits as '256' | '512',
      rounds: Number(rounds),
      length: expected.length,
    })
    return equal(toHex(made), toHex(expected))
  },
}

async function derive(
  password: string,
  salt: Uint8Array<ArrayBuffer>,
  { sha, rounds, length }: { sha: '256' | '512'; rounds: number; length: number },
): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(password)
  if (rounds > mostNativeRounds)
    return pbkdf2Async(sha === '256' ? sha256 : sha512, bytes, salt, { c: rounds, dkLen: length })
  const key = await crypto.subtle.importKey('raw', bytes, 'PBKDF2', false, ['deriveBits'])
  const algorithm = { name: 'PBKDF2', hash: `SHA-${sha}`, salt, iterations: rounds }
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, length * 8))
}
