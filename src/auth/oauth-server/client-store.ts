import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { checkSpent, spendAll, within } from '../budget.ts'
import { and } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { happened } from '../part.ts'
import { type ClientRow, isPublic, type OAuthClient, selectClient, toClient } from './client.ts'
import { type Metadata, readMetadata } from './client-metadata.ts'
import { oauthServerFaults } from './faults.ts'
import type { Server } from './settings.ts'

const notFound = () => oauthServerFaults.oauth_client_not_found()

export interface NewClient {
  metadata: Metadata
  /** Whether it registers itself: anyone may then. */
  dynamic: boolean
  /** Where the call comes from (`networkOf`). */
  network?: string | null
}

/**
 * Makes a client. Its secret is in this answer and nowhere else. One trip.
 *
 * @throws {Fault} `invalid_client_metadata`, `invalid_redirect_uri`, `rate_limited`, and what the host's hook throws.
 */
export async function createClient(
  server: Server,
  scope: Scope,
  { metadata, dynamic, network }: NewClient,
): Promise<OAuthClient> {
  const fields = readMetadata(server, metadata, { open: dynamic })
  const secret = isPublic(fields) ? undefined : randomToken()
  const now = scope.now()
  const row: ClientRow = {
    ...fields,
    id: crypto.randomUUID(),
    secret: secret === undefined ? null : await hash(secret),
    registration: dynamic ? 'dynamic' : 'manual',
    created_at: now,
    updated_at: now,
  }
  await server.beforeClient(scope, toClient(row), dynamic ? 'registered' : 'created')
  const { registration: limit } = server
  const budgets =
    dynamic && limit && !scope.local
      ? [{ key: `auth:oauth-client:${network ?? 'unknown'}`, limit }]
      : []
  const guard = and(...budgets.map(within))
  const columns = Object.keys(row)
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_auth_oauth_clients (${columns.join(', ')})
       SELECT ${columns.map(() => '?').join(', ')} WHERE ${guard.sql}`,
    )
    .bind(...Object.values(row), ...guard.values)
  checkSpent(scope, budgets, await scope.db.batch([...spendAll(scope, budgets), insert]))
  tell(server, scope, 'created', row.id)
  return toClient(row, secret)
}

const tell = ({ settings }: Server, scope: Scope, what: string, clientId: string) =>
  happened(settings, scope, { action: `oauth_client_${what}`, data: { client_id: clientId } })

/** One trip. @throws {Fault} `oauth_client_not_found` (404). */
export async function getClient(scope: Scope, id: string): Promise<OAuthClient> {
  const row = await selectClient(scope, id).first<ClientRow>()
  if (!row) throw notFound()
  return toClient(row)
}

/** A page of the clients, the newest first, and how many there are. One trip. */
export async function listClients(
  scope: Scope,
  { page, perPage }: { page: number; perPage: number },
): Promise<{ clients: OAuthClient[]; total: number }> {
  const [count, rows] = await scope.db.batch([
    scope.db.prepare('SELECT count(*) AS total FROM leanto_auth_oauth_clients'),
    scope.db
      .prepare(
        `SELECT * FROM leanto_auth_oauth_clients ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?`,
      )
      .bind(perPage, (page - 1) * perPage),
  ])
  return {
    clients: ((rows?.results ?? []) as unknown as ClientRow[]).map((row) => toClient(row)),
    total: Number(count?.results[0]?.total),
  }
}

/**
 * Changes what is said of a client. One that had no secret and is to have one gets it here, and one that is to have none loses
 * it. Two trips.
 *
 * @throws {Fault} `oauth_client_not_found` (404), `conflict` (409), and what `createClient` throws.
 */
export async function updateClient(
  server: Server,
  scope: Scope,
  { id, metadata }: { id: string; metadata: Metadata },
): Promise<OAuthClient> {
  const before = await selectClient(scope, id).first<ClientRow>()
  if (!before) throw notFound()
  const fields = readMetadata(server, metadata, { open: before.registration === 'dynamic', before })
  const fresh = !isPublic(fields) && before.secret === null ? randomToken() : undefined
  const kept = isPublic(fields) ? null : before.secret
  const secret = fresh === undefined ? kept : await hash(fresh)
  const row = { ...before, ...fields, secret, updated_at: scope.now() }
  await server.beforeClient(scope, toClient(row), 'updated')
  const changes = Object.entries({ ...fields, secret, updated_at: row.updated_at })
  const changed = await scope.db
    .prepare(
      `UPDATE leanto_auth_oauth_clients SET ${changes.map(([name]) => `${name} = ?`).join(', ')}
       WHERE id = ? AND secret IS ? AND updated_at = ? RETURNING id`,
    )
    .bind(...changes.map(([, value]) => value), id, before.secret, before.updated_at)
    .first()
  if (!changed) throw authFaults.conflict({ message: 'The client was changed at the same time' })
  tell(server, scope, 'updated', id)
  return toClient(row, fresh)
}

/** A new secret in the place of the old one, which is dead at once. One trip. @throws {Fault} `oauth_client_not_found` (404), `validation_failed` (400). */
export async function regenerateSecret(
  server: Server,
  scope: Scope,
  id: string,
): Promise<OAuthClient> {
  const secret = randomToken()
  const [, found] = await scope.db.batch<ClientRow>([
    scope.db
      .prepare(
        `UPDATE leanto_auth_oauth_clients SET secret = ?, updated_at = ?
         WHERE id = ? AND secret IS NOT NULL`,
      )
      .bind(await hash(secret), scope.now(), id),
    selectClient(scope, id),
  ])
  const row = found?.results[0]
  if (!row) throw notFound()
  if (row.secret === null)
    throw authFaults.validation_failed({ message: 'Cannot regenerate secret for public client' })
  tell(server, scope, 'secret_regenerated', id)
  return toClient(row, secret)
}

/** Deletes a client with what it was given. Its codes and requests are of no use without it, and end by themselves. One trip. @throws {Fault} `oauth_client_not_found` (404). */
export async function deleteClient(server: Server, scope: Scope, id: string): Promise<void> {
  const of = (sql: string): Statement => scope.db.prepare(sql).bind(id)
  const results = await scope.db.batch([
    of(`DELETE FROM leanto_auth_sessions WHERE id IN (
      SELECT session_id FROM leanto_auth_oauth_sessions WHERE client_id = ?)`),
    ...['sessions', 'consents'].map((table) =>
      of(`DELETE FROM leanto_auth_oauth_${table} WHERE client_id = ?`),
    ),
    ...server.extensions.flatMap(({ clientRemoved }) => clientRemoved?.(scope, id) ?? []),
    of('DELETE FROM leanto_auth_oauth_clients WHERE id = ? RETURNING id'),
  ])
  if (results.at(-1)?.results.length !== 1) throw notFound()
  tell(server, scope, 'deleted', id)
}
