import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { requireEmail } from '../address.ts'
import type { Page } from '../admin/paging.ts'
import { type Budget, checkSpent, giveBack, messageBudgets, spendAll, within } from '../budget.ts'
import { and, condition } from '../condition.ts'
import { sendMail } from '../mails.ts'
import { checkRedirect, withParameters } from '../redirect.ts'
import { act, actorOf, askHost, may, mayGive } from './acting.ts'
import { type Acting, type Context, tell } from './context.ts'
import { organizationFaults } from './faults.ts'
import { checkRole, gives } from './members.ts'
import { iso, type OrganizationRow, type Paged } from './organization.ts'

export interface InvitationRow {
  id: string
  organization_id: string
  email: string
  role: string
  /** JSON list. */
  team_ids: string
  invited_by: string | null
  created_at: number
  expires_at: number
}

/** An invitation, as whoever may invite sees it. Its token is in the mail alone. Times are ISO 8601. */
export interface Invitation {
  id: string
  organization_id: string
  email: string
  role: string
  team_ids: string[]
  /** `null` for the server. */
  invited_by: string | null
  created_at: string
  expires_at: string
}

export const toInvitation = (row: InvitationRow): Invitation => ({
  id: row.id,
  organization_id: row.organization_id,
  email: row.email,
  role: row.role,
  team_ids: JSON.parse(row.team_ids) as string[],
  invited_by: row.invited_by,
  created_at: iso(row.created_at),
  expires_at: iso(row.expires_at),
})

export const invitationColumns =
  'id, organization_id, email, role, team_ids, invited_by, created_at, expires_at'

/** Past their time they are gone, whether or not they were removed. One trip. @throws {Fault} What `act` throws. */
export const listInvitations =
  (context: Context) =>
  async (
    scope: Scope,
    { page, perPage, actor, organizationId }: Acting & Page & { organizationId: string },
  ): Promise<Paged<Invitation>> => {
    const from = 'FROM leanto_auth_invitations WHERE organization_id = ? AND expires_at > ?'
    const demand = { actor, organizationId, permission: 'invitations:manage' } as const
    const { results } = await act(context, scope, demand, [
      scope.db
        .prepare(`SELECT ${invitationColumns} ${from} ORDER BY email LIMIT ? OFFSET ?`)
        .bind(organizationId, scope.now(), perPage, (page - 1) * perPage),
      scope.db.prepare(`SELECT count(*) AS total ${from}`).bind(organizationId, scope.now()),
    ])
    return {
      items: ((results[0]?.results ?? []) as unknown as InvitationRow[]).map(toInvitation),
      total: Number(results[1]?.results[0]?.total),
    }
  }

/**
 * What a mail to someone who need not have an account spends: of the network, of the organisation, of the inbox. Only of whom
 * may invite, who are asked before: else a stranger could spend what an organisation has.
 */
async function budgetsOf(
  { settings, mails }: Context,
  scope: Scope,
  { actor, network, organizationId, email }: Acting & { organizationId: string; email: string },
): Promise<Budget[]> {
  if (!actor) return []
  const budgets = await messageBudgets(settings, scope, { type: 'email', target: email, network })
  const own = mails ? [{ key: `auth:organization:${organizationId}`, limit: mails }] : []
  return [...budgets, ...own]
}

/** Leads to the app with the token in the fragment, which no server's log has. */
function deliver(
  { settings, invitationSeconds }: Context,
  scope: Scope,
  row: InvitationRow & { organization: OrganizationRow },
  {
    token,
    redirectTo,
    inviter,
  }: { token: string; redirectTo: string | undefined; inviter: string | null },
): void {
  const link = withParameters(
    checkRedirect(settings, scope, redirectTo),
    { invitation_token: token },
    'fragment',
  )
  const { email, role, organization } = row
  const { id, name, slug } = organization
  sendMail(settings, scope, 'organization_invite', {
    email,
    link,
    minutes: Math.floor(invitationSeconds / 60),
    subject: name,
    data: { organization: { id, name, slug }, role, invited_by: inviter },
  })
}

