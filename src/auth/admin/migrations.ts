import type { Migration } from '../../core/migrate.ts'

export const auditMigrations: readonly Migration[] = [
  {
    id: '0003_audit',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_auth_audit (
         id TEXT PRIMARY KEY, action TEXT NOT NULL, user_id TEXT, network TEXT, data TEXT NOT NULL,
         created_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
    ],
  },
]
