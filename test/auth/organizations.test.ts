import { env } from 'cloudflare:workers'
import { Fault } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, makeBase } from '../kit/world.ts'
import {
  activate,
  call,
  expectRefused,
  inbox,
  mailedToken,
  membersOf,
  newOrganization,
  ok,
  organizationsWorld,
  type Staffed,
  staffed,
  type World,
} from './organizations-world.ts'
import { count, type Json, rows } from './world.ts'

const scopeOf = () => makeBase().scope({ env })
let world: World
let staff: Staffed

describe('an organisation', () => {
  beforeEach(async () => {
    world = await organizationsWorld()
  })

  it('is made by a user, who owns it', async () => {
    const ann = await world.person('ann')
    const made = await newOrganization(world, ann, { slug: 'acme', metadata: { colour: 'red' } })
    expect(made).toEqual({
      id: expect.any(String),
      name: 'Acme',
      slug: 'acme',
      metadata: { colour: 'red' },
      app_metadata: {},
      created_at: new Date(clock.now()).toISOString(),
      updated_at: new Date(clock.now()).toISOString(),
      role: 'owner',
    })
    expect(await ok(call(world, ann, 'GET', `/organizations/${made.id}`))).toEqual(made)
    const listed = await call(world, ann, 'GET', '/organizations')
    expect(listed.headers.get('x-total-count')).toBe('1')
    expect(await listed.json()).toEqual({ organizations: [made] })
    expect(await membersOf(world, ann, made.id)).toEqual(['ann owner'])
  })

  it('is not made by a guest', async () => {
    const { access_token: token } = await ok(call(world, undefined, 'POST', '/signup', {}))
    const refused = await call(world, { token }, 'POST', '/organizations', { name: 'Acme' })
    await expectRefused(refused, 403, 'no_authorization')
    expect(await count('organizations')).toBe(0)
    expect(await count('members')).toBe(0)
  })

  it.each([
    [{ name: '' }],
    [{ name: ' ' }],
    [{ name: 'a'.repeat(101) }],
    [{ name: 'a\nb' }],
    [{ name: ['a'] }],
    [{ name: 'A', slug: 'A' }],
    [{ name: 'A', slug: 'a_b' }],
    [{ name: 'A', slug: '-a' }],
    [{ name: 'A', slug: 'a'.repeat(65) }],
    [{ name: 'A', metadata: [] }],
    [{ name: 'A', metadata: { big: 'x'.repeat(8200) } }],
  ])('is not made of %j', async (body) => {
    const ann = await world.person('ann')
    const refused = await call(world, ann, 'POST', '/organizations', body)
    await expectRefused(refused, 400, 'validation_failed')
    expect(await count('organizations')).toBe(0)
  })

  it('has a slug that no other has, also in a race', async () => {
    const ann = await world.person('ann')
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        call(world, ann, 'POST', '/organizations', { name: 'Acme', slug: 'acme' }),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    for (const answer of answers.filter(({ status }) => status !== 200))
      await expectRefused(answer, 422, 'organization_slug_taken')
    expect([await count('organizations'), await count('members')]).toEqual([1, 1])
    const other = await newOrganization(world, ann)
    const moved = await call(world, ann, 'PATCH', `/organizations/${other.id}`, { slug: 'acme' })
    await expectRefused(moved, 422, 'organization_slug_taken')
  })

  it('changes as it is told: metadata is merged, null deletes', async () => {
    const ann = await world.person('ann')
    const { id } = await newOrganization(world, ann, {
      slug: 'acme',
      metadata: { a: 1, b: { c: 2 } },
    })
    clock.advance(5)
    const change = (body: object) => call(world, ann, 'PATCH', `/organizations/${id}`, body)
    expect(await ok(change({ name: 'Ajax', metadata: { a: null, b: { d: 3 } } }))).toMatchObject({
      name: 'Ajax',
      slug: 'acme',
      metadata: { b: { c: 2, d: 3 } },
      updated_at: new Date(clock.now()).toISOString(),
    })
    expect(await ok(change({ slug: null }))).toMatchObject({ name: 'Ajax', slug: null })
    await ok(change({ metadata: { big: 'x'.repeat(8000) } }))
    await expectRefused(
      await change({ metadata: { more: 'x'.repeat(400) } }),
      400,
      'validation_failed',
    )
  })

  it('has metadata that only the server writes (case 40)', async () => {
    const ann = await world.person('ann')
    const body = { name: 'Acme', app_metadata: { plan: 'gold' } }
    await expectRefused(await call(world, ann, 'POST', '/organizations', body), 403, 'not_admin')
    const { id } = await newOrganization(world, ann)
    const path = `/organizations/${id}`
    await expectRefused(await call(world, ann, 'PATCH', path, body), 403, 'not_admin')
    const service = { key: 'secret' } as const
    const changed = call(
      world,
      undefined,
      'PATCH',
      `/admin${path}`,
      { app_metadata: { plan: 'gold' } },
      service,
    )
    expect(await ok(changed)).toMatchObject({ app_metadata: { plan: 'gold' }, metadata: {} })
    expect(await ok(call(world, ann, 'GET', path))).toMatchObject({
      app_metadata: { plan: 'gold' },
    })
  })

  it('takes all that is its own with it', async () => {
    const { owner, member, one, organization } = await staffed(world)
    const team = await ok(call(world, owner, 'POST', `${one}/teams`, { name: 'Red' }))
    const other = await newOrganization(world, owner)
    await ok(call(world, owner, 'POST', `${one}/teams/${team.id}/members`, { user_id: member.id }))
    await ok(call(world, owner, 'POST', `${one}/invitations`, { email: 'new@example.com' }))
    await ok(activate(world, member, organization.id))
    await ok(call(world, owner, 'DELETE', one), 204)
    for (const table of ['teams', 'team_members', 'invitations']) expect(await count(table)).toBe(0)
    expect(await rows('SELECT organization_id FROM leanto_auth_members')).toEqual([
      { organization_id: other.id },
    ])
    await expectRefused(await call(world, owner, 'GET', one), 404, 'organization_not_found')
  })

  it('is listed in pages', async () => {
    const ann = await world.person('ann')
    for (const name of ['A', 'B', 'C']) await newOrganization(world, ann, { name })
    const page = await call(world, ann, 'GET', '/organizations?page=2&per_page=2')
    expect((await page.json<Json>()).organizations.map(({ name }: Json) => name)).toEqual(['C'])
    expect(page.headers.get('x-total-count')).toBe('3')
    expect(page.headers.get('link')).toContain('rel="last"')
    const bad = await call(world, ann, 'GET', '/organizations?page=0')
    await expectRefused(bad, 400, 'validation_failed')
  })
})

