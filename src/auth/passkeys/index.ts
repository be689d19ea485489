import type { AuthPart } from '../part.ts'
import { passkeyFaults } from './faults.ts'
import { passkeyMigrations } from './migrations.ts'
import { type PasskeyOptions, passkeySettings } from './relying-party.ts'
import { passkeyRoutes } from './routes.ts'
import { securityKeys } from './second-factor.ts'

export { passkeyFaults } from './faults.ts'
export { movedPasskeys } from './moved.ts'
export type { Passkey } from './passkey.ts'
export type { PasskeyOptions } from './relying-party.ts'

export interface Passkeys extends AuthPart {
  /**
   * For `https://<rpId>/.well-known/webauthn` as `{ origins }`, where pages of other sites use the same passkeys (WebAuthn
   * Level 3, 5.11): the web origins of the options.
   */
  readonly relatedOrigins: readonly string[]
}

/**
 * Sign-in by passkeys (WebAuthn Level 3), and security keys as second factors where `mfa` is mounted too, as GoTrue has
 * both. Passkeys are discoverable: a browser offers them without being told who signs in, also in the fields of a form.
 *
 * A session that began by a passkey is `aal1` with the method `passkey`, as in GoTrue.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function passkeys(options: PasskeyOptions = {}): Passkeys {
  const settings = passkeySettings(options)
  return Object.freeze({
    name: 'passkeys',
    relatedOrigins: Object.freeze(settings.origins.filter((origin) => /^https?:/.test(origin))),
    routes: (doors) => passkeyRoutes(doors, settings),
    migrations: passkeyMigrations,
    faults: passkeyFaults,
    securityKeys: securityKeys(settings),
    moves: 'passkeys',
    claimed: (scope, user) => [
      scope.db
        .prepare(
          `DELETE FROM leanto_auth_passkeys
           WHERE user_id = (SELECT u.id FROM leanto_auth_users u WHERE ${user.sql})`,
        )
        .bind(...user.values),
    ],
    removed: (scope, userId) => [
      scope.db.prepare('DELETE FROM leanto_auth_passkeys WHERE user_id = ?').bind(userId),
    ],
  } satisfies Passkeys)
}
