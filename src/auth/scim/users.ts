import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { condition } from '../condition.ts'
import { normaliseEmail } from '../email.ts'
import { checkMetadata } from '../metadata.ts'
import { type Directory, link, unlink } from './directory.ts'
import { type Attributes, filterSql } from './filter.ts'
import { type Operation, patched } from './patch.ts'
import { invalid, type ListInput, listed, notFound, plain, ScimError, urn } from './wire.ts'

interface PersonRow {
  id: string
  user_name: string
  external_id: string | null
  email: string | null
  data: string
  active: number
  version: number
  created_at: number
  updated_at: number
  /** JSON list of `{ value, display }`. */
  groups: string
  /** Of the account, if there is one and it is a member. */
  role: string | null
}

type Resource = Record<string, unknown>

const columns = `su.id, su.user_name, su.external_id, su.email, su.data, su.active, su.version,
  su.created_at, su.updated_at,
  (SELECT json_group_array(json_object('value', t.id, 'display', t.name))
   FROM leanto_auth_scim_group_members g JOIN leanto_auth_teams t ON t.id = g.team_id
   WHERE g.scim_user_id = su.id) AS groups,
  (SELECT m.role FROM leanto_auth_members m
   WHERE m.organization_id = su.organization_id AND m.user_id = su.user_id) AS role`

const attributes: Attributes = {
  id: { sql: 'su.id', exact: true },
  username: { sql: 'su.user_name' },
  externalid: { sql: 'su.external_id', exact: true },
  active: { sql: 'su.active', type: 'boolean' },
  displayname: { sql: `su.data ->> '$.displayName'` },
  'name.givenname': { sql: `su.data ->> '$.name.givenName'` },
  'name.familyname': { sql: `su.data ->> '$.name.familyName'` },
  emails: { sql: `e.value ->> 'value'`, many: `su.data, '$.emails'` },
  'emails.value': { sql: `e.value ->> 'value'`, many: `su.data, '$.emails'` },
  'emails.type': { sql: `e.value ->> 'type'`, many: `su.data, '$.emails'` },
  'meta.created': { sql: 'su.created_at', type: 'time' },
  'meta.lastmodified': { sql: 'su.updated_at', type: 'time' },
}

export const iso = (time: number): string => new Date(time).toISOString()

function toResource(row: PersonRow, { url }: Directory): Resource {
  return {
    ...(JSON.parse(row.data) as Resource),
    schemas: [urn.user, ...(row.data.includes(`"${urn.enterprise}"`) ? [urn.enterprise] : [])],
    id: row.id,
    ...(row.external_id === null ? {} : { externalId: row.external_id }),
    userName: row.user_name,
    active: row.active === 1,
    groups: (JSON.parse(row.groups) as Resource[]).map((group) => ({
      ...group,
      $ref: `${url}/Groups/${group.value}`,
    })),
    meta: {
      resourceType: 'User',
      created: iso(row.created_at),
      lastModified: iso(row.updated_at),
      location: `${url}/Users/${row.id}`,
      version: `W/"${row.version}"`,
    },
  }
}

/** What the server says, or keeps nowhere. */
const ours: readonly string[] = [
  'schemas',
  'id',
  'meta',
  'groups',
  'password',
  'username',
  'externalid',
  'active',
]

function truth(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  // Entra ID sends `"False"`.
  if (typeof value === 'string' && /^(?:true|false)$/i.test(value))
    return value.toLowerCase() === 'true'
  throw invalid('active must be true or false')
}

export const shortText = (name: string, value: unknown, least = 1): string => {
  if (typeof value === 'string' && value.length <= 256 && value.trim().length >= least)
    if (!/\p{Cc}/u.test(value) && value.isWellFormed()) return value
  throw invalid(`${name} must be a text of at most 256 characters`)
}

