import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { byAddress, isPending, reachable } from './address.ts'
import {
  checkSpent,
  giveBack,
  messageBudgets,
  sentTo,
  signUpBudgets,
  spendAll,
  touch,
} from './budget.ts'
import { changeCodes, deliverChange } from './change-codes.ts'
import type { CodeKind } from './codes.ts'
import { and, type Condition, condition } from './condition.ts'
import { authFaults } from './faults.ts'
import { deliver, prepareCode } from './message.ts'
import { checkMetadata } from './metadata.ts'
import { newUser } from './new-user.ts'
import { signedUp } from './part.ts'
import type { Settings } from './settings.ts'
import type { LinkTarget, Origin } from './sign-up.ts'
import type { Metadata, UserRow } from './wire.ts'

export interface SendCode extends Origin, LinkTarget {
  email?: string | undefined
  phone?: string | undefined
}

export interface SendOtp extends SendCode {
  /** Whether an unknown address gets an account. @default true */
  createUser?: boolean
  /** Becomes `user_metadata` of a user that it makes. @default {} */
  data?: Metadata
}

/**
 * Sends a link and a code by which to sign in. The answer is nothing, whether or not there is an account, one was made, or
 * `before.signUp` refused one. Two trips.
 *
 * @throws {Fault} `validation_failed`, `email_provider_disabled`, `phone_provider_disabled`, `rate_limited`.
 */
export const sendOtp =
  (settings: Settings) =>
  async (scope: Scope, input: SendOtp): Promise<void> => {
    const { createUser = true, data = {} } = input
    checkMetadata(data)
    await send(settings, scope, input, {
      kind: input.phone ? 'sms' : 'magiclink',
      data: createUser && settings.signUp ? data : undefined,
      stamp: 'recovery_sent_at',
    })
  }

/** Sends a link and a code by which to choose a new password. Else as `sendOtp`. */
export const recover =
  (settings: Settings) =>
  (scope: Scope, { email, ...more }: SendCode): Promise<void> =>
    send(
      settings,
      scope,
      { ...more, email, phone: undefined },
      {
        kind: 'recovery',
        data: undefined,
        stamp: 'recovery_sent_at',
      },
    )

interface What {
  kind: CodeKind
  /** Metadata of the user to make, if one is to be made. */
  data: Metadata | undefined
  stamp: 'recovery_sent_at' | 'confirmation_sent_at'
  /** More to ask of the user `u`. */
  only?: Condition
  keep?: boolean
}

async function send(
  settings: Settings,
  scope: Scope,
  input: SendCode,
  { kind, data, stamp, only, keep = false }: What,
): Promise<void> {
  const address = reachable(settings, input)
  const { network, redirectTo, challenge } = input
  const budgets = [
    ...(data ? signUpBudgets(settings, scope, network) : []),
    ...(await messageBudgets(settings, scope, sentTo(address, network))),
  ]
  const by = byAddress(address)
  const select = scope.db
    .prepare(`SELECT u.id, u.user_metadata FROM leanto_auth_users u WHERE ${by.sql}`)
    .bind(...by.values)
  const read = await settings.keys.batch(scope, [...spendAll(scope, budgets), select])
  checkSpent(scope, budgets, read)
  try {
    const known = read.at(budgets.length)?.results[0] as UserRow | undefined
    const create = data && (known || (await admits(settings, scope, { address, data })))
    // An unknown address costs the same statements, which then select nobody.
    // Whoever was known is not made anew if they are gone by now: of them the host was not asked.
    const stillThere = known
      ? condition(`EXISTS (SELECT 1 FROM leanto_auth_users u WHERE ${by.sql})`, ...by.values)
      : undefined
    const user = newUser(scope, { address, data: data ?? {}, proven: false, only: stillThere })
    const may = condition('coalesce(u.banned_until, 0) <= ?', scope.now())
    const whom = and(by, may, ...(only ? [only] : []))
    const code = await prepareCode(settings, scope, {
      kind,
      user: whom,
      address,
      redirectTo,
      challenge,
      keep,
    })
    const stamped = scope.db
      .prepare(`UPDATE leanto_auth_users AS u SET ${stamp} = ? WHERE ${whom.sql}`)
      .bind(scope.now(), ...whom.values)
    const making = create ? [user.insert, user.identity] : []
    const touched = touch(scope, budgets)
    const results = await scope.db.batch([...making, code.statement, stamped, ...touched])
    if (results[making.length]?.results.length !== 1) return
    const metadata = known ? JSON.parse(known.user_metadata) : (data ?? {})
    deliver(settings, scope, code, metadata as Metadata)
    if (create && results[0]?.results.length === 1) signedUp(settings, scope, user.row, network)
  } catch (error) {
    giveBack(scope, budgets, error)
    throw error
  }
}

