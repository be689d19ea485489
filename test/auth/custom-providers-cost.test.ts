import { env } from 'cloudflare:workers'
import { apiKeys } from 'leanto'
import { auth } from 'leanto/auth'
import { customProviders } from 'leanto/auth/custom-providers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { type Ask, freshDatabase, makeBase, site, testSecret } from '../kit/world.ts'
import { acme, calm, created, depart, idToken, outside, plain, resolve } from './custom-world.ts'
import { comeBack, departed, fake, profile } from './oauth-world.ts'
import { type Asker, type Json, mountAuth, post, signUp } from './world.ts'

/* What sign-in by a stored provider costs, among others' rows enough that a scan would show. */

beforeEach(calm)
afterEach(() => {
  vi.restoreAllMocks()
})

const base = makeBase()
const answers = { it: profile('g', 'other@example.com') }
const bound = { ...acme, domains: ['acme.example', 'acme.test'] }

interface World {
  ask: Asker
  token: string
  users: ReturnType<typeof auth>
  made: Json
}

async function costWorld(): Promise<World> {
  const users = auth(base, { site, with: [customProviders({ resolve }), fake('google', answers)] })
  await freshDatabase([users])
  const ask = mountAuth(users)
  const { access_token: token } = await signUp(ask, 'bob@example.com')
  const made = await created(ask, bound)
  const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'
  await env.DB.batch(
    [
      `users (id, email, app_metadata, user_metadata, created_at, updated_at)
         SELECT 'u' || i, 'u' || i || '@example.com', '{}', '{}', 1, 1 FROM n`,
      `identities (id, provider, subject, user_id, data, created_at, updated_at)
         SELECT 'i' || i, 'google', 'x' || i, 'u' || i, '{}', 1, 1 FROM n`,
      `custom_providers (identifier, id, provider_type, enabled, secret, config, revision,
         created_at, updated_at)
         SELECT 'custom:p' || i, 'p' || i, 'oidc', 1, '', '{}', '', 1, 1 FROM n WHERE i <= 50`,
      `sso_domains (domain, identifier)
         SELECT 'd' || i || '.example', 'custom:p' || (i % 50) FROM n`,
      `flows (id, kind, provider, created_at, expires_at)
         SELECT 'w' || i, 'oauth', 'google', 1, 9e15 FROM n WHERE i <= 100`,
    ].map((sql) => env.DB.prepare(sql.replace(/^(\w+)/, `${many} INSERT INTO leanto_auth_$1`))),
  )
  return { users, ask, token, made }
}

type Asked = [path: string, ask?: Ask & { service?: true }]
interface Row {
  name: string
  status?: number
  ask: (world: World) => Asked | Promise<Asked>
  /** Trips, statements, rows read, rows written. A list for rows read: from, to, beside random hashes. */
  cost: [number, number, number | readonly [number, number], number]
}

const owner = ({ token }: World) => ({ token })
const verifier = 'v'.repeat(43)
const pkce = `&code_challenge=${verifier}&code_challenge_method=plain`
const back = ({ state, cookie }: { state: string; cookie: string }): Asked => [
  `/callback?code=c&state=${state}`,
  { headers: { cookie } },
]
const linkPath = '/user/identities/authorize?provider=custom:acme'
const linking = async (world: World, more = '') => {
  const flow = departed(await world.ask(`/auth/v1${linkPath}${more}`, owner(world)))
  outside.nonce = flow.url.searchParams.get('nonce') ?? undefined
  return flow
}
const exchange = (code: string | null): Asked => [
  '/token?grant_type=pkce',
  { body: { auth_code: code, code_verifier: verifier } },
]
const grant = '/token?grant_type=id_token'
const shown = async (more: object = {}, claims: object = {}) => ({
  body: { provider: 'custom:acme', id_token: await idToken(claims), ...more },
})
const admin = (rest = '', more: Ask = {}): Asked => [
  `/admin/custom-providers${rest}`,
  { ...more, service: true },
]

