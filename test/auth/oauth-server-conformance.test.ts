import type { Base } from 'leanto'
import { auth } from 'leanto/auth'
import { type OAuthServerOptions, oauthServer } from 'leanto/auth/oauth-server'
import { conforms, type Row, type World } from '../kit/conformance.ts'
import { clock, type Env, makeBase, mount, site } from '../kit/world.ts'
import {
  baseFaults,
  baseMatrix,
  baseMigrations,
  everyone,
  type Meet,
  mountAt,
  type Options,
  own,
  prepare,
  reaching,
  unknown,
  users,
} from './conformance-world.ts'
import {
  authorizeQuery,
  begin,
  credentials,
  formed,
  granted,
  makeClient,
  redirectUri,
  serverOptions,
  submit,
} from './oauth-server-world.ts'
import type { Json } from './world.ts'

const server = (options: OAuthServerOptions = {}) => oauthServer({ ...serverOptions, ...options })
const make = (base: Base<Env>, options: Options, ours: OAuthServerOptions = {}) =>
  auth(base, { site, with: [server(ours)], ...options })

const session = ({ tokens }: World) => ({ access_token: tokens.owner })
const place = (world: World) => ({ ask: world.ask, session: session(world) })
const service = (status: number): Row['answers'] => ({
  guest: 401,
  owner: 403,
  stranger: 403,
  service: status,
})

/** A form of a client's, which no caller's token is in. */
const posting = (
  path: string,
  fields: (world: World, client: Json) => Promise<object>,
  status: number,
): Row => ({
  route: `POST ${path}`,
  ask: async (world) => {
    const client = await makeClient(world.ask)
    const all = { ...credentials(client), ...(await fields(world, client)) }
    return {
      path,
      method: 'POST',
      body: new URLSearchParams(all as never).toString(),
      headers: formed,
    }
  },
  answers: everyone(status),
})

const all = '/admin/oauth/clients'
const managing = (method: string, rest: string, status: number, body?: object): Row => ({
  route: `${method} ${all}/:client_id${rest}`,
  ask: async ({ ask }) => ({
    path: `${all}/${(await makeClient(ask)).client_id}${rest}`,
    method,
    ...(body ? { body } : {}),
  }),
  answers: service(status),
})

const waiting = async (world: World) => begin(world.ask, await makeClient(world.ask))
const one = '/oauth/authorizations/:authorization_id'

const matrix: Row[] = [
  {
    route: 'GET /oauth/authorize',
    ask: async ({ ask }) => ({
      path: `/oauth/authorize?${await authorizeQuery(await makeClient(ask))}`,
    }),
    answers: everyone(303),
  },
  {
    route: 'POST /oauth/authorize',
    ask: async ({ ask }) => ({
      path: '/oauth/authorize',
      method: 'POST',
      body: await authorizeQuery(await makeClient(ask)),
      headers: formed,
    }),
    answers: everyone(303),
  },
  posting(
    '/oauth/par',
    async (_, client) => Object.fromEntries(new URLSearchParams(await authorizeQuery(client))),
    201,
  ),
  {
    route: 'GET /oauth/consent',
    ask: async (world) => ({ path: `/oauth/consent?authorization_id=${await waiting(world)}` }),
    answers: users(200),
  },
  {
    route: 'POST /oauth/consent',
    ask: async (world) => ({
      path: '/oauth/consent',
      method: 'POST',
      body: new URLSearchParams({
        authorization_id: await waiting(world),
        answer: 'allow',
      }).toString(),
      headers: { ...formed, origin: site },
    }),
    answers: users(303),
  },
  {
    route: `GET ${one}`,
    ask: async (world) => ({ path: `/oauth/authorizations/${await waiting(world)}` }),
    answers: users(200),
  },
  {
    route: `POST ${one}/consent`,
    ask: async (world) => ({
      path: `/oauth/authorizations/${await waiting(world)}/consent`,
      method: 'POST',
      body: { action: 'deny' },
    }),
    answers: users(200),
  },
  posting('/oauth/revoke', async () => ({ token: 'x' }), 200),
  posting('/oauth/introspect', async () => ({ token: 'x' }), 200),
  posting(
    '/oauth/token',
    async (world, client) => ({
      grant_type: 'refresh_token',
      refresh_token: (await granted(place(world), client)).refresh_token,
    }),
    200,
  ),
  ...['GET', 'POST'].map(
    (method): Row => ({
      route: `${method} /oauth/userinfo`,
      ask: () => ({ path: '/oauth/userinfo', method }),
      answers: users(200),
    }),
  ),
  {
    route: 'GET /user/oauth/grants',
    ask: () => ({ path: '/user/oauth/grants' }),
    answers: users(200),
  },
  {
    route: 'DELETE /user/oauth/grants',
    ask: async (world) => {
      const client = await makeClient(world.ask)
      await granted(place(world), client)
      return { path: `/user/oauth/grants?client_id=${client.client_id}`, method: 'DELETE' }
    },
    answers: users(204, 404),
  },
  {
    route: 'POST /oauth/clients/register',
    ask: () => ({
      path: '/oauth/clients/register',
      method: 'POST',
      body: { redirect_uris: [redirectUri] },
    }),
    answers: everyone(201),
  },
  { route: `GET ${all}`, ask: () => ({ path: all }), answers: service(200) },
  {
    route: `POST ${all}`,
    ask: () => ({
      path: all,
      method: 'POST',
      body: { client_name: 'x', redirect_uris: [redirectUri] },
    }),
    answers: service(201),
  },
  managing('GET', '', 200),
  managing('PUT', '', 200, { client_name: 'y' }),
  managing('DELETE', '', 204),
  managing('POST', '/regenerate_secret', 200),
  {
    route: 'GET /.well-known/oauth-authorization-server',
    ask: () => ({ path: '/.well-known/oauth-authorization-server' }),
    answers: everyone(200),
  },
]
const ours = new Set(matrix.map(({ route }) => route))

