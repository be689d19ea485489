import type { QueryResult } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { hash } from '../../core/secret.ts'
import { type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import type { Caller } from '../session.ts'
import { checkUser, isUser, standing } from './acting.ts'
import { type Context, type Counted, tell } from './context.ts'
import { organizationFaults } from './faults.ts'
import {
  type Invitation,
  type InvitationRow,
  invitationColumns,
  toInvitation,
} from './invitations.ts'
import { type Member, type MemberRow, memberColumns, toMember } from './members.ts'
import { type OrganizationRow, toOrganization } from './organization.ts'

/** An invitation, as whoever has the address sees it. */
export interface OwnInvitation extends Invitation {
  organization: { id: string; name: string; slug: string | null }
}

/** Whoever the invitation `i` is for is the user `u`: by the address, and only once it is proven (case 43). */
const isInvited = 'u.email = i.email AND u.email_confirmed_at IS NOT NULL'

/**
 * That whoever invited may still give the role: who was removed or has been given a lesser one has left nothing behind by which
 * they come back.
 */
const stillGiven = ({ roles }: Context): Condition =>
  condition(
    `(i.invited_by IS NULL OR EXISTS (SELECT 1 FROM leanto_auth_members b
       WHERE b.organization_id = i.organization_id AND b.user_id = i.invited_by
         AND (b.role = 'owner' OR (b.role IN (SELECT value FROM json_each(?))
           AND b.role || '>' || i.role IN (SELECT value FROM json_each(?))))))`,
    roles.holders('invitations:manage'),
    roles.gives,
  )

const most = 100

/** Those to the caller's proven address, 100 at most. One trip. @throws {Fault} What `checkUser` throws. */
export const ownInvitations =
  (context: Context) =>
  async (scope: Scope, actor: Caller): Promise<OwnInvitation[]> => {
    const given = stillGiven(context)
    const [caller, rows] = await scope.db.batch([
      standing(scope, { actor }),
      scope.db
        .prepare(
          `SELECT ${invitationColumns.replace(/\w+/g, 'i.$&')}, o.name, o.slug
           FROM leanto_auth_users u JOIN leanto_auth_invitations i ON ${isInvited}
           JOIN leanto_auth_organizations o ON o.id = i.organization_id
           WHERE u.id = ? AND i.expires_at > ? AND ${given.sql} ORDER BY i.id LIMIT ${most}`,
        )
        .bind(actor.userId, scope.now(), ...given.values),
    ])
    checkUser(scope, caller?.results[0])
    type Row = InvitationRow & { name: string; slug: string | null }
    return ((rows?.results ?? []) as unknown as Row[]).map((row) => ({
      ...toInvitation(row),
      organization: { id: row.organization_id, name: row.name, slug: row.slug },
    }))
  }

/** What was in the mail, or the id by which whoever has the address finds it. */
export interface Answering {
  actor: Caller
  token?: string | undefined
  invitationId?: string | undefined
  network?: string | null | undefined
}

interface Found extends InvitationRow {
  mine: number
  members: number
  joined: number
  organization: string
}

async function shown({ token, invitationId }: Answering): Promise<Condition> {
  return token === undefined
    ? condition('i.id = ?', invitationId)
    : condition('i.hash = ?', await hash(token))
}

/** Reads an invitation as it is before it is answered. */
async function find(context: Context, scope: Scope, input: Answering) {
  const which = await shown(input)
  const given = stillGiven(context)
  return scope.db
    .prepare(
      `SELECT ${invitationColumns.replace(/\w+/g, 'i.$&')}, ${isInvited} AS mine,
         (SELECT count(*) FROM leanto_auth_members m
          WHERE m.organization_id = i.organization_id) AS members,
         EXISTS (SELECT 1 FROM leanto_auth_members m
           WHERE m.organization_id = i.organization_id AND m.user_id = u.id) AS joined,
         (SELECT json_object('id', o.id, 'name', o.name, 'slug', o.slug, 'metadata', o.metadata,
            'app_metadata', o.app_metadata, 'created_at', o.created_at, 'updated_at', o.updated_at)
          FROM leanto_auth_organizations o WHERE o.id = i.organization_id) AS organization
       FROM leanto_auth_invitations i JOIN leanto_auth_users u ON u.id = ?
       WHERE ${which.sql} AND i.expires_at > ? AND ${given.sql}`,
    )
    .bind(input.actor.userId, ...which.values, scope.now(), ...given.values)
}

/**
 * @throws {Fault} `invitation_not_found` (404), also of one that is there if only its id is known and it is not to the caller's
 * proven address; `invitation_address` (403) for who has shown its token.
 */
function checkFound(
  scope: Scope,
  { token }: Answering,
  caller: QueryResult | undefined,
  read: QueryResult | undefined,
): Found {
  checkUser(scope, caller?.results[0])
  const found = read?.results[0] as Found | undefined
  if (!found) throw organizationFaults.invitation_not_found()
  if (found.mine === 1) return found
  throw token === undefined
    ? organizationFaults.invitation_not_found()
    : organizationFaults.invitation_address()
}

async function mostMembers(
  { most, before }: Context,
  scope: Scope,
  found: Found,
  { actor, network }: Answering,
): Promise<number> {
  const { organization_id: organizationId, role } = found
  await before?.(scope, {
    action: 'organization_member_added',
    ...{ organizationId, role, network, actorId: actor.userId, userId: actor.userId },
  })
  const counted: Counted = 'members'
  const limit = most[counted]
  if (typeof limit !== 'function') return limit === false ? Number.MAX_SAFE_INTEGER : limit
  const row = JSON.parse(found.organization) as OrganizationRow
  const answered = await limit(scope, toOrganization(row))
  return answered === false ? Number.MAX_SAFE_INTEGER : answered
}

/**
 * Joins the organisation, if the caller's address is the one that was invited, whatever its case, and is proven (case 43). An
 * invitation is good once (case 19). One trip; one more if the host is asked before, or says how many members there may be.
 *
 * @throws {Fault} What `checkUser` throws, `invitation_not_found` (404), `invitation_address` (403), `organization_limit`.
 */
export const acceptInvitation =
  (context: Context) =>
  async (scope: Scope, input: Answering): Promise<Member> => {
    const { actor, network } = input
    const which = await shown(input)
    const user = isUser(scope, actor)
    const given = stillGiven(context)
    const now = scope.now()
    const limit = context.most.members
    let most = typeof limit === 'number' ? limit : Number.MAX_SAFE_INTEGER
    if (context.before || typeof limit === 'function') {
      const read = [standing(scope, { actor }), await find(context, scope, input)]
      const [caller, found] = await scope.db.batch(read)
      most = await mostMembers(context, scope, checkFound(scope, input, caller, found), input)
    }
    // Whoever is in it already stays what they are; the invitation is used all the same.
    const joined = `EXISTS (SELECT 1 FROM leanto_auth_members j
      WHERE j.organization_id = i.organization_id AND j.user_id = u.id)`
    const from = `leanto_auth_invitations i JOIN leanto_auth_users u ON ${isInvited}`
    const good = condition(
      `${which.sql} AND i.expires_at > ? AND ${user.sql} AND ${given.sql}`,
      ...[...which.values, now, ...user.values, ...given.values],
    )
    const [caller, read, made, , member] = await scope.db.batch([
      standing(scope, { actor }),
      await find(context, scope, input),
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_members
           SELECT i.organization_id, u.id, i.role, ?, ? FROM ${from}
           WHERE ${good.sql} AND NOT ${joined}
             AND (SELECT count(*) FROM leanto_auth_members c
                  WHERE c.organization_id = i.organization_id) < ?
           RETURNING user_id`,
        )
        .bind(now, now, ...good.values, most),
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_team_members (team_id, user_id, organization_id, created_at)
           SELECT t.id, u.id, t.organization_id, ? FROM leanto_auth_teams t, ${from}
           WHERE ${good.sql} AND t.organization_id = i.organization_id
             AND t.id IN (SELECT value FROM json_each(i.team_ids)) AND ${joined}
           ON CONFLICT DO NOTHING`,
        )
        .bind(now, ...good.values),
      scope.db
        .prepare(
          `SELECT ${memberColumns} FROM ${from} JOIN leanto_auth_members m
             ON m.organization_id = i.organization_id AND m.user_id = u.id WHERE ${good.sql}`,
        )
        .bind(...good.values),
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_invitations WHERE id IN (
             SELECT i.id FROM ${from} WHERE ${good.sql} AND ${joined})`,
        )
        .bind(...good.values),
    ])
    const found = checkFound(scope, input, caller, read)
    const row = member?.results[0] as MemberRow | undefined
    if (!row) {
      if (found.members >= most) throw organizationFaults.organization_limit()
      throw authFaults.conflict()
    }
    if (made?.results[0])
      tell(context, scope, {
        action: 'organization_member_added',
        ...{ organizationId: row.organization_id, actorId: actor.userId, userId: actor.userId },
        ...{ role: row.role, network },
      })
    return toMember(row)
  }

/** One trip. @throws {Fault} What `checkUser` throws, `invitation_not_found` (404), `invitation_address` (403). */
export const declineInvitation =
  (context: Context) =>
  async (scope: Scope, input: Answering): Promise<void> => {
    const { actor, network } = input
    const which = await shown(input)
    const user = isUser(scope, actor)
    const [caller, read] = await scope.db.batch([
      standing(scope, { actor }),
      await find(context, scope, input),
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_invitations WHERE id IN (
             SELECT i.id FROM leanto_auth_invitations i JOIN leanto_auth_users u ON ${isInvited}
             WHERE ${which.sql} AND ${user.sql})`,
        )
        .bind(...which.values, ...user.values),
    ])
    const { organization_id: organizationId, email } = checkFound(scope, input, caller, read)
    tell(context, scope, {
      action: 'organization_invitation_declined',
      ...{ organizationId, actorId: actor.userId, email, network },
    })
  }
