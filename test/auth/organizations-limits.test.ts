import { describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  call,
  expectRefused,
  inbox,
  mailedToken,
  newOrganization,
  ok,
  organizationsWorld,
  type Staffed,
  staffed,
  type World,
} from './organizations-world.ts'
import { count, rows } from './world.ts'

let world: World
let staff: Staffed

type Who = 'owner' | 'admin' | 'member' | 'stranger'
const _everyone: readonly Who[] = ['owner', 'admin', 'member', 'stranger']

/** All of the part that is stored. */
const _stored = async () =>
  JSON.stringify(
    await Promise.all(
      ['organizations', 'members', 'teams', 'team_members', 'invitations'].map((table) =>
        rows(`SELECT * FROM leanto_auth_${table} ORDER BY 1, 2`),
      ),
    ),
  )

describe('limits', () => {
  it('hold for what one user owns', async () => {
    world = await organizationsWorld({ limits: { organizations: 2 } })
    const ann = await world.person('ann')
    for (let i = 0; i < 2; i++) await newOrganization(world, ann)
    await expectRefused(
      await call(world, ann, 'POST', '/organizations', { name: 'C' }),
      422,
      'organization_limit',
    )
  })

  it('say who may make one', async () => {
    world = await organizationsWorld({ create: false })
    const ann = await world.person('ann')
    await expectRefused(
      await call(world, ann, 'POST', '/organizations', { name: 'C' }),
      403,
      'organization_forbidden',
    )
    world = await organizationsWorld({ create: async (_, { userId }) => userId === chosen })
    const chosen = (await world.person('bob')).id
    await newOrganization(world, await world.person('bob'))
    const refused = await call(world, await world.person('ann'), 'POST', '/organizations', {
      name: 'C',
    })
    await expectRefused(refused, 403, 'organization_forbidden')
  })

  it('hold for each organisation, and may follow its plan', async () => {
    world = await organizationsWorld({
      limits: {
        members: (_, { app_metadata }) => (app_metadata.plan === 'gold' ? false : 3),
        invitations: 1,
        teams: async () => 1,
      },
    })
    staff = await staffed(world)
    const { owner, stranger, one } = staff
    await ok(call(world, owner, 'POST', `${one}/invitations`, { email: stranger.email }))
    const second = await call(world, owner, 'POST', `${one}/invitations`, {
      email: 'x@example.com',
    })
    await expectRefused(second, 422, 'organization_limit')
    // The same one again is no second.
    await ok(call(world, owner, 'POST', `${one}/invitations`, { email: stranger.email }))
    const token = mailedToken(stranger.email)
    const accept = () => call(world, stranger, 'POST', '/invitations/accept', { token })
    await expectRefused(await accept(), 422, 'organization_limit')
    expect(await count('invitations')).toBe(1)
    const service = { key: 'secret' } as const
    const put = () =>
      call(world, undefined, 'PUT', `/admin${one}/members/${stranger.id}`, {}, service)
    await expectRefused(await put(), 422, 'organization_limit')
    await ok(
      call(world, undefined, 'PATCH', `/admin${one}`, { app_metadata: { plan: 'gold' } }, service),
    )
    await ok(accept())
    await ok(call(world, owner, 'POST', `${one}/teams`, { name: 'Red' }))
    await expectRefused(
      await call(world, owner, 'POST', `${one}/teams`, { name: 'Red' }),
      422,
      'organization_team_exists',
    )
    await expectRefused(
      await call(world, owner, 'POST', `${one}/teams`, { name: 'Blue' }),
      422,
      'organization_limit',
    )
  })

  it('hold for mails, by network, address and organisation', async () => {
    const limits = { signUps: false, messages: { max: 2, seconds: 300 }, mails: false } as const
    world = await organizationsWorld({ limits: { mails: { max: 4, seconds: 3600 } } }, { limits })
    staff = await staffed(world)
    const { owner, stranger, one } = staff
    const invite = (email: string, by = owner) =>
      call(world, by, 'POST', `${one}/invitations`, { email })
    // Strangers spend nothing of it.
    for (let i = 0; i < 10; i++) expect((await invite('a@example.com', stranger)).status).toBe(404)
    await ok(invite('a@example.com'))
    await ok(invite('a@example.com'))
    inbox.clear()
    await expectRefused(await invite('a@example.com'), 429, 'over_request_rate_limit')
    // Two have joined by one each, and two were sent: that was the organisation's.
    await expectRefused(await invite('b@example.com'), 429, 'over_request_rate_limit')
    expect(inbox.mails).toEqual([])
    expect(await count('invitations')).toBe(1)
    // Others have theirs.
    const other = await newOrganization(world, stranger)
    await ok(
      call(world, stranger, 'POST', `/organizations/${other.id}/invitations`, {
        email: 'b@example.com',
      }),
    )
    clock.time = Math.ceil(clock.time / 3_600_000) * 3_600_000
  })
})