export interface Invite extends Acting {
  organizationId: string
  email: string
  /** @default 'member' */
  role?: string | undefined
  /** Teams of the organisation that they join with it. */
  teamIds?: readonly string[] | undefined
  /** Where the mail leads. @default `site` */
  redirectTo?: string | undefined
}

/**
 * Invites an address, whether or not someone has an account by it; the answer does not tell. Who is invited already is invited
 * anew: the mail before counts no more. Two trips.
 *
 * @throws {Fault} `validation_failed`, what `act` throws, `organization_forbidden` (403) for a role that may do more than that of
 * whoever acts, `organization_team_not_found`, `organization_member_exists`, `organization_limit`, `rate_limited`.
 */
export const invite =
  (context: Context) =>
  async (scope: Scope, input: Invite): Promise<Invitation> => {
    const { organizationId, actor, network, redirectTo } = input
    const email = requireEmail(input.email)
    const given = checkRole(context, input.role ?? 'member')
    const teams = JSON.stringify([...new Set(input.teamIds ?? [])])
    const demand = { actor, organizationId, permission: 'invitations:manage' } as const
    const change = {
      action: 'organization_invitation_created',
      email,
      role: given,
      network,
    } as const
    const most = await askHost(context, scope, demand, change, 'invitations')
    const found = await act(context, scope, demand, [
      selectOrganization(scope, organizationId),
      scope.db
        .prepare(
          `SELECT EXISTS (SELECT 1 FROM leanto_auth_users u
               JOIN leanto_auth_members m ON m.organization_id = ?1 AND m.user_id = u.id
               WHERE u.email = ?2 AND u.email_confirmed_at IS NOT NULL) AS member,
             EXISTS (SELECT 1 FROM json_each(?3) j WHERE NOT EXISTS (
               SELECT 1 FROM leanto_auth_teams t
               WHERE t.id = j.value AND t.organization_id = ?1)) AS strange`,
        )
        .bind(organizationId, email, teams),
    ])
    if (found.role !== undefined && !gives(context, found.role, given))
      throw organizationFaults.organization_forbidden()
    const { member, strange } = found.results[1]?.results[0] ?? {}
    if (strange) throw organizationFaults.organization_team_not_found()
    if (member) throw organizationFaults.organization_member_exists()
    const organization = found.results[0]?.results[0] as unknown as OrganizationRow

    const budgets = await budgetsOf(context, scope, { actor, network, organizationId, email })
    const token = randomToken()
    const now = scope.now()
    const allowed = and(
      may(context, scope, demand, mayGive(context, condition('?', given))),
      ...budgets.map(within),
    )
    const insert = scope.db
      .prepare(
        `INSERT INTO leanto_auth_invitations
           (id, organization_id, email, role, team_ids, hash, invited_by, created_at, expires_at)
         SELECT ?, o.id, ?, ?, ?, ?, ?, ?, ? FROM leanto_auth_organizations o
         WHERE o.id = ? AND ${allowed.sql}
           AND (SELECT count(*) FROM leanto_auth_invitations i
                WHERE i.organization_id = o.id AND i.expires_at > ? AND i.email <> ?) < ?
         ON CONFLICT (organization_id, email) DO UPDATE SET role = excluded.role,
           team_ids = excluded.team_ids, hash = excluded.hash, invited_by = excluded.invited_by,
           created_at = excluded.created_at, expires_at = excluded.expires_at
         RETURNING ${invitationColumns}`,
      )
      .bind(
        ...[uuidv7(now), email, given, teams, await hash(token), actorOf(input), now],
        ...[now + context.invitationSeconds * 1000, organizationId, ...allowed.values],
        ...[now, email, most],
      )
    const row = await spending(scope, budgets, insert)
    if (!row) throw organizationFaults.organization_limit()
    deliver(
      context,
      scope,
      { ...row, organization },
      { token, redirectTo, inviter: actorOf(input) },
    )
    tell(context, scope, { ...change, organizationId, actorId: actorOf(input) })
    return toInvitation(row)
  }

