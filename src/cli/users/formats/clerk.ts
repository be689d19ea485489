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

/** Where the account ids are others, by tenant or by the kind of client. */
const unmapped = ['microsoft', 'linkedin', 'linkedin_oidc']

/** Addresses of a field of CSV, which has a list in it. */
const split = (text: string | undefined): string[] =>
  (text ?? '').split(/[,|;\s]+/).filter((one) => one !== '')

interface Addresses {
  readonly primary: string | undefined
  readonly verified: boolean
  /** How many there are beside it. */
  readonly more: number
}

/** Of the Dashboard's CSV, or of the Backend API's objects. */
function addressesOf(user: Fields, type: 'email' | 'phone'): Addresses {
  const [listed, value] =
    type === 'email' ? ['email_addresses', 'email_address'] : ['phone_numbers', 'phone_number']
  const objects = listOf(user, listed)
  if (objects.length > 0) {
    const primaryId = textOf(user, `primary_${value}_id`)
    const found = objects.find((one) => textOf(one, 'id') === primaryId) ?? objects[0]
    const verified = textOf(objectOf(found ?? {}, 'verification'), 'status') === 'verified'
    return { primary: textOf(found ?? {}, value), verified, more: objects.length - 1 }
  }
  const verified = split(textOf(user, `verified_${listed}`))
  const all = [
    ...verified,
    ...split(textOf(user, `unverified_${listed}`)),
    ...split(textOf(user, listed)),
  ]
  const primary = textOf(user, `primary_${value}`) ?? all[0]
  const same = (one: string) => one.toLowerCase() === primary?.toLowerCase()
  return { primary, verified: verified.some(same), more: all.filter((one) => !same(one)).length }
}

/** Clerk's digest of `scrypt_firebase`: hash, salt, signer key, salt separator, rounds, memory cost. */
function passwordOf(digest: string | undefined, hasher: string | undefined): string | undefined {
  if (!digest || hasher !== 'scrypt_firebase') return digest
  const [hash, salt, key, separator, rounds, cost] = digest.split('$')
  return `$fbscrypt$v=1,n=${cost},r=${rounds},p=1,ss=${separator},sk=${key}$${salt}$${hash}`
}

/**
 * A user of the Dashboard's CSV, which alone has hashes and secrets of authenticator apps, or of the Backend API's JSON,
 * which alone has metadata and accounts elsewhere.
 *
 * Source: https://clerk.com/docs/guides/development/migrating/export-from-clerk
 *
 * @param secretsOf The row of the CSV, by the user's id, where the users are of JSON.
 */
export const clerk =
  (secretsOf: (id: string) => Fields | undefined, now: string) =>
  (user: Fields): Converted => {
    const notes: string[] = []
    const id = textOf(user, 'id')
    const secrets = (id && secretsOf(id)) || user
    const email = addressesOf(user, 'email')
    const phone = addressesOf(user, 'phone')
    const created = timeOf(user, 'created_at')
    const since = created ?? now
    if (email.more + phone.more > 0) notes.push('addresses_left')
    if (Object.keys(objectOf(user, 'private_metadata')).length > 0)
      notes.push('private_metadata_left')
    const secret = textOf(secrets, 'totp_secret')
    if (!secret && isSet(user, 'totp_enabled')) notes.push('factor_secret_missing')
    if (isSet(user, 'backup_code_enabled')) notes.push('recovery_codes_left')
    const identities = listOf(user, 'external_accounts').flatMap((account) => {
      const provider = (textOf(account, 'provider') ?? '').replace(/^(?:oauth|custom)_/, '')
      const subject = textOf(account, 'provider_user_id')
      if (!provider || !subject || unmapped.includes(provider)) {
        notes.push(`identity_unmapped: ${provider}`)
        return []
      }
      const address = textOf(account, 'email_address')
      const proven = email.verified && address?.toLowerCase() === email.primary?.toLowerCase()
      const data = {
        sub: subject,
        avatar_url: textOf(account, 'image_url', 'avatar_url'),
        email: address,
        email_verified: proven ? true : undefined,
      }
      const made = timeOf(account, 'created_at') ?? created
      return [trimmed({ provider, subject, email: address, data: trimmed(data), created_at: made })]
    })
    const hash = passwordOf(textOf(secrets, 'password_digest'), textOf(secrets, 'password_hasher'))
    const name = [textOf(user, 'first_name'), textOf(user, 'last_name')].filter(Boolean).join(' ')
    return {
      line: trimmed({
        foreign_id: id && `clerk:${id}`,
        email: email.primary,
        phone: phone.primary,
        password_hash: hash,
        email_confirmed_at: email.verified ? since : undefined,
        phone_confirmed_at: phone.verified ? since : undefined,
        banned_until: isSet(user, 'banned') ? forever : undefined,
        last_sign_in_at: timeOf(user, 'last_sign_in_at'),
        created_at: created,
        updated_at: timeOf(user, 'updated_at'),
        app_metadata: trimmed({ ...objectOf(user, 'public_metadata'), old_id: id }),
        user_metadata: trimmed({
          name: name || undefined,
          user_name: textOf(user, 'username'),
          avatar_url: textOf(user, 'image_url'),
          ...objectOf(user, 'unsafe_metadata'),
        }),
        identities: withOwn(identities, {
          email: email.primary && (hash || identities.length === 0),
          phone: phone.primary,
        }),
        factors: secret
          ? [{ factor_type: 'totp', secret: secret.replace(/[\s=]/g, '').toUpperCase() }]
          : undefined,
      }),
      notes,
    }
  }