/** The first that is marked, or the first that is there, or else the name, if they are addresses. */
function emailOf(data: Resource, userName: string): string | null {
  const emails = Array.isArray(data.emails) ? (data.emails as Resource[]) : []
  const chosen = emails.find((one) => one?.primary === true || one?.primary === 'True') ?? emails[0]
  const value = typeof chosen?.value === 'string' ? chosen.value : userName
  return normaliseEmail(value)
}

/** @throws {ScimError} `invalidValue` (400), also for an address that is not the organisation's to speak for. */
function read(input: unknown, { domains }: Directory) {
  const resource = plain(input)
  const named = new Map(
    Object.entries(resource).map(([name, value]) => [name.toLowerCase(), value]),
  )
  const userName = shortText('userName', named.get('username'))
  const external = named.get('externalid')
  const data = Object.fromEntries(
    Object.entries(resource).filter(
      ([name, value]) => !ours.includes(name.toLowerCase()) && value != null,
    ),
  )
  try {
    checkMetadata(data)
  } catch (error) {
    throw invalid((error as Error).message)
  }
  const email = emailOf(data, userName)
  if (email && !domains.includes(email.slice(email.indexOf('@') + 1)))
    throw invalid('The organization may not speak for addresses of this domain')
  return {
    userName,
    externalId: external == null || external === '' ? null : shortText('externalId', external),
    active: named.get('active') === undefined ? true : truth(named.get('active')),
    email,
    data: JSON.stringify(data),
  }
}

const selectOne = (scope: Scope, { organizationId }: Directory, id: string) =>
  scope.db
    .prepare(
      `SELECT ${columns} FROM leanto_auth_scim_users su WHERE su.id = ? AND su.organization_id = ?`,
    )
    .bind(id, organizationId)

const taken = () => new ScimError(409, 'userName is taken', 'uniqueness')

