import { env } from 'cloudflare:workers'
import { apiKeys } from 'leanto'
import { type Auth, auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { organizations } from 'leanto/auth/organizations'
import { describe, expect, it } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { type Ask, clock, freshDatabase, makeBase, site, testSecret } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { type Person, type Staffed, staffed, type World } from './organizations-world.ts'
import { type Json, mountAuth, password, signUp } from './world.ts'

/* What each route of organisations costs, among others' enough that a scan would show in the rows. */

const base = makeBase()
const inbox = makeInbox()

const make = (part: boolean): Auth =>
  auth(base, {
    site,
    mailer: inbox.mailer,
    autoconfirm: true,
    limits: { signUps: false },
    with: [...(part ? [organizations()] : []), admin({ audit: false })],
  })

const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'

interface Costly extends World, Staffed {
  team: string
  invitation: string
}

async function costWorld(): Promise<Costly> {
  const users = make(true)
  await freshDatabase([users])
  const ask = mountAuth(users)
  const person = async (name: string): Promise<Person> => {
    const email = `${name}@example.com`
    // Ids sort by time, and rows are read by where an id stands among the others.
    clock.advance(1)
    const session = await signUp(ask, email)
    return { id: session.user.id, email, token: session.access_token, session }
  }
  const world = { users, ask, person, orgs: organizations() as never }
  const staff = await staffed(world)
  const { owner, stranger, member, one } = staff
  const post = async (path: string, body: object): Promise<Json> =>
    (await ask(`/auth/v1${one}${path}`, { body, token: owner.token })).json()
  const team = (await post('/teams', { name: 'Red' })).id
  await post(`/teams/${team}/members`, { user_id: member.id })
  const invitation = (await post('/invitations', { email: stranger.email })).id
  await env.DB.batch(
    [
      `users (id, email, app_metadata, user_metadata, created_at, updated_at)
         SELECT 'u' || i, 'u' || i || '@example.com', '{}', '{}', 1, 1 FROM n`,
      `organizations SELECT 'o' || i, 'O', NULL, '{}', '{}', 1, 1 FROM n`,
      `members SELECT 'o' || i, 'u' || i, 'owner', 1, 1 FROM n`,
      `teams SELECT 't' || i, 'o' || i, 'T', 1, 1 FROM n`,
      `team_members SELECT 't' || i, 'u' || i, 'o' || i, 1 FROM n`,
      `invitations SELECT 'i' || i, 'o' || i, 'x' || i, 'member', '[]', 'h' || i, 'u' || i, 1, 9e15 FROM n`,
      `active_organizations SELECT 's' || i, 'o' || i FROM n`,
    ].map((sql) => env.DB.prepare(sql.replace(/^(\w+)/, `${many} INSERT INTO leanto_auth_$1`))),
  )
  return { ...world, ...staff, team, invitation }
}

type Asked = [path: string, ask?: Ask & { by?: keyof Staffed; service?: true }]

interface Row {
  name: string
  status?: number
  ask: (world: Costly) => Asked
  /** Trips, statements, rows read, rows written. */
  cost: [number, number, number, number]
}

const one = '/organizations/:organization_id'
const table: Row[] = [
  {
    name: 'GET /organizations',
    ask: () => ['/organizations'],
    cost: [1, 3, 8, 0],
  },
  {
    name: 'POST /organizations',
    ask: () => ['/organizations', { body: { name: 'B', slug: 'b' } }],
    cost: [1, 4, 10, 5],
  },
  {
    name: 'POST /organizations/active',
    ask: ({ organization: { id } }) => ['/organizations/active', { body: { organization_id: id } }],
    cost: [1, 7, 42, 6],
  },
  { name: `GET ${one}`, ask: (world) => [world.one], cost: [1, 2, 4, 0] },
  {
    name: `PATCH ${one}`,
    ask: (world) => [world.one, { method: 'PATCH', body: { name: 'B' } }],
    cost: [1, 3, 12, 2],
  },
  {
    name: `DELETE ${one}`,
    status: 204,
    ask: (world) => [world.one, { method: 'DELETE' }],
    cost: [1, 6, 28, 7],
  },
  {
    name: `POST ${one}/leave`,
    status: 204,
    ask: (world) => [`${world.one}/leave`, { method: 'POST', by: 'member' }],
    cost: [1, 4, 13, 2],
  },
  {
    name: `POST ${one}/transfer`,
    ask: (world) => [`${world.one}/transfer`, { body: { user_id: world.admin.id } }],
    cost: [1, 4, 22, 5],
  },
  { name: `GET ${one}/members`, ask: (world) => [`${world.one}/members`], cost: [1, 3, 14, 0] },
  {
    name: `PATCH ${one}/members/:user_id`,
    ask: (world) => [
      `${world.one}/members/${world.member.id}`,
      { method: 'PATCH', body: { role: 'admin' } },
    ],
    cost: [1, 3, 14, 2],
  },
  {
    name: `DELETE ${one}/members/:user_id`,
    status: 204,
    ask: (world) => [`${world.one}/members/${world.member.id}`, { method: 'DELETE' }],
    cost: [1, 4, 17, 2],
  },
  {
    name: `GET ${one}/invitations`,
    ask: (world) => [`${world.one}/invitations`],
    cost: [1, 3, 7, 0],
  },
  {
    name: `POST ${one}/invitations`,
    ask: (world) => [`${world.one}/invitations`, { body: { email: 'new@example.com' } }],
    cost: [2, 8, 33, 13],
  },
  {
    name: `POST ${one}/invitations/:invitation_id/resend`,
    ask: (world) => [`${world.one}/invitations/${world.invitation}/resend`, { method: 'POST' }],
    cost: [2, 8, 31, 11],
  },
  {
    name: `DELETE ${one}/invitations/:invitation_id`,
    status: 204,
    ask: (world) => [`${world.one}/invitations/${world.invitation}`, { method: 'DELETE' }],
    cost: [1, 2, 12, 1],
  },
  { name: `GET ${one}/teams`, ask: (world) => [`${world.one}/teams`], cost: [1, 3, 7, 0] },
  {
    name: `POST ${one}/teams`,
    ask: (world) => [`${world.one}/teams`, { body: { name: 'Blue' } }],
    cost: [1, 3, 15, 2],
  },
  {
    name: `PATCH ${one}/teams/:team_id`,
    ask: (world) => [`${world.one}/teams/${world.team}`, { method: 'PATCH', body: { name: 'B' } }],
    cost: [1, 3, 12, 2],
  },
  {
    name: `DELETE ${one}/teams/:team_id`,
    status: 204,
    ask: (world) => [`${world.one}/teams/${world.team}`, { method: 'DELETE' }],
    cost: [1, 3, 15, 2],
  },
  {
    name: `GET ${one}/teams/:team_id/members`,
    ask: (world) => [`${world.one}/teams/${world.team}/members`],
    cost: [1, 4, 10, 0],
  },
  {
    name: `POST ${one}/teams/:team_id/members`,
    ask: (world) => [
      `${world.one}/teams/${world.team}/members`,
      { body: { user_id: world.admin.id } },
    ],
    cost: [1, 4, 17, 2],
  },
  {
    name: `DELETE ${one}/teams/:team_id/members/:user_id`,
    status: 204,
    ask: (world) => [
      `${world.one}/teams/${world.team}/members/${world.member.id}`,
      { method: 'DELETE' },
    ],
    cost: [1, 4, 15, 1],
  },
  { name: 'GET /invitations', ask: () => ['/invitations', { by: 'stranger' }], cost: [1, 2, 7, 0] },
  {
    name: 'POST /invitations/:invitation_id/accept',
    ask: ({ invitation }) => [
      `/invitations/${invitation}/accept`,
      { method: 'POST', by: 'stranger' },
    ],
    cost: [1, 6, 40, 3],
  },
  {
    name: 'POST /invitations/:invitation_id/decline',
    status: 204,
    ask: ({ invitation }) => [
      `/invitations/${invitation}/decline`,
      { method: 'POST', by: 'stranger' },
    ],
    cost: [1, 3, 17, 1],
  },
  {
    name: 'POST /invitations/accept',
    status: 404,
    ask: () => ['/invitations/accept', { body: { token: 'x' }, by: 'stranger' }],
    cost: [1, 6, 12, 0],
  },
  {
    name: 'POST /invitations/decline',
    status: 404,
    ask: () => ['/invitations/decline', { body: { token: 'x' }, by: 'stranger' }],
    cost: [1, 3, 6, 0],
  },
  {
    name: 'GET /admin/organizations',
    ask: () => ['/admin/organizations?per_page=2', { service: true }],
    cost: [1, 2, 503, 0],
  },
  {
    name: 'POST /admin/organizations',
    ask: ({ owner }) => [
      '/admin/organizations',
      { body: { name: 'B', owner_id: owner.id }, service: true },
    ],
    cost: [1, 4, 7, 5],
  },
  {
    name: `GET /admin${one}`,
    ask: (world) => [`/admin${world.one}`, { service: true }],
    cost: [1, 2, 2, 0],
  },
  {
    name: `PATCH /admin${one}`,
    ask: (world) => [`/admin${world.one}`, { method: 'PATCH', body: { name: 'B' }, service: true }],
    cost: [1, 3, 3, 2],
  },
  {
    name: `DELETE /admin${one}`,
    status: 204,
    ask: (world) => [`/admin${world.one}`, { method: 'DELETE', service: true }],
    cost: [1, 6, 21, 7],
  },
  {
    name: `GET /admin${one}/members`,
    ask: (world) => [`/admin${world.one}/members`, { service: true }],
    cost: [1, 3, 12, 0],
  },
  {
    name: `PUT /admin${one}/members/:user_id`,
    ask: (world) => [
      `/admin${world.one}/members/${world.stranger.id}`,
      { method: 'PUT', body: { role: 'admin' }, service: true },
    ],
    cost: [1, 4, 12, 2],
  },
  {
    name: `DELETE /admin${one}/members/:user_id`,
    status: 204,
    ask: (world) => [
      `/admin${world.one}/members/${world.member.id}`,
      { method: 'DELETE', service: true },
    ],
    cost: [1, 4, 8, 2],
  },
]

async function ask(world: Pick<Costly, 'users'>, path: string, more: Ask, service = false) {
  const headers: Record<string, string> = service
    ? { apikey: (await apiKeys(testSecret)).secret }
    : {}
  const { response, cost } = await measurer(base, world.users)(path, { ...more, headers })
  return { response, cost: [cost.trips, cost.statements, cost.rowsRead, cost.rowsWritten] }
}

it.each(table.map((row) => [row.name, row] as const))('%s', async (_, row) => {
  const world = await costWorld()
  const [path, { by = 'owner', service, ...asked } = {}] = row.ask(world)
  const token = (world[by] as Person).token
  const { response, cost } = await ask(
    world,
    path,
    { ...(service ? {} : { token }), ...asked },
    service,
  )
  expect(response.status, await response.clone().text()).toBe(row.status ?? 200)
  expect(cost).toEqual(row.cost)
})

it('the table has every route', () => {
  const routes = make(true).table.map(({ method, path }) => `${method} ${path}`)
  const before = new Set(make(false).table.map(({ method, path }) => `${method} ${path}`))
  expect(table.map(({ name }) => name).sort()).toEqual(
    routes.filter((route) => !before.has(route)).sort(),
  )
})

describe('a session', () => {
  const signIn = (email: string) => ({ body: { email, password } })
  const costs = async (users: Auth, email: string, refreshToken: string) => [
    (await ask({ users }, '/token?grant_type=password', signIn(email))).cost,
    (
      await ask({ users }, '/token?grant_type=refresh_token', {
        body: { refresh_token: refreshToken },
      })
    ).cost,
  ]

  it('that knows its organisations costs no trip and no statement more, and few rows', async () => {
    const plain = make(false)
    await freshDatabase([plain])
    const session = await signUp(mountAuth(plain), 'member@example.com')
    const without = await costs(plain, 'member@example.com', session.refresh_token)
    const world = await costWorld()
    const member = await costs(
      world.users,
      'member@example.com',
      world.member.session.refresh_token,
    )
    const stranger = await costs(
      world.users,
      'stranger@example.com',
      world.stranger.session.refresh_token,
    )
    const more = (all: number[][]) =>
      all.map((cost, i) => cost.map((n, at) => n - (without[i]?.[at] ?? 0)))
    // The row that is written is of the index by which a session's tokens end when another organisation is made active.
    expect(more(stranger)).toEqual([
      [0, 0, 0, 1],
      [0, 0, 0, 1],
    ])
    expect(more(member)).toEqual([
      [0, 0, 5, 1],
      [0, 0, 5, 1],
    ])
  })
})
