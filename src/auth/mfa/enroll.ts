import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { seal } from '../../core/secret.ts'
import { authFaults } from '../faults.ts'
import { happened } from '../part.ts'
import type { Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { FactorRow } from './factor.ts'
import { mfaFaults } from './faults.ts'
import type { MfaSettings } from './index.ts'
import { alive, readStanding, standing } from './standing.ts'
import { newSecret, qrCode, totpUri } from './totp.ts'

export interface EnrollTotp extends Caller {
  type: 'totp'
  /** What the user calls it; unique among their factors. */
  name?: string | undefined
  /** What the authenticator app calls us. @default the host of `site` */
  issuer?: string | undefined
}

export interface EnrollPhone extends Caller {
  type: 'phone'
  name?: string | undefined
  /** In E.164, with or without the plus. */
  phone: string
}

/** A security key, or whatever else speaks WebAuthn. */
export interface EnrollWebauthn extends Caller {
  type: 'webauthn'
  name?: string | undefined
}

/** What is shown of a new factor, once. */
export interface Enrolled {
  id: string
  type: 'totp' | 'phone' | 'webauthn'
  friendly_name: string
  totp?: { qr_code: string; secret: string; uri: string }
  phone?: string
}

/** Milliseconds after which a factor that was never verified makes room for another. */
const abandonedAfter = 60 * 60_000

/** What a TOTP secret is sealed for: it opens for this factor alone. */
export const sealedFor = (factorId: string): string => `auth-factor:${factorId}`

/**
 * Adds a factor that counts for nothing until it is verified. One trip.
 *
 * @throws {Fault} `insufficient_aal` if the user has a verified factor and the session has not shown one;
 * `mfa_factor_name_conflict`, `too_many_enrolled_mfa_factors`, `mfa_verified_factor_exists`,
 * `mfa_phone_enroll_not_enabled`, `validation_failed`, and what `getUser` throws.
 */
export const enroll =
  (settings: Settings, mfa: MfaSettings) =>
  async (scope: Scope, input: EnrollTotp | EnrollPhone | EnrollWebauthn): Promise<Enrolled> => {
    const { userId, type, name = '' } = input
    const number = input.type === 'phone' ? phoneOf(input.phone) : null
    const now = scope.now()
    const id = uuidv7(now)
    const secret = type === 'totp' ? newSecret() : null
    const sealed = secret && (await seal(scope, sealedFor(id), secret))
    const session = alive(scope, input)

    const clear = scope.db
      .prepare(
        `DELETE FROM leanto_auth_factors WHERE user_id = ?1 AND status = 'unverified'
           AND (created_at <= ?2 OR phone = ?3)`,
      )
      .bind(userId, now - abandonedAfter, number)
    const insert = scope.db
      .prepare(
        `INSERT INTO leanto_auth_factors
           (id, user_id, type, name, status, secret, phone, created_at, updated_at)
         SELECT ?, s.user_id, ?, ?, 'unverified', ?, ?, ?, ? FROM ${session.sql} AND (s.aal = 'aal2' OR NOT EXISTS (
             SELECT 1 FROM leanto_auth_factors f WHERE f.user_id = s.user_id AND f.status = 'verified'))
           AND (SELECT count(*) FROM leanto_auth_factors f WHERE f.user_id = s.user_id) < ?
           AND NOT EXISTS (SELECT 1 FROM leanto_auth_factors f
             WHERE f.user_id = s.user_id AND f.phone = ?)
         ON CONFLICT DO NOTHING RETURNING id`,
      )
      .bind(id, type, name, sealed, number, now, now, ...session.values, mfa.maxFactors, number)

    const results = await scope.db.batch([clear, ...standing(scope, input), insert])
    const stood = readStanding(scope, results.slice(1, 3))
    if (results[3]?.results.length !== 1) throw refusal(stood, name, number, mfa.maxFactors)

    happened(settings, scope, {
      action: 'factor_enrolled',
      userId,
      data: { factor_id: id, factor_type: type },
    })
    if (type === 'webauthn') return { id, type, friendly_name: name }
    if (!secret) return { id, type, friendly_name: name, phone: number ?? '' }
    const issuer = (input as EnrollTotp).issuer || new URL(settings.site(scope)).host
    const uri = totpUri(secret, { issuer, account: stood.email ?? stood.phone ?? userId })
    return {
      id,
      type,
      friendly_name: name,
      totp: { qr_code: qrCode(uri), secret, uri },
    }
  }

/** Why the insert was refused, in the order in which GoTrue looks. */
function refusal(
  { aal, factors }: { aal: string; factors: readonly FactorRow[] },
  name: string,
  phone: string | null,
  most: number,
) {
  if (phone && factors.some((factor) => factor.phone === phone && factor.status === 'verified'))
    return mfaFaults.mfa_verified_factor_exists()
  if (name && factors.some((factor) => factor.name === name))
    return mfaFaults.mfa_factor_name_conflict()
  if (factors.length >= most) return mfaFaults.too_many_enrolled_mfa_factors()
  if (aal !== 'aal2' && factors.some(({ status }) => status === 'verified'))
    return mfaFaults.insufficient_aal()
  // A parallel call was first, with the same name or the last free place.
  return authFaults.conflict()
}

/** E.164 without the plus, as GoTrue stores numbers. */
function phoneOf(text: string): string {
  const digits = text.replace(/^\+/, '')
  if (/^[1-9]\d{5,14}$/.test(digits)) return digits
  throw authFaults.validation_failed({
    message: 'Invalid phone number format (E.164 required)',
  })
}
