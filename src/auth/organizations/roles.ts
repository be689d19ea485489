/** What a role may be allowed of an organisation itself. A host's roles may have words of its own beside these. */
export const organizationPermissions = [
  'organization:update',
  'organization:delete',
  'members:manage',
  'invitations:manage',
  'teams:manage',
] as const

export type OrganizationPermission = (typeof organizationPermissions)[number]

/** The roles besides `owner`, each with what it may do. */
export type RoleTable = Readonly<Record<string, readonly string[]>>

/** Every organisation has these; `owner` may do everything, and is what no table can change. */
const builtIn: RoleTable = {
  admin: organizationPermissions.filter((permission) => permission !== 'organization:delete'),
  member: [],
}

const word = /^[\w.:-]{1,64}$/

export interface Roles {
  has(role: string): boolean
  /** Whether someone in this role may do this. */
  can(role: string, permission: string): boolean
  /** JSON list of those who may do this. */
  holders(permission: string): string
  /**
   * JSON list of `giver>given`, for SQL: nobody gives or takes a role that may do more than their own, and `owner` is the
   * owners' to give. They, who may give any, are not in it.
   */
  readonly gives: string
}

/** @throws {TypeError} if a role or a permission is no word, or `owner` is in the table. */
export function rolesOf(table: RoleTable = {}): Roles {
  const wrong = (fix: string) => new TypeError(`organizations: \`roles\` ${fix}`)
  if (Object.hasOwn(table, 'owner')) throw wrong('cannot say what `owner` may do: everything')
  const all = new Map<string, ReadonlySet<string>>()
  for (const [role, permissions] of Object.entries({ ...builtIn, ...table })) {
    if (!word.test(role)) throw wrong(`has ${JSON.stringify(role)}, which is no word`)
    if (!Array.isArray(permissions) || permissions.some((one) => !word.test(String(one))))
      throw wrong(`.${role} must be a list of words`)
    all.set(role, new Set(permissions))
  }
  const names = [...all.keys()]
  const covers = (giver: string, given: string) =>
    [...(all.get(given) ?? [])].every((permission) => all.get(giver)?.has(permission))
  const pairs = names.flatMap((giver) =>
    names.filter((given) => covers(giver, given)).map((given) => `${giver}>${given}`),
  )
  const can = (role: string, permission: string) =>
    role === 'owner' || all.get(role)?.has(permission) === true
  return {
    has: (role) => role === 'owner' || all.has(role),
    can,
    holders: (permission) =>
      JSON.stringify(['owner', ...names].filter((role) => can(role, permission))),
    gives: JSON.stringify(pairs),
  }
}
