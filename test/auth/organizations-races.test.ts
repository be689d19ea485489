import { beforeEach, describe, expect, it } from 'vitest'
import {
  activate,
  call,
  expectRefused,
  mailedToken,
  ok,
  organizationsWorld,
  type Staffed,
  staffed,
  type World,
} from './organizations-world.ts'
import { count, expectStatus, refresh, rows } from './world.ts'

/* Fifty at once, of each thing that may be done once, or up to a number, or as long as someone is left (case 19). */

const times = 50
let world: World
let staff: Staffed

const owners = async (): Promise<number> =>
  (await rows(`SELECT count(*) AS n FROM leanto_auth_members WHERE role = 'owner'`))[0].n

const parallel = (asks: readonly (() => Promise<Response>)[]) =>
  Promise.all(
    Array.from({ length: times }, (_, i) => (asks[i % asks.length] as () => Promise<Response>)()),
  )

const passed = (answers: readonly Response[]) => answers.filter(({ status }) => status < 300)

beforeEach(async () => {
  world = await organizationsWorld({
    limits: { members: 4, teams: 1, invitations: 2, organizations: 2 },
  })
  staff = await staffed(world)
})

describe('an organisation keeps an owner', () => {
  beforeEach(async () => {
    const { owner, admin, one } = staff
    await ok(call(world, owner, 'PATCH', `${one}/members/${admin.id}`, { role: 'owner' }))
  })

  it('when both leave at once', async () => {
    const { owner, admin, one } = staff
    const answers = await parallel(
      [owner, admin].map((who) => () => call(world, who, 'POST', `${one}/leave`)),
    )
    expect(passed(answers)).toHaveLength(1)
    expect(await owners()).toBe(1)
    expect(await count('members')).toBe(2)
  })

  it('when each removes the other at once', async () => {
    const { owner, admin, one } = staff
    const answers = await parallel([
      () => call(world, owner, 'DELETE', `${one}/members/${admin.id}`),
      () => call(world, admin, 'DELETE', `${one}/members/${owner.id}`),
    ])
    expect(passed(answers)).toHaveLength(1)
    expect(await owners()).toBe(1)
  })

  it('when each demotes the other, or themselves, at once', async () => {
    const { owner, admin, one } = staff
    await parallel(
      [owner, admin].flatMap((by) =>
        [owner, admin].map(
          (of) => () => call(world, by, 'PATCH', `${one}/members/${of.id}`, { role: 'member' }),
        ),
      ),
    )
    expect(await owners()).toBe(1)
  })

  it('when both hand it on at once', async () => {
    const { owner, admin, member, one } = staff
    await parallel([
      () => call(world, owner, 'POST', `${one}/transfer`, { user_id: admin.id }),
      () => call(world, admin, 'POST', `${one}/transfer`, { user_id: owner.id }),
      () => call(world, owner, 'POST', `${one}/transfer`, { user_id: member.id }),
      () => call(world, admin, 'POST', `${one}/leave`),
    ])
    expect(await owners()).toBeGreaterThan(0)
  })
})

it('is handed on once', async () => {
  const { owner, admin, member, one } = staff
  const answers = await parallel(
    [admin, member].map(
      (to) => () => call(world, owner, 'POST', `${one}/transfer`, { user_id: to.id }),
    ),
  )
  expect(passed(answers)).toHaveLength(1)
  expect(await owners()).toBe(1)
  expect(await rows(`SELECT role FROM leanto_auth_members WHERE user_id = '${owner.id}'`)).toEqual([
    { role: 'admin' },
  ])
})

it('an invitation is accepted once, into one membership', async () => {
  const { owner, stranger, one } = staff
  const { id } = await ok(
    call(world, owner, 'POST', `${one}/invitations`, { email: stranger.email }),
  )
  const token = mailedToken(stranger.email)
  const answers = await parallel([
    () => call(world, stranger, 'POST', '/invitations/accept', { token }),
    () => call(world, stranger, 'POST', `/invitations/${id}/accept`),
  ])
  expect(passed(answers)).toHaveLength(1)
  for (const answer of answers.filter(({ status }) => status >= 300))
    await expectRefused(answer, 404, 'invitation_not_found')
  expect([await count('members'), await count('invitations')]).toEqual([4, 0])
})

