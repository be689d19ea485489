import type { Scope } from '../core/scope.ts'
import { equal } from '../core/secret.ts'
import { argon2id, type Parameters } from './argon2.ts'
import { authFaults } from './faults.ts'
import type { Settings } from './settings.ts'

/** A way in which passwords are stored. */
export interface PasswordFormat {
  /** Whether a stored text is of this format. */
  matches(encoded: string): boolean
  verify(encoded: string, password: string): boolean | Promise<boolean>
}

/** A further check of new passwords. */
export interface PasswordCheck {
  /** Why the password is weak, for people; `undefined` if it is not. @param words Of the user: address, name. */
  check(
    scope: Scope,
    password: string,
    words: readonly string[],
  ): string | undefined | Promise<string | undefined>
  /** GoTrue's word for it. */
  readonly reason: 'characters' | 'pwned'
}

/** OWASP's parameters for argon2id (Password Storage Cheat Sheet, 2025): never below. */
const current: Parameters = { m: 19456, t: 2, p: 1 }

/** In bytes of UTF-8. Longer ones are refused, never cut: hashing is paid for by the byte. */
const maximumBytes = 1024

const phc =
  /^\$argon2(id?)\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z\d+/]{11,86})\$([A-Za-z\d+/]{22,86})$/

const decode = (base64: string): Uint8Array =>
  Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
const encode = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes)).replaceAll('=', '')

/** What foreign hashes may cost here: the isolate has 128 MB, and its memory does not shrink again. */
const most: Parameters = { m: 65_536, t: 10, p: 16 }

// In PHC string format, as PHP, Python's argon2-cffi and Node's argon2 write it; argon2d is refused (RFC 9106, 4).
export const argon2: PasswordFormat = {
  matches(encoded) {
    const [found, , m, t, p, salt = '', hash = ''] = encoded.match(phc) ?? []
    // No base64 is one character longer than a multiple of four.
    if (!found || salt.length % 4 === 1 || hash.length % 4 === 1) return false
    const from = (value: unknown, least: number, highest: number) =>
      Number(value) >= least && Number(value) <= highest
    // The least is RFC 9106's (3.1).
    return from(m, 8 * Number(p), most.m) && from(t, 1, most.t) && from(p, 1, most.p)
  },
  verify: (encoded, password) => {
    const [, type, m, t, p, salt, hash = ''] = encoded.match(phc) as RegExpMatchArray
    const { length } = decode(hash)
    const cost = { m: Number(m), t: Number(t), p: Number(p), type: type as 'i' | 'id', length }
    const bytes = new TextEncoder().encode(password)
    return equal(encode(argon2id(bytes, decode(salt as string), cost)), hash)
  },
}

/** @returns `$argon2id$v=19$m=19456,t=2,p=1$salt$hash` with 16 random bytes of salt. */
export function hashPassword(password: string): string {
  const salt = crypto.getRandomValues(new Uint8Array(16))
  const hash = argon2id(new TextEncoder().encode(password), salt, current)
  return `${currentPrefix}${encode(salt)}$${encode(hash)}`
}

const currentPrefix = `$argon2id$v=19$m=${current.m},t=${current.t},p=${current.p}$`

/** Whether a stored text is what `hashPassword` would make today; else it is made anew at the next sign-in. */
export const isCurrent = (encoded: string): boolean => encoded.startsWith(currentPrefix)

// A hash of 32 random bytes that nobody kept: what a guess at an unknown user is compared with, at the same cost.
const nobody = `${currentPrefix}jWoXqWqBq2N1n5B6n0c1Uw$3o7fX1k2J9b8mS4tQz0vLw5yHd6aRc8eUiGpNqT1xYE`

/**
 * Verifies a password. Without a stored one (no such user, or a user without a password) it costs the same and fails.
 *
 * @param formats Other formats than argon2id that may be stored, as an import leaves them.
 */
export async function verifyPassword(
  encoded: string | null | undefined,
  password: string,
  formats: readonly PasswordFormat[] = [],
): Promise<boolean> {
  const format = encoded && [argon2, ...formats].find(({ matches }) => matches(encoded))
  if (format) return format.verify(encoded, password)
  await argon2.verify(nobody, password)
  return false
}

/** Whether a stored form can be verified at all: a hash that no format reads would be a password that nobody has. */
export const isVerifiable = (encoded: string, formats: readonly PasswordFormat[]): boolean =>
  encoded.length <= 1024 && [argon2, ...formats].some((format) => format.matches(encoded))

/** Whether a text can be a password at all: storable, and at most `maximumBytes`. */
export const isPossible = (password: string): boolean =>
  password.isWellFormed() &&
  !password.includes('\0') &&
  new TextEncoder().encode(password).length <= maximumBytes

/**
 * Checks a new password (NIST SP 800-63B-4, 3.1.1.2): long enough, not one that is known, and no rules of composition.
 *
 * @param words Of the user: the address, which is no password (ASVS 5.0, 6.2.11).
 * @throws {Fault} `weak_password` (422) if it is short or known, `validation_failed` (400) if it cannot be one.
 */
export async function checkPassword(
  { password: { minLength, checks } }: Settings,
  scope: Scope,
  password: string,
  words: readonly string[] = [],
): Promise<void> {
  if (!isPossible(password))
    throw authFaults.validation_failed({
      message: `Password must be at most ${maximumBytes} bytes of valid text`,
    })
  if ([...password].length < minLength)
    throw authFaults.weak_password({
      message: `Password should be at least ${minLength} characters.`,
      details: { reasons: ['length'] },
    })
  const lower = password.toLowerCase()
  if (words.some((word) => word !== '' && (word === lower || word.split('@')[0] === lower)))
    throw authFaults.weak_password({
      message: 'Password should be different from your address.',
      details: { reasons: ['characters'] },
    })
  for (const check of checks) {
    const message = await check.check(scope, password, words)
    if (message) throw authFaults.weak_password({ message, details: { reasons: [check.reason] } })
  }
}
