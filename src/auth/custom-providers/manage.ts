import type { QueryResult, Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { randomToken, seal } from '../../core/secret.ts'
import { refuse } from '../body.ts'
import { type Condition, condition } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { happened } from '../part.ts'
import type { Documents } from '../providers/cache.ts'
import type { Settings } from '../settings.ts'
import { addDomains, dropDomains, endFlows, isNow, othersOf } from './beside.ts'
import { discover } from './discover.ts'
import { customProviderFaults } from './faults.ts'
import { type ConfigInput, checkText, configWith } from './input.ts'
import {
  authorityOf,
  type Config,
  configOf,
  type ProviderRow,
  type ProviderType,
  secretPurpose,
  shown,
} from './record.ts'
import { isIdentifier } from './store.ts'
import type { Targets } from './targets.ts'

/** What the verbs of the admin API work by. */
export interface Managing {
  readonly settings: Settings
  readonly targets: Targets
  readonly cache: Documents
  readonly maxProviders: number
}

type Shown = Record<string, unknown>

/** How often a change is tried again that another one was faster than. */
const mostLooks = 4

/** All of them, or those of a type, the oldest first. One trip. */
export async function listProviders(
  scope: Scope,
  { type }: { type?: ProviderType | undefined },
): Promise<Shown[]> {
  const { results } = await scope.db
    .prepare(
      `SELECT * FROM leanto_auth_custom_providers
       WHERE ?1 IS NULL OR provider_type = ?1 ORDER BY id`,
    )
    .bind(type ?? null)
    .all<ProviderRow>()
  return results.map(shown)
}

async function find(scope: Scope, identifier: string): Promise<ProviderRow> {
  const row = await scope.db
    .prepare('SELECT * FROM leanto_auth_custom_providers WHERE identifier = ?')
    .bind(identifier)
    .first<ProviderRow>()
  if (!row) throw customProviderFaults.custom_provider_not_found()
  return row
}

/** One trip. @throws {Fault} `custom_provider_not_found` (404). */
export const getProvider = async (
  scope: Scope,
  { identifier }: { identifier: string },
): Promise<Shown> => shown(await find(scope, identifier))

export interface CreateProvider {
  type: ProviderType
  identifier: string
  input: ConfigInput
}

/**
 * Adds a provider. One trip, once its discovery document was read.
 *
 * @throws {Fault} `validation_failed`, `conflict`, `over_custom_provider_quota`, `sso_domain_already_exists` (400).
 */
export async function createProvider(
  managing: Managing,
  scope: Scope,
  { type, identifier, input }: CreateProvider,
): Promise<Shown> {
  const { settings, targets, maxProviders } = managing
  if (!isIdentifier(identifier))
    throw refuse('identifier must be such as custom:acme, with up to 43 of a-z, 0-9, - and :')
  const taken = authFaults.conflict({
    status: 400,
    message: 'A custom OAuth provider with this identifier already exists',
  })
  if (settings.parts.some(({ provider }) => provider?.name === identifier)) throw taken
  if (!input.client_secret) throw refuse('client_secret is required')
  const config = await configWith(type, undefined, input, targets)
  if (type === 'oidc') config.discovery_document = await discover(managing, scope, config)
  const now = scope.now()
  const id = uuidv7(now)
  // In the order of the table.
  const row: ProviderRow = {
    identifier,
    id,
    provider_type: type,
    enabled: (input.enabled ?? true) ? 1 : 0,
    secret: await sealed(scope, id, input.client_secret),
    config: JSON.stringify(config),
    revision: randomToken(9),
    created_at: now,
    updated_at: now,
  }
  const strangers = othersOf(identifier, config)
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_auth_custom_providers SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?
       WHERE (SELECT count(*) FROM leanto_auth_custom_providers) < ? AND NOT ${strangers.sql}
       ON CONFLICT (identifier) DO NOTHING RETURNING *`,
    )
    .bind(...Object.values(row), maxProviders, ...strangers.values)
  const [made] = await write(scope, [insert, ...addDomains(scope, row, config)])
  if (!made?.results[0]) throw await whyNot(scope, identifier, strangers, taken)
  happened(settings, scope, { action: 'custom_provider_created', data: { identifier } })
  return shown(row)
}

/** What stood in the way of a new provider. */
async function whyNot(
  scope: Scope,
  identifier: string,
  others: Condition,
  taken: Error,
): Promise<Error> {
  const found = await scope.db
    .prepare(
      `SELECT EXISTS (SELECT 1 FROM leanto_auth_custom_providers WHERE identifier = ?) AS taken,
         ${others.sql} AS others`,
    )
    .bind(identifier, ...others.values)
    .first<{ taken: number; others: number }>()
  if (found?.taken === 1) return taken
  return found?.others === 1 ? stillTheirs() : customProviderFaults.over_custom_provider_quota()
}

/**
 * Changes what is given of a provider. Two trips; two more each time that another change was faster. What was under way by it
 * ends if it is disabled, or asks someone else from now on.
 *
 * @throws {Fault} `custom_provider_not_found` (404), `validation_failed`, `conflict`, `sso_domain_already_exists` (400).
 */
export async function updateProvider(
  managing: Managing,
  scope: Scope,
  { identifier, input }: { identifier: string; input: ConfigInput },
): Promise<Shown> {
  for (let looks = 0; looks < mostLooks; looks++) {
    const row = await find(scope, identifier)
    const before = configOf(row)
    const config = await configWith(row.provider_type, before, input, managing.targets)
    if (row.provider_type === 'oidc' && (input.issuer || input.discovery_url))
      config.discovery_document = await discover(managing, scope, config)
    const next: ProviderRow = {
      ...row,
      enabled: (input.enabled ?? row.enabled === 1) ? 1 : 0,
      secret: input.client_secret ? await sealed(scope, row.id, input.client_secret) : row.secret,
      config: JSON.stringify(config),
      revision: randomToken(9),
      updated_at: scope.now(),
    }
    const moved = authorityOf(config) !== authorityOf(before)
    const strangers = moved ? othersOf(identifier, config) : condition('0')
    const update = scope.db
      .prepare(
        `UPDATE leanto_auth_custom_providers
         SET enabled = ?, secret = ?, config = ?, revision = ?, updated_at = ?
         WHERE identifier = ? AND revision = ? AND NOT ${strangers.sql} RETURNING identifier`,
      )
      .bind(
        ...[next.enabled, next.secret, next.config, next.revision, next.updated_at],
        ...[identifier, row.revision, ...strangers.values],
      )
    const [changed] = await write(scope, [
      update,
      ...(input.domains
        ? [dropDomains(scope, identifier, isNow(next)), ...addDomains(scope, next, config)]
        : []),
      ...(next.enabled === 0 || essence(config) !== essence(before)
        ? [endFlows(scope, identifier, isNow(next))]
        : []),
    ])
    if (changed?.results[0]) {
      const data = { identifier, enabled: next.enabled === 1 }
      happened(managing.settings, scope, { action: 'custom_provider_updated', data })
      return shown(next)
    }
    if (moved && (await find(scope, identifier)).revision === row.revision) throw stillTheirs()
  }
  throw authFaults.conflict({ message: 'The provider was changed at the same time, try again' })
}

/**
 * Removes a provider, with what was under way by it. One trip. Identities and sessions stay: nobody signs in by them any more.
 *
 * @throws {Fault} `custom_provider_not_found` (404).
 */
export async function deleteProvider(
  { settings }: Managing,
  scope: Scope,
  { identifier }: { identifier: string },
): Promise<void> {
  const always = condition('1')
  const [removed] = await scope.db.batch([
    scope.db
      .prepare('DELETE FROM leanto_auth_custom_providers WHERE identifier = ? RETURNING id')
      .bind(identifier),
    dropDomains(scope, identifier, always),
    endFlows(scope, identifier, always),
  ])
  if (!removed?.results[0]) throw customProviderFaults.custom_provider_not_found()
  happened(settings, scope, { action: 'custom_provider_deleted', data: { identifier } })
}

/** What decides who answers and who they are; the rest is how they are asked. */
const essence = ({
  name,
  scopes,
  authorization_params,
  custom_claims_allowlist,
  discovery_document,
  ...rest
}: Config): string => JSON.stringify(rest)

const stillTheirs = () =>
  authFaults.conflict({
    status: 400,
    message: 'There are identities of another issuer under this identifier',
  })

async function write(scope: Scope, statements: Statement[]): Promise<QueryResult[]> {
  try {
    return await scope.db.batch(statements)
  } catch (cause) {
    // The domains' key: the whole batch was rolled back.
    if (!/UNIQUE.*sso_domains/.test(String(cause))) throw cause
    throw customProviderFaults.sso_domain_already_exists({ cause })
  }
}

function sealed(scope: Scope, id: string, secret: string): Promise<string> {
  checkText('client_secret', secret, 4096)
  return seal(scope, secretPurpose(id), secret)
}
