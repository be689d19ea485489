import type { Fields } from '../records.ts'
import { type Converted, isSet, listOf, objectOf, textOf, timeOf, trimmed } from './fields.ts'

/**
 * A row of `auth.users`, with its rows of `auth.identities` and `auth.mfa_factors` as lists in it.
 *
 * Source: https://github.com/supabase/auth/tree/master/migrations
 */
export function supabase(row: Fields): Converted {
  const notes: string[] = []
  const id = textOf(row, 'id')
  const times = {
    created_at: timeOf(row, 'created_at'),
    updated_at: timeOf(row, 'updated_at'),
  }
  const deleted = timeOf(row, 'deleted_at')
  // GoTrue leaves hashes in the place of addresses.
  if (deleted) return { line: trimmed({ id, deleted_at: deleted, ...times }), notes }
  const app = objectOf(row, 'raw_app_meta_data', 'app_metadata')
  const identities = listOf(row, 'identities').flatMap(identity)
  const providers = Array.isArray(app.providers) ? app.providers : []
  const known = identities.map(({ provider }) => provider)
  if (providers.some((name) => name !== 'email' && name !== 'phone' && !known.includes(name)))
    notes.push('identities_missing')
  const anonymous = isSet(row, 'is_anonymous')
  return {
    line: trimmed({
      id,
      email: anonymous ? undefined : textOf(row, 'email'),
      phone: anonymous ? undefined : textOf(row, 'phone'),
      password_hash: textOf(row, 'encrypted_password'),
      email_confirmed_at: timeOf(row, 'email_confirmed_at', 'confirmed_at'),
      phone_confirmed_at: timeOf(row, 'phone_confirmed_at'),
      is_anonymous: anonymous || undefined,
      invited_at: timeOf(row, 'invited_at'),
      last_sign_in_at: timeOf(row, 'last_sign_in_at'),
      banned_until: timeOf(row, 'banned_until'),
      ...times,
      app_metadata: app,
      user_metadata: objectOf(row, 'raw_user_meta_data', 'user_metadata'),
      identities: identities.length > 0 ? identities : undefined,
      factors: listOf(row, 'mfa_factors', 'factors').flatMap((one) => factor(one, notes)),
    }),
    notes,
  }
}

function identity(row: Fields): Fields[] {
  const data = objectOf(row, 'identity_data')
  const provider = textOf(row, 'provider')
  if (!provider) return []
  return [
    trimmed({
      // Before 2023 `id` was the provider's own.
      id: textOf(row, 'provider_id') ? textOf(row, 'id') : undefined,
      provider,
      subject: textOf(row, 'provider_id') ?? textOf(data, 'sub') ?? textOf(row, 'id'),
      email: textOf(row, 'email') ?? textOf(data, 'email'),
      data: provider === 'email' || provider === 'phone' ? undefined : data,
      last_sign_in_at: timeOf(row, 'last_sign_in_at'),
      created_at: timeOf(row, 'created_at'),
      updated_at: timeOf(row, 'updated_at'),
    }),
  ]
}

function factor(row: Fields, notes: string[]): Fields[] {
  if (textOf(row, 'status') !== 'verified') return []
  const type = textOf(row, 'factor_type')
  const secret = textOf(row, 'secret')
  if (type === 'webauthn') notes.push('factor_webauthn')
  // Where the project encrypts its database, this is JSON.
  if (type === 'totp' && secret?.startsWith('{')) notes.push('factor_encrypted')
  if (type !== 'phone' && (type !== 'totp' || !secret || secret.startsWith('{'))) return []
  return [
    trimmed({
      id: textOf(row, 'id'),
      factor_type: type,
      friendly_name: textOf(row, 'friendly_name'),
      secret: type === 'totp' ? secret : undefined,
      phone: textOf(row, 'phone')?.replace(/^\+/, ''),
      last_challenged_at: timeOf(row, 'last_challenged_at'),
      created_at: timeOf(row, 'created_at'),
      updated_at: timeOf(row, 'updated_at'),
    }),
  ]
}
