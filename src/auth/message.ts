import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import type { Address } from './address.ts'
import { type CodeKind, longestCode, newCode } from './codes.ts'
import type { Condition } from './condition.ts'
import { type MailFacts, type MailTemplates, sendMail, sendSms } from './mails.ts'
import type { Challenge } from './pkce.ts'
import { checkRedirect, withParameters } from './redirect.ts'
import type { Settings } from './settings.ts'
import type { Metadata } from './wire.ts'

/** Seconds that an invitation lives. */
const inviteSeconds = 86_400

/** The type that a link says for each kind of token that is mailed. */
const linkTypes = {
  signup: 'signup',
  magiclink: 'magiclink',
  recovery: 'recovery',
  invite: 'invite',
  email_change_new: 'email_change',
  email_change_current: 'email_change',
  reauthentication: '',
  sms: '',
  phone_change: '',
} as const satisfies Record<CodeKind, string>

export interface CodeRequest {
  kind: CodeKind
  /** Selects the one user `u` that it is for. */
  user: Condition
  address: Address
  redirectTo?: string | undefined
  challenge?: Challenge | undefined
  /** Whether who shows it has also set the password that the account has now. @default false */
  keep?: boolean
  /** More to remember. */
  data?: Metadata
}

/** A code that the next batch will store and `deliver` will send. */
export interface PreparedCode {
  readonly kind: CodeKind
  readonly address: Address
  readonly code: string
  readonly tokenHash: string
  readonly link: string
  readonly minutes: number
  readonly data: Metadata
  /** Answers one row if there is someone to send it to. */
  readonly statement: Statement
}

/** Makes a code, and the link that does the same. */
export async function prepareCode(
  settings: Settings,
  scope: Scope,
  request: CodeRequest,
): Promise<PreparedCode> {
  const { kind, user, address, redirectTo, challenge, keep, data } = request
  const { length } = settings.codes
  const seconds = kind === 'invite' ? inviteSeconds : settings.codes.seconds
  const made = await newCode(scope, {
    kind,
    user,
    target: address.value,
    data: { ...data, ...(keep ? { keep: 1 } : {}), ...(challenge ? { pkce: challenge } : {}) },
    length,
    seconds: address.type === 'phone' || kind === 'reauthentication' ? longestCode : seconds,
    pkce: challenge !== undefined,
  })
  const type = linkTypes[kind]
  return {
    kind,
    address,
    code: made.code,
    tokenHash: made.tokenHash,
    link: type && linkOf(settings, scope, { token: made.tokenHash, type, redirectTo }),
    minutes: Math.floor(Math.min(seconds, longestCode) / 60),
    data: data ?? {},
    statement: made.statement,
  }
}

/** The address of the link: always under `site`, whatever host the request came to (case 10). */
const linkOf = (
  settings: Settings,
  scope: Scope,
  { token, type, redirectTo }: { token: string; type: string; redirectTo?: string | undefined },
): string =>
  withParameters(
    `${settings.issuer(scope)}/verify`,
    { token, type, redirect_to: checkRedirect(settings, scope, redirectTo) },
    'query',
  )

/** Sends what was prepared, after the answer. */
export function deliver(
  settings: Settings,
  scope: Scope,
  { kind, address, code, link, minutes }: PreparedCode,
  data: Metadata = {},
  facts: Partial<MailFacts> = {},
): void {
  if (address.type === 'phone') sendSms(settings, scope, address.value, code)
  else {
    const template = kind as keyof MailTemplates
    sendMail(settings, scope, template, {
      ...facts,
      email: address.value,
      code,
      link,
      minutes,
      data,
    })
  }
}
