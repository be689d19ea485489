import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { type Address, requireEmail, requirePhone } from './address.ts'
import {
  type Budget,
  checkSpent,
  giveBack,
  messageBudgets,
  refundAll,
  sentTo,
  spendAll,
} from './budget.ts'
import { isGuestsStill, recent, sessionOf, signInFirst } from './caller.ts'
import { addIdentity } from './change.ts'
import { changeCodes, deliverChange } from './change-codes.ts'
import { consumeCode, type TakenCode } from './codes.ts'
import { and, byId, type Condition, condition } from './condition.ts'
import { checkCurrent, currentBudgets } from './current-password.ts'
import { authFaults } from './faults.ts'
import { sendMail } from './mails.ts'
import type { PreparedCode } from './message.ts'
import { checkMetadata, mergeMetadata } from './metadata.ts'
import { endElsewhere, happened } from './part.ts'
import { checkPassword, hashPassword, verifyPassword } from './password.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'
import type { LinkTarget } from './sign-up.ts'
import { type Metadata, type SessionRow, sessionColumns, type User, type UserRow } from './wire.ts'

export interface UpdateUser extends Caller, LinkTarget {
  /** Changes once it is confirmed from both mailboxes. */
  email?: string | undefined
  /** Changes once its code is shown. */
  phone?: string | undefined
  password?: string | undefined
  /** The password so far; checked if it is shown. */
  currentPassword?: string | undefined
  /** The code of `/reauthenticate`, where a new password needs one. */
  nonce?: string | undefined
  /** Merged into `user_metadata` key by key; `null` deletes one. */
  data?: Metadata | undefined
  network?: string | null | undefined
}

/**
 * The caller's user, if their session has not ended. One trip.
 *
 * @throws {Fault} `user_not_found`, `session_not_found`, `user_banned` (403 each).
 */
export const getUser =
  (settings: Settings) =>
  async (scope: Scope, caller: Caller): Promise<User> =>
    settings.toUser(checkCaller(scope, await callerStatement(settings, scope, caller).first()))

/** Reads the caller with their session; `checkCaller` says whether they may go on. */
export function callerStatement(settings: Settings, scope: Scope, caller: Caller): Statement {
  const session = sessionOf(scope, caller)
  return scope.db
    .prepare(
      `SELECT ${settings.userColumns}, ${sessionColumns}
       FROM leanto_auth_users u LEFT JOIN ${session.sql} s ON s.user_id = u.id WHERE u.id = ?`,
    )
    .bind(...session.values, caller.userId)
}

/** @throws {Fault} `user_not_found`, `session_not_found`, `user_banned` (403 each). */
export function checkCaller(scope: Scope, read: unknown): SessionRow {
  const row = read as SessionRow | null | undefined
  if (!row || row.deleted_at !== null) throw authFaults.user_not_found()
  if (row.session_id === null) throw authFaults.session_not_found()
  if ((row.banned_until ?? 0) > scope.now()) throw authFaults.user_banned({ status: 403 })
  return row
}

const mostTries = 20

/**
 * Changes the caller's user. Two trips; one more for each change that came in between. A new password ends every other
 * session of the user, always. A new address waits for its proof, and says nothing of whether someone else has it.
 *
 * A guest whose address counts at once becomes a user. The guest's other sessions end; this one goes on, for the answer is a
 * user and the client has no other tokens than it had. What it cannot do from then on is said in `caller.ts`.
 *
 * @throws {Fault} What `getUser` throws, `validation_failed`, `weak_password`, `same_password`, `current_password_required`,
 * `current_password_invalid`, `reauthentication_needed`, `reauthentication_not_valid`, `phone_provider_disabled`,
 * `rate_limited`, `conflict`.
 */
export const updateUser =
  (settings: Settings) =>
  async (scope: Scope, input: UpdateUser): Promise<User> => {
    const { password, data } = input
    const asked = askedAddresses(settings, input)
    if (data) checkMetadata(data)
    const budgets: Budget[] = []
    for (const address of asked)
      budgets.push(...(await messageBudgets(settings, scope, sentTo(address, input.network))))
    const guesses = await currentBudgets(settings, scope, input)
    const spent = [...budgets, ...guesses]
    const first = [
      ...spendAll(scope, budgets),
      ...spendAll(scope, guesses),
      callerStatement(settings, scope, input),
    ]
    const results = await scope.db.batch(first)
    let row = checkCaller(scope, results.at(-1)?.results[0])
    try {
      checkSpent(scope, guesses, results.slice(budgets.length))
      const addresses = asked.filter(({ type, value }) => value !== row[type])
      if (addresses.length > 0) checkSpent(scope, budgets, results)
      const change = await prepare(settings, scope, { input, row, addresses })
      if (!change) return settings.toUser(row)
      for (let tries = 0; tries < mostTries; tries++) {
        const refunds = tries === 0 ? refundAll(scope, guesses) : []
        const changed = await write(settings, scope, { ...change, refunds }, row)
        if (changed) return settings.toUser(changed)
        const now = checkCaller(scope, await callerStatement(settings, scope, input).first())
        if (password !== undefined && now.password !== row.password) break
        // What was decided for a guest must not be done to the user that they have become.
        if (now.is_anonymous !== row.is_anonymous) break
        row = now
      }
      throw authFaults.conflict()
    } catch (error) {
      giveBack(scope, spent, error)
      throw error
    }
  }

