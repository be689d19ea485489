import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  call,
  expectRefused,
  join,
  membersOf,
  newOrganization,
  ok,
  organizationsWorld,
  type Person,
  type Staffed,
  staffed,
  type World,
} from './organizations-world.ts'
import { count, type Json, rows } from './world.ts'

let world: World
let staff: Staffed

type Who = 'owner' | 'admin' | 'member' | 'stranger'
const everyone: readonly Who[] = ['owner', 'admin', 'member', 'stranger']

/** All of the part that is stored. */
const stored = async () =>
  JSON.stringify(
    await Promise.all(
      ['organizations', 'members', 'teams', 'team_members', 'invitations'].map((table) =>
        rows(`SELECT * FROM leanto_auth_${table} ORDER BY 1, 2`),
      ),
    ),
  )

describe('who may do what', () => {
  let team: string
  let invited: string
  beforeEach(async () => {
    world = await organizationsWorld()
    staff = await staffed(world)
    const { owner, one, member } = staff
    team = (await ok(call(world, owner, 'POST', `${one}/teams`, { name: 'Red' }))).id
    await ok(call(world, owner, 'POST', `${one}/teams/${team}/members`, { user_id: member.id }))
    const body = { email: 'new@example.com' }
    invited = (await ok(call(world, owner, 'POST', `${one}/invitations`, body))).id
  })

  type Row = [name: string, ask: () => [string, string, unknown?], [number, number, number]]
  const at = (path = '') => staff.one + path
  const spare = () => ({ user_id: staff.member.id })
  const table: Row[] = [
    ['read', () => ['GET', at()], [200, 200, 200]],
    ['change', () => ['PATCH', at(), { name: 'B' }], [200, 200, 403]],
    ['delete', () => ['DELETE', at()], [204, 403, 403]],
    ['list members', () => ['GET', at('/members')], [200, 200, 200]],
    [
      'change a role',
      () => ['PATCH', at(`/members/${staff.member.id}`), { role: 'admin' }],
      [200, 200, 403],
    ],
    [
      'raise to owner',
      () => ['PATCH', at(`/members/${staff.member.id}`), { role: 'owner' }],
      [200, 403, 403],
    ],
    [
      'raise oneself',
      () => ['PATCH', at(`/members/${staff.admin.id}`), { role: 'owner' }],
      [200, 403, 403],
    ],
    [
      'demote the owner',
      () => ['PATCH', at(`/members/${staff.owner.id}`), { role: 'member' }],
      [422, 403, 403],
    ],
    ['remove the owner', () => ['DELETE', at(`/members/${staff.owner.id}`)], [422, 403, 403]],
    ['remove an admin', () => ['DELETE', at(`/members/${staff.admin.id}`)], [204, 204, 403]],
    ['remove a member', () => ['DELETE', at(`/members/${staff.member.id}`)], [204, 204, 204]],
    ['remove nobody', () => ['DELETE', at(`/members/${staff.stranger.id}`)], [404, 404, 403]],
    ['leave', () => ['POST', at('/leave')], [422, 204, 204]],
    ['transfer', () => ['POST', at('/transfer'), { user_id: staff.admin.id }], [200, 400, 403]],
    [
      'transfer to a stranger',
      () => ['POST', at('/transfer'), { user_id: staff.organization.id }],
      [404, 403, 403],
    ],
    ['list invitations', () => ['GET', at('/invitations')], [200, 200, 403]],
    ['invite', () => ['POST', at('/invitations'), { email: 'x@example.com' }], [200, 200, 403]],
    [
      'invite an owner',
      () => ['POST', at('/invitations'), { email: 'x@example.com', role: 'owner' }],
      [200, 403, 403],
    ],
    ['send again', () => ['POST', at(`/invitations/${invited}/resend`)], [200, 200, 403]],
    ['revoke', () => ['DELETE', at(`/invitations/${invited}`)], [204, 204, 403]],
    ['list teams', () => ['GET', at('/teams')], [200, 200, 200]],
    ['make a team', () => ['POST', at('/teams'), { name: 'Blue' }], [200, 200, 403]],
    ['rename a team', () => ['PATCH', at(`/teams/${team}`), { name: 'Blue' }], [200, 200, 403]],
    ['delete a team', () => ['DELETE', at(`/teams/${team}`)], [204, 204, 403]],
    ['list a team', () => ['GET', at(`/teams/${team}/members`)], [200, 200, 200]],
    ['fill a team', () => ['POST', at(`/teams/${team}/members`), spare()], [200, 200, 403]],
    [
      'empty a team',
      () => ['DELETE', at(`/teams/${team}/members/${staff.member.id}`)],
      [204, 204, 403],
    ],
  ]

  it.each(
    table.flatMap(([name, ask, answers]) =>
      everyone.map((who, i) => [who, name, ask, answers[i] ?? 404] as const),
    ),
  )('%s: %s', async (who, _, ask, status) => {
    const before = await stored()
    const answer = await call(world, staff[who], ...ask())
    expect(answer.status, await answer.clone().text()).toBe(status)
    if (status >= 400) expect(await stored()).toBe(before)
    // A stranger is told nothing but that nothing is there (case 42).
    if (who === 'stranger') await expectRefused(answer, 404, 'organization_not_found')
  })

  it('and in an organisation of their own nobody reaches another’s things by their ids (case 42)', async () => {
    const { stranger, member } = staff
    const own = `/organizations/${(await newOrganization(world, stranger)).id}`
    const before = await stored()
    const asks: [string, string, unknown?][] = [
      ['PATCH', `${own}/members/${member.id}`, { role: 'admin' }],
      ['DELETE', `${own}/members/${member.id}`],
      ['POST', `${own}/transfer`, { user_id: member.id }],
      ['POST', `${own}/invitations/${invited}/resend`],
      ['DELETE', `${own}/invitations/${invited}`],
      ['PATCH', `${own}/teams/${team}`, { name: 'X' }],
      ['DELETE', `${own}/teams/${team}`],
      ['GET', `${own}/teams/${team}/members`],
      ['POST', `${own}/teams/${team}/members`, { user_id: stranger.id }],
      ['DELETE', `${own}/teams/${team}/members/${member.id}`],
      ['POST', `${own}/invitations`, { email: 'y@example.com', team_ids: [team] }],
      ['POST', `/invitations/${invited}/accept`],
      ['POST', `/invitations/${invited}/decline`],
    ]
    for (const ask of asks) {
      const answer = await call(world, stranger, ...ask)
      expect(answer.status, ask.join(' ')).toBe(404)
    }
    expect(await stored()).toBe(before)
  })

  it.each(['x', '%00', '__proto__', "' OR 1=1 --", '*'])('an id like %j is none', async (id) => {
    for (const path of [
      `/organizations/${id}`,
      `/organizations/${id}/members`,
      `${staff.one}/teams/${id}/members`,
    ]) {
      const answer = await call(world, staff.owner, 'GET', path)
      expect(answer.status, path).toBe(404)
    }
  })

  it('what is sent names nobody who acts (case 41)', async () => {
    const body = {
      name: 'B',
      user_id: staff.owner.id,
      actor: staff.owner,
      owner_id: staff.owner.id,
    }
    await expectRefused(
      await call(world, staff.stranger, 'PATCH', staff.one, body),
      404,
      'organization_not_found',
    )
    expect((await call(world, undefined, 'PATCH', staff.one, body)).status).toBe(401)
    const made = await ok(call(world, staff.stranger, 'POST', '/organizations', body))
    expect(await membersOf(world, staff.stranger, made.id)).toEqual(['stranger owner'])
  })

  it('ends with the session, the ban and the second thought', async () => {
    const { admin, one } = staff
    const change = () => call(world, admin, 'PATCH', one, { name: 'B' })
    await env.DB.prepare('UPDATE leanto_auth_users SET banned_until = 9e15 WHERE id = ?')
      .bind(admin.id)
      .run()
    await expectRefused(await change(), 403, 'user_banned')
    await env.DB.prepare('UPDATE leanto_auth_users SET banned_until = NULL').run()
    await env.DB.prepare('DELETE FROM leanto_auth_sessions WHERE user_id = ?').bind(admin.id).run()
    await expectRefused(await change(), 403, 'session_not_found')
    expect((await ok(call(world, staff.owner, 'GET', one))).name).toBe('Acme')
  })

  it('a session that began as a guest’s may do what a guest may (case 16)', async () => {
    const guest = await ok(call(world, undefined, 'POST', '/signup', {}))
    const token = { token: guest.access_token }
    const body = { email: 'guest@example.com', password: 'a good password 1' }
    await ok(call(world, token, 'PUT', '/user', body))
    const refused = await call(world, token, 'POST', '/organizations', { name: 'Mine' })
    await expectRefused(refused, 400, 'reauthentication_needed')
    expect(await count('organizations')).toBe(1)
  })
})

