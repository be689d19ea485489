import type { Migration } from '../core/migrate.ts'

export const dataMigrations: readonly Migration[] = [
  {
    id: '0001_answers',
    sql: [
      // What must be known within a transaction, and the answers that belong to idempotency keys.
      `CREATE TABLE IF NOT EXISTS leanto_data_answers (
         key TEXT NOT NULL, n INTEGER NOT NULL, part INTEGER NOT NULL, expires_at INTEGER NOT NULL,
         kept TEXT, affected INTEGER, found INTEGER NOT NULL, rows TEXT,
         PRIMARY KEY (key, n, part)
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_data_answers_expiry ON leanto_data_answers (expires_at)`,
    ],
  },
]
