import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'

/** How a client authenticates (RFC 7591, 2). */
export type AuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post'

/** A row of `leanto_auth_oauth_clients`. Times in milliseconds. */
export interface ClientRow {
  /** A UUID. */
  id: string
  name: string
  /** SHA-256, base64url; `null` of a public client. */
  secret: string | null
  auth_method: AuthMethod
  /** By whom it was made: itself (RFC 7591), or the server. */
  registration: 'dynamic' | 'manual'
  /** JSON list. */
  redirect_uris: string
  /** JSON list. */
  grant_types: string
  /** The most that it may ask for, by spaces; `null` for all there is, of which a machine's own token has nothing. */
  scope: string | null
  uri: string | null
  logo_uri: string | null
  /** 1: its requests for authorization must be pushed (RFC 9126, 6). */
  require_par: number
  /** 1: its tokens must be bound to a key (RFC 9449, 5.2). */
  dpop_bound: number
  created_at: number
  updated_at: number
}

/** A client as GoTrue shows one, with RFC 7591's names. Times are ISO 8601. */
export interface OAuthClient {
  client_id: string
  client_name: string
  /** Only where it was just made. */
  client_secret?: string
  client_type: 'public' | 'confidential'
  token_endpoint_auth_method: AuthMethod
  registration_type: 'dynamic' | 'manual'
  client_uri?: string
  logo_uri?: string
  redirect_uris: string[]
  grant_types: string[]
  response_types: string[]
  scope?: string
  require_pushed_authorization_requests: boolean
  dpop_bound_access_tokens: boolean
  created_at: string
  updated_at: string
}

/** What a consent page, or a list of grants, shows of a client. */
export interface ClientShown {
  id: string
  name: string
  /** Empty if there is none; so is `logo_uri`. */
  uri: string
  logo_uri: string
}

/** Whoever cannot keep a secret: an app on a device, or in a browser. */
export const isPublic = ({ auth_method }: Pick<ClientRow, 'auth_method'>): boolean =>
  auth_method === 'none'

export const grantTypesOf = ({ grant_types }: Pick<ClientRow, 'grant_types'>): string[] =>
  JSON.parse(grant_types) as string[]

/** Words by spaces (RFC 6749, 3.3), each once. */
export const wordsOf = (text: string | null | undefined): string[] => [
  ...new Set((text ?? '').split(' ').filter((word) => word !== '')),
]

export const selectClient = (scope: Scope, id: string): Statement =>
  scope.db.prepare('SELECT * FROM leanto_auth_oauth_clients WHERE id = ?').bind(id)

export const toClient = (row: ClientRow, secret?: string): OAuthClient => ({
  client_id: row.id,
  client_name: row.name,
  ...(secret === undefined ? {} : { client_secret: secret }),
  client_type: isPublic(row) ? 'public' : 'confidential',
  token_endpoint_auth_method: row.auth_method,
  registration_type: row.registration,
  ...(row.uri === null ? {} : { client_uri: row.uri }),
  ...(row.logo_uri === null ? {} : { logo_uri: row.logo_uri }),
  redirect_uris: JSON.parse(row.redirect_uris) as string[],
  grant_types: grantTypesOf(row),
  response_types: grantTypesOf(row).includes('authorization_code') ? ['code'] : [],
  ...(row.scope === null ? {} : { scope: row.scope }),
  require_pushed_authorization_requests: row.require_par === 1,
  dpop_bound_access_tokens: row.dpop_bound === 1,
  created_at: new Date(row.created_at).toISOString(),
  updated_at: new Date(row.updated_at).toISOString(),
})

export const shownClient = (
  row: Pick<ClientRow, 'id' | 'name' | 'uri' | 'logo_uri'>,
): ClientShown => ({
  id: row.id,
  name: row.name,
  uri: row.uri ?? '',
  logo_uri: row.logo_uri ?? '',
})
