import type { AuthPart } from '../part.ts'
import { openidProfile, type ProviderOptions, text } from './preset.ts'
import { provider } from './provider.ts'

const team = 'https://slack.com/team_id'

/**
 * Sign in with Slack (OpenID Connect). `custom_claims` names the workspace. PKCE is only for apps that have given up being
 * confidential, and that for good.
 *
 * Source: https://docs.slack.dev/authentication/sign-in-with-slack, https://docs.slack.dev/authentication/using-pkce
 */
export const slackOidc = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'slack_oidc',
      server: {
        issuer: 'https://slack.com',
        authorize: 'https://slack.com/openid/connect/authorize',
        token: 'https://slack.com/api/openid.connect.token',
        jwks: 'https://slack.com/openid/connect/keys',
      },
      scopes: ['openid', 'profile', 'email'],
      pkce: false,
      openid: {
        profile(claims) {
          const { data, ...profile } = openidProfile(claims)
          return { ...profile, data: { ...data, custom_claims: { [team]: text(claims[team]) } } }
        },
      },
    },
    options,
  )