it('an invitation is accepted or declined, not both', async () => {
  const { owner, stranger, one } = staff
  const { id } = await ok(
    call(world, owner, 'POST', `${one}/invitations`, { email: stranger.email }),
  )
  const answers = await parallel(
    ['accept', 'decline'].map(
      (verb) => () => call(world, stranger, 'POST', `/invitations/${id}/${verb}`),
    ),
  )
  expect(passed(answers)).toHaveLength(1)
  expect(await count('members')).toBe(passed(answers)[0]?.status === 200 ? 4 : 3)
})

it('no more join, are invited, are made than may be', async () => {
  const { owner, one } = staff
  const mates = await Promise.all(['a', 'b'].map(world.person))
  const ids: string[] = []
  for (const { email } of mates)
    ids.push((await ok(call(world, owner, 'POST', `${one}/invitations`, { email }))).id)
  const joined = await parallel(
    mates.map((mate, i) => () => call(world, mate, 'POST', `/invitations/${ids[i]}/accept`)),
  )
  expect(passed(joined)).toHaveLength(1)
  expect([await count('members'), await count('invitations')]).toEqual([4, 1])
  await Promise.all(
    Array.from({ length: times }, (_, i) =>
      call(world, owner, 'POST', `${one}/invitations`, { email: `x${i}@example.com` }),
    ),
  )
  expect(await count('invitations')).toBe(2)
  await Promise.all(
    Array.from({ length: times }, (_, i) =>
      call(world, owner, 'POST', `${one}/teams`, { name: `T${i}` }),
    ),
  )
  expect(await count('teams')).toBe(1)
  await parallel([() => call(world, owner, 'POST', '/organizations', { name: 'X' })])
  expect(await count('organizations')).toBe(2)
})

it('a role that is taken away writes nothing any more', async () => {
  const { owner, admin, member, one } = staff
  await parallel([
    () => call(world, owner, 'PATCH', `${one}/members/${admin.id}`, { role: 'member' }),
    () => call(world, admin, 'PATCH', `${one}/members/${member.id}`, { role: 'admin' }),
    () => call(world, owner, 'PATCH', `${one}/members/${member.id}`, { role: 'member' }),
  ])
  const [before] = await rows(`SELECT role FROM leanto_auth_members WHERE user_id = '${member.id}'`)
  await expectRefused(
    await call(world, admin, 'PATCH', `${one}/members/${member.id}`, { role: 'admin' }),
    403,
    'organization_forbidden',
  )
  expect(await rows(`SELECT role FROM leanto_auth_members WHERE user_id = '${member.id}'`)).toEqual(
    [before],
  )
})

it('a session that is made active by many at once goes on by one token', async () => {
  const { member, organization } = staff
  const answers = await parallel([() => activate(world, member, organization.id)])
  const tokens = await Promise.all(
    passed(answers).map(async (one) => (await one.json<{ refresh_token: string }>()).refresh_token),
  )
  expect(tokens.length).toBeGreaterThan(0)
  const { id } = (
    await rows(`SELECT id FROM leanto_auth_sessions WHERE user_id = '${member.id}'`)
  )[0]
  const alive = await rows(`SELECT hash FROM leanto_auth_refresh_tokens WHERE session_id = '${id}'`)
  expect(alive).toHaveLength(1)
  const used = await Promise.all(tokens.map((token) => refresh(world.ask, token)))
  const good = used.filter(({ status }) => status === 200)
  expect(good).toHaveLength(1)
  await expectStatus(good[0] as Response, 200)
})

it('a member who is removed while they accept again is in it once or not at all', async () => {
  const { owner, member, one } = staff
  await ok(call(world, owner, 'DELETE', `${one}/members/${member.id}`), 204)
  const { id } = await ok(call(world, owner, 'POST', `${one}/invitations`, { email: member.email }))
  await parallel([
    () => call(world, member, 'POST', `/invitations/${id}/accept`),
    () => call(world, owner, 'DELETE', `${one}/members/${member.id}`),
  ])
  expect(await count('invitations')).toBe(0)
  expect([2, 3]).toContain(await count('members'))
})
