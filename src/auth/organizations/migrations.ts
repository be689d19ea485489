import type { Migration } from '../../core/migrate.ts'

export const organizationMigrations: readonly Migration[] = [
  {
    id: '0010_organizations',
    sql: [
      `CREATE TABLE IF NOT EXISTS leanto_auth_organizations (
         id TEXT PRIMARY KEY, name TEXT NOT NULL, slug TEXT UNIQUE, metadata TEXT NOT NULL,
         app_metadata TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
       ) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_members (
         organization_id TEXT NOT NULL, user_id TEXT NOT NULL, role TEXT NOT NULL,
         created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
         PRIMARY KEY (organization_id, user_id)
       ) WITHOUT ROWID`,
      // With the role, so that the claims are made from the index alone.
      `CREATE INDEX IF NOT EXISTS leanto_auth_members_user
         ON leanto_auth_members (user_id, organization_id, role)`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_members_owners
         ON leanto_auth_members (organization_id) WHERE role = 'owner'`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_teams (
         id TEXT PRIMARY KEY, organization_id TEXT NOT NULL, name TEXT NOT NULL,
         created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (organization_id, name)
       ) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_team_members (
         team_id TEXT NOT NULL, user_id TEXT NOT NULL, organization_id TEXT NOT NULL,
         created_at INTEGER NOT NULL, PRIMARY KEY (team_id, user_id)
       ) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS leanto_auth_team_members_user
         ON leanto_auth_team_members (user_id, organization_id)`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_invitations (
         id TEXT PRIMARY KEY, organization_id TEXT NOT NULL, email TEXT NOT NULL, role TEXT NOT NULL,
         team_ids TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, invited_by TEXT,
         created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, UNIQUE (organization_id, email)
       ) WITHOUT ROWID`,
      'CREATE INDEX IF NOT EXISTS leanto_auth_invitations_email ON leanto_auth_invitations (email)',
      `CREATE INDEX IF NOT EXISTS leanto_auth_invitations_expiry
         ON leanto_auth_invitations (expires_at)`,
      `CREATE TABLE IF NOT EXISTS leanto_auth_active_organizations (
         session_id TEXT PRIMARY KEY, organization_id TEXT NOT NULL
       ) WITHOUT ROWID`,
      // A session that is for another organisation gets a new refresh token, and those before it die (case 16).
      `CREATE INDEX IF NOT EXISTS leanto_auth_refresh_tokens_session
         ON leanto_auth_refresh_tokens (session_id)`,
    ],
  },
]
