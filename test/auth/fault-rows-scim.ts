import { expect } from 'vitest'
import { service } from './fault-steps.ts'
import { type Row, token, type World } from './fault-world.ts'
import { patchOp, person, urn } from './scim-world.ts'
import { expectStatus, type Json, post, rows, signUp } from './world.ts'

/* A directory: whoever is in it and has an account is a member, in the teams that it says, or is not. */

async function directed(world: World) {
  const bob = await signUp(world.ask, 'bob@example.com')
  const { id } = await expectStatus(
    await post(world.ask, '/organizations', { name: 'Acme' }, token(world)),
    200,
  )
  const one = `/organizations/${id}`
  const body = { app_metadata: { domains: ['example.com'] } }
  await world.ask(`/auth/v1/admin${one}`, { method: 'PATCH', body, ...service })
  const made = await expectStatus(
    await post(world.ask, `${one}/scim-tokens`, { name: 'Entra' }, token(world)),
    200,
  )
  world.made = { one, bob, token: made.token, tokenId: made.id }
  const send = async (path: string, sent: object): Promise<Json> =>
    expectStatus(
      await scim(
        'POST',
        () => path,
        () => sent,
      )(world),
      201,
    )
  const user = await send('/Users', person('bob@example.com'))
  const group = await send('/Groups', { displayName: 'Red', members: [{ value: user.id }] })
  Object.assign(world.made, { user: user.id, group: group.id })
}

const scim =
  (method: string, path: (made: Json) => string, body?: (made: Json) => object): Row['call'] =>
  ({ ask, made }) =>
    ask(`/auth/v1/scim/v2${path(made)}`, {
      method,
      headers: { authorization: `Bearer ${made.token}` },
      ...(body ? { body: body(made) } : {}),
    })

const whole = async () => {
  const none = async (sql: string) => expect(await rows(sql), sql).toEqual([])
  // Linked and active, or neither; and in a team as long as in its group.
  await none(`SELECT su.id FROM leanto_auth_scim_users su WHERE su.user_id IS NOT NULL
    AND (su.active = 0 OR NOT EXISTS (SELECT 1 FROM leanto_auth_members m
      WHERE m.organization_id = su.organization_id AND m.user_id = su.user_id))`)
  await none(`SELECT * FROM leanto_auth_team_members t WHERE NOT EXISTS (
    SELECT 1 FROM leanto_auth_scim_group_members g
    JOIN leanto_auth_scim_users su ON su.id = g.scim_user_id AND su.user_id = t.user_id
    WHERE g.team_id = t.team_id)`)
  await none(`SELECT * FROM leanto_auth_scim_group_members
    WHERE scim_user_id NOT IN (SELECT id FROM leanto_auth_scim_users)
      OR team_id NOT IN (SELECT id FROM leanto_auth_teams)`)
}

const row = (name: string, call: Row['call'], more: Partial<Row> = {}): Row => ({
  name,
  prepare: directed,
  call,
  end: whole,
  ...more,
})

const user = ({ user: id }: Json): string => `/Users/${id}`
const group = ({ group: id }: Json): string => `/Groups/${id}`
const patch = (...Operations: object[]) => ({ schemas: [patchOp], Operations })
const off = patch({ op: 'replace', path: 'active', value: false })
const mine =
  (method: string, path: (made: Json) => string, body?: object): Row['call'] =>
  (world) =>
    world.ask(`/auth/v1${path(world.made)}`, {
      method,
      ...(body ? { body } : {}),
      ...token(world),
    })

export const scimRows: Row[] = [
  row(
    'GET /organizations/:id/scim-tokens',
    mine('GET', ({ one }) => `${one}/scim-tokens`),
  ),
  row(
    'POST /organizations/:id/scim-tokens',
    mine('POST', ({ one }) => `${one}/scim-tokens`, { name: 'Okta' }),
  ),
  row(
    'DELETE /organizations/:id/scim-tokens/:id',
    mine('DELETE', ({ one, tokenId }) => `${one}/scim-tokens/${tokenId}`),
    { answers: [204, 404] },
  ),
  ...['ServiceProviderConfig', 'ResourceTypes', 'Schemas'].map((name) =>
    row(
      `GET /scim/v2/${name}`,
      scim('GET', () => `/${name}`),
      { idle: true },
    ),
  ),
  row(
    'GET /scim/v2/ResourceTypes/:id',
    scim('GET', () => '/ResourceTypes/User'),
    { idle: true },
  ),
  // Its name has colons, which no other id has.
  row(
    'GET /scim/v2/Schemas/:id',
    scim('GET', () => `/Schemas/${urn}:User`),
    { idle: true },
  ),
  row(
    'GET /scim/v2/Users',
    scim('GET', () => '/Users'),
  ),
  row(
    'POST /scim/v2/Users',
    scim(
      'POST',
      () => '/Users',
      () => person('new@example.com'),
    ),
    { answers: [201, 409] },
  ),
  row('GET /scim/v2/Users/:id', scim('GET', user)),
  row(
    'PUT /scim/v2/Users/:id',
    scim('PUT', user, () => person('bob@example.com')),
  ),
  row(
    'PATCH /scim/v2/Users/:id',
    scim('PATCH', user, () => off),
  ),
  row('DELETE /scim/v2/Users/:id', scim('DELETE', user), { answers: [204, 404] }),
  row(
    'GET /scim/v2/Groups',
    scim('GET', () => '/Groups'),
  ),
  row(
    'POST /scim/v2/Groups',
    scim(
      'POST',
      () => '/Groups',
      (made) => ({ displayName: 'B', members: [{ value: made.user }] }),
    ),
    { answers: [201, 409] },
  ),
  row('GET /scim/v2/Groups/:id', scim('GET', group)),
  row(
    'PUT /scim/v2/Groups/:id',
    scim('PUT', group, () => ({ displayName: 'B', members: [] })),
  ),
  row(
    'PATCH /scim/v2/Groups/:id',
    scim('PATCH', group, () => patch({ op: 'remove', path: 'members' })),
  ),
  row('DELETE /scim/v2/Groups/:id', scim('DELETE', group), { answers: [204, 404] }),
]
