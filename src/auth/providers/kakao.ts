import type { AuthPart } from '../part.ts'
import { id, type ProviderOptions, part, profileOf, text, yes } from './preset.ts'
import { provider } from './provider.ts'

const auth = 'https://kauth.kakao.com'
const api = 'https://kapi.kakao.com'

/**
 * Kakao (OAuth 2.0; ID tokens of its phone SDKs). An address is verified if it is both valid, that is not given to another
 * account since, and verified; an ID token says neither.
 *
 * Source: https://developers.kakao.com/docs/latest/en/kakaologin/rest-api, and of PKCE, which is not named there, Kakao's
 * own SDK: https://github.com/kakao/kakao-ios-sdk (AuthApi.swift)
 */
export const kakao = <Env>(options: ProviderOptions<Env>): AuthPart =>
  provider(
    {
      name: 'kakao',
      server: {
        issuer: auth,
        authorize: `${auth}/oauth/authorize`,
        token: `${auth}/oauth/token`,
        jwks: `${auth}/.well-known/jwks.json`,
      },
      scopes: ['account_email', 'profile_image', 'profile_nickname'],
      openid: {
        nonce: false,
        required: false,
        profile: (claims) =>
          profileOf({
            issuer: claims.iss,
            subject: claims.sub,
            email: text(claims.email),
            verified: false,
            name: text(claims.nickname),
            picture: text(claims.picture),
          }),
      },
      async profile({ get }) {
        const user = await get(`${api}/v2/user/me`)
        const account = part(user, 'kakao_account')
        const shown = part(account, 'profile')
        return profileOf({
          issuer: auth,
          subject: id(user.id),
          email: text(account.email),
          verified: yes(account.is_email_valid) && yes(account.is_email_verified),
          name: text(shown.nickname),
          picture: text(shown.profile_image_url),
          username: text(shown.nickname),
        })
      },
    },
    options,
  )
