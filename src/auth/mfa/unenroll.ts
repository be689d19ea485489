import type { Scope } from '../../core/scope.ts'
import { authFaults } from '../faults.ts'
import { sendMail } from '../mails.ts'
import { happened } from '../part.ts'
import type { Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import { mfaFaults } from './faults.ts'
import { alive, readStanding, standing } from './standing.ts'

export interface Unenroll extends Caller {
  factorId: string
}

/**
 * Removes a factor; a verified one only from a session that has shown a second factor. Sessions that it had raised are aal1
 * from their next refresh. One trip.
 *
 * @throws {Fault} `mfa_factor_not_found` (404), `insufficient_aal` (422), `mfa_recovery_codes_sole_factor`,
 * `validation_failed` for recovery codes, and what `getUser` throws.
 */
export const unenroll =
  (settings: Settings) =>
  async (scope: Scope, input: Unenroll): Promise<{ id: string }> => {
    const { userId, factorId } = input
    const session = alive(scope, input)
    const remove = scope.db
      .prepare(
        `DELETE FROM leanto_auth_factors AS f WHERE f.id = ? AND f.type <> 'recovery_code'
           AND EXISTS (SELECT 1 FROM ${session.sql}
             AND s.user_id = f.user_id AND (f.status = 'unverified' OR s.aal = 'aal2'))
           AND (f.status = 'unverified'
             OR NOT EXISTS (SELECT 1 FROM leanto_auth_factors r
               WHERE r.user_id = f.user_id AND r.type = 'recovery_code')
             OR EXISTS (SELECT 1 FROM leanto_auth_factors o WHERE o.user_id = f.user_id
               AND o.id <> f.id AND o.status = 'verified' AND o.type <> 'recovery_code'))
         RETURNING id`,
      )
      .bind(factorId, ...session.values)
    const results = await scope.db.batch([
      ...standing(scope, input),
      remove,
      lower(scope, { userId, factorId }),
    ])
    const { aal, factors, mailbox } = readStanding(scope, results)
    const factor = factors.find(({ id }) => id === factorId)
    if (!factor) throw mfaFaults.mfa_factor_not_found()
    if (results[2]?.results.length !== 1) {
      if (factor.type === 'recovery_code')
        throw authFaults.validation_failed({
          status: 422,
          message:
            'Recovery codes cannot be unenrolled with this endpoint, use DELETE /factors/recovery-codes',
        })
      if (factor.status === 'verified' && aal !== 'aal2')
        throw mfaFaults.insufficient_aal({
          status: 422,
          message: 'AAL2 required to unenroll verified factor',
        })
      throw mfaFaults.mfa_recovery_codes_sole_factor({
        message:
          'Recovery codes cannot be the only verified factor. Please enroll another factor before unenrolling this one or delete your recovery codes.',
      })
    }
    happened(settings, scope, {
      action: 'factor_unenrolled',
      userId,
      data: { factor_id: factorId, factor_type: factor.type, factor_status: factor.status },
    })
    if (factor.status === 'verified' && mailbox)
      sendMail(settings, scope, 'factor_removed', { email: mailbox, subject: factor.type })
    return { id: factorId }
  }

/** Takes the second factor off the sessions that it had raised, once it is gone. */
const lower = (scope: Scope, { userId, factorId }: { userId: string; factorId: string }) =>
  scope.db
    .prepare(
      `UPDATE leanto_auth_sessions SET aal = 'aal1', factor_id = NULL
       WHERE user_id = ?1 AND factor_id = ?2
         AND NOT EXISTS (SELECT 1 FROM leanto_auth_factors WHERE id = ?2)`,
    )
    .bind(userId, factorId)
