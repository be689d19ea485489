import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { requireEmail } from '../address.ts'
import type { Page } from '../admin/paging.ts'
import { type Budget, checkSpent, giveBack, messageBudgets, spendAll, within } from '../budget.ts'
import { and, type Condition, condition } from '../condition.ts'
import { sendMail } from '../mails.ts'
import { checkRedirect, withParameters } from '../redirect.ts'
import { act, askHost, change, may, mayGive, page, selectOrganization } from './acting.ts'
import { type Acting, type Context, type OrganizationChange, tell } from './context.ts'
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
  (scope: Scope, input: Acting & Page & { organizationId: string }): Promise<Paged<Invitation>> =>
    page(
      context,
      scope,
      { ...input, permission: 'invitations:manage' },
      {
        select: invitationColumns,
        from: 'leanto_auth_invitations WHERE organization_id = ? AND expires_at > ?',
        order: 'email',
        values: [input.organizationId, scope.now()],
      },
      toInvitation,
    )

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
  { email, role, invited_by }: InvitationRow,
  { id, name, slug }: OrganizationRow,
  { token, redirectTo }: { token: string; redirectTo: string | undefined },
): void {
  sendMail(settings, scope, 'organization_invite', {
    email,
    link: withParameters(
      checkRedirect(settings, scope, redirectTo),
      { invitation_token: token },
      'fragment',
    ),
    minutes: Math.floor(invitationSeconds / 60),
    subject: name,
    data: { organization: { id, name, slug }, role, invited_by },
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
    const { organizationId, actor, network } = input
    const email = requireEmail(input.email)
    const given = checkRole(context, input.role ?? 'member')
    const teams = JSON.stringify([...new Set(input.teamIds ?? [])])
    const demand = { actor, organizationId, permission } as const
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
    const organization = found.results[0]?.results[0]
    const row = await send(context, scope, input, { ...change, organization }, (token, allowed) =>
      scope.db
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
          ...[uuidv7(scope.now()), email, given, teams, token.hash, token.by, scope.now()],
          ...[token.expiresAt, organizationId, ...allowed.values, scope.now(), email, most],
        ),
    )
    if (!row) throw organizationFaults.organization_limit()
    return toInvitation(row)
  }

/**
 * Stores an invitation and mails it. One trip. A failure of ours spends nothing.
 *
 * @returns Nothing if it was not stored.
 * @throws {Fault} `rate_limited`.
 */
async function send(
  context: Context,
  scope: Scope,
  input: Acting & { organizationId: string; redirectTo?: string | undefined },
  told: Told & { email: string; role: string; organization: unknown },
  write: (
    token: { hash: string; by: string | null; expiresAt: number },
    allowed: Condition,
  ) => Statement,
): Promise<InvitationRow | undefined> {
  const { organizationId, actor, redirectTo } = input
  const { organization, ...change } = told
  const budgets = await budgetsOf(context, scope, { ...input, email: told.email })
  const token = randomToken()
  const by = actor?.userId ?? null
  const expiresAt = scope.now() + context.invitationSeconds * 1000
  const allowed = and(
    may(
      context,
      scope,
      { actor, organizationId, permission },
      mayGive(context, condition('?', told.role)),
    ),
    ...budgets.map(within),
  )
  const statement = write({ hash: await hash(token), by, expiresAt }, allowed)
  const results = await scope.db.batch([...spendAll(scope, budgets), statement])
  try {
    checkSpent(scope, budgets, results)
  } catch (error) {
    giveBack(scope, budgets, error)
    throw error
  }
  const row = results.at(-1)?.results[0] as unknown as InvitationRow | undefined
  if (!row) return undefined
  deliver(context, scope, row, organization as OrganizationRow, { token, redirectTo })
  tell(context, scope, { ...change, organizationId, actorId: by })
  return row
}

type Told = Omit<OrganizationChange, 'actorId' | 'organizationId'>
const permission = 'invitations:manage'

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
    const { organizationId, invitationId, actor, network } = input
    const demand = { actor, organizationId, permission } as const
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
    const actorId = actor?.userId ?? null
    await context.before?.(scope, { ...change, organizationId, actorId })
    const organization = found.results[0]?.results[0]
    const row = await send(context, scope, input, { ...change, organization }, (token, allowed) =>
      scope.db
        .prepare(
          `UPDATE leanto_auth_invitations SET hash = ?, invited_by = ?, expires_at = ?
           WHERE id = ? AND organization_id = ? AND role = ? AND ${allowed.sql}
           RETURNING ${invitationColumns}`,
        )
        .bind(
          ...[token.hash, token.by, token.expiresAt, invitationId, organizationId, role],
          ...allowed.values,
        ),
    )
    if (!row) throw organizationFaults.invitation_not_found()
    return toInvitation(row)
  }

/** One trip; one more if the host is asked before. @throws {Fault} What `act` throws, `invitation_not_found`. */
export const revokeInvitation =
  (context: Context) =>
  async (scope: Scope, input: OneInvitation): Promise<void> => {
    const { organizationId, invitationId } = input
    const action = 'organization_invitation_revoked'
    const doing = { action, permission: 'invitations:manage' } as const
    const { rows, done } = await change(context, scope, input, doing, (allowed) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_invitations WHERE id = ? AND organization_id = ?
             AND ${allowed.sql} RETURNING email`,
        )
        .bind(invitationId, organizationId, ...allowed.values),
    ])
    const email = rows[0]?.email as string | undefined
    if (!email) throw organizationFaults.invitation_not_found()
    done({ email })
  }