/** One trip. @throws {ScimError} `invalidValue` (400), `uniqueness` (409), 403 if there may be no more. */
export async function createPerson(scope: Scope, directory: Directory, body: unknown) {
  const { organizationId, role, most } = directory
  const { userName, externalId, active, email, data } = read(body, directory)
  const now = scope.now()
  const id = uuidv7(now)
  const [same, made, , , , row] = await scope.db.batch([
    scope.db
      .prepare(
        `SELECT 1 FROM leanto_auth_scim_users
         WHERE organization_id = ? AND lower(user_name) = lower(?)`,
      )
      .bind(organizationId, userName),
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_scim_users (id, organization_id, user_name, external_id, email, data,
           active, created_at, updated_at)
         SELECT ?1, o.id, ?2, ?3, ?4, ?5, ?6, ?7, ?7 FROM leanto_auth_organizations o WHERE o.id = ?8
           AND NOT EXISTS (SELECT 1 FROM leanto_auth_scim_users x
             WHERE x.organization_id = ?8 AND lower(x.user_name) = lower(?2))
           AND (?9 = ${Number.MAX_SAFE_INTEGER}
             OR (SELECT count(*) FROM leanto_auth_scim_users c WHERE c.organization_id = ?8) < ?9)
         RETURNING id`,
      )
      .bind(id, userName, externalId, email, data, active ? 1 : 0, now, organizationId, most),
    ...link(scope, role, condition('su.id = ?', id)),
    selectOne(scope, directory, id),
  ])
  if (!made?.results[0]) {
    if (same?.results[0]) throw taken()
    throw new ScimError(403, 'The organization has as many members as it may have', 'tooMany')
  }
  return toResource(row?.results[0] as unknown as PersonRow, directory)
}

/** One trip. @throws {ScimError} 404. */
export async function readPerson(scope: Scope, directory: Directory, id: string) {
  const row = await selectOne(scope, directory, id).first<PersonRow>()
  if (!row) throw notFound()
  return toResource(row, directory)
}

/** One trip. @throws {ScimError} `invalidFilter` (400). */
export async function listPeople(scope: Scope, directory: Directory, input: ListInput) {
  const { filter, startIndex, count } = input
  const where = filterSql(filter, attributes)
  const values = [directory.organizationId, ...where.values]
  const from = `leanto_auth_scim_users su WHERE su.organization_id = ? AND ${where.sql}`
  const [rows, counted] = await scope.db.batch([
    scope.db
      .prepare(`SELECT ${columns} FROM ${from} ORDER BY su.id LIMIT ? OFFSET ?`)
      .bind(...values, count, startIndex - 1),
    scope.db.prepare(`SELECT count(*) AS total FROM ${from}`).bind(...values),
  ])
  const people = (rows?.results ?? []) as unknown as PersonRow[]
  const total = Number(counted?.results[0]?.total)
  return listed(
    people.map((row) => toResource(row, directory)),
    total,
    startIndex,
  )
}

const mostTries = 5

/**
 * Replaces a person (`PUT`), or changes what operations say (`PATCH`). Who is made inactive loses the membership and the sessions
 * that are for the organisation; who is made active anew has it again. Two trips; two more for each change in between.
 *
 * @throws {ScimError} 404, `invalidValue`, `invalidPath` (400), `uniqueness`, `mutability` (409).
 */
export async function changePerson(
  scope: Scope,
  directory: Directory,
  id: string,
  change: { put: unknown } | { patch: readonly Operation[] },
) {
  const { organizationId, role } = directory
  for (let tries = 0; tries < mostTries; tries++) {
    const row = await selectOne(scope, directory, id).first<PersonRow>()
    if (!row) throw notFound()
    const before = toResource(row, directory)
    const asked = 'put' in change ? change.put : patched(before, change.patch)
    const input = read(asked, directory)
    if (!input.active) mayEnd(row)
    const ended = !input.active && row.active === 1
    const same = condition(
      'id = ? AND organization_id = ? AND version = ?',
      id,
      organizationId,
      row.version,
    )
    const results = await scope.db.batch([
      scope.db
        .prepare(
          `SELECT 1 FROM leanto_auth_scim_users
           WHERE organization_id = ? AND lower(user_name) = lower(?) AND id <> ?`,
        )
        .bind(organizationId, input.userName, id),
      scope.db
        .prepare(
          `UPDATE OR IGNORE leanto_auth_scim_users SET user_name = ?, external_id = ?, email = ?, data = ?,
             active = ?, version = version + 1, updated_at = ?
           WHERE ${same.sql} AND NOT EXISTS (SELECT 1 FROM leanto_auth_scim_users x
             WHERE x.organization_id = ? AND lower(x.user_name) = lower(?) AND x.id <> ?)
           RETURNING id`,
        )
        .bind(
          ...[input.userName, input.externalId, input.email, input.data, input.active ? 1 : 0],
          ...[scope.now(), ...same.values, organizationId, input.userName, id],
        ),
      ...(ended ? unlink(scope, directory, id) : link(scope, role, condition('su.id = ?', id))),
      selectOne(scope, directory, id),
    ])
    if (results[0]?.results[0]) throw taken()
    if (!results[1]?.results[0]) continue
    return toResource(results.at(-1)?.results[0] as unknown as PersonRow, directory)
  }
  throw new ScimError(409, 'The resource was changed in between')
}

/** An owner is nobody's to remove but the owners'. */
function mayEnd({ role }: Pick<PersonRow, 'role'>): void {
  if (role === 'owner')
    throw new ScimError(409, 'An owner of the organization cannot be removed', 'mutability')
}

/** Two trips. @throws {ScimError} 404, `mutability` (409). */
export async function deletePerson(scope: Scope, directory: Directory, id: string): Promise<void> {
  const row = await selectOne(scope, directory, id).first<PersonRow>()
  if (!row) throw notFound()
  mayEnd(row)
  const { organizationId } = directory
  await scope.db.batch([
    ...unlink(scope, directory, id),
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_scim_users WHERE id = ? AND organization_id = ? AND user_id IS NULL`,
      )
      .bind(id, organizationId),
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_scim_group_members WHERE scim_user_id = ?1
           AND NOT EXISTS (SELECT 1 FROM leanto_auth_scim_users WHERE id = ?1)`,
      )
      .bind(id),
  ])
}
