import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, profileOf, text, yes } from './preset.ts'
import { provider } from './provider.ts'

const api = 'https://discord.com/api'

/**
 * Discord (OAuth 2.0). `verified` is about the address.
 *
 * Source: https://discord.com/developers/docs/topics/oauth2
 */
export const discord = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'discord',
      server: {
        issuer: api,
        authorize: `${api}/oauth2/authorize`,
        token: `${api}/oauth2/token`,
      },
      scopes: ['email', 'identify'],
      async profile({ get }) {
        const user = await get(`${api}/users/@me`)
        const avatar = text(user.avatar)
        const subject = id(user.id)
        return profileOf({
          issuer: api,
          subject,
          email: text(user.email),
          verified: yes(user.verified),
          name: text(user.global_name) ?? text(user.username),
          picture: avatar
            ? `https://cdn.discordapp.com/avatars/${subject}/${avatar}.${avatar.startsWith('a_') ? 'gif' : 'png'}`
            : undefined,
          username: text(user.username),
          custom: { global_name: text(user.global_name) ?? '' },
        })
      },
    },
    options,
  )
