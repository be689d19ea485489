import type { Statement } from '../../../core/database.ts'
import type { Scope } from '../../../core/scope.ts'
import { hash } from '../../../core/secret.ts'
import { keyedHash } from '../../codes.ts'
import type { Proof } from './proof.ts'

/** Seconds that a nonce lives at least; twice as long at most. */
const nonceSeconds = 150
/** Seconds that a proof is remembered at least: longer than one can be good, see `longestWindow`. Twice as long at most. */
const periodSeconds = 600
/** Seconds that a proof may be old, or of the future, at most. */
export const longestWindow = 300

const periodOf = (scope: Scope, seconds: number) => Math.floor(scope.now() / 1000 / seconds)

/**
 * Uses a proof up (RFC 9449, 11.1): of many calls with it, one statement answers a row (case 19). By its key and its `jti`, so
 * that nobody can use up another's, and a signature in another form is the same proof.
 *
 * It joins the batch that the proof is for; what else of that batch counts asks `once`.
 */
export async function takeProof(scope: Scope, { jkt, jti }: Proof): Promise<Statement> {
  const period = periodOf(scope, periodSeconds)
  return scope.db
    .prepare(
      `INSERT INTO leanto_auth_dpop_proofs (period, hash) SELECT ?1, ?2
       WHERE NOT EXISTS (SELECT 1 FROM leanto_auth_dpop_proofs WHERE period = ?1 - 1 AND hash = ?2)
       ON CONFLICT DO NOTHING RETURNING period`,
    )
    .bind(period, await hash(`${jkt}.${jti}`))
}

/** Removes what no proof can be compared with any more. */
export const purgeProofs = (scope: Scope): Statement =>
  scope.db
    .prepare(
      `DELETE FROM leanto_auth_dpop_proofs WHERE (period, hash) IN (
         SELECT period, hash FROM leanto_auth_dpop_proofs WHERE period < ? LIMIT 10000)`,
    )
    .bind(periodOf(scope, periodSeconds) - 1)

/**
 * The nonces that count now, the newest first. Made of the time and the secret: no table holds them, every Worker of the app
 * knows them, and nobody else can make one ahead.
 */
export function noncesOf(scope: Scope): Promise<string[]> {
  const period = periodOf(scope, nonceSeconds)
  return Promise.all(
    [period, period - 1].map((one) => keyedHash(scope, 'auth:dpop-nonce', String(one))),
  )
}
