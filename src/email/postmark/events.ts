import { equal, hash } from '../../core/secret.ts'
import { base64Text } from '../encode.ts'
import { emailFaults } from '../faults.ts'
import { checkSetting, type Setting, settingOf } from '../transport.ts'
import { jsonOf, type MailEvent, type Webhook } from '../webhook.ts'

export interface PostmarkEventsOptions<Env> {
  /** What the webhook's address says before the `@`: `https://<username>:<password>@notes.example/email/webhooks/postmark`. */
  username: Setting<Env>
  password: Setting<Env>
}

/**
 * Takes Postmark's bounce, spam complaint and subscription change webhooks:
 * https://postmarkapp.com/developer/webhooks/webhooks-overview. Postmark signs nothing; it shows the name and password of
 * the webhook's address (HTTP Basic), and that is what is checked.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function postmarkEvents<Env>({
  username,
  password,
}: PostmarkEventsOptions<Env>): Webhook<Env> {
  checkSetting('postmarkEvents: `username`', username, "'postmark'")
  checkSetting('postmarkEvents: `password`', password, '(env) => env.POSTMARK_WEBHOOK_PASSWORD')
  return {
    provider: 'postmark',
    async receive(scope, { headers }, body) {
      const name = settingOf(scope, 'postmarkEvents: `username`', username)
      const word = settingOf(scope, 'postmarkEvents: `password`', password)
      const expected = `Basic ${base64Text(`${name}:${word}`)}`
      if (!(await equal(headers.get('authorization') ?? '', expected)))
        throw emailFaults.bad_signature()
      const json = jsonOf(body)
      const { ID, RecordType, MessageID, ChangedAt = '', Email, Recipient } = json
      const whose = await hash(String(Email ?? Recipient))
      const id = [RecordType, ID ?? MessageID, ChangedAt].join(':').slice(0, 150)
      return { id: `${id}:${whose}`, events: eventsOf(json) }
    },
  }
}

function eventsOf(json: Record<string, unknown>): MailEvent[] {
  const { RecordType, Type, Email, Recipient, SuppressSending, SuppressionReason } = json
  const address = String(Email ?? Recipient ?? '')
  if (RecordType === 'SpamComplaint' || SuppressionReason === 'SpamComplaint')
    return [{ type: 'complaint', address }]
  const gone = RecordType === 'Bounce' && (Type === 'HardBounce' || Type === 'BadEmailAddress')
  const changed =
    RecordType === 'SubscriptionChange' &&
    SuppressSending === true &&
    SuppressionReason === 'HardBounce'
  return gone || changed ? [{ type: 'bounce', address }] : []
}
