import type { Statement } from '../../core/database.ts'
import { isUuid } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { type Address, requireEmail, requirePhone } from '../address.ts'
import { addIdentity } from '../change.ts'
import { byId, type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { checkMetadata, mergeMetadata } from '../metadata.ts'
import { newUser } from '../new-user.ts'
import { endElsewhere, happened } from '../part.ts'
import { checkPassword, hashPassword, isVerifiable } from '../password.ts'
import type { Settings } from '../settings.ts'
import type { Metadata, User, UserRow } from '../wire.ts'
import { readDuration } from './duration.ts'
import { adminFaults } from './faults.ts'
import type { Page } from './paging.ts'

/** What the server may say of a user; GoTrue's `AdminUserAttributes`. */
export interface UserAttributes {
  email?: string | undefined
  phone?: string | undefined
  password?: string | undefined
  /** A stored form of a password, in one of the `password.formats` of `auth` or as argon2id. */
  passwordHash?: string | undefined
  userMetadata?: Metadata | undefined
  appMetadata?: Metadata | undefined
  /** Whether the address counts as proven. */
  emailConfirm?: boolean | undefined
  phoneConfirm?: boolean | undefined
  /** A Go duration, such as `24h`; `none` lifts a ban. */
  banDuration?: string | undefined
}

export interface CreateUser extends UserAttributes {
  /** A UUID; for users who come from elsewhere. */
  id?: string | undefined
}

export const notFound = () => authFaults.user_not_found({ status: 404, message: 'User not found' })

/** A page of all users, the newest first, with their number. One trip. @throws nothing of its own. */
export const listUsers =
  (settings: Settings) =>
  async (scope: Scope, { page, perPage }: Page): Promise<{ users: User[]; total: number }> => {
    // The page first: what is read with a user must not be read for those before it.
    const select = scope.db
      .prepare(
        `SELECT ${settings.userColumns} FROM (
           SELECT id FROM leanto_auth_users ORDER BY created_at DESC, id DESC LIMIT ?1 OFFSET ?2
         ) p JOIN leanto_auth_users u ON u.id = p.id ORDER BY u.created_at DESC, u.id DESC`,
      )
      .bind(perPage, (page - 1) * perPage)
    const count = scope.db.prepare('SELECT count(*) AS total FROM leanto_auth_users')
    const [rows, counted] = await scope.db.batch([select, count])
    return {
      users: ((rows?.results ?? []) as unknown as UserRow[]).map(settings.toUser),
      total: Number(counted?.results[0]?.total),
    }
  }

/** One trip. @throws {Fault} `user_not_found` (404). */
export const findUser =
  (settings: Settings) =>
  async (scope: Scope, { userId }: { userId: string }): Promise<User> => {
    const row = await readUser(settings, scope, byId(userId)).first<UserRow>()
    if (!row) throw notFound()
    return settings.toUser(row)
  }

export const readUser = (settings: Settings, scope: Scope, user: Condition): Statement =>
  scope.db
    .prepare(`SELECT ${settings.userColumns} FROM leanto_auth_users u WHERE ${user.sql}`)
    .bind(...user.values)

interface Checked {
  email?: string | undefined
  phone?: string | undefined
  encoded?: string | undefined
  bannedUntil?: number | null | undefined
}

async function check(
  settings: Settings,
  scope: Scope,
  { email, phone, password, passwordHash, banDuration }: UserAttributes,
): Promise<Checked> {
  const checked: Checked = {
    email: email ? requireEmail(email) : undefined,
    phone: phone ? requirePhone(phone) : undefined,
  }
  if (password !== undefined && passwordHash !== undefined)
    throw authFaults.validation_failed({
      message: 'Only a password or a password hash should be provided',
    })
  if (passwordHash !== undefined) checked.encoded = checkHash(settings, passwordHash)
  if (password !== undefined) {
    await checkPassword(settings, scope, password, [checked.email ?? ''])
    checked.encoded = hashPassword(password)
  }
  if (banDuration !== undefined) checked.bannedUntil = bannedUntil(scope, banDuration)
  return checked
}

function bannedUntil(scope: Scope, text: string): number | null {
  if (text === 'none') return null
  const duration = readDuration(text)
  if (duration === null)
    throw authFaults.validation_failed({ message: 'invalid format for ban duration' })
  return scope.now() + duration
}

function checkHash({ password: { formats } }: Settings, encoded: string): string {
  if (isVerifiable(encoded, formats)) return encoded
  throw authFaults.validation_failed({
    message: 'password_hash is of no format that is configured',
  })
}

/**
 * Makes a user, whatever `signUp` says, without a mail or a session. One trip.
 *
 * @throws {Fault} `validation_failed`, `weak_password`, `email_exists`, `phone_exists`.
 */
export const createUser =
  (settings: Settings) =>
  async (scope: Scope, input: CreateUser): Promise<User> => {
    const { email, phone, encoded, bannedUntil } = await check(settings, scope, input)
    if (!email && !phone)
      throw authFaults.validation_failed({
        message: 'Cannot create a user without either an email or phone',
      })
    if (input.id !== undefined && !isUuid(input.id))
      throw authFaults.validation_failed({ message: 'ID must conform to the uuid v4 format' })
    const address: Address = email
      ? { type: 'email', value: email }
      : { type: 'phone', value: phone as string }
    const confirm = { email: input.emailConfirm === true, phone: input.phoneConfirm === true }
    const user = newUser(scope, {
      id: input.id?.toLowerCase(),
      address,
      password: encoded ?? null,
      data: checkMetadata(input.userMetadata ?? {}),
      app: checkMetadata(input.appMetadata ?? {}),
      proven: confirm[address.type],
    })
    const { id } = user.row
    let row: UserRow
    const more = [
      ...(bannedUntil === undefined || bannedUntil === null
        ? []
        : [set(scope, id, 'banned_until = ?', bannedUntil)]),
      ...(email && phone
        ? [
            set(
              scope,
              id,
              `phone = ?, phone_confirmed_at = ?,
               app_metadata = json_set(app_metadata, '$.providers', json_array('email', 'phone'))`,
              phone,
              confirm.phone ? scope.now() : null,
            ),
            addIdentity(scope, 'phone', byId(id)),
          ]
        : []),
    ]
    const statements = [user.insert, made(scope), user.identity, ...more]
    try {
      const results = await scope.db.batch([...statements, readUser(settings, scope, byId(id))])
      row = results.at(-1)?.results[0] as unknown as UserRow
    } catch (error) {
      if (!/malformed JSON|UNIQUE constraint failed/.test(String(error))) throw error
      const { by_email, by_phone } = (await taken(scope, id, { email, phone }).first()) ?? {}
      if (by_email) throw authFaults.email_exists({ cause: error })
      if (by_phone) throw adminFaults.phone_exists()
      throw authFaults.user_already_exists({ cause: error })
    }
    happened(settings, scope, { action: 'user_created', userId: id })
    return settings.toUser(row)
  }

/** Fails the batch, and so undoes all of it, unless the statement before it has made the user. */
const made = (scope: Scope): Statement =>
  scope.db.prepare(`SELECT CASE WHEN changes() = 1 THEN 1 ELSE json('taken') END`)

const set = (scope: Scope, id: string, sql: string, ...values: unknown[]): Statement =>
  scope.db.prepare(`UPDATE leanto_auth_users SET ${sql} WHERE id = ?`).bind(...values, id)

/** Whether someone else has the address. */
const taken = (scope: Scope, id: string, { email, phone }: Checked): Statement =>
  scope.db
    .prepare(
      `SELECT EXISTS (SELECT 1 FROM leanto_auth_users WHERE email = ?1 AND id <> ?3) AS by_email,
         EXISTS (SELECT 1 FROM leanto_auth_users WHERE phone = ?2 AND id <> ?3) AS by_phone`,
    )
    .bind(email ?? null, phone ?? null, id)

const mostTries = 5

/**
 * Changes a user. A new password and a ban end all of their sessions, and a new address takes every link and code along
 * that was sent to the one before (cases 11 and 12). Two trips; two more for each change that came in between.
 *
 * @throws {Fault} `user_not_found` (404), `validation_failed`, `weak_password`, `email_exists`, `phone_exists`, `conflict`.
 */
export const updateUser =
  (settings: Settings) =>
  async (
    scope: Scope,
    { userId, ...input }: UserAttributes & { userId: string },
  ): Promise<User> => {
    const checked = await check(settings, scope, input)
    for (let tries = 0; tries < mostTries; tries++) {
      const row = await readUser(settings, scope, byId(userId)).first<UserRow>()
      if (!row || row.deleted_at !== null) throw notFound()
      const results = await scope.db.batch([
        taken(scope, userId, checked),
        ...changes(settings, scope, row, { ...input, ...checked }),
      ])
      const { by_email, by_phone } = results[0]?.results[0] ?? {}
      if (by_email) throw authFaults.email_exists()
      if (by_phone) throw adminFaults.phone_exists()
      const changed = results.at(-1)?.results[0] as unknown as UserRow | undefined
      if (!changed || results.at(-2)?.results.length !== 1) continue
      const data = { fields: given(input) }
      happened(settings, scope, { action: 'user_modified', userId, data })
      return settings.toUser(changed)
    }
    throw authFaults.conflict()
  }

const given = (input: object): string[] =>
  Object.entries(input).flatMap(([name, value]) => (value === undefined ? [] : [name]))

/** Each statement asks for the row that was read, and the one that changes it goes last: all of them happen, or none. */
function changes(
  settings: Settings,
  scope: Scope,
  row: UserRow,
  input: UserAttributes & Checked,
): Statement[] {
  const { email, phone, encoded, bannedUntil, userMetadata, appMetadata } = input
  const now = scope.now()
  const same = condition(
    `u.id = ? AND u.email IS ? AND u.phone IS ? AND u.password IS ? AND u.app_metadata = ?
     AND u.user_metadata = ? AND u.deleted_at IS NULL
     AND NOT EXISTS (SELECT 1 FROM leanto_auth_users o WHERE o.id <> u.id
       AND (o.email = ? OR o.phone = ?))`,
    ...[row.id, row.email, row.phone, row.password, row.app_metadata, row.user_metadata],
    email ?? null,
    phone ?? null,
  )
  const of = (table: string) =>
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_${table}
         WHERE user_id = (SELECT u.id FROM leanto_auth_users u WHERE ${same.sql})`,
      )
      .bind(...same.values)
  const moved = (email && email !== row.email) || (phone && phone !== row.phone)
  const ends = encoded !== undefined || (bannedUntil != null && bannedUntil > now)
  const confirmed = (flag: boolean | undefined, before: number | null) => {
    if (flag === undefined) return before
    return flag ? (before ?? now) : null
  }
  const app = appMetadata ? mergeMetadata(JSON.parse(row.app_metadata), appMetadata) : undefined
  const data = userMetadata ? mergeMetadata(JSON.parse(row.user_metadata), userMetadata) : undefined
  const update = scope.db
    .prepare(
      `UPDATE leanto_auth_users AS u SET email = ?, phone = ?, password = ?, app_metadata = ?,
         user_metadata = ?, email_confirmed_at = ?, phone_confirmed_at = ?, banned_until = ?,
         is_anonymous = CASE WHEN ? THEN 0 ELSE is_anonymous END, updated_at = ?
       WHERE ${same.sql} RETURNING id`,
    )
    .bind(
      email ?? row.email,
      phone ?? row.phone,
      encoded ?? row.password,
      app ? JSON.stringify(app) : row.app_metadata,
      data ? JSON.stringify(data) : row.user_metadata,
      confirmed(input.emailConfirm, row.email_confirmed_at),
      confirmed(input.phoneConfirm, row.phone_confirmed_at),
      bannedUntil === undefined ? row.banned_until : bannedUntil,
      email || phone ? 1 : 0,
      now,
      ...same.values,
    )
  return [
    ...(moved || encoded !== undefined ? [of('tokens')] : []),
    ...(ends ? [of('sessions'), ...endElsewhere(settings, scope, { user: same })] : []),
    ...(email ? [addIdentity(scope, 'email', same)] : []),
    ...(phone ? [addIdentity(scope, 'phone', same)] : []),
    update,
    readUser(settings, scope, byId(row.id)),
  ]
}

/**
 * Deletes a user with all that `auth` knows of them. Softly, an empty row with their id stays, so that what refers to it
 * still finds it; nobody can sign in to it, and it does not come back. One trip.
 *
 * @throws {Fault} `user_not_found` (404).
 */
export const deleteUser =
  (settings: Settings) =>
  async (
    scope: Scope,
    { userId, soft = false }: { userId: string; soft?: boolean },
  ): Promise<void> => {
    const now = scope.now()
    const of = (table: string) =>
      scope.db.prepare(`DELETE FROM leanto_auth_${table} WHERE user_id = ?`).bind(userId)
    const user = soft
      ? scope.db
          .prepare(
            `UPDATE leanto_auth_users SET email = NULL, phone = NULL, password = NULL,
               app_metadata = '{}', user_metadata = '{}', email_change = NULL, phone_change = NULL,
               email_confirmed_at = NULL, phone_confirmed_at = NULL,
               deleted_at = coalesce(deleted_at, ?1), updated_at = ?1
             WHERE id = ?2 RETURNING id`,
          )
          .bind(now, userId)
      : scope.db.prepare('DELETE FROM leanto_auth_users WHERE id = ? RETURNING id').bind(userId)
    const results = await scope.db.batch([
      of('sessions'),
      of('identities'),
      of('tokens'),
      ...settings.parts.flatMap((part) => part.removed?.(scope, userId) ?? []),
      user,
    ])
    if (results.at(-1)?.results.length !== 1) throw notFound()
    happened(settings, scope, { action: 'user_deleted', userId, data: { soft } })
  }

/** Ends all sessions of a user. One trip. @throws {Fault} `user_not_found` (404). */
export const signOutUser =
  (settings: Settings) =>
  async (scope: Scope, { userId }: { userId: string }): Promise<void> => {
    const [found] = await scope.db.batch([
      scope.db.prepare('SELECT 1 FROM leanto_auth_users WHERE id = ?').bind(userId),
      scope.db.prepare('DELETE FROM leanto_auth_sessions WHERE user_id = ?').bind(userId),
      ...endElsewhere(settings, scope, { user: byId(userId) }),
    ])
    if (found?.results.length !== 1) throw notFound()
    happened(settings, scope, { action: 'user_signed_out', userId })
  }
