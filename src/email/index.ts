import type { Base } from '../core/bind.ts'
import { coreFaults, problem } from '../core/fault.ts'
import { type Limit, purgeLimits } from '../core/limit.ts'
import type { Module } from '../core/module.ts'
import { routesOf } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { type Mailbox, mailboxOf } from './address.ts'
import { deliverDue, type Lost } from './deliver.ts'
import { emailFaults } from './faults.ts'
import type { Message } from './message.ts'
import { emailMigrations } from './migrations.ts'
import { purge, requeue, type Status, statusOf } from './outbox.ts'
import type { Part } from './part.ts'
import { type Sending, type SendOptions, send } from './send.ts'
import {
  type Reason,
  type Suppression,
  suppress,
  suppressionsOf,
  unsuppress,
} from './suppression.ts'
import { checkSetting, type Setting, type Transport } from './transport.ts'

export type { Mailbox, Recipient } from './address.ts'
export type { Lost } from './deliver.ts'
export { type Html, html, unsafeHtml } from './html.ts'
export type { Attachment, Content, Message, Outgoing, Part } from './message.ts'
export type { Status } from './outbox.ts'
export type { Part as EmailPart } from './part.ts'
export type { SendOptions } from './send.ts'
export type { Reason, Suppression } from './suppression.ts'
export { type About, type Receipt, type Setting, type Transport, Undelivered } from './transport.ts'
export type { MailEvent, Received, Webhook } from './webhook.ts'

export interface EmailOptions<Env> {
  /** Who writes, unless a message says otherwise: `Notes <hi@notes.example>`. */
  from: Setting<Env>
  /** What takes mails onward: `resend(…)` of `leanto/email/resend`, or another of these, or your own. */
  transport: Transport<Env>
  limits?: {
    /** How many mails one address gets, of whatever kind. @default no limit */
    recipient?: Limit
  }
  /**
   * What more it does: `templates(…)` of `leanto/email/templates`, and those of `/unsubscribe`, `/events` and `/jobs`.
   * @default []
   */
  parts?: readonly Part[]
  after?: {
    /** A mail was given up: refused for good, or 10 times in some 8 hours. */
    failed?: (scope: Scope<Env>, lost: Lost) => unknown
  }
}

export interface Email extends Module {
  readonly name: 'email'
  /**
   * Puts a mail into the outbox, in one trip, and sends it once the answer is out (`waitUntil`); what fails is tried again
   * at the host's cron triggers, for some 8 hours. A mail is sent at least once; twice only if its Worker dies, or the
   * database fails, between the provider's answer and our writing it down.
   *
   * @throws {Fault} `bad_message`, `bad_address`, `too_many_recipients` (400), `message_too_large` (413),
   * `recipient_limited` (429): then nothing is sent or stored.
   */
  send(scope: Scope, message: Message, options?: SendOptions): Promise<void>
  /**
   * As `send`. @returns The mail's id, for `status`; if its `key` was used before, that of the first (with `within`,
   * nobody knows that yet).
   */
  post(scope: Scope, message: Message, options?: SendOptions): Promise<string>
  /** Sends what is due, 100 at most. `scheduled` does. @returns How many it took up. */
  deliver(scope: Scope): Promise<number>
  /** What became of a mail; what was sent is known for 7 days, what failed for 30. */
  status(scope: Scope, id: string): Promise<Status | null>
  /** Makes a mail that was given up due again. @returns Whether there was one. */
  retry(scope: Scope, id: string): Promise<boolean>
  /** Sees to it that an address gets no more of a list, or of anything. */
  suppress(scope: Scope, who: { address: string; list?: string; reason?: Reason }): Promise<void>
  /** Takes that back. @returns Whether there was something. */
  unsuppress(scope: Scope, who: { address: string; list?: string }): Promise<boolean>
  /** What an address gets no more of. */
  suppressions(scope: Scope, address: string): Promise<Suppression[]>
}

/**
 * Sends mail, by an outbox in D1. It is a `Mailer`.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function email<Env>(base: Base<Env>, options: EmailOptions<Env>): Email {
  const { transport, limits = {}, parts = [], after = {} } = check(options)
  const sending: Sending<Env> = {
    transport,
    failed: after.failed,
    from: (scope) => senderOf(scope, options.from),
    recipient: limits.recipient,
    listed: parts.find(({ listed }) => listed)?.listed,
  }
  const rails = parts.find((part) => part.rails)?.rails?.(sending)
  if (rails) sending.rails = rails
  const { routes, table } = routesOf({ base, render: problem, bug: renderBug }, [
    ...parts.flatMap((part) => part.routes?.(sending) ?? []),
    ...(transport.routes ?? []),
  ])
  const post: Email['post'] = (scope, message, how) =>
    send(sending, scope as Scope<Env>, message, how)
  return Object.freeze({
    name: 'email',
    routes,
    table,
    migrations: Object.freeze([...emailMigrations, ...(transport.migrations ?? [])]),
    faults: emailFaults,
    async scheduled(scope: Scope) {
      await deliverDue(sending, scope as Scope<Env>, 5)
      await scope.db.batch([...purge(scope), purgeLimits(scope.db, scope.now())])
    },
    async send(scope: Scope, message: Message, how?: SendOptions) {
      await post(scope, message, how)
    },
    post,
    deliver: (scope: Scope) => deliverDue(sending, scope as Scope<Env>, 5),
    status: statusOf,
    retry: requeue,
    suppress,
    unsuppress,
    suppressions: suppressionsOf,
  })
}

const renderBug = (): Response =>
  Response.json(
    { title: 'Unexpected error', status: 500 },
    { status: 500, headers: { 'content-type': 'application/problem+json' } },
  )

function check<Env>(options: EmailOptions<Env>): EmailOptions<Env> {
  const { from, transport, limits } = options ?? {}
  const wrong = (option: string, what: string) => new TypeError(`email: \`${option}\` ${what}`)
  checkSetting('email: `from`', from, "'Notes <hi@notes.example>'")
  if (typeof from === 'string')
    try {
      mailboxOf(from)
    } catch {
      throw wrong('from', `is ${JSON.stringify(from)}; write it as Notes <hi@notes.example>`)
    }
  if (typeof transport?.send !== 'function')
    throw wrong('transport', "must have send(scope, mail): pass resend(…) of 'leanto/email/resend'")
  const { max = 1, seconds = 1 } = limits?.recipient ?? {}
  if (!(max > 0 && seconds > 0)) throw wrong('limits.recipient', 'must be { max, seconds }')
  return options
}

/** @throws {Fault} `misconfigured`: it is not the fault of who sends. */
function senderOf<Env>({ env }: Scope<Env>, from: Setting<Env>): Mailbox {
  try {
    return mailboxOf((typeof from === 'function' ? from(env) : from) ?? '')
  } catch (cause) {
    throw coreFaults.misconfigured({ message: 'email: `from` is no address', cause })
  }
}
