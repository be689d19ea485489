import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import type { Page } from '../admin/paging.ts'
import { act, change, page } from './acting.ts'
import type { Acting, Context } from './context.ts'
import { organizationFaults } from './faults.ts'
import { type Member, type MemberRow, memberColumns, selectMember, toMember } from './members.ts'
import { checkName, iso, type Paged } from './organization.ts'

interface TeamRow {
  id: string
  organization_id: string
  name: string
  created_at: number
  updated_at: number
}

/** Some of an organisation's members. Times are ISO 8601. */
export interface Team {
  id: string
  organization_id: string
  name: string
  created_at: string
  updated_at: string
}

const toTeam = (row: TeamRow): Team => ({
  id: row.id,
  organization_id: row.organization_id,
  name: row.name,
  created_at: iso(row.created_at),
  updated_at: iso(row.updated_at),
})

export interface OneTeam extends Acting {
  organizationId: string
  teamId: string
}

const permission = 'teams:manage'

/** By name. One trip. @throws {Fault} What `act` throws. */
export const listTeams =
  (context: Context) =>
  (scope: Scope, input: Acting & Page & { organizationId: string }): Promise<Paged<Team>> =>
    page(
      context,
      scope,
      input,
      {
        select: '*',
        from: 'leanto_auth_teams WHERE organization_id = ?',
        order: 'name',
        values: [input.organizationId],
      },
      toTeam,
    )

/**
 * One trip; one more if the host is asked before, or says how many there may be.
 *
 * @throws {Fault} `validation_failed`, what `act` throws, `organization_team_exists`, `organization_limit`.
 */
