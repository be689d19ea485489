import type { QueryResult, Statement } from '../core/database.ts'
import { networkOf } from '../core/limit.ts'
import type { Scope } from '../core/scope.ts'
import { type Address, byAddress, normalisePhone } from './address.ts'
import {
  accountBudgets,
  type Budget,
  checkSpent,
  giveBack,
  refundAll,
  signInBudgets,
  spendAll,
} from './budget.ts'
import { and, byId, condition } from './condition.ts'
import { normaliseEmail } from './email.ts'
import { authFaults } from './faults.ts'
import { happened } from './part.ts'
import { hashPassword, isCurrent, isPossible, verifyPassword } from './password.ts'
import { answerSession, startSession } from './session.ts'
import type { Settings } from './settings.ts'
import type { Origin } from './sign-up.ts'
import type { Session, UserRow } from './wire.ts'

export interface SignIn extends Origin {
  email?: string
  phone?: string
  password: string
}

/**
 * Signs in by password. A wrong password, an unknown address and one that is no address get the same answer, and the
 * first two cost the same.
 *
 * Two trips; the second only when the password is right. One more past the account's budget.
 *
 * @throws {Fault} `invalid_credentials`, `rate_limited`; and to whoever knows the password `user_banned`,
 * `email_not_confirmed`, `phone_not_confirmed`.
 */
export const signIn =
  (settings: Settings) =>
  async (scope: Scope, input: SignIn): Promise<Session> => {
    const { password, network } = input
    const address = addressOf(input)
    if (!address || !isPossible(password)) throw authFaults.invalid_credentials()
    const own = await signInBudgets(settings, scope, { email: address.value, network })
    const wide = await accountBudgets(settings, address.value)
    const budgets = [...own, ...wide]
    const select = selectUser(scope, address)
    const results = await settings.keys.batch(scope, [...spendAll(scope, budgets), select])
    checkSpent(scope, own, results)
    try {
      let user = results[budgets.length]?.results[0] as UserRow | undefined
      await checkAccount(scope, wide, results.slice(own.length), { user, network })
      // A second look only where the stored password was replaced while this one was checked, as a parallel sign-in
      // does that hashes it anew.
      for (let look = 1; ; look++) {
        const session = await attempt(settings, scope, { ...input, address, user, budgets })
        if (session) return session
        if (look === 2) throw authFaults.invalid_credentials()
        user = (await select.first<UserRow>()) ?? undefined
      }
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }

function addressOf({ email, phone }: SignIn): Address | undefined {
  const value = phone ? normalisePhone(phone) : normaliseEmail(email ?? '')
  return value ? { type: phone ? 'phone' : 'email', value } : undefined
}

/**
 * Past the account's budget a stranger's guesses are not looked at. Those of a network where the user is signed in are: the
 * owner is likely there, and whoever spends the budget is not.
 *
 * @throws {Fault} `rate_limited` (429).
 */
async function checkAccount(
  scope: Scope,
  wide: readonly Budget[],
  results: readonly QueryResult[],
  { user, network }: { user: UserRow | undefined; network: string | null | undefined },
): Promise<void> {
  try {
    checkSpent(scope, wide, results)
  } catch (error) {
    // Asked of nobody as well, so that the time does not tell.
    const { results: sessions } = await scope.db
      .prepare('SELECT ip FROM leanto_auth_sessions WHERE user_id = ? ORDER BY id DESC LIMIT 100')
      .bind(user?.id ?? '')
      .all<{ ip: string | null }>()
    const known = sessions.some(
      ({ ip }) => ip && networkOf({ headers: new Headers({ 'cf-connecting-ip': ip }) }) === network,
    )
    if (!known) throw error
  }
}

function selectUser(scope: Scope, address: Address): Statement {
  const { sql, values } = byAddress(address)
  return scope.db
    .prepare(`SELECT u.* FROM leanto_auth_users u WHERE ${sql} AND u.deleted_at IS NULL`)
    .bind(...values)
}

/** @returns `undefined` if the password was right but the user has changed since. */
async function attempt(
  settings: Settings,
  scope: Scope,
  input: SignIn & { address: Address; user: UserRow | undefined; budgets: readonly Budget[] },
): Promise<Session | undefined> {
  const { address, user, password, budgets, client, network } = input
  const stored = user?.password
  const right = await verifyPassword(stored, password, settings.password.formats)
  if (user) await settings.beforePassword(scope, { userId: user.id, valid: right })
  if (!user || !stored || !right) {
    happened(settings, scope, { action: 'login_failed', userId: user?.id, network })
    throw authFaults.invalid_credentials()
  }
  if ((user.banned_until ?? 0) > scope.now()) throw authFaults.user_banned()
  if (address.type === 'email' && user.email_confirmed_at === null)
    throw authFaults.email_not_confirmed()
  if (address.type === 'phone' && user.phone_confirmed_at === null)
    throw authFaults.phone_not_confirmed()

  const kept = isCurrent(stored) ? stored : hashPassword(password)
  const session = await startSession(settings, scope, {
    user: and(byId(user.id), byAddress(address), condition('u.password = ?', kept)),
    method: 'password',
    client,
  })
  const rehash = scope.db
    .prepare('UPDATE leanto_auth_users SET password = ? WHERE id = ? AND password = ?')
    .bind(kept, user.id, stored)
  const results = await scope.db.batch([
    ...(kept === stored ? [] : [rehash]),
    ...refundAll(scope, budgets),
    ...session.statements,
  ])
  if (results.at(-1)?.results.length !== 1) return undefined
  happened(settings, scope, { action: 'login', userId: user.id, network })
  return answerSession(settings, scope, session, results.at(-1))
}
