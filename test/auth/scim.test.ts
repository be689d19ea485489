import { env } from 'cloudflare:workers'
import { auth } from 'leanto/auth'
import { scim } from 'leanto/auth/scim'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, makeBase, site } from '../kit/world.ts'
import { call, expectRefused, ok, refreshed } from './organizations-world.ts'
import { newPerson, patch, refused, type ScimWorld, scimWorld, urn } from './scim-world.ts'
import { claimsOf, count, expectStatus, type Json, rows, signUp } from './world.ts'

let world: ScimWorld
beforeEach(async () => {
  world = await scimWorld()
})

describe('tokens of a directory', () => {
  it('are the owners’ alone, shown once and stored hashed', async () => {
    const { owner, admin, member, stranger, one } = world
    const path = `${one}/scim-tokens`
    for (const [who, status] of [
      [admin, 403],
      [member, 403],
      [stranger, 404],
      [undefined, 401],
    ] as const)
      for (const [method, at, body] of [
        ['GET', path],
        ['POST', path, { name: 'x' }],
        ['DELETE', `${path}/${crypto.randomUUID()}`],
      ] as const)
        expect((await call(world, who, method, at, body)).status, method).toBe(status)
    const { tokens } = await ok(call(world, owner, 'GET', path))
    expect(tokens).toEqual([
      {
        id: expect.any(String),
        organization_id: world.organization.id,
        name: 'Entra',
        hint: world.scimToken.slice(-4),
        created_at: expect.any(String),
        expires_at: new Date(clock.now() + 31_536_000_000).toISOString(),
      },
    ])
    expect(JSON.stringify(await rows('SELECT * FROM leanto_auth_scim_tokens'))).not.toContain(
      world.scimToken,
    )
    for (const body of [{}, { name: 'x', expires_in: 1 }, { name: 'x', expires_in: 9e9 }])
      expect((await call(world, owner, 'POST', path, body)).status).toBe(400)
    await ok(call(world, owner, 'DELETE', `${path}/${tokens[0].id}`), 204)
    await refused(await world.scim('GET', '/Users'), 401)
    await expectRefused(
      await call(world, owner, 'DELETE', `${path}/${tokens[0].id}`),
      404,
      'validation_failed',
    )
  })

  it.each(['', 'x', `scim_${'a'.repeat(43)}`, 'sb_secret_x'])('%j is none', async (token) => {
    const answer = await world.scim('GET', '/Users', undefined, token)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    await refused(answer, 401)
  })

  it('that a person has are none here, and a directory’s are none elsewhere', async () => {
    await refused(await world.scim('GET', '/Users', undefined, world.owner.token), 401)
    const answer = await call(world, { token: world.scimToken }, 'GET', '/organizations')
    expect(answer.status).toBeGreaterThanOrEqual(401)
  })

  it('end with their time and with the organisation', async () => {
    const short = (
      await ok(
        call(world, world.owner, 'POST', `${world.one}/scim-tokens`, { name: 'x', expires_in: 60 }),
      )
    ).token
    expect((await world.scim('GET', '/Users', undefined, short)).status).toBe(200)
    clock.advance(60)
    await refused(await world.scim('GET', '/Users', undefined, short), 401)
    await newPerson(world, 'ann')
    await ok(call(world, world.owner, 'DELETE', world.one), 204)
    await refused(await world.scim('GET', '/Users'), 401)
    await world.users.scheduled(makeBase().scope({ env }))
    for (const table of ['tokens', 'users', 'groups', 'group_members'])
      expect(await count(`scim_${table}`), table).toBe(0)
  })

  it('need organisations, and a role that is no owner’s', () => {
    expect(() => auth(makeBase(), { site, with: [scim()] })).toThrow(/organizations/)
    expect(() => scim({ role: 'owner' })).toThrow(/role/)
  })
})

