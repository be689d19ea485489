import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { type Condition, condition } from '../condition.ts'
import type { Asked } from './asked.ts'
import type { Server } from './settings.ts'

/** Seconds that a pushed request lives (RFC 9126, 2.2), and that a user may take to answer one. */
export const pushedSeconds = 90
const answerSeconds = 600

/** RFC 9126, 2.2. */
const urn = 'urn:ietf:params:oauth:request_uri:'

/** `pushed` by the client, or an `authorization` that waits for its user. */
export type Kind = 'pushed' | 'authorization'

/** A row of `leanto_auth_oauth_requests`. Times in milliseconds. */
export interface PendingRow {
  client_id: string
  redirect_uri: string
  scope: string
  /** JSON list. */
  resource: string
  state: string | null
  nonce: string | null
  prompt: string
  /** Seconds. */
  max_age: number | null
  user_id: string | null
  created_at: number
}

export const newRequestId = (): string => randomToken(24)

export const requestUriOf = (id: string): string => urn + id
/** The id in a `request_uri`; `null` if it is none of ours. */
export const pushedId = (uri: string): string | null =>
  uri.startsWith(urn) && /^[\w-]{32}$/.test(uri.slice(urn.length)) ? uri.slice(urn.length) : null

/** Stores what was asked for. @param guard Without it nothing is stored. @default none */
export async function storeAsked(
  scope: Scope,
  { id, kind, clientId, asked, guard = condition('1') }: Stored,
): Promise<Statement> {
  const now = scope.now()
  const seconds = kind === 'pushed' ? pushedSeconds : answerSeconds
  return scope.db
    .prepare(
      `INSERT INTO leanto_auth_oauth_requests
         (id, kind, client_id, redirect_uri, scope, resource, state, nonce, code_challenge, prompt,
          max_age, jkt, created_at, expires_at)
       SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE ${guard.sql}`,
    )
    .bind(
      ...[await hash(id), kind, clientId, asked.redirectUri, asked.scope, asked.resource],
      ...[asked.state, asked.nonce, asked.challenge, asked.prompt, asked.maxAge, asked.jkt],
      ...[now, now + seconds * 1000, ...guard.values],
    )
}

interface Stored {
  id: string
  kind: Kind
  clientId: string
  asked: Asked
  guard?: Condition
}

/** Makes a pushed request, once, one that waits for its user: one row, or none. */
export async function takePushed(
  scope: Scope,
  { id, next, clientId, guard }: { id: string; next: string; clientId: string; guard: Condition },
): Promise<Statement> {
  const now = scope.now()
  return scope.db
    .prepare(
      `UPDATE leanto_auth_oauth_requests
       SET id = ?, kind = 'authorization', created_at = ?, expires_at = ?
       WHERE id = ? AND kind = 'pushed' AND client_id = ? AND expires_at > ? AND ${guard.sql}
       RETURNING redirect_uri, state, prompt`,
    )
    .bind(
      ...[await hash(next), now, now + answerSeconds * 1000],
      ...[await hash(id), clientId, now, ...guard.values],
    )
}

/** Where a user is asked. */
export const consentAddress = (
  { settings, consentPage }: Server,
  scope: Scope,
  id: string,
): string => {
  const page = consentPage ? settings.site(scope) + consentPage : settings.issuer(scope) + ownPath
  return `${page}?authorization_id=${id}`
}

/** Under the mount. */
export const ownPath = '/oauth/consent'
