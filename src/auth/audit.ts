import type { Statement } from '../core/database.ts'
import { uuidv7 } from '../core/id.ts'
import type { Scope } from '../core/scope.ts'
import type { AuthEvent } from './part.ts'

// By id, which is by time: what is read is the newest, and what is trimmed the oldest.
/** An entry as GoTrue shows one. */
export interface AuditEntry {
  id: string
  payload: { action: string; actor_id: string | null; traits: Record<string, unknown> }
  /** ISO 8601. */
  created_at: string
  /** The network that the call came from; empty if it is not known. */
  ip_address: string
}

interface AuditRow {
  id: string
  action: string
  user_id: string | null
  network: string | null
  data: string
  created_at: number
}

/** Stores what happened. */
export async function record(scope: Scope, event: AuthEvent): Promise<void> {
  const { action, userId, network, data } = event
  const now = scope.now()
  await scope.db
    .prepare('INSERT INTO leanto_auth_audit VALUES (?, ?, ?, ?, ?, ?)')
    .bind(uuidv7(now), action, userId ?? null, network ?? null, JSON.stringify(data ?? {}), now)
    .run()
}

/** A page of the log, the newest first, with the number of all entries. One trip. */
export async function readAudit(
  scope: Scope,
  { page, perPage, userId }: { page: number; perPage: number; userId?: string | undefined },
): Promise<{ entries: AuditEntry[]; total: number }> {
  const where = userId === undefined ? '' : 'WHERE user_id = ?3'
  const user = userId === undefined ? [] : [userId]
  const [rows, counted] = await scope.db.batch([
    scope.db
      .prepare(`SELECT * FROM leanto_auth_audit ${where} ORDER BY id DESC LIMIT ?1 OFFSET ?2`)
      .bind(perPage, (page - 1) * perPage, ...user),
    scope.db
      .prepare(`SELECT count(*) AS total FROM leanto_auth_audit ${where.replace('?3', '?1')}`)
      .bind(...user),
  ])
  return {
    entries: ((rows?.results ?? []) as unknown as AuditRow[]).map(toEntry),
    total: Number(counted?.results[0]?.total),
  }
}

const toEntry = (row: AuditRow): AuditEntry => ({
  id: row.id,
  payload: {
    action: row.action,
    actor_id: row.user_id,
    traits: JSON.parse(row.data) as Record<string, unknown>,
  },
  created_at: new Date(row.created_at).toISOString(),
  ip_address: row.network ?? '',
})

/** Trims the log, a bounded slice at a time. @param days How long an entry is kept. */
export const trimAudit = (scope: Scope, days: number): Statement =>
  scope.db
    .prepare(
      `DELETE FROM leanto_auth_audit WHERE id IN (
         SELECT id FROM leanto_auth_audit WHERE id < ? ORDER BY id LIMIT 1000)`,
    )
    // The smallest id of that millisecond.
    .bind(`${uuidv7(scope.now() - days * 86_400_000).slice(0, 14)}7`)
