import type { Hono, MiddlewareHandler } from 'hono'
import type { Principled } from '../../core/guard.ts'
import type { AuthPart, Doors } from '../part.ts'
import { oauthServerFaults } from './faults.ts'
import { serverMetadata } from './metadata.ts'
import { oauthServerMigrations } from './migrations.ts'
import { oauthServerRoutes } from './routes.ts'
import {
  checkOptions,
  notMounted,
  type OAuthServerOptions,
  partName,
  type Server,
} from './settings.ts'
import { admitClients, machineOf, refuseClients } from './tokens-met.ts'
import { endCodes, forgetConsents, purgeOAuth, removeUser } from './upkeep.ts'
import { type Demanded, protects, wellKnown } from './well-known.ts'

export type { AuthMethod, ClientShown, OAuthClient } from './client.ts'
export type { Binding, Grant, OAuthExtension, TokenAnswer, TokenRequest } from './extension.ts'
export { oauthServerFaults } from './faults.ts'
export type { OAuthGrant } from './grants.ts'
export type { ClientChange, OAuthServerOptions, ProtectedResource } from './settings.ts'
export type { Demanded } from './well-known.ts'

/** The part, and what an app mounts beside `auth`. */
export interface OAuthServer extends AuthPart {
  /**
   * For `app.route('/', provider.wellKnown)`: what clients look for at the root of the origin. The metadata of an issuer that
   * has a path (RFC 8414, 3.1), and those of the `resources` (RFC 9728).
   */
  readonly wellKnown: Hono
  /**
   * Middleware before a resource of the options, by its path or URL: `app.use('/mcp', provider.protects('/mcp'))`. Whoever comes
   * through is `c.var.principal`, with `client_id` and `scope` in its claims.
   *
   * @throws {TypeError} if `resources` has it not.
   */
  readonly protects: (resource: string, demanded?: Demanded) => MiddlewareHandler<Principled>
}

/**
 * Makes the app an OAuth 2.1 authorization server and an OpenID provider, with GoTrue's endpoints: other apps sign people in
 * with their account here, and act for them as far as they agree to it.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function oauthServer(options: OAuthServerOptions = {}): OAuthServer {
  const checked = checkOptions(options)
  const { extensions } = checked
  let mounted: Server | undefined
  let doorsOf: Doors | undefined
  const both = (): { doors: Doors; server: Server } => {
    if (!mounted || !doorsOf) throw notMounted()
    return { doors: doorsOf, server: mounted }
  }
  const server = (): Server => both().server
  return Object.freeze({
    name: partName,
    faults: Object.freeze(
      Object.assign({}, oauthServerFaults, ...extensions.map(({ faults }) => faults)),
    ),
    migrations: [
      ...oauthServerMigrations,
      ...extensions.flatMap(({ migrations }) => migrations ?? []),
    ],
    routes(doors) {
      if (mounted) throw new TypeError('oauthServer: one part is for one auth')
      mounted = Object.freeze({ ...checked, settings: doors.settings })
      doorsOf = doors
      return oauthServerRoutes(doors, mounted)
    },
    // Whatever the host's hook says, only a client's token is one.
    claims: () => ({ client_id: undefined, scope: undefined, cnf: undefined }),
    trusted: (scope, token) => machineOf(server().settings, scope, token),
    caller: (scope, principal) => {
      refuseClients(server().settings, scope, principal)
      return undefined
    },
    admit: (_, scope, principal) => admitClients(server(), scope, principal),
    metadata: (issuer) => serverMetadata(server(), issuer),
    wellKnown: wellKnown(both),
    protects(resource, demanded = {}) {
      if (!Object.hasOwn(checked.resources, resource))
        throw new TypeError(`oauthServer: \`resources\` must have ${resource}`)
      return protects(both, resource, demanded)
    },
    ended: endCodes,
    claimed: forgetConsents,
    removed: (scope, userId) => [
      ...removeUser(scope, userId),
      ...extensions.flatMap(({ removed }) => removed?.(scope, userId) ?? []),
    ],
    purge: (scope) => [
      ...purgeOAuth(scope),
      ...extensions.flatMap(({ purge }) => purge?.(scope) ?? []),
    ],
  } satisfies OAuthServer)
}
