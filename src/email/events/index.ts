import type { Context } from 'hono'
import { readText } from '../../core/body.ts'
import type { Scope } from '../../core/scope.ts'
import { addressKey, mailboxOf } from '../address.ts'
import type { Part } from '../part.ts'
import type { MailEvent, Webhook } from '../webhook.ts'

export interface EventsOptions<Env> {
  /** `resendEvents(…)` of `leanto/email/resend`, and its like: one of each provider. */
  webhooks: readonly Webhook<Env>[]
  /** A mailbox has bounced or complained, and is suppressed. In `waitUntil`. */
  after?: (scope: Scope<Env>, event: Reported) => unknown
}

/**
 * Takes providers' reports of bounces and complaints, at `/webhooks/<provider>`, and suppresses whom they are of. A part of
 * `email`: `email(base, { …, parts: [events({ webhooks: [resendEvents({ secret })] })] })`.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function events<Env>({ webhooks, after }: EventsOptions<Env>): Part {
  for (const [i, { provider, receive }] of webhooks.entries())
    if (
      !/^[a-z]+$/.test(provider) ||
      typeof receive !== 'function' ||
      webhooks.findIndex((other) => other.provider === provider) !== i
    )
      throw new TypeError(
        'events: `webhooks` must be one of each provider: resendEvents(…), postmarkEvents(…), …',
      )
  return Object.freeze<Part>({
    routes: () =>
      webhooks.map((webhook) => ['POST', `/webhooks/${webhook.provider}`, receive(webhook, after)]),
  })
}

export type Reported = MailEvent & { provider: string }

/** Writes down who gets no more, once for each delivery, in one trip. */
const receive =
  <Env>(webhook: Webhook<Env>, after: EventsOptions<Env>['after']) =>
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
