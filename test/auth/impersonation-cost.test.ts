import { describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  costWorld,
  email,
  expectCost,
  inbox,
  measured,
  type Row,
  type World,
} from './cost-world.ts'
import { part, reason, setRole } from './impersonation-world.ts'
import { member } from './inbox.ts'
import { claimsOf, expectStatus, type Json, password, post, rows, signIn } from './world.ts'

/*
 * What each route of impersonation costs, and what it adds to others: past ones of everyone, and enough that a scan would show.
 */

async function world(): Promise<World> {
  const made = await costWorld(false, [part()])
  const { user } = await member(made.ask, inbox, 'ada@example.com')
  await expectStatus(await setRole(made.ask, user.id, 'admin'), 200)
  const ada = await expectStatus(await signIn(made.ask, 'ada@example.com'), 200)
  await rows(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO leanto_auth_impersonations
    SELECT '0' || i, 'u' || i, 'a' || i, 'x' || i, 'r', 0, NULL, 1, 2, 2 FROM n`)
  clock.advance(1)
  made.made = { ada }
  return made
}

const ada = ({ made }: World) => ({ token: made.ada.access_token as string })
const path = ({ session }: World) => `/admin/users/${session.user.id}/impersonate`
const begin = async (of: World): Promise<Json> => {
  of.made.acted = await expectStatus(await post(of.ask, path(of), { reason }, ada(of)), 200)
}
const acted = ({ made }: World) => ({ token: made.acted.access_token as string })
const idOf = ({ made }: World) => claimsOf(made.acted.access_token).session_id

const table: Row[] = [
  {
    name: 'POST /admin/users/:user_id/impersonate',
    ask: (of) => [path(of), { body: { reason }, ...ada(of) }],
    cost: [2, 7, 22, 11],
  },
  {
    name: 'POST /admin/users/:user_id/impersonate, by the server',
    ask: (of) => [path(of), { body: { reason, actor: 'bot' }, service: true }],
    cost: [2, 5, 13, 9],
  },
  {
    name: 'POST /admin/users/:user_id/impersonate, by no admin',
    status: 403,
    ask: (of) => [path(of), { body: { reason }, token: of.token }],
    cost: [1, 3, 10, 2],
  },
  // The number of all is counted.
  {
    name: 'GET /admin/impersonations',
    ask: (of) => ['/admin/impersonations?per_page=10', ada(of)],
    cost: [2, 3, 515, 0],
  },
  {
    name: 'GET /admin/impersonations, of one user',
    prepare: begin,
    ask: ({ session }) => [`/admin/impersonations?user_id=${session.user.id}`, { service: true }],
    cost: [1, 2, 3, 0],
  },
  {
    name: 'DELETE /admin/impersonations/:impersonation_id',
    status: 204,
    prepare: begin,
    ask: (of) => [`/admin/impersonations/${idOf(of)}`, { method: 'DELETE', ...ada(of) }],
    cost: [2, 3, 9, 2],
  },
  {
    name: 'POST /impersonation/stop',
    status: 204,
    prepare: begin,
    ask: (of) => ['/impersonation/stop', { method: 'POST', ...acted(of) }],
    cost: [1, 2, 4, 2],
  },
  {
    name: 'POST /token, a refresh of one',
    prepare: begin,
    ask: ({ made }) => [
      '/token?grant_type=refresh_token',
      { body: { refresh_token: made.acted.refresh_token } },
    ],
    cost: [1, 5, 17, 5],
  },
  {
    name: 'PUT /user, refused',
    status: 403,
    prepare: begin,
    ask: (of) => ['/user', { method: 'PUT', body: { data: {} }, ...acted(of) }],
    cost: [0, 0, 0, 0],
  },
]

describe('impersonation costs', () => {
  it.each(table.map((row) => [row.name, row] as const))('%s', async (_, row) => {
    const of = await world()
    await row.prepare?.(of)
    expectCost(await measured(of, row), row.cost)
  })
})

/** What others pay for it: no trip, no statement and no write; rows read. */
const others: [name: string, rowsRead: number, Row['ask']][] = [
  ['a sign-in', 0, () => ['/token?grant_type=password', { body: { email, password } }]],
  [
    'a refresh',
    0,
    ({ session }) => [
      '/token?grant_type=refresh_token',
      { body: { refresh_token: session.refresh_token } },
    ],
  ],
  ['GET /user', 0, (of) => ['/user', { token: of.token }]],
  ['a sign-out', 2, (of) => ['/logout', { method: 'POST', token: of.token }]],
  [
    'a change of what an admin may be known by',
    2,
    ({ session }) => [
      `/admin/users/${session.user.id}`,
      { method: 'PUT', body: { app_metadata: { plan: 'gold' } }, service: true },
    ],
  ],
]

it.each(others)('others pay nothing for it: %s', async (name, rowsRead, ask) => {
  const row = { name, ask, ...(name === 'a sign-out' ? { status: 204 } : {}) }
  const without = await measured(await costWorld(), row as Row)
  const { cost } = await measured(await world(), row as Row)
  expect(cost).toEqual({ ...without.cost, rowsRead: without.cost.rowsRead + rowsRead })
})
