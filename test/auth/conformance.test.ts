import { env } from 'cloudflare:workers'
import { type AuthOptions, auth } from 'leanto/auth'
import { conforms, type World } from '../kit/conformance.ts'
import type { Ask, Env } from '../kit/world.ts'
import { clock, makeBase, mount, site } from '../kit/world.ts'
import { claimsOf, password } from './world.ts'

const mountAt = '/auth/v1'
const ann = { email: 'ann@example.com', password }
const bob = { email: 'bob@example.com', password }

const post =
  (path: string, body: unknown, more: Ask = {}) =>
  (world: Pick<World, 'ask'>) =>
    world.ask(mountAt + path, { method: 'POST', body, ...more })
const get =
  (path: string, more: Ask = {}) =>
  (world: World) =>
    world.ask(mountAt + path, more)
const put = (body: unknown) => (world: World) =>
  world.ask(`${mountAt}/user`, { method: 'PUT', body, token: world.tokens.owner })
const grant = (kind: string, body: unknown) => post(`/token?grant_type=${kind}`, body)

/** The same, after something was done to the tables. */
const after = (sql: string, ask: (world: World) => Promise<Response>) => async (world: World) => {
  await env.DB.prepare(sql).run()
  return ask(world)
}

/** Asks a module with other options. */
const having =
  (options: Partial<AuthOptions<Env>>, ask: (world: Pick<World, 'ask'>) => Promise<Response>) =>
  async () =>
    ask({ ask: mount({ [mountAt]: auth(makeBase(), { site, ...options }) }) })

const refreshed = (world: World) =>
  grant('refresh_token', { refresh_token: world.made.refresh })(world)

conforms('auth', {
  make: (base) => auth(base, { site }),
  mount: mountAt,
  migrations: { '0001_accounts': 'xTD4RIvD-JkT8aCQZ7ipyaajyWqZh9rD5k-21dIq2Mc' },
  async prepare(world) {
    for (const [caller, body] of [
      ['owner', ann],
      ['stranger', bob],
    ] as const) {
      const session = (await (await post('/signup', body)(world)).json()) as Record<string, string>
      world.tokens[caller] = session.access_token
      world.made[caller === 'owner' ? 'refresh' : 'other'] = session.refresh_token as string
    }
  },
  matrix: [
    {
      route: 'POST /signup',
      ask: () => ({ path: '/signup', method: 'POST', body: { ...ann, email: 'eve@example.com' } }),
      answers: { guest: 200, owner: 200, stranger: 200, service: 200 },
    },
    {
      route: 'POST /token',
      ask: () => ({ path: '/token?grant_type=password', method: 'POST', body: ann }),
      answers: { guest: 200, owner: 200, stranger: 200, service: 200 },
    },
    {
      route: 'GET /user',
      ask: () => ({ path: '/user' }),
      answers: { guest: 401, owner: 200, stranger: 200, service: 401 },
    },
    {
      route: 'PUT /user',
      ask: () => ({ path: '/user', method: 'PUT', body: { data: { a: 1 } } }),
      answers: { guest: 401, owner: 200, stranger: 200, service: 401 },
    },
    {
      route: 'POST /logout',
      ask: () => ({ path: '/logout', method: 'POST' }),
      answers: { guest: 401, owner: 204, stranger: 204, service: 401 },
    },
    ...['/settings', '/health', '/.well-known/jwks.json', '/.well-known/openid-configuration'].map(
      (path) => ({
        route: `GET ${path}`,
        ask: () => ({ path }),
        answers: { guest: 200, owner: 200, stranger: 200, service: 200 },
      }),
    ),
  ],
  faults: {
    anonymous_provider_disabled: post('/signup', {}),
    bad_jwt: get('/user', { token: 'no.such.token' }),
    // Someone changes the same user each time first: played by a trigger that lets no update through.
    conflict: after(
      'CREATE TRIGGER rival BEFORE UPDATE ON leanto_auth_users BEGIN SELECT RAISE(IGNORE); END',
      put({ data: { a: 1 } }),
    ),
    email_exists: async () => {
      const users = auth(makeBase(), { site })
      const fault = await users.createUser(makeBase().scope({ env }), ann).catch((error) => error)
      return Response.json({ code: fault.code }, { status: fault.status })
    },
    invalid_credentials: grant('password', { ...ann, password: 'wrong' }),
    no_authorization: get('/user'),
    not_admin: put({ app_metadata: { admin: true } }),
    phone_provider_disabled: post('/signup', { phone: '+100', password }),
    refresh_token_already_used: async (world) => {
      await refreshed(world)
      clock.advance(60)
      return refreshed(world)
    },
    refresh_token_not_found: grant('refresh_token', { refresh_token: 'x' }),
    same_password: put({ password }),
    session_expired: async (world) => {
      clock.advance(91 * 86_400)
      return refreshed(world)
    },
    session_not_found: after('DELETE FROM leanto_auth_sessions', (world) =>
      get('/user', { token: world.tokens.owner })(world),
    ),
    signup_disabled: having({ signUp: false }, post('/signup', ann)),
    user_already_exists: post('/signup', ann),
    user_banned: after('UPDATE leanto_auth_users SET banned_until = 9e15', grant('password', ann)),
    user_not_found: async (world) => {
      await env.DB.prepare('DELETE FROM leanto_auth_users WHERE id = ?')
        .bind(claimsOf(world.tokens.owner as string).sub)
        .run()
      return get('/user', { token: world.tokens.owner })(world)
    },
    validation_failed: grant('password', { email: ['a'] }),
    weak_password: post('/signup', { email: 'eve@example.com', password: 'short' }),
  },
})
