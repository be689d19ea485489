import { hash } from '../../core/secret.ts'
import { rawSignature } from '../der.ts'
import { fromBase64 } from '../encode.ts'
import { emailFaults } from '../faults.ts'
import { checkSetting, type Setting, settingOf } from '../transport.ts'
import { checkFresh, jsonOf, type MailEvent, type Webhook } from '../webhook.ts'

export interface SendgridEventsOptions<Env> {
  /** The verification key of the signed event webhook: base64, as SendGrid shows it. */
  publicKey: Setting<Env>
}

const p256 = { name: 'ECDSA', namedCurve: 'P-256' }

/**
 * Takes SendGrid's signed event webhook:
 * https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features.
 * Subscribe to bounced and spam reports. What is older than a day is refused, for SendGrid tries as long.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function sendgridEvents<Env>({ publicKey }: SendgridEventsOptions<Env>): Webhook<Env> {
  checkSetting('sendgridEvents: `publicKey`', publicKey, '(env) => env.SENDGRID_PUBLIC_KEY')
  return {
    provider: 'sendgrid',
    async receive(scope, { headers }, body) {
      const signature = headers.get('x-twilio-email-event-webhook-signature') ?? ''
      const at = headers.get('x-twilio-email-event-webhook-timestamp') ?? ''
      const key = fromBase64(settingOf(scope, 'sendgridEvents: `publicKey`', publicKey))
      if (!/^\d{1,12}$/.test(at) || !(await verified(key, signature, at + body)))
        throw emailFaults.bad_signature()
      checkFresh(scope, Number(at) * 1000, 86_400)
      const events = jsonOf(body)
      return {
        id: await hash(at + body),
        events: Array.isArray(events) ? events.flatMap(eventOf) : [],
      }
    },
  }
}

async function verified(
  key: Uint8Array<ArrayBuffer>,
  signature: string,
  signed: string,
): Promise<boolean> {
  const imported = await crypto.subtle.importKey('spki', key, p256, false, ['verify'])
  try {
    return await crypto.subtle.verify(
      { name: 'ECDSA', hash: 'SHA-256' },
      imported,
      rawSignature(fromBase64(signature)),
      new TextEncoder().encode(signed),
    )
  } catch {
    return false
  }
}

function eventOf(event: { event?: unknown; type?: unknown; email?: unknown } | null): MailEvent[] {
  const address = String(event?.email ?? '')
  if (event?.event === 'spamreport') return [{ type: 'complaint', address }]
  // `blocked` is a refusal that may pass.
  return event?.event === 'bounce' && event.type !== 'blocked' ? [{ type: 'bounce', address }] : []
}
