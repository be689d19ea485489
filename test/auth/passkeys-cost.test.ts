import { env } from 'cloudflare:workers'
import { apiKeys } from 'leanto'
import { auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { passkeys } from 'leanto/auth/passkeys'
import { describe, expect, it } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { type Ask, freshDatabase, makeBase, site, testSecret } from '../kit/world.ts'
import { flag, makeAuthenticator } from './authenticator.ts'
import { creation, newPasskey, request, type World } from './passkey-world.ts'
import { expectStatus, type Json, mountAuth, post, rows, signUp } from './world.ts'

/* What each route of passkeys costs, among others' passkeys and flows enough that a scan would show in the rows. */

const base = makeBase()

async function costWorld(): Promise<World> {
  const users = auth(base, { site, with: [passkeys(), mfa(), admin({ audit: false })] })
  await freshDatabase([users])
  const ask = mountAuth(users)
  const session = await signUp(ask, 'ann@example.com')
  const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'
  await env.DB.batch(
    [
      `users (id, email, app_metadata, user_metadata, created_at, updated_at)
         SELECT 'u' || i, 'u' || i || '@example.com', '{}', '{}', 1, 1 FROM n`,
      `passkeys (id, user_id, credential_id, public_key, counter, aaguid, transports,
         backup_eligible, backed_up, name, created_at)
         SELECT 'p' || i, 'u' || i, 'c' || i, '', 0, '', '[]', 0, 0, '', 1 FROM n`,
      `flows (id, kind, created_at, expires_at) SELECT 'w' || i, 'passkey', 1, 9e15 FROM n`,
      `factors (id, user_id, type, name, status, created_at, updated_at)
         SELECT 'f' || i, 'u' || i, 'totp', '', 'verified', 1, 1 FROM n`,
    ].map((sql) => env.DB.prepare(sql.replace(/^(\w+)/, `${many} INSERT INTO leanto_auth_$1`))),
  )
  return { users, ask, session, token: session.access_token, device: makeAuthenticator() }
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

const owner = ({ token }: World) => ({ token })
const factor = async (world: World): Promise<Json> =>
  expectStatus(await post(world.ask, '/factors', { factor_type: 'webauthn' }, owner(world)), 200)
const challenge = async (world: World, id: string): Promise<Json> =>
  expectStatus(await post(world.ask, `/factors/${id}/challenge`, {}, owner(world)), 200)

async function shown(world: World, id: string, token = world.token): Promise<Asked> {
  const challenged = await challenge({ ...world, token }, id)
  const { type, credential_options } = challenged.webauthn
  const options = credential_options.publicKey
  const credential_response =
    type === 'create'
      ? await world.device.create(options, { flags: flag.present | flag.attested })
      : await world.device.get(options, { flags: flag.present })
  const body = { challenge_id: challenged.id, webauthn: { type, credential_response } }
  return [`/factors/${id}/verify`, { body, token }]
}

const table: Row[] = [
  {
    name: 'POST /passkeys/authentication/options',
    ask: async () => ['/passkeys/authentication/options', { body: {} }],
    cost: [1, 2, 2, 4],
  },
  {
    name: 'POST /passkeys/authentication/verify',
    ask: async (world) => {
      await newPasskey(world)
      const { challenge_id, options } = await request(world)
      const credential = await world.device.get(options)
      return ['/passkeys/authentication/verify', { body: { challenge_id, credential } }]
    },
    cost: [2, 7, 15, 8],
  },
  {
    name: 'POST /passkeys/authentication/verify, wrong',
    status: 400,
    ask: async (world) => {
      await newPasskey(world)
      const { challenge_id, options } = await request(world)
      const credential = await world.device.get(options, { origin: 'https://evil.example' })
      return ['/passkeys/authentication/verify', { body: { challenge_id, credential } }]
    },
    cost: [1, 2, 4, 1],
  },
  {
    name: 'POST /passkeys/authentication/verify, no credential at all',
    status: 400,
    ask: async () => {
      const body = { challenge_id: crypto.randomUUID(), credential: {} }
      return ['/passkeys/authentication/verify', { body }]
    },
    cost: [0, 0, 0, 0],
  },
  {
    name: 'POST /passkeys/registration/options',
    ask: async (world) => {
      await newPasskey(world)
      return ['/passkeys/registration/options', { body: {}, ...owner(world) }]
    },
    cost: [1, 4, 10, 4],
  },
  {
    name: 'POST /passkeys/registration/verify',
    ask: async (world) => {
      const { challenge_id, options } = await creation(world)
      const credential = await world.device.create(options)
      const body = { challenge_id, credential }
      return ['/passkeys/registration/verify', { body, ...owner(world) }]
    },
    cost: [2, 5, 13, 4],
  },
  {
    name: 'GET /passkeys',
    ask: async (world) => {
      await newPasskey(world)
      return ['/passkeys', owner(world)]
    },
    cost: [1, 2, 6, 0],
  },
  {
    name: 'PATCH /passkeys/:passkey_id',
    ask: async (world) => {
      const { id } = await newPasskey(world)
      const body = { friendly_name: 'Phone' }
      return [`/passkeys/${id}`, { method: 'PATCH', body, ...owner(world) }]
    },
    cost: [1, 2, 8, 1],
  },
  {
    name: 'DELETE /passkeys/:passkey_id',
    status: 204,
    ask: async (world) => {
      const { id } = await newPasskey(world)
      return [`/passkeys/${id}`, { method: 'DELETE', ...owner(world) }]
    },
    cost: [2, 2, 8, 1],
  },
  {
    name: 'GET /admin/users/:user_id/passkeys',
    ask: async (world) => {
      await newPasskey(world)
      return [`/admin/users/${world.session.user.id}/passkeys`, { service: true }]
    },
    cost: [1, 2, 3, 0],
  },
  {
    name: 'DELETE /admin/users/:user_id/passkeys/:passkey_id',
    status: 204,
    ask: async (world) => {
      const { id } = await newPasskey(world)
      const path = `/admin/users/${world.session.user.id}/passkeys/${id}`
      return [path, { method: 'DELETE', service: true }]
    },
    cost: [1, 2, 3, 1],
  },
  {
    name: 'a security key is enrolled',
    ask: async (world) => ['/factors', { body: { factor_type: 'webauthn' }, ...owner(world) }],
    cost: [1, 4, 7, 2],
  },
  {
    name: 'a security key is challenged',
    ask: async (world) => {
      const { id } = await factor(world)
      return [`/factors/${id}/challenge`, { body: {}, ...owner(world) }]
    },
    cost: [1, 4, 12, 3],
  },
  {
    name: 'a security key is verified, the first time',
    ask: async (world) => shown(world, (await factor(world)).id),
    cost: [2, 17, 45, 16],
  },
  {
    name: 'a security key is verified',
    ask: async (world) => {
      const { id } = await factor(world)
      const [path, asked] = await shown(world, id)
      const session = await expectStatus(
        await world.ask(`/auth/v1${path}`, { method: 'POST', ...asked }),
        200,
      )
      return shown(world, id, session.access_token)
    },
    cost: [2, 17, 44, 16],
  },
]

async function measured({ status = 200, ask }: Row, world: World) {
  const [path, { service, ...asked } = {}] = await ask(world)
  const headers: Record<string, string> = service
    ? { apikey: (await apiKeys(testSecret)).secret }
    : {}
  const { response, cost } = await measurer(base, world.users)(path, { ...asked, headers })
  expect(response.status, await response.clone().text()).toBe(status)
  return [cost.trips, cost.statements, cost.rowsRead, cost.rowsWritten]
}

it.each(table.map((row) => [row.name, row] as const))('%s', async (_, row) => {
  expect(await measured(row, await costWorld())).toEqual(row.cost)
})

describe('the table', () => {
  it('signs in by three trips, over two requests', () => {
    const trips = (name: string) => table.find((row) => row.name === name)?.cost[0] ?? Number.NaN
    const options = trips('POST /passkeys/authentication/options')
    expect(options + trips('POST /passkeys/authentication/verify')).toBe(3)
  })

  it('has every route of passkeys', async () => {
    const { users } = await costWorld()
    const routes = users.table.map(({ method, path }) => `${method} ${path}`)
    const ours = routes.filter((route) => route.includes('passkeys'))
    const names = table.map(({ name }) => name).filter((name) => ours.includes(name))
    expect(names.sort()).toEqual(ours.sort())
  })
})

it('what has ended is removed by the upkeep', async () => {
  const { users } = await costWorld()
  await rows('UPDATE leanto_auth_flows SET expires_at = 1')
  const executionCtx = { waitUntil() {}, passThroughOnException() {} }
  await users.scheduled(base.scope({ env, executionCtx } as never))
  expect(await rows('SELECT * FROM leanto_auth_flows')).toEqual([])
})
