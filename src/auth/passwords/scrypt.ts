import { scryptAsync } from '@noble/hashes/scrypt.js'
import { equal } from '../../core/secret.ts'
import type { PasswordFormat } from '../password.ts'
import { fromBase64, fromHex, mayBeBase64, toHex } from './base64.ts'

/** Bytes: half of what a Worker may use in all, and the little that scrypt needs beside its table. */
export const mostMemory = 64 * 1024 * 1024 + 64 * 1024

/** Whether a hash of these parameters can be computed here; one that cannot is of no known format, and is not imported. */
export const fits = (ln: number, r: number, p: number): boolean =>
  ln >= 1 && r >= 1 && p >= 1 && p <= 16 && 128 * r * (2 ** ln + p + 1) <= mostMemory

const phc =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/.-]{1,128})\$([\w+/.-]{20,128})$/

/** scrypt in PHC string format: `$scrypt$ln=15,r=8,p=1$salt$hash`, as passlib writes it. */
export const scrypt: PasswordFormat = {
  matches(encoded) {
    const [found, ln, r, p, ...texts] = encoded.match(phc) ?? []
    return found !== undefined && fits(Number(ln), Number(r), Number(p)) && texts.every(mayBeBase64)
  },
  async verify(encoded, password) {
    const [, ln, r, p, salt = '', hash = ''] = encoded.match(phc) as RegExpMatchArray
    // passlib's own base64 has `.` for `+`.
    const [saltBytes, expected] = [salt, hash].map((text) => fromBase64(text.replaceAll('.', '+')))
    const made = await scryptAsync(password, saltBytes as Uint8Array, {
      N: 2 ** Number(ln),
      r: Number(r),
      p: Number(p),
      dkLen: (expected as Uint8Array).length,
      maxmem: mostMemory,
    })
    return equal(toHex(made), toHex(expected as Uint8Array))
  },
}

const pair = /^([0-9a-f]{32}):([0-9a-f]{128})$/

/** scrypt as better-auth writes it: `salt:hash` in hex, N = 16384, r = 16, p = 1, over the salt's hex and the NFKC password. */
export const betterAuth: PasswordFormat = {
  matches: (encoded) => pair.test(encoded),
  async verify(encoded, password) {
    const [, salt = '', hash = ''] = encoded.match(pair) as RegExpMatchArray
    const made = await scryptAsync(password.normalize('NFKC'), salt, {
      N: 16384,
      r: 16,
      p: 1,
      dkLen: 64,
      maxmem: mostMemory,
    })
    return equal(toHex(made), toHex(fromHex(hash)))
  },
}
