import { stepUp } from '../../core/guard.ts'
import type { Limit } from '../../core/limit.ts'
import type { Scope } from '../../core/scope.ts'
import type { AuthPart } from '../part.ts'
import type { User } from '../wire.ts'
import { type Factor, type FactorType, factorsColumn, factorsOf, hasVerified } from './factor.ts'
import { mfaFaults } from './faults.ts'
import { mfaMigrations } from './migrations.ts'
import { mfaRoutes } from './routes.ts'

export type { Factor, FactorType } from './factor.ts'
export { mfaFaults } from './faults.ts'
export { movedFactors } from './moved.ts'

/** A code that was shown for a factor, before it counts. */
export interface VerificationAttempt {
  userId: string
  factorId: string
  type: FactorType
  /** Whether the code is right. */
  valid: boolean
}

export interface MfaOptions {
  /**
   * Whether a session that has yet to show the user's second factor opens nothing but `auth` itself: elsewhere it is 401.
   * Without it, as in GoTrue, each policy and route has to ask for `aal2`. Tokens that are out know of a first factor
   * from their next refresh.
   * @default false
   */
  enforce?: boolean
  /** Whether a phone may be a factor; codes leave by the `sms` of `auth`. @default false */
  phone?: boolean
  /** What a text message says. @default a sentence with the code */
  message?: (code: string) => string
  /** Factors of one user, verified or not, recovery codes included. @default 10 */
  maxFactors?: number
  /** Wrong codes of one user from one network; ten times as many in an hour from everywhere. @default { max: 10, seconds: 300 } */
  attempts?: Limit
  before?: {
    /** Hears of each code before it counts; throws a `Fault`, such as `mfa_verification_rejected`, to refuse. */
    verify?: (scope: Scope, attempt: VerificationAttempt) => void | Promise<void>
  }
}

/** The options, checked and filled in. */
export interface MfaSettings {
  readonly phone: boolean
  readonly message: (code: string) => string
  readonly maxFactors: number
  readonly attempts: Limit
  readonly beforeVerify: (scope: Scope, attempt: VerificationAttempt) => void | Promise<void>
}

/** A user with second factors. */
export type UserWithFactors = User & { factors?: Factor[] }

/** Says in the token, where no client can change it, that a second factor is still to be shown (case 17). */
const pending: Pick<AuthPart, 'claims' | 'admit'> = {
  claims: (user: UserWithFactors, { aal }) =>
    aal !== 'aal2' && user.factors?.some(({ status }) => status === 'verified')
      ? { mfa: 'pending' }
      : {},
  async admit(settings, scope, { role, id, claims }) {
    if (claims.mfa === 'pending') throw stepUp()
    // The token of another issuer knows nothing of the factors here: that takes a trip, of those alone.
    const foreign = role === 'authenticated' && claims.iss !== settings.issuer(scope)
    if (foreign && claims.aal !== 'aal2' && (await hasFactor(scope, id))) throw stepUp()
  },
}

const hasFactor = async (scope: Scope, userId: string): Promise<boolean> =>
  (await scope.db
    .prepare(`SELECT 1 FROM leanto_auth_factors WHERE user_id = ? AND status = 'verified' LIMIT 1`)
    .bind(userId.toLowerCase())
    .first()) !== null

const wrong = (option: string, fix: string) => new TypeError(`mfa: \`${option}\` ${fix}`)

const isWhole = (value: unknown, least: number) =>
  Number.isSafeInteger(value) && Number(value) >= least

/**
 * Second factors as GoTrue has them: authenticator apps (TOTP, RFC 6238), phones, recovery codes. A session that has shown
 * one is `aal2` in its claim `aal`, which `users.signedIn({ aal: 'aal2' })` and policies (`who.claims.aal`) may demand.
 *
 * A user with a verified factor changes password, address and number only from an aal2 session.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function mfa(options: MfaOptions = {}): AuthPart {
  const {
    enforce = false,
    phone = false,
    maxFactors = 10,
    attempts = { max: 10, seconds: 300 },
  } = options
  if (typeof enforce !== 'boolean') throw wrong('enforce', 'must be true or false')
  if (typeof phone !== 'boolean') throw wrong('phone', 'must be true or false')
  if (!isWhole(maxFactors, 1)) throw wrong('maxFactors', 'must be a whole number from 1')
  if (!isWhole(attempts?.max, 1) || !isWhole(attempts?.seconds, 1))
    throw wrong('attempts', 'must have whole numbers `max` and `seconds`')
  const settings: MfaSettings = {
    phone,
    message: options.message ?? ((code) => `Your verification code is ${code}`),
    maxFactors,
    attempts,
    beforeVerify: (scope, attempt) => options.before?.verify?.(scope, attempt),
  }
  return {
    name: 'mfa',
    routes: (doors) => mfaRoutes(doors, settings),
    migrations: mfaMigrations,
    faults: mfaFaults,
    columns: [factorsColumn],
    show(row, user): UserWithFactors {
      const factors = factorsOf(row)
      return factors.length > 0 ? { ...user, factors } : user
    },
    beforeUpdate(row, { email, phone, password, identity, passkey }, { aal }) {
      const guarded = [email, phone, password, identity, passkey].some(
        (change) => change !== undefined,
      )
      if (!guarded || aal === 'aal2' || !hasVerified(row)) return
      if (passkey)
        throw mfaFaults.insufficient_aal({
          message: 'AAL2 session is required to manage passkeys when MFA is enabled',
        })
      throw mfaFaults.insufficient_aal({
        status: 401,
        message:
          identity === undefined
            ? 'AAL2 session is required to update email or password when MFA is enabled.'
            : 'AAL2 session is required to link or unlink an identity when MFA is enabled.',
      })
    },
    ...(enforce ? pending : {}),
    moves: 'factors',
    removed: (scope, userId) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_recovery_codes WHERE factor_id IN (
             SELECT id FROM leanto_auth_factors WHERE user_id = ?)`,
        )
        .bind(userId),
      scope.db.prepare('DELETE FROM leanto_auth_factors WHERE user_id = ?').bind(userId),
    ],
    purge: (scope) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_challenges WHERE id IN (
             SELECT id FROM leanto_auth_challenges WHERE expires_at <= ? LIMIT 1000)`,
        )
        .bind(scope.now()),
    ],
  }
}
