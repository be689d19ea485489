import type { Statement } from '../../core/database.ts'
import { Fault } from '../../core/fault.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { checkSpent, giveBack, refundAll, spendAll } from '../budget.ts'
import { authFaults } from '../faults.ts'
import { sendMail } from '../mails.ts'
import { happened } from '../part.ts'
import { answerSession, type Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Session } from '../wire.ts'
import type { FactorRow } from './factor.ts'
import { mfaFaults } from './faults.ts'
import type { MfaSettings } from './index.ts'
import { newRecoveryCode, normaliseRecoveryCode } from './recovery.ts'
import { alive, readStanding, type Standing, standing } from './standing.ts'
import { upgrade } from './upgrade.ts'

const total = 10
const type = 'recovery_code'

/** A new set; the codes are shown this once. */
export interface RecoveryCodes {
  id: string
  type: typeof type
  friendly_name: string
  total: number
  codes: string[]
}

export interface RecoveryCodesStatus {
  id: string
  type: typeof type
  total: number
  remaining: number
}

const notEnrolled = () =>
  mfaFaults.mfa_factor_not_found({ message: 'The user has not enrolled recovery codes' })

const ownSet = ({ factors }: Standing): FactorRow | undefined =>
  factors.find((factor) => factor.type === type)

/** Tells the owner: whoever has an account's codes comes in without its app. */
function notify(
  settings: Settings,
  scope: Scope,
  kind: 'factor_added' | 'factor_removed',
  { mailbox }: Standing,
): void {
  if (mailbox) sendMail(settings, scope, kind, { email: mailbox, subject: 'recovery codes' })
}

const insufficient = (what: string) =>
  mfaFaults.insufficient_aal({ message: `AAL2 required to ${what} recovery codes` })

/** @returns How many codes are left. One trip. @throws {Fault} `mfa_factor_not_found` (404). */
export async function recoveryCodesStatus(
  scope: Scope,
  caller: Caller,
): Promise<RecoveryCodesStatus> {
  const count = scope.db
    .prepare(
      `SELECT count(*) AS remaining FROM leanto_auth_recovery_codes WHERE factor_id = (
         SELECT id FROM leanto_auth_factors WHERE user_id = ? AND type = '${type}')`,
    )
    .bind(caller.userId)
  const results = await scope.db.batch([...standing(scope, caller), count])
  const set = ownSet(readStanding(scope, results))
  if (!set) throw notEnrolled()
  return { id: set.id, type, total, remaining: Number(results[2]?.results[0]?.remaining) }
}

