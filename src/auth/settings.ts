import { coreFaults } from '../core/fault.ts'
import type { Limit } from '../core/limit.ts'
import type { Mailer } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { type Keys, makeKeys } from './keys.ts'
import type { PasswordFormat } from './password.ts'
import type { User } from './wire.ts'

type Awaitable<T> = T | Promise<T>

/** What someone signs up with. */
export interface SignUpRequest {
  /** Normalised. */
  email: string
  /** Becomes `user_metadata`. */
  data: Readonly<Record<string, unknown>>
}

export interface AuthOptions<Env> {
  /** The app's public origin, such as `https://notes.dev`. Requests' own host names are never used in its place. */
  site: string | ((env: Env) => string)
  /** Where the host mounts `routes`. Issuer of tokens is `site` and this. @default '/auth/v1' */
  path?: string
  /** Sends security notices. Without it none are sent. */
  mailer?: Mailer
  password?: {
    /** In characters. @default 8 (the least that is allowed; 15 is what NIST advises) */
    minLength?: number
    /** Other formats that the users table may hold, as after an import; each becomes argon2id at sign-in. */
    formats?: readonly PasswordFormat[]
  }
  accessToken?: {
    /** In seconds; also how long a token of an ended session is still taken by other modules. @default 3600 */
    lifetime?: number
  }
  refreshToken?: {
    /** Seconds in which a used token answers its one child again, for parallel tabs. @default 10 */
    grace?: number
    /** Seconds after the last refresh at which a session ends. @default 7776000 (90 days) */
    idle?: number
    /** Seconds after sign-in at which a session ends; `null` for never. @default null */
    absolute?: number | null
  }
  /** Budgets; `false` lifts one. Those of a network do not hold in local development. */
  limits?: {
    /** Wrong passwords for one address from one network. @default { max: 10, seconds: 300 } */
    guesses?: Limit | false
    /** Wrong passwords from one network. @default { max: 30, seconds: 300 } */
    signIns?: Limit | false
    /** Sign-ups from one network. @default { max: 30, seconds: 300 } */
    signUps?: Limit | false
  }
  /** Whether anyone may sign up. @default true */
  signUp?: boolean
  before?: {
    /** Runs before a user is made; throws a `Fault` to refuse. */
    signUp?: (scope: Scope<Env>, request: SignUpRequest) => Awaitable<void>
  }
  after?: {
    /** Runs once the user is stored, after the response. */
    signUp?: (scope: Scope<Env>, user: User) => Awaitable<void>
  }
}

/** The options, checked and filled in; what the verbs work by. */
export interface Settings {
  readonly issuer: (scope: Scope) => string
  readonly keys: Keys
  readonly mailer: Mailer | undefined
  readonly password: { readonly minLength: number; readonly formats: readonly PasswordFormat[] }
  /** In seconds. */
  readonly lifetime: number
  /** In milliseconds. */
  readonly refresh: {
    readonly grace: number
    readonly idle: number
    readonly absolute: number | null
  }
  readonly limits: Readonly<Record<'guesses' | 'signIns' | 'signUps', Limit | false>>
  readonly signUp: boolean
  readonly beforeSignUp: (scope: Scope, request: SignUpRequest) => Awaitable<void>
  readonly afterSignUp: ((scope: Scope, user: User) => Awaitable<void>) | undefined
}

const wrong = (option: string, fix: string) => new TypeError(`auth: \`${option}\` ${fix}`)

function whole(option: string, value: unknown, least: number, most = Number.MAX_SAFE_INTEGER) {
  if (Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most)
    return Number(value)
  throw wrong(option, `must be a whole number from ${least} to ${most}`)
}

function limit(option: string, value: Limit | false): Limit | false {
  if (value === false) return false
  return {
    max: whole(`limits.${option}.max`, value?.max, 1),
    seconds: whole(`limits.${option}.seconds`, value?.seconds, 1),
  }
}

const isOrigin = (site: unknown): site is string =>
  typeof site === 'string' && /^https?:/.test(site) && URL.parse(site)?.origin === site

/** @throws {TypeError} that names the option and the fix. */
export function settingsOf<Env>(options: AuthOptions<Env>): Settings {
  const { site, path = '/auth/v1', mailer, signUp = true } = options ?? {}
  if (typeof site !== 'function' && !isOrigin(site))
    throw wrong('site', 'must be the public origin, such as https://notes.dev, without a path')
  if (!/^(\/[\w.~-]+)+$/.test(path))
    throw wrong('path', 'must be where routes are mounted, such as /auth/v1, without a slash after')
  if (mailer !== undefined && typeof mailer?.send !== 'function')
    throw wrong('mailer', 'must have a `send` function, as email(base, …) has')
  if (typeof signUp !== 'boolean') throw wrong('signUp', 'must be true or false')
  const { minLength = 8, formats = [] } = options.password ?? {}
  const { grace = 10, idle = 90 * 86_400, absolute = null } = options.refreshToken ?? {}
  const { guesses, signIns, signUps } = options.limits ?? {}
  const lifetime = whole('accessToken.lifetime', options.accessToken?.lifetime ?? 3600, 60, 86_400)

  return Object.freeze({
    issuer(scope: Scope) {
      const origin = typeof site === 'function' ? site(scope.env as Env) : site
      if (isOrigin(origin)) return origin + path
      throw coreFaults.misconfigured({ message: 'auth: `site` must answer the public origin' })
    },
    keys: makeKeys(lifetime),
    mailer,
    password: { minLength: whole('password.minLength', minLength, 8, 128), formats },
    lifetime,
    refresh: {
      grace: whole('refreshToken.grace', grace, 0, 60) * 1000,
      // A session must not end under an access token that is still good.
      idle: whole('refreshToken.idle', idle, lifetime) * 1000,
      absolute:
        absolute === null ? null : whole('refreshToken.absolute', absolute, lifetime) * 1000,
    },
    limits: {
      guesses: limit('guesses', guesses ?? { max: 10, seconds: 300 }),
      signIns: limit('signIns', signIns ?? { max: 30, seconds: 300 }),
      signUps: limit('signUps', signUps ?? { max: 30, seconds: 300 }),
    },
    signUp,
    beforeSignUp: (scope: Scope, request: SignUpRequest) =>
      options.before?.signUp?.(scope as Scope<Env>, request),
    afterSignUp: options.after?.signUp as Settings['afterSignUp'],
  })
}
