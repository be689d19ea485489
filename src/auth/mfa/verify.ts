import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { equal, open, randomToken } from '../../core/secret.ts'
import { type Budget, checkSpent, giveBack, refundAll, spendAll } from '../budget.ts'
import { codeHash } from '../codes.ts'
import { authFaults } from '../faults.ts'
import { sendMail } from '../mails.ts'
import { happened } from '../part.ts'
import { answerSession, type Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Session } from '../wire.ts'
import { sealedFor } from './enroll.ts'
import type { FactorRow } from './factor.ts'
import { mfaFaults } from './faults.ts'
import type { MfaSettings } from './index.ts'
import { securityKeysOf } from './security-keys.ts'
import { alive, readStanding, type Standing, standing } from './standing.ts'
import { stepAt, stepOf } from './totp.ts'
import { upgrade } from './upgrade.ts'

export interface Verify extends Caller {
  factorId: string
  challengeId: string
  /** Of an app or a message. */
  code?: string | undefined
  /** Of WebAuthn: the body's `webauthn`. */
  webauthn?: unknown
  /** Where the call comes from (`networkOf`); its budget is spent by wrong codes. */
  network?: string | null
}

interface ChallengeRow {
  /** Of a phone the HMAC of what was sent, of WebAuthn the hash of the challenge. */
  code: string | null
  expires_at: number
}

/** What a right answer says of its factor. */
interface Proof {
  /** The step that the code is of, now's of a phone; of WebAuthn the count. None up to it is taken again. */
  step: number
  /** Replaces the factor's. */
  secret?: string
}

/**
 * The budgets of a wrong code. The last one holds for the account from wherever, so that many networks together cannot
 * try a million codes; to spend it, one has to know the password.
 */
const attemptBudgets = (
  { attempts }: MfaSettings,
  { userId, challengeId, network }: Verify,
): Budget[] => [
  { key: `auth:mfa:${network ?? 'unknown'}:${userId}`, limit: attempts },
  // A day holds every challenge's five minutes, so that no window's end gives a code more guesses.
  { key: `auth:mfa-challenge:${challengeId}`, limit: { max: 5, seconds: 86_400 } },
  { key: `auth:mfa:${userId}`, limit: { max: attempts.max * 10, seconds: 3600 } },
]

/**
 * Verifies a factor by the code of an authenticator app or a message or by WebAuthn, and raises the caller's session to aal2 with a new
 * refresh token. A factor that was not yet verified is from now on. Two trips; the second only for a right code.
 *
 * No time step of an app, and no challenge, is taken twice, however many calls come at once.
 *
 * @throws {Fault} `mfa_verification_failed`, `mfa_challenge_expired`, `mfa_factor_not_found`, `insufficient_aal`,
 * `mfa_webauthn_verify_not_enabled`, `validation_failed`, what
 * `before.verify` throws, `rate_limited`, and what `getUser` throws.
 */
export const verify =
  (settings: Settings, mfa: MfaSettings) =>
  async (scope: Scope, input: Verify): Promise<Session> => {
    const { userId } = input
    const budgets = attemptBudgets(mfa, input)
    const read = [...standing(scope, input), selectChallenge(scope, input)]
    const results = await settings.keys.batch(scope, [...spendAll(scope, budgets), ...read])
    checkSpent(scope, budgets, results)
    try {
      const answers = results.slice(budgets.length)
      const stood = readStanding(scope, answers)
      const challenge = answers[2]?.results[0] as unknown as ChallengeRow | undefined
      const factor = checkFactor(scope, stood, input.factorId, challenge)
      const proof = await rightProof(settings, scope, factor, challenge as ChallengeRow, input)
      await mfa.beforeVerify(scope, {
        userId,
        factorId: factor.id,
        type: factor.type,
        valid: proof !== null,
      })
      if (proof === null) throw wrongCode(factor)
      return await raise(settings, scope, input, { stood, factor, proof, budgets })
    } catch (error) {
      giveBack(scope, budgets, error)
      throw error
    }
  }

const selectChallenge = (scope: Scope, input: Verify): Statement =>
  scope.db
    .prepare(
      `SELECT code, expires_at FROM leanto_auth_challenges
       WHERE id = ? AND factor_id = ? AND session_id = ?`,
    )
    .bind(input.challengeId, input.factorId, input.sessionId)

const wrongCode = ({ type }: FactorRow) =>
  type === 'totp'
    ? mfaFaults.mfa_verification_failed()
    : mfaFaults.mfa_verification_failed({
        message:
          type === 'phone' ? 'Invalid MFA Phone code entered' : 'Credential verification failed',
      })

