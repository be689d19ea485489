import { decodeJwt } from 'jose'
import { coreFaults } from '../../core/fault.ts'
import { guest } from '../../core/identity.ts'
import { verifyJwt } from '../../core/jwt.ts'
import type { Principal } from '../../core/ports.ts'
import type { Scope } from '../../core/scope.ts'
import { algorithm } from '../keys.ts'
import type { Settings } from '../settings.ts'
import { audience } from '../wire.ts'
import { wordsOf } from './client.ts'
import { oauthServerFaults } from './faults.ts'
import type { Server } from './settings.ts'

/*
 * Where clients' tokens are shown to `auth` itself, to other modules and to the host's routes. Those of a user's own
 * sessions have no `client_id`, whatever the host's hook says: see `claims` of the part.
 */

/** Whether our own keys have signed it for a client. */
const isClients = (settings: Settings, scope: Scope, { claims }: Principal): boolean =>
  typeof claims.client_id === 'string' && claims.iss === settings.issuer(scope)

/**
 * Nothing of `auth` itself is a client's to do, whatever it was granted: not a new password, not another factor, not a
 * further grant. UserInfo alone is.
 *
 * @throws {Fault} `insufficient_scope` (403).
 */
export function refuseClients(settings: Settings, scope: Scope, principal: Principal): void {
  if (isClients(settings, scope, principal))
    throw oauthServerFaults.insufficient_scope({ message: 'A client may not act on the account' })
}

/**
 * A client's token reaches other modules and the host's routes only with a scope of the host's own: without one it says who
 * someone is, which opens none of what is theirs.
 *
 * @throws {Fault} `insufficient_scope` (403), `bad_token` (401) where it is bound to a key that nobody asks for.
 */
export async function admitClients(
  server: Server,
  scope: Scope,
  principal: Principal,
): Promise<void> {
  const { settings, scopes } = server
  if (!isClients(settings, scope, principal)) return
  await requireHeld(server, scope, principal)
  // A machine is a guest: it gets what the host gives to its `client_id`.
  if (principal.role !== 'authenticated') return
  if (!wordsOf(String(principal.claims.scope)).some((word) => Object.hasOwn(scopes, word)))
    throw oauthServerFaults.insufficient_scope()
}

/** @throws {Fault} `bad_token` (401) of a token that is bound to a key which the request does not show. */
export async function requireHeld(
  server: Server,
  scope: Scope,
  principal: Principal,
  request?: Request,
): Promise<void> {
  if (principal.claims.cnf === undefined) return
  const held = server.extensions.flatMap(({ holds }) => holds ?? [])
  if (held.length === 0) throw coreFaults.bad_token({ message: 'The token is bound to a key' })
  for (const holds of held) await holds(server, scope, principal, request)
}

/** A machine's token: nobody's user, and a guest with claims. @throws {Fault} `bad_token` (401). */
export async function machineOf(
  settings: Settings,
  scope: Scope,
  token: string,
): Promise<Principal | null> {
  if (!isMachines(token)) return null
  const claims = await verifyJwt(token, settings.keys.keyOf(scope), {
    issuer: settings.issuer(scope),
    audience,
    algorithms: [algorithm],
    now: scope.now(),
  })
  return Object.freeze({ ...guest, claims: Object.freeze(claims) })
}

/** By what it says, before it is verified: whether it is about a client. */
function isMachines(token: string): boolean {
  try {
    const { sub, client_id } = decodeJwt(token)
    return typeof client_id === 'string' && sub === client_id
  } catch {
    return false
  }
}
