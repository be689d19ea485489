import type { Mailbox } from '../address.ts'
import { base64 } from '../encode.ts'
import { originOf, post } from '../http.ts'
import { messageIdOf, moreHeaders } from '../message.ts'
import { mailboxText } from '../named.ts'
import { checkSetting, type Setting, settingOf, type Transport } from '../transport.ts'

export { type PostmarkEventsOptions, postmarkEvents } from './events.ts'

export interface PostmarkOptions<Env> {
  /** The server's API token. */
  token: Setting<Env>
  /** The message stream. @default 'outbound' */
  stream?: string
  /** @default 'https://api.postmarkapp.com' */
  origin?: string
}

const texts = (list: readonly Mailbox[]) => list.map(mailboxText).join(', ') || undefined

/**
 * Postmark: https://postmarkapp.com/developer/api/email-api. It has no idempotency key: a mail whose answer was lost is
 * sent again, under the same Message-ID.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function postmark<Env>({
  token,
  stream = 'outbound',
  origin = 'https://api.postmarkapp.com',
}: PostmarkOptions<Env>): Transport<Env> {
  checkSetting('postmark: `token`', token, '(env) => env.POSTMARK_TOKEN')
  const url = `${originOf('postmark', origin)}/email`
  return {
    name: 'postmark',
    async send(scope, mail) {
      const headers = {
        'Message-ID': messageIdOf(mail),
        'X-PM-KeepID': 'true',
        ...moreHeaders(mail),
      }
      const { json } = await post({
        name: 'Postmark',
        url,
        headers: {
          'x-postmark-server-token': settingOf(scope, 'postmark: `token`', token),
          'content-type': 'application/json',
          accept: 'application/json',
        },
        body: JSON.stringify({
          From: mailboxText(mail.from),
          To: texts(mail.to),
          Cc: texts(mail.cc),
          Bcc: texts(mail.bcc),
          ReplyTo: texts(mail.replyTo),
          Subject: mail.subject,
          TextBody: mail.text,
          HtmlBody: mail.html,
          Headers: Object.entries(headers).map(([Name, Value]) => ({ Name, Value })),
          // It knows one tag a message, and names of 20 characters for what else there is to say.
          Tag: mail.tags[0],
          Metadata: Object.fromEntries(mail.tags.slice(1).map((tag, i) => [`tag${i + 2}`, tag])),
          MessageStream: stream,
          Attachments: mail.attachments.map(({ name, type, content, cid }) => ({
            Name: name,
            Content: base64(content),
            ContentType: type,
            ContentID: cid === undefined ? undefined : `cid:${cid}`,
          })),
        }),
      })
      return { id: typeof json.MessageID === 'string' ? json.MessageID : undefined }
    },
  }
}
