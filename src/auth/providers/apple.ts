import { importPKCS8, SignJWT } from 'jose'
import { ClientSecretPost } from 'oauth4webapi'
import type { AuthPart } from '../part.ts'
import { type FromEnv, type ProviderOptions, profileOf, text, yes } from './preset.ts'
import { provider, setting } from './provider.ts'

const issuer = 'https://appleid.apple.com'
/** Seconds that a client secret lives; it is made for each exchange. */
const lifetime = 300

export interface AppleOptions<Env> extends Omit<ProviderOptions<Env>, 'secret'> {
  /** The Services ID. The bundle ids of your apps go into `audiences`. */
  clientId: FromEnv<Env>
  /** Of the developer team, 10 characters. */
  teamId: FromEnv<Env>
  /** Of the private key, 10 characters. */
  keyId: FromEnv<Env>
  /** The downloaded `.p8` file's text, PKCS #8 in PEM. */
  privateKey: FromEnv<Env>
}

/**
 * Sign in with Apple. The answer is a POST, because only so Apple gives the name, once; what stands in that form beside
 * the code is the browser's word, so nothing but the name is taken from it. Addresses come from the ID token. Apple's
 * documentation has no word on PKCE, but its token endpoint refuses a code whose request had a challenge without the verifier.
 *
 * Source: https://developer.apple.com/documentation/signinwithapplerestapi, and of PKCE
 * https://github.com/a-tokyo/apple-signin-auth/issues/180
 */
export const apple = <Env>(options: AppleOptions<Env>): AuthPart => {
  const { teamId, keyId, privateKey, ...rest } = options
  for (const [name, value] of Object.entries({ teamId, keyId, privateKey }))
    if (!value) throw new TypeError(`apple: \`${name}\` must be a string or a function of env`)
  return provider<Env>(
    {
      name: 'apple',
      server: {
        issuer,
        authorize: `${issuer}/auth/authorize`,
        token: `${issuer}/auth/token`,
        jwks: `${issuer}/auth/keys`,
      },
      scopes: ['name', 'email'],
      parameters: { response_mode: 'form_post' },
      formPost: true,
      async auth(scope, { id }) {
        const key = setting(scope, 'apple: `privateKey`', privateKey)
        const now = Math.floor(scope.now() / 1000)
        const secret = await new SignJWT({ sub: id })
          .setProtectedHeader({ alg: 'ES256', kid: setting(scope, 'apple: `keyId`', keyId) })
          .setIssuer(setting(scope, 'apple: `teamId`', teamId))
          .setAudience(issuer)
          .setIssuedAt(now)
          .setExpirationTime(now + lifetime)
          // A variable of the environment often holds its line ends escaped.
          .sign(await importPKCS8(key.replaceAll('\\n', '\n'), 'ES256'))
        return ClientSecretPost(secret)
      },
      openid: {
        profile: (claims) =>
          profileOf({
            issuer: claims.iss,
            subject: claims.sub,
            email: text(claims.email),
            verified: yes(claims.email_verified),
            custom:
              claims.is_private_email === undefined
                ? undefined
                : { is_private_email: yes(claims.is_private_email) },
          }),
      },
      profile({ claims, parameters }) {
        if (!claims) throw new Error('leanto: apple answered no ID token')
        const { subject, emails, data } = profileOf({
          issuer: claims.iss,
          subject: claims.sub,
          email: text(claims.email),
          verified: yes(claims.email_verified),
          name: nameOf(parameters.get('user')),
          custom: { is_private_email: yes(claims.is_private_email) },
        })
        return { subject, emails, data }
      },
    },
    // The secret is made of the private key instead.
    { ...rest, secret: 'unused' },
  )
}

/** The name in the form's `user`, which Apple sends the first time only. */
function nameOf(user: string | null): string | undefined {
  try {
    const { name } = JSON.parse(user ?? '{}')
    return text([text(name?.firstName), text(name?.lastName)].filter(Boolean).join(' '))
  } catch {
    return undefined
  }
}
