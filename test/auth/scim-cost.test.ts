import { env } from 'cloudflare:workers'
import { auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { organizations } from 'leanto/auth/organizations'
import { scim } from 'leanto/auth/scim'
import { expect, it } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { type Person, staffed, type World } from './organizations-world.ts'
import { mayFor, newToken, patchOp, person } from './scim-world.ts'
import { expectStatus, type Json, mountAuth, password, signUp } from './world.ts'

/* What a directory's calls cost, among others' people and groups enough that a scan would show in the rows. */

const base = makeBase()
const make = (directory: boolean) =>
  auth(base, {
    site,
    autoconfirm: true,
    limits: { signUps: false },
    with: [organizations(), ...(directory ? [scim()] : []), admin({ audit: false })],
  })
const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'

async function costWorld(directory = true) {
  const users = make(directory)
  await freshDatabase([users])
  const ask = mountAuth(users)
  const known = new Map<string, Person>()
  const someone = async (name: string): Promise<Person> => {
    const found = known.get(name)
    if (found) return found
    clock.advance(1)
    const email = `${name}@example.com`
    const session = await signUp(ask, email)
    const made = { id: session.user.id, email, token: session.access_token, session }
    known.set(name, made)
    return made
  }
  const world: World = { users, ask, person: someone, orgs: organizations() as never }
  const staff = await staffed(world)
  return { ...world, ...staff }
}

async function scimWorld() {
  const world = await costWorld()
  await mayFor(world, world.one, ['example.com'])
  const headers = { authorization: `Bearer ${await newToken(world, world.owner, world.one)}` }
  const send = async (path: string, body: object): Promise<Json> => {
    clock.advance(1)
    return expectStatus(await world.ask(`/auth/v1/scim/v2${path}`, { body, headers }), 201)
  }
  const user = (await send('/Users', person('stranger@example.com'))).id
  const group = (await send('/Groups', { displayName: 'Red', members: [{ value: user }] })).id
  await env.DB.batch(
    [
      `organizations SELECT 'o' || i, 'O', NULL, '{}', '{}', 1, 1 FROM n`,
      `teams SELECT 't' || i, 'o' || i, 'T', 1, 1 FROM n`,
      `scim_users SELECT 's' || i, 'o' || i, 'n' || i, 'e' || i, 'n' || i || '@example.com', '{}', 1, NULL, 1, 1, 1 FROM n`,
      `scim_groups SELECT 't' || i, 'o' || i, 'e' || i FROM n`,
      `scim_group_members SELECT 't' || i, 's' || i FROM n`,
      `scim_tokens SELECT 'h' || i, 'k' || i, 'o' || i, 'n', 'x', 1, 9e15 FROM n`,
    ].map((sql) => env.DB.prepare(sql.replace(/^(\w+)/, `${many} INSERT INTO leanto_auth_$1`))),
  )
  return { ...world, headers, user, group }
}

type Costly = Awaited<ReturnType<typeof scimWorld>>

const filter = (text: string) => `?filter=${encodeURIComponent(text)}`
const patch = (...Operations: object[]) => ({ schemas: [patchOp], Operations })

const table: [
  name: string,
  ask: (world: Costly) => [string, string, object?],
  status: number,
  cost: [trips: number, statements: number, read: number, written: number],
][] = [
  ['GET Users', () => ['GET', '/Users'], 200, [2, 3, 11, 0]],
  [
    'GET Users by name',
    () => ['GET', `/Users${filter('userName eq "stranger@example.com"')}`],
    200,
    [2, 3, 8, 0],
  ],
  ['POST Users', () => ['POST', '/Users', person('new@example.com')], 201, [2, 7, 14, 7]],
  ['GET a user', ({ user }) => ['GET', `/Users/${user}`], 200, [2, 2, 7, 0]],
  [
    'PUT a user',
    ({ user }) => ['PUT', `/Users/${user}`, person('stranger@example.com')],
    200,
    [3, 8, 19, 4],
  ],
  [
    'PATCH a user off',
    ({ user }) => [
      'PATCH',
      `/Users/${user}`,
      patch({ op: 'replace', path: 'active', value: false }),
    ],
    200,
    [3, 9, 29, 8],
  ],
  ['DELETE a user', ({ user }) => ['DELETE', `/Users/${user}`], 204, [3, 8, 25, 6]],
  ['GET Groups', () => ['GET', '/Groups'], 200, [2, 3, 12, 0]],
  [
    'POST Groups',
    ({ user }) => ['POST', '/Groups', { displayName: 'B', members: [{ value: user }] }],
    201,
    [3, 10, 27, 7],
  ],
  ['GET a group', ({ group }) => ['GET', `/Groups/${group}`], 200, [2, 2, 7, 0]],
  [
    'PUT a group',
    ({ group }) => ['PUT', `/Groups/${group}`, { displayName: 'B', members: [] }],
    200,
    [3, 11, 27, 5],
  ],
  [
    'PATCH a group',
    ({ group, user }) => [
      'PATCH',
      `/Groups/${group}`,
      patch({ op: 'remove', path: `members[value eq "${user}"]` }),
    ],
    200,
    [3, 10, 28, 4],
  ],
  ['DELETE a group', ({ group }) => ['DELETE', `/Groups/${group}`], 204, [2, 5, 10, 4]],
]

it.each(table)('%s', async (_, ask, status, cost) => {
  const world = await scimWorld()
  const [method, path, body] = ask(world)
  const { headers } = world
  const asked = { method, headers, ...(body ? { body } : {}) }
  const { response, cost: spent } = await measurer(base, world.users)(`/scim/v2${path}`, asked)
  expect(response.status, await response.clone().text()).toBe(status)
  expect([spent.trips, spent.statements, spent.rowsRead, spent.rowsWritten]).toEqual(cost)
})

it('a sign-in costs no trip more, and three statements', async () => {
  const signIn = { body: { email: 'stranger@example.com', password } }
  const costs = []
  for (const directory of [false, true]) {
    const { users } = await costWorld(directory)
    const { cost } = await measurer(base, users)('/token?grant_type=password', signIn)
    costs.push(cost)
  }
  const [without, more] = costs
  expect(more?.trips).toBe(without?.trips)
  expect((more?.statements ?? 0) - (without?.statements ?? 0)).toBe(3)
  expect(more?.rowsWritten).toBe(without?.rowsWritten)
  expect((more?.rowsRead ?? 0) - (without?.rowsRead ?? 0)).toBe(9)
})
