import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, part, profileOf, text } from './preset.ts'
import { provider } from './provider.ts'

const accounts = 'https://accounts.spotify.com'
const api = 'https://api.spotify.com/v1'

/**
 * Spotify (OAuth 2.0). "This email address is unverified; there is no proof that it actually belongs to the user": people
 * sign up without one.
 *
 * Source: https://developer.spotify.com/documentation/web-api/reference/get-current-users-profile
 */
export const spotify = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'spotify',
      server: {
        issuer: api,
        authorize: `${accounts}/authorize`,
        token: `${accounts}/api/token`,
      },
      scopes: ['user-read-email'],
      auth: 'basic',
      emailOptional: true,
      async profile({ get }) {
        const user = await get(`${api}/me`)
        return profileOf({
          issuer: api,
          subject: id(user.id),
          email: text(user.email),
          verified: false,
          name: text(user.display_name),
          picture: text(part(part(user, 'images'), '0').url),
        })
      },
    },
    options,
  )
