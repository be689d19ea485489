import type { AuthPart } from '../part.ts'
import { oauthServerFaults } from './faults.ts'
import { oauthServerMigrations } from './migrations.ts'
import { oauthServerRoutes } from './routes.ts'
import { checkOptions, notMounted, type OAuthServerOptions, type Server } from './settings.ts'
import { admitClients, machineOf, refuseClients } from './tokens-met.ts'
import { endCodes, purgeOAuth, removeUser } from './upkeep.ts'

export type { AuthMethod, ClientShown, OAuthClient } from './client.ts'
export type { Binding, Grant, OAuthExtension, TokenAnswer, TokenRequest } from './extension.ts'
export { oauthServerFaults } from './faults.ts'
export type { ClientChange, OAuthServerOptions, ProtectedResource } from './settings.ts'

/**
 * Makes the app an OAuth 2.1 authorization server and an OpenID provider, with GoTrue's endpoints: other apps sign people in
 * with their account here, and act for them as far as they agree to it.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function oauthServer(options: OAuthServerOptions = {}): AuthPart {
  const checked = checkOptions(options)
  const { extensions } = checked
  let mounted: Server | undefined
  const server = (): Server => {
    if (!mounted) throw notMounted()
    return mounted
  }
  return Object.freeze({
    name: 'oauth_server',
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
      return oauthServerRoutes(doors, mounted)
    },
    // Whatever the host's hook says, only a client's token is one.
    claims: () => ({ client_id: undefined, scope: undefined, cnf: undefined }),
    trusted: (scope, token) => machineOf(server().settings, scope, token),
    caller: (scope, principal) => {
      refuseClients(server().settings, scope, principal)
      return undefined
    },
    scheme: (settings, scope, request, bearer) => {
      for (const { scheme } of extensions) {
        const found = scheme?.(settings, scope, request, bearer)
        if (found) return found
      }
      return undefined
    },
    admit: (_, scope, principal) => admitClients(server(), scope, principal),
    ended: endCodes,
    removed: (scope, userId) => [
      ...removeUser(scope, userId),
      ...extensions.flatMap(({ removed }) => removed?.(scope, userId) ?? []),
    ],
    purge: (scope) => [
      ...purgeOAuth(scope),
      ...extensions.flatMap(({ purge }) => purge?.(scope) ?? []),
    ],
  } satisfies AuthPart)
}
