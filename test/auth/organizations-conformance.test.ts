import { env } from 'cloudflare:workers'
import type { Base } from 'leanto'
import { auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { organizations } from 'leanto/auth/organizations'
import { scim } from 'leanto/auth/scim'
import { hash } from '../../src/core/secret.ts'
import { conforms, type Row, type World } from '../kit/conformance.ts'
import { type Env, makeBase, site } from '../kit/world.ts'
import {
  ann,
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
  unknown,
  users,
} from './conformance-world.ts'
import { password } from './world.ts'

/* With the part `admin` mounted, whose own routes are in `conformance-parts.test.ts`. */

const make = (base: Base<Env>, options: Options) =>
  auth(base, {
    site,
    with: [
      organizations({ limits: { teams: 1, organizations: 3 } }),
      scim(),
      admin({ audit: false }),
    ],
    ...options,
  })

const service = { key: 'secret' } as const
const nobody = (status: number): Row['answers'] => ({
  guest: 401,
  owner: 403,
  stranger: 403,
  service: status,
})

/** The owner's organisation, with a team; the stranger is in none. */
async function organized(world: World) {
  const { id } = await ok(own('/organizations', { body: { name: 'Acme' } })(world))
  const team = await ok(own(`/organizations/${id}/teams`, { body: { name: 'Red' } })(world))
  return { one: `/organizations/${id}`, id, team: `/organizations/${id}/teams/${team.id}` }
}
const asService = (world: World, path: string, ask: object): Promise<Response> =>
  world.ask(mountAt + path, { ...service, ...ask })
const strangerId = (world: World) => idOf(world.tokens.stranger)

/** The same, with the stranger in it. */
async function joined(world: World) {
  const made = await organized(world)
  const path = `/admin${made.one}/members/${strangerId(world)}`
  await ok(asService(world, path, { method: 'PUT', body: {} }))
  return made
}
/** The same, where the stranger is invited. */
async function invited(world: World) {
  const made = await organized(world)
  const body = { email: 'bob@example.com' }
  const { id } = await ok(own(`${made.one}/invitations`, { body })(world))
  return { ...made, invitation: id as string }
}

type Made = Awaited<ReturnType<typeof organized>> & { invitation?: string; world: World }

const row = (
  method: string,
  path: string,
  answers: Row['answers'],
  asked: (made: Made) => string,
  more: { given?: (world: World) => Promise<object>; body?: (made: Made) => object } = {},
): Row => ({
  route: `${method} ${path}`,
  ask: async (world) => {
    const made = { ...(await (more.given ?? organized)(world)), world } as Made
    const body = more.body?.(made)
    return { path: asked(made), method, ...(body ? { body } : {}) }
  },
  answers,
})

const one = '/organizations/:organization_id'
const hidden = (status: number) => users(status, 404)

const matrix: Row[] = [
  row('GET', '/organizations', users(200), () => '/organizations'),
  row('POST', '/organizations', users(200), () => '/organizations', {
    body: () => ({ name: 'Ajax' }),
  }),
  row('POST', '/organizations/active', hidden(200), () => '/organizations/active', {
    body: ({ id }) => ({ organization_id: id }),
  }),
  row('GET', one, hidden(200), (made) => made.one),
  row('PATCH', one, hidden(200), (made) => made.one, { body: () => ({ name: 'Ajax' }) }),
  row('DELETE', one, hidden(204), (made) => made.one),
  row('POST', `${one}/leave`, users(422, 204), (made) => `${made.one}/leave`, { given: joined }),
  row('POST', `${one}/transfer`, users(200, 400), (made) => `${made.one}/transfer`, {
    given: joined,
    body: ({ world }) => ({ user_id: strangerId(world) }),
  }),
  row('GET', `${one}/members`, hidden(200), (made) => `${made.one}/members`),
  row(
    'PATCH',
    `${one}/members/:user_id`,
    users(200, 403),
    (made) => `${made.one}/members/${strangerId(made.world)}`,
    { given: joined, body: () => ({ role: 'admin' }) },
  ),
  row(
    'DELETE',
    `${one}/members/:user_id`,
    users(204),
    (made) => `${made.one}/members/${strangerId(made.world)}`,
    { given: joined },
  ),
  row('GET', `${one}/invitations`, hidden(200), (made) => `${made.one}/invitations`),
  row('POST', `${one}/invitations`, hidden(200), (made) => `${made.one}/invitations`, {
    body: () => ({ email: 'new@example.com' }),
  }),
  row(
    'POST',
    `${one}/invitations/:invitation_id/resend`,
    hidden(200),
    (made) => `${made.one}/invitations/${made.invitation}/resend`,
    { given: invited },
  ),
  row(
    'DELETE',
    `${one}/invitations/:invitation_id`,
    hidden(204),
    (made) => `${made.one}/invitations/${made.invitation}`,
    { given: invited },
  ),
  row('GET', `${one}/teams`, hidden(200), (made) => `${made.one}/teams`),
  {
    route: `POST ${one}/teams`,
    ask: async (world) => {
      const { id } = await ok(own('/organizations', { body: { name: 'Acme' } })(world))
      return { path: `/organizations/${id}/teams`, method: 'POST', body: { name: 'Red' } }
    },
    answers: hidden(200),
  },
  row('PATCH', `${one}/teams/:team_id`, hidden(200), (made) => made.team, {
    body: () => ({ name: 'Blue' }),
  }),
  row('DELETE', `${one}/teams/:team_id`, hidden(204), (made) => made.team),
  row('GET', `${one}/teams/:team_id/members`, hidden(200), (made) => `${made.team}/members`),
  row('POST', `${one}/teams/:team_id/members`, users(200, 403), (made) => `${made.team}/members`, {
    given: joined,
    body: ({ world }) => ({ user_id: strangerId(world) }),
  }),
  row(
    'DELETE',
    `${one}/teams/:team_id/members/:user_id`,
    users(204, 403),
    (made) => `${made.team}/members/${strangerId(made.world)}`,
    {
      given: async (world) => {
        const made = await joined(world)
        const body = { user_id: strangerId(world) }
        await ok(own(`${made.team}/members`, { body })(world))
        return made
      },
    },
  ),
  row('GET', '/invitations', users(200), () => '/invitations'),
  ...['accept', 'decline'].flatMap((verb): Row[] => {
    const answers = users(404, verb === 'accept' ? 200 : 204)
    return [
      row(
        'POST',
        `/invitations/:invitation_id/${verb}`,
        answers,
        (made) => `/invitations/${made.invitation}/${verb}`,
        { given: invited },
      ),
      row('POST', `/invitations/${verb}`, users(404), () => `/invitations/${verb}`, {
        given: invited,
        body: () => ({ token: 'no such token' }),
      }),
    ]
  }),
  row('GET', `${one}/scim-tokens`, hidden(200), (made) => `${made.one}/scim-tokens`),
  row('POST', `${one}/scim-tokens`, hidden(200), (made) => `${made.one}/scim-tokens`, {
    body: () => ({ name: 'Entra' }),
  }),
  row(
    'DELETE',
    `${one}/scim-tokens/:token_id`,
    hidden(204),
    (made) => `${made.one}/scim-tokens/${made.invitation}`,
    {
      given: async (world) => {
        const made = await organized(world)
        const { id } = await ok(own(`${made.one}/scim-tokens`, { body: { name: 'x' } })(world))
        return { ...made, invitation: id }
      },
    },
  ),
  // What a directory may is its token's alone; what it may do by that is in `scim.test.ts`.
  ...['Users', 'Groups'].flatMap((kind): Row[] => {
    const path = `/scim/v2/${kind}`
    const all = [
      ['GET', path],
      ['POST', path],
      ...['GET', 'PUT', 'PATCH', 'DELETE'].map((method) => [method, `${path}/:id`]),
    ] as [string, string][]
    return all.map(([method, at]) => ({
      route: `${method} ${at}`,
      ask: () => ({
        path: at.replace(':id', unknown),
        method,
        ...(/P/.test(method) ? { body: {} } : {}),
      }),
      answers: everyone(401),
    }))
  }),
  ...['ServiceProviderConfig', 'ResourceTypes', 'Schemas', 'ResourceTypes/:id', 'Schemas/:id'].map(
    (name): Row => ({
      route: `GET /scim/v2/${name}`,
      ask: () => ({ path: `/scim/v2/${name}` }),
      answers: everyone(name.endsWith(':id') ? 404 : 200),
    }),
  ),
  row('GET', '/admin/organizations', nobody(200), () => '/admin/organizations'),
  row('POST', '/admin/organizations', nobody(200), () => '/admin/organizations', {
    body: ({ world }) => ({ name: 'Ajax', owner_id: strangerId(world) }),
  }),
  row('GET', `/admin${one}`, nobody(200), (made) => `/admin${made.one}`),
  row('PATCH', `/admin${one}`, nobody(200), (made) => `/admin${made.one}`, {
    body: () => ({ app_metadata: { plan: 'gold' } }),
  }),
  row('DELETE', `/admin${one}`, nobody(204), (made) => `/admin${made.one}`),
  row('GET', `/admin${one}/members`, nobody(200), (made) => `/admin${made.one}/members`),
  row(
    'PUT',
    `/admin${one}/members/:user_id`,
    nobody(200),
    (made) => `/admin${made.one}/members/${strangerId(made.world)}`,
    { body: () => ({ role: 'admin' }) },
  ),
  row(
    'DELETE',
    `/admin${one}/members/:user_id`,
    nobody(204),
    (made) => `/admin${made.one}/members/${strangerId(made.world)}`,
    { given: joined },
  ),
]

/** Those of `admin`, which has its own suite: here it is enough that they are the server's. */
const adminMatrix: Row[] = make(makeBase(), reaching)
  .table.map(({ method, path }) => ({ method, path, route: `${method} ${path}` }))
  .filter(
    ({ route, path }) =>
      (path.startsWith('/admin/') || path === '/invite') &&
      ![...matrix, ...baseMatrix].some((one) => one.route === route),
  )
  .map(({ method, path, route }) => {
    const gone = method === 'GET' && path === '/admin/users'
    const status = gone ? 200 : path.includes(':') ? 404 : 400
    return {
      route,
      ask: () => ({
        path: path.replace(/:\w+/g, unknown),
        method,
        ...(method === 'GET' ? {} : { body: {} }),
      }),
      answers: nobody(status),
    }
  })

const faults: Record<string, Meet> = {
  invitation_address: async (world) => {
    // Found by its token, as if it were the one that was mailed.
    await invited(world)
    await env.DB.prepare('UPDATE leanto_auth_invitations SET hash = ?')
      .bind(await hash('known'))
      .run()
    return own('/invitations/accept', { body: { token: 'known' } })(world)
  },
  invitation_not_found: own(`/invitations/${unknown}/accept`, { method: 'POST' }),
  organization_forbidden: async (world) => {
    const { one: path } = await joined(world)
    return world.ask(mountAt + path, { method: 'DELETE', token: world.tokens.stranger })
  },
  organization_last_owner: async (world) => {
    const { one: path } = await organized(world)
    return own(`${path}/leave`, { method: 'POST' })(world)
  },
  organization_limit: async (world) => {
    const { one: path } = await organized(world)
    return own(`${path}/teams`, { body: { name: 'Blue' } })(world)
  },
  organization_member_exists: async (world) => {
    const { one: path } = await organized(world)
    return own(`${path}/invitations`, { body: { email: ann.email } })(world)
  },
  organization_member_not_found: async (world) => {
    const { one: path } = await organized(world)
    return own(`${path}/members/${unknown}`, { method: 'DELETE' })(world)
  },
  organization_not_found: own(`/organizations/${unknown}`),
  organization_slug_taken: async (world) => {
    const body = { name: 'Acme', slug: 'acme' }
    await ok(own('/organizations', { body })(world))
    return own('/organizations', { body })(world)
  },
  organization_team_exists: async (world) => {
    const { one: path } = await organized(world)
    return own(`${path}/teams`, { body: { name: 'Red' } })(world)
  },
  organization_team_not_found: async (world) => {
    const { one: path } = await organized(world)
    return own(`${path}/teams/${unknown}`, { method: 'DELETE' })(world)
  },
  phone_exists: async (world) => {
    const body = { phone: '15550100123', password }
    return asService(world, '/admin/users', { method: 'POST', body })
  },
}

conforms('auth', {
  make: (base) => make(base, reaching),
  mount: mountAt,
  migrations: {
    ...baseMigrations,
    '0010_organizations': 'GO_65-fmUKva7QpmdYcwE-FtMcpxpz56zENO7dwagSo',
    '0011_scim': 'vAl6wVwGhmQ3IpogHdo7_rDgkrYNBFwT8YVcWs3o5uM',
  },
  prepare,
  matrix: [
    ...baseMatrix.filter(({ route }) => !adminMatrix.some((one) => one.route === route)),
    ...matrix,
    ...adminMatrix,
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