const table: Row[] = [
  // One trip, as of a provider that the code names: the provider is read, and guards the flow, in it.
  {
    name: 'authorize',
    status: 303,
    ask: () => ['/authorize?provider=custom:acme'],
    cost: [1, 3, 4, 4],
  },
  {
    name: 'authorize, of nobody',
    status: 400,
    ask: () => ['/authorize?provider=custom:nobody'],
    cost: [1, 3, 1, 2],
  },
  {
    name: 'authorize, of a name that cannot be one',
    status: 400,
    ask: () => ['/authorize?provider=nobody'],
    cost: [0, 0, 0, 0],
  },
  // No trip more than of a provider that the code names: one statement where the flow is taken, and a few rows.
  {
    name: 'callback, sign-up',
    status: 303,
    ask: async ({ ask }) => back(await depart(ask)),
    cost: [3, 11, [21, 22], 12],
  },
  {
    name: 'callback, sign-in',
    status: 303,
    ask: async ({ ask }) => {
      await comeBack(ask, await depart(ask), 'c')
      return back(await depart(ask))
    },
    cost: [3, 11, [30, 31], 8],
  },
  {
    name: 'callback, a code',
    status: 303,
    ask: async ({ ask }) => back(await depart(ask, undefined, pkce)),
    cost: [3, 8, [15, 16], 9],
  },
  {
    name: 'callback, of nobody',
    status: 303,
    ask: () => back({ state: 'x'.repeat(22), cookie: '' }),
    cost: [1, 2, 1, 0],
  },
  {
    name: 'PKCE exchange',
    ask: async ({ ask }) => {
      const url = await comeBack(ask, await depart(ask, undefined, pkce), 'c')
      return exchange(url.searchParams.get('code'))
    },
    cost: [1, 7, 14, 7],
  },
  // One more than of a provider that the code names: the token is verified by what is stored.
  {
    name: 'id_token, sign-up',
    ask: async () => [grant, await shown()],
    cost: [3, 10, 14, 11],
  },
  {
    name: 'id_token, sign-in',
    ask: async ({ ask }) => {
      await post(ask, grant, (await shown()).body)
      return [grant, await shown()]
    },
    cost: [3, 10, 23, 7],
  },
  {
    name: 'id_token, a bad one',
    status: 400,
    ask: async () => [grant, await shown({}, { aud: 'another' })],
    cost: [1, 1, 1, 0],
  },
  {
    name: 'id_token, link',
    ask: async (world) => [grant, { ...(await shown({ link_identity: true })), ...owner(world) }],
    cost: [4, 11, 30, 9],
  },
  {
    name: 'linkIdentity',
    status: 303,
    ask: (world) => [linkPath, owner(world)],
    cost: [2, 4, 9, 4],
  },
  {
    name: 'link, callback',
    status: 303,
    ask: async (world) => back(await linking(world)),
    cost: [3, 11, [32, 33], 10],
  },
  {
    name: 'link, exchange of a held code',
    ask: async (world) => {
      const url = await comeBack(world.ask, { ...(await linking(world, pkce)), cookie: '' }, 'c')
      return exchange(url.searchParams.get('code'))
    },
    cost: [2, 12, 31, 10],
  },
  // SSO.
  {
    name: 'sso',
    ask: () => ['/sso', { body: { domain: 'acme.example', skip_http_redirect: true } }],
    cost: [1, 1, 2, 0],
  },
  {
    name: 'sso, by id',
    ask: ({ made }) => ['/sso', { body: { provider_id: made.id, skip_http_redirect: true } }],
    cost: [1, 1, 2, 0],
  },
  {
    name: 'sso, of nobody',
    status: 404,
    ask: () => ['/sso', { body: { domain: 'nobody.example' } }],
    cost: [1, 1, 0, 0],
  },
  // The admin API. What is counted is 51 providers, and what ends is looked for among all flows.
  { name: 'list', ask: () => admin(), cost: [1, 1, 51, 0] },
  { name: 'get', ask: () => admin('/custom:acme'), cost: [1, 1, 1, 0] },
  { name: 'create', status: 201, ask: () => admin('', { body: plain }), cost: [1, 1, 53, 2] },
  {
    name: 'create, with domains',
    status: 201,
    ask: () =>
      admin('', { body: { ...acme, identifier: 'custom:b', domains: ['b.example', 'c.example'] } }),
    cost: [1, 2, 56, 6],
  },
  {
    name: 'create, a name that is taken',
    status: 400,
    ask: () => admin('', { body: acme }),
    cost: [2, 2, 54, 0],
  },
  {
    name: 'update',
    ask: () => admin('/custom:acme', { method: 'PUT', body: { name: 'A' } }),
    cost: [2, 2, 3, 1],
  },
  {
    name: 'update, which ends what is under way',
    ask: () => admin('/custom:acme', { method: 'PUT', body: { enabled: false } }),
    cost: [2, 3, 104, 1],
  },
  {
    name: 'update, of domains',
    ask: () => admin('/custom:acme', { method: 'PUT', body: { domains: ['new.example'] } }),
    cost: [2, 5, 112, 5],
  },
  {
    name: 'delete',
    status: 204,
    ask: () => admin('/custom:acme', { method: 'DELETE' }),
    cost: [1, 3, 105, 3],
  },
]

