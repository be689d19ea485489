import type { Migration } from '../../core/migrate.ts'

/*
 * Refresh tokens are in the table of all sessions, under a hash of their own kind: see `tokens.ts`. A row of `oauth_sessions`
 * makes a session a client's.
 */
export const oauthServerMigrations: readonly Migration[] = [
  {
    id: '0020_oauth_server',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_auth_oauth_clients (
         id TEXT PRIMARY KEY, name TEXT NOT NULL, secret TEXT, auth_method TEXT NOT NULL,
         registration TEXT NOT NULL, redirect_uris TEXT NOT NULL, grant_types TEXT NOT NULL,
         scope TEXT, uri TEXT, logo_uri TEXT, require_par INTEGER NOT NULL DEFAULT 0,
         dpop_bound INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL,
         updated_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_oauth_clients_created
         ON leanto_auth_oauth_clients (created_at)`,
      // What was asked for: pushed by the client, or waiting for its user's answer.
      `CREATE TABLE IF NOT EXISTS leanto_auth_oauth_requests (
         id TEXT PRIMARY KEY, kind TEXT NOT NULL, client_id TEXT NOT NULL,
         redirect_uri TEXT NOT NULL, scope TEXT NOT NULL, resource TEXT NOT NULL, state TEXT,
         nonce TEXT, code_challenge TEXT NOT NULL, prompt TEXT NOT NULL, max_age INTEGER, jkt TEXT,
         user_id TEXT, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_oauth_requests_expiry
         ON leanto_auth_oauth_requests (expires_at)`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_oauth_codes (
         hash TEXT PRIMARY KEY, client_id TEXT NOT NULL, user_id TEXT NOT NULL,
         redirect_uri TEXT NOT NULL, scope TEXT NOT NULL, resource TEXT NOT NULL, nonce TEXT,
         code_challenge TEXT NOT NULL, jkt TEXT, approved_in TEXT, aal TEXT NOT NULL,
         amr TEXT NOT NULL, factor_id TEXT, auth_time INTEGER NOT NULL, session_id TEXT,
         created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_oauth_codes_user ON leanto_auth_oauth_codes (user_id)`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_oauth_codes_expiry
         ON leanto_auth_oauth_codes (expires_at)`,
      // `agreed` is each scope with where it is for; `scopes` are those that are shown.
      `CREATE TABLE IF NOT EXISTS leanto_auth_oauth_consents (
         user_id TEXT NOT NULL, client_id TEXT NOT NULL, scopes TEXT NOT NULL,
         agreed TEXT NOT NULL, granted_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
         PRIMARY KEY (user_id, client_id)
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_oauth_consents_client
         ON leanto_auth_oauth_consents (client_id)`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_oauth_sessions (
         session_id TEXT PRIMARY KEY, client_id TEXT NOT NULL, user_id TEXT NOT NULL,
         scope TEXT NOT NULL, resource TEXT NOT NULL, jkt TEXT, auth_time INTEGER NOT NULL
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_oauth_sessions_user
         ON leanto_auth_oauth_sessions (user_id, client_id)`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_oauth_sessions_client
         ON leanto_auth_oauth_sessions (client_id)`,
    ],
  },
]
