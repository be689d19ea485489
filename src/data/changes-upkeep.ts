import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import type { Live } from './live.ts'
import { liveTriggers } from './live-ddl.ts'

/** Entries that one statement removes, and statements that one run of the upkeep makes, at most. */
const slice = 5000
const slices = 10

/**
 * Trims the change log of what is older than `keepFor` days, and sees that the triggers that fill it are there.
 *
 * @throws {Error} if one is missing, for the cron run to show as failed: what is written meanwhile is not logged.
 */
export async function keepChanges(
  scope: Scope,
  { live, keepFor }: { live: readonly Live[]; keepFor: number },
): Promise<void> {
  const oldest = scope.now() - keepFor * 24 * 60 * 60 * 1000
  for (let i = 0; i < slices; i++) {
    const [, changed] = await scope.db.batch<{ n: number }>([
      trim(scope, oldest),
      scope.db.prepare('SELECT changes() AS n'),
    ])
    if (changed?.results[0]?.n !== slice) break
  }
  const missing = await missingTriggers(scope, live)
  if (missing.length > 0)
    throw new Error(
      `data: changes of ${missing.join(', ')} are not logged: triggers are missing, as after the table was rebuilt. Run \`npx leanto rebuild\` and apply what it writes`,
    )
}

/**
 * Removes from the front only, up to the first entry that is young enough: clocks may go back, and a hole further on
 * would not be seen as a gap. The newest entry stays, see `changesMigration`.
 */
const trim = (scope: Scope, oldest: number): Statement =>
  scope.db
    .prepare(
      `DELETE FROM leanto_data_changes WHERE seq IN (
         SELECT seq FROM leanto_data_changes
         WHERE seq < coalesce(
           (SELECT seq FROM (SELECT seq, at FROM leanto_data_changes ORDER BY seq LIMIT ${slice} + 1) WHERE at >= ?1 LIMIT 1),
           9e18)
         ORDER BY seq LIMIT ${slice})`,
    )
    .bind(oldest)

async function missingTriggers(scope: Scope, live: readonly Live[]): Promise<string[]> {
  const { results } = await scope.db
    .prepare(`SELECT name FROM sqlite_master WHERE type = 'trigger'`)
    .all<{ name: string }>()
  const there = new Set(results.map(({ name }) => name))
  return live
    .filter((one) => !liveTriggers(one).every((name) => there.has(name)))
    .map(({ table }) => table)
}
