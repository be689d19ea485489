import { env } from 'cloudflare:workers'
import { apiKeys } from 'leanto'
import { auth } from 'leanto/auth'
import { oauthServer } from 'leanto/auth/oauth-server'
import { describe, expect, it } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { type Ask, clock, freshDatabase, makeBase, site, testSecret } from '../kit/world.ts'
import {
  authorizeQuery,
  begin,
  codeFor,
  credentials,
  form,
  formed,
  granted,
  look,
  makeClient,
  type Place,
  publicClient,
  redirectUri,
  refreshed,
  serverOptions,
  verifier,
} from './oauth-server-world.ts'
import { expectStatus, type Json, mountAuth, rows, signUp } from './world.ts'

/* What each route of the OAuth server costs, among others' clients and grants enough that a scan would show in the rows. */

const base = makeBase()

interface World extends Place {
  client: Json
  open: Json
}

async function costWorld(): Promise<World> {
  const provider = oauthServer(serverOptions)
  const users = auth(base, { site, with: [provider] })
  await freshDatabase([users])
  const ask = mountAuth(users)
  const session = await signUp(ask, 'ann@example.com')
  const [client, open] = [await makeClient(ask), await publicClient(ask)]
  const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'
  await env.DB.batch(
    [
      `users (id, email, app_metadata, user_metadata, created_at, updated_at)
         SELECT 'u' || i, 'u' || i || '@example.com', '{}', '{}', 1, 1 FROM n`,
      `sessions (id, user_id, created_at) SELECT 's' || i, 'u' || i, 1 FROM n`,
      `refresh_tokens (hash, session_id, expires_at) SELECT 't' || i, 's' || i, 9e15 FROM n`,
      `oauth_clients (id, name, auth_method, registration, redirect_uris, grant_types, created_at, updated_at)
         SELECT 'z' || i, '', 'none', 'manual', '[]', '[]', i, i FROM n`,
      `oauth_sessions (session_id, client_id, user_id, scope, resource, auth_time)
         SELECT 's' || i, 'z' || i, 'u' || i, '', '[]', 1 FROM n`,
      `oauth_consents (user_id, client_id, scopes, agreed, granted_at, updated_at)
         SELECT 'u' || i, 'z' || i, '[]', '[]', 1, 1 FROM n`,
      `oauth_requests (id, kind, client_id, redirect_uri, scope, resource, code_challenge, prompt, created_at, expires_at)
         SELECT 'r' || i, 'pushed', 'z' || i, '', '', '[]', '', '', 1, 9e15 FROM n`,
      `oauth_codes (hash, client_id, user_id, redirect_uri, scope, resource, code_challenge, aal, amr, auth_time, created_at, expires_at)
         SELECT 'h' || i, 'z' || i, 'u' || i, '', '', '[]', '', 'aal1', '[]', 1, 1, 9e15 FROM n`,
    ].map((sql) => env.DB.prepare(sql.replace(/^(\w+)/, `${many} INSERT INTO leanto_auth_$1`))),
  )
  return { users, provider, ask, session, client, open }
}

type Asked = [path: string, ask?: Ask & { service?: true }]

interface Row {
  name: string
  status?: number
  /** Makes what the call needs; what to ask then. */
  ask: (world: World) => Promise<Asked>
  /** Trips, statements, rows read, rows written. */
  cost: [number, number, number, number]
}

const owner = ({ session }: World) => ({ token: session.access_token })
const posted = (path: string, client: Json, fields: object): Asked => [
  `/oauth/${path}`,
  { method: 'POST', body: form({ ...credentials(client), ...fields }), headers: formed },
]
const exchanging = (client: Json, code: string): Asked =>
  posted('token', client, { grant_type: 'authorization_code', code, code_verifier: verifier })
const refreshing = (client: Json, token: string): Asked =>
  posted('token', client, { grant_type: 'refresh_token', refresh_token: token })
const looked = async (world: World, fields: object = {}) => {
  const id = await begin(world.ask, world.client, fields)
  await expectStatus(await look(world, id), 200)
  return id
}
const all = '/admin/oauth/clients'
const one = ({ client }: World) => `${all}/${client.client_id}`
const asked = async (client: Json, fields: object = {}) =>
  Object.fromEntries(new URLSearchParams(await authorizeQuery(client, fields as never)))
const pushed = async ({ ask }: World, client: Json) => {
  const [path, more] = posted('par', client, await asked(client))
  return (await expectStatus(await ask(`/auth/v1${path}`, more), 201)).request_uri as string
}

