import type { QueryResult } from '../../core/database.ts'
import { Fault } from '../../core/fault.ts'
import { isUuid } from '../../core/id.ts'
import { networkOf } from '../../core/limit.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { type Budget, checkSpent, flowBudgets, giveBack, spendAll, within } from '../budget.ts'
import { and } from '../condition.ts'
import type { Doors } from '../part.ts'
import { redirectTo } from '../redirect.ts'
import { readAsked, readRedirectUri } from './asked.ts'
import { type ClientRow, selectClient } from './client.ts'
import { forget, lookAt, refusal } from './decide.ts'
import { oauthServerFaults } from './faults.ts'
import { once, readForm } from './form.ts'
import { consentAddress, newRequestId, pushedId, storeAsked, takePushed } from './pending.ts'
import type { Server } from './settings.ts'

const noClient = () =>
  oauthServerFaults.oauth_client_not_found({ status: 400, message: 'invalid client_id' })

/** What now waits for its user, and where its answer goes. */
interface Waiting {
  id: string
  redirectUri: string
  state: string | null
  prompt: string
}

/**
 * `GET` and `POST /oauth/authorize` (OAuth 2.1, 4.1.1). What is wrong with the client or the redirect URI is told to whoever sits there;
 * all else is told to the client, where it asked for it, with `iss` (RFC 9207). Two trips; of a pushed request one. With
 * `prompt=none` two more, for the browser's session.
 */
export const authorize =
  (doors: Doors, server: Server): Route[2] =>
  async (scope, c) => {
    // A GET also answers HEAD, which begins nothing.
    if (c.req.method === 'HEAD') return new Response(null, { status: 200 })
    const { settings } = server
    // OpenID Connect Core, 3.1.2.1: by either method.
    const query =
      c.req.method === 'POST' ? await readForm(c.req.raw) : once(new URL(c.req.url).searchParams)
    const clientId = query.get('client_id')?.toLowerCase() ?? ''
    if (!isUuid(clientId)) throw noClient()
    const budgets = flowBudgets(settings, scope, networkOf(c.req.raw))
    const asked = { query, clientId, budgets }
    const began = query.has('request_uri')
      ? await beginPushed(scope, asked)
      : await begin(server, scope, asked)
    if ('answer' in began) return redirectTo(began.answer)
    if (began.prompt !== 'none') return redirectTo(consentAddress(server, scope, began.id))
    return redirectTo(await silently(doors, server, scope, began, c.req.raw))
  }

interface Beginning {
  query: URLSearchParams
  clientId: string
  budgets: readonly Budget[]
}

async function begin(
  server: Server,
  scope: Scope,
  { query, clientId, budgets }: Beginning,
): Promise<Waiting | { answer: string }> {
  const results = await scope.db.batch([...spendAll(scope, budgets), selectClient(scope, clientId)])
  checkSpent(scope, budgets, results)
  const client = clientIn(results.at(-1))
  const redirectUri = readRedirectUri(client, query)
  try {
    if (server.requirePushed || client.require_par === 1)
      throw oauthServerFaults.invalid_request({ message: 'The request must be pushed first' })
    const asked = { redirectUri, ...readAsked(server, scope, { client, parameters: query }) }
    const id = newRequestId()
    await (await storeAsked(scope, { id, kind: 'authorization', clientId, asked })).run()
    return { id, redirectUri, state: asked.state, prompt: asked.prompt }
  } catch (error) {
    giveBack(scope, budgets, error)
    if (!(error instanceof Fault) || error.status >= 500) throw error
    const state = query.get('state') || null
    return { answer: refusal(server, scope, { redirectUri, state }, error.code, error.message) }
  }
}

/** RFC 9126, 4: nothing but the client and the request that it has pushed counts. */
async function beginPushed(
  scope: Scope,
  { query, clientId, budgets }: Beginning,
): Promise<Waiting> {
  const pushed = pushedId(query.get('request_uri') ?? '')
  if (pushed === null) throw oauthServerFaults.invalid_request_uri()
  const id = newRequestId()
  const guard = and(...budgets.map(within))
  const results = await scope.db.batch([
    ...spendAll(scope, budgets),
    selectClient(scope, clientId),
    await takePushed(scope, { id: pushed, next: id, clientId, guard }),
  ])
  checkSpent(scope, budgets, results)
  clientIn(results.at(-2))
  const taken = results.at(-1)?.results[0] as
    | { redirect_uri: string; state: string | null; prompt: string }
    | undefined
  if (!taken) throw oauthServerFaults.invalid_request_uri()
  return { id, redirectUri: taken.redirect_uri, state: taken.state, prompt: taken.prompt }
}

function clientIn(read: QueryResult | undefined): ClientRow {
  const client = read?.results[0] as ClientRow | undefined
  if (!client) throw noClient()
  return client
}

/** `prompt=none`: whoever would have to be asked anything is not (OpenID Connect Core, 3.1.2.6). */
async function silently(
  { callerOf }: Doors,
  server: Server,
  scope: Scope,
  { id, ...waiting }: Waiting,
  request: Request,
): Promise<string> {
  let error = 'login_required'
  try {
    const looked = await lookAt(server, scope, { ...(await callerOf(scope, request)), id })
    if ('redirect_url' in looked) return looked.redirect_url
    error = 'consent_required'
  } catch (cause) {
    if (!(cause instanceof Fault) || cause.status >= 500) throw cause
  }
  await forget(scope, id)
  return refusal(server, scope, waiting, error)
}
