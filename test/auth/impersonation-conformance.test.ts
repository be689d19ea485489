import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import type { Base } from 'leanto'
import { auth } from 'leanto/auth'
import { conforms, type Row, type World } from '../kit/conformance.ts'
import { asker, type Env, makeBase, site } from '../kit/world.ts'
import {
  baseFaults,
  baseMatrix,
  baseMigrations,
  everyone,
  idOf,
  type Meet,
  mountAt,
  type Options,
  ok,
  own,
  prepare,
  reaching,
  users,
} from './conformance-world.ts'
import { part } from './impersonation-world.ts'
import { claimsOf } from './world.ts'

const make = (base: Base<Env>, options: Options) => auth(base, { site, with: [part()], ...options })

const reason = 'Ticket 4711'
const startAt = (id: string) => `/admin/users/${id}/impersonate`
/** The owner, who is an admin, acts for the stranger. */
const begun = async (world: World, more: object = {}): Promise<string> => {
  const path = startAt(idOf(world.tokens.stranger))
  return (await ok(own(path, { body: { reason, ...more } })(world))).access_token
}

const matrix: Row[] = [
  {
    route: 'POST /admin/users/:user_id/impersonate',
    ask: ({ tokens }) => ({
      path: startAt(idOf(tokens.stranger)),
      method: 'POST',
      body: { reason },
    }),
    // The server has to say in whose name.
    answers: { guest: 401, owner: 200, stranger: 403, service: 400 },
  },
  {
    route: 'GET /admin/impersonations',
    ask: () => ({ path: '/admin/impersonations' }),
    answers: { guest: 401, owner: 200, stranger: 403, service: 200 },
  },
  {
    route: 'DELETE /admin/impersonations/:impersonation_id',
    ask: async (world) => ({
      path: `/admin/impersonations/${claimsOf(await begun(world)).session_id}`,
      method: 'DELETE',
    }),
    answers: { guest: 401, owner: 204, stranger: 403, service: 204 },
  },
  {
    route: 'POST /impersonation/stop',
    ask: () => ({ path: '/impersonation/stop', method: 'POST', body: {} }),
    answers: users(400),
  },
]

const faults: Record<string, Meet> = {
  impersonation_not_allowed: (world) =>
    own(startAt(idOf(world.tokens.owner)), { body: { reason } })(world),
  // At another module or a route of the host's.
  impersonation_read_only: async (world) => {
    const token = await begun(world, { readonly: true })
    const { signedIn } = make(makeBase(), reaching)
    const app = new Hono().post('/buy', signedIn, (c) => c.text('bought', 200))
    return asker(app)('/buy', { method: 'POST', token })
  },
}

conforms('auth', {
  make: (base) => make(base, reaching),
  mount: mountAt,
  migrations: {
    ...baseMigrations,
    '0010_impersonations': 'biYVbshiwMlGIi7wuKvOZ3nxBv7oYUQ0AMrcpnFVfHU',
  },
  async prepare(world) {
    await prepare(world)
    await env.DB.prepare(
      `UPDATE leanto_auth_users SET app_metadata = json_set(app_metadata, '$.role', 'admin')
       WHERE id = ?`,
    )
      .bind(idOf(world.tokens.owner))
      .run()
  },
  matrix: [
    ...baseMatrix,
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
