import type { Scope } from '../../core/scope.ts'
import { byId } from '../condition.ts'
import type { Factor } from '../mfa/factor.ts'
import { mfaFaults } from '../mfa/faults.ts'
import { happened } from '../part.ts'
import type { Settings } from '../settings.ts'
import type { User, UserRow } from '../wire.ts'
import { notFound, readUser } from './users.ts'

/** Whether there are factors to administer. */
export const hasFactors = ({ parts }: Settings): boolean => parts.some(({ name }) => name === 'mfa')

/** One trip. @throws {Fault} `user_not_found` (404). */
export const listFactors =
  (settings: Settings) =>
  async (scope: Scope, { userId }: { userId: string }): Promise<Factor[]> => {
    const row = await readUser(settings, scope, byId(userId)).first<UserRow>()
    if (!row) throw notFound()
    return factorsOf(settings.toUser(row))
  }

const factorsOf = (user: User & { factors?: Factor[] }): Factor[] => user.factors ?? []

/**
 * Removes a factor, for a user who has lost it; with the last one go their recovery codes. The sessions that it had raised
 * end. One trip.
 *
 * @throws {Fault} `user_not_found`, `mfa_factor_not_found` (404 each).
 */
export const deleteFactor =
  (settings: Settings) =>
  async (
    scope: Scope,
    { userId, factorId }: { userId: string; factorId: string },
  ): Promise<Factor> => {
    const gone = 'NOT EXISTS (SELECT 1 FROM leanto_auth_factors WHERE id = ?2)'
    // Recovery codes can never be a user's only second factor.
    const lonely = `user_id = ?1 AND type = 'recovery_code' AND NOT EXISTS (
      SELECT 1 FROM leanto_auth_factors o WHERE o.user_id = ?1
        AND o.type <> 'recovery_code' AND o.status = 'verified')`
    const statement = (sql: string, ...values: unknown[]) => scope.db.prepare(sql).bind(...values)
    const [before, deleted] = await scope.db.batch([
      readUser(settings, scope, byId(userId)),
      statement(
        'DELETE FROM leanto_auth_factors WHERE user_id = ?1 AND id = ?2 RETURNING id',
        userId,
        factorId,
      ),
      statement(
        `DELETE FROM leanto_auth_recovery_codes WHERE factor_id = ?2 OR factor_id IN (
           SELECT id FROM leanto_auth_factors WHERE ${lonely})`,
        userId,
        factorId,
      ),
      statement(`DELETE FROM leanto_auth_factors WHERE ${lonely}`, userId),
      statement(
        `DELETE FROM leanto_auth_sessions WHERE user_id = ?1 AND factor_id = ?2 AND ${gone}`,
        userId,
        factorId,
      ),
    ])
    const row = before?.results[0] as unknown as UserRow | undefined
    if (!row) throw notFound()
    const factor = factorsOf(settings.toUser(row)).find(({ id }) => id === factorId)
    if (!factor || deleted?.results.length !== 1) throw mfaFaults.mfa_factor_not_found()
    happened(settings, scope, {
      action: 'factor_deleted',
      userId,
      data: { factor_id: factorId, factor_type: factor.factor_type },
    })
    return factor
  }
