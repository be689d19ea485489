import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import { clientOf } from '../body.ts'
import { grantTypesOf } from './client.ts'
import { authenticateClient } from './client-auth.ts'
import { clientGrant, machineGrant } from './client-grant.ts'
import { codeGrant } from './code-grant.ts'
import { bindingOf, type Grant } from './extension.ts'
import { oauthServerFaults } from './faults.ts'
import { inProtocol, invalidRequest, readForm, secretly } from './form.ts'
import { refreshGrant } from './refresh-grant.ts'
import type { Server } from './settings.ts'

/** Every grant there is, by `grant_type`. */
export const grantsOf = ({ extensions }: Pick<Server, 'extensions'>): Record<string, Grant> =>
  Object.assign(
    { authorization_code: codeGrant, refresh_token: refreshGrant, [machineGrant]: clientGrant },
    ...extensions.map(({ grants }) => grants),
  )

/** `POST /oauth/token` (OAuth 2.1, 3.2): one trip for the client, one for its grant. */
export const token = (server: Server): Route[2] => {
  const grants = grantsOf(server)
  return inProtocol(async (scope, c) => {
    const request = c.req.raw
    const form = await readForm(request)
    const type = form.get('grant_type')
    if (!type) throw invalidRequest('grant_type is required')
    const grant = Object.hasOwn(grants, type) ? grants[type] : undefined
    if (!grant) throw oauthServerFaults.unsupported_grant_type()
    const { client } = await authenticateClient(server.settings, scope, { request, form })
    if (!grantTypesOf(client).includes(type)) throw oauthServerFaults.unauthorized_client()
    const binding = await bindingOf(server, scope, request)
    if (client.dpop_bound === 1 && !binding)
      throw invalidRequest('The tokens of this client must be bound to a key')
    const [network, device] = [networkOf(request), clientOf(request)]
    return secretly(await grant(server, scope, { request, form, client, binding, network, device }))
  })
}
