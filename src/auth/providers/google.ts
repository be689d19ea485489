import type { AuthPart } from '../part.ts'
import { openidProfile, type ProviderOptions, text } from './preset.ts'
import { provider } from './provider.ts'

/** Tokens of older Android SDKs name the issuer without its scheme. */
const issuers = ['https://accounts.google.com', 'accounts.google.com']

/**
 * Google (OpenID Connect). An address is verified if Google says so; `custom_claims.hd` is the Workspace domain.
 * `queryParams: { access_type: 'offline', prompt: 'consent' }` brings a refresh token.
 *
 * Source: https://developers.google.com/identity/openid-connect/openid-connect
 */
export const google = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'google',
      server: {
        issuer: 'https://accounts.google.com',
        authorize: 'https://accounts.google.com/o/oauth2/v2/auth',
        token: 'https://oauth2.googleapis.com/token',
        jwks: 'https://www.googleapis.com/oauth2/v3/certs',
      },
      scopes: ['openid', 'email', 'profile'],
      openid: {
        isIssuer: (issuer) => issuers.includes(issuer),
        profile(claims) {
          const { data, ...profile } = openidProfile(claims)
          const hd = text(claims.hd)
          return { ...profile, data: hd ? { ...data, custom_claims: { hd } } : data }
        },
      },
    },
    options,
  )
