import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, part, profileOf, text, yes } from './preset.ts'
import { provider } from './provider.ts'

const oauth = 'https://bitbucket.org/site/oauth2'
const api = 'https://api.bitbucket.org/2.0'

/**
 * Bitbucket Cloud (OAuth 2.0). Addresses have their own list, with a word on which are confirmed. PKCE is a wish (its Data
 * Center sister has it).
 *
 * Source: https://developer.atlassian.com/cloud/bitbucket/rest/api-group-users/,
 * https://jira.atlassian.com/browse/BCLOUD-23469
 */
export const bitbucket = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'bitbucket',
      server: { issuer: api, authorize: `${oauth}/authorize`, token: `${oauth}/access_token` },
      scopes: ['account', 'email'],
      pkce: false,
      auth: 'basic',
      async profile({ get }) {
        const user = await get(`${api}/user`)
        const { values } = await get(`${api}/user/emails`)
        return profileOf({
          issuer: api,
          subject: id(user.uuid),
          emails: (Array.isArray(values) ? values : []).map((entry) => ({
            email: text(entry?.email) ?? '',
            verified: yes(entry?.is_confirmed),
            primary: yes(entry?.is_primary),
          })),
          name: text(user.display_name),
          picture: text(part(part(user, 'links'), 'avatar').href),
          username: text(user.username),
        })
      },
    },
    options,
  )
