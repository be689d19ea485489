import { coreFaults } from '../core/fault.ts'
import type { Limit } from '../core/limit.ts'
import type { Mailer } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import { type Keys, makeKeys } from './keys.ts'
import type { MailTemplates } from './mails.ts'
import type { AuthEvent, AuthPart } from './part.ts'
import type { PasswordCheck, PasswordFormat } from './password.ts'
import { allowList } from './redirect.ts'
import {
  type Metadata,
  sessionColumns,
  toUser,
  type User,
  type UserRow,
  userColumns,
} from './wire.ts'

type Awaitable<T> = T | Promise<T>

/** What someone signs up with. */
export interface SignUpRequest {
  /** Normalised; empty if there is none. */
  email: string
  /** Normalised; only where someone signs up by phone. */
  phone?: string
  /** Becomes `user_metadata`. */
  data: Readonly<Record<string, unknown>>
}

/** A password that was tried at an account. */
export interface PasswordAttempt {
  userId: string
  /** Whether it is right. */
  valid: boolean
}

/** A text message that is ready to leave. */
export interface Sms {
  /** E.164 without the plus. */
  to: string
  text: string
}

export interface AuthOptions<Env> {
  /** The app's public origin, such as `https://notes.dev`. Requests' own host names are never used in its place. */
  site: string | ((env: Env) => string)
  /** Where the host mounts `routes`. Issuer of tokens is `site` and this. @default '/auth/v1' */
  path?: string
  /**
   * Other places than `site` to which a browser may be led back (`redirectTo`), such as `https://app.example/welcome`,
   * `https://*.app.example/**` or `myapp://login`. `*` stops at `.` and `/`, `**` does not.
   * @default []
   */
  redirects?: readonly string[]
  /** Sends links, codes and security notices. Without it nothing that needs a mailbox is there. */
  mailer?: Mailer
  /** Sends codes by text message. Without it phones are refused. */
  sms?: (scope: Scope<Env>, sms: Sms) => Awaitable<void>
  /**
   * Whether an address counts as proven as soon as someone signs up with it. Only for development, or where the
   * addresses are proven elsewhere: sign-up then tells whether an address has an account.
   * @default true without a mailer, else false
   */
  autoconfirm?: boolean
  /** Whether a guest may have an account without an address. @default false */
  anonymous?: boolean
  /** Whether a new password needs a code from `/reauthenticate` unless the session is under a day old. @default false */
  reauthentication?: boolean
  /** What links and codes are like. */
  codes?: {
    /** Digits, 6 to 10. @default 6 */
    length?: number
    /** Seconds that a link lives; a code lives as long, but at most 600. Invitations live a day. @default 3600 */
    seconds?: number
  }
  /** Replaces mails, all or some, each a function of what it says. For languages, look at its `locale`. */
  mails?: Partial<MailTemplates>
  /** Parts that are not in the base: `mfa()`, `admin()`, `google({ … })`, … */
  with?: readonly AuthPart[]
  password?: {
    /** In characters. @default 8 (the least that is allowed; 15 is what NIST advises) */
    minLength?: number
    /**
     * Whether a new password needs the one before (`current_password`), unless the session began by a mailed or texted proof.
     * @default false
     */
    requireCurrent?: boolean
    /** Other formats that the users table may hold, as after an import; each becomes argon2id at sign-in. */
    formats?: readonly PasswordFormat[]
    /** Further checks of new passwords, such as `common()` and `breached()` of `leanto/auth/passwords`. */
    checks?: readonly PasswordCheck[]
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
    /**
     * Wrong passwords for one address from everywhere (NIST SP 800-63B-4, 3.2.2). Past it the password is asked for only in
     * networks where its user is signed in already; whoever is elsewhere comes in by mail, text message or provider.
     * @default { max: 100, seconds: 3600 }
     */
    account?: Limit | false
    /** Wrong passwords from one network. @default { max: 30, seconds: 300 } */
    signIns?: Limit | false
    /** Sign-ups from one network. @default { max: 30, seconds: 300 } */
    signUps?: Limit | false
    /** Mails or text messages to one address from one network. @default { max: 5, seconds: 300 } */
    messages?: Limit | false
    /**
     * Mails or text messages to one address, whoever asks; more than one network may have sent in that time, which else could
     * keep the owner's own from leaving. @default { max: 100, seconds: 3600 }
     */
    inbox?: Limit | false
    /** All mails that one network asks for, to whomever, invitations too. @default { max: 100, seconds: 3600 } */
    mails?: Limit | false
    /** All text messages that one network asks for. @default { max: 30, seconds: 3600 } */
    texts?: Limit | false
    /** Sign-ins and links that one network begins at providers. @default { max: 100, seconds: 300 } */
    flows?: Limit | false
  }
  /** Whether anyone may sign up. @default true */
  signUp?: boolean
  before?: {
    /** Runs before a user is made; throws a `Fault` to refuse. */
    signUp?: (scope: Scope<Env>, request: SignUpRequest) => Awaitable<void>
    /**
     * Hears of each password that was tried at an account, before it counts; throws a `Fault` to refuse. What it takes in
     * time or answers differently says that there is an account.
     */
    password?: (scope: Scope<Env>, attempt: PasswordAttempt) => Awaitable<void>
    /** Adds claims to an access token; those that `auth` sets itself stay. */
    accessToken?: (scope: Scope<Env>, user: User) => Awaitable<Record<string, unknown>>
  }
  after?: {
    /** Runs once the user is stored, after the response. */
    signUp?: (scope: Scope<Env>, user: User) => Awaitable<void>
    /** Hears of whatever happens, such as `login` or `factor_verified`, after the response. */
    event?: (scope: Scope<Env>, event: AuthEvent) => Awaitable<void>
  }
}

