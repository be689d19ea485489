import type { Migration } from '../core/migrate.ts'

/** The counters of `services`. @see quota.ts for how they are kept. */
export const servicesMigrations: readonly Migration[] = Object.freeze([
  {
    id: '0001_services',
    sql: [
      // One row a counter: it begins anew when its window does. Money is in millionths, so that sums are exact.
      `CREATE TABLE IF NOT EXISTS leanto_services_usage (
         key TEXT PRIMARY KEY, start INTEGER NOT NULL, ends INTEGER NOT NULL, requests INTEGER NOT NULL,
         units INTEGER NOT NULL, micros INTEGER NOT NULL, alerted INTEGER NOT NULL DEFAULT 0
       ) WITHOUT ROWID`,
      'CREATE INDEX IF NOT EXISTS leanto_services_usage_ends ON leanto_services_usage (ends)',
    ],
  },
])
