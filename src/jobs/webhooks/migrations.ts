import type { Migration } from '../../core/migrate.ts'

export const webhooksMigrations: readonly Migration[] = [
  {
    id: '0002_webhooks',
    sql: [
      // Secrets are sealed. `types` is a JSON list, or NULL for every type.
      `CREATE TABLE IF NOT EXISTS leanto_jobs_endpoints (
         id TEXT PRIMARY KEY, url TEXT NOT NULL, types TEXT, owner_id TEXT,
         secret TEXT NOT NULL, old_secret TEXT, old_until INTEGER,
         disabled TEXT, created_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_jobs_endpoints_owner ON leanto_jobs_endpoints (owner_id)`,
      `CREATE TABLE IF NOT EXISTS leanto_jobs_messages (
         id TEXT PRIMARY KEY, type TEXT NOT NULL, body TEXT NOT NULL, owner_id TEXT, created_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_jobs_messages_age ON leanto_jobs_messages (created_at)`,
      // Every attempt, with its status, or with why there is none.
      `CREATE TABLE IF NOT EXISTS leanto_jobs_deliveries (
         n INTEGER PRIMARY KEY, endpoint_id TEXT NOT NULL, message_id TEXT NOT NULL, attempt INTEGER NOT NULL,
         at INTEGER NOT NULL, took INTEGER NOT NULL, status INTEGER, error TEXT
       )`,
      `CREATE INDEX IF NOT EXISTS leanto_jobs_deliveries_endpoint ON leanto_jobs_deliveries (endpoint_id, n)`,
      `CREATE INDEX IF NOT EXISTS leanto_jobs_deliveries_age ON leanto_jobs_deliveries (at)`,
      // How far what is followed has been read.
      `CREATE TABLE IF NOT EXISTS leanto_jobs_cursors (
         name TEXT PRIMARY KEY, position INTEGER NOT NULL
       ) WITHOUT ROWID`,
    ],
  },
]
