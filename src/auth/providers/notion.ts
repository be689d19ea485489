import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, part, profileOf, type TrustOptions, text } from './preset.ts'
import { provider } from './provider.ts'

const api = 'https://api.notion.com'

/**
 * Notion (OAuth 2.0). Does not say whether an address is verified, so it counts as not, and people sign up without one
 * unless `unsafeTrustEmails`. Who has signed in is the owner of the bot that the token belongs to. Neither endpoint knows
 * PKCE.
 *
 * Source: https://developers.notion.com/docs/authorization
 */
export const notion = <Env>(options: ProviderOptions<Env> & TrustOptions): AuthPart => {
  const verified = options.unsafeTrustEmails ?? false
  return provider<Env>(
    {
      name: 'notion',
      server: {
        issuer: api,
        authorize: `${api}/v1/oauth/authorize`,
        token: `${api}/v1/oauth/token`,
      },
      scopes: [],
      parameters: { owner: 'user' },
      pkce: false,
      auth: 'basic',
      emailOptional: !verified,
      async profile({ get }) {
        const me = await get(`${api}/v1/users/me`, { 'notion-version': '2022-06-28' })
        const user = part(part(part(me, 'bot'), 'owner'), 'user')
        return profileOf({
          issuer: api,
          subject: id(user.id),
          email: text(part(user, 'person').email),
          verified,
          name: text(user.name),
          picture: text(user.avatar_url),
        })
      },
    },
    options,
  )
}
