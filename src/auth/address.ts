import { type Condition, condition } from './condition.ts'
import { normaliseEmail } from './email.ts'
import { authFaults } from './faults.ts'
import type { Settings } from './settings.ts'

/** Where someone can be reached and so be known: a mailbox or a phone. */
export interface Address {
  readonly type: 'email' | 'phone'
  /** Normalised. */
  readonly value: string
}

/** E.164 without the plus, as GoTrue stores it: country code and number, at most 15 digits. */
export function normalisePhone(phone: string): string | null {
  const digits = phone.replace(/^\+/, '').replace(/[ ().-]/g, '')
  return phone.length <= 32 && /^[1-9]\d{6,14}$/.test(digits) ? digits : null
}

/** @throws {Fault} `validation_failed` (400). */
export function requireEmail(email: string): string {
  const normalised = normaliseEmail(email)
  if (normalised) return normalised
  throw authFaults.validation_failed({
    message: 'Unable to validate email address: invalid format',
  })
}

/** @throws {Fault} `validation_failed` (400). */
export function requirePhone(phone: string): string {
  const normalised = normalisePhone(phone)
  if (normalised) return normalised
  throw authFaults.validation_failed({ message: 'Invalid phone number format (E.164 required)' })
}

/**
 * The one address of a request that wants a message.
 *
 * @throws {Fault} `validation_failed` (400), `phone_provider_disabled`, `email_provider_disabled` (422) where nothing
 * could be sent.
 */
export function reachable(
  { mailer, sms }: Settings,
  { email, phone }: { email?: string | undefined; phone?: string | undefined },
): Address {
  if (email && phone)
    throw authFaults.validation_failed({
      message: 'Only an email address or phone number should be provided',
    })
  if (phone) {
    if (!sms) throw authFaults.phone_provider_disabled({ message: 'Unsupported phone provider' })
    return { type: 'phone', value: requirePhone(phone) }
  }
  if (!email) throw authFaults.validation_failed({ message: 'One of email or phone must be set' })
  const value = requireEmail(email)
  if (!mailer) throw authFaults.email_provider_disabled()
  return { type: 'email', value }
}

/** The user `u` with this address. */
export const byAddress = ({ type, value }: Address): Condition =>
  condition(type === 'email' ? 'u.email = ?' : 'u.phone = ?', value)

/** That the user `u` is nothing yet but an unproven sign-up: nobody has ever been let in. */
export const isPending: Condition = condition(
  `u.email_confirmed_at IS NULL AND u.phone_confirmed_at IS NULL AND u.last_sign_in_at IS NULL
     AND u.invited_at IS NULL AND u.deleted_at IS NULL`,
)
