import type { Auth, AuthOptions } from 'leanto/auth'
import { type OAuthServer, type OAuthServerOptions, oauthServer } from 'leanto/auth/oauth-server'
import { cookies } from 'leanto/auth/parts'
import { expect } from 'vitest'
import { base64url } from '../../src/core/secret.ts'
import { type Ask, type Env, freshDatabase } from '../kit/world.ts'
import { type Asker, expectStatus, type Json, makeAuth, mountAuth, signUp } from './world.ts'

/* An app that is an OAuth server, with a user, and clients of every kind. */

export const redirectUri = 'https://client.example/cb'
export const verifier = 'a-verifier-of-pkce-that-is-long-enough-0123456789'
export const resource = 'https://app.example/mcp'

const challengeOf = async (text = verifier): Promise<string> =>
  base64url(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))

export interface Place {
  users: Auth
  provider: OAuthServer
  ask: Asker
  /** Of the user Ann. */
  session: Json
}

export const serverOptions: OAuthServerOptions = {
  scopes: { notes: 'Read and change your notes', 'notes:read': 'Read your notes' },
  resources: { '/mcp': { name: 'Notes for assistants', scopes: ['notes'] } },
  registration: true,
  schemes: ['cursor'],
}

export const makeProvider = (
  options: OAuthServerOptions = {},
  more: Partial<AuthOptions<Env>> = {},
  base: Parameters<typeof makeAuth>[1] = {},
) => {
  const provider = oauthServer({ ...serverOptions, ...options })
  const { with: parts = [], ...rest } = more
  return { provider, users: makeAuth({ with: [provider, cookies(), ...parts], ...rest }, base) }
}

export async function place(
  options: OAuthServerOptions = {},
  more: Partial<AuthOptions<Env>> = {},
): Promise<Place> {
  const { provider, users } = makeProvider(options, more)
  await freshDatabase([users])
  const ask = mountAuth(users)
  return { provider, users, ask, session: await signUp(ask, 'ann@example.com') }
}

export const form = (fields: Record<string, string | string[] | undefined>): string => {
  const made = new URLSearchParams()
  for (const [name, value] of Object.entries(fields))
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) made.append(name, one)
  return made.toString()
}

export const formed = { 'content-type': 'application/x-www-form-urlencoded' }

/** As a client posts to an endpoint of this protocol. */
export const submit = (
  ask: Asker,
  path: string,
  fields: Parameters<typeof form>[0],
  { headers, ...more }: Ask = {},
) =>
  ask(`/auth/v1/oauth/${path}`, {
    method: 'POST',
    body: form(fields),
    headers: { ...formed, ...headers },
    ...more,
  })

export const makeClient = async (ask: Asker, fields: object = {}): Promise<Json> =>
  expectStatus(
    await ask('/auth/v1/admin/oauth/clients', {
      key: 'secret',
      body: { client_name: 'Reader', redirect_uris: [redirectUri], ...fields },
    }),
    201,
  )

/** A client of the kind that cannot keep a secret. */
export const publicClient = (ask: Asker, fields: object = {}) =>
  makeClient(ask, { token_endpoint_auth_method: 'none', ...fields })

export const credentials = ({ client_id, client_secret }: Json) =>
  client_secret ? { client_id, client_secret } : { client_id }

export const authorizeQuery = async (client: Json, fields: Record<string, unknown> = {}) =>
  form({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid email notes',
    state: 'some state',
    code_challenge: await challengeOf(),
    code_challenge_method: 'S256',
    ...fields,
  } as never)

/** Where a browser is led. */
export const ledTo = (response: Response): URL => {
  expect(response.status).toBe(303)
  return new URL(response.headers.get('location') ?? 'none:')
}

/** Asks for authorization. @returns The id that a consent page gets. */
export async function begin(ask: Asker, client: Json, fields: object = {}): Promise<string> {
  const query = await authorizeQuery(client, fields as never)
  const url = ledTo(await ask(`/auth/v1/oauth/authorize?${query}`))
  const id = url.searchParams.get('authorization_id')
  expect(id, url.href).toMatch(/^[\w-]{32}$/)
  return id as string
}

export const look = ({ ask, session }: Pick<Place, 'ask' | 'session'>, id: string) =>
  ask(`/auth/v1/oauth/authorizations/${id}`, { token: session.access_token })

export const answer = (
  { ask, session }: Pick<Place, 'ask' | 'session'>,
  id: string,
  action = 'approve',
) =>
  ask(`/auth/v1/oauth/authorizations/${id}/consent`, {
    token: session.access_token,
    body: { action },
  })

/** A code that Ann has allowed. */
export async function codeFor(
  at: Pick<Place, 'ask' | 'session'>,
  client: Json,
  fields: object = {},
): Promise<string> {
  const looked = await expectStatus(await look(at, await begin(at.ask, client, fields)), 200)
  const url = looked.redirect_url
    ? looked.redirect_url
    : (await expectStatus(await answer(at, looked.authorization_id), 200)).redirect_url
  const { searchParams } = new URL(url)
  expect(searchParams.get('iss')).toBe('https://app.example/auth/v1')
  return searchParams.get('code') as string
}

export const exchange = (ask: Asker, client: Json, code: string, fields: object = {}) =>
  submit(ask, 'token', {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    ...credentials(client),
    ...fields,
  })

/** The tokens of a client that Ann has allowed. */
export const granted = async (
  at: Pick<Place, 'ask' | 'session'>,
  client: Json,
  fields: object = {},
  shown: object = {},
): Promise<Json> =>
  expectStatus(await exchange(at.ask, client, await codeFor(at, client, fields), shown), 200)

export const refreshed = (ask: Asker, client: Json, token: string, fields: object = {}) =>
  submit(ask, 'token', {
    grant_type: 'refresh_token',
    refresh_token: token,
    ...credentials(client),
    ...fields,
  })

/** Wants this error of the protocol, with this status. */
export async function expectError(response: Response, status: number, error: string) {
  const body = await expectStatus(response, status)
  expect(body.error).toBe(error)
  // RFC 6749, 5.2.
  expect(body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  expect(response.headers.get('cache-control')).toBe('no-store')
  return body
}
