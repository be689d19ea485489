import type { Scope } from '../../../core/scope.ts'
import { hash, randomToken } from '../../../core/secret.ts'
import { checkSpent, flowBudgets, spendAll, within } from '../../budget.ts'
import { and } from '../../condition.ts'
import type { ClientRow } from '../client.ts'
import { requireResources } from '../resource.ts'
import type { Server } from '../settings.ts'
import type { DeviceSettings } from './settings.ts'
import { newUserCode, shownCode, userCodeHash } from './user-code.ts'

/** Where a device is, as far as its request says: for whoever is asked. */
export interface Whereabouts {
  readonly network: string | null
  /** A city and a country; `null` if Cloudflare does not say. */
  readonly place: string | null
}

interface Begin extends Whereabouts {
  readonly client: ClientRow
  /** Checked. */
  readonly scope: string
  /** As they came. */
  readonly resources: readonly string[]
}

/** RFC 8628, 3.2. */
export interface DeviceAuthorization {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
  /** Seconds; so is `interval`. */
  expires_in: number
  interval: number
}

export const deviceHash = (code: string): Promise<string> => hash(`device:${code}`)

/**
 * Begins what a device asks for. One trip, and one more in the rare case that another device shows the same code.
 *
 * @throws {Fault} `invalid_target` (400), `rate_limited` (429).
 */
export async function beginDevice(
  server: Server,
  devices: DeviceSettings,
  scope: Scope,
  { client, scope: words, resources, network, place }: Begin,
): Promise<DeviceAuthorization> {
  const { settings } = server
  const resource = JSON.stringify(requireResources(server, scope, resources))
  // A client with a secret is answered for; whoever has none is anyone.
  const budgets = client.secret === null ? flowBudgets(settings, scope, network) : []
  const may = and(...budgets.map(within))
  const now = scope.now()
  const code = randomToken()
  for (let tries = 0; tries < 5; tries++) {
    const userCode = newUserCode()
    const insert = scope.db
      .prepare(
        `INSERT INTO leanto_auth_oauth_devices
           (hash, user_code, client_id, scope, resource, network, place, every, created_at, expires_at)
         SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE ${may.sql} ON CONFLICT DO NOTHING RETURNING every`,
      )
      .bind(
        ...[await deviceHash(code), await userCodeHash(scope, userCode), client.id, words],
        ...[resource, network, place, devices.interval, now, now + devices.seconds * 1000],
        ...may.values,
      )
    const spent = tries === 0 ? spendAll(scope, budgets) : []
    const results = await scope.db.batch([...spent, insert])
    if (tries === 0) checkSpent(scope, budgets, results)
    if (results.at(-1)?.results.length !== 1) continue
    const shown = shownCode(userCode)
    const page = pageOf(server, devices, scope)
    return {
      device_code: code,
      user_code: shown,
      verification_uri: page,
      verification_uri_complete: `${page}?user_code=${shown}`,
      expires_in: devices.seconds,
      interval: devices.interval,
    }
  }
  throw new Error('leanto: no user code is free')
}

/** Where people enter their code. */
export const pageOf = ({ settings }: Server, { page }: DeviceSettings, scope: Scope): string =>
  page === undefined ? `${settings.issuer(scope)}/oauth/device` : settings.site(scope) + page
