import type { Scope } from '../../core/scope.ts'
import type { Context } from '../organizations/context.ts'
import type { AuthPart } from '../part.ts'
import { linkSession } from './directory.ts'
import { scimMigrations } from './migrations.ts'
import { scimRoutes } from './routes.ts'

export type { ScimToken } from './tokens.ts'

export interface ScimOptions {
  /** What whoever comes from a directory is in the organisation; not `owner`. @default 'member' */
  role?: string
}

/**
 * SCIM 2.0 (RFC 7643, RFC 7644): an organisation's directory, such as Entra ID or Okta, says who is in it, and in which teams.
 * Needs `organizations()` in the same `with`.
 *
 * A directory makes no accounts and takes none over. Whoever it names is a member once they have an account whose *proven*
 * address is theirs: at once, or when they sign in.
 *
 * @throws {TypeError} if an option is wrong, or `organizations()` is not mounted.
 */
export function scim({ role = 'member' }: ScimOptions = {}): AuthPart {
  if (typeof role !== 'string' || role === 'owner')
    throw new TypeError('scim: `role` must be a role that is not owner')
  return {
    name: 'scim',
    migrations: scimMigrations,
    routes(doors) {
      const part = doors.settings.parts.find(({ name }) => name === 'organizations')
      if (!part) throw new TypeError('scim: needs organizations() in the `with` of auth')
      const { context } = part as unknown as { context: () => Context }
      return scimRoutes(
        doors,
        () => {
          const mounted = context()
          if (mounted.roles.has(role)) return mounted
          throw new TypeError(`scim: \`role\` ${JSON.stringify(role)} is not declared`)
        },
        role,
      )
    },
    started: (scope, sessionId) => linkSession(scope, role, sessionId),
    removed: (scope, userId) => [
      scope.db
        .prepare('UPDATE leanto_auth_scim_users SET user_id = NULL WHERE user_id = ?')
        .bind(userId),
    ],
    purge: (scope: Scope) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_scim_tokens WHERE hash IN (
             SELECT hash FROM leanto_auth_scim_tokens t WHERE t.expires_at <= ? OR NOT EXISTS (
               SELECT 1 FROM leanto_auth_organizations o WHERE o.id = t.organization_id) LIMIT 1000)`,
        )
        .bind(scope.now()),
      // What an organisation, a team or a person has left.
      ...[
        ['users', 'id', 'organizations o WHERE o.id = s.organization_id'],
        ['groups', 'team_id', 'teams t WHERE t.id = s.team_id'],
        ['group_members', 'scim_user_id', 'scim_users u WHERE u.id = s.scim_user_id'],
      ].map(([table, key, of]) =>
        scope.db.prepare(
          `DELETE FROM leanto_auth_scim_${table} WHERE ${key} IN (
             SELECT ${key} FROM leanto_auth_scim_${table} s
             WHERE NOT EXISTS (SELECT 1 FROM leanto_auth_${of}) LIMIT 1000)`,
        ),
      ),
    ],
  }
}
