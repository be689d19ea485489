import type { Migration } from '../../core/migrate.ts'

export const customProviderMigrations: readonly Migration[] = [
  {
    id: '0012_custom_providers',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_auth_custom_providers (
         identifier TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, provider_type TEXT NOT NULL,
         enabled INTEGER NOT NULL, secret TEXT NOT NULL, config TEXT NOT NULL,
         revision TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      // The key is what makes a domain one provider's alone.
      `CREATE TABLE IF NOT EXISTS leanto_auth_sso_domains (
         domain TEXT PRIMARY KEY, identifier TEXT NOT NULL
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_sso_domains_provider
         ON leanto_auth_sso_domains (identifier)`,
    ],
  },
]
