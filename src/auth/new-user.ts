import { uuidv7 } from '../core/id.ts'
import type { Scope } from '../core/scope.ts'
import type { Address } from './address.ts'
import type { Condition } from './condition.ts'
import type { IdentityRow, Metadata, UserRow } from './wire.ts'

export interface NewUser {
  /** For users who come from elsewhere. @default a new UUIDv7 */
  id?: string | undefined
  /** Without one the user is anonymous. */
  address?: Address
  /** Encoded. */
  password?: string | null
  /** `user_metadata`. */
  data?: Metadata
  /** `app_metadata`, beside what says how they came. */
  app?: Metadata
  /** Whether the address counts as proven. */
  proven: boolean
  /** What must hold, or nobody is made. @default nothing */
  only?: Condition | undefined
}

/**
 * The two statements that make a user and the identity of their address, unless someone has the address; the first
 * answers one row if it did.
 */
export function newUser(
  scope: Scope,
  { id: given, address, password = null, data = {}, app = {}, proven, only }: NewUser,
) {
  const now = scope.now()
  const type = address?.type
  const value = address?.value ?? null
  const id = given ?? uuidv7(now)
  const identity: IdentityRow | undefined = type && {
    id,
    provider: type,
    subject: id,
    email: type === 'email' ? value : null,
    data: {},
    last_sign_in_at: now,
    created_at: now,
    updated_at: now,
  }
  const row: UserRow = {
    id,
    email: type === 'email' ? value : null,
    phone: type === 'phone' ? value : null,
    password,
    app_metadata: JSON.stringify(type ? { ...app, provider: type, providers: [type] } : app),
    user_metadata: JSON.stringify(data),
    email_confirmed_at: type === 'email' && proven ? now : null,
    phone_confirmed_at: type === 'phone' && proven ? now : null,
    is_anonymous: type ? 0 : 1,
    invited_at: null,
    confirmation_sent_at: null,
    recovery_sent_at: null,
    email_change: null,
    email_change_sent_at: null,
    email_change_half: null,
    phone_change: null,
    last_sign_in_at: null,
    banned_until: null,
    deleted_at: null,
    created_at: now,
    updated_at: now,
    identities: JSON.stringify(identity ? [identity] : []),
  }
  const values = '?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10'
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_auth_users (id, email, phone, password, app_metadata, user_metadata,
         email_confirmed_at, phone_confirmed_at, is_anonymous, created_at, updated_at)
       ${only ? `SELECT ${values} WHERE ${only.sql}` : `VALUES (${values})`}
       ON CONFLICT DO NOTHING RETURNING id`,
    )
    .bind(
      id,
      row.email,
      row.phone,
      password,
      row.app_metadata,
      row.user_metadata,
      row.email_confirmed_at,
      row.phone_confirmed_at,
      row.is_anonymous,
      now,
      ...(only?.values ?? []),
    )
  const addIdentity = scope.db
    .prepare(
      `INSERT INTO leanto_auth_identities
         (id, provider, subject, user_id, email, data, last_sign_in_at, created_at, updated_at)
       SELECT id, ?2, id, id, email, '{}', ?3, ?3, ?3 FROM leanto_auth_users WHERE id = ?1`,
    )
    .bind(id, type ?? '', now)
  return { row, insert, identity: addIdentity }
}
