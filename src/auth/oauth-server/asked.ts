import type { Scope } from '../../core/scope.ts'
import { type ClientRow, grantTypesOf, wordsOf } from './client.ts'
import type { Binding } from './extension.ts'
import { oauthServerFaults } from './faults.ts'
import { invalidRequest } from './form.ts'
import { isRegistered } from './redirect-uri.ts'
import { requireResources } from './resource.ts'
import { allScopes, type Server } from './settings.ts'

/** What a request for authorization asks for, checked. */
export interface Asked {
  readonly redirectUri: string
  readonly state: string | null
  readonly nonce: string | null
  /** By spaces; what is not known here is left out (OpenID Connect Core, 3.1.2.1). */
  readonly scope: string
  /** JSON list. */
  readonly resource: string
  readonly challenge: string
  /** By spaces. */
  readonly prompt: string
  /** Seconds. */
  readonly maxAge: number | null
  readonly jkt: string | null
}

/** Characters of what a client may have kept for it. */
const longest = 2048
const prompts: readonly string[] = ['none', 'login', 'consent', 'select_account']

/**
 * Where the answer may go. Until this is sure, nobody is led anywhere (case 24).
 *
 * @throws {Fault} `invalid_request` (400).
 */
export function readRedirectUri(client: ClientRow, parameters: URLSearchParams): string {
  const redirectUri = parameters.get('redirect_uri')
  if (!redirectUri) throw invalidRequest('redirect_uri is required')
  if (!isRegistered(redirectUri, JSON.parse(client.redirect_uris) as string[]))
    throw invalidRequest('redirect_uri is none that this client has registered')
  return redirectUri
}

/**
 * The rest of a request for authorization (OAuth 2.1, 4.1.1; OpenID Connect Core, 3.1.2.1).
 *
 * @throws {Fault} of `oauthServerFaults`, for the client to hear.
 */
export function readAsked(
  server: Server,
  scope: Scope,
  { client, parameters, binding }: Reading,
): Omit<Asked, 'redirectUri'> {
  const text = (name: string) => readText(parameters, name)
  if (parameters.has('request')) throw oauthServerFaults.request_not_supported()
  if (text('response_type') !== 'code') throw oauthServerFaults.unsupported_response_type()
  if ((text('response_mode') ?? 'query') !== 'query')
    throw invalidRequest('response_mode must be query')
  if (!grantTypesOf(client).includes('authorization_code'))
    throw oauthServerFaults.unauthorized_client()
  const prompt = wordsOf(text('prompt'))
  if (prompt.some((word) => !prompts.includes(word))) throw invalidRequest('prompt is not known')
  if (prompt.includes('none') && prompt.length > 1) throw invalidRequest('prompt=none stands alone')
  return {
    state: text('state'),
    nonce: text('nonce'),
    scope: readScope(server, client, text('scope')),
    resource: JSON.stringify(requireResources(server, scope, parameters.getAll('resource'))),
    challenge: readChallenge(text('code_challenge'), text('code_challenge_method')),
    prompt: prompt.join(' '),
    maxAge: readAge(text('max_age')),
    jkt: readKey(server, text('dpop_jkt'), binding),
  }
}

interface Reading {
  client: ClientRow
  parameters: URLSearchParams
  /** The key that a pushed request holds. */
  binding?: Binding | undefined
}

function readText(parameters: URLSearchParams, name: string): string | null {
  const value = parameters.get(name)
  if (value && (value.length > longest || /\p{Cc}/u.test(value) || !value.isWellFormed()))
    throw invalidRequest(`${name} must be text of at most ${longest} characters`)
  return value || null
}

/** Without any, a client asks for what GoTrue gives by default: an address. */
function readScope(server: Server, client: ClientRow, scope: string | null): string {
  const known = allScopes(server)
  const may = client.scope === null ? known : wordsOf(client.scope)
  const granted = wordsOf(scope ?? 'email').filter((word) => known.includes(word))
  if (granted.some((word) => !may.includes(word)))
    throw oauthServerFaults.invalid_scope({ message: 'The client may not ask for that scope' })
  if (granted.length === 0) throw oauthServerFaults.invalid_scope()
  return granted.join(' ')
}

/** `plain` shows the verifier to whoever sees the request (RFC 9700, 2.1.1; case 29). */
function readChallenge(challenge: string | null, method: string | null): string {
  if (challenge === null) throw invalidRequest('code_challenge is required')
  if (method !== 'S256') throw invalidRequest('code_challenge_method must be S256')
  // 32 bytes.
  if (!/^[\w-]{43}$/.test(challenge)) throw invalidRequest('code_challenge is none of S256')
  return challenge
}

function readAge(age: string | null): number | null {
  if (age === null) return null
  if (!/^\d{1,9}$/.test(age)) throw invalidRequest('max_age must be seconds')
  return Number(age)
}

/** RFC 9449, 10. */
function readKey(
  { extensions }: Server,
  shown: string | null,
  binding: Binding | undefined,
): string | null {
  if (!extensions.some((extension) => extension.binding)) return null
  if (shown !== null && !/^[\w-]{43}$/.test(shown))
    throw invalidRequest('dpop_jkt is no thumbprint')
  if (shown !== null && binding && binding.jkt !== shown)
    throw invalidRequest('dpop_jkt is another key’s')
  return shown ?? binding?.jkt ?? null
}
