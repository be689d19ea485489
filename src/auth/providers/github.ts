import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, profileOf, text, yes } from './preset.ts'
import { provider } from './provider.ts'

const api = 'https://api.github.com'
const headers = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' }

/**
 * GitHub (OAuth 2.0). The profile's own address is what the person chose to show: only the list of `/user/emails` counts,
 * with its word on what is verified.
 *
 * Source: https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
 */
export const github = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'github',
      server: {
        issuer: api,
        authorize: 'https://github.com/login/oauth/authorize',
        token: 'https://github.com/login/oauth/access_token',
      },
      scopes: ['user:email'],
      async profile({ get }) {
        const user = await get(`${api}/user`, headers)
        const listed = await get(`${api}/user/emails`, headers)
        return profileOf({
          issuer: api,
          subject: id(user.id),
          emails: (Array.isArray(listed) ? listed : []).map((entry) => ({
            email: text(entry?.email) ?? '',
            verified: yes(entry?.verified),
            primary: yes(entry?.primary),
          })),
          name: text(user.name) ?? text(user.login),
          picture: text(user.avatar_url),
          username: text(user.login),
        })
      },
    },
    options,
  )