/** A client's request to the token endpoint. */
const token =
  (fields: object): Meet =>
  async ({ ask }) =>
    submit(ask, 'token', { ...credentials(await makeClient(ask)), ...fields })
const code = { grant_type: 'authorization_code', code: 'x', code_verifier: 'v'.repeat(43) }
const pushing =
  (fields: object): Meet =>
  async ({ ask }) => {
    const client = await makeClient(ask)
    const query = new URLSearchParams(await authorizeQuery(client, fields as never))
    return submit(ask, 'par', { ...Object.fromEntries(query), ...credentials(client) })
  }
const registering =
  (body: object): Meet =>
  ({ ask }) =>
    ask(`${mountAt}/oauth/clients/register`, { body })

const faults: Record<string, Meet> = {
  feature_disabled: ({ ask }) => ask(`${mountAt}/admin/custom-providers`),
  insufficient_scope: async (world) => {
    const tokens = await granted(place(world), await makeClient(world.ask))
    return world.ask(`${mountAt}/user`, { token: tokens.access_token })
  },
  invalid_client: ({ ask }) => submit(ask, 'token', code),
  invalid_client_metadata: registering({ redirect_uris: [redirectUri], response_types: ['token'] }),
  invalid_grant: token(code),
  invalid_redirect_uri: registering({ redirect_uris: ['javascript:alert(1)'] }),
  invalid_request: token({}),
  invalid_request_uri: async ({ ask }) => {
    const { client_id } = await makeClient(ask)
    return ask(`${mountAt}/oauth/authorize?client_id=${client_id}&request_uri=urn:x`)
  },
  invalid_scope: pushing({ scope: 'unknown' }),
  invalid_target: pushing({ resource: 'https://elsewhere.example/' }),
  invalid_token: async (world) => {
    const tokens = await granted(place(world), await makeClient(world.ask))
    clock.advance(3601)
    return world.ask(`${mountAt}/oauth/userinfo`, { token: tokens.access_token })
  },
  oauth_authorization_not_found: own('/oauth/authorizations/x'),
  oauth_client_not_found: ({ ask }) => ask(`${mountAt}${all}/${unknown}`, { key: 'secret' }),
  oauth_consent_not_found: own(`/user/oauth/grants?client_id=${unknown}`, { method: 'DELETE' }),
  oauth_dynamic_client_registration_disabled: () =>
    registering({})({
      ask: mount({ [mountAt]: make(makeBase(), reaching, { registration: false }) }),
    } as never),
  request_not_supported: pushing({ request: 'x.y.z' }),
  unauthorized_client: token({ grant_type: 'client_credentials' }),
  unsupported_grant_type: token({ grant_type: 'password' }),
  unsupported_response_type: pushing({ response_type: 'token' }),
}

conforms('auth', {
  make: (base) => make(base, reaching),
  mount: mountAt,
  migrations: {
    ...baseMigrations,
    '0020_oauth_server': '2FukA7OHQIswUFIwWCrliTMcTbmCP9oafbnHTZ8uQ54',
  },
  prepare,
  matrix: [
    ...baseMatrix.filter(({ route }) => !ours.has(route)),
    ...matrix,
    {
      route: 'GET /authorize',
      ask: () => ({ path: '/authorize?provider=google' }),
      answers: everyone(400),
    },
    {
      route: 'GET /user/identities/authorize',
      ask: () => ({ path: '/user/identities/authorize?provider=google' }),
      answers: users(400),
    },
  ],
  faults: { ...baseFaults((options) => make(makeBase(), options)), ...faults },
})