const table: Row[] = [
  {
    name: 'GET /oauth/authorize',
    status: 303,
    ask: async ({ client }) => [`/oauth/authorize?${await authorizeQuery(client)}`],
    cost: [2, 3, 2, 4],
  },
  {
    name: 'POST /oauth/authorize',
    status: 303,
    ask: async ({ client }) => [
      '/oauth/authorize',
      { method: 'POST', body: await authorizeQuery(client), headers: formed },
    ],
    cost: [2, 3, 2, 4],
  },
  {
    name: 'GET /oauth/authorize, wrong',
    status: 303,
    ask: async ({ client }) => [`/oauth/authorize?${await authorizeQuery(client, { scope: 'x' })}`],
    cost: [1, 2, 2, 2],
  },
  {
    name: 'GET /oauth/authorize, pushed',
    status: 303,
    ask: async (world) => {
      const { client_id } = world.client
      const request_uri = await pushed(world, world.client)
      return [`/oauth/authorize?${form({ client_id, request_uri })}`]
    },
    cost: [1, 3, 5, 4],
  },
  {
    name: 'GET /oauth/authorize, silently',
    status: 303,
    ask: async (world) => {
      await granted(world, world.client)
      const query = await authorizeQuery(world.client, { prompt: 'none' })
      return [`/oauth/authorize?${query}`, owner(world)]
    },
    cost: [4, 9, 20, 10],
  },
  {
    name: 'POST /oauth/par',
    status: 201,
    ask: async ({ client }) => posted('par', client, await asked(client)),
    cost: [2, 2, 1, 2],
  },
  {
    name: 'POST /oauth/par, of a public client',
    status: 201,
    ask: async ({ open }) => posted('par', open, await asked(open)),
    cost: [2, 3, 3, 4],
  },
  {
    name: 'GET /oauth/consent',
    ask: async (world) => [
      `/oauth/consent?authorization_id=${await begin(world.ask, world.client)}`,
      owner(world),
    ],
    cost: [1, 3, 8, 1],
  },
  {
    name: 'POST /oauth/consent',
    status: 303,
    ask: async (world) => [
      '/oauth/consent',
      {
        method: 'POST',
        body: form({ authorization_id: await looked(world), answer: 'allow' }),
        ...owner(world),
        headers: { ...formed, origin: site },
      },
    ],
    cost: [2, 6, 16, 6],
  },
  {
    name: 'GET /oauth/authorizations/:authorization_id',
    ask: async (world) => [
      `/oauth/authorizations/${await begin(world.ask, world.client)}`,
      owner(world),
    ],
    cost: [1, 3, 8, 1],
  },
  {
    name: 'GET /oauth/authorizations/:authorization_id, agreed before',
    ask: async (world) => {
      await granted(world, world.client)
      return [`/oauth/authorizations/${await begin(world.ask, world.client)}`, owner(world)]
    },
    cost: [2, 6, 18, 6],
  },
  {
    name: 'POST /oauth/authorizations/:authorization_id/consent',
    ask: async (world) => [
      `/oauth/authorizations/${await looked(world)}/consent`,
      { body: { action: 'approve' }, ...owner(world) },
    ],
    cost: [2, 6, 16, 6],
  },
  {
    name: 'POST /oauth/authorizations/:authorization_id/consent, denied',
    ask: async (world) => [
      `/oauth/authorizations/${await looked(world)}/consent`,
      { body: { action: 'deny' }, ...owner(world) },
    ],
    cost: [2, 4, 9, 1],
  },
  {
    name: 'POST /oauth/token, a code',
    ask: async (world) => exchanging(world.client, await codeFor(world, world.client)),
    cost: [2, 8, 15, 8],
  },
  {
    name: 'POST /oauth/token, no code',
    status: 400,
    ask: async (world) => exchanging(world.client, 'x'),
    cost: [2, 8, 1, 0],
  },
  {
    name: 'POST /oauth/token, a code again',
    status: 400,
    ask: async (world) => {
      const again = exchanging(world.client, await codeFor(world, world.client))
      await expectStatus(await world.ask(`/auth/v1${again[0]}`, again[1]), 200)
      return again
    },
    cost: [2, 8, 7, 1],
  },
  {
    name: 'POST /oauth/token, no client',
    status: 401,
    ask: async () => exchanging({ client_id: crypto.randomUUID(), client_secret: 'x' }, 'x'),
    cost: [1, 1, 0, 0],
  },
  {
    name: 'POST /oauth/token, a refresh',
    ask: async (world) => refreshing(world.open, (await granted(world, world.open)).refresh_token),
    cost: [2, 6, 18, 4],
  },
  {
    name: 'POST /oauth/token, a refresh again',
    status: 400,
    ask: async (world) => {
      const { refresh_token } = await granted(world, world.open)
      await refreshed(world.ask, world.open, refresh_token)
      clock.advance(60)
      return refreshing(world.open, refresh_token)
    },
    cost: [2, 6, 11, 1],
  },
  {
    name: 'POST /oauth/token, a machine',
    ask: async ({ ask }) => {
      const more = { grant_types: ['client_credentials'], redirect_uris: undefined }
      return posted('token', await makeClient(ask, more), { grant_type: 'client_credentials' })
    },
    cost: [1, 1, 1, 0],
  },
  {
    name: 'POST /oauth/revoke',
    ask: async (world) => {
      const { refresh_token: token } = await granted(world, world.client)
      return posted('revoke', world.client, { token })
    },
    cost: [2, 2, 5, 1],
  },
  {
    name: 'POST /oauth/introspect',
    ask: async (world) => {
      const { access_token: token } = await granted(world, world.client)
      return posted('introspect', world.client, { token })
    },
    cost: [2, 2, 5, 0],
  },
  ...(['GET', 'POST'] as const).map(
    (method): Row => ({
      name: `${method} /oauth/userinfo`,
      ask: async (world) => {
        const { access_token: token } = await granted(world, world.client)
        return ['/oauth/userinfo', { method, token }]
      },
      cost: [1, 1, 4, 0],
    }),
  ),
  {
    name: 'GET /user/oauth/grants',
    ask: async (world) => {
      await granted(world, world.client)
      return ['/user/oauth/grants', owner(world)]
    },
    cost: [1, 2, 8, 0],
  },
  {
    name: 'DELETE /user/oauth/grants',
    status: 204,
    ask: async (world) => {
      await granted(world, world.client)
      const path = `/user/oauth/grants?client_id=${world.client.client_id}`
      return [path, { method: 'DELETE', ...owner(world) }]
    },
    cost: [1, 5, 21, 4],
  },
  {
    name: 'POST /oauth/clients/register',
    status: 201,
    ask: async () => ['/oauth/clients/register', { body: { redirect_uris: [redirectUri] } }],
    cost: [1, 2, 2, 4],
  },
  { name: `GET ${all}`, ask: async () => [all, { service: true }], cost: [1, 2, 552, 0] },
  {
    name: `POST ${all}`,
    status: 201,
    ask: async () => [
      all,
      { body: { client_name: 'x', redirect_uris: [redirectUri] }, service: true },
    ],
    cost: [1, 1, 0, 2],
  },
  {
    name: `GET ${all}/:client_id`,
    ask: async (world) => [one(world), { service: true }],
    cost: [1, 1, 1, 0],
  },
  {
    name: `PUT ${all}/:client_id`,
    ask: async (world) => [
      one(world),
      { method: 'PUT', body: { client_name: 'y' }, service: true },
    ],
    cost: [2, 2, 3, 1],
  },
  {
    name: `DELETE ${all}/:client_id`,
    status: 204,
    ask: async (world) => {
      await granted(world, world.client)
      return [one(world), { method: 'DELETE', service: true }]
    },
    cost: [1, 4, 11, 4],
  },
  {
    name: `POST ${all}/:client_id/regenerate_secret`,
    ask: async (world) => [`${one(world)}/regenerate_secret`, { method: 'POST', service: true }],
    cost: [1, 2, 2, 1],
  },
  {
    name: 'GET /.well-known/oauth-authorization-server',
    ask: async () => ['/.well-known/oauth-authorization-server'],
    cost: [0, 0, 0, 0],
  },
]