export const createTeam =
  (context: Context) =>
  async (scope: Scope, input: Acting & { organizationId: string; name: string }): Promise<Team> => {
    const { organizationId } = input
    const name = checkName(input.name)
    const now = scope.now()
    const id = uuidv7(now)
    const doing = { action: 'organization_team_created', permission, counted: 'teams' } as const
    const { rows, done } = await change(context, scope, input, doing, (allowed, most) => [
      named(scope, organizationId, name, id),
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_teams
           SELECT ?, o.id, ?, ?, ? FROM leanto_auth_organizations o WHERE o.id = ? AND ${allowed.sql}
             AND (SELECT count(*) FROM leanto_auth_teams t WHERE t.organization_id = o.id) < ?
           ON CONFLICT (organization_id, name) DO NOTHING RETURNING *`,
        )
        .bind(id, name, now, now, organizationId, ...allowed.values, most),
    ])
    if (rows[0]) throw organizationFaults.organization_team_exists()
    if (!rows[1]) throw organizationFaults.organization_limit()
    done({ teamId: id })
    return toTeam(rows[1] as unknown as TeamRow)
  }

/** Another team of this name. */
const named = (scope: Scope, organizationId: string, name: string, id: string): Statement =>
  scope.db
    .prepare('SELECT 1 FROM leanto_auth_teams WHERE organization_id = ? AND name = ? AND id <> ?')
    .bind(organizationId, name, id)

/**
 * One trip; one more if the host is asked before.
 *
 * @throws {Fault} `validation_failed`, what `act` throws, `organization_team_not_found`, `organization_team_exists`.
 */
export const updateTeam =
  (context: Context) =>
  async (scope: Scope, input: OneTeam & { name: string }): Promise<Team> => {
    const { organizationId, teamId } = input
    const name = checkName(input.name)
    const doing = { action: 'organization_team_updated', teamId, permission } as const
    const { rows, done } = await change(context, scope, input, doing, (allowed) => [
      named(scope, organizationId, name, teamId),
      scope.db
        .prepare(
          `UPDATE OR IGNORE leanto_auth_teams SET name = ?, updated_at = ?
           WHERE id = ? AND organization_id = ? AND ${allowed.sql} RETURNING *`,
        )
        .bind(name, scope.now(), teamId, organizationId, ...allowed.values),
    ])
    if (!rows[1])
      throw rows[0]
        ? organizationFaults.organization_team_exists()
        : organizationFaults.organization_team_not_found()
    done()
    return toTeam(rows[1] as unknown as TeamRow)
  }

/** One trip; one more if the host is asked before. @throws {Fault} What `act` throws, `organization_team_not_found`. */
export const deleteTeam =
  (context: Context) =>
  async (scope: Scope, input: OneTeam): Promise<void> => {
    const { organizationId, teamId } = input
    const doing = { action: 'organization_team_deleted', teamId, permission } as const
    const { rows, done } = await change(context, scope, input, doing, (allowed) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_teams WHERE id = ? AND organization_id = ? AND ${allowed.sql}
           RETURNING id`,
        )
        .bind(teamId, organizationId, ...allowed.values),
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_team_members WHERE team_id = ?1
             AND NOT EXISTS (SELECT 1 FROM leanto_auth_teams WHERE id = ?1)`,
        )
        .bind(teamId),
    ])
    if (!rows[0]) throw organizationFaults.organization_team_not_found()
    done()
  }

/** That there is the team. */
const selectTeam = (scope: Scope, { organizationId, teamId }: OneTeam): Statement =>
  scope.db
    .prepare('SELECT 1 FROM leanto_auth_teams WHERE id = ? AND organization_id = ?')
    .bind(teamId, organizationId)

/** One trip. @throws {Fault} What `act` throws, `organization_team_not_found`. */
export const listTeamMembers =
  (context: Context) =>
  async (scope: Scope, { page, perPage, ...input }: OneTeam & Page): Promise<Paged<Member>> => {
    const { organizationId, teamId } = input
    const { results } = await act(context, scope, input, [
      selectTeam(scope, input),
      scope.db
        .prepare(
          `SELECT ${memberColumns} FROM leanto_auth_team_members t
           JOIN leanto_auth_members m ON m.organization_id = t.organization_id
             AND m.user_id = t.user_id
           JOIN leanto_auth_users u ON u.id = t.user_id
           WHERE t.team_id = ? AND t.organization_id = ?
           ORDER BY t.user_id LIMIT ? OFFSET ?`,
        )
        .bind(teamId, organizationId, perPage, (page - 1) * perPage),
      scope.db
        .prepare('SELECT count(*) AS total FROM leanto_auth_team_members WHERE team_id = ?')
        .bind(teamId),
    ])
    if (!results[0]?.results[0]) throw organizationFaults.organization_team_not_found()
    return {
      items: ((results[1]?.results ?? []) as unknown as MemberRow[]).map(toMember),
      total: Number(results[2]?.results[0]?.total),
    }
  }

/**
 * Puts a member into a team, or takes them out. One trip; one more if the host is asked before.
 *
 * @throws {Fault} What `act` throws, `organization_team_not_found`, `organization_member_not_found`.
 */
export const changeTeamMember =
  (context: Context) =>
  async (
    scope: Scope,
    input: OneTeam & { userId: string; there: boolean },
  ): Promise<Member | undefined> => {
    const { organizationId, teamId, userId, there } = input
    const action = there ? 'organization_team_member_added' : 'organization_team_member_removed'
    const doing = { action, teamId, userId, permission } as const
    const { rows, done } = await change(context, scope, input, doing, (allowed) => [
      selectTeam(scope, input),
      selectMember(scope, input),
      there
        ? scope.db
            .prepare(
              `INSERT INTO leanto_auth_team_members (team_id, user_id, organization_id, created_at)
               SELECT t.id, m.user_id, t.organization_id, ? FROM leanto_auth_teams t
               JOIN leanto_auth_members m ON m.organization_id = t.organization_id
               WHERE t.id = ? AND t.organization_id = ? AND m.user_id = ? AND ${allowed.sql}
               ON CONFLICT DO NOTHING RETURNING user_id`,
            )
            .bind(scope.now(), teamId, organizationId, userId, ...allowed.values)
        : scope.db
            .prepare(
              `DELETE FROM leanto_auth_team_members WHERE team_id = ? AND user_id = ?
                 AND organization_id = ? AND ${allowed.sql} RETURNING user_id`,
            )
            .bind(teamId, userId, organizationId, ...allowed.values),
    ])
    const [team, member, changed] = rows
    if (!team) throw organizationFaults.organization_team_not_found()
    if (!member || (!there && !changed)) throw organizationFaults.organization_member_not_found()
    if (changed) done()
    return there ? toMember(member as unknown as MemberRow) : undefined
  }
