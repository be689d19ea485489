import { AwsClient } from 'aws4fetch'
import { base64Text } from '../encode.ts'
import { originOf, post } from '../http.ts'
import { everyRecipient } from '../message.ts'
import { mimeOf } from '../mime.ts'
import { checkSetting, type Setting, settingOf, type Transport } from '../transport.ts'

export { type SesEventsOptions, sesEvents } from './events.ts'

export interface SesOptions<Env> {
  /** Such as `eu-central-1`. */
  region: string
  accessKeyId: Setting<Env>
  secretAccessKey: Setting<Env>
  /** The configuration set, which says where bounces and complaints are published. */
  configurationSet?: string
  /** @default 'https://email.<region>.amazonaws.com' */
  origin?: string
}

/**
 * Amazon SES, API version 2: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html. It has no
 * idempotency key, and puts a Message-ID of its own in the place of ours: a mail whose answer was lost is sent again.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function ses<Env>({
  region,
  accessKeyId,
  secretAccessKey,
  configurationSet,
  origin,
}: SesOptions<Env>): Transport<Env> {
  if (!/^[a-z]{2}(?:-[a-z]+)+-\d$/.test(region ?? ''))
    throw new TypeError('ses: `region` must be one of AWS, such as eu-central-1')
  checkSetting('ses: `accessKeyId`', accessKeyId, '(env) => env.AWS_ACCESS_KEY_ID')
  checkSetting('ses: `secretAccessKey`', secretAccessKey, '(env) => env.AWS_SECRET_ACCESS_KEY')
  const api = originOf('ses', origin ?? `https://email.${region}.amazonaws.com`)
  return {
    name: 'ses',
    async send(scope, mail) {
      const client = new AwsClient({
        accessKeyId: settingOf(scope, 'ses: `accessKeyId`', accessKeyId),
        secretAccessKey: settingOf(scope, 'ses: `secretAccessKey`', secretAccessKey),
        region,
        service: 'ses',
      })
      const destinations = everyRecipient(mail).map(({ address }) => address)
      const { json } = await post({
        name: 'Amazon SES',
        url: `${api}/v2/email/outbound-emails`,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          FromEmailAddress: mail.from.address,
          // The envelope. Whom the header shows stands in the message, which has no Bcc.
          Destination: { ToAddresses: destinations },
          Content: { Raw: { Data: base64Text(mimeOf(mail)) } },
          EmailTags: mail.tags.map((Name) => ({ Name, Value: '1' })),
          ConfigurationSetName: configurationSet,
        }),
        // Signed for each attempt; the client's own retries would not know what may be repeated.
        fetch: async (url, init) => {
          const { redirect = 'manual', signal = null } = init
          // Said again: what a Request has of a signal is held weakly, and may be gone before it is time.
          return fetch(await client.sign(url, init), { redirect, signal })
        },
      })
      return { id: typeof json.MessageId === 'string' ? json.MessageId : undefined }
    },
  }
}
