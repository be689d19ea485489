import type { Context } from 'hono'
import { readText } from '../core/body.ts'
import type { Scope } from '../core/scope.ts'
import { addressKey, mailboxOf } from './address.ts'
import { emailFaults } from './faults.ts'

/** What a provider reports of a mailbox. */
export interface MailEvent {
  /** `bounce`: there is no such mailbox, or it refuses for good. `complaint`: its owner called it spam. */
  type: 'bounce' | 'complaint'
  address: string
}

export interface Received {
  /** Of this delivery; one that comes again counts no more. */
  id: string
  events: readonly MailEvent[]
}

/** Takes a provider's reports. Each of `leanto/email/…` that has some makes one. */
export interface Webhook<Env = unknown> {
  /** Its route is `/webhooks/<provider>`. */
  readonly provider: string
  /** @throws {Fault} `bad_signature` (401) unless the provider has sent this very body, lately. */
  receive(scope: Scope<Env>, request: Request, body: string): Promise<Received>
}

export type Reported = MailEvent & { provider: string }

/** Writes down who gets no more, once for each delivery, in one trip. */
export const receive =
  <Env>(
    webhook: Webhook<Env>,
    after: ((scope: Scope<Env>, event: Reported) => unknown) | undefined,
  ) =>
  async (scope: Scope, c: Context): Promise<Response> => {
    const typed = scope as Scope<Env>
    const body = await readText(c.req.raw)
    const { id, events } = await webhook.receive(typed, c.req.raw, body)
    const known = events.flatMap(({ type, address }) => {
      const key = keyOf(address)
      return key ? [{ type, address: key }] : []
    })
    const event = `${webhook.provider}:${id}`
    const [, added] = await scope.db.batch([
      scope.db
        .prepare(
          `INSERT INTO leanto_email_suppressions (address, list, reason, at)
           SELECT value ->> 'address', '', value ->> 'type', ?2 FROM json_each(?1)
           WHERE NOT EXISTS (SELECT 1 FROM leanto_email_events WHERE id = ?3)
           ON CONFLICT DO NOTHING`,
        )
        .bind(JSON.stringify(known), scope.now(), event),
      scope.db
        .prepare(
          'INSERT INTO leanto_email_events (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING id',
        )
        .bind(event, scope.now()),
    ])
    if (after && added?.results.length)
      for (const one of known)
        scope.waitUntil(
          Promise.resolve().then(() => after(typed, { ...one, provider: webhook.provider })),
        )
    return new Response(null, { status: 204 })
  }

function keyOf(address: string): string | undefined {
  try {
    return addressKey(mailboxOf(address))
  } catch {
    return undefined
  }
}

/** @throws {Fault} `bad_signature` if it is not JSON: it was signed, but not by whom we think. */
export function jsonOf(body: string): Record<string, unknown> {
  try {
    const json = JSON.parse(body)
    if (json !== null && typeof json === 'object') return json
  } catch {}
  throw emailFaults.bad_signature()
}

/** @param seconds How old it may be; it may be 5 minutes early. @throws {Fault} `bad_signature`. */
export function checkFresh(scope: Scope, milliseconds: number, seconds: number): void {
  const age = scope.now() - milliseconds
  if (!(age <= seconds * 1000 && age >= -300_000)) throw emailFaults.bad_signature()
}
