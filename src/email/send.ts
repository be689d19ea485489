import type { Statement } from '../core/database.ts'
import { uuidv7 } from '../core/id.ts'
import type { Limit } from '../core/limit.ts'
import type { Scope } from '../core/scope.ts'
import type { Recipient } from './address.ts'
import { type Delivery, deliver, deliverOne } from './deliver.ts'
import { emailFaults } from './faults.ts'
import { type Budget, checkSpent, recipientBudgets, spendEach, withinEach } from './limits.ts'
import { type Message, type Outgoing, outgoing } from './message.ts'
import { byKey, enqueued } from './outbox.ts'
import type { Part } from './part.ts'
import { type Suppressed, suppressedAmong } from './suppression.ts'

export interface SendOptions {
  /**
   * The caller's batch: the mail joins it, and is sent if and only if that commits. Run it by `scope.db.batch(…)` of the
   * same scope. Who is in a hurry calls `deliver` after it.
   */
  within?: Statement[]
  /** An idempotency key: of all mails with the same one, within 7 days, the first alone is sent. At most 200 characters. */
  key?: string
}

/** What delivers mails in the place of `waitUntil` and cron. */
export interface Rails {
  /** Milliseconds until cron takes a mail all the same. */
  readonly patience: number
  /** Adds what delivers a mail to the batch that stores it. @returns What makes it soon, once that was run. */
  enqueue(scope: Scope, id: string, batch: Statement[]): Promise<() => void>
}

export interface Sending<Env> extends Delivery<Env> {
  from: (scope: Scope<Env>) => Recipient
  recipient: Limit | undefined
  listed: Part['listed']
  rails?: Rails
}

/** Milliseconds between looks for a mail whose batch the caller has yet to run. */
const looks = [100, 900]
/** Of who cannot tell whether it was in time: one, when the last of those is. */
const oneLook = [1000]

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
    headers: { ...checked.headers, ...(await listHeaders(sending, scope, checked)) },
  }
  const budgets = [
    ...more,
    ...(sending.recipient ? await recipientBudgets(mail, sending.recipient) : []),
  ]
  const { rails } = sending
  const first = key === undefined ? [] : [byKey(scope, key)]
  if (within || rails) {
    // In a trip of its own: what is refused must be known before the caller's batch is run.
    if (budgets.length > 0) checkSpent(scope, budgets, await spendEach(scope, budgets, key).all())
    const how = { key, held: false, wait: rails?.patience }
    const batch = (await enqueued(scope, mail, how)).statements
    const wake = await rails?.enqueue(scope, mail.id, batch)
    const soon = async () => (wake ? wake() : deliverOne(sending, scope, mail.id))
    if (within) {
      within.push(...batch)
      scope.waitUntil(afterwards(soon, wake ? oneLook : looks))
    } else {
      const results = await scope.db.batch([...batch, ...first])
      if (!results[0]?.results.length) return String(results.at(-1)?.results[0]?.id)
      scope.waitUntil(soon())
    }
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
    ...first,
  ])
  if (spending) checkSpent(scope, budgets, results.shift())
  if (!results[0]?.results.length) return String(results.at(-1)?.results[0]?.id)
  const suppressed = results[statements.length]?.results ?? []
  scope.waitUntil(deliver(sending, scope, [held], suppressed as never as Suppressed[]))
  return mail.id
}

/** Nobody says when the caller's batch is run. @param soon Answers whether it was. */
async function afterwards(soon: () => Promise<unknown>, waits: readonly number[]): Promise<void> {
  for (const wait of waits) {
    await new Promise((resolve) => setTimeout(resolve, wait))
    if (await soon()) return
  }
}

/** @throws {Fault} `bad_message` if nobody could unsubscribe. */
function listHeaders<Env>({ listed }: Sending<Env>, scope: Scope<Env>, mail: Outgoing) {
  if (mail.list === undefined) return {}
  if (listed) return listed(scope, mail)
  throw emailFaults.bad_message({
    message: '`unsubscribe` needs unsubscribing({ url }) among `parts` of email(…)',
  })
}
