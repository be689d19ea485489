import { Fault } from '../../core/fault.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { checkSpent, giveBack, messageBudgets, spendAll } from '../budget.ts'
import { codeHash, randomDigits } from '../codes.ts'
import type { Caller } from '../session.ts'
import type { Settings, Sms } from '../settings.ts'
import { mfaFaults } from './faults.ts'
import type { MfaSettings } from './index.ts'
import { type KeyOptions, securityKeysOf } from './security-keys.ts'
import { alive, readStanding, standing } from './standing.ts'

export interface Challenge extends Caller {
  factorId: string
  /** Where the call comes from (`networkOf`); its budgets of text messages are spent, and the number's. */
  network?: string | null
}

/** What the next `verify` refers to. */
export interface Challenged {
  id: string
  type: 'totp' | 'phone' | 'webauthn'
  /** Unix time in seconds. */
  expires_at: number
  webauthn?: KeyOptions
}

/** Milliseconds in which a challenge may be answered (OWASP ASVS 5.0, 6.5.5: at most 10 minutes). */
const lifetime = 300_000
/** Milliseconds between two messages to one phone. */
const pause = 60_000

/**
 * Asks for a factor; of a phone by a message. Only the session that asked may answer. One trip; two for a phone.
 *
 * @throws {Fault} `mfa_factor_not_found` (404), `over_sms_send_rate_limit` (429), `sms_send_failed`, `rate_limited`,
 * `mfa_webauthn_verify_not_enabled`, and what `getUser` throws.
 */
export const challenge =
  (settings: Settings, mfa: MfaSettings) =>
  async (scope: Scope, input: Challenge): Promise<Challenged> => {
    const now = scope.now()
    const id = uuidv7(now)
    const code = randomDigits(6)
    const nonce = randomToken()
    const session = alive(scope, input)
    const insert = scope.db
      .prepare(
        `INSERT INTO leanto_auth_challenges (id, factor_id, session_id, code, created_at, expires_at)
         SELECT ?, f.id, s.id, CASE f.type WHEN 'phone' THEN ? WHEN 'webauthn' THEN ? END, ?, ?
         FROM leanto_auth_factors f, ${session.sql}
           AND s.user_id = f.user_id AND f.id = ? AND f.type <> 'recovery_code'
           AND (f.type <> 'phone' OR coalesce(f.challenged_at, 0) <= ?)
         RETURNING id`,
      )
      .bind(
        id,
        await codeHash(scope, id, code),
        await hash(nonce),
        now,
        now + lifetime,
        ...session.values,
        input.factorId,
        now - pause,
      )
    const mark = scope.db
      .prepare(
        `UPDATE leanto_auth_factors SET challenged_at = ?1 WHERE id = ?2
           AND EXISTS (SELECT 1 FROM leanto_auth_challenges WHERE id = ?3 AND factor_id = ?2)`,
      )
      .bind(now, input.factorId, id)
    const results = await scope.db.batch([...standing(scope, input), insert, mark])
    const { factors, email, phone } = readStanding(scope, results)
    const factor = factors.find((found) => found.id === input.factorId)
    if (!factor || factor.type === 'recovery_code') throw mfaFaults.mfa_factor_not_found()
    if (results[2]?.results.length !== 1) {
      const wait = Math.max(1, Math.ceil(((factor.challenged_at ?? now) + pause - now) / 1000))
      throw tooSoon(wait)
    }
    if (factor.phone) {
      const message = { to: factor.phone, text: mfa.message(code) }
      await send(settings, scope, message, input.network)
    }
    const challenged = { id, type: factor.type, expires_at: Math.floor((now + lifetime) / 1000) }
    if (factor.type !== 'webauthn') return challenged
    const user = { id: input.userId, name: email ?? phone ?? input.userId }
    const keys = securityKeysOf(settings)
    if (!keys) throw mfaFaults.mfa_webauthn_verify_not_enabled()
    return {
      ...challenged,
      webauthn: keys.options(scope, { challenge: nonce, user, factor, factors }),
    }
  }

const tooSoon = (seconds: number) =>
  mfaFaults.over_sms_send_rate_limit({
    message: `For security purposes, you can only request this after ${seconds} seconds.`,
    headers: { 'retry-after': String(seconds) },
  })

async function send(
  settings: Settings,
  scope: Scope,
  message: Sms,
  network: string | null | undefined,
) {
  const { sms } = settings
  if (!sms) throw mfaFaults.mfa_phone_verify_not_enabled()
  // By the number, too: the pause is of a factor, and a factor is soon removed and added again.
  const sent = { type: 'phone', target: message.to, network } as const
  const budgets = await messageBudgets(settings, scope, sent)
  if (budgets.length > 0) checkSpent(scope, budgets, await scope.db.batch(spendAll(scope, budgets)))
  try {
    await sms(scope, message)
  } catch (cause) {
    // A text that never left is not counted, whoever is to blame.
    giveBack(scope, budgets, undefined)
    if (cause instanceof Fault) throw cause
    throw mfaFaults.sms_send_failed({ cause })
  }
}
