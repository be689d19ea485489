/** Crockford's base32: nothing in it is easily taken for something else. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const length = 24

/**
 * A recovery code: 24 characters, 120 random bits. That is past the 112 bits from which a lookup secret may be stored as
 * a plain hash (ASVS 6.5.2), so that one is found, and spent, by one statement.
 */
export const newRecoveryCode = (): string =>
  Array.from(
    crypto.getRandomValues(new Uint8Array(length)),
    (byte) => alphabet[byte & 31] as string,
  ).join('')

/**
 * A code as it was written down and typed in again: case, spaces and hyphens do not count, nor do the letters that
 * are no digits here but look like some.
 *
 * @returns `null` if it cannot be one.
 */
export function normaliseRecoveryCode(typed: string): string | null {
  const code = typed.toLowerCase().replace(/[\s-]/g, '').replace(/[il]/g, '1').replaceAll('o', '0')
  return code.length === length && /^[0-9a-hjkmnp-tv-z]+$/.test(code) ? code : null
}
