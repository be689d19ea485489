import type { Base } from 'leanto'
import { auth } from 'leanto/auth'
import { customProviders } from 'leanto/auth/custom-providers'
import { afterEach, beforeEach, vi } from 'vitest'
import { conforms, type Row, type World } from '../kit/conformance.ts'
import { type Ask, type Env, makeBase, site } from '../kit/world.ts'
import {
  ann,
  baseFaults,
  baseMatrix,
  baseMigrations,
  everyone,
  grant,
  type Meet,
  mountAt,
  type Options,
  ok,
  prepare,
  reaching,
  users,
} from './conformance-world.ts'
import { acme, calm, idToken, outside, plain, resolve } from './custom-world.ts'
import { begin, comeBack } from './oauth-world.ts'
import type { Json } from './world.ts'

beforeEach(calm)
afterEach(() => {
  vi.restoreAllMocks()
})

const make = (base: Base<Env>, options: Options) =>
  auth(base, { site, with: [customProviders({ resolve, maxProviders: 2 })], ...options })

const path = '/admin/custom-providers'
const bound = { ...acme, domains: ['acme.example'] }
const service =
  (at: string, more: Ask = {}): Meet =>
  ({ ask }) =>
    ask(mountAt + path + at, { key: 'secret', ...more })
const made = async (world: World, body: object = bound): Promise<Json> => {
  const response = await service('', { body })(world)
  if (response.status !== 201) throw new Error(await response.text())
  return response.json()
}

/** For the server alone. */
const server = (method: string, at: string, more: Ask, status: number): Row => ({
  route: `${method} ${path}${at && '/:identifier'}`,
  ask: async (world) => {
    if (at) await made(world)
    return { path: path + at, method, ...more }
  },
  answers: { guest: 401, owner: 403, stranger: 403, service: status },
})

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const matrix: Row[] = [
  server('GET', '', {}, 200),
  server('POST', '', { body: bound }, 201),
  server('GET', '/custom:acme', {}, 200),
  server('PUT', '/custom:acme', { body: { name: 'A' } }, 200),
  server('DELETE', '/custom:acme', {}, 204),
  {
    route: 'POST /sso',
    ask: async (world) => {
      await made(world)
      const body = { domain: 'acme.example', skip_http_redirect: true }
      return { path: '/sso', method: 'POST', body }
    },
    answers: everyone(200),
  },
  {
    route: 'GET /authorize',
    ask: async (world) => {
      await made(world)
      return { path: '/authorize?provider=custom:acme' }
    },
    answers: everyone(303),
  },
  {
    route: 'GET /user/identities/authorize',
    ask: async (world) => {
      await made(world)
      return { path: '/user/identities/authorize?provider=custom:acme' }
    },
    answers: users(303),
  },
  { route: 'GET /callback', ask: () => ({ path: '/callback' }), answers: everyone(303) },
  {
    route: 'POST /callback',
    ask: () => ({ path: '/callback', method: 'POST', headers: form, body: 'state=x' }),
    answers: everyone(303),
  },
  {
    route: 'POST /callback/link',
    ask: () => ({
      path: '/callback/link',
      method: 'POST',
      headers: { ...form, 'sec-fetch-site': 'same-origin' },
      body: 'token=x&answer=link',
    }),
    answers: everyone(303),
  },
]
const ours = new Set(matrix.map(({ route }) => route))

/** What a browser is told that is led back with an error. */
const told = (url: URL | string): Response =>
  Response.json({ code: new URL(url).searchParams.get('error_code') }, { status: 400 })
const shown = (more: object, asked: object = {}): Meet => {
  const body = async () => ({ provider: 'custom:acme', id_token: await idToken(more), ...asked })
  return async (world) => grant('id_token', await body())(world)
}

const faults: Record<string, Meet> = {
  bad_oauth_callback: async ({ ask }) =>
    told((await ask(`${mountAt}/callback`)).headers.get('location') ?? ''),
  bad_oauth_state: async ({ ask }) =>
    told((await ask(`${mountAt}/callback?code=x&state=x`)).headers.get('location') ?? ''),
  bad_origin: ({ ask }) =>
    ask(`${mountAt}/callback/link`, { method: 'POST', headers: form, body: 'token=x' }),
  custom_provider_not_found: service('/custom:nobody'),
  identity_already_exists: async (world) => {
    await made(world)
    const body = {
      provider: 'custom:acme',
      id_token: await idToken({ email: ann.email }),
      link_identity: true,
    }
    const link = grant('id_token', body, { token: world.tokens.owner as string })
    await ok(link(world))
    return link(world)
  },
  over_custom_provider_quota: async (world) => {
    await made(world)
    await made(world, plain)
    return service('', { body: { ...plain, identifier: 'custom:third' } })(world)
  },
  provider_disabled: async (world) => {
    await made(world, { ...bound, enabled: false })
    return world.ask(`${mountAt}/authorize?provider=custom:acme`)
  },
  provider_email_needs_verification: async (world) => {
    await made(world)
    return shown({ email_verified: false })(world)
  },
  // Where SAML would be.
  saml_provider_disabled: ({ ask }) => ask(`${mountAt}/sso/saml/metadata`),
  sso_domain_already_exists: async (world) => {
    await made(world)
    return service('', { body: { ...bound, identifier: 'custom:other' } })(world)
  },
  sso_provider_not_found: ({ ask }) => ask(`${mountAt}/sso`, { body: { domain: 'a.example' } }),
  unexpected_failure: async (world) => {
    await made(world)
    outside.claims = { iss: 'https://evil.example' }
    return told(await comeBack(world.ask, await begin(world.ask, 'provider=custom:acme'), 'c'))
  },
}

conforms('auth', {
  make: (base) => make(base, reaching),
  mount: mountAt,
  migrations: {
    ...baseMigrations,
    '0012_custom_providers': 'bIfRvBPS8aYlBDqv5MFfsLcKQy3PP5pORmvOxXwW-RQ',
  },
  prepare,
  matrix: [...baseMatrix.filter(({ route }) => !ours.has(route)), ...matrix],
  faults: { ...baseFaults((options) => make(makeBase(), options)), ...faults },
})
