import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import { checkSpent, flowBudgets, spendAll, within } from '../budget.ts'
import { and } from '../condition.ts'
import { readAsked, readRedirectUri } from './asked.ts'
import { authenticateClient } from './client-auth.ts'
import { bindingOf } from './extension.ts'
import { inProtocol, invalidRequest, readForm, secretly } from './form.ts'
import { newRequestId, pushedSeconds, requestUriOf, storeAsked } from './pending.ts'
import type { Server } from './settings.ts'

/** `POST /oauth/par` (RFC 9126): what is asked for travels from server to server, and the browser carries a name of it. Two trips. */
export const pushed = (server: Server): Route[2] =>
  inProtocol(async (scope, c) => {
    const request = c.req.raw
    const { settings } = server
    const form = await readForm(request)
    if (form.has('request_uri')) throw invalidRequest('request_uri is what this answers')
    const { client } = await authenticateClient(settings, scope, { request, form })
    const binding = await bindingOf(server, scope, request)
    const redirectUri = readRedirectUri(client, form)
    const asked = {
      redirectUri,
      ...readAsked(server, scope, { client, parameters: form, binding }),
    }
    // A client with a secret is answered for; whoever has none is anyone.
    const budgets = client.secret === null ? flowBudgets(settings, scope, networkOf(request)) : []
    const id = newRequestId()
    const guard = and(...budgets.map(within))
    const store = await storeAsked(scope, { id, kind: 'pushed', clientId: client.id, asked, guard })
    checkSpent(scope, budgets, await scope.db.batch([...spendAll(scope, budgets), store]))
    return secretly({ request_uri: requestUriOf(id), expires_in: pushedSeconds }, 201)
  })
