import { isStorable } from '../../core/body.ts'
import { coreFaults, Fault } from '../../core/fault.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { notFound, readUser } from '../admin/users.ts'
import { refuse } from '../body.ts'
import { type Budget, checkSpent, giveBack, spendAll } from '../budget.ts'
import { sessionOf } from '../caller.ts'
import { byId, type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { sendMail } from '../mails.ts'
import { happened } from '../part.ts'
import { answerSession, type Caller, readSession } from '../session.ts'
import type { Settings } from '../settings.ts'
import { callerStatement, checkCaller } from '../user.ts'
import type { Session, SessionRow, UserRow } from '../wire.ts'
import { impersonationFaults } from './faults.ts'
import type { ImpersonationSettings } from './index.ts'

export interface StartImpersonation {
  /** For whom. */
  userId: string
  /** An admin with their session; or, in the host's own word for them, someone whom the host has recognised. */
  actor: Caller | string
  /** Why, for those who look later: 1 to 500 characters. */
  reason: string
  /** How long, from 60 to what the options say. @default what the options say */
  seconds?: number | undefined
  /** Whether they may only read. @default what the options say, which cannot be taken back */
  readonly?: boolean | undefined
  network?: string | null | undefined
}

function checkText(name: string, text: unknown, most: number): void {
  const fits = typeof text === 'string' && text.trim() !== '' && text.length <= most
  if (!fits || !isStorable(text) || /\p{Cc}/u.test(text))
    throw refuse(`${name} must be 1 to ${most} characters of text`)
}

function check(own: ImpersonationSettings, input: StartImpersonation) {
  const { actor, reason, seconds = own.seconds } = input
  checkText('reason', reason, 500)
  if (typeof actor === 'string') checkText('actor', actor, 200)
  if (!Number.isSafeInteger(seconds) || seconds < 60 || seconds > own.seconds)
    throw refuse(`expires_in must be seconds from 60 to ${own.seconds}`)
  return { seconds, readonly: own.readonly || input.readonly === true }
}

const isAdmin = ({ admins }: ImpersonationSettings, row: UserRow): boolean => {
  const answer: unknown = admins({ id: row.id, app_metadata: JSON.parse(row.app_metadata) })
  // What is neither says nothing of who may act, nor of for whom.
  if (typeof answer !== 'boolean')
    throw new TypeError('impersonation: `admins` must answer true or false')
  return answer
}

/** @throws {Fault} `not_admin`, `insufficient_aal` (403 each). */
export function checkActor(own: ImpersonationSettings, row: SessionRow, caller: Caller): void {
  if (!isAdmin(own, row)) throw authFaults.not_admin({ message: 'User not allowed' })
  // Where their session is elsewhere, nothing here would hear of its end.
  if (caller.elsewhere) throw authFaults.not_admin({ message: 'Sign in here first' })
  if (own.secondFactor && row.aal !== 'aal2') throw coreFaults.insufficient_aal({ status: 403 })
}

function checkTarget(own: ImpersonationSettings, scope: Scope, row: UserRow | undefined): UserRow {
  if (!row || row.deleted_at !== null) throw notFound()
  if ((row.banned_until ?? 0) > scope.now()) throw authFaults.user_banned({ status: 403 })
  if (isAdmin(own, row)) throw impersonationFaults.impersonation_not_allowed()
  return row
}

/** See `Impersonation.start`. */
export const startImpersonation =
  (settings: Settings, own: ImpersonationSettings) =>
  async (scope: Scope, input: StartImpersonation): Promise<Session> => {
    const { userId, reason, network } = input
    const asked = check(own, input)
    const caller = typeof input.actor === 'string' ? undefined : input.actor
    const actor = typeof input.actor === 'string' ? input.actor : input.actor.userId
    const tell = (action: string, more: object) => {
      const data = { actor, user_id: userId, reason, ...more }
      happened(settings, scope, { action, userId: caller?.userId, network, data })
    }
    const budgets: Budget[] = caller
      ? [{ key: `auth:impersonate:${caller.userId}`, limit: own.limit }]
      : []
    const results = await settings.keys.batch(scope, [
      ...spendAll(scope, budgets),
      readUser(settings, scope, byId(userId)),
      ...(caller ? [callerStatement(settings, scope, caller)] : []),
    ])
    try {
      checkSpent(scope, budgets, results)
      const admin = caller && checkCaller(scope, results.at(-1)?.results[0])
      if (admin) checkActor(own, admin, caller)
      const found = results[budgets.length]?.results[0] as unknown as UserRow | undefined
      const user = checkTarget(own, scope, found)
      const made = { ...input, ...asked, actor, by: from(scope, caller, admin), user }
      const { session, row } = await write(settings, scope, { ...made, caller })
      tell('impersonation_started', { impersonation_id: row.session_id, ...asked })
      if (own.notify && row.email && row.email_confirmed_at !== null)
        sendMail(settings, scope, 'impersonated', {
          email: row.email,
          minutes: Math.ceil(asked.seconds / 60),
          subject: reason,
          data: JSON.parse(row.user_metadata),
        })
      return session
    } catch (error) {
      giveBack(scope, budgets, error)
      if (error instanceof Fault && error.status === 403)
        tell('impersonation_refused', { error: error.code })
      throw error
    }
  }

/** For `FROM`: one row of `not_after, aal`, and none if the actor is no longer what was read. */
function from(scope: Scope, caller: Caller | undefined, admin: SessionRow | undefined): Condition {
  if (!caller) return condition(`(SELECT NULL AS not_after, 'aal1' AS aal)`)
  const session = sessionOf(scope, caller)
  return condition(
    `(SELECT s.not_after, s.aal FROM ${session.sql} s JOIN leanto_auth_users a ON a.id = s.user_id
      WHERE a.app_metadata = ? AND a.deleted_at IS NULL AND coalesce(a.banned_until, 0) <= ?)`,
    ...session.values,
    admin?.app_metadata,
    scope.now(),
  )
}

interface Made {
  user: UserRow
  actor: string
  caller: Caller | undefined
  by: Condition
  reason: string
  seconds: number
  readonly: boolean
  network?: string | null | undefined
}

/**
 * Whoever has become an admin since they were read, or is one no more, has other metadata: nothing is written then. Not by
 * `startSession`: it is no sign-in of the user's, nothing that follows one may happen, and their device is not where it is from.
 */
async function write(
  settings: Settings,
  scope: Scope,
  { user, actor, caller, by, reason, seconds, readonly, network }: Made,
): Promise<{ session: Session; row: SessionRow }> {
  await settings.keys.signer(scope)
  const now = scope.now()
  const id = uuidv7(now)
  const refreshToken = randomToken()
  const end = now + seconds * 1000
  const results = await scope.db.batch([
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_sessions
           (id, user_id, created_at, not_after, aal, amr, refreshed_at, tag)
         SELECT ?, u.id, ?, min(?, coalesce(a.not_after, ?)), a.aal,
           json_array(json_object('method', 'impersonation', 'timestamp', ?)), ?, 'impersonation'
         FROM leanto_auth_users u JOIN ${by.sql} a
         WHERE u.id = ? AND u.app_metadata = ? AND u.deleted_at IS NULL
           AND coalesce(u.banned_until, 0) <= ?`,
      )
      .bind(
        ...[id, now, end, end, Math.floor(now / 1000), now],
        ...by.values,
        ...[user.id, user.app_metadata, now],
      ),
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_refresh_tokens (hash, session_id, expires_at)
         SELECT ?, id, min(?, not_after) FROM leanto_auth_sessions WHERE id = ?`,
      )
      .bind(await hash(refreshToken), now + settings.refresh.idle, id),
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_impersonations
         SELECT id, user_id, ?, ?, ?, ?, ?, created_at, not_after, NULL
         FROM leanto_auth_sessions WHERE id = ?`,
      )
      .bind(actor, caller?.sessionId ?? null, reason, readonly ? 1 : 0, network ?? null, id),
    readSession(settings, scope, id),
  ])
  const row = results.at(-1)?.results[0] as unknown as SessionRow | undefined
  if (!row) throw authFaults.conflict()
  return { session: await answerSession(settings, scope, { id, refreshToken }, row), row }
}
