import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, part, profileOf, text } from './preset.ts'
import { provider } from './provider.ts'

const accounts = 'https://accounts.snapchat.com/accounts/oauth2'
const api = 'https://kit.snapchat.com'
const rights = 'https://auth.snapchat.com/oauth2/api'
const query = '{me { externalId displayName bitmoji { avatar id } } }'

/**
 * Snapchat (OAuth 2.0). Gives no address: people sign up without one.
 *
 * Source: https://developers.snap.com/snap-kit/login-kit/overview
 */
export const snapchat = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'snapchat',
      server: { issuer: api, authorize: `${accounts}/auth`, token: `${accounts}/token` },
      scopes: ['user.external_id', 'user.display_name', 'user.bitmoji.avatar'].map(
        (right) => `${rights}/${right}`,
      ),
      auth: 'basic',
      emailOptional: true,
      async profile({ get }) {
        const answer = await get(`${api}/v1/me?query=${encodeURIComponent(query)}`)
        const user = part(part(answer, 'data'), 'me')
        return profileOf({
          issuer: api,
          subject: id(user.externalId),
          name: text(user.displayName),
          picture: text(part(user, 'bitmoji').avatar),
        })
      },
    },
    options,
  )
