import type { Statement } from '../core/database.ts'
import { uuidv7 } from '../core/id.ts'
import type { Limit } from '../core/limit.ts'
import type { Scope } from '../core/scope.ts'
import type { Recipient } from './address.ts'
import { type Delivery, deliver, deliverOne } from './deliver.ts'
import { emailFaults } from './faults.ts'
import { type Budget, checkSpent, recipientBudgets, spendEach, withinEach } from './limits.ts'
import { type Message, outgoing } from './message.ts'
import { byKey, enqueued } from './outbox.ts'
import { type Suppressed, suppressedAmong } from './suppression.ts'
import { unsubscribeHeaders } from './unsubscribe.ts'

export interface SendOptions {
  /**
   * The caller's batch: the mail joins it, and is sent if and only if that commits. Run it by `scope.db.batch(…)` of the
   * same scope. Who is in a hurry calls `deliver` after it.
   */
  within?: Statement[]
  /** An idempotency key: of all mails with the same one, within 7 days, the first alone is sent. At most 200 characters. */
  key?: string
}

export interface Sending<Env> extends Delivery<Env> {
  from: (scope: Scope<Env>) => Recipient
  url: (scope: Scope<Env>) => string | undefined
  recipient: Limit | undefined
}

/** Milliseconds between looks for a mail whose batch the caller has yet to run. */
const looks = [100, 900]

/** @returns The mail's id; of one with a used key, the id of the first. */
export async function send<Env>(
  sending: Sending<Env>,
  scope: Scope<Env>,
  message: Message,
  { within, key, more = [] }: SendOptions & { more?: readonly Budget[] } = {},
): Promise<string> {
  if (key !== undefined && (typeof key !== 'string' || key === '' || key.length > 200))
    throw emailFaults.bad_message({ message: '`key` must be text of 1 to 200 characters' })
  const checked = outgoing(message, {
    id: uuidv7(scope.now()),
    date: scope.now(),
    from: sending.from(scope),
  })
  const mail = {
    ...checked,
    headers: { ...checked.headers, ...(await unsubscribeHeaders(sending, scope, checked)) },
  }
  const budgets = [
    ...more,
    ...(sending.recipient ? await recipientBudgets(mail, sending.recipient) : []),
  ]
  if (within) {
    // In a trip of its own: what is refused must be known before the caller's batch is run.
    if (budgets.length > 0) checkSpent(scope, budgets, await spendEach(scope, budgets, key).all())
    within.push(...(await enqueued(scope, mail, { key, held: false })).statements)
    scope.waitUntil(deliverSoon(sending, scope, mail.id))
    return mail.id
  }
  const spending = budgets.length > 0
  const { statements, held } = await enqueued(scope, mail, {
    key,
    held: true,
    ...(spending ? { when: withinEach(scope, budgets) } : {}),
  })
  const results = await scope.db.batch([
    ...(spending ? [spendEach(scope, budgets, key)] : []),
    ...statements,
    suppressedAmong(scope, [mail]),
    ...(key === undefined ? [] : [byKey(scope, key)]),
  ])
  if (spending) checkSpent(scope, budgets, results[0])
  const first = spending ? 1 : 0
  if (!results[first]?.results.length) return String(results.at(-1)?.results[0]?.id)
  const suppressed = results[first + statements.length]?.results ?? []
  scope.waitUntil(deliver(sending, scope, [held], suppressed as never as Suppressed[]))
  return mail.id
}

async function deliverSoon<Env>(
  sending: Sending<Env>,
  scope: Scope<Env>,
  id: string,
): Promise<void> {
  for (const wait of looks) {
    await new Promise((resolve) => setTimeout(resolve, wait))
    if (await deliverOne(sending, scope, id)) return
  }
}
