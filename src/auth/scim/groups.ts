import type { Statement } from '../../core/database.ts'
import { isUuid, uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import type { Directory } from './directory.ts'
import { type Attributes, filterSql } from './filter.ts'
import { type Operation, readPath } from './patch.ts'
import { iso, shortText } from './users.ts'
import { invalid, type ListInput, listed, notFound, plain, ScimError, urn } from './wire.ts'

/* Groups are the organisation's teams, those that a directory has made and those that people have. */

interface GroupRow {
  id: string
  name: string
  external_id: string | null
  created_at: number
  updated_at: number
  /** JSON list of `{ value, display }`. */
  members: string
}

const attributes: Attributes = {
  id: { sql: 't.id', exact: true },
  displayname: { sql: 't.name' },
  externalid: { sql: 'sg.external_id', exact: true },
  members: { sql: 'e.value', many: membersSql('g.scim_user_id') },
  'members.value': { sql: 'e.value', many: membersSql('g.scim_user_id') },
  'meta.created': { sql: 't.created_at', type: 'time' },
  'meta.lastmodified': { sql: 't.updated_at', type: 'time' },
}

function membersSql(what: string): string {
  return `(SELECT json_group_array(${what}) FROM leanto_auth_scim_group_members g
    JOIN leanto_auth_scim_users su ON su.id = g.scim_user_id WHERE g.team_id = t.id)`
}

const from = `leanto_auth_teams t LEFT JOIN leanto_auth_scim_groups sg ON sg.team_id = t.id
  WHERE t.organization_id = ?`

const columns = (members: boolean) =>
  `t.id, t.name, t.created_at, t.updated_at, sg.external_id, ${
    members ? membersSql(`json_object('value', su.id, 'display', su.user_name)`) : `'[]'`
  } AS members`

function toResource(row: GroupRow, { url }: Directory, members = true) {
  return {
    schemas: [urn.group],
    id: row.id,
    ...(row.external_id === null ? {} : { externalId: row.external_id }),
    displayName: row.name,
    ...(members
      ? {
          members: (JSON.parse(row.members) as { value: string }[]).map((one) => ({
            ...one,
            $ref: `${url}/Users/${one.value}`,
            type: 'User',
          })),
        }
      : {}),
    meta: {
      resourceType: 'Group',
      created: iso(row.created_at),
      lastModified: iso(row.updated_at),
      location: `${url}/Groups/${row.id}`,
    },
  }
}

const selectOne = (scope: Scope, { organizationId }: Directory, id: string, members = true) =>
  scope.db.prepare(`SELECT ${columns(members)} FROM ${from} AND t.id = ?`).bind(organizationId, id)

/** One trip. @throws {ScimError} 404. */
export async function readGroup(scope: Scope, directory: Directory, id: string, members: boolean) {
  const row = await selectOne(scope, directory, id, members).first<GroupRow>()
  if (!row) throw notFound()
  return toResource(row, directory, members)
}

/** One trip. @throws {ScimError} `invalidFilter` (400). */
export async function listGroups(
  scope: Scope,
  directory: Directory,
  { filter, startIndex, count, members }: ListInput & { members: boolean },
) {
  const where = filterSql(filter, attributes)
  const values = [directory.organizationId, ...where.values]
  const [rows, counted] = await scope.db.batch([
    scope.db
      .prepare(
        `SELECT ${columns(members)} FROM ${from} AND ${where.sql} ORDER BY t.id LIMIT ? OFFSET ?`,
      )
      .bind(...values, count, startIndex - 1),
    scope.db.prepare(`SELECT count(*) AS total FROM ${from} AND ${where.sql}`).bind(...values),
  ])
  const groups = (rows?.results ?? []) as unknown as GroupRow[]
  const total = Number(counted?.results[0]?.total)
  return listed(
    groups.map((row) => toResource(row, directory, members)),
    total,
    startIndex,
  )
}

const mostMembers = 1000

/** Ids of people, as `members` has them. @throws {ScimError} `invalidValue` (400). */
function peopleOf(value: unknown): string[] {
  const list = Array.isArray(value) ? value : [value]
  if (list.length > mostMembers) throw invalid(`at most ${mostMembers} members at once`, 'tooMany')
  return list.map((one) => {
    const id = plain(one).value
    if (!isUuid(id)) throw invalid('members must have the ids of users')
    return id.toLowerCase()
  })
}

/** What is to be so of a group; what is left out stays. */
interface Change {
  name?: string
  externalId?: string | null
  /** The only members from now on. */
  only?: readonly string[]
  add: string[]
  remove: string[]
}

function readGroupBody(body: unknown): Change {
  const { displayName, externalId, members } = plain(body)
  return {
    name: nameOf(displayName),
    externalId: externalId == null ? null : shortText('externalId', externalId),
    only: members == null ? [] : peopleOf(members),
    add: [],
    remove: [],
  }
}

const nameOf = (value: unknown): string => {
  const name = shortText('displayName', value).trim()
  if (name.length > 100) throw invalid('displayName must be at most 100 characters')
  return name
}

function changeOf(operations: readonly Operation[]): Change {
  const change: Change = { add: [], remove: [] }
  const apply = (op: Operation['op'], path: string, value: unknown): void => {
    const { attribute, where, sub } = readPath(path)
    const name = attribute.toLowerCase()
    if (name === 'members' && !sub) {
      members(change, op, where, value)
      return
    }
    if (where || sub) throw invalid('path cannot be read', 'invalidPath')
    if (name === 'displayname' && op !== 'remove') change.name = nameOf(value)
    else if (name === 'externalid')
      change.externalId = op === 'remove' ? null : shortText('externalId', value)
    // Okta sends the id along; it is not to be changed.
    else if (!['id', 'schemas', 'meta'].includes(name))
      throw invalid(`${attribute.slice(0, 50)} cannot be changed`, 'invalidPath')
  }
  for (const { op, path, value } of operations)
    if (path !== undefined) apply(op, path, value)
    else for (const [name, one] of Object.entries(plain(value))) apply(op, name, one)
  return change
}

function members(
  change: Change,
  op: Operation['op'],
  where: { name: string; value: string } | undefined,
  value: unknown,
): void {
  if (where && (where.name.toLowerCase() !== 'value' || op !== 'remove'))
    throw invalid('members are chosen by value', 'invalidPath')
  // Both as Okta removes one, and as Entra ID does.
  const people = where ? peopleOf({ value: where.value }) : value == null ? [] : peopleOf(value)
  if (op === 'replace' || (op === 'remove' && !where && value == null)) {
    change.only = people
    change.add = []
    change.remove = []
    return
  }
  const [to, of] = op === 'add' ? [change.add, change.remove] : [change.remove, change.add]
  to.push(...people)
  const gone = new Set(people)
  of.splice(0, of.length, ...of.filter((one) => !gone.has(one)))
}

/** The statements after which people are in a group, and their accounts in its team. */
function membershipStatements(
  scope: Scope,
  { organizationId }: Directory,
  id: string,
  { only, add, remove }: Change,
): Statement[] {
  const now = scope.now()
  const here = `EXISTS (SELECT 1 FROM leanto_auth_teams t WHERE t.id = ?1 AND t.organization_id = ?2)`
  const enter = JSON.stringify(only ? [...only, ...add] : add)
  const leave = JSON.stringify(remove)
  const gone = only
    ? `g.scim_user_id NOT IN (SELECT value FROM json_each(?3))`
    : `g.scim_user_id IN (SELECT value FROM json_each(?3))`
  const list = only ? enter : leave
  return [
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_team_members WHERE team_id = ?1 AND ${here} AND user_id IN (
           SELECT su.user_id FROM leanto_auth_scim_group_members g
           JOIN leanto_auth_scim_users su ON su.id = g.scim_user_id
           WHERE g.team_id = ?1 AND ${gone})`,
      )
      .bind(id, organizationId, list),
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_scim_group_members AS g WHERE g.team_id = ?1 AND ${here} AND ${gone}`,
      )
      .bind(id, organizationId, list),
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_scim_group_members (team_id, scim_user_id)
         SELECT ?1, su.id FROM leanto_auth_scim_users su WHERE su.organization_id = ?2 AND ${here}
           AND su.id IN (SELECT value FROM json_each(?3)) ON CONFLICT DO NOTHING`,
      )
      .bind(id, organizationId, enter),
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_team_members (team_id, user_id, organization_id, created_at)
         SELECT ?1, m.user_id, ?2, ?4 FROM leanto_auth_scim_users su
         JOIN leanto_auth_members m ON m.organization_id = ?2 AND m.user_id = su.user_id
         WHERE su.organization_id = ?2 AND su.active = 1 AND ${here}
           AND su.id IN (SELECT value FROM json_each(?3)) ON CONFLICT DO NOTHING`,
      )
      .bind(id, organizationId, enter, now),
  ]
}