/** One trip. A failure of ours spends nothing. @throws {Fault} `rate_limited`. */
async function spending(
  scope: Scope,
  budgets: readonly Budget[],
  write: Statement,
): Promise<InvitationRow | undefined> {
  const results = await scope.db.batch([...spendAll(scope, budgets), write])
  try {
    checkSpent(scope, budgets, results)
    return results.at(-1)?.results[0] as unknown as InvitationRow | undefined
  } catch (error) {
    giveBack(scope, budgets, error)
    throw error
  }
}

const selectOrganization = (scope: Scope, id: string): Statement =>
  scope.db.prepare('SELECT * FROM leanto_auth_organizations WHERE id = ?').bind(id)

export interface OneInvitation extends Acting {
  organizationId: string
  invitationId: string
}

/**
 * Sends an invitation again, with a new token and a new time; the mail before counts no more, and it is by whoever sends it
 * again. Two trips.
 *
 * @throws {Fault} What `act` throws, `invitation_not_found`, `rate_limited`.
 */
export const resendInvitation =
  (context: Context) =>
  async (
    scope: Scope,
    input: OneInvitation & { redirectTo?: string | undefined },
  ): Promise<Invitation> => {
    const { organizationId, invitationId, actor, network, redirectTo } = input
    const demand = { actor, organizationId, permission: 'invitations:manage' } as const
    const found = await act(context, scope, demand, [
      selectOrganization(scope, organizationId),
      scope.db
        .prepare(
          `SELECT ${invitationColumns} FROM leanto_auth_invitations
           WHERE id = ? AND organization_id = ?`,
        )
        .bind(invitationId, organizationId),
    ])
    const before = found.results[1]?.results[0] as InvitationRow | undefined
    if (!before) throw organizationFaults.invitation_not_found()
    const { email, role } = before
    if (found.role !== undefined && !gives(context, found.role, role))
      throw organizationFaults.organization_forbidden()
    const change = { action: 'organization_invitation_created', email, role, network } as const
    if (context.before)
      await context.before(scope, { ...change, organizationId, actorId: actorOf(input) })
    const budgets = await budgetsOf(context, scope, { actor, network, organizationId, email })
    const token = randomToken()
    const now = scope.now()
    const allowed = and(
      may(context, scope, demand, mayGive(context, condition('i.role'))),
      ...budgets.map(within),
    )
    const update = scope.db
      .prepare(
        `UPDATE leanto_auth_invitations AS i SET hash = ?, invited_by = ?, expires_at = ?
         WHERE i.id = ? AND i.organization_id = ? AND ${allowed.sql}
         RETURNING ${invitationColumns}`,
      )
      .bind(
        ...[await hash(token), actorOf(input), now + context.invitationSeconds * 1000],
        ...[invitationId, organizationId, ...allowed.values],
      )
    const row = await spending(scope, budgets, update)
    if (!row) throw organizationFaults.invitation_not_found()
    const organization = found.results[0]?.results[0] as unknown as OrganizationRow
    deliver(
      context,
      scope,
      { ...row, organization },
      { token, redirectTo, inviter: actorOf(input) },
    )
    tell(context, scope, { ...change, organizationId, actorId: actorOf(input) })
    return toInvitation(row)
  }

/** One trip; one more if the host is asked before. @throws {Fault} What `act` throws, `invitation_not_found`. */
export const revokeInvitation =
  (context: Context) =>
  async (scope: Scope, input: OneInvitation): Promise<void> => {
    const { organizationId, invitationId, actor, network } = input
    const demand = { actor, organizationId, permission: 'invitations:manage' } as const
    const change = { action: 'organization_invitation_revoked', network } as const
    await askHost(context, scope, demand, change)
    const allowed = may(context, scope, demand)
    const { results } = await act(context, scope, demand, [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_invitations WHERE id = ? AND organization_id = ?
             AND ${allowed.sql} RETURNING email`,
        )
        .bind(invitationId, organizationId, ...allowed.values),
    ])
    const email = results[0]?.results[0]?.email as string | undefined
    if (!email) throw organizationFaults.invitation_not_found()
    tell(context, scope, { ...change, email, organizationId, actorId: actorOf(input) })
  }
