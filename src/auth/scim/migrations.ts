import type { Migration } from '../../core/migrate.ts'

export const scimMigrations: readonly Migration[] = [
  {
    id: '0011_scim',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_auth_scim_tokens (
         hash TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, organization_id TEXT NOT NULL,
         name TEXT NOT NULL, hint TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_scim_tokens_organization
         ON leanto_auth_scim_tokens (organization_id)`,
      // `user_id` once whoever has proven the address has been made a member.
      `CREATE TABLE IF NOT EXISTS leanto_auth_scim_users (
         id TEXT PRIMARY KEY, organization_id TEXT NOT NULL, user_name TEXT NOT NULL,
         external_id TEXT, email TEXT, data TEXT NOT NULL, active INTEGER NOT NULL, user_id TEXT,
         version INTEGER NOT NULL DEFAULT 1, created_at INTEGER NOT NULL,
         updated_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      // A name is the same whatever its case (RFC 7643, 4.1.1).
      `CREATE UNIQUE INDEX IF NOT EXISTS leanto_auth_scim_users_name
         ON leanto_auth_scim_users (organization_id, lower(user_name))`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_scim_users_external
         ON leanto_auth_scim_users (organization_id, external_id)`,
      'CREATE INDEX IF NOT EXISTS leanto_auth_scim_users_email ON leanto_auth_scim_users (email)',
      'CREATE INDEX IF NOT EXISTS leanto_auth_scim_users_user ON leanto_auth_scim_users (user_id)',
      `CREATE TABLE IF NOT EXISTS leanto_auth_scim_groups (
         team_id TEXT PRIMARY KEY, organization_id TEXT NOT NULL, external_id TEXT
       ) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_scim_group_members (
         team_id TEXT NOT NULL, scim_user_id TEXT NOT NULL, PRIMARY KEY (team_id, scim_user_id)
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_scim_group_members_user
         ON leanto_auth_scim_group_members (scim_user_id)`,
    ],
  },
]
