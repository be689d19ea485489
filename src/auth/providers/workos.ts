import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, part, profileOf, type TrustOptions, text } from './preset.ts'
import { provider } from './provider.ts'

const api = 'https://api.workos.com'

/**
 * WorkOS (single sign-on of companies). Which one is asked is the client's `queryParams`: `connection`, `organization` or
 * `workos_provider`. A company's identity provider may claim any address, so it counts as not verified, and people sign
 * up without one unless `unsafeTrustEmails`. The token answer brings the profile. PKCE is for its user management alone.
 *
 * Source: https://workos.com/docs/reference/sso, https://github.com/workos/workos-python/issues/414
 */
export const workos = <Env>(options: ProviderOptions<Env> & TrustOptions): AuthPart => {
  const verified = options.unsafeTrustEmails ?? false
  return provider<Env>(
    {
      name: 'workos',
      server: { issuer: api, authorize: `${api}/sso/authorize`, token: `${api}/sso/token` },
      scopes: [],
      // `provider` names the provider here already.
      rename: { workos_provider: 'provider' },
      pkce: false,
      emailOptional: !verified,
      conform: (answer) => ({ token_type: 'Bearer', ...answer }),
      profile({ tokens }) {
        const user = part(tokens, 'profile')
        const names = [text(user.first_name), text(user.last_name)].filter(Boolean)
        return profileOf({
          issuer: api,
          subject: id(user.id),
          email: text(user.email),
          verified,
          name: text(names.join(' ')),
          custom: {
            connection_id: text(user.connection_id) ?? '',
            organization_id: text(user.organization_id) ?? '',
          },
        })
      },
    },
    options,
  )
}
