import type { Scope } from '../core/scope.ts'
import { type Address, byAddress, isPending, requireEmail, requirePhone } from './address.ts'
import {
  type Budget,
  checkSpent,
  giveBack,
  messageBudgets,
  sentTo,
  signUpBudgets,
  spendAll,
  touch,
} from './budget.ts'
import { and, byId, condition } from './condition.ts'
import { authFaults } from './faults.ts'
import { sendMail } from './mails.ts'
import { deliver, prepareCode } from './message.ts'
import { checkMetadata } from './metadata.ts'
import { newUser } from './new-user.ts'
import { happened, signedUp } from './part.ts'
import { checkPassword, hashPassword } from './password.ts'
import type { Challenge } from './pkce.ts'
import { answerSession, type Client, startSession } from './session.ts'
import type { Settings } from './settings.ts'
import type { Metadata, Session, User, UserRow } from './wire.ts'

/** What most calls say of where they come from. */
export interface Origin {
  /** Where the call comes from (`networkOf`); its budgets are spent. */
  network?: string | null | undefined
  /** What the session remembers of its device. */
  client?: Client | undefined
}

/** Where a link leads back to, and how. */
export interface LinkTarget {
  /** Checked against `site` and `redirects`; anything else leads to `site`. */
  redirectTo?: string | undefined
  /** Makes the link answer with a code that only the verifier's holder can exchange. */
  challenge?: Challenge | undefined
}

export interface SignUp extends Origin, LinkTarget {
  email?: string
  /** Needs `sms`. */
  phone?: string
  password: string
  /** Becomes `user_metadata`. @default {} */
  data?: Metadata
}

export interface CreateUser {
  email: string
  /** Without one the user cannot sign in yet. */
  password?: string
  userMetadata?: Metadata
  /** Claims that only the server sets, such as roles of your own. */
  appMetadata?: Metadata
}

/**
 * Makes a user. With `autoconfirm` they are signed in, and a known address is refused. Without it a link and a code are
 * sent, and the answer is a user who is still to be confirmed, the same one for every address that has an account
 * already: only the mailbox learns which it was.
 *
 * Two trips. Of parallel calls with one address exactly one makes the user. Whoever signs up last with an address that
 * nobody has proven yet sets its password and metadata.
 *
 * @throws {Fault} `signup_disabled`, `validation_failed`, `weak_password`, `user_already_exists`,
 * `phone_provider_disabled`, `rate_limited`, or what `before.signUp` throws.
 */
export const signUp =
  (settings: Settings) =>
  async (scope: Scope, input: SignUp): Promise<Session | User> => {
    if (!settings.signUp) throw authFaults.signup_disabled()
    const { password, data = {}, network } = input
    const address = addressOf(settings, input)
    checkMetadata(data)
    await checkPassword(settings, scope, password, [address.value])
    const immediate = address.type === 'email' && settings.autoconfirm
    const budgets = signUpBudgets(settings, scope, network)
    if (!immediate)
      budgets.push(...(await messageBudgets(settings, scope, sentTo(address, network))))
    checkSpent(scope, budgets, await settings.keys.batch(scope, spendAll(scope, budgets)))
    try {
      await settings.beforeSignUp(
        scope,
        address.type === 'email'
          ? { email: address.value, data }
          : { email: '', phone: address.value, data },
      )
      // Hashed whether or not the address is taken, so that the time does not tell.
      const encoded = hashPassword(password)
      const made = { settings, scope, address, encoded, data }
      return immediate ? await signUpNow(made, input) : await signUpLater(made, input, budgets)
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }

interface Made {
  settings: Settings
  scope: Scope
  address: Address
  encoded: string
  data: Metadata
}

function addressOf(settings: Settings, { email, phone }: SignUp): Address {
  if (!phone) return { type: 'email', value: requireEmail(email ?? '') }
  if (!settings.sms)
    throw authFaults.phone_provider_disabled({ message: 'Phone signups are disabled' })
  if (email)
    throw authFaults.validation_failed({
      message: 'Only an email address or phone number should be provided on signup.',
    })
  return { type: 'phone', value: requirePhone(phone) }
}

async function signUpNow(
  { settings, scope, address, encoded, data }: Made,
  { client, network }: SignUp,
): Promise<Session> {
  const user = newUser(scope, { address, password: encoded, data, proven: true })
  const session = await startSession(settings, scope, {
    user: and(byId(user.row.id), condition('u.password = ?', encoded)),
    method: 'password',
    client,
  })
  const statements = [user.insert, user.identity, ...session.statements]
  const results = await scope.db.batch(statements)
  if (results[0]?.results.length !== 1) throw authFaults.user_already_exists()
  const row = results.at(-1)?.results[0] as unknown as UserRow
  signedUp(settings, scope, row, network)
  return answerSession(settings, scope, session, results.at(-1))
}

async function signUpLater(
  { settings, scope, address, encoded, data }: Made,
  { redirectTo, challenge, network }: SignUp,
  budgets: readonly Budget[],
): Promise<User> {
  const user = newUser(scope, { address, password: encoded, data, proven: false })
  const code = await prepareCode(settings, scope, {
    kind: address.type === 'email' ? 'signup' : 'sms',
    user: and(byAddress(address), isPending),
    address,
    redirectTo,
    challenge,
    keep: true,
  })
  const claim = scope.db
    .prepare(
      `UPDATE leanto_auth_users AS u SET password = ?, user_metadata = ?, confirmation_sent_at = ?
       WHERE (${byAddress(address).sql}) AND ${isPending.sql}`,
    )
    .bind(encoded, JSON.stringify(data), scope.now(), address.value)
  const [inserted, , , stored] = await scope.db.batch([
    user.insert,
    user.identity,
    claim,
    code.statement,
    ...touch(scope, budgets),
  ])
  if (stored?.results.length === 1) deliver(settings, scope, code, data)
  // A phone gets no second kind of text: each one costs.
  else if (address.type === 'email') sendMail(settings, scope, 'exists', { email: address.value })
  if (inserted?.results.length === 1) signedUp(settings, scope, user.row, network)
  return settings.toUser({ ...user.row, confirmation_sent_at: scope.now() })
}

/**
 * Makes a user for the server: no budget, no session, whatever `signUp` says. The address counts as proven. One trip.
 *
 * @throws {Fault} `validation_failed`, `weak_password`, `email_exists`.
 */
export const createUser =
  (settings: Settings) =>
  async (scope: Scope, input: CreateUser): Promise<User> => {
    const address: Address = { type: 'email', value: requireEmail(input.email) }
    if (input.password !== undefined)
      await checkPassword(settings, scope, input.password, [address.value])
    const { row, insert, identity } = newUser(scope, {
      address,
      data: checkMetadata(input.userMetadata ?? {}),
      app: checkMetadata(input.appMetadata ?? {}),
      password: input.password === undefined ? null : hashPassword(input.password),
      proven: true,
    })
    const [inserted] = await scope.db.batch([insert, identity])
    if (inserted?.results.length !== 1) throw authFaults.email_exists()
    happened(settings, scope, { action: 'user_created', userId: row.id })
    return settings.toUser(row)
  }
