import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { customProviders } from 'leanto/auth/custom-providers'
import { vi } from 'vitest'
import { type Ask, clock, freshDatabase } from '../kit/world.ts'
import { begin, comeBack, fragment } from './oauth-world.ts'
import { type Asker, expectStatus, type Json, makeAuth, mountAuth } from './world.ts'

/*
 * Providers that are added at run time, with an OpenID provider and a plain OAuth 2.0 one in front of which the Worker's own
 * `fetch` ends. A real one is in test/node/custom-providers.test.ts.
 */

export const issuer = 'https://idp.acme.example'
export const client = { client_id: 'the-client', client_secret: 'the-secret-of-the-client' }

const pair = await generateKeyPair('RS256', { extractable: true })
const publicKey = { ...(await exportJWK(pair.publicKey)), kid: 'k1', use: 'sig', alg: 'RS256' }

export interface Outside {
  /** What was called, in order: method and URL. */
  calls: string[]
  /** Over the claims of the next ID token; `undefined` takes one away. */
  claims: Json
  /** What the userinfo endpoints answer. */
  info: Json
  /** Over the members of the discovery documents. */
  discovery: Json
  /** The last request to a token endpoint. */
  token: { form: URLSearchParams; authorization: string | null } | undefined
  /** What another URL answers. */
  others: Record<string, () => Response | Promise<Response>>
  /** The nonce that the provider was given with the authorisation request. */
  nonce: string | undefined
  /** What happens while a token endpoint is thinking. */
  meanwhile: (() => Promise<unknown>) | undefined
  /** What names resolve to. @default a public address */
  names: Record<string, string[]>
}

export const outside: Outside = {} as Outside

export const idToken = (claims: Json = {}, of = issuer): Promise<string> => {
  const now = Math.floor(clock.now() / 1000)
  const good = { iss: of, sub: 's1', aud: client.client_id, iat: now, exp: now + 300 }
  const person = { email: 'ann@acme.example', email_verified: true, name: 'Ann' }
  return new SignJWT({ ...good, ...person, ...claims })
    .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
    .sign(pair.privateKey)
}

async function answer(request: Request): Promise<Response> {
  const { href, origin, pathname } = new URL(request.url)
  outside.calls.push(`${request.method} ${href}`)
  const other = outside.others[href]
  if (other) return other()
  if (!/^https:\/\/(?:idp|other|api)\.(?:acme|corp)\.example$/.test(origin))
    throw new Error(`nobody is at ${origin}`)
  if (pathname === '/.well-known/openid-configuration')
    return Response.json({
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      jwks_uri: `${origin}/jwks`,
      scopes_supported: ['openid', 'email'],
      ...outside.discovery,
    })
  if (pathname === '/jwks') return Response.json({ keys: [publicKey] })
  if (pathname === '/me') return Response.json(outside.info)
  if (pathname !== '/token') return new Response(null, { status: 404 })
  outside.token = {
    form: new URLSearchParams(new TextDecoder().decode(await request.arrayBuffer())),
    authorization: request.headers.get('authorization'),
  }
  await outside.meanwhile?.()
  const claims = { nonce: outside.nonce, ...outside.claims }
  return Response.json({
    access_token: 'upstream-at',
    token_type: 'Bearer',
    id_token: await idToken(claims, origin),
  })
}

/** Puts the outside world back to how it is when all is well. */
export function calm() {
  Object.assign(outside, {
    ...{ calls: [], claims: {}, info: {}, discovery: {}, others: {}, names: {} },
    ...{ token: undefined, nonce: undefined, meanwhile: undefined },
  })
  vi.spyOn(globalThis, 'fetch').mockImplementation(
    (input, init) => answer(new Request(input as string, init as RequestInit)) as never,
  )
}

export const resolve = async (name: string): Promise<string[]> => {
  const found = outside.names[name] ?? ['93.184.215.14']
  if (found.length === 0) throw new Error('NXDOMAIN')
  return found
}

export const acme = {
  provider_type: 'oidc',
  identifier: 'custom:acme',
  name: 'Acme',
  issuer,
  ...client,
}
export const plain = {
  provider_type: 'oauth2',
  identifier: 'custom:plain',
  name: 'Plain',
  authorization_url: 'https://api.acme.example/authorize',
  token_url: 'https://api.acme.example/token',
  userinfo_url: 'https://api.acme.example/me',
  ...client,
}

const path = '/auth/v1/admin/custom-providers'

export const admin = (ask: Asker, at = '', more: Ask = {}) =>
  ask(path + at, { key: 'secret', ...more })
export const create = (ask: Asker, body: object = acme) => admin(ask, '', { body })
export const created = async (ask: Asker, body: object = acme): Promise<Json> =>
  expectStatus(await create(ask, body), 201)
export const change = (ask: Asker, identifier: string, body: object) =>
  admin(ask, `/${identifier}`, { method: 'PUT', body })
export const changed = async (ask: Asker, identifier: string, body: object): Promise<Json> =>
  expectStatus(await change(ask, identifier, body), 200)

type Options = Parameters<typeof makeAuth>[0]

/** An app with the part mounted. */
export async function customWorld(options: Options = {}, more: object = {}) {
  const users = makeAuth({
    ...options,
    with: [customProviders({ resolve, ...more }), ...(options?.with ?? [])],
  })
  await freshDatabase([users])
  return { users, ask: mountAuth(users) }
}

/** Goes to the provider, which remembers the nonce, as a browser would. */
export async function depart(ask: Asker, provider = 'custom:acme', more = '') {
  const flow = await begin(ask, `provider=${provider}${more}`)
  outside.nonce = flow.url.searchParams.get('nonce') ?? undefined
  return flow
}

/** Goes there and comes back; where the browser is led. */
export async function travel(ask: Asker, provider?: string, more?: string): Promise<URL> {
  return comeBack(ask, await depart(ask, provider, more), 'the-code')
}

/** What the app's page is told in the fragment. */
export const signIn = async (ask: Asker, provider?: string) => fragment(await travel(ask, provider))
