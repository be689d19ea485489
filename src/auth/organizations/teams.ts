import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import type { Page } from '../admin/paging.ts'
import { act, actorOf, askHost, may } from './acting.ts'
import { type Acting, type Context, tell } from './context.ts'
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
  async (
    scope: Scope,
    { page, perPage, ...input }: Acting & Page & { organizationId: string },
  ): Promise<Paged<Team>> => {
    const { results } = await act(context, scope, input, [
      scope.db
        .prepare(
          `SELECT * FROM leanto_auth_teams WHERE organization_id = ?
           ORDER BY name LIMIT ? OFFSET ?`,
        )
        .bind(input.organizationId, perPage, (page - 1) * perPage),
      scope.db
        .prepare('SELECT count(*) AS total FROM leanto_auth_teams WHERE organization_id = ?')
        .bind(input.organizationId),
    ])
    return {
      items: ((results[0]?.results ?? []) as unknown as TeamRow[]).map(toTeam),
      total: Number(results[1]?.results[0]?.total),
    }
  }

/**
 * One trip; one more if the host is asked before, or says how many there may be.
 *
 * @throws {Fault} `validation_failed`, what `act` throws, `organization_team_exists`, `organization_limit`.
 */
export const createTeam =
  (context: Context) =>
  async (scope: Scope, input: Acting & { organizationId: string; name: string }): Promise<Team> => {
    const { organizationId, actor, network } = input
    const name = checkName(input.name)
    const demand = { actor, organizationId, permission } as const
    const change = { action: 'organization_team_created', network } as const
    const most = await askHost(context, scope, demand, change, 'teams')
    const allowed = may(context, scope, demand)
    const now = scope.now()
    const { results } = await act(context, scope, demand, [
      scope.db
        .prepare('SELECT 1 FROM leanto_auth_teams WHERE organization_id = ? AND name = ?')
        .bind(organizationId, name),
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_teams
           SELECT ?, o.id, ?, ?, ? FROM leanto_auth_organizations o WHERE o.id = ? AND ${allowed.sql}
             AND (SELECT count(*) FROM leanto_auth_teams t WHERE t.organization_id = o.id) < ?
           ON CONFLICT (organization_id, name) DO NOTHING RETURNING *`,
        )
        .bind(uuidv7(now), name, now, now, organizationId, ...allowed.values, most),
    ])
    if (results[0]?.results[0]) throw organizationFaults.organization_team_exists()
    const row = results[1]?.results[0] as TeamRow | undefined
    if (!row) throw organizationFaults.organization_limit()
    tell(context, scope, { ...change, teamId: row.id, organizationId, actorId: actorOf(input) })
    return toTeam(row)
  }

/**
 * One trip; one more if the host is asked before.
 *
 * @throws {Fault} `validation_failed`, what `act` throws, `organization_team_not_found`, `organization_team_exists`.
 */
export const updateTeam =
  (context: Context) =>
  async (scope: Scope, input: OneTeam & { name: string }): Promise<Team> => {
    const { organizationId, teamId, actor, network } = input
    const name = checkName(input.name)
    const demand = { actor, organizationId, permission } as const
    const change = { action: 'organization_team_updated', teamId, network } as const
    await askHost(context, scope, demand, change)
    const allowed = may(context, scope, demand)
    const { results } = await act(context, scope, demand, [
      scope.db
        .prepare(
          'SELECT 1 FROM leanto_auth_teams WHERE organization_id = ? AND name = ? AND id <> ?',
        )
        .bind(organizationId, name, teamId),
      scope.db
        .prepare(
          `UPDATE OR IGNORE leanto_auth_teams SET name = ?, updated_at = ?
           WHERE id = ? AND organization_id = ? AND ${allowed.sql} RETURNING *`,
        )
        .bind(name, scope.now(), teamId, organizationId, ...allowed.values),
    ])
    const row = results[1]?.results[0] as TeamRow | undefined
    if (!row)
      throw results[0]?.results[0]
        ? organizationFaults.organization_team_exists()
        : organizationFaults.organization_team_not_found()
    tell(context, scope, { ...change, organizationId, actorId: actorOf(input) })
    return toTeam(row)
  }

/** One trip; one more if the host is asked before. @throws {Fault} What `act` throws, `organization_team_not_found`. */
export const deleteTeam =
  (context: Context) =>
  async (scope: Scope, input: OneTeam): Promise<void> => {
    const { organizationId, teamId, actor, network } = input
    const demand = { actor, organizationId, permission } as const
    const change = { action: 'organization_team_deleted', teamId, network } as const
    await askHost(context, scope, demand, change)
    const allowed = may(context, scope, demand)
    const { results } = await act(context, scope, demand, [
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
    if (!results[0]?.results[0]) throw organizationFaults.organization_team_not_found()
    tell(context, scope, { ...change, organizationId, actorId: actorOf(input) })
  }

/** One trip. @throws {Fault} What `act` throws, `organization_team_not_found`. */
export const listTeamMembers =
  (context: Context) =>
  async (scope: Scope, { page, perPage, ...input }: OneTeam & Page): Promise<Paged<Member>> => {
    const { organizationId, teamId } = input
    const { results } = await act(context, scope, input, [
      scope.db
        .prepare('SELECT 1 FROM leanto_auth_teams WHERE id = ? AND organization_id = ?')
        .bind(teamId, organizationId),
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
    const { organizationId, teamId, userId, actor, network, there } = input
    const demand = { actor, organizationId, permission } as const
    const action = there ? 'organization_team_member_added' : 'organization_team_member_removed'
    const change = { action, teamId, userId, network } as const
    await askHost(context, scope, demand, change)
    const allowed = may(context, scope, demand)
    const { results } = await act(context, scope, demand, [
      scope.db
        .prepare('SELECT 1 FROM leanto_auth_teams WHERE id = ? AND organization_id = ?')
        .bind(teamId, organizationId),
      selectMember(scope, { organizationId, userId }),
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
    const [team, member, changed] = results.map(({ results: [row] }) => row)
    if (!team) throw organizationFaults.organization_team_not_found()
    if (!member || (!there && !changed)) throw organizationFaults.organization_member_not_found()
    if (changed) tell(context, scope, { ...change, organizationId, actorId: actorOf(input) })
    return there ? toMember(member as unknown as MemberRow) : undefined
  }
