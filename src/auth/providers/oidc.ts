import type { Scope } from '../../core/scope.ts'
import { checkUrl } from '../outbound.ts'
import type { AuthPart } from '../part.ts'
import { documents } from './cache.ts'
import { openidProfile, type ProviderOptions, type Server, text } from './preset.ts'
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

  const discover = async (scope: Scope): Promise<Server> => {
    const found = await cache.read(scope, checkUrl(scope, place))
    // The document must be about the issuer that was asked (OpenID Connect Discovery 4.3).
    if (found.issuer !== issuer) throw new Error('leanto: a discovery document of another issuer')
    const endpoint = (key: string) => checkUrl(scope, text(found[key]) ?? '')
    return {
      issuer,
      authorize: endpoint('authorization_endpoint'),
      token: endpoint('token_endpoint'),
      jwks: endpoint('jwks_uri'),
      ...(text(found.userinfo_endpoint) ? { userinfo: endpoint('userinfo_endpoint') } : {}),
      sendsIssuer: found.authorization_response_iss_parameter_supported === true,
    }
  }
  return provider(
    {
      name,
      server: discover,
      scopes: ['openid', 'profile', 'email'],
      auth,
      openid: { isIssuer: (claimed) => claimed === issuer, profile: openidProfile },
      async profile({ claims, server, get }) {
        if (!claims) throw new Error(`leanto: ${name} answered no ID token`)
        // What a scope asks for may be here alone (OpenID Connect Core 5.4).
        if (text(claims.email) || !server.userinfo) return openidProfile(claims)
        const info = await get(server.userinfo)
        // Core 5.3.2: else it may be about someone else.
        if (info.sub !== claims.sub) throw new Error('leanto: userinfo of someone else')
        return openidProfile({ ...info, ...claims })
      },
    },
    options,
  )
}
