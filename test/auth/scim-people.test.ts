import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  activate,
  call,
  expectRefused,
  membersOf,
  newOrganization,
  ok,
  refreshed,
} from './organizations-world.ts'
import {
  mayFor,
  newPerson,
  newToken,
  patch,
  person,
  refused,
  type ScimWorld,
  scimWorld,
  urn,
} from './scim-world.ts'
import { claimsOf, count, expectStatus, type Json, rows, signUp } from './world.ts'

let world: ScimWorld
beforeEach(async () => {
  world = await scimWorld()
})

const members = () => membersOf(world, world.owner, world.organization.id)

describe('people', () => {
  it('are made, read, listed, changed and deleted', async () => {
    const made = await newPerson(world, 'new', {
      externalId: 'e1',
      password: 'secret',
      title: 'Dr',
    })
    expect(made).toEqual({
      schemas: [`${urn}:User`],
      id: expect.any(String),
      externalId: 'e1',
      userName: 'new@example.com',
      name: { givenName: 'A', familyName: 'B' },
      emails: [{ value: 'new@example.com', type: 'work', primary: true }],
      title: 'Dr',
      active: true,
      groups: [],
      meta: {
        resourceType: 'User',
        created: new Date(clock.now()).toISOString(),
        lastModified: new Date(clock.now()).toISOString(),
        location: `https://app.example/auth/v1/scim/v2/Users/${made.id}`,
        version: 'W/"1"',
      },
    })
    expect(JSON.stringify(await rows('SELECT * FROM leanto_auth_scim_users'))).not.toContain(
      'secret',
    )
    expect(await expectStatus(await world.scim('GET', `/Users/${made.id}`), 200)).toEqual(made)
    const put = await expectStatus(
      await world.scim('PUT', `/Users/${made.id}`, person('renamed@example.com')),
      200,
    )
    expect(put).toMatchObject({
      id: made.id,
      userName: 'renamed@example.com',
      meta: { version: 'W/"2"' },
    })
    expect(put.title).toBeUndefined()
    expect((await world.scim('DELETE', `/Users/${made.id}`)).status).toBe(204)
    await refused(await world.scim('GET', `/Users/${made.id}`), 404)
    await refused(await world.scim('DELETE', `/Users/${made.id}`), 404)
  })

  it('are members once they have an account whose address is theirs and proven (case 43)', async () => {
    const { stranger, organization } = world
    await newPerson(world, 'stranger')
    expect(await members()).toContain('stranger member')
    expect((await refreshed(world, stranger)).orgs).toEqual({
      [organization.id]: { role: 'member' },
    })
    // Who comes later is one by the session that they start.
    await newPerson(world, 'later')
    const session = await signUp(world.ask, 'later@example.com')
    expect(claimsOf(session.access_token).orgs).toEqual({ [organization.id]: { role: 'member' } })
  })

  it('are no members by an address that is not proven, and no account is made or told of', async () => {
    const before = await count('users')
    await env.DB.prepare('UPDATE leanto_auth_users SET email_confirmed_at = NULL WHERE id = ?')
      .bind(world.stranger.id)
      .run()
    const known = await newPerson(world, 'stranger')
    const unknown = await newPerson(world, 'nobody')
    const shape = ({ id: _, userName: __, emails: ___, meta: ____, ...rest }: Json) => rest
    expect(shape(known)).toEqual(shape(unknown))
    expect(await members()).toHaveLength(3)
    expect(await count('users')).toBe(before)
  })

  it('who are made inactive lose the membership, and the sessions that are for it', async () => {
    const { stranger, organization } = world
    const { id } = await newPerson(world, 'stranger')
    const session = await ok(activate(world, stranger, organization.id))
    const again = { email: stranger.email, password: 'correct horse battery staple' }
    const other = await ok(call(world, undefined, 'POST', '/token?grant_type=password', again))
    // As Entra ID writes it.
    const off = await patch(world, `/Users/${id}`, {
      op: 'Replace',
      path: 'active',
      value: 'False',
    })
    expect((await expectStatus(off, 200)).active).toBe(false)
    expect(await members()).toHaveLength(3)
    await expectRefused(
      await call(world, { token: session.access_token }, 'GET', '/user'),
      403,
      'session_not_found',
    )
    await ok(call(world, { token: other.access_token }, 'GET', '/user'))
    // As Okta writes it.
    const on = await patch(world, `/Users/${id}`, { op: 'replace', value: { active: true } })
    expect((await expectStatus(on, 200)).active).toBe(true)
    expect(await members()).toContain('stranger member')
    expect((await world.scim('DELETE', `/Users/${id}`)).status).toBe(204)
    expect(await members()).toHaveLength(3)
  })

  it('are of domains that the server has said are the organisation’s, and of no others', async () => {
    const { one } = world
    await refused(
      await world.scim('POST', '/Users', person('a@other.example')),
      400,
      'invalidValue',
    )
    const spoofed = {
      ...person('x@example.com'),
      emails: [{ value: 'a@example.com.evil.example' }],
    }
    await refused(await world.scim('POST', '/Users', spoofed), 400, 'invalidValue')
    const { id } = await newPerson(world, 'nobody')
    const moved = { op: 'replace', path: 'emails[type eq "work"].value', value: 'a@other.example' }
    await refused(await patch(world, `/Users/${id}`, moved), 400, 'invalidValue')
    // Nobody of the organisation says so themselves (case 40).
    const body = {
      app_metadata: { domains: ['other.example'] },
      metadata: { domains: ['other.example'] },
    }
    await expectRefused(await call(world, world.owner, 'PATCH', one, body), 403, 'not_admin')
    // And once it is taken back, nobody joins by it.
    await newPerson(world, 'later')
    await mayFor(world, one, [])
    const { access_token } = await signUp(world.ask, 'later@example.com')
    expect(claimsOf(access_token).orgs).toEqual({})
    await mayFor(world, one, null)
    await refused(await world.scim('POST', '/Users', person('b@example.com')), 400, 'invalidValue')
  })

  it('whom an admin has removed do not come back by signing in', async () => {
    const { owner, stranger, one } = world
    await newPerson(world, 'stranger')
    await ok(call(world, owner, 'DELETE', `${one}/members/${stranger.id}`), 204)
    const again = { email: stranger.email, password: 'correct horse battery staple' }
    await ok(call(world, undefined, 'POST', '/token?grant_type=password', again))
    expect(await members()).toHaveLength(3)
  })

  it('who own the organisation are not the directory’s to end', async () => {
    const { id } = await newPerson(world, 'owner')
    await refused(
      await patch(world, `/Users/${id}`, { op: 'replace', path: 'active', value: false }),
      409,
      'mutability',
    )
    await refused(await world.scim('DELETE', `/Users/${id}`), 409, 'mutability')
    expect(await members()).toContain('owner owner')
    await ok(call(world, world.owner, 'GET', '/user'))
  })

  it('change by operations as Entra ID and Okta send them', async () => {
    const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'
    const { id } = await newPerson(world, 'new')
    const changed = await patch(
      world,
      `/Users/${id}`,
      { op: 'Add', path: 'name.formatted', value: 'A B' },
      { op: 'Replace', path: 'emails[type eq "work"].value', value: 'new2@example.com' },
      { op: 'Add', path: 'emails[type eq "home"].value', value: 'home@example.com' },
      { op: 'Replace', value: { 'name.givenName': 'Ada', displayName: 'Ada B' } },
      { op: 'Add', path: `${enterprise}:department`, value: 'Red' },
      { op: 'Replace', path: 'userName', value: 'new2@example.com' },
      { op: 'Remove', path: 'name.familyName' },
    )
    expect(await expectStatus(changed, 200)).toMatchObject({
      schemas: [`${urn}:User`, enterprise],
      userName: 'new2@example.com',
      displayName: 'Ada B',
      name: { formatted: 'A B', givenName: 'Ada' },
      emails: [
        { value: 'new2@example.com', type: 'work', primary: true },
        { value: 'home@example.com', type: 'home' },
      ],
      [enterprise]: { department: 'Red' },
    })
  })

  it('are found by filters, and listed in pages', async () => {
    for (const name of ['a', 'b', 'c']) {
      clock.advance(1)
      await newPerson(world, name, { externalId: `id-${name}`, displayName: `Person ${name}` })
    }
    const find = async (filter: string) =>
      (
        await expectStatus(
          await world.scim('GET', `/Users?filter=${encodeURIComponent(filter)}`),
          200,
        )
      ).Resources.map(({ userName }: Json) => userName[0])
    for (const [filter, names] of [
      ['userName eq "B@EXAMPLE.com"', ['b']],
      ['userName eq "x[y]"', []],
      ['externalId eq "id-c"', ['c']],
      ['externalId eq "ID-C"', []],
      ['emails.value eq "a@example.com"', ['a']],
      ['emails[type eq "work"].value eq "a@example.com"', ['a']],
      ['emails[type eq "home"].value eq "a@example.com"', []],
      ['displayName co "son b" or userName sw "c@"', ['b', 'c']],
      ['userName ew ".com" and not (externalId eq "id-a")', ['b', 'c']],
      ['active eq true and (externalId eq "id-a" or externalId eq "id-b")', ['a', 'b']],
      ['active eq false', []],
      ['externalId pr', ['a', 'b', 'c']],
      [`meta.created gt "${new Date(clock.now() - 500).toISOString()}"`, ['c']],
      [`${urn}:User:userName eq "a@example.com"`, ['a']],
      ['userName eq "%" or userName eq "_@example.com"', []],
    ] as const)
      expect(await find(filter), filter).toEqual(names)
    const page = await expectStatus(await world.scim('GET', '/Users?startIndex=2&count=1'), 200)
    expect([page.totalResults, page.itemsPerPage, page.startIndex]).toEqual([3, 1, 2])
    expect(page.Resources[0].userName).toBe('b@example.com')
    const none = await expectStatus(await world.scim('GET', '/Users?count=0'), 200)
    expect([none.totalResults, none.Resources]).toEqual([3, []])
    expect(
      (await expectStatus(await world.scim('GET', '/Users?startIndex=-5&count=-1'), 200))
        .startIndex,
    ).toBe(1)
  })

  it.each([
    'userName',
    'userName eq',
    'userName eq "a',
    'userName like "a"',
    'password eq "x"',
    '__proto__ eq "x"',
    'constructor pr',
    'userName eq "a" and',
    '(userName eq "a"',
    'userName eq {}',
    'active gt true',
    'userName[type eq "x"] eq "a"',
    `${'('.repeat(50)}userName eq "a"${')'.repeat(50)}`,
    Array.from({ length: 30 }, () => 'userName eq "a"').join(' or '),
    "userName eq 'a' or 1=1 --",
  ])('a filter like %j is none (case 49)', async (filter) => {
    await refused(
      await world.scim('GET', `/Users?filter=${encodeURIComponent(filter)}`),
      400,
      'invalidFilter',
    )
  })

  it.each([
    [{}],
    [[]],
    [{ userName: '' }],
    [{ userName: ['a'] }],
    [{ userName: 'a', active: 'maybe' }],
    [{ userName: 'a', externalId: { a: 1 } }],
    ['{"userName":"a","__proto__":{"x":1}}'],
    [{ userName: 'a', big: 'x'.repeat(9000) }],
  ])('are not made of %j', async (body) => {
    const answer = await world.scim('POST', '/Users', body)
    expect(answer.status).toBe(400)
    expect(await count('scim_users')).toBe(0)
  })

  it.each([
    [{ op: 'replace', path: '__proto__.x', value: 1 }],
    [{ op: 'replace', path: 'name.constructor', value: 1 }],
    [{ op: 'move', path: 'active' }],
    [{ op: 'remove' }],
    [{ op: 'replace', path: 'userName', value: null }],
    [{ op: 'replace', path: 'emails[', value: 1 }],
    [{ op: 'replace', value: 'x' }],
  ])('are not changed by %j', async (operation) => {
    const made = await newPerson(world, 'new')
    expect((await patch(world, `/Users/${made.id}`, operation)).status).toBe(400)
    expect(await expectStatus(await world.scim('GET', `/Users/${made.id}`), 200)).toEqual(made)
  })

  it('have names of their own, also in a race', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        world.scim('POST', '/Users', person(i % 2 ? 'NEW@example.com' : 'new@example.com')),
      ),
    )
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    for (const answer of answers.filter(({ status }) => status !== 201))
      await refused(answer, 409, 'uniqueness')
    const { id } = await newPerson(world, 'other')
    await refused(
      await patch(world, `/Users/${id}`, {
        op: 'replace',
        path: 'userName',
        value: 'New@example.com',
      }),
      409,
      'uniqueness',
    )
  })

  it('change one after the other, and none of it is lost', async () => {
    const { id } = await newPerson(world, 'new')
    const answers = await Promise.all(
      Array.from({ length: 4 }, (_, i) =>
        patch(world, `/Users/${id}`, { op: 'add', path: `name.x${i}`, value: 'y' }),
      ),
    )
    for (const answer of answers) expect([200, 409]).toContain(answer.status)
    const { name, meta } = await expectStatus(await world.scim('GET', `/Users/${id}`), 200)
    const stored = answers.filter(({ status }) => status === 200).length
    expect(Object.keys(name).filter((key) => key.startsWith('x'))).toHaveLength(stored)
    expect(meta.version).toBe(`W/"${stored + 1}"`)
  })

  it('are no more than the organisation may have', async () => {
    world = await scimWorld({ limits: { members: () => 3 } })
    for (const name of ['a', 'b', 'c']) await newPerson(world, name)
    await refused(await world.scim('POST', '/Users', person('d@example.com')), 403, 'tooMany')
  })

  it('and groups of another directory are not there (case 42)', async () => {
    const made = await newPerson(world, 'new')
    const group = await expectStatus(
      await world.scim('POST', '/Groups', { displayName: 'Red', members: [{ value: made.id }] }),
      201,
    )
    const other = await newOrganization(world, world.stranger)
    const token = await newToken(world, world.stranger, `/organizations/${other.id}`)
    await mayFor(world, `/organizations/${other.id}`, ['example.com'])
    const before = JSON.stringify([
      await rows('SELECT * FROM leanto_auth_scim_users'),
      await rows('SELECT * FROM leanto_auth_teams'),
    ])
    for (const path of [`/Users/${made.id}`, `/Groups/${group.id}`]) {
      await refused(await world.scim('GET', path, undefined, token), 404)
      await refused(
        await world.scim('PUT', path, { ...person('x@example.com'), displayName: 'X' }, token),
        404,
      )
      await refused(
        await world.scim(
          'PATCH',
          path,
          {
            schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
            Operations: [{ op: 'replace', value: { displayName: 'X' } }],
          },
          token,
        ),
        404,
      )
      await refused(await world.scim('DELETE', path, undefined, token), 404)
    }
    const stolen = { displayName: 'Blue', members: [{ value: made.id }] }
    await refused(await world.scim('POST', '/Groups', stolen, token), 400, 'invalidValue')
    expect(
      (await expectStatus(await world.scim('GET', '/Users', undefined, token), 200)).totalResults,
    ).toBe(0)
    expect(
      (await expectStatus(await world.scim('GET', '/Groups', undefined, token), 200)).totalResults,
    ).toBe(0)
    expect(
      JSON.stringify([
        await rows('SELECT * FROM leanto_auth_scim_users'),
        await rows('SELECT * FROM leanto_auth_teams'),
      ]),
    ).toBe(before)
    // The same name is free there.
    await expectStatus(await world.scim('POST', '/Users', person('new@example.com'), token), 201)
  })
})
