import type { Scope } from '../core/scope.ts'

/** Answers that one statement removes, and statements that one run of the upkeep makes, at most. */
const slice = 1000
const slices = 10

/** Removes the answers whose time is over. Until then, and after it, a request with their key is not held up by them. */
export async function trimAnswers({ db, now }: Scope): Promise<void> {
  const statement = db
    .prepare(
      `DELETE FROM leanto_data_answers WHERE (key, n, part) IN (
         SELECT key, n, part FROM leanto_data_answers WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ${slice})
       RETURNING 1`,
    )
    .bind(Math.floor(now() / 1000))
  for (let i = 0; i < slices; i++) if ((await statement.all()).results.length < slice) return
}
