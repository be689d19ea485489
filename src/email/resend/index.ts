import type { Mailbox } from '../address.ts'
import { base64 } from '../encode.ts'
import { originOf, post } from '../http.ts'
import { messageIdOf, moreHeaders } from '../message.ts'
import { mailboxText } from '../named.ts'
import { checkSetting, type Setting, settingOf, type Transport } from '../transport.ts'

export { type ResendEventsOptions, resendEvents } from './events.ts'

export interface ResendOptions<Env> {
  /** An API key that may send. */
  key: Setting<Env>
  /** @default 'https://api.resend.com' */
  origin?: string
}

const texts = (list: readonly Mailbox[]) => list.map(mailboxText)

/**
 * Resend: https://resend.com/docs/api-reference/emails/send-email. It takes a mail once, however often it is sent
 * within 24 hours.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function resend<Env>({
  key,
  origin = 'https://api.resend.com',
}: ResendOptions<Env>): Transport<Env> {
  checkSetting('resend: `key`', key, '(env) => env.RESEND_KEY')
  const url = `${originOf('resend', origin)}/emails`
  return {
    name: 'resend',
    async send(scope, mail) {
      const { json } = await post({
        name: 'Resend',
        url,
        headers: {
          authorization: `Bearer ${settingOf(scope, 'resend: `key`', key)}`,
          'content-type': 'application/json',
          'idempotency-key': mail.id,
        },
        body: JSON.stringify({
          from: mailboxText(mail.from),
          to: texts(mail.to),
          cc: texts(mail.cc),
          bcc: texts(mail.bcc),
          reply_to: texts(mail.replyTo),
          subject: mail.subject,
          text: mail.text,
          html: mail.html,
          headers: { 'Message-ID': messageIdOf(mail), ...moreHeaders(mail) },
          tags: mail.tags.map((name) => ({ name, value: '1' })),
          attachments: mail.attachments.map(({ name, type, content, cid }) => ({
            filename: name,
            content: base64(content),
            content_type: type,
            content_id: cid,
          })),
        }),
      })
      return { id: typeof json.id === 'string' ? json.id : undefined }
    },
  }
}
