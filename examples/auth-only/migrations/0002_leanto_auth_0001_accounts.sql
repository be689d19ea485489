-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.
CREATE TABLE IF NOT EXISTS leanto_auth_users (
  id TEXT PRIMARY KEY, email TEXT UNIQUE, phone TEXT UNIQUE, password TEXT,
  app_metadata TEXT NOT NULL, user_metadata TEXT NOT NULL,
  email_confirmed_at INTEGER, phone_confirmed_at INTEGER,
  is_anonymous INTEGER NOT NULL DEFAULT 0, invited_at INTEGER,
  confirmation_sent_at INTEGER, recovery_sent_at INTEGER,
  email_change TEXT, email_change_sent_at INTEGER, email_change_half TEXT, phone_change TEXT,
  last_sign_in_at INTEGER, banned_until INTEGER, deleted_at INTEGER,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_auth_users_anonymous
ON leanto_auth_users (id) WHERE is_anonymous = 1;
CREATE TABLE IF NOT EXISTS leanto_auth_identities (
  id TEXT PRIMARY KEY, provider TEXT NOT NULL, subject TEXT NOT NULL, user_id TEXT NOT NULL,
  email TEXT, data TEXT NOT NULL, last_sign_in_at INTEGER,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (provider, subject)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_auth_identities_user ON leanto_auth_identities (user_id);
CREATE TABLE IF NOT EXISTS leanto_auth_sessions (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, created_at INTEGER NOT NULL, not_after INTEGER,
  aal TEXT NOT NULL DEFAULT 'aal1', amr TEXT NOT NULL DEFAULT '[]', refreshed_at INTEGER,
  user_agent TEXT, ip TEXT, factor_id TEXT, tag TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_auth_sessions_user ON leanto_auth_sessions (user_id);
CREATE TABLE IF NOT EXISTS leanto_auth_refresh_tokens (
  hash TEXT PRIMARY KEY, session_id TEXT NOT NULL, used_at INTEGER, child TEXT,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_auth_refresh_tokens_expiry
ON leanto_auth_refresh_tokens (expires_at);
CREATE TABLE IF NOT EXISTS leanto_auth_tokens (
  hash TEXT PRIMARY KEY, kind TEXT NOT NULL, user_id TEXT NOT NULL, target TEXT NOT NULL,
  code TEXT, code_expires_at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  taken TEXT, data TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS leanto_auth_tokens_user
ON leanto_auth_tokens (user_id, kind);
CREATE INDEX IF NOT EXISTS leanto_auth_tokens_target ON leanto_auth_tokens (target, kind);
CREATE INDEX IF NOT EXISTS leanto_auth_tokens_expiry ON leanto_auth_tokens (expires_at);
CREATE TABLE IF NOT EXISTS leanto_auth_flows (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, provider TEXT, code_challenge TEXT,
  code_challenge_method TEXT, redirect_to TEXT, data TEXT, user_id TEXT, auth_method TEXT,
  taken TEXT, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leanto_auth_flows_expiry ON leanto_auth_flows (expires_at);
CREATE TABLE IF NOT EXISTS leanto_auth_keys (
  id TEXT PRIMARY KEY, public TEXT NOT NULL, sealed TEXT NOT NULL,
  created_at INTEGER NOT NULL, retired_at INTEGER
) WITHOUT ROWID;
INSERT OR IGNORE INTO leanto_core_migrations (module, id, hash) VALUES ('auth', '0001_accounts', '_yKRSMp2zBzLIOElm8eO7Sd-kmpSY6wCrPj2Y1hlpcU');
