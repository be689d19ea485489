import { isUuid } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import type { Page } from '../admin/paging.ts'
import { authFaults } from '../faults.ts'
import { happened } from '../part.ts'
import type { Settings } from '../settings.ts'

/** Someone's acting for a user. Times are ISO 8601. */
export interface Impersonated {
  /** Also the `session_id` of its tokens. */
  id: string
  user_id: string
  /** The admin's user id, or what the server has called them. */
  actor: string
  reason: string
  readonly: boolean
  /** Where it was asked for. */
  network: string | null
  started_at: string
  expires_at: string
  /** When it ended, if it was before its time. */
  ended_at: string | undefined
  running: boolean
}

export interface ListImpersonations extends Page {
  /** Of this user alone. @default everyone */
  userId?: string | undefined
}

interface Row {
  id: string
  user_id: string
  actor: string
  reason: string
  readonly: number
  network: string | null
  started_at: number
  expires_at: number
  ended_at: number | null
}

const iso = (time: number): string => new Date(time).toISOString()

const shown = (scope: Scope, row: Row): Impersonated => ({
  id: row.id,
  user_id: row.user_id,
  actor: row.actor,
  reason: row.reason,
  readonly: row.readonly === 1,
  network: row.network,
  started_at: iso(row.started_at),
  expires_at: iso(row.expires_at),
  ended_at: row.ended_at === null ? undefined : iso(row.ended_at),
  running: row.ended_at === null && row.expires_at > scope.now(),
})

/** See `Impersonation.list`. */
export async function listImpersonations(
  scope: Scope,
  { page, perPage, userId }: ListImpersonations,
): Promise<{ impersonations: Impersonated[]; total: number }> {
  const of = `FROM leanto_auth_impersonations ${userId === undefined ? '' : 'WHERE user_id = ?'}`
  const user = userId === undefined ? [] : [userId]
  const [rows, counted] = await scope.db.batch([
    scope.db
      .prepare(`SELECT * ${of} ORDER BY id DESC LIMIT ? OFFSET ?`)
      .bind(...user, perPage, (page - 1) * perPage),
    scope.db.prepare(`SELECT count(*) AS total ${of}`).bind(...user),
  ])
  return {
    impersonations: ((rows?.results ?? []) as unknown as Row[]).map((row) => shown(scope, row)),
    total: Number(counted?.results[0]?.total),
  }
}

export interface StopImpersonation {
  id: string
  /** Who ends it: its own session, an admin by their user id, or the server. */
  by: string
  network?: string | null | undefined
}

/** One trip. @throws {Fault} `session_not_found` (404). */
export const stopImpersonation =
  (settings: Settings) =>
  async (scope: Scope, { id, by, network }: StopImpersonation): Promise<void> => {
    const now = scope.now()
    const [ended] = await scope.db.batch<{ user_id: string; actor: string }>([
      scope.db
        .prepare(
          `UPDATE leanto_auth_impersonations SET ended_at = ?1
           WHERE id = ?2 AND ended_at IS NULL AND expires_at > ?1 RETURNING user_id, actor`,
        )
        .bind(now, id),
      scope.db
        .prepare(`DELETE FROM leanto_auth_sessions WHERE id = ? AND tag = 'impersonation'`)
        .bind(id),
    ])
    const row = ended?.results[0]
    if (!row)
      throw authFaults.session_not_found({ status: 404, message: 'No impersonation is running' })
    const who = by === 'itself' ? row.actor : by
    const userId = isUuid(who) ? who : undefined
    const data = { ...row, impersonation_id: id, by }
    happened(settings, scope, { action: 'impersonation_stopped', userId, network, data })
  }
