import type { Fields } from '../records.ts'
import {
  type Converted,
  forever,
  isObject,
  isSet,
  listOf,
  objectOf,
  textOf,
  timeOf,
  trimmed,
  withOwn,
} from './fields.ts'

/** Whose accounts have the same ids, whoever asks the provider. */
const names: Readonly<Record<string, string>> = {
  'google-oauth2': 'google',
  facebook: 'facebook',
  github: 'github',
  twitter: 'twitter',
  apple: 'apple',
  gitlab: 'gitlab',
  bitbucket: 'bitbucket',
}

/** Auth0's own ways in. */
const own = ['auth0', 'email', 'sms']

/** The id by which both exports know a user of a database connection: `auth0|…`. */
export function auth0Id(fields: Fields): string | undefined {
  const id = textOf(fields, 'user_id', 'Id')
  if (id) return id
  const object = fields._id ?? fields._ID
  const oid = isObject(object) ? textOf(object, '$oid') : textOf(fields, '_id', '_ID')
  return oid && (oid.includes('|') ? oid : `auth0|${oid}`)
}

/**
 * A user of the bulk export (`POST /api/v2/jobs/users-exports`, `format: json`), with what the export of password hashes,
 * which Auth0's support makes, says of them.
 *
 * Source: https://auth0.com/docs/manage-users/user-migration/bulk-user-exports
 *
 * @param passwordOf The line of that export, by `auth0Id`.
 */
export const auth0 =
  (passwordOf: (id: string) => Fields | undefined, now: string) =>
  (user: Fields): Converted => {
    const notes: string[] = []
    const id = auth0Id(user)
    const secret = (id && passwordOf(id)) || user
    const listed = listOf(user, 'identities')
    const email = textOf(user, 'email', 'Email')
    const verified = isSet(user, 'email_verified', 'Email Verified')
    const created = timeOf(user, 'created_at', 'Created At') ?? timeOf(secret, 'password_set_date')
    const phone = textOf(user, 'phone_number')
    const identities = listed.flatMap((one) => {
      const strategy = textOf(one, 'provider') ?? ''
      if (own.includes(strategy)) return []
      const [provider, subject] = [names[strategy], textOf(one, 'user_id')]
      if (!provider || !subject) {
        notes.push(`identity_unmapped: ${strategy}`)
        return []
      }
      const profile = objectOf(one, 'profileData')
      const address = textOf(profile, 'email') ?? (listed.length === 1 ? email : undefined)
      const vouched = isSet(profile, 'email_verified') || (verified && address === email)
      const data = {
        sub: subject,
        name: textOf(profile, 'name'),
        avatar_url: textOf(profile, 'picture'),
        email: address,
        email_verified: vouched ? true : undefined,
      }
      return [{ provider, subject, email: address, data: trimmed(data), created_at: created }]
    })
    if (listOf(user, 'guardian_authenticators').length > 0 || asksForMore(user.multifactor))
      notes.push('factor_secret_missing')
    const hash = textOf(secret, 'passwordHash', 'password_hash')
    const byMail = hash || listed.some((one) => /^(?:auth0|email)$/.test(String(one.provider)))
    return {
      line: trimmed({
        foreign_id: id && `auth0:${id}`,
        email,
        phone,
        password_hash: hash,
        email_confirmed_at: verified ? (created ?? now) : undefined,
        phone_confirmed_at: isSet(user, 'phone_verified') ? (created ?? now) : undefined,
        banned_until: isSet(user, 'blocked') ? forever : undefined,
        last_sign_in_at: timeOf(user, 'last_login', 'Last Login'),
        created_at: created,
        updated_at: timeOf(user, 'updated_at', 'Updated At'),
        app_metadata: trimmed({ ...objectOf(user, 'app_metadata'), old_id: id }),
        user_metadata: trimmed({
          name: textOf(user, 'name', 'Name'),
          given_name: textOf(user, 'given_name', 'Given Name'),
          family_name: textOf(user, 'family_name', 'Family Name'),
          user_name: textOf(user, 'username', 'Username'),
          avatar_url: textOf(user, 'picture', 'Picture'),
          ...objectOf(user, 'user_metadata'),
        }),
        identities: withOwn(identities, {
          email: email && (byMail || identities.length === 0),
          phone,
        }),
      }),
      notes,
    }
  }

const asksForMore = (multifactor: unknown) => Array.isArray(multifactor) && multifactor.length > 0
