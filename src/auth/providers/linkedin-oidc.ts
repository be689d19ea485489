import type { AuthPart } from '../part.ts'
import { openidProfile, type ProviderOptions } from './preset.ts'
import { provider } from './provider.ts'

/** The documentation and the discovery document disagree, and so do tokens. */
const issuers = ['https://www.linkedin.com', 'https://www.linkedin.com/oauth']
const oauth = 'https://www.linkedin.com/oauth'

/**
 * LinkedIn (OpenID Connect). Repeats no nonce, and refuses a verifier of PKCE from web clients as `invalid_client`: what
 * binds the answer is `state` alone.
 *
 * Source: https://learn.microsoft.com/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2, and of PKCE
 * https://github.com/UsefulSoftwareCo/executor/issues/2087
 */
export const linkedinOidc = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'linkedin_oidc',
      server: {
        issuer: oauth,
        authorize: `${oauth}/v2/authorization`,
        token: `${oauth}/v2/accessToken`,
        jwks: `${oauth}/openid/jwks`,
      },
      scopes: ['openid', 'profile', 'email'],
      pkce: false,
      openid: {
        nonce: false,
        isIssuer: (issuer) => issuers.includes(issuer),
        profile: openidProfile,
      },
    },
    options,
  )
