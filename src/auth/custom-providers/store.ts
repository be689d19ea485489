import { coreFaults } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { open } from '../../core/secret.ts'
import { condition } from '../condition.ts'
import { named, refuseProvider } from '../identity-routes.ts'
import { oauthFaults } from '../oauth/faults.ts'
import type { OAuthProvider, ProviderStore } from '../oauth/provider.ts'
import type { Reach } from '../outbound.ts'
import type { Documents } from '../providers/cache.ts'
import { openidClaims, serverIn } from '../providers/discovery.ts'
import type { Preset } from '../providers/preset.ts'
import { keepAll, oauthProvider } from '../providers/provider.ts'
import { profileBy, wantedOf } from './profile.ts'
import {
  authorityOf,
  type Config,
  configOf,
  type ProviderRow,
  placeOf,
  secretPurpose,
} from './record.ts'

/** GoTrue's rule for identifiers. */
export const isIdentifier = (name: string): boolean =>
  /^custom:[a-z0-9](?:[a-z0-9:-]{0,41}[a-z0-9])?$/.test(name)

/** Where sign-ins find the stored providers. */
export const providerStore = (reach: Reach, cache: Documents): ProviderStore => ({
  has: isIdentifier,
  select: (scope, name) =>
    scope.db
      .prepare(`SELECT * FROM leanto_auth_custom_providers WHERE identifier = ${name.sql}`)
      .bind(...name.values),
  isOpen: (name) =>
    condition(
      'EXISTS (SELECT 1 FROM leanto_auth_custom_providers WHERE identifier = ? AND enabled = 1)',
      name,
    ),
  keep: keepAll,
  async read(scope, name, read): Promise<OAuthProvider> {
    const row = read as ProviderRow | null | undefined
    if (!row) refuseProvider(name)
    if (row.enabled !== 1)
      throw oauthFaults.provider_disabled({ message: `Provider${named(name)} is disabled` })
    const secret = await open(scope, secretPurpose(row.id), row.secret)
    if (secret === null)
      throw coreFaults.misconfigured({
        message: `The client_secret of${named(name)} was sealed under another secret: set it again`,
      })
    const config = configOf(row)
    const preset =
      row.provider_type === 'oidc'
        ? openidPreset(row.identifier, config, reach, cache)
        : oauthPreset(row.identifier, config)
    const made = oauthProvider(
      preset,
      {
        clientId: config.client_id,
        secret,
        audiences: config.acceptable_client_ids,
        emailOptional: config.email_optional,
        unsafeSkipNonce: config.skip_nonce_check,
      },
      reach,
      cache,
    )
    return {
      ...made,
      isOpen: condition(
        `EXISTS (SELECT 1 FROM leanto_auth_custom_providers
           WHERE identifier = ? AND revision = ? AND enabled = 1)`,
        name,
        row.revision,
      ),
    }
  },
})

const openidPreset = (name: string, config: Config, reach: Reach, cache: Documents): Preset => ({
  name,
  server: async (scope: Scope) => {
    const allow = (url: string) => reach.allow(scope, url)
    const found = await cache.read(scope, allow(placeOf(config)))
    return serverIn(found, config.issuer ?? '', allow)
  },
  scopes: config.scopes,
  pkce: config.pkce_enabled,
  parameters: config.authorization_params,
  openid: {
    isIssuer: (claimed) => claimed === config.issuer,
    profile: (claims) => profileBy('oidc', config, claims),
  },
  profile: async (source) =>
    profileBy('oidc', config, await openidClaims(name, source, wantedOf(config))),
})

const oauthPreset = (name: string, config: Config): Preset => ({
  name,
  server: {
    issuer: config.issuer ?? authorityOf(config),
    authorize: config.authorization_url ?? '',
    token: config.token_url ?? '',
  },
  scopes: config.scopes,
  pkce: config.pkce_enabled,
  parameters: config.authorization_params,
  auth: 'basic',
  profile: async ({ get }) => profileBy('oauth2', config, await get(config.userinfo_url ?? '')),
})
