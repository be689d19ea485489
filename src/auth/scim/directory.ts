import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { hash } from '../../core/secret.ts'
import { type Condition, condition } from '../condition.ts'
import type { Context as Organizations } from '../organizations/context.ts'
import { type OrganizationRow, toOrganization } from '../organizations/organization.ts'
import { ScimError } from './wire.ts'

/** An organisation's directory, as whoever has one of its tokens may write it. */
export interface Directory {
  readonly organizationId: string
  /** Of the token. */
  readonly tokenId: string
  /** What whoever comes from it is. */
  readonly role: string
  /** How many people it may have. */
  readonly most: number
  /** For whose addresses it may speak: the organisation's `app_metadata.domains`, which the server writes. */
  readonly domains: readonly string[]
  /** Where it is mounted: `https://my.app/auth/v1/scim/v2`. */
  readonly url: string
}

const shape = /^Bearer +(scim_[\w-]{43}) *$/i

/** Whose directory a request's token opens. One trip. @throws {ScimError} 401. */
export async function directoryOf(
  organizations: Organizations,
  scope: Scope,
  request: Request,
  role: string,
): Promise<Directory> {
  const refused = () => new ScimError(401, 'A token of the directory is needed')
  const token = request.headers.get('authorization')?.match(shape)?.[1]
  if (!token) throw refused()
  const row = await scope.db
    .prepare(
      `SELECT o.*, t.id AS token_id FROM leanto_auth_scim_tokens t
       JOIN leanto_auth_organizations o ON o.id = t.organization_id
       WHERE t.hash = ?1 AND coalesce(t.expires_at, ?2 + 1) > ?2`,
    )
    .bind(await hash(token), scope.now())
    .first<OrganizationRow & { token_id: string }>()
  if (!row) throw refused()
  const organization = toOrganization(row)
  const { domains } = organization.app_metadata
  const limit = organizations.most.members
  const most = typeof limit === 'function' ? await limit(scope, organization) : limit
  return {
    organizationId: row.id,
    tokenId: row.token_id,
    role,
    most: most === false ? Number.MAX_SAFE_INTEGER : most,
    domains: Array.isArray(domains) ? domains.map((one) => String(one).toLowerCase()) : [],
    url: `${organizations.settings.issuer(scope)}/scim/v2`,
  }
}

/** The account `u` of the person `su`: by their address, once it is proven. */
const account = `u.email = su.email AND u.email_confirmed_at IS NOT NULL AND u.deleted_at IS NULL
  AND u.is_anonymous = 0`

/**
 * Makes members of people who are there, active, and have proven their address; each once, so that whom an admin has removed
 * since does not come back by signing in.
 *
 * @param which Selects people `su`.
 */
export function link(scope: Scope, role: string, which: Condition): Statement[] {
  const now = scope.now()
  // Else any organisation could learn who has an account, and put strangers into itself.
  const open = `su.user_id IS NULL AND su.active = 1 AND (${which.sql}) AND EXISTS (
    SELECT 1 FROM leanto_auth_organizations o, json_each(o.app_metadata, '$.domains') d
    WHERE o.id = su.organization_id
      AND lower(d.value) = substr(su.email, instr(su.email, '@') + 1))`
  const statement = (sql: string, ...values: unknown[]) =>
    scope.db.prepare(sql).bind(...values, ...which.values)
  return [
    statement(
      `INSERT INTO leanto_auth_members
       SELECT su.organization_id, u.id, ?, ?, ? FROM leanto_auth_scim_users su
       JOIN leanto_auth_users u ON ${account} WHERE ${open} ON CONFLICT DO NOTHING`,
      ...[role, now, now],
    ),
    statement(
      `INSERT INTO leanto_auth_team_members (team_id, user_id, organization_id, created_at)
       SELECT t.id, u.id, t.organization_id, ? FROM leanto_auth_scim_users su
       JOIN leanto_auth_users u ON ${account}
       JOIN leanto_auth_scim_group_members g ON g.scim_user_id = su.id
       JOIN leanto_auth_teams t ON t.id = g.team_id AND t.organization_id = su.organization_id
       WHERE ${open} ON CONFLICT DO NOTHING`,
      now,
    ),
    statement(
      `UPDATE leanto_auth_scim_users AS su SET user_id = (
         SELECT u.id FROM leanto_auth_users u WHERE ${account}) WHERE ${open}`,
    ),
  ]
}

/** When someone signs in, who may have been in a directory before there was an account. */
export const linkSession = (scope: Scope, role: string, sessionId: string): Statement[] =>
  link(
    scope,
    role,
    condition(
      `su.email = (SELECT x.email FROM leanto_auth_sessions s
         JOIN leanto_auth_users x ON x.id = s.user_id WHERE s.id = ?)`,
      sessionId,
    ),
  )

/**
 * Ends the membership of a person, and the sessions that are for the organisation. Owners stay: see `mayEnd`. The person is no
 * longer anyone's account then.
 */
export function unlink(scope: Scope, { organizationId }: Directory, personId: string): Statement[] {
  const person = `(SELECT p.user_id FROM leanto_auth_scim_users p
    WHERE p.id = ?2 AND p.organization_id = ?1)`
  const owner = `EXISTS (SELECT 1 FROM leanto_auth_members m WHERE m.organization_id = ?1
    AND m.user_id = ${person} AND m.role = 'owner')`
  return [
    `DELETE FROM leanto_auth_sessions WHERE user_id = ${person} AND NOT ${owner} AND id IN (
       SELECT a.session_id FROM leanto_auth_sessions s
       JOIN leanto_auth_active_organizations a ON a.session_id = s.id
       WHERE s.user_id = ${person} AND a.organization_id = ?1)`,
    `DELETE FROM leanto_auth_team_members WHERE organization_id = ?1 AND user_id = ${person}
       AND NOT ${owner}`,
    `DELETE FROM leanto_auth_members WHERE organization_id = ?1 AND user_id = ${person}
       AND role <> 'owner'`,
    `UPDATE leanto_auth_scim_users SET user_id = NULL
       WHERE id = ?2 AND organization_id = ?1 AND NOT ${owner}`,
  ].map((sql) => scope.db.prepare(sql).bind(organizationId, personId))
}
