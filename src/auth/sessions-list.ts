import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { ok } from './body.ts'
import { sessionOf } from './caller.ts'
import { authFaults } from './faults.ts'
import { type AuthPart, type Doors, happened } from './part.ts'
import { idParam } from './request.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'
import type { Amr } from './wire.ts'

export interface SessionsOptions {
  /** Whether a user has one session at most: signing in ends the one before. @default false */
  single?: boolean
}

/** A session as its user sees it. Times are ISO 8601. */
export interface ListedSession {
  id: string
  /** Whether it is the one that asks. */
  current: boolean
  /** Whether someone of the host's acts for the user in it; of their device nothing is said. */
  impersonated: boolean
  created_at: string
  refreshed_at: string | undefined
  not_after: string | undefined
  aal: string
  amr: Amr[]
  user_agent: string | null
  ip: string | null
}

interface Row {
  id: string
  tag: string | null
  created_at: number
  refreshed_at: number | null
  not_after: number | null
  aal: string
  amr: string
  user_agent: string | null
  ip: string | null
}

/**
 * Lets users see where they are signed in, and sign out there (ASVS 5.0, 7.5.2): `GET /sessions`, `DELETE /sessions/:id`.
 * GoTrue has no such routes.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function sessions({ single = false }: SessionsOptions = {}): AuthPart {
  if (typeof single !== 'boolean') throw new TypeError('sessions: `single` must be true or false')
  return {
    name: 'sessions',
    routes: (doors): Route[] => [
      ['GET', '/sessions', list(doors)],
      ['DELETE', '/sessions/:session_id', revoke(doors)],
    ],
    ...(single
      ? {
          started: (scope: Scope, sessionId: string) => [
            scope.db
              .prepare(
                `DELETE FROM leanto_auth_sessions WHERE id <> ?1
                   AND user_id = (SELECT user_id FROM leanto_auth_sessions WHERE id = ?1)`,
              )
              .bind(sessionId),
          ],
        }
      : {}),
  }
}

const list =
  ({ callerOf }: Doors): Route[2] =>
  async (scope, c) =>
    ok(await listSessions(scope, await callerOf(scope, c.req.raw, { acted: true })))

const revoke =
  ({ settings, callerOf }: Doors): Route[2] =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const id = idParam(c, 'session_id')
    await revokeSession(settings)(scope, { ...caller, id })
    return new Response(null, { status: 204 })
  }

/** The most that are shown; a user with more has been signing in by a script. */
const most = 200

const iso = (time: number | null): string | undefined =>
  time === null ? undefined : new Date(time).toISOString()

/** The caller's sessions that can still be refreshed, the newest first. One trip. @throws {Fault} `session_not_found`. */
async function listSessions(scope: Scope, caller: Caller): Promise<ListedSession[]> {
  const session = sessionOf(scope, caller)
  const now = scope.now()
  const [own, listed] = await scope.db.batch<Row>([
    scope.db.prepare(`SELECT 1 FROM ${session.sql}`).bind(...session.values),
    scope.db
      .prepare(
        `SELECT id, tag, created_at, refreshed_at, not_after, aal, amr, user_agent, ip
         FROM leanto_auth_sessions WHERE user_id = ? AND coalesce(not_after, ?) > ?
         ORDER BY id DESC LIMIT ${most}`,
      )
      .bind(caller.userId, now + 1, now),
  ])
  if (own?.results.length !== 1) throw authFaults.session_not_found()
  return (listed?.results ?? []).map((row) => ({
    id: row.id,
    current: row.id === caller.sessionId && !caller.elsewhere,
    impersonated: row.tag === 'impersonation',
    created_at: iso(row.created_at) as string,
    refreshed_at: iso(row.refreshed_at),
    not_after: iso(row.not_after),
    aal: row.aal,
    amr: JSON.parse(row.amr) as Amr[],
    user_agent: row.user_agent,
    ip: row.ip,
  }))
}

/** Ends one of the caller's sessions. One trip. @throws {Fault} `session_not_found` (403; 404 for the one to be ended). */
const revokeSession =
  (settings: Settings) =>
  async (scope: Scope, { id, ...caller }: Caller & { id: string }): Promise<void> => {
    const { userId } = caller
    const session = sessionOf(scope, caller)
    const [own, ended] = await scope.db.batch([
      scope.db.prepare(`SELECT 1 FROM ${session.sql}`).bind(...session.values),
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_sessions WHERE user_id = ? AND id = ?
             AND EXISTS (SELECT 1 FROM ${session.sql}) RETURNING id`,
        )
        .bind(userId, id, ...session.values),
    ])
    if (own?.results.length !== 1) throw authFaults.session_not_found()
    if (ended?.results.length !== 1)
      throw authFaults.session_not_found({ status: 404, message: 'Session not found' })
    happened(settings, scope, { action: 'session_revoked', userId, data: { session_id: id } })
  }
