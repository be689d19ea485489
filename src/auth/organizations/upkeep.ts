import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { condition } from '../condition.ts'
import { leftovers } from './organization.ts'

/**
 * What goes with a user: their memberships, and the organisations that nobody else is in. Of those that others are in nobody
 * becomes the owner by themselves: the server says who (`PUT /admin/organizations/:id/members/:user_id`).
 */
export function removed(scope: Scope, userId: string): Statement[] {
  const theirs = 'SELECT organization_id FROM leanto_auth_members WHERE user_id = ?'
  const [teamMembers, teams, invitations] = leftovers(
    scope,
    condition(
      `organization_id IN (${theirs}) AND NOT EXISTS (
         SELECT 1 FROM leanto_auth_organizations g WHERE g.id = organization_id)`,
      userId,
    ),
  )
  return [
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_organizations AS o WHERE o.id IN (${theirs})
           AND NOT EXISTS (SELECT 1 FROM leanto_auth_members m
             WHERE m.organization_id = o.id AND m.user_id <> ?)`,
      )
      .bind(userId, userId),
    ...([teamMembers, teams, invitations] as Statement[]),
    ...['team_members', 'members'].map((table) =>
      scope.db.prepare(`DELETE FROM leanto_auth_${table} WHERE user_id = ?`).bind(userId),
    ),
  ]
}

/** Invitations whose time is over, and what sessions that have ended were for. */
export const purge = (scope: Scope): Statement[] => [
  scope.db
    .prepare(
      `DELETE FROM leanto_auth_invitations WHERE id IN (
         SELECT id FROM leanto_auth_invitations WHERE expires_at <= ? LIMIT 1000)`,
    )
    .bind(scope.now()),
  scope.db.prepare(
    `DELETE FROM leanto_auth_active_organizations WHERE session_id IN (
       SELECT session_id FROM leanto_auth_active_organizations a
       WHERE NOT EXISTS (SELECT 1 FROM leanto_auth_sessions s WHERE s.id = a.session_id)
       LIMIT 1000)`,
  ),
]
