import { isStorable } from '../../core/body.ts'
import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import type { Page } from '../admin/paging.ts'
import { refuse } from '../body.ts'
import { byId, type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { checkMetadata } from '../metadata.ts'
import type { Metadata } from '../wire.ts'
import { act, change, checkUser, isUser, selectOrganization, standing } from './acting.ts'
import { type Acting, type Context, tell } from './context.ts'
import { organizationFaults } from './faults.ts'

/** A row of `leanto_auth_organizations`. */
export interface OrganizationRow {
  id: string
  name: string
  slug: string | null
  metadata: string
  app_metadata: string
  created_at: number
  updated_at: number
  role?: string
}

/** An organisation as its members see it. Times are ISO 8601. */
export interface Organization {
  id: string
  name: string
  slug: string | null
  /** Whoever may change the organisation writes it. */
  metadata: Metadata
  /** The server writes it, and members read it: such as a plan. */
  app_metadata: Metadata
  created_at: string
  updated_at: string
  /** The caller's, where a user asks. */
  role?: string
}

export const iso = (time: number): string => new Date(time).toISOString()

export const toOrganization = (row: OrganizationRow, role = row.role): Organization => ({
  id: row.id,
  name: row.name,
  slug: row.slug,
  metadata: JSON.parse(row.metadata) as Metadata,
  app_metadata: JSON.parse(row.app_metadata) as Metadata,
  created_at: iso(row.created_at),
  updated_at: iso(row.updated_at),
  ...(role ? { role } : {}),
})

/** What an organisation is to be like. */
export interface OrganizationAttributes {
  /** 1 to 100 characters. */
  name?: string | undefined
  /** Lower case letters, digits and hyphens, up to 64; no two have the same. `null` for none. */
  slug?: string | null | undefined
  /** Merged (RFC 7396). */
  metadata?: Metadata | undefined
  /** For the server. Merged (RFC 7396). */
  appMetadata?: Metadata | undefined
}

/** @throws {Fault} `validation_failed` (400). */
export function checkName(name: string): string {
  const trimmed = name.trim()
  if (trimmed === '' || trimmed.length > 100 || !isStorable(trimmed) || /\p{Cc}/u.test(trimmed))
    throw refuse('name must be 1 to 100 characters of text')
  return trimmed
}

function checked({ name, slug, metadata, appMetadata }: OrganizationAttributes) {
  if (typeof slug === 'string' && !/^[a-z\d](?:[a-z\d-]{0,62}[a-z\d])?$/.test(slug))
    throw refuse('slug must be up to 64 lower case letters, digits and hyphens')
  return {
    name: name === undefined ? undefined : checkName(name),
    slug,
    metadata: JSON.stringify(checkMetadata(metadata ?? {})),
    appMetadata: JSON.stringify(checkMetadata(appMetadata ?? {})),
  }
}

const slugTaken = (scope: Scope, slug: string | null | undefined, id: string): Statement =>
  scope.db
    .prepare('SELECT 1 FROM leanto_auth_organizations WHERE slug = ? AND id <> ?')
    .bind(slug ?? null, id)

/**
 * Makes an organisation, of which whoever acts is the owner. One trip.
 *
 * @param input.ownerId For the server: whose it is.
 * @throws {Fault} `validation_failed`, what `checkUser` throws, `organization_forbidden` (403) for whom the host lets make
 * none, `organization_slug_taken`, `organization_limit`; for the server `user_not_found` (404).
 */
export const createOrganization =
  (context: Context) =>
  async (
    scope: Scope,
    input: Acting & OrganizationAttributes & { name: string; ownerId?: string },
  ): Promise<Organization> => {
    const { name, slug, metadata, appMetadata } = checked(input)
    const { actor, network } = input
    const userId = actor?.userId ?? input.ownerId ?? ''
    const now = scope.now()
    const id = uuidv7(now)
    const actorId = actor?.userId ?? null
    const made = { action: 'organization_created', organizationId: id, userId, network } as const
    if (actor) {
      if (!(await context.mayCreate(scope, { userId })))
        throw organizationFaults.organization_forbidden({
          message: 'You may not create organizations',
        })
      if (context.before) checkUser(scope, await standing(scope, { actor }).first())
    }
    await context.before?.(scope, { ...made, actorId })
    const user = actor
      ? isUser(scope, actor)
      : condition(`${byId(userId).sql} AND u.deleted_at IS NULL`, userId)
    const [caller, inserted, , taken] = await scope.db.batch([
      actor
        ? standing(scope, { actor })
        : scope.db
            .prepare(`SELECT 1 FROM leanto_auth_users u WHERE ${user.sql}`)
            .bind(...user.values),
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_organizations
             (id, name, slug, metadata, app_metadata, created_at, updated_at)
           SELECT ?, ?, ?, ?, ?, ?, ? FROM leanto_auth_users u WHERE ${user.sql}
             AND NOT EXISTS (SELECT 1 FROM leanto_auth_organizations o WHERE o.slug = ?)
             AND (SELECT count(*) FROM leanto_auth_members m
                  WHERE m.user_id = u.id AND m.role = 'owner') < ?
           RETURNING *`,
        )
        .bind(
          ...[id, name, slug ?? null, metadata, appMetadata, now, now],
          ...user.values,
          slug ?? null,
          actor ? context.owned : Number.MAX_SAFE_INTEGER,
        ),
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_members
           SELECT id, ?, 'owner', ?, ? FROM leanto_auth_organizations WHERE id = ?`,
        )
        .bind(userId, now, now, id),
      slugTaken(scope, slug, id),
    ])
    if (actor) checkUser(scope, caller?.results[0])
    else if (!caller?.results[0])
      throw authFaults.user_not_found({ status: 404, message: 'User not found' })
    const row = inserted?.results[0] as OrganizationRow | undefined
    if (!row) {
      if (taken?.results[0]) throw organizationFaults.organization_slug_taken()
      throw organizationFaults.organization_limit({
        message: 'You own as many organizations as you may',
      })
    }
    tell(context, scope, { ...made, actorId })
    return toOrganization(row, actor && 'owner')
  }

