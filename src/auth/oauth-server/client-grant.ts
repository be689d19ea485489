import { isPublic, wordsOf } from './client.ts'
import type { Grant } from './extension.ts'
import { oauthServerFaults } from './faults.ts'
import { requireResources } from './resource.ts'
import { audienceOf, signAccess } from './tokens.ts'

/** Clients of the host's own that act for nobody but themselves. The server alone makes them. */
export const machineGrant = 'client_credentials'

/**
 * `grant_type=client_credentials` (OAuth 2.1, 4.2). The token's subject is the client: no user, and so nobody's data. It is
 * a guest with claims, and gets what the host's policies and routes give to `who.claims.client_id`. No trip.
 */
export const clientGrant: Grant = async (server, scope, { form, client, binding }) => {
  const { settings, scopes } = server
  if (isPublic(client)) throw oauthServerFaults.unauthorized_client()
  // What is not said of a machine it may not: here no scope is not every scope.
  const may = wordsOf(client.scope).filter((word) => Object.hasOwn(scopes, word))
  const asked = wordsOf(form.get('scope'))
  const beyond = asked.find((word) => !may.includes(word))
  if (beyond !== undefined) throw oauthServerFaults.invalid_scope()
  const granted = (asked.length > 0 ? asked : may).join(' ')
  const resource = requireResources(server, scope, form.getAll('resource'))
  return {
    access_token: await signAccess(server, scope, {
      sub: client.id,
      client_id: client.id,
      scope: granted,
      aud: audienceOf(settings.issuer(scope), [], resource),
      ...(binding ? { cnf: binding.cnf } : {}),
    }),
    token_type: binding?.tokenType ?? 'Bearer',
    expires_in: settings.lifetime,
    scope: granted,
  }
}
