import type { Mailbox } from '../address.ts'
import type { Outgoing } from '../message.ts'
import { type Transport, Undelivered } from '../transport.ts'

/** The part of a `send_email` binding that is used. */
export interface SendEmailBinding {
  send(message: never): Promise<{ messageId?: string } | undefined>
}

export interface BindingOptions<Env> {
  /** A `send_email` binding. */
  binding: (env: Env) => SendEmailBinding | undefined
}

const person = ({ address, name }: Mailbox) => (name ? { email: address, name } : address)

/** What its errors are called that would be the same again. */
const final =
  /^E_(?:VALIDATION_ERROR|FIELD_MISSING|TOO_MANY_\w+|RECIPIENT_NOT_ALLOWED|RECIPIENT_SUPPRESSED|CONTENT_TOO_LARGE|HEADER_\w+)$/

/**
 * Cloudflare's `send_email` binding: https://developers.cloudflare.com/email-service/. It has one reply address and no
 * tags: more are left out. It sets the Message-ID itself and has no idempotency key, so a mail whose answer was lost is
 * sent again.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function binding<Env>(options: BindingOptions<Env>): Transport<Env> {
  if (typeof options?.binding !== 'function')
    throw new TypeError('binding: `binding` must be a function of env, such as (env) => env.EMAIL')
  return {
    name: 'binding',
    async send(scope, mail) {
      const bound = options.binding(scope.env)
      if (!bound) throw new Undelivered('binding: there is no `send_email` binding')
      try {
        const sent = await bound.send(built(mail) as never)
        return { id: sent?.messageId }
      } catch (cause) {
        const code = String((cause as { code?: unknown })?.code ?? '')
        const message = cause instanceof Error ? cause.message.slice(0, 200) : 'error'
        throw new Undelivered(`The send_email binding refused: ${code} ${message}`, {
          final: final.test(code),
        })
      }
    },
  }
}

const built = (mail: Outgoing) => ({
  from: person(mail.from),
  to: mail.to.map(person),
  ...(mail.cc.length > 0 ? { cc: mail.cc.map(person) } : {}),
  ...(mail.bcc.length > 0 ? { bcc: mail.bcc.map(person) } : {}),
  ...(mail.replyTo[0] ? { replyTo: person(mail.replyTo[0]) } : {}),
  subject: mail.subject,
  text: mail.text,
  ...(mail.html === undefined ? {} : { html: mail.html }),
  // `Content-Language` is none of those that it takes.
  headers: mail.headers,
  attachments: mail.attachments.map(({ name, type, content, cid }) => ({
    filename: name,
    type,
    content,
    ...(cid === undefined
      ? { disposition: 'attachment' as const }
      : { disposition: 'inline' as const, contentId: cid }),
  })),
})
