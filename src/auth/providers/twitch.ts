import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, part, profileOf, text } from './preset.ts'
import { provider } from './provider.ts'

const oauth = 'https://id.twitch.tv/oauth2'
const api = 'https://api.twitch.tv'

/**
 * Twitch (OAuth 2.0). `email` is "the user's verified email address". Token answers list `scope`, where RFC 6749 has a
 * text, and the API wants the client's id beside the token. "PKCE is not supported by Twitch".
 *
 * Source: https://dev.twitch.tv/docs/api/reference/#get-users, https://github.com/twitchdev/issues/issues/1097
 */
export const twitch = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'twitch',
      server: { issuer: api, authorize: `${oauth}/authorize`, token: `${oauth}/token` },
      scopes: ['user:read:email'],
      pkce: false,
      conform: ({ scope, ...answer }) => ({
        ...answer,
        ...(Array.isArray(scope) ? { scope: scope.join(' ') } : {}),
      }),
      async profile({ get, client }) {
        const answer = await get(`${api}/helix/users`, { 'client-id': client.id })
        const user = part(part(answer, 'data'), '0')
        return profileOf({
          issuer: api,
          subject: id(user.id),
          email: text(user.email),
          verified: true,
          name: text(user.display_name) ?? text(user.login),
          picture: text(user.profile_image_url),
          username: text(user.login),
        })
      },
    },
    options,
  )