async function newCodes(scope: Scope, factor: { where: string; values: unknown[] }) {
  const codes = Array.from({ length: total }, newRecoveryCode)
  const hashes = await Promise.all(codes.map(hash))
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_auth_recovery_codes (hash, factor_id)
       SELECT j.value, f.id FROM leanto_auth_factors f, json_each(?) j WHERE ${factor.where}`,
    )
    .bind(JSON.stringify(hashes), ...factor.values)
  return { codes, insert }
}

/**
 * Makes the user's set of ten recovery codes. One trip.
 *
 * @throws {Fault} `insufficient_aal`, `mfa_verified_factor_exists`, `mfa_recovery_codes_sole_factor`,
 * `mfa_factor_name_conflict`, `too_many_enrolled_mfa_factors`, and what `getUser` throws.
 */
export const generateRecoveryCodes =
  (settings: Settings, mfa: MfaSettings) =>
  async (scope: Scope, input: Caller & { name?: string | undefined }): Promise<RecoveryCodes> => {
    const name = input.name || 'Recovery codes'
    const now = scope.now()
    const id = uuidv7(now)
    const session = alive(scope, input)
    const insert = scope.db
      .prepare(
        `INSERT INTO leanto_auth_factors
           (id, user_id, type, name, status, created_at, updated_at)
         SELECT ?, s.user_id, '${type}', ?, 'verified', ?, ? FROM ${session.sql} AND s.aal = 'aal2'
           AND (SELECT count(*) FROM leanto_auth_factors f WHERE f.user_id = s.user_id) < ?
           AND NOT EXISTS (SELECT 1 FROM leanto_auth_factors f
             WHERE f.user_id = s.user_id AND f.type = '${type}')
           AND EXISTS (SELECT 1 FROM leanto_auth_factors f
             WHERE f.user_id = s.user_id AND f.type <> '${type}' AND f.status = 'verified')
         ON CONFLICT DO NOTHING RETURNING id`,
      )
      .bind(id, name, now, now, ...session.values, mfa.maxFactors)
    const { codes, insert: insertCodes } = await newCodes(scope, {
      where: 'f.id = ?',
      values: [id],
    })
    const results = await scope.db.batch([...standing(scope, input), insert, insertCodes])
    const stood = readStanding(scope, results)
    if (results[2]?.results.length !== 1) throw refusal(stood, name, mfa.maxFactors)
    happened(settings, scope, {
      action: 'recovery_codes_generated',
      userId: input.userId,
      data: { factor_id: id },
    })
    notify(settings, scope, 'factor_added', stood)
    return { id, type, friendly_name: name, total, codes }
  }

function refusal(stood: Standing, name: string, most: number) {
  if (stood.aal !== 'aal2') return insufficient('generate')
  if (ownSet(stood))
    return mfaFaults.mfa_verified_factor_exists({
      message: 'Recovery codes are already enrolled for this user, use regenerate to rotate them',
    })
  if (stood.factors.some((factor) => factor.name === name))
    return mfaFaults.mfa_factor_name_conflict()
  if (stood.factors.length >= most) return mfaFaults.too_many_enrolled_mfa_factors()
  if (!stood.factors.some((factor) => factor.status === 'verified'))
    return mfaFaults.mfa_recovery_codes_sole_factor()
  return authFaults.conflict()
}

/**
 * Replaces the codes; those before are dead at once. One trip.
 *
 * @throws {Fault} `insufficient_aal`, `mfa_factor_not_found` (404), and what `getUser` throws.
 */
export const regenerateRecoveryCodes =
  (settings: Settings) =>
  async (scope: Scope, caller: Caller): Promise<RecoveryCodes> => {
    const mark = randomToken(16)
    const session = alive(scope, caller)
    const take = scope.db
      .prepare(
        `UPDATE leanto_auth_factors AS f SET proof = ?, updated_at = ?
         WHERE f.user_id = ? AND f.type = '${type}' AND EXISTS (
           SELECT 1 FROM ${session.sql} AND s.aal = 'aal2')
         RETURNING id`,
      )
      .bind(mark, scope.now(), caller.userId, ...session.values)
    const clear = scope.db
      .prepare(
        `DELETE FROM leanto_auth_recovery_codes WHERE factor_id IN (
           SELECT id FROM leanto_auth_factors WHERE user_id = ? AND proof = ?)`,
      )
      .bind(caller.userId, mark)
    const { codes, insert } = await newCodes(scope, {
      where: 'f.user_id = ? AND f.proof = ?',
      values: [caller.userId, mark],
    })
    const results = await scope.db.batch([...standing(scope, caller), take, clear, insert])
    const stood = readStanding(scope, results)
    const set = ownSet(stood)
    if (stood.aal !== 'aal2') throw insufficient('regenerate')
    if (!set || results[2]?.results.length !== 1) throw notEnrolled()
    happened(settings, scope, {
      action: 'recovery_codes_regenerated',
      userId: caller.userId,
      data: { factor_id: set.id },
    })
    notify(settings, scope, 'factor_added', stood)
    return { id: set.id, type, friendly_name: set.name, total, codes }
  }

export interface VerifyRecoveryCode extends Caller {
  /** As the user typed it. */
  code: string
  /** Where the call comes from (`networkOf`); its budget is spent by wrong codes. */
  network?: string | null
}

/**
 * Spends one recovery code and raises the caller's session to aal2, as `verify` does. Two trips.
 *
 * @throws {Fault} `mfa_verification_failed`, `mfa_recovery_codes_locked` (429), `validation_failed`, what `before.verify`
 * throws, and what `getUser` throws.
 */
export const verifyRecoveryCode =
  (settings: Settings, mfa: MfaSettings) =>
  async (scope: Scope, input: VerifyRecoveryCode): Promise<Session> => {
    const { userId, network } = input
    if (input.code.trim() === '')
      throw authFaults.validation_failed({ message: 'Code needs to be non-empty' })
    const code = normaliseRecoveryCode(input.code)
    const codeHash = await hash(code ?? '')
    // Nobody guesses 120 bits: what is bounded is the work, and from one network, so that no stranger locks the owner out.
    const key = `auth:mfa-recovery:${network ?? 'unknown'}:${userId}`
    const budgets = [{ key, limit: mfa.attempts }]
    const find = scope.db
      .prepare(
        `SELECT 1 FROM leanto_auth_recovery_codes WHERE hash = ? AND taken IS NULL AND factor_id = (
           SELECT id FROM leanto_auth_factors WHERE user_id = ? AND type = '${type}')`,
      )
      .bind(codeHash, userId)
    const results = await settings.keys.batch(scope, [
      ...spendAll(scope, budgets),
      ...standing(scope, input),
      find,
    ])
    try {
      checkSpent(scope, budgets, results)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      throw mfaFaults.mfa_recovery_codes_locked({ headers: { ...error.headers } })
    }
    try {
      const set = ownSet(readStanding(scope, results.slice(1)))
      const valid = set !== undefined && results[3]?.results.length === 1
      if (set) await mfa.beforeVerify(scope, { userId, factorId: set.id, type, valid })
      if (!valid) throw invalid()
      const mark = randomToken(16)
      const { statements, session } = await upgrade(settings, scope, {
        ...input,
        ...{ mark, type },
        factorId: set.id,
      })
      const batch = [
        ...take(scope, input, { factorId: set.id, codeHash, mark }),
        ...statements,
        scope.db
          .prepare('DELETE FROM leanto_auth_recovery_codes WHERE taken = ?1 AND hash = ?2')
          .bind(mark, codeHash),
        ...refundAll(scope, budgets),
      ]
      const written = await scope.db.batch(batch)
      if (written[0]?.results.length !== 1) throw invalid()
      happened(settings, scope, {
        action: 'recovery_code_used',
        userId,
        network,
        data: { factor_id: set.id },
      })
      return await answerSession(settings, scope, session, written[1 + statements.length])
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }

const invalid = () =>
  mfaFaults.mfa_verification_failed({ message: 'Invalid recovery code entered' })

/** Takes the code for this batch, and says so at its factor, which `upgrade` asks. */
function take(
  scope: Scope,
  caller: Caller,
  { factorId, codeHash, mark }: { factorId: string; codeHash: string; mark: string },
): Statement[] {
  const session = alive(scope, caller)
  return [
    scope.db
      .prepare(
        `UPDATE leanto_auth_recovery_codes SET taken = ?
         WHERE hash = ? AND factor_id = ? AND taken IS NULL
           AND EXISTS (SELECT 1 FROM ${session.sql})
         RETURNING hash`,
      )
      .bind(mark, codeHash, factorId, ...session.values),
    scope.db
      .prepare(
        `UPDATE leanto_auth_factors SET proof = ?1 WHERE id = ?2 AND EXISTS (
           SELECT 1 FROM leanto_auth_recovery_codes WHERE hash = ?3 AND taken = ?1)`,
      )
      .bind(mark, factorId, codeHash),
  ]
}

/**
 * Removes the set with its codes. One trip.
 *
 * @throws {Fault} `insufficient_aal`, `mfa_factor_not_found` (404), and what `getUser` throws.
 */
export const removeRecoveryCodes =
  (settings: Settings) =>
  async (scope: Scope, caller: Caller): Promise<{ id: string }> => {
    const session = alive(scope, caller)
    const may = `EXISTS (SELECT 1 FROM ${session.sql} AND s.aal = 'aal2')`
    const own = `user_id = ? AND type = '${type}'`
    const results = await scope.db.batch([
      ...standing(scope, caller),
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_recovery_codes
           WHERE factor_id IN (SELECT id FROM leanto_auth_factors WHERE ${own}) AND ${may}`,
        )
        .bind(caller.userId, ...session.values),
      scope.db
        .prepare(`DELETE FROM leanto_auth_factors WHERE ${own} AND ${may} RETURNING id`)
        .bind(caller.userId, ...session.values),
    ])
    const stood = readStanding(scope, results)
    const set = ownSet(stood)
    if (stood.aal !== 'aal2') throw insufficient('delete')
    if (!set || results[3]?.results.length !== 1) throw notEnrolled()
    happened(settings, scope, {
      action: 'recovery_codes_removed',
      userId: caller.userId,
      data: { factor_id: set.id },
    })
    notify(settings, scope, 'factor_removed', stood)
    return { id: set.id }
  }
