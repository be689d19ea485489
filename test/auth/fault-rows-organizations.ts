import { expect } from 'vitest'
import { service } from './fault-steps.ts'
import { type Row, token, type World } from './fault-world.ts'
import { claimsOf, expectStatus, getUser, type Json, post, refresh, rows, signUp } from './world.ts'

/* Organisations: nothing half made, half joined or half gone, and no organisation without an owner. */

const tokenOf = (session: Json) => ({ token: session.access_token })

/** The caller's organisation, with a team, someone in both, and someone who is invited. */
async function organized(world: World) {
  const bob = await signUp(world.ask, 'bob@example.com')
  const eve = await signUp(world.ask, 'eve@example.com')
  const send = async (path: string, body: object): Promise<Json> =>
    expectStatus(await post(world.ask, path, body, token(world)), 200)
  const { id } = await send('/organizations', { name: 'Acme' })
  const one = `/organizations/${id}`
  const team = (await send(`${one}/teams`, { name: 'Red' })).id
  const put = { method: 'PUT', body: { role: 'member' }, ...service }
  await expectStatus(await world.ask(`/auth/v1/admin${one}/members/${bob.user.id}`, put), 200)
  await send(`${one}/teams/${team}/members`, { user_id: bob.user.id })
  const invitation = (await send(`${one}/invitations`, { email: 'eve@example.com' })).id
  const mail = world.inbox.last('eve@example.com').text
  const secret = mail.match(/invitation_token=([\w-]+)/)?.[1]
  world.made = { id, one, team, bob, eve, invitation, secret }
}

const ask =
  (method: string, path: (made: Json) => string, body?: (made: Json) => object): Row['call'] =>
  (world) =>
    world.ask(`/auth/v1${path(world.made)}`, {
      method,
      ...(body ? { body: body(world.made) } : {}),
      ...token(world),
    })

const asServer =
  (method: string, path: (made: Json) => string, body?: (made: Json) => object): Row['call'] =>
  (world) =>
    world.ask(`/auth/v1/admin${path(world.made)}`, {
      method,
      ...(body ? { body: body(world.made) } : {}),
      ...service,
    })

const asEve =
  (path: (made: Json) => string, body: (made: Json) => object = () => ({})): Row['call'] =>
  ({ ask: send, made }) =>
    post(send, path(made), body(made), tokenOf(made.eve))

/** Every organisation has an owner and whatever is in it is of it. */
async function expectOrganized() {
  const none = async (sql: string) => expect(await rows(sql), sql).toEqual([])
  await none(`SELECT id FROM leanto_auth_organizations o WHERE NOT EXISTS (
    SELECT 1 FROM leanto_auth_members m WHERE m.organization_id = o.id AND m.role = 'owner')`)
  for (const table of ['members', 'teams', 'team_members', 'invitations'])
    await none(`SELECT * FROM leanto_auth_${table} WHERE organization_id NOT IN (
      SELECT id FROM leanto_auth_organizations)`)
  await none(`SELECT * FROM leanto_auth_team_members t WHERE NOT EXISTS (
    SELECT 1 FROM leanto_auth_members m
    WHERE m.organization_id = t.organization_id AND m.user_id = t.user_id)`)
}

const joined = async ({ made }: World) => {
  await expectOrganized()
  const sql = 'SELECT role FROM leanto_auth_members WHERE user_id = ?'
  expect(await rows(sql, made.eve.user.id)).toEqual([{ role: 'member' }])
  expect(await rows('SELECT * FROM leanto_auth_invitations')).toEqual([])
}

const at =
  (path = '') =>
  ({ one }: Json): string =>
    one + path
const bobs = ({ bob }: Json) => ({ user_id: bob.user.id })

const row = (name: string, call: Row['call'], more: Partial<Row> = {}): Row => ({
  name,
  prepare: organized,
  call,
  end: expectOrganized,
  ...more,
})

const one = '/organizations/:id'