describe('groups', () => {
  const make = async (displayName: string, ids: string[] = []): Promise<Json> =>
    expectStatus(
      await world.scim('POST', '/Groups', {
        schemas: [`${urn}:Group`],
        displayName,
        externalId: displayName,
        members: ids.map((value) => ({ value })),
      }),
      201,
    )
  const people = async (id: string): Promise<string[]> =>
    (await expectStatus(await world.scim('GET', `/Groups/${id}`), 200)).members
      .map(({ display }: Json) => display[0])
      .sort()

  it('are teams, and whoever is in one has it in the token', async () => {
    const { stranger, organization } = world
    const known = await newPerson(world, 'stranger')
    const later = await newPerson(world, 'later')
    const group = await make('Red', [known.id, later.id])
    expect(group).toMatchObject({
      displayName: 'Red',
      externalId: 'Red',
      members: [
        { value: known.id, display: 'stranger@example.com', type: 'User' },
        { value: later.id },
      ],
    })
    expect((await refreshed(world, stranger)).orgs[organization.id]).toEqual({
      role: 'member',
      teams: [group.id],
    })
    const { access_token } = await signUp(world.ask, 'later@example.com')
    expect(claimsOf(access_token).orgs[organization.id].teams).toEqual([group.id])
    expect((await expectStatus(await world.scim('GET', `/Users/${known.id}`), 200)).groups).toEqual(
      [{ value: group.id, display: 'Red', $ref: expect.stringContaining(`/Groups/${group.id}`) }],
    )
    const { teams } = await ok(call(world, world.owner, 'GET', `${world.one}/teams`))
    expect(teams.map(({ name }: Json) => name)).toEqual(['Red'])
  })

  it('gain and lose members as Entra ID and Okta say it', async () => {
    const [a, b, c] = [
      await newPerson(world, 'a'),
      await newPerson(world, 'b'),
      await newPerson(world, 'stranger'),
    ]
    const { id } = await make('Red', [a.id])
    const path = `/Groups/${id}`
    const change = async (operation: object) =>
      expectStatus(await patch(world, path, operation), 200)
    await change({ op: 'Add', path: 'members', value: [{ value: b.id }, { value: c.id }] })
    expect(await people(id)).toEqual(['a', 'b', 's'])
    expect(await count('team_members')).toBe(1)
    await change({ op: 'Remove', path: 'members', value: [{ value: c.id }] })
    expect(await people(id)).toEqual(['a', 'b'])
    expect(await count('team_members')).toBe(0)
    await change({ op: 'remove', path: `members[value eq "${a.id}"]` })
    expect(await people(id)).toEqual(['b'])
    await change({ op: 'replace', path: 'members', value: [{ value: a.id }, { value: c.id }] })
    expect(await people(id)).toEqual(['a', 's'])
    await change({ op: 'replace', value: { id, displayName: 'Blue' } })
    expect((await expectStatus(await world.scim('GET', path), 200)).displayName).toBe('Blue')
    await change({ op: 'remove', path: 'members' })
    expect(await people(id)).toEqual([])
    expect(await count('team_members')).toBe(0)
    await refused(
      await patch(world, path, {
        op: 'add',
        path: 'members',
        value: [{ value: crypto.randomUUID() }],
      }),
      400,
      'invalidValue',
    )
    await refused(
      await patch(world, path, { op: 'replace', path: 'owner', value: 'x' }),
      400,
      'invalidPath',
    )
    expect(
      (await world.scim('PUT', path, { displayName: 'Green', members: [{ value: b.id }] })).status,
    ).toBe(200)
    expect(await people(id)).toEqual(['b'])
  })

  it('have names of their own, are found and are deleted', async () => {
    const { id } = await make('Red')
    await refused(await world.scim('POST', '/Groups', { displayName: 'Red' }), 409, 'uniqueness')
    const other = await make('Blue')
    await refused(
      await patch(world, `/Groups/${other.id}`, {
        op: 'replace',
        path: 'displayName',
        value: 'Red',
      }),
      409,
      'uniqueness',
    )
    const found = await expectStatus(
      await world.scim(
        'GET',
        `/Groups?excludedAttributes=members&filter=${encodeURIComponent('displayName eq "red"')}`,
      ),
      200,
    )
    expect(found.Resources.map((one: Json) => [one.id, one.members])).toEqual([[id, undefined]])
    expect((await world.scim('DELETE', `/Groups/${id}`)).status).toBe(204)
    await refused(await world.scim('GET', `/Groups/${id}`), 404)
    expect([await count('teams'), await count('scim_groups')]).toEqual([1, 1])
  })

  it('are no more than the organisation may have', async () => {
    world = await scimWorld({ limits: { teams: 1 } })
    await make('Red')
    await refused(await world.scim('POST', '/Groups', { displayName: 'Blue' }), 403, 'tooMany')
  })
})

it('says what it can', async () => {
  const read = async (path: string) => expectStatus(await world.ask(`/auth/v1/scim/v2${path}`), 200)
  expect(await read('/ServiceProviderConfig')).toMatchObject({
    patch: { supported: true },
    bulk: { supported: false },
    filter: { supported: true, maxResults: 200 },
  })
  expect((await read('/ResourceTypes')).Resources.map(({ endpoint }: Json) => endpoint)).toEqual([
    '/Users',
    '/Groups',
  ])
  expect((await read('/ResourceTypes/Group')).schema).toBe(`${urn}:Group`)
  const { Resources } = await read('/Schemas')
  expect(Resources.map(({ id }: Json) => id)).toEqual([`${urn}:User`, `${urn}:Group`])
  expect(await read(`/Schemas/${urn}:User`)).toEqual(Resources[0])
  await refused(await world.ask('/auth/v1/scim/v2/Schemas/x'), 404)
})

it('tells what happens, and leaves nothing of a deleted account', async () => {
  const { id } = await newPerson(world, 'stranger')
  const actions = await rows(
    `SELECT action FROM leanto_auth_audit WHERE action LIKE 'scim%' ORDER BY action`,
  )
  expect(actions).toEqual([{ action: 'scim_token_created' }, { action: 'scim_user_created' }])
  const gone = call(world, undefined, 'DELETE', `/admin/users/${world.stranger.id}`, undefined, {
    key: 'secret',
  })
  await ok(gone)
  expect(await rows('SELECT user_id FROM leanto_auth_scim_users')).toEqual([{ user_id: null }])
  expect((await world.scim('GET', `/Users/${id}`)).status).toBe(200)
})
