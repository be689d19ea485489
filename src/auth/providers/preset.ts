import type { ClientAuth } from 'oauth4webapi'
import type { Scope } from '../../core/scope.ts'
import type { Profile } from '../oauth/provider.ts'
import type { Metadata } from '../wire.ts'
import type { IdClaims } from './id-token.ts'

/** A value, or the function of `env` that finds it. */
export type FromEnv<Env> = string | ((env: Env) => string)

/** What every provider takes. */
export interface ProviderOptions<Env> {
  /** As registered at the provider, with `<site>/auth/v1/callback` as its redirect URI. */
  clientId: FromEnv<Env>
  secret: FromEnv<Env>
  /** Asked for besides what signing in needs. @default [] */
  scopes?: readonly string[]
  /** Other client ids whose ID tokens are taken, such as those of your phone apps. @default [] */
  audiences?: readonly string[]
  /** Lets people sign up whose address is missing or not verified; they get no address. @default see each provider */
  emailOptional?: boolean
  /**
   * Takes ID tokens whose nonce the client does not show, as some phone SDKs make them. A stolen token may then be used
   * by the thief until it expires.
   * @default false
   */
  unsafeSkipNonce?: boolean
}

/** Of providers that hand out addresses without a word on whether they are verified. */
export interface TrustOptions {
  /**
   * Takes the provider's addresses as verified, as GoTrue does: whoever can put someone else's address into an account
   * there can then sign in as that person here.
   * @default false
   */
  unsafeTrustEmails?: boolean
}

/** Where a provider answers. */
export interface Server {
  /** Also what `iss` of the callback must be, if it is there (RFC 9207). */
  readonly issuer: string
  readonly authorize: string
  readonly token: string
  readonly jwks?: string
  readonly userinfo?: string
  /** Whether `iss` must be there. @default false */
  readonly sendsIssuer?: boolean
  /** How it wants to be shown the secret, where the preset does not say. */
  readonly auth?: 'post' | 'basic'
}

export interface Client {
  readonly id: string
  readonly secret: string
}

/** What a preset makes a profile of. */
export interface Source {
  readonly client: Client
  readonly server: Server
  readonly accessToken: string
  /** The token endpoint's answer. */
  readonly tokens: Readonly<Record<string, unknown>>
  /** The callback's parameters. What they say of the person is the browser's word, not the provider's. */
  readonly parameters: URLSearchParams
  /** The verified ID token's claims, if the preset expects one. */
  readonly claims: IdClaims | undefined
  /** Asks the provider's API with the access token. */
  readonly get: (
    url: string,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Record<string, unknown>>
}

/** What is particular about a provider. */
export interface Preset {
  readonly name: string
  readonly server: Server | ((scope: Scope) => Promise<Server>)
  readonly scopes: readonly string[]
  /** Whether it takes PKCE (RFC 7636). @default true */
  readonly pkce?: boolean
  /** How the token endpoint is shown the secret. @default what the server says, else 'post' */
  readonly auth?: 'post' | 'basic' | ((scope: Scope, client: Client) => Promise<ClientAuth>)
  /** More parameters of the authorisation URL. */
  readonly parameters?: Readonly<Record<string, string>>
  /** Other names of the client's own parameters. */
  readonly rename?: Readonly<Record<string, string>>
  readonly formPost?: boolean
  readonly emailOptional?: boolean
  /** Makes a token answer conform to RFC 6749. */
  readonly conform?: (answer: Record<string, unknown>) => Record<string, unknown>
  /** Present if the provider signs ID tokens. */
  readonly openid?: {
    /** Whether the authorisation request's `nonce` comes back. @default true */
    readonly nonce?: boolean
    /** Whether the code's exchange must bring an ID token. @default true */
    readonly required?: boolean
    readonly isIssuer?: (issuer: string, claims: Readonly<Record<string, unknown>>) => boolean
    readonly isKeyOf?: (
      key: Readonly<Record<string, unknown>>,
      claims: Readonly<Record<string, unknown>>,
    ) => boolean
    readonly profile: (claims: IdClaims) => Profile
  }
  /** @default the profile of the ID token */
  readonly profile?: (source: Source) => Promise<Profile> | Profile
}

/** A text of an answer that is not trusted to be one. */
export const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

/** An id that may come as a number. */
export const id = (value: unknown): string =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0
    ? String(value)
    : (text(value) ?? '')

/** A member of an answer, if it is an object. */
export const part = (value: unknown, name: string): Readonly<Record<string, unknown>> => {
  const inner = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  return typeof inner === 'object' && inner !== null ? inner : {}
}

/** The booleans of JWTs, which some issuers write as text. Anything else is no. */
export const yes = (value: unknown): boolean => value === true || value === 'true' || value === '1'

interface Person {
  issuer: string
  subject: string
  /** @default none */
  email?: string | undefined
  verified?: boolean
  emails?: Profile['emails']
  name?: string | undefined
  picture?: string | undefined
  username?: string | undefined
  custom?: Metadata | undefined
}

/** A profile with the names that GoTrue's clients look for. */
export function profileOf(person: Person): Profile {
  const { issuer, subject, email, verified = false, name, picture, username, custom } = person
  const data: Record<string, unknown> = {
    iss: issuer,
    sub: subject,
    provider_id: subject,
    name,
    full_name: name,
    picture,
    avatar_url: picture,
    preferred_username: username,
    user_name: username,
    custom_claims: custom,
  }
  const emails = person.emails ?? (email ? [{ email, verified, primary: true }] : [])
  return {
    subject,
    emails,
    data: Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined)),
  }
}

/** The profile of OpenID Connect's standard claims (Core 5.1). */
export const openidProfile = (claims: IdClaims): Profile =>
  profileOf({
    issuer: claims.iss,
    subject: claims.sub,
    email: text(claims.email),
    verified: yes(claims.email_verified),
    name: text(claims.name),
    picture: text(claims.picture),
    username: text(claims.preferred_username),
  })
