import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { hash, randomToken } from '../../core/secret.ts'
import { refuse } from '../body.ts'
import { condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { act, may } from '../organizations/acting.ts'
import type { Context as Organizations } from '../organizations/context.ts'
import { organizationFaults } from '../organizations/faults.ts'
import { checkName, iso } from '../organizations/organization.ts'
import { happened } from '../part.ts'
import type { Caller } from '../session.ts'

/** A token of a directory, never whole but when it is made. Times are ISO 8601. */
export interface ScimToken {
  id: string
  organization_id: string
  name: string
  /** How it ends, so that one recognises it. */
  hint: string
  created_at: string
  expires_at: string | undefined
}

interface TokenRow {
  id: string
  organization_id: string
  name: string
  hint: string
  created_at: number
  expires_at: number | null
}

const toToken = (row: TokenRow): ScimToken => ({
  id: row.id,
  organization_id: row.organization_id,
  name: row.name,
  hint: row.hint,
  created_at: iso(row.created_at),
  expires_at: row.expires_at === null ? undefined : iso(row.expires_at),
})

interface Owning {
  actor: Caller
  organizationId: string
}

const columns = 'id, organization_id, name, hint, created_at, expires_at'

/** Whoever has a token says who is in the organisation: its owners alone give them. */
const owner = condition(`a.role = 'owner'`)
const demandOwner = (role: string | undefined) => {
  if (role !== 'owner') throw organizationFaults.organization_forbidden()
}

/** One trip. @throws {Fault} What `act` throws, `organization_forbidden` (403) for who is no owner. */
export const listTokens =
  (organizations: Organizations) =>
  async (scope: Scope, input: Owning): Promise<ScimToken[]> => {
    const { role, results } = await act(organizations, scope, input, [
      scope.db
        .prepare(
          `SELECT ${columns} FROM leanto_auth_scim_tokens WHERE organization_id = ?
           ORDER BY id LIMIT 100`,
        )
        .bind(input.organizationId),
    ])
    demandOwner(role)
    return ((results[0]?.results ?? []) as unknown as TokenRow[]).map(toToken)
  }

const mostTokens = 20
const longest = 5 * 31_536_000

/**
 * Makes a token and shows it, this once. One trip.
 *
 * @param input.seconds How long it lives, at most five years. @default a year
 * @throws {Fault} `validation_failed`, what `act` throws, `organization_forbidden`, `organization_limit`.
 */
export const issueToken =
  (organizations: Organizations) =>
  async (
    scope: Scope,
    input: Owning & { name: string; seconds?: number | undefined },
  ): Promise<ScimToken & { token: string }> => {
    const { actor, organizationId, seconds = 31_536_000 } = input
    const name = checkName(input.name)
    if (!Number.isSafeInteger(seconds) || seconds < 60 || seconds > longest)
      throw refuse('expires_in must be seconds, at most five years')
    const token = `scim_${randomToken()}`
    const now = scope.now()
    const allowed = may(organizations, scope, input, owner)
    const { role, results } = await act(organizations, scope, input, [
      scope.db
        .prepare(
          `INSERT INTO leanto_auth_scim_tokens
             (hash, id, organization_id, name, hint, created_at, expires_at)
           SELECT ?, ?, o.id, ?, ?, ?, ? FROM leanto_auth_organizations o
           WHERE o.id = ? AND ${allowed.sql} AND (SELECT count(*) FROM leanto_auth_scim_tokens t
             WHERE t.organization_id = o.id) < ${mostTokens} RETURNING ${columns}`,
        )
        .bind(
          ...[await hash(token), uuidv7(now), name, token.slice(-4), now, now + seconds * 1000],
          ...[organizationId, ...allowed.values],
        ),
    ])
    demandOwner(role)
    const row = results[0]?.results[0] as TokenRow | undefined
    if (!row) throw organizationFaults.organization_limit()
    const data = { organization_id: organizationId, token_id: row.id }
    const { settings } = organizations
    happened(settings, scope, { action: 'scim_token_created', userId: actor.userId, data })
    return { ...toToken(row), token }
  }

/** Ends a token at once. One trip. @throws {Fault} What `act` throws, `organization_forbidden`, `validation_failed` (404). */
export const revokeToken =
  (organizations: Organizations) =>
  async (scope: Scope, input: Owning & { tokenId: string }): Promise<void> => {
    const { actor, organizationId, tokenId } = input
    const allowed = may(organizations, scope, input, owner)
    const { role, results } = await act(organizations, scope, input, [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_scim_tokens WHERE id = ? AND organization_id = ?
             AND ${allowed.sql} RETURNING id`,
        )
        .bind(tokenId, organizationId, ...allowed.values),
    ])
    demandOwner(role)
    if (!results[0]?.results[0])
      throw authFaults.validation_failed({ status: 404, message: 'Token not found' })
    const data = { organization_id: organizationId, token_id: tokenId }
    const { settings } = organizations
    happened(settings, scope, { action: 'scim_token_revoked', userId: actor.userId, data })
  }
