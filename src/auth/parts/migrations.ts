import type { Migration } from '../../core/migrate.ts'

// What the sessions of trusted issuers, which are in no table of ours, must not outlive: see `caller.ts`.
export const trustMigrations: readonly Migration[] = [
  {
    id: '0005_endings',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_auth_endings (
         user_id TEXT NOT NULL, which TEXT NOT NULL, at INTEGER NOT NULL, spared TEXT,
         PRIMARY KEY (user_id, which)
       ) WITHOUT ROWID`,
    ],
  },
]

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

export const partsMigrations: readonly Migration[] = [...apiKeyMigrations, ...trustMigrations]