/** That every id is a person's of this directory. */
const strangers = (scope: Scope, { organizationId }: Directory, { only = [], add }: Change) =>
  scope.db
    .prepare(
      `SELECT 1 FROM json_each(?) j WHERE NOT EXISTS (
         SELECT 1 FROM leanto_auth_scim_users su WHERE su.id = j.value AND su.organization_id = ?)
       LIMIT 1`,
    )
    .bind(JSON.stringify([...only, ...add]), organizationId)

const setExternal = (
  scope: Scope,
  { organizationId }: Directory,
  id: string,
  external: string | null,
) =>
  scope.db
    .prepare(
      `INSERT INTO leanto_auth_scim_groups (team_id, organization_id, external_id)
       SELECT t.id, t.organization_id, ? FROM leanto_auth_teams t
       WHERE t.id = ? AND t.organization_id = ?
       ON CONFLICT (team_id) DO UPDATE SET external_id = excluded.external_id`,
    )
    .bind(external, id, organizationId)

const taken = () => new ScimError(409, 'displayName is taken', 'uniqueness')

/** Two trips. @throws {ScimError} `invalidValue` (400), `uniqueness` (409), 403 if there may be no more. */
export async function createGroup(scope: Scope, directory: Directory, body: unknown, most: number) {
  const change = readGroupBody(body)
  const { organizationId } = directory
  if (await strangers(scope, directory, change).first()) throw invalid('A member is not there')
  const now = scope.now()
  const id = uuidv7(now)
  const results = await scope.db.batch([
    scope.db
      .prepare('SELECT 1 FROM leanto_auth_teams WHERE organization_id = ? AND name = ?')
      .bind(organizationId, change.name),
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_teams SELECT ?1, o.id, ?2, ?3, ?3 FROM leanto_auth_organizations o
         WHERE o.id = ?4 AND (SELECT count(*) FROM leanto_auth_teams t WHERE t.organization_id = ?4) < ?5
         ON CONFLICT (organization_id, name) DO NOTHING RETURNING id`,
      )
      .bind(id, change.name, now, organizationId, most),
    setExternal(scope, directory, id, change.externalId ?? null),
    ...membershipStatements(scope, directory, id, change),
    selectOne(scope, directory, id),
  ])
  if (results[0]?.results[0]) throw taken()
  if (!results[1]?.results[0])
    throw new ScimError(403, 'The organization has as many teams as it may have', 'tooMany')
  return toResource(results.at(-1)?.results[0] as unknown as GroupRow, directory)
}

/**
 * Replaces a group (`PUT`), or changes what operations say (`PATCH`). Two trips.
 *
 * @throws {ScimError} 404, `invalidValue`, `invalidPath` (400), `uniqueness` (409).
 */
export async function changeGroup(
  scope: Scope,
  directory: Directory,
  id: string,
  asked: { put: unknown } | { patch: readonly Operation[] },
) {
  const change = 'put' in asked ? readGroupBody(asked.put) : changeOf(asked.patch)
  const { organizationId } = directory
  const { name, externalId } = change
  const [there, strange, same] = await scope.db.batch([
    selectOne(scope, directory, id, false),
    strangers(scope, directory, change),
    scope.db
      .prepare('SELECT 1 FROM leanto_auth_teams WHERE organization_id = ? AND name = ? AND id <> ?')
      .bind(organizationId, name ?? null, id),
  ])
  if (!there?.results[0]) throw notFound()
  if (strange?.results[0]) throw invalid('A member is not there')
  if (same?.results[0]) throw taken()
  const results = await scope.db.batch([
    scope.db
      .prepare(
        `UPDATE OR IGNORE leanto_auth_teams SET name = coalesce(?, name), updated_at = ?
         WHERE id = ? AND organization_id = ?`,
      )
      .bind(name ?? null, scope.now(), id, organizationId),
    ...(externalId === undefined ? [] : [setExternal(scope, directory, id, externalId)]),
    ...membershipStatements(scope, directory, id, change),
    selectOne(scope, directory, id),
  ])
  const row = results.at(-1)?.results[0] as unknown as GroupRow | undefined
  if (!row) throw notFound()
  return toResource(row, directory)
}

/** One trip. @throws {ScimError} 404. */
export async function deleteGroup(scope: Scope, { organizationId }: Directory, id: string) {
  const left = (table: string) =>
    scope.db
      .prepare(
        `DELETE FROM leanto_auth_${table} WHERE team_id = ?1
           AND NOT EXISTS (SELECT 1 FROM leanto_auth_teams WHERE id = ?1)`,
      )
      .bind(id)
  const [gone] = await scope.db.batch([
    scope.db
      .prepare('DELETE FROM leanto_auth_teams WHERE id = ? AND organization_id = ? RETURNING id')
      .bind(id, organizationId),
    ...['team_members', 'scim_groups', 'scim_group_members'].map(left),
  ])
  if (!gone?.results[0]) throw notFound()
}
