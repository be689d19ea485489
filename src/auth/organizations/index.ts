import { type AnyColumn, type SQL, sql } from 'drizzle-orm'
import type { Limit } from '../../core/limit.ts'
import type { Membership, Principal } from '../../core/ports.ts'
import type { Scope } from '../../core/scope.ts'
import type { AuthPart } from '../part.ts'
import { adminRoutes } from './admin-routes.ts'
import { claimsOf, identifiedBy, membershipColumns } from './claims.ts'
import type { Context, Most, OrganizationChange } from './context.ts'
import { organizationFaults } from './faults.ts'
import { organizationMigrations } from './migrations.ts'
import { type OrganizationPermission, type RoleTable, rolesOf } from './roles.ts'
import { organizationRoutes } from './routes.ts'
import { purge, removed } from './upkeep.ts'
import { type OrganizationVerbs, verbsOf } from './verbs.ts'

export type { OwnInvitation } from './accept.ts'
export type { Most, OrganizationChange } from './context.ts'
export { organizationFaults } from './faults.ts'
export type { Invitation } from './invitations.ts'
export type { Member } from './members.ts'
export type { Organization, OrganizationAttributes, Paged } from './organization.ts'
export type { OrganizationPermission, RoleTable } from './roles.ts'
export { authMembers, authOrganizations, authTeamMembers, authTeams } from './tables.ts'
export type { Team } from './teams.ts'
export type { OrganizationVerbs } from './verbs.ts'

export interface OrganizationsOptions<Table extends RoleTable = RoleTable> {
  /**
   * What each role may do, in `OrganizationPermission`s and words of your own: `{ editor: ['notes:write'] }`. `owner` may do
   * everything; `admin` all of ours but `organization:delete`, and `member` nothing, unless they are named here.
   */
  roles?: Table
  /** Whether a user may make organisations. Guests never may. @default true */
  create?: boolean | ((scope: Scope, who: { userId: string }) => boolean | Promise<boolean>)
  /** `false` lifts one. A function is asked with the organisation, which costs a trip. */
  limits?: {
    /** That one user may own, by their own making. @default 10 */
    organizations?: number | false
    /** Of one organisation. @default 100 */
    members?: Most
    /** That wait in one organisation. @default 100 */
    invitations?: Most
    /** Of one organisation. @default 50 */
    teams?: Most
    /** Invitations that one organisation sends, beside what `auth` bounds for each network and address. @default { max: 100, seconds: 86400 } */
    mails?: Limit | false
  }
  invitations?: {
    /** Seconds that one lives, 600 to 2592000. @default 172800 (two days) */
    seconds?: number
  }
  /**
   * How many organisations a token names, 1 to 50; beyond them it says `orgs_cut`. The active one is always named. Each is
   * some 80 bytes of every request.
   * @default 25
   */
  claims?: number
  /**
   * Asks the database at each request to other modules and the host's routes, so that what has changed counts at once and not
   * when the token is refreshed. One trip each.
   * @default false
   */
  fresh?: boolean
  before?: {
    /** Runs before something is done that whoever does it may do; throws a `Fault` to refuse. Costs a trip. */
    change?: (scope: Scope, change: OrganizationChange) => void | Promise<void>
  }
  after?: {
    /** Hears of what is stored, after the response. */
    change?: (scope: Scope, change: OrganizationChange) => void | Promise<void>
  }
}

type Who = Pick<Principal, 'id' | 'orgs'>

export interface Organizations<Permission extends string = string>
  extends AuthPart,
    OrganizationVerbs {
  /** Whether their role in an organisation may do this, as far as their token tells. */
  can(who: Who, organizationId: string, permission: Permission): boolean
  /**
   * Ids of their organisations, for `inArray` in a policy, as far as their token tells.
   *
   * @param permission Only those in which their role may do this.
   */
  idsOf(who: Who, permission?: Permission): string[]
  /**
   * For policies: that a column holds the id of an organisation that they are in *now*, whatever their token says. Part of the
   * statement that it guards, so it costs rows and no trip.
   *
   * @param permission In which their role may do this.
   */
  isMember(column: AnyColumn, who: Who, permission?: Permission): SQL
  /** For parts that stand on this one, such as `scim()`. */
  readonly context: () => unknown
}

