import type { Scope } from '../core/scope.ts'
import { inTime } from '../core/time.ts'
import { finished, type Held, hold, isLost, type Outcome } from './outbox.ts'
import { type Suppressed, suppressedAmong, withoutSuppressed } from './suppression.ts'
import { type Transport, Undelivered } from './transport.ts'

export interface Delivery<Env> {
  transport: Transport<Env>
  failed: ((scope: Scope<Env>, lost: Lost) => unknown) | undefined
}

/** A mail that is given up. */
export interface Lost {
  id: string
  error: string
}

const atOnce = 5
/** Milliseconds after which none is begun any more, and that one may take: all must be done before the hold ends. */
const longest = 2 * 60_000

/** Sends mails that are held, and writes down what became of them, in one trip. @returns What that was. */
export async function deliver<Env>(
  { transport, failed }: Delivery<Env>,
  scope: Scope<Env>,
  mails: readonly Held[],
  suppressed: readonly Suppressed[],
): Promise<ReadonlyMap<Held, Outcome>> {
  const started = Date.now()
  const outcomes = new Map<Held, Outcome>()
  const queue = [...mails]
  const work = async () => {
    for (let held = queue.shift(); held; held = queue.shift())
      outcomes.set(
        held,
        Date.now() - started > longest
          ? { state: 'released' }
          : await sendOne(transport, scope, held, suppressed),
      )
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  await scope.db.batch([...outcomes].flatMap(([held, outcome]) => finished(scope, held, outcome)))
  for (const [held, outcome] of outcomes) {
    if (outcome.state !== 'failed') continue
    const { id, attempts } = held
    console.error(`leanto: mail ${id} was not sent (attempt ${attempts}): ${outcome.error}`)
    if (failed && isLost(held, outcome))
      scope.waitUntil(Promise.resolve().then(() => failed(scope, { id, error: outcome.error })))
  }
  return outcomes
}

async function sendOne<Env>(
  transport: Transport<Env>,
  scope: Scope<Env>,
  { mail, local }: Held,
  suppressed: readonly Suppressed[],
): Promise<Outcome> {
  if (!mail) return { state: 'failed', final: true, error: 'sealed under another secret' }
  const left = withoutSuppressed(mail, suppressed)
  if (!left) return { state: 'suppressed' }
  try {
    const { id, warning } = await inTime(transport.send(scope, left, { local }), longest, late)
    return { state: 'sent', remote: id, error: warning }
  } catch (error) {
    if (error instanceof Undelivered)
      return {
        state: 'failed',
        error: error.message,
        final: error.final,
        retryAfter: error.retryAfter,
      }
    // A transport of the host's own. What it throws may hold anything, the mail too: only its kind is kept.
    return { state: 'failed', final: false, error: error instanceof Error ? error.name : 'error' }
  }
}

const late = () => new Undelivered('The transport took too long')

/** Sends one mail that may be in the outbox by now. @returns Whether it was there. */
export async function deliverOne<Env>(
  delivery: Delivery<Env>,
  scope: Scope<Env>,
  id: string,
): Promise<boolean> {
  const held = await hold(scope, id)
  await deliverHeld(delivery, scope, held)
  return held.length > 0
}

/**
 * Sends what is due, 20 at a time.
 *
 * @param rounds At most so many times 20.
 * @returns How many it took up.
 */
export async function deliverDue<Env>(
  delivery: Delivery<Env>,
  scope: Scope<Env>,
  rounds: number,
): Promise<number> {
  let count = 0
  for (let round = 0; round < rounds; round++) {
    const held = await hold(scope)
    await deliverHeld(delivery, scope, held)
    count += held.length
    if (held.length < 20) break
  }
  return count
}

/** As `deliver`, but for whom gets no more, which it finds out itself. */
export async function deliverHeld<Env>(
  delivery: Delivery<Env>,
  scope: Scope<Env>,
  held: readonly Held[],
): Promise<ReadonlyMap<Held, Outcome>> {
  if (held.length === 0) return new Map()
  const mails = held.flatMap(({ mail }) => (mail ? [mail] : []))
  const { results } = await suppressedAmong(scope, mails).all<Suppressed>()
  return deliver(delivery, scope, held, results)
}
