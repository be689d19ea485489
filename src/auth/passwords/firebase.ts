import { scryptAsync } from '@noble/hashes/scrypt.js'
import { equal } from '../../core/secret.ts'
import type { PasswordFormat } from '../password.ts'
import { fromBase64, mayBeBase64, toHex } from './base64.ts'
import { fits, mostMemory } from './scrypt.ts'

const base64 = '[\\w+/=-]'
const shape = new RegExp(
  `^\\$fbscrypt\\$v=1,n=(\\d{1,2}),r=(\\d{1,2}),p=(\\d{1,2}),ss=(${base64}{0,64}),sk=(${base64}{1,256})\\$(${base64}{1,128})\\$(${base64}{1,256})$`,
)

/**
 * Firebase's scrypt, written as Supabase Auth writes it: `$fbscrypt$v=1,n=14,r=8,p=1,ss=<salt separator>,sk=<signer
 * key>$<salt>$<hash>`, with `n` the memory cost and `r` the rounds that Firebase's console shows.
 *
 * The derived key encrypts the project's signer key (AES-256-CTR), and that ciphertext is what is stored.
 * Source: https://github.com/firebase/scrypt
 */
export const firebase: PasswordFormat = {
  matches(encoded) {
    const [found, n, r, p, ...texts] = encoded.match(shape) ?? []
    return found !== undefined && fits(Number(n), Number(r), Number(p)) && texts.every(mayBeBase64)
  },
  async verify(encoded, password) {
    const [, n, r, p, separator = '', signer = '', salt = '', hash = ''] = encoded.match(
      shape,
    ) as RegExpMatchArray
    const salted = [...fromBase64(salt), ...fromBase64(separator)]
    const derived = await scryptAsync(password, Uint8Array.from(salted), {
      N: 2 ** Number(n),
      r: Number(r),
      p: Number(p),
      dkLen: 64,
      maxmem: mostMemory,
    })
    const key = await crypto.subtle.importKey('raw', derived.slice(0, 32), 'AES-CTR', false, [
      'encrypt',
    ])
    const algorithm = { name: 'AES-CTR', counter: new Uint8Array(16), length: 64 }
    const made = await crypto.subtle.encrypt(algorithm, key, fromBase64(signer))
    return equal(toHex(new Uint8Array(made)), toHex(fromBase64(hash)))
  },
}
