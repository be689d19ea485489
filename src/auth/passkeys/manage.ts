import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { authFaults } from '../faults.ts'
import { sendMail } from '../mails.ts'
import { happened } from '../part.ts'
import type { Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import { callerStatement, checkCaller } from '../user.ts'
import { type Passkey, type PasskeyRow, toPasskey } from './passkey.ts'
import { checkKeeper, isKeeper } from './register.ts'

/** With GoTrue's code. Another user's is none. */
const notFound = () => authFaults.validation_failed({ status: 404, message: 'Passkey not found' })

const select = (scope: Scope, userId: string): Statement =>
  scope.db
    .prepare(
      `SELECT id, name, created_at, last_used_at FROM leanto_auth_passkeys
       WHERE user_id = ? ORDER BY id`,
    )
    .bind(userId)

const shown = (results: readonly unknown[] | undefined): Passkey[] =>
  ((results ?? []) as PasskeyRow[]).map(toPasskey)

/** The caller's passkeys, the oldest first. One trip. @throws {Fault} What `getUser` throws. */
export const listPasskeys =
  (settings: Settings) =>
  async (scope: Scope, caller: Caller): Promise<Passkey[]> => {
    const [user, mine] = await scope.db.batch([
      callerStatement(settings, scope, caller),
      select(scope, caller.userId),
    ])
    checkCaller(scope, user?.results[0])
    return shown(mine?.results)
  }

/** One trip. @throws {Fault} `validation_failed` (404), and what `getUser` throws. */
export const renamePasskey =
  (settings: Settings) =>
  async (scope: Scope, input: Caller & { passkeyId: string; name: string }): Promise<Passkey> => {
    const { userId, passkeyId, name } = input
    const may = isKeeper(scope, input)
    const [user, renamed] = await scope.db.batch([
      callerStatement(settings, scope, input),
      scope.db
        .prepare(
          `UPDATE leanto_auth_passkeys AS p SET name = ? WHERE p.id = ?
             AND EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = p.user_id AND ${may.sql})
           RETURNING id, name, created_at, last_used_at`,
        )
        .bind(name, passkeyId, ...may.values),
    ])
    checkCaller(scope, user?.results[0])
    const [passkey] = shown(renamed?.results)
    if (!passkey) throw notFound()
    const data = { passkey_id: passkeyId }
    happened(settings, scope, { action: 'passkey_updated', userId, data })
    return passkey
  }

/** Two trips. @throws {Fault} `validation_failed` (404), and what `checkKeeper` throws. */
export const deletePasskey =
  (settings: Settings) =>
  async (scope: Scope, input: Caller & { passkeyId: string }): Promise<void> => {
    const { userId, passkeyId } = input
    const row = checkKeeper(settings, scope, await callerStatement(settings, scope, input).first())
    const may = isKeeper(scope, input)
    const deleted = await scope.db
      .prepare(
        `DELETE FROM leanto_auth_passkeys AS p WHERE p.id = ?
           AND EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = p.user_id AND ${may.sql})
         RETURNING id`,
      )
      .bind(passkeyId, ...may.values)
      .first()
    if (!deleted) throw notFound()
    const data = { passkey_id: passkeyId }
    happened(settings, scope, { action: 'passkey_deleted', userId, data })
    if (row.email && row.email_confirmed_at !== null)
      sendMail(settings, scope, 'identity_unlinked', { email: row.email, subject: 'a passkey' })
  }

const noUser = () => authFaults.user_not_found({ status: 404, message: 'User not found' })

const selectUser = (scope: Scope, userId: string): Statement =>
  scope.db.prepare('SELECT 1 FROM leanto_auth_users WHERE id = ?').bind(userId)

/** For the server: any user's. One trip. @throws {Fault} `user_not_found` (404). */
export const listPasskeysOf = async (
  scope: Scope,
  { userId }: { userId: string },
): Promise<Passkey[]> => {
  const [user, theirs] = await scope.db.batch([selectUser(scope, userId), select(scope, userId)])
  if (user?.results.length !== 1) throw noUser()
  return shown(theirs?.results)
}

/** For the server: any user's. One trip. @throws {Fault} `user_not_found`, `validation_failed` (404 each). */
export const deletePasskeyOf =
  (settings: Settings) =>
  async (
    scope: Scope,
    { userId, passkeyId }: { userId: string; passkeyId: string },
  ): Promise<void> => {
    const [user, deleted] = await scope.db.batch([
      selectUser(scope, userId),
      scope.db
        .prepare('DELETE FROM leanto_auth_passkeys WHERE id = ? AND user_id = ? RETURNING id')
        .bind(passkeyId, userId),
    ])
    if (user?.results.length !== 1) throw noUser()
    if (deleted?.results.length !== 1) throw notFound()
    const data = { passkey_id: passkeyId, by: 'server' }
    happened(settings, scope, { action: 'passkey_deleted', userId, data })
  }