/** The addresses that are asked for, as far as they can be reached. */
function askedAddresses(settings: Settings, { email, phone }: UpdateUser): Address[] {
  const asked: Address[] = []
  if (email !== undefined) asked.push({ type: 'email', value: requireEmail(email) })
  if (phone !== undefined) {
    if (!settings.sms)
      throw authFaults.phone_provider_disabled({ message: 'Phone is not available' })
    asked.push({ type: 'phone', value: requirePhone(phone) })
  }
  return asked
}

interface Change {
  input: UpdateUser
  addresses: readonly Address[]
  /** The new password, encoded. */
  encoded: string | undefined
  nonce: TakenCode | undefined
  /** Whether the new address counts as proven at once. */
  immediate: boolean
}

async function prepare(
  settings: Settings,
  scope: Scope,
  { input, row, addresses }: { input: UpdateUser; row: SessionRow; addresses: readonly Address[] },
): Promise<Change | undefined> {
  const { password, data } = input
  const anonymous = row.is_anonymous === 1
  const email = addresses.some(({ type }) => type === 'email')
  const immediate = email && anonymous && settings.autoconfirm
  if (email && !settings.mailer && !immediate)
    throw authFaults.validation_failed({
      message: 'Changing the email address needs confirmation mails, which this server cannot send',
    })
  if (anonymous && password !== undefined && addresses.length === 0)
    throw authFaults.validation_failed({
      status: 422,
      message: 'Updating password of an anonymous user without an email or phone is not allowed',
    })
  if (password === undefined && data === undefined && addresses.length === 0) return undefined
  // The first password of an account that nobody has proven is all that it will be known by.
  const first = settings.autoconfirm && row.password === null && addresses.length === 0
  if (isGuestsStill(row) && (addresses.length > 0 || password !== undefined) && !first)
    throw signInFirst()
  const changes = Object.fromEntries(addresses.map(({ type, value }) => [type, value]))
  for (const { beforeUpdate } of settings.parts)
    beforeUpdate?.(row as never, { ...changes, password }, { aal: row.aal })
  if (password === undefined)
    return { input, addresses, encoded: undefined, nonce: undefined, immediate }
  await checkCurrent(settings, row, input.currentPassword)
  const nonce = await reauthenticated(settings, scope, input, row)
  const words = [row.email ?? '', ...addresses.map(({ value }) => value)]
  await checkPassword(settings, scope, password, words)
  if (row.password && (await verifyPassword(row.password, password, settings.password.formats)))
    throw authFaults.same_password()
  return { input, addresses, encoded: hashPassword(password), nonce, immediate }
}

async function reauthenticated(
  { reauthentication }: Settings,
  scope: Scope,
  { nonce, userId }: UpdateUser,
  row: SessionRow,
): Promise<TakenCode | undefined> {
  if (!reauthentication || scope.now() - row.session_created_at < recent) return undefined
  if (!nonce) throw authFaults.reauthentication_needed()
  const target = row.email_confirmed_at === null ? row.phone : row.email
  if (!/^\d{6,10}$/.test(nonce) || !target) throw authFaults.reauthentication_not_valid()
  const own = condition('t.user_id = ?', userId)
  return consumeCode(scope, ['reauthentication'], { target, code: nonce }, own)
}

