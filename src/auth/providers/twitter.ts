import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, part, profileOf, text } from './preset.ts'
import { provider } from './provider.ts'

const api = 'https://api.x.com'

/**
 * X, once Twitter, by its OAuth 2.0 (GoTrue's `twitter` is the old OAuth 1.0a; account ids are the same). Only a
 * confirmed address is given, and only to apps that may ask for it.
 *
 * Source: https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code
 */
export const twitter = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'twitter',
      server: {
        issuer: api,
        authorize: 'https://x.com/i/oauth2/authorize',
        token: `${api}/2/oauth2/token`,
      },
      scopes: ['users.read', 'users.email', 'tweet.read'],
      auth: 'basic',
      emailOptional: true,
      async profile({ get }) {
        const answer = await get(`${api}/2/users/me?user.fields=confirmed_email,profile_image_url`)
        const user = part(answer, 'data')
        return profileOf({
          issuer: api,
          subject: id(user.id),
          email: text(user.confirmed_email),
          verified: true,
          name: text(user.name),
          picture: text(user.profile_image_url),
          username: text(user.username),
        })
      },
    },
    options,
  )
