import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { type Condition, condition } from '../condition.ts'
import { authorityOf, type Config, type ProviderRow } from './record.ts'

/* What a change of a provider writes beside its row, and what it asks first. */

/** That there are identities under this name whose subjects someone else has given out. */
export const othersOf = (identifier: string, config: Config): Condition =>
  condition(
    `EXISTS (SELECT 1 FROM leanto_auth_identities
       WHERE provider = ? AND coalesce(data ->> '$.iss', '') <> ?)`,
    identifier,
    authorityOf(config),
  )

/** That the row is what this change has made of it. */
export const isNow = ({ identifier, revision }: ProviderRow): Condition =>
  condition(
    'EXISTS (SELECT 1 FROM leanto_auth_custom_providers WHERE identifier = ? AND revision = ?)',
    identifier,
    revision,
  )

export function addDomains(scope: Scope, row: ProviderRow, { domains }: Config): Statement[] {
  if (domains.length === 0) return []
  const now = isNow(row)
  return [
    scope.db
      .prepare(
        `INSERT INTO leanto_auth_sso_domains (domain, identifier)
         SELECT value, ? FROM json_each(?) WHERE ${now.sql}`,
      )
      .bind(row.identifier, JSON.stringify(domains), ...now.values),
  ]
}

export const dropDomains = (scope: Scope, identifier: string, when: Condition): Statement =>
  scope.db
    .prepare(`DELETE FROM leanto_auth_sso_domains WHERE identifier = ? AND ${when.sql}`)
    .bind(identifier, ...when.values)

/** Sign-ins at the provider, links that are held, and codes that are not exchanged yet. Reads every flow. */
export const endFlows = (scope: Scope, identifier: string, when: Condition): Statement =>
  scope.db
    .prepare(`DELETE FROM leanto_auth_flows WHERE provider = ? AND ${when.sql}`)
    .bind(identifier, ...when.values)
