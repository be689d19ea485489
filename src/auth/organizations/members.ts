import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import type { Page } from '../admin/paging.ts'
import { refuse } from '../body.ts'
import { condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import type { Caller } from '../session.ts'
import { change, mayGive, page } from './acting.ts'
import type { Acting, Context } from './context.ts'
import { organizationFaults } from './faults.ts'
import { iso, type Paged } from './organization.ts'

export interface MemberRow {
  organization_id: string
  user_id: string
  role: string
  /** `null` if it is not proven. */
  email?: string | null
  created_at: number
  updated_at: number
}

/** Someone in an organisation, as its members see them. Times are ISO 8601. */
export interface Member {
  organization_id: string
  user_id: string
  role: string
  /** `null` if they have none that is proven. */
  email: string | null
  created_at: string
  updated_at: string
}

export const toMember = (row: MemberRow): Member => ({
  organization_id: row.organization_id,
  user_id: row.user_id,
  role: row.role,
  email: row.email ?? null,
  created_at: iso(row.created_at),
  updated_at: iso(row.updated_at),
})

/** What to select of a member `m` and their user `u`. */
export const memberColumns = `m.*,
  CASE WHEN u.email_confirmed_at IS NOT NULL THEN u.email END AS email`

export interface OneMember extends Acting {
  organizationId: string
  userId: string
}

/** The members by their ids, which is by the age of their accounts. One trip. @throws {Fault} What `act` throws. */
export const listMembers =
  (context: Context) =>
  (scope: Scope, input: Acting & Page & { organizationId: string }): Promise<Paged<Member>> =>
    page(
      context,
      scope,
      input,
      {
        select: memberColumns,
        from: `leanto_auth_members m JOIN leanto_auth_users u ON u.id = m.user_id
          WHERE m.organization_id = ?`,
        counted: 'leanto_auth_members WHERE organization_id = ?',
        order: 'm.user_id',
        values: [input.organizationId],
      },
      toMember,
    )

export const selectMember = (scope: Scope, { organizationId, userId }: OneMember): Statement =>
  scope.db
    .prepare(
      `SELECT ${memberColumns} FROM leanto_auth_members m
       JOIN leanto_auth_users u ON u.id = m.user_id WHERE m.organization_id = ? AND m.user_id = ?`,
    )
    .bind(organizationId, userId)

/** That the organisation of the member `m` has another owner. */
const anotherOwner = `EXISTS (SELECT 1 FROM leanto_auth_members o
  WHERE o.organization_id = m.organization_id AND o.role = 'owner' AND o.user_id <> m.user_id)`

/** @throws {Fault} `validation_failed` (400). */
export function checkRole({ roles }: Context, role: string): string {
  if (roles.has(role)) return role
  throw refuse('role must be one that is declared')
}

/** Why nobody was written: they may not be touched, or the organisation needs them. */
const refused = (context: Context, role: string | undefined, ...given: readonly string[]) =>
  role === undefined || role === 'owner' || given.every((one) => gives(context, role, one))
    ? organizationFaults.organization_last_owner()
    : organizationFaults.organization_forbidden()

export const gives = ({ roles }: Context, giver: string, given: string): boolean =>
  giver === 'owner' || (JSON.parse(roles.gives) as string[]).includes(`${giver}>${given}`)

/**
 * Changes a member's role. Nobody gives or takes one that may do more than their own; of the last owner it cannot be changed.
 * One trip; one more if the host is asked before.
 *
 * @throws {Fault} `validation_failed`, what `act` throws, `organization_member_not_found`, `organization_last_owner`.
 */
export const updateMember =
  (context: Context) =>
  async (scope: Scope, input: OneMember & { role: string }): Promise<Member> => {
    const { organizationId, userId } = input
    const given = checkRole(context, input.role)
    const doing = {
      ...({ action: 'organization_member_updated', permission: 'members:manage' } as const),
      ...{
        userId,
        role: given,
        more: mayGive(context, condition('m.role'), condition('?', given)),
      },
    }
    const { role, rows, done } = await change(context, scope, input, doing, (allowed) => [
      selectMember(scope, input),
      scope.db
        .prepare(
          `UPDATE leanto_auth_members AS m SET role = ?, updated_at = ?
           WHERE m.organization_id = ? AND m.user_id = ? AND ${allowed.sql}
             AND (m.role <> 'owner' OR ? = 'owner' OR ${anotherOwner})
           RETURNING organization_id, user_id, role, created_at, updated_at`,
        )
        .bind(given, scope.now(), organizationId, userId, ...allowed.values, given),
    ])
    const before = rows[0] as MemberRow | undefined
    if (!before) throw organizationFaults.organization_member_not_found()
    if (!rows[1]) throw refused(context, role, before.role, given)
    done()
    return toMember({ ...before, ...rows[1] })
  }

/**
 * Removes a member, by whoever may, or by themselves. The last owner stays. Their invitations count no more. One trip; one more
 * if the host is asked before.
 *
 * @throws {Fault} What `act` throws, `organization_member_not_found`, `organization_last_owner`.
 */
export const removeMember =
  (context: Context) =>
  async (scope: Scope, input: OneMember): Promise<void> => {
    const { organizationId, userId, actor } = input
    const leaves = actor?.userId === userId
    const doing = {
      ...({ action: 'organization_member_removed', userId } as const),
      ...(leaves
        ? {}
        : { permission: 'members:manage' as const, more: mayGive(context, condition('m.role')) }),
    }
    const { role, rows, done } = await change(context, scope, input, doing, (allowed) => [
      selectMember(scope, input),
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_members AS m
           WHERE m.organization_id = ? AND m.user_id = ? AND ${allowed.sql}
             AND (m.role <> 'owner' OR ${anotherOwner})
           RETURNING user_id`,
        )
        .bind(organizationId, userId, ...allowed.values),
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_team_members WHERE user_id = ?1 AND organization_id = ?2
             AND NOT EXISTS (SELECT 1 FROM leanto_auth_members m
               WHERE m.organization_id = ?2 AND m.user_id = ?1)`,
        )
        .bind(userId, organizationId),
    ])
    const before = rows[0] as MemberRow | undefined
    if (!before) throw organizationFaults.organization_member_not_found()
    if (!rows[1])
      throw leaves
        ? organizationFaults.organization_last_owner()
        : refused(context, role, before.role)
    done()
  }

