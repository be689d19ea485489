import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import {
  call,
  expectRefused,
  inbox,
  join,
  mailedToken,
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
const _everyone: readonly Who[] = ['owner', 'admin', 'member', 'stranger']

/** All of the part that is stored. */
const stored = async () =>
  JSON.stringify(
    await Promise.all(
      ['organizations', 'members', 'teams', 'team_members', 'invitations'].map((table) =>
        rows(`SELECT * FROM leanto_auth_${table} ORDER BY 1, 2`),
      ),
    ),
  )

describe('an invitation (case 43)', () => {
  let token: string
  let id: string
  const invite = (email: string, more: object = {}, by = staff.owner) =>
    call(world, by, 'POST', `${staff.one}/invitations`, { email, ...more })
  const accept = (by: Person | undefined, body: object) =>
    call(world, by, 'POST', '/invitations/accept', body)

  beforeEach(async () => {
    world = await organizationsWorld({ invitations: { seconds: 900 } })
    staff = await staffed(world)
    const made = await ok(invite('  Stranger@EXAMPLE.com'.trim(), { role: 'admin' }))
    id = made.id
    token = mailedToken('stranger@example.com')
    expect(made).toEqual({
      id: expect.any(String),
      organization_id: staff.organization.id,
      email: 'stranger@example.com',
      role: 'admin',
      team_ids: [],
      invited_by: staff.owner.id,
      created_at: new Date(clock.now()).toISOString(),
      expires_at: new Date(clock.now() + 900_000).toISOString(),
    })
  })

  it('leads to the app, with a token that is stored hashed and in no answer', async () => {
    const { subject, text } = inbox.last('stranger@example.com')
    expect(subject).toBe('You have been invited')
    expect(text).toContain(`https://app.example/#invitation_token=${token}`)
    // What others have written is in no mail of ours.
    expect(text).not.toContain('Acme')
    expect(await stored()).not.toContain(token)
    const listed = await call(world, staff.owner, 'GET', `${staff.one}/invitations`)
    expect(await listed.text()).not.toContain(token)
  })

  it('is for whoever has the address, by the token or from the list', async () => {
    const { stranger, organization } = staff
    const { invitations } = await ok(call(world, stranger, 'GET', '/invitations'))
    expect(invitations).toEqual([
      expect.objectContaining({
        id,
        organization: { id: organization.id, name: 'Acme', slug: null },
      }),
    ])
    expect(await ok(accept(stranger, { token }))).toMatchObject({
      organization_id: organization.id,
      user_id: stranger.id,
      role: 'admin',
      email: stranger.email,
    })
    expect((await ok(call(world, stranger, 'GET', '/invitations'))).invitations).toEqual([])
    await expectRefused(await accept(stranger, { token }), 404, 'invitation_not_found')
  })

  it('is for nobody else, whatever they know of it', async () => {
    const other = await world.person('other')
    await expectRefused(await accept(other, { token }), 403, 'invitation_address')
    await expectRefused(
      await call(world, other, 'POST', `/invitations/${id}/accept`),
      404,
      'invitation_not_found',
    )
    await expectRefused(
      await call(world, other, 'POST', `/invitations/${id}/decline`),
      404,
      'invitation_not_found',
    )
    const decline = await call(world, other, 'POST', '/invitations/decline', { token })
    await expectRefused(decline, 403, 'invitation_address')
    expect((await accept(undefined, { token })).status).toBe(401)
    for (const wrong of ['x', '', ['a'], { a: 1 }, null, 1])
      expect((await accept(other, { token: wrong })).status).toBeGreaterThanOrEqual(400)
    expect([await count('invitations'), await count('members')]).toEqual([1, 3])
  })

  it('is for no address that is not proven', async () => {
    const { stranger } = staff
    await env.DB.prepare('UPDATE leanto_auth_users SET email_confirmed_at = NULL WHERE id = ?')
      .bind(stranger.id)
      .run()
    expect((await ok(call(world, stranger, 'GET', '/invitations'))).invitations).toEqual([])
    await expectRefused(await accept(stranger, { token }), 403, 'invitation_address')
    await expectRefused(
      await call(world, stranger, 'POST', `/invitations/${id}/accept`),
      404,
      'invitation_not_found',
    )
    expect(await count('members')).toBe(3)
  })

  it('ends with its time', async () => {
    clock.advance(899)
    expect((await ok(call(world, staff.stranger, 'GET', '/invitations'))).invitations).toHaveLength(
      1,
    )
    clock.advance(1)
    await expectRefused(await accept(staff.stranger, { token }), 404, 'invitation_not_found')
    expect(await count('members')).toBe(3)
  })

  it('that is sent again is another one, and the one before is dead', async () => {
    const { admin, owner, one, stranger } = staff
    // An admin does not renew what only an owner could give.
    await ok(invite('y@example.com', { role: 'owner' }))
    const { invitations } = await ok(call(world, owner, 'GET', `${one}/invitations`))
    const [, high] = invitations as Json[]
    await expectRefused(
      await call(world, admin, 'POST', `${one}/invitations/${high.id}/resend`),
      403,
      'organization_forbidden',
    )
    clock.advance(60)
    const again = await ok(call(world, admin, 'POST', `${one}/invitations/${id}/resend`))
    expect(again).toMatchObject({ id, invited_by: admin.id })
    expect(mailedToken(stranger.email)).not.toBe(token)
    await expectRefused(await accept(stranger, { token }), 404, 'invitation_not_found')
    await ok(accept(stranger, { token: mailedToken(stranger.email) }))
  })

  it('that is made again replaces the one before', async () => {
    const again = await ok(invite('stranger@example.com', { role: 'member' }))
    expect([again.id, again.role]).toEqual([id, 'member'])
    await expectRefused(await accept(staff.stranger, { token }), 404, 'invitation_not_found')
    expect(
      await ok(accept(staff.stranger, { token: mailedToken('stranger@example.com') })),
    ).toMatchObject({
      role: 'member',
    })
  })

  it('that is revoked or declined is gone', async () => {
    const { owner, one, stranger } = staff
    await ok(call(world, owner, 'DELETE', `${one}/invitations/${id}`), 204)
    await expectRefused(await accept(stranger, { token }), 404, 'invitation_not_found')
    await ok(invite(stranger.email))
    await ok(
      call(world, stranger, 'POST', '/invitations/decline', { token: mailedToken(stranger.email) }),
      204,
    )
    expect([await count('invitations'), await count('members')]).toEqual([0, 3])
  })

  it('ends with the right of whoever made it', async () => {
    const { admin, owner, one } = staff
    const mate = await world.person('mate')
    await ok(invite(mate.email, { role: 'admin' }, admin))
    const shown = { token: mailedToken(mate.email) }
    await ok(call(world, owner, 'PATCH', `${one}/members/${admin.id}`, { role: 'member' }))
    await expectRefused(await accept(mate, shown), 404, 'invitation_not_found')
    await ok(call(world, owner, 'DELETE', `${one}/members/${admin.id}`), 204)
    await expectRefused(await accept(mate, shown), 404, 'invitation_not_found')
    expect((await ok(call(world, mate, 'GET', '/invitations'))).invitations).toEqual([])
    expect(await count('members')).toBe(2)
  })

  it('leads into teams of the organisation, and into no other’s', async () => {
    const { owner, one } = staff
    const mate = await world.person('mate')
    const team = await ok(call(world, owner, 'POST', `${one}/teams`, { name: 'Red' }))
    const strange = await invite(mate.email, { team_ids: [team.id, staff.organization.id] })
    await expectRefused(strange, 404, 'organization_team_not_found')
    await join(world, owner, mate, staff.organization.id, { team_ids: [team.id, team.id] })
    const { members } = await ok(call(world, owner, 'GET', `${one}/teams/${team.id}/members`))
    expect(members.map(({ email }: Json) => email)).toEqual([mate.email])
  })

  it('tells nothing of who has an account', async () => {
    await world.person('known')
    const answers = []
    for (const email of ['known@example.com', 'nobody@example.com']) {
      const answer = await invite(email)
      const { id: _, email: __, ...rest } = await answer.json<Json>()
      answers.push([answer.status, rest])
    }
    expect(answers[0]).toEqual(answers[1])
    // Of members every member knows.
    await expectRefused(await invite(staff.member.email), 422, 'organization_member_exists')
  })

  it.each([[''], ['x'], ['a@b@c.d'], [['a@example.com']], [{ a: 1 }]])(
    'to %j is none',
    async (email) => {
      expect((await invite(email as string)).status).toBe(400)
    },
  )

  it('has a mail of the host’s own', async () => {
    world = await organizationsWorld(
      {},
      {
        mails: {
          organization_invite: ({ link, subject, data }) => ({
            subject: `Join ${subject}\r\nBcc: x@example.com`,
            text: `${link} ${JSON.stringify(data)}`,
          }),
        },
      },
    )
    const owner = await world.person('owner')
    const { id: organization } = await newOrganization(world, owner, {
      name: 'Acme <b>',
      slug: 'acme',
    })
    await ok(
      call(
        world,
        owner,
        'POST',
        `/organizations/${organization}/invitations?redirect_to=${encodeURIComponent('https://app.example/join')}`,
        { email: 'x@example.com' },
      ),
    )
    const { subject, text } = inbox.last('x@example.com')
    expect(subject).toBe('Join Acme <b> Bcc: x@example.com')
    expect(text).toContain('https://app.example/join#invitation_token=')
    expect(text).toContain(
      JSON.stringify({
        organization: { id: organization, name: 'Acme <b>', slug: 'acme' },
        role: 'member',
        invited_by: owner.id,
      }),
    )
    // A place that is not the app's is none (case 24).
    await ok(
      call(
        world,
        owner,
        'POST',
        `/organizations/${organization}/invitations?redirect_to=https://evil.example`,
        { email: 'y@example.com' },
      ),
    )
    expect(inbox.last('y@example.com').text).toMatch(/^https:\/\/app\.example\/#invitation_token=/)
  })
})