function checkFactor(
  scope: Scope,
  { aal, factors }: Standing,
  factorId: string,
  challenge: ChallengeRow | undefined,
): FactorRow {
  const factor = factors.find(({ id }) => id === factorId)
  if (!factor || factor.type === 'recovery_code') throw mfaFaults.mfa_factor_not_found()
  // Who enrolled it while there was no other must not come in by it once there is one: GoTrue lets them.
  if (factor.status === 'unverified' && aal !== 'aal2')
    if (factors.some(({ status }) => status === 'verified')) throw mfaFaults.insufficient_aal()
  if (!challenge)
    throw mfaFaults.mfa_factor_not_found({
      status: 422,
      message: 'MFA factor with the provided challenge ID not found',
    })
  if (challenge.expires_at <= scope.now()) throw mfaFaults.mfa_challenge_expired()
  return factor
}

/** @returns `null` if it is wrong, or was taken before. */
async function rightProof(
  settings: Settings,
  scope: Scope,
  factor: FactorRow,
  challenge: ChallengeRow,
  { challengeId, code, webauthn }: Verify,
): Promise<Proof | null> {
  const now = scope.now()
  if (factor.type === 'webauthn') {
    const keys = securityKeysOf(settings)
    if (!keys) throw mfaFaults.mfa_webauthn_verify_not_enabled()
    const given = { response: webauthn, challenge: challenge.code ?? '', factor }
    const shown = await keys.check(scope, given)
    return shown && { step: shown.counter, secret: shown.kept }
  }
  if (!code) throw authFaults.validation_failed({ message: 'Code needs to be non-empty' })
  if (factor.type === 'phone') {
    const right = await equal(challenge.code ?? '', await codeHash(scope, challengeId, code))
    return right ? { step: stepAt(now) } : null
  }
  const secret = factor.secret && (await open(scope, sealedFor(factor.id), factor.secret))
  // Sealed under another secret: nobody can say which code is right.
  if (!secret) throw new Error('leanto: a TOTP secret is sealed under another secret')
  const step = await stepOf(secret, code, now)
  return step !== null && step > (factor.last_step ?? -1) ? { step } : null
}

async function raise(
  settings: Settings,
  scope: Scope,
  input: Verify,
  shown: { stood: Standing; factor: FactorRow; proof: Proof; budgets: readonly Budget[] },
): Promise<Session> {
  const { stood, factor, proof, budgets } = shown
  const mark = randomToken(16)
  const { userId } = input
  const { statements, session } = await upgrade(settings, scope, {
    ...input,
    mark,
    factorId: factor.id,
    type: factor.type,
  })
  const remove = scope.db
    .prepare(
      `DELETE FROM leanto_auth_challenges WHERE id = ?
         AND EXISTS (SELECT 1 FROM leanto_auth_factors WHERE id = ? AND proof = ?)`,
    )
    .bind(input.challengeId, factor.id, mark)
  const results = await scope.db.batch([
    take(scope, input, { factor, proof, mark }),
    ...statements,
    remove,
    ...refundAll(scope, budgets),
  ])
  // A parallel call was first with this step or this challenge.
  if (results[0]?.results.length !== 1) throw wrongCode(factor)
  happened(settings, scope, {
    action: factor.status === 'verified' ? 'factor_used' : 'factor_verified',
    userId,
    network: input.network,
    data: { factor_id: factor.id, factor_type: factor.type },
  })
  if (factor.status === 'unverified' && stood.mailbox)
    sendMail(settings, scope, 'factor_added', { email: stood.mailbox, subject: factor.type })
  return answerSession(settings, scope, session, results[statements.length])
}

/** Marks the factor as proven by this batch, if it still may be: everything that reading has seen is asked again. */
function take(
  scope: Scope,
  input: Verify,
  { factor, proof, mark }: { factor: FactorRow; proof: Proof; mark: string },
): Statement {
  const now = scope.now()
  const session = alive(scope, input)
  return scope.db
    .prepare(
      `UPDATE leanto_auth_factors AS f SET proof = ?, status = 'verified',
         last_step = CASE type WHEN 'phone' THEN NULL ELSE ? END, secret = coalesce(?, secret),
         updated_at = CASE status WHEN 'verified' THEN updated_at ELSE ? END
       WHERE f.id = ? AND (f.type <> 'webauthn' OR f.status = ?) AND (f.type = 'phone' OR coalesce(f.last_step, -1) < ?
           OR (f.type = 'webauthn' AND f.last_step = 0 AND ? = 0))
         AND EXISTS (SELECT 1 FROM leanto_auth_challenges c WHERE c.id = ?
           AND c.factor_id = f.id AND c.session_id = ? AND c.expires_at > ?)
         AND EXISTS (SELECT 1 FROM ${session.sql}
           AND s.user_id = f.user_id
           AND (f.status = 'verified' OR s.aal = 'aal2' OR NOT EXISTS (
             SELECT 1 FROM leanto_auth_factors v
             WHERE v.user_id = f.user_id AND v.status = 'verified')))
       RETURNING id`,
    )
    .bind(
      mark,
      proof.step,
      proof.secret ?? null,
      now,
      factor.id,
      factor.status,
      proof.step,
      proof.step,
      input.challengeId,
      input.sessionId,
      now,
      ...session.values,
    )
}
