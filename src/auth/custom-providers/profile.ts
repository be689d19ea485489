import { normaliseEmail } from '../email.ts'
import type { Profile } from '../oauth/provider.ts'
import { id, profileOf, text, yes } from '../providers/preset.ts'
import { authorityOf, type Config, type ProviderType } from './record.ts'

/**
 * What `attribute_mapping` may set. Nothing here grants anything; what does, such as `email_verified`, `role` or
 * `app_metadata`, no provider's claim can reach (case 40).
 */
export const attributes: readonly string[] = [
  ...['sub', 'email', 'name', 'full_name', 'given_name', 'family_name', 'middle_name', 'nickname'],
  ...['preferred_username', 'user_name', 'picture', 'avatar_url', 'profile', 'website', 'locale'],
  ...['zoneinfo', 'gender', 'birthdate', 'slug'],
]

type Claims = Readonly<Record<string, unknown>>

const claimOf = (claims: Claims, name: string): unknown =>
  Object.hasOwn(claims, name) ? claims[name] : undefined

/** Which claims are asked for: one that is not in the ID token may be at the userinfo endpoint. */
export const wantedOf = ({ attribute_mapping, custom_claims_allowlist }: Config): string[] => [
  'email',
  ...Object.values(attribute_mapping),
  ...custom_claims_allowlist,
]

/** The profile of someone by their claims, which the provider itself has answered. */
export function profileBy(type: ProviderType, config: Config, claims: Claims): Profile {
  const { attribute_mapping: mapping, custom_claims_allowlist: listed } = config
  const mapped = (target: string) =>
    mapping[target] === undefined ? undefined : claimOf(claims, mapping[target])
  const attribute = (target: string) => text(mapped(target)) ?? text(claimOf(claims, target))
  const custom = Object.fromEntries(
    listed.flatMap((name) => (Object.hasOwn(claims, name) ? [[name, claims[name]]] : [])),
  )
  const { subject, emails, data } = profileOf({
    issuer: authorityOf(config),
    // Of OpenID Connect the `sub` of the verified token, whatever is mapped.
    subject: type === 'oidc' ? (text(claims.sub) ?? '') : id(claimOf(claims, mapping.sub ?? 'sub')),
    ...emailBy(config, claims),
    name: attribute('name'),
    picture: attribute('picture'),
    username: attribute('preferred_username'),
    custom: Object.keys(custom).length > 0 ? custom : undefined,
  })
  const more = attributes
    .filter((target) => !['sub', 'email'].includes(target))
    .flatMap((target) => {
      const value = text(mapped(target))
      return value === undefined ? [] : [[target, value]]
    })
  return { subject, emails, data: { ...data, ...Object.fromEntries(more) } }
}

/** The address, and whether the provider vouches for it and may: with domains it speaks for those alone. */
function emailBy(
  { attribute_mapping, domains, unsafe_trust_emails: trusts }: Config,
  claims: Claims,
): { email: string | undefined; verified: boolean } {
  const own = text(claimOf(claims, 'email'))
  const source = attribute_mapping.email ?? 'email'
  const email = text(claimOf(claims, source)) ?? own
  // `email_verified` is about `email`, and about no other claim.
  const said = email === own ? claimOf(claims, 'email_verified') : undefined
  if (domains.length === 0) return { email, verified: yes(said) }
  const domain = normaliseEmail(email ?? '')?.split('@')[1] ?? ''
  const vouched = yes(said) || (trusts && (said === undefined || said === null))
  return { email, verified: domains.includes(domain) && vouched }
}
