import { publicKeyOf } from '../der.ts'
import { fromBase64 } from '../encode.ts'
import { emailFaults } from '../faults.ts'
import { Undelivered } from '../transport.ts'
import { checkFresh, jsonOf, type MailEvent, type Webhook } from '../webhook.ts'

export interface SesEventsOptions {
  /** The ARN of the SNS topic that SES publishes to. Whoever has an AWS account can sign; only this topic is yours. */
  topic: string
  /** Gets the certificate and confirms the subscription. @default fetch */
  fetch?: (url: string, init: RequestInit) => Promise<Response>
}

type Sns = Record<string, string | undefined>

/** What is signed, in this order: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html */
const signedKeys: Readonly<Record<string, readonly string[]>> = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: [
    'Message',
    'MessageId',
    'SubscribeURL',
    'Timestamp',
    'Token',
    'TopicArn',
    'Type',
  ],
}

/**
 * Takes what Amazon SES publishes to an SNS topic, and confirms the topic's subscription. Set the topic's
 * `SignatureVersion` to 2: version 1 is SHA-1 and is refused.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function sesEvents({ topic, fetch: by }: SesEventsOptions): Webhook {
  const region = topic?.match(/^arn:aws:sns:([a-z]{2}(?:-[a-z]+)+-\d):\d{12}:[\w-]{1,256}$/)?.[1]
  if (!region) throw new TypeError('sesEvents: `topic` must be the ARN of an SNS topic')
  const host = `https://sns.${region}.amazonaws.com/`
  const get = async (url: string) => {
    const init: RequestInit = { redirect: 'manual', signal: AbortSignal.timeout(10_000) }
    const response = await (by ? by(url, init) : fetch(url, init))
    const text = await response.text()
    if (!response.ok) throw new Undelivered(`Amazon SNS answered ${response.status}`)
    return text
  }
  return {
    provider: 'ses',
    async receive(scope, _, body) {
      const message = jsonOf(body) as Sns
      const keys = signedKeys[message.Type ?? '']
      // Before anything is fetched: the addresses are whatever the sender says.
      if (!keys || message.TopicArn !== topic || message.SignatureVersion !== '2')
        throw emailFaults.bad_signature()
      const from = message.SigningCertURL ?? ''
      if (!from.startsWith(host) || !/\/SimpleNotificationService-[\da-f]{32}\.pem$/.test(from))
        throw emailFaults.bad_signature()
      if (!(await verified(await get(from), message, keys))) throw emailFaults.bad_signature()
      checkFresh(scope, Date.parse(message.Timestamp ?? ''), 86_400)
      const id = String(message.MessageId)
      if (message.Type === 'Notification')
        return { id, events: eventsOf(jsonOf(message.Message ?? '')) }
      const confirm = message.SubscribeURL ?? ''
      if (!confirm.startsWith(host)) throw emailFaults.bad_signature()
      await get(confirm)
      return { id, events: [] }
    },
  }
}

async function verified(pem: string, message: Sns, keys: readonly string[]): Promise<boolean> {
  const signed = keys
    .filter((key) => message[key] !== undefined)
    .map((key) => `${key}\n${message[key]}\n`)
    .join('')
  try {
    const certificate = fromBase64(pem.replace(/-----[A-Z ]+-----|\s/g, ''))
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
    const key = await crypto.subtle.importKey('spki', publicKeyOf(certificate), algorithm, false, [
      'verify',
    ])
    const signature = fromBase64(message.Signature ?? '')
    return await crypto.subtle.verify(algorithm, key, signature, new TextEncoder().encode(signed))
  } catch {
    return false
  }
}

interface Reported {
  notificationType?: string
  eventType?: string
  bounce?: { bounceType?: string; bouncedRecipients?: { emailAddress?: string }[] }
  complaint?: { complainedRecipients?: { emailAddress?: string }[] }
}

function eventsOf({ notificationType, eventType, bounce, complaint }: Reported): MailEvent[] {
  const type = notificationType ?? eventType
  const of = (list: { emailAddress?: string }[] = [], kind: MailEvent['type']) =>
    list.map(({ emailAddress = '' }) => ({ type: kind, address: emailAddress }))
  // Those who may have complained: of several, nobody is suppressed.
  const complained = complaint?.complainedRecipients ?? []
  if (type === 'Complaint') return complained.length === 1 ? of(complained, 'complaint') : []
  const gone = type === 'Bounce' && bounce?.bounceType === 'Permanent'
  return gone ? of(bounce.bouncedRecipients, 'bounce') : []
}