/** The options, checked and filled in; what the verbs work by. */
export interface Settings {
  /** The app's origin. */
  readonly site: (scope: Scope) => string
  readonly issuer: (scope: Scope) => string
  /** Whether `redirects` has this URL. */
  readonly allows: (url: URL) => boolean
  readonly keys: Keys
  readonly mailer: Mailer | undefined
  readonly sms: ((scope: Scope, sms: Sms) => Awaitable<void>) | undefined
  readonly autoconfirm: boolean
  readonly anonymous: boolean
  readonly reauthentication: boolean
  /** Digits, and seconds. */
  readonly codes: { readonly length: number; readonly seconds: number }
  readonly mails: Partial<MailTemplates>
  readonly parts: readonly AuthPart[]
  /** What to select of a user `u`: a `UserRow`, and what the parts add. */
  readonly userColumns: string
  readonly sessionColumns: string
  readonly toUser: (row: UserRow) => User
  readonly password: {
    readonly minLength: number
    readonly requireCurrent: boolean
    readonly formats: readonly PasswordFormat[]
    readonly checks: readonly PasswordCheck[]
  }
  /** In seconds. */
  readonly lifetime: number
  /** In milliseconds. */
  readonly refresh: {
    readonly grace: number
    readonly idle: number
    readonly absolute: number | null
  }
  readonly limits: Readonly<
    Record<
      | 'guesses'
      | 'account'
      | 'signIns'
      | 'signUps'
      | 'messages'
      | 'inbox'
      | 'mails'
      | 'texts'
      | 'flows',
      Limit | false
    >
  >
  readonly signUp: boolean
  readonly beforeSignUp: (scope: Scope, request: SignUpRequest) => Awaitable<void>
  readonly beforePassword: (scope: Scope, attempt: PasswordAttempt) => Awaitable<void>
  readonly afterEvent: ((scope: Scope, event: AuthEvent) => Awaitable<void>) | undefined
  readonly afterSignUp: ((scope: Scope, user: User) => Awaitable<void>) | undefined
  readonly claims: (scope: Scope, user: User) => Awaitable<Metadata>
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

function partsOf(parts: readonly AuthPart[]): readonly AuthPart[] {
  const names = parts.map((part) => part?.name)
  if (names.some((name) => typeof name !== 'string'))
    throw wrong('with', 'must list parts, such as mfa()')
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice) throw wrong('with', `lists ${twice} twice`)
  return Object.freeze([...parts])
}

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
  for (const name of ['autoconfirm', 'anonymous', 'reauthentication'] as const)
    if (options[name] !== undefined && typeof options[name] !== 'boolean')
      throw wrong(name, 'must be true or false')
  if (options.sms !== undefined && typeof options.sms !== 'function')
    throw wrong('sms', 'must be a function that sends { to, text }')
  const autoconfirm = options.autoconfirm ?? mailer === undefined
  if (!autoconfirm && !mailer)
    throw wrong('autoconfirm', 'can be false only with a `mailer` that sends the confirmations')
  if (options.reauthentication && !mailer && !options.sms)
    throw wrong('reauthentication', 'needs a `mailer` or `sms` that sends the codes')
  const parts = partsOf(options.with ?? [])
  const {
    minLength = 8,
    requireCurrent = false,
    formats = [],
    checks = [],
  } = options.password ?? {}
  if (typeof requireCurrent !== 'boolean')
    throw wrong('password.requireCurrent', 'must be true or false')
  const { grace = 10, idle = 90 * 86_400, absolute = null } = options.refreshToken ?? {}
  const { guesses, account, signIns, signUps, messages, inbox, mails, texts, flows } =
    options.limits ?? {}
  const lifetime = whole('accessToken.lifetime', options.accessToken?.lifetime ?? 3600, 60, 86_400)

  const origin = (scope: Scope): string => {
    const answered = typeof site === 'function' ? site(scope.env as Env) : site
    if (isOrigin(answered)) return answered
    throw coreFaults.misconfigured({ message: 'auth: `site` must answer the public origin' })
  }

  return Object.freeze({
    site: origin,
    issuer: (scope: Scope) => origin(scope) + path,
    allows: allowList(options.redirects ?? []),
    keys: makeKeys(lifetime),
    mailer,
    sms: options.sms as Settings['sms'],
    autoconfirm,
    anonymous: options.anonymous ?? false,
    reauthentication: options.reauthentication ?? false,
    codes: {
      length: whole('codes.length', options.codes?.length ?? 6, 6, 10),
      seconds: whole('codes.seconds', options.codes?.seconds ?? 3600, 60, 86_400),
    },
    mails: options.mails ?? {},
    parts,
    userColumns: [userColumns, ...parts.flatMap(({ columns }) => columns ?? [])].join(', '),
    sessionColumns: [
      sessionColumns,
      's.tag',
      ...parts.flatMap((part) => part.sessionColumns ?? []),
    ].join(', '),
    toUser: (row: UserRow) =>
      parts.reduce((user, { show }) => show?.(row as never, user) ?? user, toUser(row)),
    password: {
      minLength: whole('password.minLength', minLength, 8, 128),
      ...{ requireCurrent, formats, checks },
    },
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
      account: limit('account', account ?? { max: 100, seconds: 3600 }),
      signIns: limit('signIns', signIns ?? { max: 30, seconds: 300 }),
      signUps: limit('signUps', signUps ?? { max: 30, seconds: 300 }),
      messages: limit('messages', messages ?? { max: 5, seconds: 300 }),
      inbox: limit('inbox', inbox ?? { max: 100, seconds: 3600 }),
      mails: limit('mails', mails ?? { max: 100, seconds: 3600 }),
      texts: limit('texts', texts ?? { max: 30, seconds: 3600 }),
      flows: limit('flows', flows ?? { max: 100, seconds: 300 }),
    },
    signUp,
    beforeSignUp: (scope: Scope, request: SignUpRequest) =>
      options.before?.signUp?.(scope as Scope<Env>, request),
    beforePassword: (scope: Scope, attempt: PasswordAttempt) =>
      options.before?.password?.(scope as Scope<Env>, attempt),
    afterEvent: options.after?.event as Settings['afterEvent'],
    afterSignUp: options.after?.signUp as Settings['afterSignUp'],
    claims: async (scope: Scope, user: User) =>
      (await options.before?.accessToken?.(scope as Scope<Env>, user)) ?? {},
  })
}
