import { index, integer, primaryKey, sqliteTable, text, unique } from 'drizzle-orm/sqlite-core'

/*
 * For joins, policies and reports in the host's own queries. The migrations make these tables and the verbs alone write
 * them. Every time is Unix time in milliseconds.
 */

export const authOrganizations = sqliteTable('leanto_auth_organizations', {
  id: text().primaryKey(),
  name: text().notNull(),
  slug: text().unique(),
  /** JSON; who may change the organisation writes it. */
  metadata: text().notNull(),
  /** JSON; only the server writes it. */
  appMetadata: text('app_metadata').notNull(),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
})

export const authMembers = sqliteTable(
  'leanto_auth_members',
  {
    organizationId: text('organization_id').notNull(),
    userId: text('user_id').notNull(),
    role: text().notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.userId] }),
    index('leanto_auth_members_user').on(table.userId, table.organizationId, table.role),
  ],
)

export const authTeams = sqliteTable(
  'leanto_auth_teams',
  {
    id: text().primaryKey(),
    organizationId: text('organization_id').notNull(),
    name: text().notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [unique().on(table.organizationId, table.name)],
)

export const authTeamMembers = sqliteTable(
  'leanto_auth_team_members',
  {
    teamId: text('team_id').notNull(),
    userId: text('user_id').notNull(),
    organizationId: text('organization_id').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.teamId, table.userId] })],
)