/**
 * Makes another member the owner, and the owner who does it an admin. One trip; one more if the host is asked before.
 *
 * @throws {Fault} `validation_failed` for oneself, what `act` throws, `organization_forbidden` (403) for who is no owner,
 * `organization_member_not_found`.
 */
export const transferOrganization =
  (context: Context) =>
  async (scope: Scope, input: OneMember & { actor: Caller }): Promise<Member> => {
    const { organizationId, userId, actor } = input
    if (userId === actor.userId) throw refuse('user_id must be another member’s')
    const doing = {
      ...({ action: 'organization_transferred', permission: 'organization:delete' } as const),
      ...{ userId, role: 'owner', more: condition(`a.role = 'owner'`) },
    }
    const { role, rows, done } = await change(context, scope, input, doing, (allowed) => {
      const set = (role: string, of: string, more: string, ...values: unknown[]) =>
        scope.db
          .prepare(
            `UPDATE leanto_auth_members AS m SET role = ?, updated_at = ?
             WHERE m.organization_id = ? AND m.user_id = ? AND ${allowed.sql} ${more}
             RETURNING user_id`,
          )
          .bind(role, scope.now(), organizationId, of, ...allowed.values, ...values)
      const made = `AND ${anotherOwner} AND EXISTS (SELECT 1 FROM leanto_auth_members n
        WHERE n.organization_id = m.organization_id AND n.user_id = ? AND n.role = 'owner')`
      return [
        set('owner', userId, ''),
        set('admin', actor.userId, made, userId),
        selectMember(scope, input),
      ]
    })
    if (role !== 'owner') throw organizationFaults.organization_forbidden()
    if (!rows[0]) throw organizationFaults.organization_member_not_found()
    done()
    return toMember(rows[2] as unknown as MemberRow)
  }

/** That a user may be in it, and there is room. */
export interface Joining {
  organizationId: string
  userId: string
  role: string
}

/**
 * For the server: adds a user, or changes their role. One trip; one more if the host is asked before, or says how many there
 * may be.
 *
 * @throws {Fault} `validation_failed`, `organization_not_found`, `user_not_found` (404), `organization_limit`,
 * `organization_last_owner`.
 */
export const putMember =
  (context: Context) =>
  async (scope: Scope, { organizationId, userId, role }: Joining): Promise<Member> => {
    const given = checkRole(context, role)
    const now = scope.now()
    const of = { organizationId, userId }
    const doing = {
      ...({ action: 'organization_member_added', counted: 'members' } as const),
      ...{ userId, role: given },
    }
    const { rows, done } = await change(context, scope, of, doing, (_, most) => [
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_members AS m
           SELECT o.id, u.id, ?1, ?2, ?2 FROM leanto_auth_organizations o, leanto_auth_users u
           WHERE o.id = ?3 AND u.id = ?4 AND u.deleted_at IS NULL AND u.is_anonymous = 0
             AND ((SELECT count(*) FROM leanto_auth_members c WHERE c.organization_id = ?3) < ?5
               OR EXISTS (SELECT 1 FROM leanto_auth_members c
                 WHERE c.organization_id = ?3 AND c.user_id = ?4))
           ON CONFLICT (organization_id, user_id) DO UPDATE SET role = ?1, updated_at = ?2
             WHERE m.role <> 'owner' OR ?1 = 'owner' OR ${anotherOwner}
           RETURNING user_id`,
        )
        .bind(given, now, organizationId, userId, most),
      selectMember(scope, of),
      scope.db
        .prepare(
          `SELECT 1 FROM leanto_auth_users
           WHERE id = ? AND deleted_at IS NULL AND is_anonymous = 0`,
        )
        .bind(userId),
    ])
    const [made, member, user] = rows
    if (!user) throw authFaults.user_not_found({ status: 404, message: 'User not found' })
    if (!made)
      throw member
        ? organizationFaults.organization_last_owner()
        : organizationFaults.organization_limit()
    done()
    return toMember(member as unknown as MemberRow)
  }
