import type { QueryResult, Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { normalisePhone } from './address.ts'
import { type Budget, checkSpent, guessBudgets, spendAll, within } from './budget.ts'
import {
  addIdentity,
  changeEmail,
  changePhone,
  emailChangeGuard,
  phoneChangeGuard,
} from './change.ts'
import { type CodeKind, consumeCode, type Shown, type TakenCode, type TakenRow } from './codes.ts'
import { and, type Condition, condition } from './condition.ts'
import { normaliseEmail } from './email.ts'
import { authFaults } from './faults.ts'
import { sendMail } from './mails.ts'
import { endElsewhere, happened } from './part.ts'
import { issueAuthCode } from './pkce.ts'
import { type AuthMethod, answerSession, type StartedSession, startSession } from './session.ts'
import type { Settings } from './settings.ts'
import type { Origin } from './sign-up.ts'
import type { Session, SessionRow } from './wire.ts'

/** What each type of GoTrue's `/verify` takes. A token of any other kind is nothing to it (case 23). */
const kindsOf = {
  signup: ['signup'],
  magiclink: ['magiclink'],
  email: ['signup', 'magiclink'],
  recovery: ['recovery'],
  invite: ['invite'],
  email_change: ['email_change_current', 'email_change_new'],
  sms: ['sms'],
  phone_change: ['phone_change'],
} as const satisfies Record<string, readonly CodeKind[]>

export type VerifyType = keyof typeof kindsOf

export const isVerifyType = (type: string): type is VerifyType => Object.hasOwn(kindsOf, type)

const methods: Record<VerifyType, AuthMethod> = {
  signup: 'email/signup',
  magiclink: 'magiclink',
  email: 'magiclink',
  recovery: 'recovery',
  invite: 'invite',
  email_change: 'email_change',
  sms: 'otp',
  phone_change: 'otp',
}

export interface Verify extends Origin {
  type: VerifyType
  /** The token of a link; or an address and the code that was sent there. */
  tokenHash?: string
  email?: string
  phone?: string
  token?: string
}

/** The first of the two mailboxes has agreed to a change of address. */
export const halfway =
  'Confirmation link accepted. Please proceed to confirm link sent to the other email'

/**
 * Uses a link's token or a code up, and signs in. One trip: whatever the proof grants stands in the one batch that uses it.
 *
 * The first proof of a mailbox or number by someone who did not set the account's password drops it, with every session
 * and linked identity: whoever made the account before could not show that it was theirs (case 3).
 *
 * @returns `null` if a change of address still waits for the other mailbox.
 * @throws {Fault} `otp_expired`, `validation_failed`, `rate_limited`.
 */
export const verify =
  (settings: Settings) =>
  async (scope: Scope, input: Verify): Promise<Session | null> => {
    const { shown, budgets } = await readShown(settings, scope, input)
    const session = await prove(settings, scope, input, {
      shown,
      budgets,
      finish: (user) =>
        startSession(settings, scope, { user, method: 'otp', client: input.client }),
    })
    return session && answerSession(settings, scope, session.finish as StartedSession, session.read)
  }

/**
 * As `verify` by a link's token whose flow began with a PKCE challenge: answers a code for `/token?grant_type=pkce`, and no
 * session to whoever opens the link. One trip.
 */
export const verifyForCode =
  (settings: Settings) =>
  async (scope: Scope, input: Verify & { tokenHash: string }): Promise<string | null> => {
    const { type, tokenHash } = input
    const proven = await prove(settings, scope, input, {
      shown: { tokenHash },
      budgets: [],
      finish: async (user, { token }) => {
        const of = (name: string) =>
          condition(
            `(SELECT t.data ->> '$.pkce.${name}' FROM leanto_auth_tokens t WHERE ${token.sql})`,
            ...token.values,
          )
        const challenge = { challenge: of('challenge'), method: of('method') }
        const issued = await issueAuthCode(scope, { challenge, user, method: methods[type] })
        return { code: issued.code, statements: [issued.statement] }
      },
    })
    if (!proven) return null
    if (proven.read?.results.length !== 1) throw authFaults.otp_expired()
    return (proven.finish as { code: string }).code
  }

async function readShown(
  settings: Settings,
  scope: Scope,
  { tokenHash, email, phone, token, network }: Verify,
): Promise<{ shown: Shown; budgets: Budget[] }> {
  if (tokenHash) return { shown: { tokenHash }, budgets: [] }
  const target = phone ? normalisePhone(phone) : normaliseEmail(email ?? '')
  if (!target || !/^\d{6,10}$/.test(token ?? '')) throw authFaults.otp_expired()
  return {
    shown: { target, code: token as string },
    budgets: await guessBudgets(settings, scope, { target, network }),
  }
}

interface Proof<Finish> {
  shown: Shown
  budgets: readonly Budget[]
  /** What the proof grants; the last of its statements answers one row if it was granted. */
  finish: (user: Condition, taken: TakenCode) => Promise<Finish>
}

async function prove<Finish extends { statements: readonly Statement[] }>(
  settings: Settings,
  scope: Scope,
  { type, network }: Verify,
  { shown, budgets, finish }: Proof<Finish>,
): Promise<{ finish: Finish; read: QueryResult | undefined } | null> {
  // Past the budget nothing is taken, and no guess is looked at.
  const guards = [...budgets.map(within), guardOf(type), maySignIn(scope)]
  const taken = await consumeCode(scope, kindsOf[type], shown, and(...guards))
  const granted = effectOf(settings, scope, type, taken)
  const finished = await finish(granted.user, taken)
  const results = await settings.keys.batch(scope, [
    ...spendAll(scope, budgets),
    taken.take,
    ...granted.statements,
    ...finished.statements,
    ...budgets.map((budget) => refundIf(scope, budget, taken)),
    taken.remove,
  ])
  checkSpent(scope, budgets, results)
  const rows = results[budgets.length]?.results as unknown as TakenRow[]
  const row = rows.find(({ taken }) => taken !== null)
  if (!row) {
    happened(settings, scope, { action: 'verification_failed', network, data: { type } })
    throw authFaults.otp_expired()
  }
  const end = budgets.length + 1 + granted.statements.length + finished.statements.length
  const read = results[end - 1]
  if (type === 'email_change' && read?.results.length !== 1) return null
  tell(settings, scope, row, read?.results[0] as SessionRow | undefined, network)
  return { finish: finished, read }
}

/** An honest code gives its attempt back. */
const refundIf = (scope: Scope, { key }: Budget, { token }: TakenCode): Statement =>
  scope.db
    .prepare(
      `UPDATE leanto_core_limits SET spent = spent - 1 WHERE key = ? AND spent > 0
         AND EXISTS (SELECT 1 FROM leanto_auth_tokens t WHERE ${token.sql})`,
    )
    .bind(key, ...token.values)

const maySignIn = (scope: Scope): Condition =>
  condition(
    `EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = t.user_id
       AND coalesce(u.banned_until, 0) <= ? AND u.deleted_at IS NULL)`,
    scope.now(),
  )

/** The token `t` still stands for what its user `u` has: an address that was changed since takes its tokens along. */
function guardOf(type: VerifyType): Condition {
  if (type === 'email_change') return emailChangeGuard
  if (type === 'phone_change') return phoneChangeGuard
  const column = type === 'sms' ? 'phone' : 'email'
  return condition(
    `EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = t.user_id AND u.${column} = t.target)`,
  )
}

interface Effect {
  statements: readonly Statement[]
  /** Selects the user `u` who may sign in now. */
  user: Condition
}

function effectOf(settings: Settings, scope: Scope, type: VerifyType, taken: TakenCode): Effect {
  if (type === 'email_change') return changeEmail(settings, scope, taken)
  if (type === 'phone_change') return changePhone(settings, scope, taken)
  return confirm(settings, scope, type === 'sms' ? 'phone' : 'email', taken)
}

function confirm(
  settings: Settings,
  scope: Scope,
  type: 'email' | 'phone',
  { user, token }: TakenCode,
): Effect {
  const now = scope.now()
  const confirmed = `${type}_confirmed_at`
  const unproven = `(SELECT u.id FROM leanto_auth_users u WHERE (${user.sql}) AND u.${confirmed} IS NULL)`
  const statement = (sql: string, ...values: unknown[]) => scope.db.prepare(sql).bind(...values)
  return {
    user,
    statements: [
      statement(`DELETE FROM leanto_auth_sessions WHERE user_id = ${unproven}`, ...user.values),
      ...endElsewhere(settings, scope, {
        user: and(user, condition(`u.${confirmed} IS NULL`)),
      }),
      statement(
        `DELETE FROM leanto_auth_identities
         WHERE user_id = ${unproven} AND provider NOT IN ('email', 'phone')`,
        ...user.values,
      ),
      ...settings.parts.flatMap(
        (part) => part.claimed?.(scope, and(user, condition(`u.${confirmed} IS NULL`))) ?? [],
      ),
      addIdentity(scope, type, condition(`u.id = ${unproven}`, ...user.values)),
      statement(
        `UPDATE leanto_auth_users AS u SET
           password = CASE WHEN u.${confirmed} IS NOT NULL OR EXISTS (
             SELECT 1 FROM leanto_auth_tokens t WHERE ${token.sql} AND t.data ->> '$.keep' = 1)
             THEN u.password END,
           app_metadata = CASE WHEN u.${confirmed} IS NOT NULL THEN u.app_metadata ELSE json_set(
             u.app_metadata, '$.provider', '${type}', '$.providers', json_array('${type}')) END,
           ${confirmed} = coalesce(u.${confirmed}, ?), updated_at = ?
         WHERE ${user.sql}`,
        ...token.values,
        now,
        now,
        ...user.values,
      ),
    ],
  }
}

function tell(
  settings: Settings,
  scope: Scope,
  token: TakenRow,
  row: SessionRow | undefined,
  network: string | null | undefined,
): void {
  const data = { kind: token.kind }
  happened(settings, scope, { action: 'verified', userId: token.user_id, network, data })
  if (token.kind.startsWith('email_change')) {
    const { from, to } = JSON.parse(token.data) as { from: string | null; to: string }
    if (from)
      sendMail(settings, scope, 'email_changed', { email: from, oldEmail: from, newEmail: to })
  } else if (token.kind === 'phone_change' && row?.email && row.email_confirmed_at !== null)
    sendMail(settings, scope, 'phone_changed', { email: row.email })
}
