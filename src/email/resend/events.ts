import { fromBase64 } from '../encode.ts'
import { emailFaults } from '../faults.ts'
import { checkSetting, type Setting, settingOf } from '../transport.ts'
import { checkFresh, jsonOf, type MailEvent, type Webhook } from '../webhook.ts'

export interface ResendEventsOptions<Env> {
  /** The webhook's signing secret, `whsec_…`. */
  secret: Setting<Env>
}

/**
 * Takes Resend's webhooks: https://resend.com/docs/webhooks/verify-webhooks-requests (Standard Webhooks under the header
 * names of Svix). Subscribe to `email.bounced` and `email.complained`.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function resendEvents<Env>({ secret }: ResendEventsOptions<Env>): Webhook<Env> {
  checkSetting('resendEvents: `secret`', secret, '(env) => env.RESEND_WEBHOOK_SECRET')
  return {
    provider: 'resend',
    async receive(scope, { headers }, body) {
      const id = headers.get('svix-id') ?? ''
      const at = headers.get('svix-timestamp') ?? ''
      if (!/^[\w.-]{1,200}$/.test(id) || !/^\d{1,12}$/.test(at)) throw emailFaults.bad_signature()
      await verify(
        settingOf(scope, 'resendEvents: `secret`', secret),
        headers,
        `${id}.${at}.${body}`,
      )
      checkFresh(scope, Number(at) * 1000, 300)
      return { id, events: eventsOf(jsonOf(body)) }
    },
  }
}

async function verify(secret: string, headers: Headers, signed: string): Promise<void> {
  const bytes = fromBase64(secret.replace(/^whsec_/, ''))
  const key = await crypto.subtle.importKey(
    'raw',
    bytes,
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['verify'],
  )
  const data = new TextEncoder().encode(signed)
  // More than one while a secret is rotated. `verify` compares in constant time.
  for (const signature of (headers.get('svix-signature') ?? '').split(' ').slice(0, 10)) {
    const match = signature.match(/^v1,([\w+/]{43}=)$/)
    if (match && (await crypto.subtle.verify('HMAC', key, fromBase64(match[1] as string), data)))
      return
  }
  throw emailFaults.bad_signature()
}

function eventsOf({ type, data }: Record<string, unknown>): MailEvent[] {
  const { to, bounce } = (data ?? {}) as { to?: unknown; bounce?: { type?: string } }
  const [address, ...others] = Array.isArray(to) ? to : [to]
  // It names all whom the mail was to, not which of them it was: of several, nobody is suppressed.
  if (typeof address !== 'string' || others.length > 0) return []
  if (type === 'email.complained') return [{ type: 'complaint', address }]
  // A full mailbox may be emptied.
  return type === 'email.bounced' && bounce?.type !== 'Transient'
    ? [{ type: 'bounce', address }]
    : []
}