describe('what happens', () => {
  it('is in the audit log, without a secret', async () => {
    world = await organizationsWorld()
    const { owner, member, one, organization } = await staffed(world)
    clock.advance(1)
    await ok(call(world, owner, 'POST', `${one}/transfer`, { user_id: member.id }))
    const entries = await rows(
      `SELECT action, user_id, data FROM leanto_auth_audit WHERE action LIKE 'organization%' ORDER BY id`,
    )
    expect(entries.map(({ action }) => action)).toEqual([
      'organization_created',
      'organization_invitation_created',
      'organization_member_added',
      'organization_invitation_created',
      'organization_member_added',
      'organization_transferred',
    ])
    expect(entries.at(-1).user_id).toBe(owner.id)
    expect(JSON.parse(entries.at(-1).data)).toEqual({
      organization_id: organization.id,
      user_id: member.id,
      role: 'owner',
    })
    expect(JSON.stringify(entries)).not.toContain(mailedToken(member.email))
  })

  it('is told to the host before and after, and the host may refuse', async () => {
    const told: Json[] = []
    const asked: Json[] = []
    let refuse = false
    world = await organizationsWorld({
      before: {
        change: (_, change) => {
          asked.push(change)
          if (refuse) throw new Fault('no_thanks', { status: 403, message: 'Not today' })
        },
      },
      after: { change: (_, change) => void told.push(change) },
    })
    staff = await staffed(world)
    const { owner, member, stranger, one, organization } = staff
    expect(asked.map(({ action }) => action)).toEqual(told.map(({ action }) => action))
    expect(told).toContainEqual({
      action: 'organization_member_added',
      organizationId: organization.id,
      actorId: member.id,
      userId: member.id,
      role: 'member',
      network: null,
    })
    asked.length = 0
    refuse = true
    const before = await rows('SELECT * FROM leanto_auth_members')
    const calls = [
      ['DELETE', one],
      ['PATCH', one, { name: 'B' }],
      ['POST', '/organizations', { name: 'B' }],
      ['DELETE', `${one}/members/${member.id}`],
      ['PATCH', `${one}/members/${member.id}`, { role: 'admin' }],
      ['POST', `${one}/transfer`, { user_id: member.id }],
      ['POST', `${one}/invitations`, { email: 'x@example.com' }],
      ['POST', `${one}/teams`, { name: 'Red' }],
    ] as const
    for (const [method, path, body] of calls)
      await expectRefused(await call(world, owner, method, path, body), 403, 'no_thanks')
    expect(asked).toHaveLength(calls.length)
    expect(await rows('SELECT * FROM leanto_auth_members')).toEqual(before)
    expect([await count('teams'), await count('invitations')]).toEqual([0, 0])
    // Nobody asks the host about what they may not do.
    await call(world, stranger, 'DELETE', one)
    await call(world, member, 'DELETE', one)
    expect(asked).toHaveLength(calls.length)
  })

  it('ends with the user', async () => {
    world = await organizationsWorld()
    const service = { key: 'secret' } as const
    staff = await staffed(world)
    const { owner, admin, member, one, organization } = staff
    const alone = await newOrganization(world, owner, { name: 'Alone' })
    const team = await ok(
      call(world, owner, 'POST', `/organizations/${alone.id}/teams`, { name: 'Red' }),
    )
    await ok(
      call(world, owner, 'POST', `/organizations/${alone.id}/teams/${team.id}/members`, {
        user_id: owner.id,
      }),
    )
    await ok(
      call(world, owner, 'POST', `/organizations/${alone.id}/invitations`, {
        email: 'x@example.com',
      }),
    )
    await ok(
      call(world, owner, 'POST', `${one}/invitations`, {
        email: 'stranger@example.com',
        role: 'owner',
      }),
    )
    await ok(call(world, undefined, 'DELETE', `/admin/users/${owner.id}`, undefined, service))
    // The one that nobody else is in is gone, with all that it had.
    expect(await rows('SELECT id FROM leanto_auth_organizations')).toEqual([
      { id: organization.id },
    ])
    expect([await count('teams'), await count('team_members')]).toEqual([0, 0])
    // Of the other nobody has become the owner by themselves.
    expect(await membersOf(world, member, organization.id)).toEqual([
      'admin admin',
      'member member',
    ])
    const refused = await call(world, admin, 'PATCH', `${one}/members/${admin.id}`, {
      role: 'owner',
    })
    await expectRefused(refused, 403, 'organization_forbidden')
    // Nor does what they had given count.
    expect((await ok(call(world, staff.stranger, 'GET', '/invitations'))).invitations).toEqual([])
    await expectRefused(
      await call(world, staff.stranger, 'POST', '/invitations/accept', {
        token: mailedToken('stranger@example.com'),
      }),
      404,
      'invitation_not_found',
    )
    // The server finds it and says whose it is.
    const path = '/admin/organizations?ownerless=true'
    const { organizations } = await ok(call(world, undefined, 'GET', path, undefined, service))
    expect(organizations.map(({ id }: Json) => id)).toEqual([organization.id])
    await ok(
      call(world, undefined, 'PUT', `/admin${one}/members/${admin.id}`, { role: 'owner' }, service),
    )
    expect(
      (await ok(call(world, undefined, 'GET', path, undefined, service))).organizations,
    ).toEqual([])
    expect(await membersOf(world, member, organization.id)).toEqual([
      'admin owner',
      'member member',
    ])
  })

  it('is cleared by upkeep once its time is over', async () => {
    world = await organizationsWorld()
    staff = await staffed(world)
    const { owner, member, one, organization } = staff
    await ok(call(world, owner, 'POST', `${one}/invitations`, { email: 'x@example.com' }))
    await ok(activate(world, member, organization.id))
    await world.users.scheduled(scopeOf())
    expect([await count('invitations'), await count('active_organizations')]).toEqual([1, 1])
    await env.DB.prepare('DELETE FROM leanto_auth_sessions').run()
    clock.advance(172_800)
    await world.users.scheduled(scopeOf())
    expect([await count('invitations'), await count('active_organizations')]).toEqual([0, 0])
    expect(inbox.mails.length).toBeGreaterThan(0)
  })
})
