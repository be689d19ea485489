import { base64Text } from '../encode.ts'
import { originOf, post } from '../http.ts'
import { everyRecipient } from '../message.ts'
import { mimeOf } from '../mime.ts'
import { checkSetting, type Setting, settingOf, type Transport } from '../transport.ts'

export interface MailgunOptions<Env> {
  /** A sending key of the domain. */
  key: Setting<Env>
  /** The domain that it is sent from, such as `mg.example.com`. */
  domain: Setting<Env>
  /** `https://api.eu.mailgun.net` for domains in the EU. @default 'https://api.mailgun.net' */
  origin?: string
}

/**
 * Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages, as MIME, because by its
 * other way images are known by their file names. It has no idempotency key: a mail whose answer was lost is sent again,
 * under the same Message-ID.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function mailgun<Env>({
  key,
  domain,
  origin = 'https://api.mailgun.net',
}: MailgunOptions<Env>): Transport<Env> {
  checkSetting('mailgun: `key`', key, '(env) => env.MAILGUN_KEY')
  checkSetting('mailgun: `domain`', domain, "'mg.example.com'")
  const api = `${originOf('mailgun', origin)}/v3`
  return {
    name: 'mailgun',
    async send(scope, mail) {
      const form = new FormData()
      for (const { address } of everyRecipient(mail)) form.append('to', address)
      for (const tag of mail.tags) form.append('o:tag', tag)
      form.append('message', new Blob([mimeOf(mail)], { type: 'message/rfc822' }), 'message.eml')
      const { json } = await post({
        name: 'Mailgun',
        url: `${api}/${encodeURIComponent(settingOf(scope, 'mailgun: `domain`', domain))}/messages.mime`,
        headers: {
          authorization: `Basic ${base64Text(`api:${settingOf(scope, 'mailgun: `key`', key)}`)}`,
        },
        body: form,
      })
      return { id: typeof json.id === 'string' ? json.id : undefined }
    },
  }
}