const wrong = (option: string, fix: string) => new TypeError(`organizations: \`${option}\` ${fix}`)

function whole(option: string, value: unknown, least: number, most: number): number {
  if (Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most)
    return Number(value)
  throw wrong(option, `must be a whole number from ${least} to ${most}`)
}

function most(option: string, value: Most): Most {
  if (value === false || typeof value === 'function') return value
  return whole(option, value, 0, 1_000_000)
}

function checkMails(limit: Limit | false): Limit | false {
  if (limit === false) return limit
  whole('limits.mails.max', limit?.max, 1, 1_000_000)
  whole('limits.mails.seconds', limit?.seconds, 1, 31_536_000)
  return limit
}

/**
 * Organisations: members with roles, invitations to a proven address, teams. Which ones someone is in is in their token, and
 * so in `who.orgs` of policies, without a trip.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function organizations<const Table extends RoleTable = Record<never, never>>(
  options: OrganizationsOptions<Table> = {},
): Organizations<OrganizationPermission | Table[keyof Table][number]> {
  const roles = rolesOf(options.roles)
  const { create = true, limits = {}, fresh = false } = options
  if (typeof create !== 'boolean' && typeof create !== 'function')
    throw wrong('create', 'must be true, false or a function')
  if (typeof fresh !== 'boolean') throw wrong('fresh', 'must be true or false')
  const claimed = whole('claims', options.claims ?? 25, 1, 50)
  const { organizations: owned = 10, mails = { max: 100, seconds: 86_400 } } = limits
  const given: Omit<Context, 'settings'> = {
    roles,
    mayCreate: typeof create === 'function' ? create : () => create,
    owned:
      owned === false
        ? Number.MAX_SAFE_INTEGER
        : whole('limits.organizations', owned, 0, 1_000_000),
    most: {
      members: most('limits.members', limits.members ?? 100),
      invitations: most('limits.invitations', limits.invitations ?? 100),
      teams: most('limits.teams', limits.teams ?? 50),
    },
    mails: checkMails(mails),
    invitationSeconds: whole(
      'invitations.seconds',
      options.invitations?.seconds ?? 172_800,
      600,
      2_592_000,
    ),
    before: options.before?.change,
    after: options.after?.change,
  }
  let mounted: Context | undefined
  const context = () => {
    if (mounted) return mounted
    throw wrong('with', 'must be listed in the `with` of auth first')
  }
  const may = (permission: string | undefined) => (org: Membership) =>
    permission === undefined || roles.can(org.role, permission)
  return Object.freeze({
    name: 'organizations',
    migrations: organizationMigrations,
    faults: organizationFaults,
    routes(doors) {
      if (mounted) throw wrong('with', 'must be given to one auth only')
      mounted = { ...given, settings: doors.settings }
      return [...organizationRoutes(doors, mounted), ...adminRoutes(doors, mounted)]
    },
    sessionColumns: membershipColumns('s.user_id', 's.id', claimed),
    claims: claimsOf(claimed),
    identified: identifiedBy(claimed, fresh),
    removed,
    purge,
    ...verbsOf(context),
    context,
    can: ({ orgs = [] }, organizationId, permission) =>
      orgs.some((org) => org.id === organizationId && may(permission)(org)),
    idsOf: ({ orgs = [] }, permission) => orgs.filter(may(permission)).map(({ id }) => id),
    isMember(column, { id }, permission) {
      const held =
        permission === undefined
          ? sql``
          : sql` and m.role in (select value from json_each(${roles.holders(permission)}))`
      return sql`${column} in (
        select m.organization_id from leanto_auth_members m where m.user_id = ${id}${held})`
    },
  } satisfies Organizations)
}
