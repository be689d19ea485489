import type { Scope } from '../core/scope.ts'
import { checkSpent, giveBack, signUpBudgets, spendAll } from './budget.ts'
import { byId } from './condition.ts'
import { authFaults } from './faults.ts'
import { checkMetadata } from './metadata.ts'
import { newUser } from './new-user.ts'
import { signedUp } from './part.ts'
import { answerSession, startSession } from './session.ts'
import type { Settings } from './settings.ts'
import type { Origin } from './sign-up.ts'
import type { Metadata, Session } from './wire.ts'

export interface SignInAnonymously extends Origin {
  /** Becomes `user_metadata`. @default {} */
  data?: Metadata
}

/**
 * Makes a user without an address and signs them in. `updateUser` with an address makes them a full one, who keeps id and
 * rows. Two trips.
 *
 * @throws {Fault} `anonymous_provider_disabled`, `signup_disabled`, `validation_failed`, `rate_limited`, or what
 * `before.signUp` throws.
 */
export const signInAnonymously =
  (settings: Settings) =>
  async (scope: Scope, { data = {}, network, client }: SignInAnonymously): Promise<Session> => {
    if (!settings.signUp) throw authFaults.signup_disabled()
    if (!settings.anonymous) throw authFaults.anonymous_provider_disabled()
    checkMetadata(data)
    const budgets = signUpBudgets(settings, scope, network)
    checkSpent(scope, budgets, await settings.keys.batch(scope, spendAll(scope, budgets)))
    try {
      await settings.beforeSignUp(scope, { email: '', data })
      const { row, insert } = newUser(scope, { data, proven: false })
      const session = await startSession(settings, scope, {
        user: byId(row.id),
        method: 'anonymous',
        client,
      })
      const results = await scope.db.batch([insert, ...session.statements])
      signedUp(settings, scope, row, network)
      return await answerSession(settings, scope, session, results.at(-1))
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }
