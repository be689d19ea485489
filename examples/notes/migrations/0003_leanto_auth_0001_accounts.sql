-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.
CREATE TABLE IF NOT EXISTS leanto_auth_users (
  id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, password TEXT,
  app_metadata TEXT NOT NULL, user_metadata TEXT NOT NULL,
  email_confirmed_at INTEGER, last_sign_in_at INTEGER, banned_until INTEGER,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leanto_auth_sessions (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, created_at INTEGER NOT NULL, not_after INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_auth_sessions_user ON leanto_auth_sessions (user_id);
CREATE TABLE IF NOT EXISTS leanto_auth_refresh_tokens (
  hash TEXT PRIMARY KEY, session_id TEXT NOT NULL, used_at INTEGER, child TEXT,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_auth_refresh_tokens_expiry
ON leanto_auth_refresh_tokens (expires_at);
CREATE TABLE IF NOT EXISTS leanto_auth_keys (
  id TEXT PRIMARY KEY, public TEXT NOT NULL, sealed TEXT NOT NULL,
  created_at INTEGER NOT NULL, retired_at INTEGER
) WITHOUT ROWID;
INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('auth', '0001_accounts', 'xTD4RIvD-JkT8aCQZ7ipyaajyWqZh9rD5k-21dIq2Mc');
