import { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { open, seal } from '../../core/secret.ts'
import { fragmentOf } from '../message-routes.ts'
import { type FlowRow, takeFlow } from '../pkce.ts'
import { withParameters } from '../redirect.ts'
import type { Client } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Session } from '../wire.ts'
import { arrive } from './arrive.ts'
import { flowCookie, joinFlow } from './cookie.ts'
import { callbackOf, flowKind, flowPurpose, providerOf } from './depart.ts'
import { oauthFaults } from './faults.ts'
import { personOf } from './person.ts'
import type { Arrival } from './provider.ts'

/** What a code's data is sealed for: the provider's tokens, until the exchange. */
const tokensPurpose = 'auth-oauth-tokens'

/** Opens the provider's tokens for whoever has exchanged the code; they are nowhere else. */
export async function withTokens(scope: Scope, data: string, session: Session): Promise<Session> {
  const tokens = await open(scope, tokensPurpose, data)
  return tokens === null ? session : { ...session, ...JSON.parse(tokens) }
}

interface Answer {
  url: string
  cookies: string[]
  /** The one in the URL's fragment, where there is no code to exchange. */
  session?: Session
}

export interface Callback {
  request: Request
  /** Of the query, or of the form. */
  parameters: URLSearchParams
  client?: Client
  network?: string | null
}

/**
 * Takes a provider's answer. Three trips: the flow is taken (once: by one statement), the account looked up, everything
 * written. Whatever is wrong denies (case 30), and leads back to where the flow began, which was checked then; without a
 * flow to `site` (case 24).
 *
 * @returns Where to lead the browser, and cookies.
 */
export async function callback(settings: Settings, scope: Scope, input: Callback): Promise<Answer> {
  let target = settings.site(scope)
  const cookies: string[] = []
  try {
    const flow = await take(scope, input, cookies)
    target = flow.redirect_to ?? target
    return { ...(await finish(settings, scope, input, flow, target)), cookies }
  } catch (error) {
    return { url: failed(target, error), cookies }
  }
}

async function take(
  scope: Scope,
  { request, parameters }: Callback,
  cookies: string[],
): Promise<FlowRow> {
  const states = parameters.getAll('state')
  const [state = ''] = states
  if (state === '')
    throw oauthFaults.bad_oauth_callback({ message: 'OAuth state parameter missing' })
  const id = states.length === 1 ? joinFlow(scope, request, state) : undefined
  if (!id) throw oauthFaults.bad_oauth_state()
  const flow = await (await takeFlow(scope, flowKind, id)).first<FlowRow>()
  if (!flow) throw oauthFaults.bad_oauth_state()
  const formPost = request.method === 'POST'
  cookies.push(flowCookie(scope, { state, secret: '', formPost }, 0))
  return flow
}

async function finish(
  settings: Settings,
  scope: Scope,
  { parameters, client, network }: Callback,
  flow: FlowRow,
  target: string,
): Promise<Omit<Answer, 'cookies'>> {
  const provider = providerOf(settings, flow.provider)
  const refused = parameters.get('error')
  if (refused !== null) throw new Refused(refused, parameters.get('error_description'))
  if (!parameters.get('code')) throw oauthFaults.bad_oauth_callback()
  const keep = await open(scope, flowPurpose, flow.data ?? '')
  if (keep === null) throw oauthFaults.bad_oauth_state()
  const state = parameters.get('state') as string
  const redirectUri = callbackOf(settings, scope)
  const arrival = await provider.finish(scope, { redirectUri, state, parameters, keep })
  const tokens = tokensOf(arrival)
  const challenge = flow.code_challenge &&
    flow.code_challenge_method && {
      challenge: flow.code_challenge,
      method: flow.code_challenge_method,
    }
  const arrived = await arrive(settings, scope, {
    person: personOf(provider.name, arrival.profile),
    emailOptional: provider.emailOptional ?? false,
    linkTo: flow.user_id,
    client,
    network: network ?? null,
    ...(challenge
      ? { challenge, data: await seal(scope, tokensPurpose, JSON.stringify(tokens)) }
      : {}),
  })
  if ('code' in arrived) return { url: withParameters(target, { code: arrived.code }, 'query') }
  const { session } = arrived
  return { url: withParameters(target, { ...tokens, ...fragmentOf(session) }, 'fragment'), session }
}

const tokensOf = ({ accessToken, refreshToken }: Arrival): Record<string, string> => ({
  provider_token: accessToken,
  ...(refreshToken ? { provider_refresh_token: refreshToken } : {}),
})

/** The provider's own refusal, such as `access_denied` (RFC 6749, 4.1.2.1). */
class Refused extends Error {
  readonly error: string
  readonly description: string

  constructor(error: string, description: string | null) {
    super(error)
    // Said again in a URL of ours, so only in the characters that the RFC has for it, and not at length.
    this.error = /^[\w.-]{1,64}$/.test(error) ? error : 'server_error'
    this.description = (description ?? '').replace(/[^\x20-\x7e]|["\\<>]/g, '').slice(0, 256)
  }
}

const errors: Readonly<Record<number, string>> = {
  400: 'invalid_request',
  401: 'unauthorized_client',
  403: 'access_denied',
  503: 'temporarily_unavailable',
}
const denials: readonly string[] = [
  'signup_disabled',
  'user_banned',
  'provider_email_needs_verification',
]

/** GoTrue says it in the query and in the fragment; clients read either. */
function failed(target: string, error: unknown): string {
  let said: Record<string, string>
  if (error instanceof Refused) {
    said = { error: error.error, error_description: error.description }
  } else {
    const fault = error instanceof Fault ? error : oauthFaults.unexpected_failure()
    // The cause may hold what the provider answered, but no token: those are not in its messages.
    if (fault.status >= 500) console.error('leanto: an OAuth sign-in failed:', reasonOf(error))
    const kind = denials.includes(fault.code) ? 'access_denied' : errors[fault.status]
    said = {
      error: kind ?? 'server_error',
      error_code: fault.code,
      error_description:
        fault.status >= 500 ? oauthFaults.unexpected_failure().message : fault.message,
    }
  }
  return withParameters(withParameters(target, said, 'query'), said, 'fragment')
}

/** Name and message alone: the causes of oauth4webapi's errors hold whole answers, with their tokens (case 74). */
const reasonOf = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : 'unknown'
