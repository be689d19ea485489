import { isStorable } from '../../core/body.ts'
import { normaliseEmail } from '../email.ts'
import { mergeMetadata } from '../metadata.ts'
import type { Metadata } from '../wire.ts'
import { oauthFaults } from './faults.ts'
import type { Profile } from './provider.ts'

/** A profile that was checked: what the provider says of someone, in one spelling. */
export interface Person {
  readonly provider: string
  readonly subject: string
  /** The address to reach them by, normalised. */
  readonly email: string | null
  /** Whether the provider vouches for it. Nothing is found or granted by an address that it does not vouch for. */
  readonly verified: boolean
  /** Becomes `identity_data`. */
  readonly data: Metadata
}

/**
 * Checks a profile. The address is the primary one if it is verified, else any verified one.
 *
 * @throws {Fault} `unexpected_failure` if there is no subject: an empty answer is nobody (case 7).
 */
export function personOf(provider: string, { subject, emails, data }: Profile): Person {
  if (typeof subject !== 'string' || subject.trim() === '' || subject.length > 255)
    throw oauthFaults.unexpected_failure()
  if (!isStorable(subject)) throw oauthFaults.unexpected_failure()
  const known = emails.flatMap(({ email, verified, primary }) => {
    const address = normaliseEmail(email)
    return address ? [{ address, verified: verified === true, primary: primary === true }] : []
  })
  const best =
    known.find(({ verified, primary }) => verified && primary) ??
    known.find(({ verified }) => verified) ??
    known.find(({ primary }) => primary) ??
    known[0]
  const verified = best?.verified ?? false
  return {
    provider,
    subject,
    email: best?.address ?? null,
    verified,
    data: fitting({
      ...data,
      ...(best ? { email: best.address } : {}),
      email_verified: verified,
      phone_verified: false,
    }),
  }
}

/** What may be stored of it: a profile that is too long loses its longest parts, but signs in. */
function fitting(data: Metadata): Metadata {
  const short = Object.fromEntries(
    Object.entries(data).filter(
      ([, value]) => typeof value !== 'string' || (value.length <= 1024 && isStorable(value)),
    ),
  )
  try {
    return mergeMetadata({}, short)
  } catch {
    const { custom_claims, ...rest } = short
    return rest
  }
}

/** The user's metadata with the profile's in it, as GoTrue does at every sign-in; as it was, if that is too much. */
export function withProfile(before: string, data: Metadata): string {
  try {
    return JSON.stringify(mergeMetadata(JSON.parse(before) as Metadata, data))
  } catch {
    return before
  }
}

/** `app_metadata` with the provider among its `providers`. */
export function withProvider(before: string, provider: string): string {
  const app = JSON.parse(before) as Metadata
  const providers = Array.isArray(app.providers) ? app.providers : []
  return JSON.stringify({
    ...app,
    provider: app.provider ?? provider,
    providers: providers.includes(provider) ? providers : [...providers, provider],
  })
}