/** Asks once, with what the part remembers of documents, as most requests find it. */
async function measured({ status = 200, ask }: Row, world: World) {
  await depart(world.ask)
  await env.DB.prepare("DELETE FROM leanto_auth_flows WHERE provider = 'custom:acme'").run()
  const [path, { service, ...asked } = {}] = await ask(world)
  const headers: Record<string, string> = service
    ? { apikey: (await apiKeys(testSecret)).secret }
    : {}
  const { response, cost } = await measurer(base, world.users)(path, {
    ...asked,
    headers: { ...headers, ...asked.headers },
  })
  expect(response.status, await response.clone().text()).toBe(status)
  return [cost.trips, cost.statements, cost.rowsRead, cost.rowsWritten]
}

function expectCost(found: readonly (number | undefined)[], cost: Row['cost']) {
  const [trips, statements, read, written] = cost
  const [least, most] = typeof read === 'number' ? [read, read] : read
  expect([...found.slice(0, 2), found[3]]).toEqual([trips, statements, written])
  expect(found[2]).toBeGreaterThanOrEqual(least)
  expect(found[2]).toBeLessThanOrEqual(most)
}

it.each(table.map((row) => [row.name, row] as const))('%s', async (_, row) => {
  expectCost(await measured(row, await costWorld()), row.cost)
})

describe('who mounts the part', () => {
  it.each([
    ['authorize', [1, 2, 2, 4], 303, () => ['/authorize?provider=google']],
    [
      'callback, sign-up',
      [3, 11, [18, 19], 12],
      303,
      async ({ ask }: World) => {
        const { state, cookie } = await depart(ask, 'google')
        return [`/callback?code=it&state=${state}`, { headers: { cookie } }]
      },
    ],
    [
      'id_token, sign-up',
      [2, 9, 11, 11],
      200,
      () => [grant, { body: { provider: 'google', id_token: 'it' } }],
    ],
  ] as const)(
    'pays no trip more for providers that the code names: %s',
    async (_, cost, status, ask) => {
      const row = { name: '', status, ask: ask as Row['ask'], cost: [...cost] as Row['cost'] }
      expectCost(await measured(row, await costWorld()), row.cost)
    },
  )

  it('asks the provider for its document and keys once, and for tokens each time', async () => {
    const { ask } = await costWorld()
    for (let i = 0; i < 3; i++) await comeBack(ask, await depart(ask), 'c')
    const at = (path: string) => outside.calls.filter((call) => call.endsWith(path)).length
    expect([at('/openid-configuration'), at('/jwks'), at('/token')]).toEqual([1, 1, 3])
  })
})