describe('roles of the host’s own', () => {
  beforeEach(async () => {
    world = await organizationsWorld({
      roles: {
        manager: ['members:manage', 'invitations:manage', 'notes:write'],
        editor: ['notes:write', 'notes:publish'],
        admin: ['members:manage', 'notes:write'],
      },
    })
    staff = await staffed(world)
  })

  it('give and take no more than they have', async () => {
    const { owner, admin, member, one } = staff
    const set = (by: Person, whom: Person, role: string) =>
      call(world, by, 'PATCH', `${one}/members/${whom.id}`, { role })
    await ok(set(owner, member, 'manager'))
    // `admin` has no `invitations:manage` here.
    await expectRefused(await set(admin, member, 'member'), 403, 'organization_forbidden')
    await expectRefused(await set(admin, admin, 'manager'), 403, 'organization_forbidden')
    await expectRefused(
      await call(world, admin, 'DELETE', `${one}/members/${member.id}`),
      403,
      'organization_forbidden',
    )
    await ok(set(member, admin, 'member'))
    await expectRefused(await set(member, admin, 'editor'), 403, 'organization_forbidden')
    await ok(set(owner, admin, 'editor'))
    await expectRefused(await set(member, admin, 'member'), 403, 'organization_forbidden')
    for (const role of ['', 'king', '__proto__', 'toString', ['owner']])
      expect((await set(owner, admin, role as string)).status).toBe(400)
  })

  it('that are declared no more may do nothing, and owners take them away', async () => {
    const { owner, admin, one } = staff
    await env.DB.prepare(`UPDATE leanto_auth_members SET role = 'gone' WHERE user_id = ?`)
      .bind(admin.id)
      .run()
    const change = call(world, admin, 'PATCH', `${one}/members/${admin.id}`, { role: 'member' })
    await expectRefused(await change, 403, 'organization_forbidden')
    await ok(call(world, owner, 'PATCH', `${one}/members/${admin.id}`, { role: 'member' }))
  })

  it('are words', async () => {
    const { organizations } = await import('leanto/auth/organizations')
    const tables = [{ owner: [] }, { 'a>b': [] }, { '': [] }, { a: 'b' }, { a: ['b c'] }]
    for (const roles of tables)
      expect(() => organizations({ roles: roles as never })).toThrow(/roles/)
    for (const wrong of [
      { claims: 0 },
      { claims: 51 },
      { create: 1 },
      { fresh: 'yes' },
      { limits: { members: -1 } },
      { limits: { organizations: 1.5 } },
      { limits: { mails: { max: 0, seconds: 1 } } },
      { invitations: { seconds: 1 } },
    ])
      expect(() => organizations(wrong as never)).toThrow(/organizations: `/)
  })
})

describe('teams', () => {
  beforeEach(async () => {
    world = await organizationsWorld()
    staff = await staffed(world)
  })

  it('are of members alone, and lose them with the membership', async () => {
    const { owner, member, stranger, one } = staff
    const { id } = await ok(call(world, owner, 'POST', `${one}/teams`, { name: 'Red' }))
    const add = (user_id: string) =>
      call(world, owner, 'POST', `${one}/teams/${id}/members`, { user_id })
    await expectRefused(await add(stranger.id), 404, 'organization_member_not_found')
    await ok(add(member.id))
    await ok(add(member.id))
    expect(await count('team_members')).toBe(1)
    await ok(call(world, owner, 'DELETE', `${one}/members/${member.id}`), 204)
    expect(await count('team_members')).toBe(0)
    await join(world, owner, member, staff.organization.id)
    expect((await ok(call(world, owner, 'GET', `${one}/teams/${id}/members`))).members).toEqual([])
    const out = await call(world, owner, 'DELETE', `${one}/teams/${id}/members/${member.id}`)
    await expectRefused(out, 404, 'organization_member_not_found')
  })

  it('have names of their own, and end with their members’ places', async () => {
    const { owner, member, one } = staff
    const make = (name: string) => call(world, owner, 'POST', `${one}/teams`, { name })
    const [red, blue] = [await ok(make('Red')), await ok(make('Blue'))]
    await expectRefused(await make('Red'), 422, 'organization_team_exists')
    const rename = (name: string) =>
      call(world, owner, 'PATCH', `${one}/teams/${blue.id}`, { name })
    await expectRefused(await rename('Red'), 422, 'organization_team_exists')
    await ok(rename('Blue'))
    await ok(call(world, owner, 'POST', `${one}/teams/${red.id}/members`, { user_id: member.id }))
    const { teams } = await ok(call(world, owner, 'GET', `${one}/teams`))
    expect(teams.map(({ name }: Json) => name)).toEqual(['Blue', 'Red'])
    await ok(call(world, owner, 'DELETE', `${one}/teams/${red.id}`), 204)
    expect([await count('teams'), await count('team_members')]).toEqual([1, 0])
  })
})
