import { describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import { costWorld, expectCost, measured, type Row, type World } from './cost-world.ts'
import { enroll, withFactor } from './mfa-world.ts'
import { expectStatus, post, rows } from './world.ts'

/* The admin API and API keys: each route. */

const service = { service: true } as const
const user =
  (path = '') =>
  ({ session }: World) =>
    `/admin/users/${session.user.id}${path}`
const key = async (world: World) => {
  const body = { type: 'secret', name: 'CI' }
  world.made = await expectStatus(
    await post(world.ask, '/admin/api-keys', body, { key: 'secret' }),
    200,
  )
}

const table: Row[] = [
  {
    name: 'GET /admin/users',
    ask: () => ['/admin/users?page=2&per_page=10', service],
    cost: [1, 2, 1573, 0],
  },
  {
    name: 'POST /admin/users',
    ask: () => ['/admin/users', { body: { email: 'eve@example.com' }, ...service }],
    cost: [1, 4, 6, 6],
  },
  {
    name: 'POST /admin/users, an address that is taken',
    ask: () => ['/admin/users', { body: { email: 'u1@example.com' }, ...service }],
    status: 422,
    cost: [2, 5, 1, 0],
  },
  {
    name: 'GET /admin/users/:user_id',
    ask: (world) => [user()(world), service],
    cost: [1, 1, 4, 0],
  },
  {
    name: 'PUT /admin/users/:user_id, metadata',
    ask: (world) => [
      user()(world),
      { method: 'PUT', body: { app_metadata: { plan: 'gold' } }, ...service },
    ],
    cost: [2, 4, 10, 3],
  },
  {
    name: 'PUT /admin/users/:user_id, a ban',
    ask: (world) => [user()(world), { method: 'PUT', body: { ban_duration: '24h' }, ...service }],
    cost: [2, 5, 14, 4],
  },
  {
    name: 'PUT /admin/users/:user_id, an address',
    ask: (world) => [
      user()(world),
      { method: 'PUT', body: { email: 'anna@example.com' }, ...service },
    ],
    cost: [2, 6, 13, 3],
  },
  {
    name: 'DELETE /admin/users/:user_id',
    ask: (world) => [user()(world), { method: 'DELETE', ...service }],
    cost: [1, 6, 8, 3],
  },
  {
    name: 'DELETE /admin/users/:user_id, softly',
    ask: (world) => [
      user()(world),
      { method: 'DELETE', body: { should_soft_delete: true }, ...service },
    ],
    cost: [1, 6, 8, 5],
  },
  {
    name: 'POST /admin/users/:user_id/logout',
    ask: (world) => [user('/logout')(world), { method: 'POST', ...service }],
    status: 204,
    cost: [1, 2, 3, 1],
  },
  {
    name: 'POST /invite',
    ask: () => ['/invite', { body: { email: 'eve@example.com' }, ...service }],
    cost: [2, 7, 11, 13],
  },
  ...(
    [
      ['signup', [2, 6, 10, 11]],
      ['invite', [2, 6, 10, 11]],
      ['magiclink', [2, 4, 12, 5]],
      ['recovery', [2, 4, 12, 5]],
      ['email_change_new', [2, 4, 12, 5]],
    ] as const
  ).map(
    ([type, cost]): Row => ({
      name: `POST /admin/generate_link, ${type}`,
      ask: () => [
        '/admin/generate_link',
        {
          body: {
            type,
            email: ['signup', 'invite'].includes(type) ? 'eve@example.com' : 'ann@example.com',
            password: 'a good passphrase',
            new_email: 'anna@example.com',
          },
          ...service,
        },
      ],
      cost: [...cost],
    }),
  ),
  {
    name: 'GET /admin/users/:user_id/factors',
    prepare: (world) => enroll(world.ask, world.token),
    ask: (world) => [user('/factors')(world), service],
    cost: [1, 1, 6, 0],
  },
  {
    name: 'DELETE /admin/users/:user_id/factors/:factor_id',
    prepare: async (world) => {
      world.made = (await withFactor(world.ask, world.session)).factor
    },
    ask: (world) => [user(`/factors/${world.made.id}`)(world), { method: 'DELETE', ...service }],
    cost: [1, 5, 14, 2],
  },
  {
    name: 'GET /admin/api-keys',
    ask: () => ['/admin/api-keys', service],
    cost: [1, 1, 500, 0],
  },
  {
    name: 'POST /admin/api-keys',
    ask: () => ['/admin/api-keys', { body: { type: 'secret', name: 'CI' }, ...service }],
    cost: [1, 1, 0, 2],
  },
  {
    name: 'DELETE /admin/api-keys/:key_id',
    prepare: key,
    ask: ({ made }) => [`/admin/api-keys/${made.id}`, { method: 'DELETE', ...service }],
    cost: [1, 1, 2, 1],
  },
  {
    name: 'GET /admin/users/:user_id, by an issued key',
    prepare: key,
    ask: (world) => [user()(world), { headers: { apikey: world.made.api_key } }],
    cost: [2, 2, 5, 0],
  },
  {
    name: 'GET /admin/users, by a user',
    ask: ({ token }) => ['/admin/users', { token }],
    status: 403,
    cost: [0, 0, 0, 0],
  },
]

it.each(table.map((row) => [row.name, row] as const))('%s', async (_, row) => {
  const world = await costWorld()
  await row.prepare?.(world)
  expectCost(await measured(world, row), row.cost)
})

it('has every route of the admin API', async () => {
  const { users } = await costWorld({ days: 1 })
  const routes = users.table
    .map(({ method, path }) => `${method} ${path}`)
    .filter((route) =>
      /^\w+ \/(?:admin\/(?:users|api-keys|generate_link|audit)|invite)/.test(route),
    )
    // GoTrue's, and closed here.
    .filter((route) => !route.includes('passkeys'))
  const named = [...table.map(({ name }) => name.split(',')[0]), 'GET /admin/audit']
  expect([...new Set(named)].sort()).toEqual(routes.sort())
})

describe('the audit log', () => {
  it('is one trip after an answer, and one to be read', async () => {
    const world = await costWorld({ days: 30 })
    const create: Row = {
      name: 'POST /admin/users',
      ask: () => ['/admin/users', { body: { email: 'eve@example.com' }, ...service }],
      cost: [2, 5, 6, 7],
    }
    expectCost(await measured(world, create), create.cost)
    const read: Row = {
      name: 'GET /admin/audit',
      ask: () => ['/admin/audit?per_page=10', service],
      cost: [1, 2, 513, 0],
    }
    const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'
    await rows(
      `${many} INSERT INTO leanto_auth_audit SELECT 'a' || i, 'login', NULL, NULL, '{}', ${clock.now()} FROM n`,
    )
    expectCost(await measured(world, read), read.cost)
  })
})
