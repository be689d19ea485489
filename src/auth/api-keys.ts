import * as v from 'valibot'
import { isStorable } from '../core/body.ts'
import { uuidv7 } from '../core/id.ts'
import { guest } from '../core/identity.ts'
import type { Principal } from '../core/ports.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { hash, randomToken } from '../core/secret.ts'
import { adminOnly } from './admin/access.ts'
import { body, ok, text } from './body.ts'
import { authFaults } from './faults.ts'
import { type AuthPart, type Doors, happened } from './part.ts'
import { apiKeyMigrations } from './parts/migrations.ts'
import { idParam } from './request.ts'
import type { Settings } from './settings.ts'

/** A key that was made, as the server sees it again: never whole. Times are ISO 8601. */
export interface IssuedKey {
  id: string
  type: 'publishable' | 'secret'
  name: string
  /** What it is for, in words of the host's own; of a secret key, none is everything. */
  scopes: string[]
  /** How it ends, so that one recognises it. */
  hint: string
  created_at: string
  expires_at: string | undefined
}

export interface NewKey {
  type: 'publishable' | 'secret'
  name: string
  /** Up to 50 words of letters, digits, `.`, `:`, `-` and `_`. @default [] */
  scopes?: readonly string[]
  /** Seconds; `null` for a key that does not end by itself. @default 31536000 (a year) */
  seconds?: number | null
}

interface Row {
  hash: string
  id: string
  type: 'publishable' | 'secret'
  name: string
  scopes: string
  hint: string
  created_at: number
  expires_at: number | null
}

const shape = /^sb_(?:publishable|secret)_[\w-]{43}$/

/** The most that a key may live, in seconds. */
const longest = 10 * 31_536_000

/**
 * API keys beside the two that are derived from the secret: made, listed and revoked one by one by the server, at
 * `/admin/api-keys`. Stored hashed; looked up at each use, in one trip, so that a revoked or expired one is dead at once.
 *
 * A publishable key is a guest. A secret key without scopes is the service. A secret key *with* scopes is a guest too, and
 * gets what a policy or a route gives to `who.claims.scopes`: a key that says what it is for is never for everything.
 */
export function issuedKeys(): AuthPart {
  return {
    name: 'issued_keys',
    migrations: apiKeyMigrations,
    routes: (doors) => keyRoutes(doors),
    async keyed(scope, key) {
      if (!shape.test(key)) return null
      const row = await scope.db
        .prepare(
          `SELECT id, type, scopes FROM leanto_auth_api_keys
           WHERE hash = ?1 AND coalesce(expires_at, ?2 + 1) > ?2`,
        )
        .bind(await hash(key), scope.now())
        .first<Row>()
      return row ? principalOf(row) : null
    },
    purge: (scope) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_api_keys WHERE hash IN (
             SELECT hash FROM leanto_auth_api_keys WHERE expires_at <= ? LIMIT 1000)`,
        )
        .bind(scope.now() - 30 * 86_400_000),
    ],
  }
}

function principalOf({ id, type, scopes }: Row): Principal {
  const words = JSON.parse(scopes) as string[]
  const claims = Object.freeze({ key_id: id, scopes: Object.freeze(words) })
  const role = type === 'secret' && words.length === 0 ? 'service' : 'anon'
  return Object.freeze({ ...guest, role, claims })
}

function keyRoutes({ settings }: Doors): Route[] {
  const allow = adminOnly(settings)
  const only =
    (handler: Route[2]): Route[2] =>
    async (scope, c) => {
      await allow(scope, c.req.raw)
      return handler(scope, c)
    }
  const path = '/admin/api-keys'
  return [
    ['GET', path, only(async (scope) => ok(await listKeys(scope)))],
    [
      'POST',
      path,
      only(async (scope, c) => {
        const { expires_in: seconds, type, name, scopes } = await body(c, keyBody)
        const input = { type: type as NewKey['type'], name: name ?? '', scopes: scopes ?? [] }
        return ok(await issueKey(settings)(scope, { ...input, seconds }))
      }),
    ],
    [
      'DELETE',
      `${path}/:key_id`,
      only(async (scope, c) => ok(await revokeKey(settings)(scope, { id: idParam(c, 'key_id') }))),
    ],
  ]
}

const keyBody = v.object({
  type: v.picklist(['publishable', 'secret']),
  name: text,
  scopes: v.nullish(v.array(v.string())),
  expires_in: v.nullish(v.number()),
})

const toKey = (row: Row): IssuedKey => ({
  id: row.id,
  type: row.type,
  name: row.name,
  scopes: JSON.parse(row.scopes) as string[],
  hint: row.hint,
  created_at: new Date(row.created_at).toISOString(),
  expires_at: row.expires_at === null ? undefined : new Date(row.expires_at).toISOString(),
})

/** All keys, the newest first. One trip. */
async function listKeys(scope: Scope): Promise<IssuedKey[]> {
  const { results } = await scope.db
    .prepare('SELECT * FROM leanto_auth_api_keys ORDER BY id DESC LIMIT 1000')
    .all<Row>()
  return results.map(toKey)
}

/** Makes a key and shows it, this once. One trip. @throws {Fault} `validation_failed` (400). */
const issueKey =
  (settings: Settings) =>
  async (
    scope: Scope,
    { type, name, scopes = [], seconds = 31_536_000 }: NewKey | (NewKey & { seconds: unknown }),
  ): Promise<IssuedKey & { api_key: string }> => {
    const refuse = (message: string) => authFaults.validation_failed({ message })
    if (name.length > 100 || !isStorable(name) || /\p{Cc}/u.test(name))
      throw refuse('name must be at most 100 characters of text')
    if (scopes.length > 50 || scopes.some((word) => !/^[\w.:-]{1,64}$/.test(word)))
      throw refuse('scopes must be at most 50 words')
    if (seconds !== null)
      if (!Number.isSafeInteger(seconds) || Number(seconds) < 1 || Number(seconds) > longest)
        throw refuse('expires_in must be seconds, at most ten years')
    const key = `sb_${type}_${randomToken()}`
    const now = scope.now()
    const row: Row = {
      hash: await hash(key),
      id: uuidv7(now),
      type,
      name,
      scopes: JSON.stringify([...new Set(scopes)]),
      hint: key.slice(-4),
      created_at: now,
      expires_at: seconds === null ? null : now + Number(seconds) * 1000,
    }
    await scope.db
      .prepare('INSERT INTO leanto_auth_api_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
      .bind(...Object.values(row))
      .run()
    happened(settings, scope, { action: 'api_key_created', data: { key_id: row.id, type, scopes } })
    return { ...toKey(row), api_key: key }
  }

/** Ends a key at once. One trip. @throws {Fault} `validation_failed` (404). */
const revokeKey =
  (settings: Settings) =>
  async (scope: Scope, { id }: { id: string }): Promise<IssuedKey> => {
    const row = await scope.db
      .prepare('DELETE FROM leanto_auth_api_keys WHERE id = ? RETURNING *')
      .bind(id)
      .first<Row>()
    if (!row) throw authFaults.validation_failed({ status: 404, message: 'API key not found' })
    happened(settings, scope, { action: 'api_key_revoked', data: { key_id: id, type: row.type } })
    return toKey(row)
  }
