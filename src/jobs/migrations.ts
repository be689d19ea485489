import type { Migration } from '../core/migrate.ts'

export const jobsMigrations: readonly Migration[] = [
  {
    id: '0001_jobs',
    sql: [
      // `due` is when something must happen next: a waiting job becomes ready, a running one's lease ends.
      `CREATE TABLE IF NOT EXISTS leanto_jobs_jobs (
         id TEXT PRIMARY KEY, name TEXT NOT NULL, payload TEXT NOT NULL,
         state TEXT NOT NULL, priority INTEGER NOT NULL, due INTEGER NOT NULL, lease TEXT,
         attempt INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL,
         owner_id TEXT, unique_key TEXT, once INTEGER NOT NULL,
         progress TEXT, result TEXT, error TEXT,
         created_at INTEGER NOT NULL, scheduled_at INTEGER NOT NULL, ended_at INTEGER, expires_at INTEGER
       ) WITHOUT ROWID`,
      // What is claimed by priority, and what counts against a name's limit.
      `CREATE INDEX IF NOT EXISTS leanto_jobs_jobs_work
         ON leanto_jobs_jobs (name, state, priority DESC, due, id) WHERE state IN ('ready', 'running')`,
      `CREATE INDEX IF NOT EXISTS leanto_jobs_jobs_due
         ON leanto_jobs_jobs (due) WHERE state IN ('waiting', 'running')`,
      `CREATE INDEX IF NOT EXISTS leanto_jobs_jobs_dead ON leanto_jobs_jobs (id) WHERE state = 'dead'`,
      `CREATE UNIQUE INDEX IF NOT EXISTS leanto_jobs_jobs_key
         ON leanto_jobs_jobs (name, unique_key) WHERE unique_key IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS leanto_jobs_jobs_owner
         ON leanto_jobs_jobs (owner_id, id) WHERE owner_id IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS leanto_jobs_jobs_expiry
         ON leanto_jobs_jobs (expires_at) WHERE expires_at IS NOT NULL`,
      // The newest slot of each schedule that was enqueued, in Unix milliseconds.
      `CREATE TABLE IF NOT EXISTS leanto_jobs_slots (
         schedule TEXT PRIMARY KEY, slot INTEGER NOT NULL
       ) WITHOUT ROWID`,
    ],
  },
]
