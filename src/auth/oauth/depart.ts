import type { Scope } from '../../core/scope.ts'
import { randomToken, seal } from '../../core/secret.ts'
import { checkSpent, flowBudgets, spendAll, within } from '../budget.ts'
import { and, condition } from '../condition.ts'
import { refuseProvider } from '../identity-routes.ts'
import { readChallenge, startFlow } from '../pkce.ts'
import { checkRedirect } from '../redirect.ts'
import type { Caller } from '../session.ts'
import type { Settings } from '../settings.ts'
import { flowCookie, splitFlow } from './cookie.ts'
import { seek } from './find.ts'

export const flowKind = 'oauth'
/** Of a flow that links: known by its `state` alone. */
export const linkKind = 'oauth-link'
/** What a flow's secrets are sealed for. */
export const flowPurpose = 'auth-oauth-flow'
/** Seconds for consent, and a second factor, at the provider. */
const flowSeconds = 600

/** Ours, or the protocol's: a client hands none of these through. */
const reserved = new Set(
  `provider scopes redirect_to code_challenge code_challenge_method skip_http_redirect invite_token
   apikey client_id client_secret redirect_uri response_type response_mode scope state nonce request
   request_uri registration claims code id_token access_token`.split(/\s+/),
)

/** What a flow keeps, sealed. */
export interface Kept {
  /** The provider's. */
  readonly keep: string
  /** Who asked to link, and the cookie's half of the flow. */
  readonly link?: { readonly caller: Caller; readonly secret: string }
}

export const callbackOf = (settings: Settings, scope: Scope) => `${settings.issuer(scope)}/callback`

export interface Depart {
  /** Of the client's request, as GoTrue has it. */
  query: URLSearchParams
  /** Who asks to link an identity. */
  caller?: Caller
  /** Where the call comes from (`networkOf`); its budget is spent. */
  network?: string | null
}

/**
 * Begins a sign-in, or the linking of an identity to `caller`. One trip, which reads a stored provider as well: that it is open
 * guards the flow.
 *
 * @returns Where to lead the browser, and the cookie that binds it.
 * @throws {Fault} `validation_failed`, `rate_limited`.
 */
export async function depart(
  settings: Settings,
  scope: Scope,
  { query, caller, network }: Depart,
): Promise<{ url: string; cookie: string }> {
  const name = query.get('provider')?.toLowerCase()
  const sought = seek(settings, name) ?? refuseProvider(name)
  const challenge = readChallenge(query.get('code_challenge'), query.get('code_challenge_method'))
  const redirectTo = checkRedirect(settings, scope, query.get('redirect_to'))
  const id = randomToken()
  const { state, secret } = splitFlow(id)
  const parameters: Record<string, string> = {}
  for (const [key, value] of query)
    if (!reserved.has(key.toLowerCase()) && key.length <= 64 && value.length <= 1024)
      parameters[key] = value
  const departure = {
    redirectUri: callbackOf(settings, scope),
    state,
    scopes: (query.get('scopes') ?? '').split(/[\s,]+/).filter(Boolean),
    parameters,
  }
  const started =
    'provider' in sought
      ? await sought.provider.start(scope, departure)
      : { keep: sought.store.keep() }
  const { keep } = started
  const kept: Kept = caller ? { keep, link: { caller, secret } } : { keep }
  const budgets = flowBudgets(settings, scope, network)
  const flow = await startFlow(scope, caller ? state : id, {
    kind: caller ? linkKind : flowKind,
    provider: 'provider' in sought ? sought.provider.name : sought.name,
    challenge,
    redirectTo,
    data: await seal(scope, flowPurpose, JSON.stringify(kept)),
    ...(caller ? { userId: caller.userId } : {}),
    seconds: flowSeconds,
    guard: and(
      ...budgets.map(within),
      ...('store' in sought ? [sought.store.isOpen(sought.name)] : []),
    ),
  })
  const results = await scope.db.batch([
    ...spendAll(scope, budgets),
    flow,
    ...('store' in sought ? [sought.store.select(scope, condition('?', sought.name))] : []),
  ])
  checkSpent(scope, budgets, results)
  const provider =
    'provider' in sought
      ? sought.provider
      : await sought.store.read(scope, sought.name, results.at(-1)?.results[0])
  const { url } = 'url' in started ? started : await provider.start(scope, { ...departure, keep })
  return {
    url,
    cookie: flowCookie(scope, { state, secret, formPost: provider.formPost }, flowSeconds),
  }
}
