import { Refusal } from '../../refusal.ts'
import type { Fields } from '../records.ts'
import {
  type Converted,
  forever,
  isSet,
  listOf,
  objectOf,
  textOf,
  timeOf,
  trimmed,
  withOwn,
} from './fields.ts'

/** The project's parameters of scrypt. */
export interface HashConfig {
  readonly signerKey: string
  readonly saltSeparator: string
  readonly rounds: number
  readonly memoryCost: number
}

/**
 * Reads what the console shows (Authentication, Users, the three dots, Password hash parameters): `hash_config { … }` as it
 * is copied from there, or JSON with the same names.
 *
 * @throws {Refusal} if one is missing, or the algorithm is another.
 */
export function readHashConfig(text: string): HashConfig {
  const read = (name: string) =>
    text.match(new RegExp(`"?${name}"?\\s*[:=]\\s*"?([\\w+/=-]+)`))?.[1]
  const algorithm = read('algorithm') ?? 'SCRYPT'
  if (algorithm !== 'SCRYPT')
    throw new Refusal(`The hash config is of ${algorithm}; Firebase’s own is SCRYPT.`)
  const signerKey = read('base64_signer_key')
  const saltSeparator = read('base64_salt_separator')
  const [rounds, memoryCost] = [Number(read('rounds')), Number(read('mem_cost'))]
  if (!signerKey || !saltSeparator || !(rounds > 0) || !(memoryCost > 0))
    throw new Refusal(
      'The hash config must have base64_signer_key, base64_salt_separator, rounds and mem_cost.',
    )
  return { signerKey, saltSeparator, rounds, memoryCost }
}

const names: Readonly<Record<string, string>> = {
  'google.com': 'google',
  'facebook.com': 'facebook',
  'twitter.com': 'twitter',
  'github.com': 'github',
  'apple.com': 'apple',
}

/**
 * A user of `firebase auth:export --format=json`, or of the Admin SDK's REST answers.
 *
 * Source: https://firebase.google.com/docs/cli/auth
 */
export const firebase =
  (config: HashConfig | undefined, now: string) =>
  (user: Fields): Converted => {
    const notes: string[] = []
    const uid = textOf(user, 'localId', 'uid')
    const email = textOf(user, 'email')
    const verified = isSet(user, 'emailVerified')
    const created = timeOf(user, 'createdAt')
    const hash = textOf(user, 'passwordHash')
    const identities = listOf(user, 'providerUserInfo').flatMap((info) => {
      const id = textOf(info, 'providerId') ?? ''
      if (id === 'password' || id === 'phone') return []
      const subject = textOf(info, 'rawId', 'uid', 'federatedId')
      const provider = names[id] ?? (id.startsWith('oidc.') ? id.slice(5) : undefined)
      if (!provider || !subject) {
        notes.push(`identity_unmapped: ${id}`)
        return []
      }
      const address = textOf(info, 'email')
      const data = {
        sub: subject,
        name: textOf(info, 'displayName'),
        avatar_url: textOf(info, 'photoUrl', 'photoURL'),
        email: address,
        email_verified: verified && address === email ? true : undefined,
      }
      return [{ provider, subject, email: address, data: trimmed(data), created_at: created }]
    })
    const factors = listOf(user, 'mfaInfo').flatMap((info) => {
      const phone = textOf(info, 'phoneInfo', 'unobfuscatedPhoneInfo')?.replace(/^\+/, '')
      if (!phone) notes.push('factor_secret_missing')
      const name = textOf(info, 'displayName')
      const at = timeOf(info, 'enrolledAt')
      return phone
        ? [trimmed({ factor_type: 'phone', phone, friendly_name: name, created_at: at })]
        : []
    })
    // Nobody but Firebase or the project itself sets a number: it was proven by its text message.
    const phone = textOf(user, 'phoneNumber')
    return {
      line: trimmed({
        foreign_id: uid && `firebase:${uid}`,
        email,
        phone,
        password_hash: hash && encoded(hash, textOf(user, 'salt'), config),
        email_confirmed_at: verified ? (created ?? now) : undefined,
        phone_confirmed_at: phone ? (created ?? now) : undefined,
        banned_until: isSet(user, 'disabled') ? forever : undefined,
        last_sign_in_at: timeOf(user, 'lastSignedInAt', 'lastLoginAt'),
        created_at: created,
        // What is a claim of the token there is one here.
        app_metadata: trimmed({ ...objectOf(user, 'customAttributes'), old_id: uid }),
        user_metadata: trimmed({
          name: textOf(user, 'displayName'),
          avatar_url: textOf(user, 'photoUrl', 'photoURL'),
        }),
        identities: withOwn(identities, {
          email: email && (hash || identities.length === 0),
          phone,
        }),
        factors,
      }),
      notes,
    }
  }

/** As Supabase Auth writes it, and `firebase` of `leanto/auth/passwords` reads it. */
function encoded(hash: string, salt: string | undefined, config: HashConfig | undefined) {
  if (!config)
    throw new Refusal(
      'The file has passwords: give the project’s hash parameters by --hash-config <file>.',
    )
  const { memoryCost, rounds, saltSeparator, signerKey } = config
  return `$fbscrypt$v=1,n=${memoryCost},r=${rounds},p=1,ss=${saltSeparator},sk=${signerKey}$${salt ?? ''}$${hash}`
}
