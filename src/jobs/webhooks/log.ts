import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'

/** One attempt. */
export interface Delivery {
  /** Give the last one as `before` for the next page. */
  readonly n: number
  readonly message: string
  readonly type: string | null
  readonly attempt: number
  /** Unix milliseconds. */
  readonly at: number
  /** Milliseconds. */
  readonly took: number
  /** `null` if there was no answer. */
  readonly status: number | null
  /** `null` if it was delivered. */
  readonly error: string | null
}

/** One trip. */
export async function listDeliveries(
  { db }: Scope,
  {
    endpoint,
    owner,
    before = Number.MAX_SAFE_INTEGER,
    limit = 50,
  }: { endpoint: string; owner?: string; before?: number; limit?: number },
): Promise<Delivery[]> {
  const { results } = await db
    .prepare(
      `SELECT d.n, d.message_id AS message, m.type, d.attempt, d.at, d.took, d.status, d.error
       FROM leanto_jobs_deliveries d LEFT JOIN leanto_jobs_messages m ON m.id = d.message_id
       WHERE d.endpoint_id = ?1 AND d.n < ?2
         AND (?3 IS NULL OR EXISTS (SELECT 1 FROM leanto_jobs_endpoints WHERE id = ?1 AND owner_id = ?3))
       ORDER BY d.n DESC LIMIT min(?4, 200)`,
    )
    .bind(endpoint, before, owner ?? null, limit)
    .all<Delivery>()
  return results
}

/** Forgets messages and attempts that are older, 1,000 of each at most. */
export const upkeepOf = ({ db, now }: Scope, age: number): Statement[] => [
  db
    .prepare(
      `DELETE FROM leanto_jobs_messages WHERE id IN (
         SELECT id FROM leanto_jobs_messages WHERE created_at <= ? ORDER BY created_at LIMIT 1000)`,
    )
    .bind(now() - age),
  db
    .prepare(
      `DELETE FROM leanto_jobs_deliveries WHERE n IN (
         SELECT n FROM leanto_jobs_deliveries WHERE at <= ? ORDER BY at LIMIT 1000)`,
    )
    .bind(now() - age),
]
