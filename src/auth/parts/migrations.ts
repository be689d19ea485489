import type { Migration } from '../../core/migrate.ts'

export const apiKeyMigrations: readonly Migration[] = [
  {
    id: '0004_api_keys',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_auth_api_keys (
         hash TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, name TEXT NOT NULL,
         scopes TEXT NOT NULL, hint TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER
       ) WITHOUT ROWID`,
    ],
  },
]
