import { isUuid } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { refuse } from '../body.ts'
import { condition } from '../condition.ts'
import type { Challenge } from '../pkce.ts'
import type { Settings } from '../settings.ts'
import { customProviderFaults } from './faults.ts'
import { normaliseDomain } from './input.ts'

export interface StartSso {
  /** Of an address, such as `example.com`. */
  domain?: string | undefined
  /** A provider's `id`, instead. */
  providerId?: string | undefined
  redirectTo?: string | undefined
  challenge?: Challenge | undefined
}

/**
 * Finds who signs a domain's people in. One trip.
 *
 * @returns Where to lead the browser: to our own `/authorize`. It binds the sign-in to the browser by a cookie, which a page on
 * another origin could not take from the answer to its `fetch` (case 27).
 * @throws {Fault} `validation_failed` (400), `sso_provider_not_found` (404).
 */
export async function startSso(
  settings: Settings,
  scope: Scope,
  { domain, providerId, redirectTo, challenge }: StartSso,
): Promise<{ url: string }> {
  if (domain && providerId) throw refuse('Only one of provider_id or domain supported')
  if (!domain && !providerId) throw refuse('A provider_id or domain needs to be provided')
  if (providerId && !isUuid(providerId)) throw refuse('provider_id must be an UUID')
  const which = providerId
    ? condition('p.id = ?', providerId.toLowerCase())
    : condition('d.domain = ?', normaliseDomain(domain ?? '') ?? '')
  const row = await scope.db
    .prepare(
      `SELECT p.identifier FROM leanto_auth_sso_domains d
       JOIN leanto_auth_custom_providers p ON p.identifier = d.identifier
       WHERE ${which.sql} AND p.enabled = 1 LIMIT 1`,
    )
    .bind(...which.values)
    .first<{ identifier: string }>()
  if (!row)
    throw customProviderFaults.sso_provider_not_found(
      providerId ? {} : { message: 'No SSO provider assigned for this domain' },
    )
  const url = new URL(`${settings.issuer(scope)}/authorize`)
  url.searchParams.set('provider', row.identifier)
  if (redirectTo) url.searchParams.set('redirect_to', redirectTo)
  if (challenge) {
    url.searchParams.set('code_challenge', challenge.challenge)
    url.searchParams.set('code_challenge_method', challenge.method)
  }
  return { url: url.href }
}
