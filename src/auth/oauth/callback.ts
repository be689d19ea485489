import { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { equal, open, seal } from '../../core/secret.ts'
import { fragmentOf } from '../message-routes.ts'
import { type ExchangeCode, type FlowRow, flowProvider, takeFlow } from '../pkce.ts'
import { withParameters } from '../redirect.ts'
import type { Client } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Session } from '../wire.ts'
import { arrive } from './arrive.ts'
import { flowCookie, flowSecret, isState } from './cookie.ts'
import { callbackOf, flowKind, flowPurpose, type Kept, linkKind } from './depart.ts'
import { oauthFaults } from './faults.ts'
import { providerOf, storeOf } from './find.ts'
import { dropLink, findByCode, findByForm, type HeldLink, holdLink, linkHeld } from './held-link.ts'
import type { LinkQuestion } from './link-page.ts'
import { personOf } from './person.ts'
import type { Arrival } from './provider.ts'

/** What a code's data is sealed for: the provider's tokens, until the exchange. */
const tokensPurpose = 'auth-oauth-tokens'

/** Opens the provider's tokens for whoever has exchanged the code; they are nowhere else. */
export async function withTokens(scope: Scope, data: string, session: Session): Promise<Session> {
  const tokens = await open(scope, tokensPurpose, data)
  return tokens === null ? session : { ...session, ...JSON.parse(tokens) }
}

/** Makes the link of a code that the provider's answer was held for. @returns Nothing for a code of another kind. */
export function redeemLink(
  settings: Settings,
  scope: Scope,
  input: ExchangeCode,
): Promise<Session> | undefined {
  const found = findByCode(settings, scope, input)
  const link = async (held: HeldLink) =>
    withTokens(scope, held.tokens, await linkHeld(settings, scope, held, input))
  return found?.then(link)
}

interface Answer {
  /** Where to lead the browser. */
  url: string
  cookies: string[]
  /** What to show instead. */
  page?: LinkQuestion
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
 * @returns Where to lead the browser, and cookies; or what to ask in it first.
 */
export async function callback(settings: Settings, scope: Scope, input: Callback): Promise<Answer> {
  let target = settings.site(scope)
  const cookies: string[] = []
  try {
    const taken = await take(settings, scope, input, cookies)
    target = taken.flow.redirect_to ?? target
    return { ...(await finish(settings, scope, input, taken, target)), cookies }
  } catch (error) {
    return { url: failed(target, error), cookies }
  }
}

interface Taken {
  flow: FlowRow
  kept: Kept
  /** Whether it began in this browser. */
  bound: boolean
  /** The provider's, if it is a stored one. */
  stored: unknown
}

async function take(
  settings: Settings,
  scope: Scope,
  { request, parameters }: Callback,
  cookies: string[],
): Promise<Taken> {
  const states = parameters.getAll('state')
  const [state = ''] = states
  if (state === '')
    throw oauthFaults.bad_oauth_callback({ message: 'OAuth state parameter missing' })
  if (states.length !== 1 || !isState(state)) throw oauthFaults.bad_oauth_state()
  const secret = flowSecret(scope, request, state)
  const ids = {
    [linkKind]: state,
    ...(secret === undefined ? {} : { [flowKind]: state + secret }),
  }
  const statement = await takeFlow(scope, ids)
  const store = storeOf(settings)
  const select = store?.select(scope, await flowProvider(Object.values(ids)))
  const results = await scope.db.batch(select ? [select, statement] : [statement])
  const flow = results.at(-1)?.results[0] as FlowRow | undefined
  const keep = flow && (await open(scope, flowPurpose, flow.data ?? ''))
  if (!keep) throw oauthFaults.bad_oauth_state()
  const kept = JSON.parse(keep) as Kept
  const bound = !kept.link || (await equal(kept.link.secret, secret ?? ''))
  const formPost = request.method === 'POST'
  if (bound) cookies.push(flowCookie(scope, { state, secret: '', formPost }, 0))
  return { flow, kept, bound, stored: select && results[0]?.results[0] }
}

async function finish(
  settings: Settings,
  scope: Scope,
  { parameters, client, network }: Callback,
  { flow, kept, bound, stored }: Taken,
  target: string,
): Promise<Omit<Answer, 'cookies'>> {
  const provider = await providerOf(settings, scope, flow.provider, stored)
  const refused = parameters.get('error')
  if (refused !== null) throw new Refused(refused, parameters.get('error_description'))
  if (!parameters.get('code')) throw oauthFaults.bad_oauth_callback()
  const state = parameters.get('state') as string
  const redirectUri = callbackOf(settings, scope)
  const { keep, link } = kept
  const arrival = await provider.finish(scope, { redirectUri, state, parameters, keep })
  const tokens = tokensOf(arrival)
  const { code_challenge: sent, code_challenge_method: method } = flow
  const challenge = sent && method ? { challenge: sent, method } : undefined
  const data = await seal(scope, tokensPurpose, JSON.stringify(tokens))
  const arriving = {
    person: personOf(provider.name, arrival.profile),
    emailOptional: provider.emailOptional ?? false,
    isOpen: provider.isOpen,
    caller: link?.caller,
  }
  if (link && !bound) {
    const held = { ...arriving, caller: link.caller, tokens: data, target, challenge }
    const { token, question } = await holdLink(settings, scope, held)
    if (challenge) return { url: withParameters(target, { code: token }, 'query') }
    return { url: target, page: question }
  }
  const arrived = await arrive(settings, scope, {
    ...arriving,
    client,
    network: network ?? null,
    ...(challenge ? { challenge, data } : {}),
  })
  if ('code' in arrived) return { url: withParameters(target, { code: arrived.code }, 'query') }
  const { session } = arrived
  return { url: withParameters(target, { ...tokens, ...fragmentOf(session) }, 'fragment'), session }
}

export interface AnswerLink {
  /** Of the page's form. */
  token: string
  /** Whether the answer was yes. */
  link: boolean
  client?: Client
  network?: string | null
}

/**
 * Takes the answer to what a `page` asked, and leads on as `callback` does. Two trips; one for a no.
 *
 * @returns Where to lead the browser.
 */
export async function answerLink(
  settings: Settings,
  scope: Scope,
  input: AnswerLink,
): Promise<Omit<Answer, 'page'>> {
  let target = settings.site(scope)
  const cookies: string[] = []
  try {
    if (!input.link) {
      target = (await dropLink(scope, input.token)) ?? target
      throw new Refused('access_denied', 'The link was not wanted')
    }
    const held = await findByForm(settings, scope, input.token)
    target = held.target
    const session = await linkHeld(settings, scope, held, input)
    const tokens = JSON.parse((await open(scope, tokensPurpose, held.tokens)) ?? '{}')
    const url = withParameters(target, { ...tokens, ...fragmentOf(session) }, 'fragment')
    return { url, cookies, session }
  } catch (error) {
    return { url: failed(target, error), cookies }
  }
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
