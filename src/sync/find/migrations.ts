import type { Migration } from '../../core/migrate.ts'

/** The table of `find`, besides those of `sync`. @see blocks.ts for how it is written. */
export const findMigrations: readonly Migration[] = Object.freeze([
  {
    id: '0002_reduced',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_sync_reduced (
         block INTEGER PRIMARY KEY, view INTEGER NOT NULL REFERENCES leanto_sync_views (id) ON DELETE CASCADE,
         sort TEXT NOT NULL, id TEXT NOT NULL, n INTEGER NOT NULL,
         last_sort TEXT, last_id TEXT, last_n INTEGER, same INTEGER, key TEXT, value TEXT,
         UNIQUE (view, sort, id, n)
       )`,
      'CREATE INDEX IF NOT EXISTS leanto_sync_reduced_stale ON leanto_sync_reduced (view) WHERE value IS NULL',
    ],
  },
])