/** Whether the host lets a new user in. Its refusal is not told: the answer must not depend on who has an account. */
async function admits(
  settings: Settings,
  scope: Scope,
  { address, data }: { address: { type: string; value: string }; data: Metadata },
): Promise<boolean> {
  try {
    await settings.beforeSignUp(
      scope,
      address.type === 'email'
        ? { email: address.value, data }
        : { email: '', phone: address.value, data },
    )
    return true
  } catch (error) {
    if (error instanceof Fault && error.status < 500) return false
    throw error
  }
}

export type ResendType = 'signup' | 'email_change' | 'sms' | 'phone_change'

export interface Resend extends SendCode {
  type: ResendType
}

/**
 * Sends what is still to be confirmed once more, as a new token in place of the old one. The answer is nothing, whatever there
 * was to send. Two trips.
 *
 * @throws {Fault} `validation_failed`, `email_provider_disabled`, `phone_provider_disabled`, `rate_limited`.
 */
export const resend =
  (settings: Settings) =>
  async (scope: Scope, input: Resend): Promise<void> => {
    const { type, email, phone } = input
    const wanted = type === 'signup' || type === 'email_change' ? email : phone
    if (!wanted)
      throw authFaults.validation_failed({
        message: `Type provided requires ${type === 'signup' || type === 'email_change' ? 'an email address' : 'a phone number'}`,
      })
    if (type === 'signup' || type === 'sms')
      return send(settings, scope, input, {
        kind: type,
        data: undefined,
        stamp: 'confirmation_sent_at',
        only: isPending,
        keep: true,
      })
    return resendChange(settings, scope, input, type === 'email_change' ? 'email' : 'phone')
  }

async function resendChange(
  settings: Settings,
  scope: Scope,
  input: Resend,
  type: 'email' | 'phone',
): Promise<void> {
  const address = reachable(settings, input)
  const { network, redirectTo, challenge } = input
  const budgets = await messageBudgets(settings, scope, sentTo(address, network))
  const by = byAddress(address)
  const select = scope.db
    .prepare(
      `SELECT u.* FROM leanto_auth_users u
       WHERE ${by.sql} AND u.${type}_change IS NOT NULL AND u.deleted_at IS NULL`,
    )
    .bind(...by.values)
  const read = await settings.keys.batch(scope, [...spendAll(scope, budgets), select])
  checkSpent(scope, budgets, read)
  const row = read[budgets.length]?.results[0] as UserRow | undefined
  try {
    // Without anything to send the same statements are asked about nobody.
    const all = await changeCodes(settings, scope, {
      row: row ?? newUser(scope, { address, proven: true }).row,
      address: { type, value: row?.[`${type}_change`] ?? address.value },
      redirectTo,
      challenge,
    })
    // A mailbox that has agreed is not asked again.
    const codes = all.filter(({ kind }) => kind !== `email_change_${row?.email_change_half}`)
    const statements = [...codes.map(({ statement }) => statement), ...touch(scope, budgets)]
    const results = await scope.db.batch(statements)
    codes.forEach((code, i) => {
      if (row && results[i]?.results.length === 1) deliverChange(settings, scope, row, code)
    })
  } catch (error) {
    giveBack(scope, budgets, error)
    throw error
  }
}
