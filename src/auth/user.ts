import type { Scope } from '../core/scope.ts'
import { normaliseEmail } from './email.ts'
import { authFaults } from './faults.ts'
import { checkMetadata, mergeMetadata } from './metadata.ts'
import { checkPassword, hashPassword, verifyPassword } from './password.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'
import { type Metadata, toUser, type User, type UserRow } from './wire.ts'

export interface UpdateUser extends Caller {
  /** Only the address that the user has already; another one needs a confirmation that does not exist yet. */
  email?: string
  password?: string
  /** Merged into `user_metadata` key by key; `null` deletes one. */
  data?: Metadata
}

/**
 * The caller's user, if their session has not ended. One trip.
 *
 * @throws {Fault} `user_not_found`, `session_not_found`, `user_banned` (403 each).
 */
export const getUser = async (scope: Scope, caller: Caller): Promise<User> =>
  toUser(await readUser(scope, caller))

async function readUser(scope: Scope, { userId, sessionId }: Caller): Promise<UserRow> {
  const row = await scope.db
    .prepare(
      `SELECT u.*, s.id AS session_id FROM leanto_auth_users u
       LEFT JOIN leanto_auth_sessions s
         ON s.id = ?2 AND s.user_id = u.id AND coalesce(s.not_after, ?3 + 1) > ?3
       WHERE u.id = ?1`,
    )
    .bind(userId, sessionId, scope.now())
    .first<UserRow & { session_id: string | null }>()
  if (!row) throw authFaults.user_not_found()
  if (row.session_id === null) throw authFaults.session_not_found()
  if ((row.banned_until ?? 0) > scope.now()) throw authFaults.user_banned({ status: 403 })
  return row
}

const mostTries = 20

/**
 * Changes the caller's user. Two trips; one more for each change that came in between. A new password ends every other
 * session of the user, always.
 *
 * @throws {Fault} What `getUser` throws, `validation_failed`, `weak_password`, `same_password`, `conflict`.
 */
export const updateUser =
  (settings: Settings) =>
  async (scope: Scope, input: UpdateUser): Promise<User> => {
    const { email, password, data } = input
    if (data) checkMetadata(data)
    if (password !== undefined) checkPassword(password, settings.password.minLength)
    let row = await readUser(scope, input)
    if (email !== undefined && normaliseEmail(email) !== row.email)
      throw authFaults.validation_failed({
        message: 'Changing the email address needs a confirmation mail, which is not available yet',
      })
    if (password === undefined && data === undefined) return toUser(row)
    const encoded = password === undefined ? undefined : await replacement(settings, row, password)

    for (let tries = 0; tries < mostTries; tries++) {
      const changed = await write(scope, input, row, encoded)
      if (changed) {
        if (encoded) notify(settings, scope, changed)
        return toUser(changed)
      }
      const now = await readUser(scope, input)
      if (encoded && now.password !== row.password) break
      row = now
    }
    throw authFaults.conflict()
  }

async function replacement(settings: Settings, row: UserRow, password: string): Promise<string> {
  if (row.password && (await verifyPassword(row.password, password, settings.password.formats)))
    throw authFaults.same_password()
  return hashPassword(password)
}

/** Writes over exactly the row that was read; `undefined` if there is another one by now, and nothing was done. */
async function write(
  scope: Scope,
  { userId, sessionId, data }: UpdateUser,
  row: UserRow,
  encoded: string | undefined,
): Promise<UserRow | undefined> {
  const metadata = data
    ? JSON.stringify(mergeMetadata(JSON.parse(row.user_metadata), data))
    : row.user_metadata
  const update = scope.db
    .prepare(
      `UPDATE leanto_auth_users SET user_metadata = ?1, password = ?2, updated_at = ?3
       WHERE id = ?4 AND user_metadata = ?5 AND password IS ?6
         AND EXISTS (SELECT 1 FROM leanto_auth_sessions WHERE id = ?7 AND user_id = ?4)
       RETURNING *`,
    )
    .bind(
      metadata,
      encoded ?? row.password,
      scope.now(),
      userId,
      row.user_metadata,
      row.password,
      sessionId,
    )
  if (!encoded) return (await update.first<UserRow>()) ?? undefined
  // The new hash has its own salt: whoever finds it stored is the one who stored it.
  const endOthers = scope.db
    .prepare(
      `DELETE FROM leanto_auth_sessions WHERE user_id = ?1 AND id <> ?2
         AND EXISTS (SELECT 1 FROM leanto_auth_users WHERE id = ?1 AND password = ?3)`,
    )
    .bind(userId, sessionId, encoded)
  const [updated] = await scope.db.batch<UserRow>([update, endOthers])
  return updated?.results[0]
}

function notify({ mailer }: Settings, scope: Scope, { email }: UserRow): void {
  if (!mailer) return
  const said = [
    `The password of your account ${email} has just been changed, and all your other sessions were signed out.`,
    'If this was not you, someone else has access to your account: answer this mail at once.',
  ]
  const html = said.map((line) => `<p>${escapeHtml(line)}</p>`).join('\n')
  const mail = { to: email, subject: 'Your password was changed', text: said.join('\n\n'), html }
  scope.waitUntil(Promise.resolve().then(() => mailer.send(scope, mail)))
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
