import type { Route } from '../core/routes.ts'
import { algorithm } from './keys.ts'
import type { Doors } from './part.ts'
import type { Settings } from './settings.ts'

type Handler = Route[2]

const published = (body: unknown) =>
  Response.json(body, { status: 200, headers: { 'cache-control': 'public, max-age=600' } })

/** What clients ask to know which ways in there are. */
export const settingsBody = (settings: Settings) => ({
  external: {
    anonymous_users: settings.anonymous,
    email: true,
    phone: settings.sms !== undefined,
    ...Object.fromEntries(
      settings.parts.flatMap(({ provider }) => (provider ? [[provider.name, true]] : [])),
    ),
  },
  disable_signup: !settings.signUp,
  mailer_autoconfirm: settings.autoconfirm,
  phone_autoconfirm: false,
  sms_provider: '',
  saml_enabled: false,
})

export const health = {
  name: 'leanto auth',
  description: 'Sign-in in your own Worker; speaks GoTrue',
}

export const jwks =
  ({ settings }: Doors): Handler =>
  async (scope) =>
    published({ keys: await settings.keys.published(scope) })

/** OpenID Connect Discovery 1.0 and RFC 8414, as far as there is something to find. */
export const discovery =
  ({ settings }: Doors): Handler =>
  (scope) => {
    const issuer = settings.issuer(scope)
    return published({
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/user`,
      response_types_supported: [],
      grant_types_supported: [
        ...['password', 'refresh_token', 'pkce'],
        ...settings.parts.flatMap(({ grants = {} }) => Object.keys(grants)),
      ],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [algorithm],
      ...Object.assign({}, ...settings.parts.map(({ metadata }) => metadata?.(issuer))),
    })
  }
