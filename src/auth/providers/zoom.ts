import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, profileOf, text } from './preset.ts'
import { provider } from './provider.ts'

const oauth = 'https://zoom.us/oauth'
const api = 'https://api.zoom.us/v2'

/**
 * Zoom (OAuth 2.0). An address is verified if `verified` is 1, whatever the login type: a company's own sign-on may put
 * any address there.
 *
 * Source: https://developers.zoom.us/docs/integrations/oauth/
 */
export const zoom = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'zoom',
      server: { issuer: api, authorize: `${oauth}/authorize`, token: `${oauth}/token` },
      scopes: [],
      auth: 'basic',
      async profile({ get }) {
        const user = await get(`${api}/users/me`)
        const names = [text(user.first_name), text(user.last_name)].filter(Boolean)
        return profileOf({
          issuer: api,
          subject: id(user.id),
          email: text(user.email),
          verified: user.verified === 1,
          name: text(names.join(' ')),
          picture: text(user.pic_url),
        })
      },
    },
    options,
  )
