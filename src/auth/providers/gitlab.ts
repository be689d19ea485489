import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, profileOf, text } from './preset.ts'
import { provider } from './provider.ts'
import { siteOf } from './site.ts'

export interface GitlabOptions<Env> extends ProviderOptions<Env> {
  /** Of your own instance. Its administrators are trusted with addresses. @default 'https://gitlab.com' */
  url?: string
}

/**
 * GitLab (OAuth 2.0). The primary address is verified once GitLab has confirmed the account; its other addresses come
 * without a word on that and are left out.
 *
 * Source: https://docs.gitlab.com/api/oauth2/
 */
export const gitlab = <Env>(options: GitlabOptions<Env>): AuthPart => {
  const host = siteOf('gitlab', options.url ?? 'https://gitlab.com')
  return provider(
    {
      name: 'gitlab',
      server: {
        issuer: host,
        authorize: `${host}/oauth/authorize`,
        token: `${host}/oauth/token`,
      },
      scopes: ['read_user'],
      async profile({ get }) {
        const user = await get(`${host}/api/v4/user`)
        return profileOf({
          issuer: host,
          subject: id(user.id),
          email: text(user.email),
          verified: text(user.confirmed_at) !== undefined,
          name: text(user.name),
          picture: text(user.avatar_url),
          username: text(user.username),
        })
      },
    },
    options,
  )
}