export const organizationRows: Row[] = [
  row(
    'GET /organizations',
    ask('GET', () => '/organizations'),
  ),
  row(
    'POST /organizations',
    ask(
      'POST',
      () => '/organizations',
      () => ({ name: 'Ajax' }),
    ),
  ),
  row(
    'POST /organizations/active',
    ask(
      'POST',
      () => '/organizations/active',
      ({ id }) => ({ organization_id: id }),
    ),
    {
      // A lost answer took the refresh token along, but not the access token, by which it is asked again.
      end: async ({ ask: send, session, made }) => {
        expect((await getUser(send, session.access_token)).status).toBe(200)
        const again = await post(
          send,
          '/organizations/active',
          { organization_id: made.id },
          tokenOf(session),
        )
        const { refresh_token } = await expectStatus(again, 200)
        const next = await expectStatus(await refresh(send, refresh_token), 200)
        expect(claimsOf(next.access_token).org.id).toBe(made.id)
      },
    },
  ),
  row(`GET ${one}`, ask('GET', at())),
  row(
    `PATCH ${one}`,
    ask('PATCH', at(), () => ({ name: 'B', metadata: { a: 1 } })),
  ),
  row(`DELETE ${one}`, ask('DELETE', at()), { answers: [204, 404] }),
  row(
    `POST ${one}/leave`,
    ({ ask: send, made }) => post(send, `${made.one}/leave`, {}, tokenOf(made.bob)),
    { answers: [204, 404] },
  ),
  row(`POST ${one}/transfer`, ask('POST', at('/transfer'), bobs), { answers: [200, 403] }),
  row(`GET ${one}/members`, ask('GET', at('/members'))),
  row(
    `PATCH ${one}/members/:id`,
    ask(
      'PATCH',
      ({ one, bob }) => `${one}/members/${bob.user.id}`,
      () => ({ role: 'admin' }),
    ),
  ),
  row(
    `DELETE ${one}/members/:id`,
    ask('DELETE', ({ one, bob }) => `${one}/members/${bob.user.id}`),
    { answers: [204, 404] },
  ),
  row(`GET ${one}/invitations`, ask('GET', at('/invitations'))),
  row(
    `POST ${one}/invitations`,
    ask('POST', at('/invitations'), () => ({ email: 'new@example.com' })),
  ),
  row(
    `POST ${one}/invitations/:id/resend`,
    ask('POST', ({ one, invitation }) => `${one}/invitations/${invitation}/resend`),
  ),
  row(
    `DELETE ${one}/invitations/:id`,
    ask('DELETE', ({ one, invitation }) => `${one}/invitations/${invitation}`),
    { answers: [204, 404] },
  ),
  row(`GET ${one}/teams`, ask('GET', at('/teams'))),
  row(
    `POST ${one}/teams`,
    ask('POST', at('/teams'), () => ({ name: 'Blue' })),
    {
      answers: [200, 422],
    },
  ),
  row(
    `PATCH ${one}/teams/:id`,
    ask(
      'PATCH',
      ({ one, team }) => `${one}/teams/${team}`,
      () => ({ name: 'Blue' }),
    ),
  ),
  row(
    `DELETE ${one}/teams/:id`,
    ask('DELETE', ({ one, team }) => `${one}/teams/${team}`),
    {
      answers: [204, 404],
    },
  ),
  row(
    `GET ${one}/teams/:id/members`,
    ask('GET', ({ one, team }) => `${one}/teams/${team}/members`),
  ),
  row(
    `POST ${one}/teams/:id/members`,
    ask('POST', ({ one, team }) => `${one}/teams/${team}/members`, bobs),
  ),
  row(
    `DELETE ${one}/teams/:id/members/:id`,
    ask('DELETE', ({ one, team, bob }) => `${one}/teams/${team}/members/${bob.user.id}`),
    { answers: [204, 404] },
  ),
  row('GET /invitations', ({ ask: send, made }) => send('/auth/v1/invitations', tokenOf(made.eve))),
  row(
    'POST /invitations/accept',
    asEve(
      () => '/invitations/accept',
      ({ secret }) => ({ token: secret }),
    ),
    {
      answers: [200, 404],
      end: joined,
    },
  ),
  row(
    'POST /invitations/:id/accept',
    asEve(({ invitation }) => `/invitations/${invitation}/accept`),
    {
      answers: [200, 404],
      end: joined,
    },
  ),
  row(
    'POST /invitations/decline',
    asEve(
      () => '/invitations/decline',
      ({ secret }) => ({ token: secret }),
    ),
    { answers: [204, 404] },
  ),
  row(
    'POST /invitations/:id/decline',
    asEve(({ invitation }) => `/invitations/${invitation}/decline`),
    { answers: [204, 404] },
  ),
  row(
    'GET /admin/organizations',
    asServer('GET', () => '/organizations'),
  ),
  row(
    'POST /admin/organizations',
    asServer(
      'POST',
      () => '/organizations',
      ({ bob }) => ({ name: 'B', owner_id: bob.user.id }),
    ),
  ),
  row(`GET /admin${one}`, asServer('GET', at())),
  row(
    `PATCH /admin${one}`,
    asServer('PATCH', at(), () => ({ app_metadata: { plan: 'gold' } })),
  ),
  row(`DELETE /admin${one}`, asServer('DELETE', at()), { answers: [204, 404] }),
  row(`GET /admin${one}/members`, asServer('GET', at('/members'))),
  row(
    `PUT /admin${one}/members/:id`,
    asServer(
      'PUT',
      ({ one, eve }) => `${one}/members/${eve.user.id}`,
      () => ({ role: 'admin' }),
    ),
  ),
  row(
    `DELETE /admin${one}/members/:id`,
    asServer('DELETE', ({ one, bob }) => `${one}/members/${bob.user.id}`),
    { answers: [204, 404] },
  ),
  {
    name: 'DELETE /admin/users/:id, the owner of an organisation',
    prepare: organized,
    call: ({ ask: send, session }) =>
      send(`/auth/v1/admin/users/${session.user.id}`, { method: 'DELETE', body: {}, ...service }),
    answers: [200, 404],
    end: async ({ made }) => {
      expect(await rows('SELECT user_id FROM leanto_auth_members')).toEqual([
        { user_id: made.bob.user.id },
      ])
    },
  },
]
