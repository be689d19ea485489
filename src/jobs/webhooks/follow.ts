import type { Scope } from '../../core/scope.ts'
import { type Message, messageStatements } from './send.ts'

/** One page of a log, as `changes(…)` of `leanto/data` answers it. */
interface Page<Change> {
  readonly changes: readonly Change[]
  readonly last: number
  readonly more: boolean
  readonly gap: boolean
}

export interface FollowInput<Change> {
  /** What is followed: its place in the log is kept under this name. */
  readonly name: string
  /**
   * Reads what came after a place, a page of changes; `'now'` the first time:
   * `(since) => changes(scope, store, { since })`.
   */
  readonly read: (since: number | 'now') => Promise<Page<Change>>
  /** What to tell of a change, and to whom; `null` for nothing. */
  readonly message: (change: Change) => Message | null
}

export interface Followed {
  /** How many messages were written. */
  readonly sent: number
  /** Whether there is more to read now. */
  readonly more: boolean
  /** Whether changes had been trimmed before they were read: they are not sent. */
  readonly gap: boolean
}

/**
 * Reads one page, and writes its messages and the new place in one transaction that holds only at the old place: two that
 * follow at once send each change once. Two trips besides the reading.
 */
export async function follow<Change>(
  scope: Scope,
  { name, read, message }: FollowInput<Change>,
  attempts: number,
): Promise<Followed> {
  const row = await scope.db
    .prepare('SELECT position FROM leanto_jobs_cursors WHERE name = ?')
    .bind(name)
    .first<{ position: number }>()
  if (!row) {
    const { last } = await read('now')
    await scope.db
      .prepare('INSERT OR IGNORE INTO leanto_jobs_cursors (name, position) VALUES (?, ?)')
      .bind(name, last)
      .run()
    return { sent: 0, more: false, gap: false }
  }
  const { position } = row
  const page = await read(position)
  if (page.last === position) return { sent: 0, more: page.more, gap: page.gap }
  const messages = page.changes.map(message).filter((one) => one !== null)
  const guard = { name, position }
  const results = await scope.db.batch([
    ...messageStatements(scope, messages, { attempts, guard }).statements,
    scope.db
      .prepare(
        'UPDATE leanto_jobs_cursors SET position = ?3 WHERE name = ?1 AND position = ?2 RETURNING 1',
      )
      .bind(name, position, page.last),
  ])
  // Another was faster, and has sent them.
  const won = (results.at(-1)?.results.length ?? 0) > 0
  return { sent: won ? messages.length : 0, more: page.more, gap: page.gap }
}