/** One trip. @throws {Fault} What `act` throws. */
export const getOrganization =
  (context: Context) =>
  async (scope: Scope, input: Acting & { organizationId: string }): Promise<Organization> => {
    const { role, results } = await act(context, scope, input, [
      selectOrganization(scope, input.organizationId),
    ])
    return toOrganization(results[0]?.results[0] as unknown as OrganizationRow, role)
  }

/** One page of what there is, and how many there are. */
export interface Paged<Item> {
  items: Item[]
  total: number
}

/**
 * The organisations of whoever acts, or for the server all, the oldest first. One trip.
 *
 * @param input.ownerless Only those without an owner.
 * @throws {Fault} What `checkUser` throws.
 */
export async function listOrganizations(
  scope: Scope,
  { actor, page, perPage, ownerless = false }: Acting & Page & { ownerless?: boolean },
): Promise<Paged<Organization>> {
  const where = ownerless
    ? `WHERE NOT EXISTS (SELECT 1 FROM leanto_auth_members m
           WHERE m.organization_id = o.id AND m.role = 'owner')`
    : ''
  const from = actor
    ? `leanto_auth_members m JOIN leanto_auth_organizations o ON o.id = m.organization_id
         WHERE m.user_id = ?`
    : `leanto_auth_organizations o ${where}`
  const values = actor ? [actor.userId] : []
  const counted = actor ? 'leanto_auth_members m WHERE m.user_id = ?' : from
  const [rows, count, caller] = await scope.db.batch([
    scope.db
      .prepare(`SELECT o.*${actor ? ', m.role' : ''} FROM ${from} ORDER BY o.id LIMIT ? OFFSET ?`)
      .bind(...values, perPage, (page - 1) * perPage),
    scope.db.prepare(`SELECT count(*) AS total FROM ${counted}`).bind(...values),
    ...(actor ? [standing(scope, { actor })] : []),
  ])
  if (actor) checkUser(scope, caller?.results[0])
  return {
    items: ((rows?.results ?? []) as unknown as OrganizationRow[]).map((row) =>
      toOrganization(row),
    ),
    total: Number(count?.results[0]?.total),
  }
}

/**
 * One trip; one more if the host is asked before.
 *
 * @throws {Fault} `validation_failed`, what `act` throws, `organization_slug_taken`.
 */
export const updateOrganization =
  (context: Context) =>
  async (
    scope: Scope,
    input: Acting & OrganizationAttributes & { organizationId: string },
  ): Promise<Organization> => {
    const { organizationId } = input
    const { name, slug, metadata, appMetadata } = checked(input)
    const doing = { action: 'organization_updated', permission: 'organization:update' } as const
    const fits = (column: string) => `length(CAST(json_patch(o.${column}, ?) AS BLOB)) <= 8192`
    const { role, rows, done } = await change(context, scope, input, doing, (allowed) => [
      scope.db
        .prepare(
          `UPDATE leanto_auth_organizations AS o SET name = coalesce(?, name),
             slug = CASE WHEN ? THEN ? ELSE slug END, metadata = json_patch(metadata, ?),
             app_metadata = json_patch(app_metadata, ?), updated_at = ?
           WHERE id = ? AND ${allowed.sql} AND ${fits('metadata')} AND ${fits('app_metadata')}
             AND NOT EXISTS (SELECT 1 FROM leanto_auth_organizations x
               WHERE x.slug = ? AND x.id <> o.id)
           RETURNING *`,
        )
        .bind(
          ...[name ?? null, slug === undefined ? 0 : 1, slug ?? null, metadata, appMetadata],
          ...[scope.now(), organizationId, ...allowed.values, metadata, appMetadata, slug ?? null],
        ),
      slugTaken(scope, slug, organizationId),
    ])
    if (!rows[0]) {
      if (rows[1]) throw organizationFaults.organization_slug_taken()
      throw refuse('metadata: at most 8192 bytes as JSON')
    }
    done()
    return toOrganization(rows[0] as unknown as OrganizationRow, role)
  }

/** What is an organisation's, and is gone with it. @param gone Selects organisations by `organization_id`. */
export const leftovers = (scope: Scope, gone: Condition): Statement[] =>
  [
    `team_members WHERE team_id IN (SELECT id FROM leanto_auth_teams WHERE ${gone.sql})`,
    ...['teams', 'invitations', 'members'].map((table) => `${table} WHERE ${gone.sql}`),
  ].map((sql) => scope.db.prepare(`DELETE FROM leanto_auth_${sql}`).bind(...gone.values))

/** One trip; one more if the host is asked before. @throws {Fault} What `act` throws. */
export const deleteOrganization =
  (context: Context) =>
  async (scope: Scope, input: Acting & { organizationId: string }): Promise<void> => {
    const { organizationId } = input
    const doing = { action: 'organization_deleted', permission: 'organization:delete' } as const
    const gone = condition(
      `organization_id = ?1
         AND NOT EXISTS (SELECT 1 FROM leanto_auth_organizations o WHERE o.id = ?1)`,
      organizationId,
    )
    const { done } = await change(context, scope, input, doing, (allowed) => [
      scope.db
        .prepare(`DELETE FROM leanto_auth_organizations WHERE id = ? AND ${allowed.sql}`)
        .bind(organizationId, ...allowed.values),
      ...leftovers(scope, gone),
    ])
    done()
  }
