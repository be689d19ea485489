import type { Migration } from '../../core/migrate.ts'

export const mfaMigrations: readonly Migration[] = [
  {
    id: '0002_factors',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_auth_factors (
         id TEXT PRIMARY KEY, user_id TEXT NOT NULL, type TEXT NOT NULL, name TEXT NOT NULL,
         status TEXT NOT NULL, secret TEXT, phone TEXT, last_step INTEGER, challenged_at INTEGER,
         proof TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      // Also what makes a name, of which a blank one is none, unique among a user's factors.
      `CREATE UNIQUE INDEX IF NOT EXISTS leanto_auth_factors_user
         ON leanto_auth_factors (user_id, CASE name WHEN '' THEN id ELSE name END)`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_challenges (
         id TEXT PRIMARY KEY, factor_id TEXT NOT NULL, session_id TEXT NOT NULL, code TEXT,
         created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_challenges_expiry
         ON leanto_auth_challenges (expires_at)`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_recovery_codes (
         hash TEXT PRIMARY KEY, factor_id TEXT NOT NULL, taken TEXT
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_recovery_codes_factor
         ON leanto_auth_recovery_codes (factor_id)`,
      // A session that rises to aal2 gets a new refresh token, and those before it die (case 16).
      `CREATE INDEX IF NOT EXISTS leanto_auth_refresh_tokens_session
         ON leanto_auth_refresh_tokens (session_id)`,
    ],
  },
]
