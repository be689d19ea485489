import type { QueryResult, Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import type { Page } from '../admin/paging.ts'
import { isGuestsStill, mayChange, sessionOf, signInFirst } from '../caller.ts'
import { and, type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import type { Caller } from '../session.ts'
import { checkCaller } from '../user.ts'
import type { SessionRow } from '../wire.ts'
import {
  type Acting,
  type Context,
  type Counted,
  type OrganizationChange,
  tell,
} from './context.ts'
import { organizationFaults } from './faults.ts'
import {
  type Organization,
  type OrganizationRow,
  type Paged,
  toOrganization,
} from './organization.ts'
import type { OrganizationPermission } from './roles.ts'

/*
 * Who acts is asked twice, in one trip: by the first statement, whose answer says what to refuse them with, and by each write
 * itself, which is nothing to whoever may not. So no role that has just been taken away writes any more.
 */

/** That the user `u` of this session may act at all: there, not banned, no guest. */
export const isUser = (scope: Scope, caller: Caller): Condition =>
  and(
    condition(
      `u.id = ? AND u.deleted_at IS NULL AND u.is_anonymous = 0
       AND coalesce(u.banned_until, 0) <= ?`,
      caller.userId,
      scope.now(),
    ),
    mayChange(scope, caller),
  )

/** That the member `a` may give and take these roles, which are SQL. */
export const mayGive = ({ roles }: Context, ...given: readonly Condition[]): Condition =>
  condition(
    `a.role = 'owner' OR NOT EXISTS (
       SELECT 1 FROM (${given.map(({ sql }) => `SELECT ${sql} AS role`).join(' UNION ALL ')}) g
       WHERE a.role || '>' || g.role NOT IN (SELECT value FROM json_each(?)))`,
    ...given.flatMap(({ values }) => values),
    roles.gives,
  )

export interface Demand extends Acting {
  organizationId: string
  /** @default being a member */
  permission?: OrganizationPermission | undefined
}

/** That whoever acts may do it, in SQL. @param more What else must hold of the member `a`. */
export function may(
  context: Context,
  scope: Scope,
  { actor, organizationId, permission }: Demand,
  more: Condition = condition('1'),
): Condition {
  if (!actor) return condition('1')
  const user = isUser(scope, actor)
  const held = permission && context.roles.holders(permission)
  return condition(
    `EXISTS (SELECT 1 FROM leanto_auth_members a JOIN leanto_auth_users u ON u.id = a.user_id
       WHERE a.organization_id = ? AND a.user_id = ?
         ${held ? 'AND a.role IN (SELECT value FROM json_each(?))' : ''}
         AND (${more.sql}) AND ${user.sql})`,
    organizationId,
    actor.userId,
    ...(held ? [held] : []),
    ...more.values,
    ...user.values,
  )
}

interface StandingRow extends SessionRow {
  member_role: string | null
}

/** Reads who acts, and what they are in the organisation. */
export function standing(
  scope: Scope,
  { actor, organizationId = '' }: Acting & { organizationId?: string },
): Statement {
  if (!actor)
    return scope.db
      .prepare('SELECT 1 FROM leanto_auth_organizations WHERE id = ?')
      .bind(organizationId)
  const session = sessionOf(scope, actor)
  return scope.db
    .prepare(
      `SELECT u.id, u.deleted_at, u.banned_until, u.is_anonymous, s.id AS session_id, s.amr,
         m.role AS member_role
       FROM leanto_auth_users u LEFT JOIN ${session.sql} s ON s.user_id = u.id
       LEFT JOIN leanto_auth_members m ON m.organization_id = ? AND m.user_id = u.id
       WHERE u.id = ?`,
    )
    .bind(...session.values, organizationId, actor.userId)
}

/** @throws {Fault} `user_not_found`, `session_not_found`, `user_banned`, `no_authorization` (403 each), `reauthentication_needed`. */
export function checkUser(scope: Scope, read: unknown): SessionRow {
  const row = checkCaller(scope, read)
  if (row.is_anonymous === 1)
    throw authFaults.no_authorization({
      status: 403,
      message: 'Anonymous user not allowed to perform these actions',
    })
  if (isGuestsStill(row)) throw signInFirst()
  return row
}

/** @returns The role of whoever acts; nothing for the server. */
function checkStanding(
  { roles }: Context,
  scope: Scope,
  { actor, permission }: Demand,
  read: QueryResult | undefined,
): string | undefined {
  const [row] = read?.results ?? []
  if (!actor) {
    if (!row) throw organizationFaults.organization_not_found()
    return undefined
  }
  const { member_role: role } = checkUser(scope, row) as StandingRow
  // Also of one that is there: whoever is not in it must not know (case 42).
  if (role === null) throw organizationFaults.organization_not_found()
  if (permission && !roles.can(role, permission)) throw organizationFaults.organization_forbidden()
  return role
}

/**
 * Runs statements for whoever acts, in one trip.
 *
 * @returns What they answered, and the role of whoever acts.
 * @throws {Fault} What `checkUser` throws, `organization_not_found` (404), `organization_forbidden` (403). The statements have
 * run by then: those that write ask `may`, and what those that read have answered goes nowhere.
 */
export async function act(
  context: Context,
  scope: Scope,
  demand: Demand,
  statements: readonly Statement[],
): Promise<{ role: string | undefined; results: QueryResult[] }> {
  const [first, ...results] = await scope.db.batch([standing(scope, demand), ...statements])
  return { role: checkStanding(context, scope, demand, first), results }
}

export const selectOrganization = (scope: Scope, id: string): Statement =>
  scope.db.prepare('SELECT * FROM leanto_auth_organizations WHERE id = ?').bind(id)

/**
 * What the host has to say before something is done. One trip, if it has: only what whoever acts may do is asked about.
 *
 * @returns How many there may be of what is counted.
 * @throws {Fault} What `act` throws, and what the host throws.
 */
export async function askHost(
  context: Context,
  scope: Scope,
  demand: Demand,
  change: Omit<OrganizationChange, 'actorId' | 'organizationId'>,
  counted?: Counted,
): Promise<number> {
  const most = counted ? context.most[counted] : false
  let organization: Organization | undefined
  if (context.before || typeof most === 'function') {
    const { organizationId } = demand
    const { results } = await act(context, scope, demand, [
      selectOrganization(scope, organizationId),
    ])
    const row = results[0]?.results[0] as OrganizationRow | undefined
    if (!row) throw organizationFaults.organization_not_found()
    organization = toOrganization(row)
    await context.before?.(scope, { ...change, organizationId, actorId: actorOf(demand) })
  }
  const answered =
    typeof most === 'function' ? await most(scope, organization as Organization) : most
  return answered === false ? Number.MAX_SAFE_INTEGER : answered
}

const actorOf = ({ actor }: Acting): string | null => actor?.userId ?? null

/** What is done, and about whom. */
type Doing = Omit<OrganizationChange, 'actorId' | 'organizationId' | 'network'> & {
  permission?: OrganizationPermission | undefined
  /** Of what there may be so many. */
  counted?: Counted
  /** What else must hold of the member `a`. */
  more?: Condition | undefined
}

type Row = Record<string, unknown>

/**
 * Does something for whoever acts, once the host was asked. One trip, and what `askHost` costs.
 *
 * @param statements Each that writes asks `allowed`; of what is counted there may be `most`.
 * @returns The first row of each, and what tells of it.
 * @throws {Fault} What `askHost` and `act` throw.
 */
export async function change(
  context: Context,
  scope: Scope,
  input: Acting & { organizationId: string },
  { permission, counted, more, ...doing }: Doing,
  statements: (allowed: Condition, most: number) => readonly Statement[],
): Promise<{
  role: string | undefined
  rows: (Row | undefined)[]
  done: (more?: Partial<OrganizationChange>) => void
}> {
  const { organizationId, actor, network } = input
  const demand = { actor, organizationId, permission }
  const most = await askHost(context, scope, demand, { ...doing, network }, counted)
  const allowed = may(context, scope, demand, more)
  const { role, results } = await act(context, scope, demand, statements(allowed, most))
  return {
    role,
    rows: results.map(({ results: [row] }) => row),
    done: (also) =>
      tell(context, scope, {
        ...{ ...doing, network, organizationId, actorId: actorOf(input) },
        ...also,
      }),
  }
}

/**
 * A page of what an organisation has, and how many there are. One trip.
 *
 * @param list.counted What is counted in place of `from`, with the same values.
 * @throws {Fault} What `act` throws.
 */
export async function page<Of, Item>(
  context: Context,
  scope: Scope,
  { page, perPage, ...demand }: Demand & Page,
  list: { select: string; from: string; counted?: string; order: string; values: unknown[] },
  toItem: (row: Of) => Item,
): Promise<Paged<Item>> {
  const { select, from, counted = from, order, values } = list
  const { results } = await act(context, scope, demand, [
    scope.db
      .prepare(`SELECT ${select} FROM ${from} ORDER BY ${order} LIMIT ? OFFSET ?`)
      .bind(...values, perPage, (page - 1) * perPage),
    scope.db.prepare(`SELECT count(*) AS total FROM ${counted}`).bind(...values),
  ])
  return {
    items: ((results[0]?.results ?? []) as Of[]).map(toItem),
    total: Number(results[1]?.results[0]?.total),
  }
}
