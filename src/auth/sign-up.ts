import { uuidv7 } from '../core/id.ts'
import type { Scope } from '../core/scope.ts'
import { checkSpent, giveBack, signUpBudgets, spendAll } from './budget.ts'
import { normaliseEmail } from './email.ts'
import { authFaults } from './faults.ts'
import { checkMetadata } from './metadata.ts'
import { checkPassword, hashPassword } from './password.ts'
import { answerSession, newSession } from './session.ts'
import type { Settings } from './settings.ts'
import { type Metadata, type Session, toUser, type User, type UserRow } from './wire.ts'

export interface SignUp {
  email: string
  password: string
  /** Becomes `user_metadata`. @default {} */
  data?: Metadata
  /** Where the call comes from (`networkOf`); its budget is spent. */
  network?: string | null
}

export interface CreateUser {
  email: string
  /** Without one the user cannot sign in yet. */
  password?: string
  userMetadata?: Metadata
  /** Claims that only the server sets, such as roles of your own. */
  appMetadata?: Metadata
}

const emailProvider = { provider: 'email', providers: ['email'] }

/**
 * Makes a user and signs them in. There is no confirmation mail yet: the address counts as confirmed.
 *
 * Two trips. Of parallel calls with one address exactly one makes the user.
 *
 * @throws {Fault} `signup_disabled`, `validation_failed`, `weak_password`, `user_already_exists`, `rate_limited`, or
 * what `before.signUp` throws.
 */
export const signUp =
  (settings: Settings) =>
  async (scope: Scope, { email, password, data = {}, network }: SignUp): Promise<Session> => {
    if (!settings.signUp) throw authFaults.signup_disabled()
    const request = { email: requireEmail(email), data: checkMetadata(data) }
    checkPassword(password, settings.password.minLength)
    const budgets = signUpBudgets(settings, scope, network)
    checkSpent(scope, budgets, await settings.keys.batch(scope, spendAll(scope, budgets)))
    try {
      await settings.beforeSignUp(scope, request)
      // Hashed whether or not the address is taken, so that the time does not tell.
      const user = newUser(scope, { ...request, password: hashPassword(password), app: {} })
      const { id, password: encoded } = user.row
      const session = await newSession(settings, scope, { id, password: encoded as string })
      const [inserted] = await scope.db.batch([user.insert, ...session.statements])
      if (inserted?.results.length !== 1) throw authFaults.user_already_exists()
      if (settings.afterSignUp)
        scope.waitUntil(later(() => settings.afterSignUp?.(scope, toUser(user.row))))
      return await answerSession(settings, scope, {
        ...session,
        createdAt: scope.now(),
        user: user.row,
      })
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }

/**
 * Makes a user for the server: no budget, no session, whatever `signUp` says. One trip.
 *
 * @throws {Fault} `validation_failed`, `weak_password`, `email_exists`.
 */
export const createUser =
  (settings: Settings) =>
  async (scope: Scope, input: CreateUser): Promise<User> => {
    const email = requireEmail(input.email)
    if (input.password !== undefined) checkPassword(input.password, settings.password.minLength)
    const { row, insert } = newUser(scope, {
      email,
      data: checkMetadata(input.userMetadata ?? {}),
      app: checkMetadata(input.appMetadata ?? {}),
      password: input.password === undefined ? null : hashPassword(input.password),
    })
    row.last_sign_in_at = null
    const { results } = await insert.all()
    if (results.length !== 1) throw authFaults.email_exists()
    return toUser(row)
  }

function newUser(
  scope: Scope,
  input: { email: string; password: string | null; data: object; app: object },
) {
  const now = scope.now()
  const row: UserRow = {
    id: uuidv7(now),
    email: input.email,
    password: input.password,
    app_metadata: JSON.stringify({ ...input.app, ...emailProvider }),
    user_metadata: JSON.stringify(input.data),
    email_confirmed_at: now,
    last_sign_in_at: now,
    banned_until: null,
    created_at: now,
    updated_at: now,
  }
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_auth_users (id, email, password, app_metadata, user_metadata,
         email_confirmed_at, last_sign_in_at, created_at, updated_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6, ?6) ON CONFLICT (email) DO NOTHING RETURNING id`,
    )
    .bind(row.id, row.email, row.password, row.app_metadata, row.user_metadata, now)
  return { row, insert }
}

function requireEmail(email: string): string {
  const normalised = normaliseEmail(email)
  if (normalised) return normalised
  throw authFaults.validation_failed({
    message: 'Unable to validate email address: invalid format',
  })
}

const later = async (work: () => unknown): Promise<void> => {
  await work()
}
