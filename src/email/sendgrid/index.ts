import type { Mailbox } from '../address.ts'
import { base64 } from '../encode.ts'
import { originOf, post } from '../http.ts'
import { messageIdOf, moreHeaders } from '../message.ts'
import { checkSetting, type Setting, settingOf, type Transport } from '../transport.ts'

export { type SendgridEventsOptions, sendgridEvents } from './events.ts'

export interface SendgridOptions<Env> {
  /** An API key with the right to send mail. */
  key: Setting<Env>
  /** `https://api.eu.sendgrid.com` keeps mail in the EU. @default 'https://api.sendgrid.com' */
  origin?: string
}

const person = ({ address, name }: Mailbox) => ({ email: address, ...(name ? { name } : {}) })

/** It takes no empty lists. */
const people = (list: readonly Mailbox[]) => (list.length > 0 ? list.map(person) : undefined)

/**
 * SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send. It has no idempotency key: a mail
 * whose answer was lost is sent again, under the same Message-ID.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function sendgrid<Env>({
  key,
  origin = 'https://api.sendgrid.com',
}: SendgridOptions<Env>): Transport<Env> {
  checkSetting('sendgrid: `key`', key, '(env) => env.SENDGRID_KEY')
  const url = `${originOf('sendgrid', origin)}/v3/mail/send`
  return {
    name: 'sendgrid',
    async send(scope, mail) {
      const { headers } = await post({
        name: 'SendGrid',
        url,
        headers: {
          authorization: `Bearer ${settingOf(scope, 'sendgrid: `key`', key)}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify({
          personalizations: [{ to: people(mail.to), cc: people(mail.cc), bcc: people(mail.bcc) }],
          from: person(mail.from),
          reply_to_list: people(mail.replyTo),
          subject: mail.subject,
          content: [
            // An empty one is refused.
            { type: 'text/plain', value: mail.text || ' ' },
            ...(mail.html ? [{ type: 'text/html', value: mail.html }] : []),
          ],
          headers: { 'Message-ID': messageIdOf(mail), ...moreHeaders(mail) },
          categories: mail.tags.length > 0 ? mail.tags : undefined,
          attachments:
            mail.attachments.length > 0
              ? mail.attachments.map(({ name, type, content, cid }) => ({
                  filename: name,
                  content: base64(content),
                  type,
                  disposition: cid === undefined ? 'attachment' : 'inline',
                  content_id: cid,
                }))
              : undefined,
        }),
      })
      return { id: headers.get('x-message-id') ?? undefined }
    },
  }
}
