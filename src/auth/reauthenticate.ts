import type { Scope } from '../core/scope.ts'
import type { Address } from './address.ts'
import {
  checkSpent,
  giveBack,
  messageBudgets,
  networkBudgets,
  refundAll,
  spendAll,
} from './budget.ts'
import { byId } from './condition.ts'
import { authFaults } from './faults.ts'
import { deliver, prepareCode } from './message.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'
import { callerStatement, checkCaller } from './user.ts'
import type { Metadata, SessionRow } from './wire.ts'

export interface Reauthenticate extends Caller {
  network?: string | null | undefined
}

/**
 * Sends the caller a code (the `nonce` of `updateUser`), to their proven mailbox or else phone. Two trips.
 *
 * @throws {Fault} What `getUser` throws, `validation_failed`, `rate_limited`.
 */
export const reauthenticate =
  (settings: Settings) =>
  async (scope: Scope, input: Reauthenticate): Promise<void> => {
    // By user, whatever their address: so the budget is spent in the trip that reads it.
    const { userId: target, network } = input
    const type = 'email'
    const texts = networkBudgets(settings, scope, { type: 'phone', network })
    const sent = await messageBudgets(settings, scope, { type, target, network })
    const budgets = [...texts, ...sent]
    const read = [...spendAll(scope, budgets), callerStatement(settings, scope, input)]
    const results = await settings.keys.batch(scope, read)
    const row = checkCaller(scope, results[budgets.length]?.results[0])
    const address = provenAddress(settings, row)
    checkSpent(scope, budgets, results)
    try {
      const user = byId(row.id)
      const code = await prepareCode(settings, scope, { kind: 'reauthentication', user, address })
      // It is a mail or a text: the other budget gets its own back.
      const other =
        address.type === type ? texts : networkBudgets(settings, scope, { type, network })
      await scope.db.batch([code.statement, ...refundAll(scope, other)])
      deliver(settings, scope, code, JSON.parse(row.user_metadata) as Metadata)
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }

function provenAddress({ mailer, sms }: Settings, row: SessionRow): Address {
  if (mailer && row.email && row.email_confirmed_at !== null)
    return { type: 'email', value: row.email }
  if (sms && row.phone && row.phone_confirmed_at !== null)
    return { type: 'phone', value: row.phone }
  throw authFaults.validation_failed({
    status: 422,
    message: 'Reauthentication requires the user to have an email or a phone number',
  })
}
