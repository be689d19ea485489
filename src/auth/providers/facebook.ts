import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, part, profileOf, type TrustOptions, text } from './preset.ts'
import { provider } from './provider.ts'

const site = 'https://www.facebook.com'
const graph = 'https://graph.facebook.com'

/**
 * Facebook (OAuth 2.0; ID tokens of Limited Login). Facebook does not say whether an address is verified, so it counts as
 * not, and people sign up without one unless `unsafeTrustEmails`. Calls carry `appsecret_proof`, so that a token that was
 * made for another app is refused.
 *
 * Source: https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow, and of PKCE
 * https://developers.facebook.com/docs/facebook-login/guides/advanced/oidc-token
 */
export const facebook = <Env>(options: ProviderOptions<Env> & TrustOptions): AuthPart => {
  const verified = options.unsafeTrustEmails ?? false
  return provider<Env>(
    {
      name: 'facebook',
      server: {
        issuer: site,
        authorize: `${site}/dialog/oauth`,
        token: `${graph}/oauth/access_token`,
        jwks: `${site}/.well-known/oauth/openid/jwks/`,
      },
      scopes: ['email', 'public_profile'],
      emailOptional: !verified,
      openid: {
        nonce: false,
        required: false,
        profile: (claims) =>
          profileOf({
            issuer: claims.iss,
            subject: claims.sub,
            email: text(claims.email),
            verified,
            name: text(claims.name),
            picture: text(claims.picture),
          }),
      },
      async profile({ get, client, accessToken }) {
        const url = new URL(`${graph}/me`)
        url.searchParams.set('fields', 'id,email,name,picture')
        url.searchParams.set('appsecret_proof', await proof(client.secret, accessToken))
        const user = await get(url.href)
        return profileOf({
          issuer: site,
          subject: id(user.id),
          email: text(user.email),
          verified,
          name: text(user.name),
          picture: text(part(part(user, 'picture'), 'data').url),
        })
      },
    },
    options,
  )
}

/** HMAC-SHA-256 of the access token, in hexadecimal. */
async function proof(secret: string, accessToken: string): Promise<string> {
  const encoder = new TextEncoder()
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, [
    'sign',
  ])
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', key, encoder.encode(accessToken)))
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
