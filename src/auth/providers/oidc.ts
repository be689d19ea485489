import type { Scope } from '../../core/scope.ts'
import { checkUrl } from '../outbound.ts'
import type { AuthPart } from '../part.ts'
import { documents } from './cache.ts'
import { openidClaims, serverIn } from './discovery.ts'
import { openidProfile, type ProviderOptions, type Server } from './preset.ts'
import { provider } from './provider.ts'
import { siteOf } from './site.ts'

export interface OidcOptions<Env> extends ProviderOptions<Env> {
  /** What clients call it, such as `custom:acme`. Part of the identity's key: once used, keep it. */
  name: string
  /** As the discovery document has it, to the letter. Whoever runs it is trusted with `email_verified`. */
  issuer: string
  /** How the token endpoint is shown the secret. @default 'basic' */
  auth?: 'basic' | 'post'
}

/**
 * Any OpenID Connect issuer that has a discovery document. Profile and address come from the ID token, or
 * from the userinfo endpoint if the token has no address.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export const oidc = <Env>(options: OidcOptions<Env>): AuthPart => {
  const { name, issuer, auth = 'basic' } = options
  if (!/^[a-z][a-z\d_:.-]{0,63}$/.test(name) || ['email', 'phone', 'sso', 'web3'].includes(name))
    throw new TypeError('oidc: `name` must be lower case, such as custom:acme')
  const place = `${siteOf('oidc', issuer)}/.well-known/openid-configuration`
  const cache = documents()

  const discover = async (scope: Scope): Promise<Server> =>
    serverIn(await cache.read(scope, checkUrl(scope, place)), issuer, (url) => checkUrl(scope, url))

  return provider(
    {
      name,
      server: discover,
      scopes: ['openid', 'profile', 'email'],
      auth,
      openid: { isIssuer: (claimed) => claimed === issuer, profile: openidProfile },
      profile: async (source) => openidProfile(await openidClaims(name, source)),
    },
    options,
  )
}
