import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { databaseId } from '../database.ts'
import { syncFaults } from '../faults.ts'

/** How far a view, or an index, is. */
export interface ViewState {
  id: number
  version: string
  seq: number
  purge_seq: number
  total: number
}

/** The id of a source's rows, as an SQL expression. `?3` is the source's name. */
export const viewId = `(SELECT id FROM leanto_sync_views WHERE db = ${databaseId} AND name = ?3)`

/** Prepares a statement whose `?1` is the view. */
export type Run = (sql: string, ...more: unknown[]) => Statement

/**
 * Writes what follows from a state, in one transaction. What another request has done in the meantime makes it fail, and
 * nothing of it is kept: whoever asked looks again.
 *
 * @throws {Fault} `service_unavailable` (503) if D1 fails.
 */
export async function runUnlessStale(
  scope: Scope,
  { id, seq, version, purge_seq }: ViewState,
  statements: readonly Statement[],
): Promise<void> {
  const same = scope.db
    .prepare(
      `SELECT CASE WHEN EXISTS (SELECT 1 FROM leanto_sync_views
         WHERE id = ?1 AND seq = ?2 AND version = ?3 AND purge_seq = ?4) THEN 1 ELSE json('stale') END`,
    )
    .bind(id, seq, version, purge_seq)
  try {
    await scope.db.batch([same, ...statements])
  } catch (cause) {
    if (!String(cause).includes('malformed JSON')) throw syncFaults.service_unavailable({ cause })
  }
}

/** Of a parameter, in bytes: D1's end at 2 MB. */
const largest = 1_000_000

/** Lines in as many parameters as they need. */
export function chunks<Line extends readonly unknown[]>(lines: readonly Line[]): Line[][] {
  const all: Line[][] = []
  let size = 0
  for (const line of lines) {
    const bytes = line.reduce<number>((sum, part) => sum + String(part).length * 2 + 8, 0)
    if (all.length === 0 || size + bytes > largest) {
      all.push([])
      size = 0
    }
    all.at(-1)?.push(line)
    size += bytes
  }
  return all
}
