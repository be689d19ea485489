import { isUuid } from '../../core/id.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { ok, refuse } from '../body.ts'
import { sessionOf } from '../caller.ts'
import { type Doors, happened } from '../part.ts'
import type { Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import { callerStatement, checkCaller } from '../user.ts'
import { type ClientRow, type ClientShown, shownClient } from './client.ts'
import { oauthServerFaults } from './faults.ts'

/** What a user has agreed to, as GoTrue shows it. */
export interface OAuthGrant {
  client: ClientShown
  scopes: string[]
  /** ISO 8601. */
  granted_at: string
}

type Row = Pick<ClientRow, 'id' | 'name' | 'uri' | 'logo_uri'> & {
  scopes: string
  granted_at: number
}

/** The caller's grants, the newest first. One trip. */
async function listGrants(settings: Settings, scope: Scope, caller: Caller): Promise<OAuthGrant[]> {
  const [user, grants] = await scope.db.batch([
    callerStatement(settings, scope, caller),
    scope.db
      .prepare(
        `SELECT c.id, c.name, c.uri, c.logo_uri, n.scopes, n.granted_at
         FROM leanto_auth_oauth_consents n JOIN leanto_auth_oauth_clients c ON c.id = n.client_id
         WHERE n.user_id = ? ORDER BY n.granted_at DESC, c.id`,
      )
      .bind(caller.userId),
  ])
  checkCaller(scope, user?.results[0])
  return ((grants?.results ?? []) as unknown as Row[]).map((row) => ({
    client: shownClient(row),
    scopes: JSON.parse(row.scopes) as string[],
    granted_at: new Date(row.granted_at).toISOString(),
  }))
}

/**
 * Takes back what was agreed to, and ends what came of it: codes, sessions and their refresh tokens. Access tokens that are
 * out stay valid for other modules until they expire. One trip.
 *
 * @throws {Fault} `oauth_consent_not_found` (404), and what `getUser` throws.
 */
async function revokeGrant(
  settings: Settings,
  scope: Scope,
  input: Caller & { clientId: string },
): Promise<void> {
  const { userId, clientId } = input
  const session = sessionOf(scope, input)
  const alive = `EXISTS (SELECT 1 FROM ${session.sql})`
  const end = (sql: string) =>
    scope.db.prepare(`${sql} AND ${alive}`).bind(userId, clientId, ...session.values)
  const [user, consent] = await scope.db.batch([
    callerStatement(settings, scope, input),
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_oauth_consents WHERE user_id = ? AND client_id = ? AND ${alive}
         RETURNING client_id`,
      )
      .bind(userId, clientId, ...session.values),
    end('DELETE FROM leanto_auth_oauth_codes WHERE user_id = ? AND client_id = ?'),
    end(`DELETE FROM leanto_auth_sessions WHERE id IN (
      SELECT session_id FROM leanto_auth_oauth_sessions WHERE user_id = ? AND client_id = ?)`),
    end('DELETE FROM leanto_auth_oauth_sessions WHERE user_id = ? AND client_id = ?'),
  ])
  checkCaller(scope, user?.results[0])
  if (consent?.results.length !== 1) throw oauthServerFaults.oauth_consent_not_found()
  const data = { client_id: clientId }
  happened(settings, scope, { action: 'oauth_grant_revoked', userId, data })
}

export const grantRoutes = ({ settings, callerOf }: Doors): Route[] => [
  [
    'GET',
    '/user/oauth/grants',
    async (scope, c) => ok(await listGrants(settings, scope, await callerOf(scope, c.req.raw))),
  ],
  [
    'DELETE',
    '/user/oauth/grants',
    async (scope, c) => {
      const caller = await callerOf(scope, c.req.raw)
      const clientId = c.req.query('client_id')?.toLowerCase() ?? ''
      if (!isUuid(clientId)) throw refuse('client_id must be a UUID')
      await revokeGrant(settings, scope, { ...caller, clientId })
      return new Response(null, { status: 204 })
    },
  ],
]
