import type { Migration } from '../../../core/migrate.ts'

export const dpopMigrations: readonly Migration[] = [
  {
    id: '0021_dpop',
    sql: [
      // By period first: what has ended lies together, and needs no index of its own, which each request would write.
      `CREATE TABLE IF NOT EXISTS leanto_auth_dpop_proofs (
         period INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (period, hash)
       ) WITHOUT ROWID`,
    ],
  },
]
