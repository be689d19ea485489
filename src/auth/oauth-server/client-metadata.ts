import * as v from 'valibot'
import { isStorable } from '../../core/body.ts'
import { Fault } from '../../core/fault.ts'
import { text } from '../body.ts'
import { flag } from '../request.ts'
import type { AuthMethod, ClientRow } from './client.ts'
import { grantTypesOf, wordsOf } from './client.ts'
import { machineGrant } from './client-grant.ts'
import { oauthServerFaults } from './faults.ts'
import { isSafeRedirect } from './redirect-uri.ts'
import { allScopes, type Server } from './settings.ts'
import { grantsOf } from './token.ts'

const list = v.nullish(v.array(v.string()))

/** What is read of a client's metadata (RFC 7591, 2); what else there is, is ignored. */
export const metadataBody = v.object({
  client_name: text,
  client_uri: text,
  logo_uri: text,
  redirect_uris: list,
  grant_types: list,
  response_types: list,
  scope: text,
  token_endpoint_auth_method: text,
  client_type: text,
  require_pushed_authorization_requests: flag,
  dpop_bound_access_tokens: flag,
})
export type Metadata = v.InferOutput<typeof metadataBody>

/** What metadata says of a client, as it is stored. */
export type ClientFields = Pick<
  ClientRow,
  | 'name'
  | 'uri'
  | 'logo_uri'
  | 'redirect_uris'
  | 'grant_types'
  | 'scope'
  | 'auth_method'
  | 'require_par'
  | 'dpop_bound'
>

const authMethods: readonly string[] = ['none', 'client_secret_basic', 'client_secret_post']
const mostRedirects = 10

const wrong = (message: string) => oauthServerFaults.invalid_client_metadata({ message })

interface Reading {
  /** Whether anyone may ask for it: a machine is the server's alone to make. */
  open: boolean
  /** What it is so far, of which what is not said stays. */
  before?: ClientRow
}

/**
 * Checks a client's metadata, on every path that makes or changes one (case 29).
 *
 * @throws {Fault} `invalid_client_metadata`, `invalid_redirect_uri` (400 each).
 */
export function readMetadata(
  server: Server,
  said: Metadata,
  { open, before }: Reading,
): ClientFields {
  const auth_method = readAuthMethod(said, before)
  const grants = readGrantTypes(server, said, { open, before })
  if (grants.includes(machineGrant) && auth_method === 'none')
    throw wrong(`${machineGrant} is for clients with a secret`)
  const wants = grants.includes('authorization_code')
  if ((said.response_types ?? []).some((type) => type !== 'code'))
    throw wrong('response_types must be code')
  const redirects =
    said.redirect_uris ?? (before ? (JSON.parse(before.redirect_uris) as string[]) : [])
  checkRedirects(server, redirects, wants)
  return {
    name: readName(said.client_name ?? before?.name ?? ''),
    uri: readUri('client_uri', said.client_uri, before?.uri),
    logo_uri: readUri('logo_uri', said.logo_uri, before?.logo_uri),
    redirect_uris: JSON.stringify([...new Set(redirects)]),
    grant_types: JSON.stringify(grants),
    scope: readScope(server, said.scope, { open, before }),
    auth_method,
    require_par: flagOf(said.require_pushed_authorization_requests, before?.require_par),
    dpop_bound: readBound(server, said.dpop_bound_access_tokens, { open, before }),
  }
}

const flagOf = (said: boolean | null | undefined, before: number | undefined): number =>
  Number(said ?? before === 1)

function readAuthMethod(said: Metadata, before: ClientRow | undefined): AuthMethod {
  const { client_type: type } = said
  if (type && type !== 'public' && type !== 'confidential')
    throw wrong('client_type must be public or confidential')
  const otherwise = type === 'public' ? 'none' : (before?.auth_method ?? 'client_secret_basic')
  const method = said.token_endpoint_auth_method || otherwise
  if (!authMethods.includes(method))
    throw wrong(`token_endpoint_auth_method must be one of ${authMethods.join(', ')}`)
  if (type && (method === 'none') !== (type === 'public'))
    throw wrong('client_type and token_endpoint_auth_method are at odds')
  return method as AuthMethod
}

/** Whoever registers by themselves gets those that there are for them (RFC 7591, 3.2.1). */
function readGrantTypes(server: Server, said: Metadata, { open, before }: Reading): string[] {
  const asked =
    said.grant_types ?? (before ? grantTypesOf(before) : ['authorization_code', 'refresh_token'])
  const known = Object.keys(grantsOf(server))
  const registrable = server.extensions.flatMap((extension) => extension.registrable ?? [])
  const may = open ? ['authorization_code', 'refresh_token', ...registrable] : known
  const grants = [...new Set(asked)].filter((grant) => !open || may.includes(grant))
  if (grants.length === 0 || grants.some((grant) => !may.includes(grant)))
    throw wrong(`grant_types must be some of ${may.join(', ')}`)
  return grants
}

function checkRedirects({ schemes }: Server, redirects: readonly string[], wants: boolean): void {
  const refuse = (message: string) => oauthServerFaults.invalid_redirect_uri({ message })
  if (wants && redirects.length === 0) throw refuse('redirect_uris are required')
  if (redirects.length > mostRedirects) throw refuse(`redirect_uris are at most ${mostRedirects}`)
  if (!redirects.every((uri) => isSafeRedirect(uri, schemes)))
    throw refuse(
      'redirect_uris must be https, http of this machine, or an app’s own scheme, without a fragment, user or wildcard',
    )
}

function readName(name: string): string {
  if (name.length > 200 || /[\p{Cc}\p{Bidi_Control}]/u.test(name) || !isStorable(name))
    throw wrong('client_name must be at most 200 characters of text')
  return name.trim()
}

/** Shown as a link: to a page of the web, and no script. */
function readUri(
  name: string,
  said: string | null | undefined,
  before?: string | null,
): string | null {
  const uri = said ?? before
  if (!uri) return null
  const url = URL.parse(uri)
  if (
    uri.length > 2048 ||
    /[^!-~]/.test(uri) ||
    !/^https?:$/.test(url?.protocol ?? '') ||
    url?.username
  )
    throw wrong(`${name} must be a URL of the web`)
  return uri
}

function readScope(
  server: Server,
  said: string | null | undefined,
  { open, before }: Reading,
): string | null {
  if (said === undefined || said === null) return before?.scope ?? null
  const known = allScopes(server)
  const words = wordsOf(said)
  if (!open && words.some((word) => !known.includes(word)))
    throw wrong(`scope must be some of ${known.join(' ')}`)
  const kept = words.filter((word) => known.includes(word))
  // Of a list that holds nothing known here, nothing is left to narrow by.
  return kept.length === 0 && open ? null : kept.join(' ')
}

function readBound(
  { extensions }: Server,
  said: boolean | null | undefined,
  { open, before }: Reading,
): number {
  const can = extensions.some(({ binding }) => binding)
  if (said && !can && !open) throw wrong('No extension binds tokens to keys here')
  return can ? flagOf(said, before?.dpop_bound) : 0
}

/** For the server's own calls, in GoTrue's words. */
export function asGoTrue(error: unknown): unknown {
  const ours =
    error instanceof Fault && /^invalid_(?:client_metadata|redirect_uri)$/.test(error.code)
  if (!ours) return error
  return new Fault('validation_failed', { status: 400, message: error.message })
}
