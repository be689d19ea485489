import type { Migration } from '../../../core/migrate.ts'

export const deviceMigrations: readonly Migration[] = [
  {
    id: '0022_oauth_devices',
    sql: [
      // A row lives for minutes, so that the upkeep looks at all of them: an index would be one more row to write.
      `CREATE TABLE IF NOT EXISTS leanto_auth_oauth_devices (
         hash TEXT PRIMARY KEY, user_code TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL,
         scope TEXT NOT NULL, resource TEXT NOT NULL, network TEXT, place TEXT,
         every INTEGER NOT NULL, polled_at INTEGER, early INTEGER NOT NULL DEFAULT 0,
         claimed_by TEXT, user_id TEXT, decision TEXT, mark TEXT, approved_in TEXT, aal TEXT, amr TEXT,
         factor_id TEXT, auth_time INTEGER, session_id TEXT, created_at INTEGER NOT NULL,
         expires_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
    ],
  },
]
