import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { type Budget, checkSpent, giveBack, refundAll, signInBudgets, spendAll } from './budget.ts'
import { normaliseEmail } from './email.ts'
import { authFaults } from './faults.ts'
import { hashPassword, isCurrent, isPossible, verifyPassword } from './password.ts'
import { answerSession, newSession } from './session.ts'
import type { Settings } from './settings.ts'
import type { Session, UserRow } from './wire.ts'

export interface SignIn {
  email: string
  password: string
  /** Where the call comes from (`networkOf`); its budgets are spent by wrong passwords. */
  network?: string | null
}

/**
 * Signs in by password. A wrong password, an unknown address and one that is no address get the same answer, and the
 * first two cost the same.
 *
 * Two trips; the second only when the password is right.
 *
 * @throws {Fault} `invalid_credentials`, `user_banned` (to whoever knows the password), `rate_limited`.
 */
export const signIn =
  (settings: Settings) =>
  async (scope: Scope, { email, password, network }: SignIn): Promise<Session> => {
    const address = normaliseEmail(email)
    if (!address || !isPossible(password)) throw authFaults.invalid_credentials()
    const budgets = await signInBudgets(settings, scope, { email: address, network })
    const select = selectUser(scope, address)
    const results = await settings.keys.batch(scope, [...spendAll(scope, budgets), select])
    checkSpent(scope, budgets, results)
    try {
      let user = results[budgets.length]?.results[0] as UserRow | undefined
      // A second look only where the stored password was replaced while this one was checked, as a parallel sign-in
      // does that hashes it anew.
      for (let look = 1; ; look++) {
        const session = await attempt(settings, scope, { user, password, budgets })
        if (session) return session
        if (look === 2) throw authFaults.invalid_credentials()
        user = (await select.first<UserRow>()) ?? undefined
      }
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }

const selectUser = (scope: Scope, email: string): Statement =>
  scope.db.prepare('SELECT * FROM leanto_auth_users WHERE email = ?').bind(email)

/** @returns `undefined` if the password was right but the user has changed since. */
async function attempt(
  settings: Settings,
  scope: Scope,
  { user, password, budgets }: { user?: UserRow; password: string; budgets: readonly Budget[] },
): Promise<Session | undefined> {
  const stored = user?.password
  const right = await verifyPassword(stored, password, settings.password.formats)
  if (!user || !stored || !right) throw authFaults.invalid_credentials()
  if ((user.banned_until ?? 0) > scope.now()) throw authFaults.user_banned()

  const kept = isCurrent(stored) ? stored : hashPassword(password)
  const session = await newSession(settings, scope, { id: user.id, password: kept })
  const now = scope.now()
  const seen = scope.db
    .prepare(
      `UPDATE leanto_auth_users SET last_sign_in_at = ?1, updated_at = ?1, password = ?2
       WHERE id = ?3 AND password = ?4 AND coalesce(banned_until, 0) <= ?1 RETURNING *`,
    )
    .bind(now, kept, user.id, stored)
  const refunds = refundAll(scope, budgets)
  const [updated] = await scope.db.batch<UserRow>([seen, ...session.statements, ...refunds])
  const row = updated?.results[0]
  return row && answerSession(settings, scope, { ...session, createdAt: now, user: row })
}