async function measured({ status = 200, ask }: Row, world: World) {
  const [path, { service, headers: more, ...asked } = {}] = await ask(world)
  const headers: Record<string, string> = service
    ? { apikey: (await apiKeys(testSecret)).secret, ...more }
    : { ...more }
  const { response, cost } = await measurer(base, world.users)(path, { ...asked, headers })
  expect(response.status, await response.clone().text()).toBe(status)
  return [cost.trips, cost.statements, cost.rowsRead, cost.rowsWritten]
}

it.each(table.map((row) => [row.name, row] as const))('%s', async (_, row) => {
  expect(await measured(row, await costWorld())).toEqual(row.cost)
})

describe('the table', () => {
  it('has at most two trips for every grant', () => {
    const grants = table.filter(({ name }) => name.startsWith('POST /oauth/token'))
    expect(grants.length).toBeGreaterThan(5)
    for (const { cost } of grants) expect(cost[0]).toBeLessThanOrEqual(2)
  })

  it('has every route of the OAuth server', async () => {
    const { users } = await costWorld()
    const routes = users.table.map(({ method, path }) => `${method} ${path}`)
    const ours = routes.filter((route) => route.includes('oauth'))
    const names = new Set(table.map(({ name }) => name.split(',')[0]))
    expect([...names].sort()).toEqual(ours.sort())
  })
})

it('the upkeep reads what has ended, and not what has not', async () => {
  const { users, ask, open } = await costWorld()
  await begin(ask, open)
  clock.advance(700)
  const executionCtx = { waitUntil() {} }
  await users.scheduled(base.scope({ env, executionCtx } as never))
  expect(
    await rows("SELECT id FROM leanto_auth_oauth_requests WHERE kind = 'authorization'"),
  ).toEqual([])
  expect(await rows('SELECT count(*) AS n FROM leanto_auth_oauth_requests')).toEqual([{ n: 500 }])
})
