import type { Scope } from '../../../core/scope.ts'
import { keyedHash } from '../../codes.ts'

/**
 * RFC 8628, 6.1: without vowels, so that it spells no word, and without what looks or sounds like another sign. A remote
 * control types capital letters only.
 */
const alphabet = 'BCDFGHJKLMNPQRSTVWXZ'

/** 20^8, 34.5 bits: against whoever guesses there are budgets, and it lives for minutes. */
const length = 8

/** Uniform: a byte of 240 and more would favour the first letters. */
export function newUserCode(): string {
  let code = ''
  while (code.length < length)
    for (const byte of crypto.getRandomValues(new Uint8Array(length * 2)))
      if (byte < 240 && code.length < length) code += alphabet[byte % alphabet.length]
  return code
}

/** As people read it: `WDJB-MJHT`. */
export const shownCode = (code: string): string => `${code.slice(0, 4)}-${code.slice(4)}`

/** What someone typed, whatever the case and the signs between the letters; `null` if it can be no code. */
export function readUserCode(text: string): string | null {
  const code = text.length > 64 ? '' : text.toUpperCase().replaceAll(/[^\p{L}\p{N}]/gu, '')
  return code.length === length && [...code].every((letter) => alphabet.includes(letter))
    ? code
    : null
}

/** What is stored of it: it is too short for a plain hash. */
export const userCodeHash = (scope: Scope, code: string): Promise<string> =>
  keyedHash(scope, 'auth:user-code', code)
