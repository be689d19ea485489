import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, profileOf, type TrustOptions, text } from './preset.ts'
import { provider } from './provider.ts'

const api = 'https://api.figma.com/v1'

/**
 * Figma (OAuth 2.0). Does not say whether an address is verified, so it counts as not, and people sign up without one
 * unless `unsafeTrustEmails`.
 *
 * Source: https://developers.figma.com/docs/rest-api/authentication/
 */
export const figma = <Env>(options: ProviderOptions<Env> & TrustOptions): AuthPart => {
  const verified = options.unsafeTrustEmails ?? false
  return provider<Env>(
    {
      name: 'figma',
      server: {
        issuer: api,
        authorize: 'https://www.figma.com/oauth',
        token: `${api}/oauth/token`,
      },
      scopes: ['current_user:read'],
      auth: 'basic',
      emailOptional: !verified,
      async profile({ get }) {
        const user = await get(`${api}/me`)
        return profileOf({
          issuer: api,
          subject: id(user.id),
          email: text(user.email),
          verified,
          name: text(user.handle),
          picture: text(user.img_url),
        })
      },
    },
    options,
  )
}
