import type { AuthPart } from '../part.ts'
import { openidProfile, type ProviderOptions } from './preset.ts'
import { provider } from './provider.ts'
import { siteOf } from './site.ts'

export interface KeycloakOptions<Env> extends ProviderOptions<Env> {
  /** Of the realm, such as `https://id.example/realms/main`. Its administrators are trusted with addresses. */
  url: string
}

/**
 * Keycloak (OpenID Connect). An address is verified if the realm says so.
 *
 * Source: https://www.keycloak.org/securing-apps/oidc-layers
 */
export const keycloak = <Env>(options: KeycloakOptions<Env>): AuthPart => {
  const realm = siteOf('keycloak', options.url)
  const endpoints = `${realm}/protocol/openid-connect`
  return provider(
    {
      name: 'keycloak',
      server: {
        issuer: realm,
        authorize: `${endpoints}/auth`,
        token: `${endpoints}/token`,
        jwks: `${endpoints}/certs`,
      },
      scopes: ['openid', 'profile', 'email'],
      openid: { profile: openidProfile },
    },
    options,
  )
}
