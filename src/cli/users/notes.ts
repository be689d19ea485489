import { safe } from '../print.ts'

/** What does not come along, in words for people. By the word before a colon; what is not here is said as it is. */
const words: Readonly<Record<string, string>> = {
  password_unknown:
    'without their password: its hash is of no format in `password.formats` (they reset it)',
  factor_unusable: 'without a second factor that cannot be used here',
  factor_encrypted: 'without a second factor whose secret is encrypted',
  factor_secret_missing: 'without a second factor whose secret is not in the file',
  factor_secret_wrong: 'without a second factor that the given secret does not open',
  factor_webauthn: 'without a security key, which they add anew',
  factors_unproven: 'without second factors, for nothing of the account was ever proven',
  factors_ignored: 'without second factors, for mfa() is not mounted there',
  passkey_unusable: 'without a passkey that is none',
  passkeys_unproven: 'without passkeys, for nothing of the account was ever proven',
  passkeys_ignored: 'without passkeys, for passkeys() is not mounted there',
  recovery_codes_left: 'without their recovery codes, which they make anew',
  identity_unmapped: 'without an account elsewhere',
  identities_missing: 'without accounts elsewhere that the file has not',
  addresses_left: 'with one address alone',
  private_metadata_left: 'without private metadata, for there is none that a user cannot read',
}

/** Different words that are counted apart. */
const most = 50

/** Counts a word that an app or a reader has said of a user: a dump may make up as many as it likes. */
export function countNote(counts: Record<string, number>, note: string): void {
  const word = safe(note)
  const room = Object.hasOwn(counts, word) || Object.keys(counts).length < most
  const key = room ? word : 'and with other words of the kind'
  counts[key] = (counts[key] ?? 0) + 1
}

/** `factor_unusable: totp` is of the kind `factor_unusable`. */
export const sayNote = (note: string): string => {
  const [kind = '', detail] = note.split(': ')
  const known = Object.hasOwn(words, kind)
  const said = known ? words[kind] : note
  return known && detail ? `${said} (${detail})` : `${said}`
}
