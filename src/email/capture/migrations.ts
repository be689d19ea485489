import type { Migration } from '../../core/migrate.ts'

/** The tables of `capture`. */
export const captureMigrations: readonly Migration[] = Object.freeze([
  {
    id: '0002_captured',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_email_captured (
         id TEXT PRIMARY KEY, at INTEGER NOT NULL, recipients TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL
       ) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS leanto_email_captured_parts (
         id TEXT NOT NULL, part INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (id, part)
       ) WITHOUT ROWID`,
    ],
  },
])
