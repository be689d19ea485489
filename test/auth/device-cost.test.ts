import { env } from 'cloudflare:workers'
import { auth } from 'leanto/auth'
import { oauthServer } from 'leanto/auth/oauth-server'
import { devices } from 'leanto/auth/oauth-server/device'
import { dpop } from 'leanto/auth/oauth-server/dpop'
import { beforeEach, describe, expect, it } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { type Ask, clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { type DeviceWorld, deviceGrant, makeClient, own, scopes, worldOf } from './device-world.ts'
import { makeProver, type Prover } from './dpop-world.ts'
import { authorizeQuery, credentials, form, formed } from './oauth-server-world.ts'
import { expectStatus, type Json, mountAuth, signUp } from './world.ts'

/* What devices and keys cost, among others' enough that a scan would show in the rows. */

const base = makeBase()
let world: DeviceWorld
let key: Prover

beforeEach(async () => {
  const users = auth(base, {
    site,
    with: [oauthServer({ scopes, with: [devices(), dpop()] })],
  }) as DeviceWorld['users']
  await freshDatabase([users])
  const ask = mountAuth(users)
  const session = await signUp(ask, 'ann@example.com')
  const client = await makeClient(ask, {
    grant_types: [deviceGrant, 'refresh_token', 'client_credentials', 'authorization_code'],
    redirect_uris: ['https://client.example/cb'],
    token_endpoint_auth_method: 'client_secret_post',
    scope: 'openid email notes',
  })
  const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'
  await env.DB.batch(
    [
      `oauth_devices (hash, user_code, client_id, scope, resource, every, created_at, expires_at)
         SELECT 'h' || i, 'u' || i, 'z' || i, '', '[]', 5, 1, 9e15 FROM n`,
      `dpop_proofs (period, hash) SELECT ${Math.floor(clock.now() / 600_000)} - i % 2, 'p' || i FROM n`,
      `oauth_consents (user_id, client_id, scopes, agreed, granted_at, updated_at)
         SELECT 'u' || i, 'z' || i, '[]', '[]', 1, 1 FROM n`,
      `oauth_sessions (session_id, client_id, user_id, scope, resource, auth_time)
         SELECT 's' || i, 'z' || i, 'u' || i, '', '[]', 1 FROM n`,
    ].map((sql) => env.DB.prepare(sql.replace(/^(\w+)/, `${many} INSERT INTO leanto_auth_$1`))),
  )
  const secret = { client_secret: client.client_secret }
  const made = worldOf({ users, ask, client, session })
  world = {
    ...made,
    begin: (fields = {}) => made.begin({ ...secret, ...fields }),
    poll: (code, fields = {}, headers = {}) => made.poll(code, { ...secret, ...fields }, headers),
  }
  key = await makeProver()
})

type Asked = readonly [path: string, ask: Ask]
const posted = (path: string, fields: object, headers: object = {}): Asked => [
  `/oauth/${path}`,
  {
    method: 'POST',
    body: form({ ...credentials(world.client), ...fields } as never),
    headers: { ...formed, ...headers },
  },
]
const byUser = (path: string, body: object): Asked => [
  `/oauth/device/${path}`,
  { body, token: world.session.access_token },
]
/** @param at Where the module is; what is measured is at the root. */
const proof = async (path: string, { method = 'POST', token = '', at = '' } = {}) => ({
  dpop: await key.prove(method, `${site}${at}/oauth/${path}`, token || undefined),
})
const mounted = { at: '/auth/v1' }
const claimed = async () => {
  const begun = await world.begin()
  await expectStatus(await world.claim(begun.user_code), 200)
  return begun
}
const approved = async () => {
  const begun = await world.begin()
  await world.approve(begun.user_code)
  return begun
}
const polling = async (begun: Promise<Json>, headers: object = {}) =>
  posted('token', { grant_type: deviceGrant, device_code: (await begun).device_code }, headers)
const tokens = async (headers: object = {}) =>
  expectStatus(await world.poll((await approved()).device_code, {}, headers as never), 200)

interface Row {
  name: string
  status?: number
  ask: () => Promise<Asked>
  /** Trips, statements, rows read, rows written. */
  cost: [number, number, number, number]
}

const table: Row[] = [
  {
    name: 'a device begins',
    ask: async () => posted('device_authorization', { scope: 'openid' }),
    cost: [2, 2, 3, 2],
  },
  {
    name: 'a device of a client without a secret begins',
    ask: async () => {
      const { client_id } = await makeClient(world.ask)
      const body = form({ client_id, scope: 'openid' })
      return ['/oauth/device_authorization', { method: 'POST', headers: formed, body }]
    },
    cost: [2, 3, 5, 4],
  },
  {
    name: 'the page is opened',
    ask: async () => ['/oauth/device', { token: world.session.access_token }],
    cost: [0, 0, 0, 0],
  },
  {
    name: 'a code is claimed',
    ask: async () => byUser('claim', { user_code: (await world.begin()).user_code }),
    cost: [1, 7, 23, 7],
  },
  {
    name: 'a code is claimed on the page',
    ask: async () => [
      '/oauth/device',
      {
        method: 'POST',
        body: form({ user_code: (await world.begin()).user_code }),
        headers: { ...formed, ...own },
        token: world.session.access_token,
      },
    ],
    cost: [1, 7, 23, 7],
  },
  {
    name: 'a wrong code is claimed',
    status: 404,
    ask: async () => byUser('claim', { user_code: 'BBBB-BBBB' }),
    cost: [1, 7, 14, 4],
  },
  {
    name: 'a device is approved',
    ask: async () =>
      byUser('consent', { user_code: (await claimed()).user_code, action: 'approve' }),
    cost: [2, 4, 14, 3],
  },
  {
    name: 'a device is refused',
    ask: async () => byUser('consent', { user_code: (await claimed()).user_code, action: 'deny' }),
    cost: [2, 3, 13, 1],
  },
  {
    name: 'a poll that waits',
    status: 400,
    ask: () => polling(world.begin()),
    cost: [2, 8, 6, 1],
  },
  {
    name: 'a poll that gets tokens',
    ask: () => polling(approved()),
    cost: [2, 8, 15, 8],
  },
  {
    name: 'a poll that gets tokens, by a key',
    ask: async () => polling(approved(), await proof('token')),
    cost: [2, 9, 17, 9],
  },
  {
    name: 'a refresh',
    ask: async () => {
      const { refresh_token } = await tokens()
      return posted('token', { grant_type: 'refresh_token', refresh_token })
    },
    cost: [2, 6, 18, 4],
  },
  {
    name: 'a refresh, by a key',
    ask: async () => {
      const { refresh_token } = await tokens(await proof('token', mounted))
      const fields = { grant_type: 'refresh_token', refresh_token }
      return posted('token', fields, await proof('token'))
    },
    cost: [2, 7, 20, 5],
  },
  {
    name: 'a machine’s token, by a key',
    ask: async () => posted('token', { grant_type: 'client_credentials' }, await proof('token')),
    cost: [1, 2, 3, 1],
  },
  {
    name: 'a machine’s token, by a proof that was used',
    status: 400,
    ask: async () => {
      const asked = posted('token', { grant_type: 'client_credentials' }, await proof('token'))
      const first = await measurer(base, world.users)(...asked)
      expect(first.response.status).toBe(200)
      return asked
    },
    cost: [1, 2, 3, 0],
  },
  {
    name: 'a machine’s token, by a proof that is none',
    status: 400,
    ask: async () => posted('token', { grant_type: 'client_credentials' }, { dpop: 'x' }),
    cost: [0, 0, 0, 0],
  },
  {
    name: 'a pushed request, by a key',
    status: 201,
    ask: async () => {
      const query = new URLSearchParams(await authorizeQuery(world.client))
      return posted('par', Object.fromEntries(query), await proof('par'))
    },
    cost: [2, 3, 3, 3],
  },
  {
    name: 'UserInfo, by a key',
    ask: async () => {
      const { access_token } = await tokens(await proof('token', mounted))
      const { dpop } = await proof('userinfo', { method: 'GET', token: access_token })
      return ['/oauth/userinfo', { headers: { authorization: `DPoP ${access_token}`, dpop } }]
    },
    cost: [2, 2, 6, 1],
  },
]

it.each(table.map((row) => [row.name, row] as const))(
  '%s',
  async (_, { status = 200, ask, cost }) => {
    const [path, asked] = await ask()
    const measured = await measurer(base, world.users)(path, asked)
    expect(measured.response.status, await measured.response.clone().text()).toBe(status)
    const { trips, statements, rowsRead, rowsWritten } = measured.cost
    expect([trips, statements, rowsRead, rowsWritten]).toEqual(cost)
  },
)

describe('the table', () => {
  it('has no token in more than two trips', () => {
    for (const { name, cost } of table)
      if (/token|poll|refresh/.test(name)) expect(cost[0], name).toBeLessThanOrEqual(2)
  })

  it('has every route of devices', () => {
    const routes = world.users.table.filter(({ path }) => path.startsWith('/oauth/device'))
    expect(routes.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /oauth/device_authorization',
      'GET /oauth/device',
      'POST /oauth/device',
      'POST /oauth/device/claim',
      'POST /oauth/device/consent',
    ])
  })
})
