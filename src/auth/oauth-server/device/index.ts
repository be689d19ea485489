import type { Scope } from '../../../core/scope.ts'
import { ownFaults } from '../../own-pages.ts'
import type { OAuthExtension } from '../extension.ts'
import { deviceFaults } from './faults.ts'
import { deviceMigrations } from './migrations.ts'
import { deviceCodeGrant } from './poll.ts'
import { deviceGrantType, deviceRoutes } from './routes.ts'
import { type DeviceOptions, deviceSettings } from './settings.ts'

export type { DeviceDetails } from './answer.ts'
export type { DeviceAuthorization } from './begin.ts'
export { deviceFaults } from './faults.ts'
export type { DeviceOptions } from './settings.ts'

/** Rows that one run of the upkeep removes at most. */
const slice = 1000

/**
 * The device authorization grant (RFC 8628) for the OAuth server: televisions, consoles and command lines show a code, which
 * whoever sits there enters on a telephone or a computer where they are signed in.
 *
 * `POST /oauth/device_authorization` begins, `GET /oauth/device` is where the code is entered, and the device asks
 * `/oauth/token` until it is answered. A client has it only if its `grant_types` name
 * `urn:ietf:params:oauth:grant-type:device_code`.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function devices(options: DeviceOptions = {}): OAuthExtension {
  const settings = deviceSettings(options)
  const remove = (scope: Scope, column: string, value: string) => [
    scope.db.prepare(`DELETE FROM leanto_auth_oauth_devices WHERE ${column} = ?`).bind(value),
  ]
  return Object.freeze({
    name: 'devices',
    grants: { [deviceGrantType]: deviceCodeGrant },
    registrable: [deviceGrantType],
    routes: (doors, server) => deviceRoutes({ doors, server, devices: settings }),
    metadata: (issuer) => ({
      device_authorization_endpoint: `${issuer}/oauth/device_authorization`,
    }),
    migrations: deviceMigrations,
    faults: Object.freeze({ ...deviceFaults, ...ownFaults }),
    // Of a session elsewhere, which is in no table of ours, nothing else says that it has ended.
    ended: (scope, { user, which = null, spared = null }) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_oauth_devices
           WHERE session_id IS NULL AND approved_in IS NULL AND claimed_by IS NOT ?
             AND (? IS NULL OR ? IN (claimed_by, aal))
             AND user_id IN (SELECT u.id FROM leanto_auth_users u WHERE ${user.sql})`,
        )
        .bind(spared, which, which, ...user.values),
    ],
    removed: (scope, userId) => remove(scope, 'user_id', userId),
    clientRemoved: (scope, clientId) => remove(scope, 'client_id', clientId),
    purge: (scope) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_oauth_devices WHERE hash IN (
             SELECT hash FROM leanto_auth_oauth_devices WHERE expires_at <= ? LIMIT ${slice})`,
        )
        // Until then a device that comes too late is told so.
        .bind(scope.now() - settings.seconds * 1000),
    ],
  } satisfies OAuthExtension)
}