/** Writes over exactly the row that was read; `undefined` if there is another one by now, and nothing was done. */
async function write(
  settings: Settings,
  scope: Scope,
  { input, addresses, encoded, nonce, immediate, refunds }: Change & { refunds: Statement[] },
  row: SessionRow,
): Promise<UserRow | undefined> {
  const { userId, data } = input
  const metadata = data
    ? JSON.stringify(mergeMetadata(JSON.parse(row.user_metadata), data))
    : row.user_metadata
  const sets = ['user_metadata = ?', 'password = ?', 'updated_at = ?']
  // A guest's password came with an address: it does not outlive that one, for whoever shows the next may not have set it.
  const kept = row.is_anonymous === 1 && addresses.length > 0 ? null : row.password
  const values: unknown[] = [metadata, encoded ?? kept, scope.now()]
  const codes: PreparedCode[] = []
  for (const address of addresses) {
    if (immediate && address.type === 'email') {
      sets.push(
        'email = ?',
        'email_confirmed_at = ?',
        'is_anonymous = 0',
        `app_metadata = json_set(app_metadata, '$.provider', 'email', '$.providers', json_array('email'))`,
      )
      values.push(address.value, scope.now())
      continue
    }
    if (address.type === 'email') {
      sets.push('email_change = ?', 'email_change_sent_at = ?', 'email_change_half = NULL')
      values.push(address.value, scope.now())
    } else {
      sets.push('phone_change = ?')
      values.push(address.value)
    }
    codes.push(...(await changeCodes(settings, scope, { ...input, row, address })))
  }
  const proof = nonce
    ? and(nonce.user, condition('u.id = ?', userId))
    : condition('u.id = ?', userId)
  const free = immediate
    ? condition(
        'NOT EXISTS (SELECT 1 FROM leanto_auth_users o WHERE o.email = ?)',
        addresses.find(({ type }) => type === 'email')?.value,
      )
    : condition('1')
  const session = sessionOf(scope, input)
  const update = scope.db
    .prepare(
      `UPDATE leanto_auth_users AS u SET ${sets.join(', ')}
       WHERE (${proof.sql}) AND ${free.sql} AND u.user_metadata = ? AND u.password IS ?
         AND u.is_anonymous = ? AND coalesce(u.banned_until, 0) <= ? AND u.deleted_at IS NULL
         AND EXISTS (SELECT 1 FROM ${session.sql} s WHERE s.user_id = u.id)
       RETURNING id`,
    )
    .bind(
      ...values,
      ...proof.values,
      ...free.values,
      row.user_metadata,
      row.password,
      row.is_anonymous,
      scope.now(),
      ...session.values,
    )
  // The new hash has its own salt: whoever finds it stored is the one who stored it.
  const changed = encoded
    ? condition('u.id = ? AND u.password = ?', userId, encoded)
    : condition(
        'u.id = ? AND u.is_anonymous = 0 AND u.email_confirmed_at = ? AND u.email = ?',
        userId,
        scope.now(),
        addresses.find(({ type }) => type === 'email')?.value ?? null,
      )
  const statements = [
    ...(nonce ? [nonce.take] : []),
    update,
    ...(immediate ? [addIdentity(scope, 'email', byId(userId))] : []),
    ...(encoded || immediate ? endOthers(settings, scope, input, changed) : []),
    ...codes.map(({ statement }) => statement),
    ...(nonce ? [nonce.remove] : []),
    ...refunds,
    callerStatement(settings, scope, input),
  ]
  const results = await scope.db.batch(statements)
  if (nonce && !(results[0]?.results[0] as { taken: unknown } | undefined)?.taken)
    throw authFaults.reauthentication_not_valid()
  if (results[nonce ? 1 : 0]?.results.length !== 1) {
    if (immediate) await refuseTaken(scope, addresses)
    return undefined
  }
  for (const code of codes) deliverChange(settings, scope, row, code)
  if (encoded) notify(settings, scope, row)
  happened(settings, scope, { action: encoded ? 'user_updated_password' : 'user_modified', userId })
  return results.at(-1)?.results[0] as unknown as UserRow
}

/**
 * What a new password ends, or a guest's becoming a user: the other sessions, and every link that would let someone in
 * without it (cases 11, 16).
 *
 * @param changed Selects the user `u` if this batch has changed them.
 */
function endOthers(
  settings: Settings,
  scope: Scope,
  { userId, sessionId }: Caller,
  changed: Condition,
): readonly Statement[] {
  const stored = `EXISTS (SELECT 1 FROM leanto_auth_users u WHERE ${changed.sql})`
  return [
    scope.db
      .prepare(`DELETE FROM leanto_auth_sessions WHERE user_id = ? AND id <> ? AND ${stored}`)
      .bind(userId, sessionId, ...changed.values),
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_tokens WHERE user_id = ? AND kind IN ('recovery', 'magiclink')
           AND ${stored}`,
      )
      .bind(userId, ...changed.values),
    ...endElsewhere(settings, scope, { user: changed, spared: sessionId }),
  ]
}

async function refuseTaken(scope: Scope, addresses: readonly Address[]): Promise<void> {
  const email = addresses.find(({ type }) => type === 'email')?.value
  const taken = await scope.db
    .prepare('SELECT 1 FROM leanto_auth_users WHERE email = ?')
    .bind(email)
    .first()
  if (taken) throw authFaults.email_exists()
}

function notify(settings: Settings, scope: Scope, { email, email_confirmed_at }: UserRow): void {
  if (email && email_confirmed_at !== null) sendMail(settings, scope, 'password_changed', { email })
}
