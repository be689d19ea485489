import { env } from 'cloudflare:workers'
import { SignJWT } from 'jose'
import { mfa } from 'leanto/auth/mfa'
import { cookies, trust } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, makeBase } from '../kit/world.ts'
import {
  activate,
  call,
  expectRefused,
  newOrganization,
  ok,
  organizationsWorld,
  refreshed,
  type Staffed,
  staffed,
  type World,
} from './organizations-world.ts'
import { claimsOf, count, refresh, rows } from './world.ts'

const _scopeOf = () => makeBase().scope({ env })
let world: World
let staff: Staffed

describe('a token', () => {
  beforeEach(async () => {
    world = await organizationsWorld({ claims: 3 })
    staff = await staffed(world)
  })

  it('says which organisations its user is in, with role and teams, from the next refresh on', async () => {
    const { owner, member, one, organization } = staff
    const team = await ok(call(world, owner, 'POST', `${one}/teams`, { name: 'Red' }))
    await ok(call(world, owner, 'POST', `${one}/teams/${team.id}/members`, { user_id: member.id }))
    expect(claimsOf(member.token).orgs).toEqual({})
    const { orgs, org } = await refreshed(world, member)
    expect(orgs).toEqual({ [organization.id]: { role: 'member', teams: [team.id] } })
    expect(org).toBeUndefined()
    expect((await refreshed(world, owner)).orgs).toEqual({ [organization.id]: { role: 'owner' } })
    // A sign-in is told as well.
    const body = { email: member.email, password: 'correct horse battery staple' }
    const again = await ok(call(world, undefined, 'POST', '/token?grant_type=password', body))
    expect(claimsOf(again.access_token).orgs).toEqual(orgs)
  })

  it('is for one of them, until that is changed', async () => {
    const { member, organization } = staff
    const session = await ok(activate(world, member, organization.id))
    const active = { id: organization.id, role: 'member' }
    expect(claimsOf(session.access_token)).toMatchObject({
      org: active,
      session_id: claimsOf(member.token).session_id,
    })
    // The refresh tokens from before are dead (case 16).
    const stale = await refresh(world.ask, member.session.refresh_token)
    await expectRefused(stale, 400, 'refresh_token_not_found')
    Object.assign(member, { session, token: session.access_token })
    expect((await refreshed(world, member)).org).toEqual(active)
    Object.assign(member, { session: await ok(activate(world, member, null)) })
    expect((await refreshed(world, member)).org).toBeUndefined()
  })

  it('is for none that its user is not in', async () => {
    const { stranger, organization } = staff
    const before = await rows('SELECT * FROM leanto_auth_refresh_tokens ORDER BY hash')
    await expectRefused(
      await activate(world, stranger, organization.id),
      404,
      'organization_not_found',
    )
    expect(await rows('SELECT * FROM leanto_auth_refresh_tokens ORDER BY hash')).toEqual(before)
    expect(await count('active_organizations')).toBe(0)
    for (const id of ['x', 1, undefined, ['a']])
      expect((await activate(world, stranger, id as never)).status).toBe(400)
  })

  it('is no surer of its user than the one that it is made for', async () => {
    const { member, organization } = staff
    await env.DB.prepare(`UPDATE leanto_auth_sessions SET aal = 'aal2' WHERE user_id = ?`)
      .bind(member.id)
      .run()
    await expectRefused(await activate(world, member, organization.id), 403, 'session_not_found')
    expect(await count('active_organizations')).toBe(0)
  })

  it('loses the active one with the membership, and what has been given anew is anew', async () => {
    const { owner, member, one, organization } = staff
    const session = await ok(activate(world, member, organization.id))
    Object.assign(member, { session, token: session.access_token })
    await ok(call(world, owner, 'DELETE', `${one}/members/${member.id}`), 204)
    const claims = await refreshed(world, member)
    expect([claims.orgs, claims.org]).toEqual([{}, undefined])
  })

  it('names a bounded number, the active one first, and says that there are more', async () => {
    const { owner } = staff
    const ids = [staff.organization.id]
    for (let i = 0; i < 4; i++) ids.push((await newOrganization(world, owner)).id)
    const claims = await refreshed(world, owner)
    expect(Object.keys(claims.orgs)).toEqual(ids.slice(0, 3))
    expect(claims.orgs_cut).toBe(true)
    const last = ids.at(-1) as string
    const { access_token } = await ok(activate(world, owner, last))
    const active = claimsOf(access_token)
    expect(Object.keys(active.orgs)).toEqual([last, ...ids.slice(0, 2)])
    expect(active.org).toEqual({ id: last, role: 'owner' })
  })

  it('takes no such claim from the host’s hook', async () => {
    world = await organizationsWorld(
      {},
      {
        before: {
          accessToken: () => ({ orgs: { x: { role: 'owner' } }, org: { id: 'x' }, other: 1 }),
        },
      },
    )
    const { token } = await world.person('ann')
    expect(claimsOf(token)).toMatchObject({ orgs: {}, other: 1 })
    expect(claimsOf(token).org).toBeUndefined()
  })
})

describe('beside other parts', () => {
  it('nobody acts who has yet to show a second factor, where it is enforced (case 17)', async () => {
    world = await organizationsWorld({}, { with: [mfa({ enforce: true })] })
    const ann = await world.person('ann')
    const one = `/organizations/${(await newOrganization(world, ann)).id}`
    const factor = await ok(call(world, ann, 'POST', '/factors', { factor_type: 'totp' }))
    await env.DB.prepare(`UPDATE leanto_auth_factors SET status = 'verified' WHERE id = ?`)
      .bind(factor.id)
      .run()
    const body = { email: ann.email, password: 'correct horse battery staple' }
    const half = await ok(call(world, undefined, 'POST', '/token?grant_type=password', body))
    const pending = { token: half.access_token }
    for (const [method, path, sent] of [
      ['GET', one],
      ['POST', `${one}/invitations`, { email: 'x@example.com', role: 'owner' }],
      ['POST', '/organizations/active', { organization_id: null }],
      ['DELETE', one],
    ] as const)
      await expectRefused(await call(world, pending, method, path, sent), 401, 'insufficient_aal')
    expect([await count('organizations'), await count('invitations')]).toEqual([1, 0])
    // Their own account they may reach, to show the factor.
    await ok(call(world, pending, 'GET', '/user'))
  })

  it('a session in cookies is told of the active organisation in its cookies', async () => {
    world = await organizationsWorld({}, { with: [cookies()] })
    const ann = await world.person('ann')
    const { id } = await newOrganization(world, ann)
    const body = { email: ann.email, password: 'correct horse battery staple' }
    const signedIn = await call(world, undefined, 'POST', '/token?grant_type=password', body, {
      headers: { prefer: 'session=cookie', 'sec-fetch-site': 'same-origin' },
    })
    expect(signedIn.status).toBe(200)
    const jar = (answer: Response) =>
      answer.headers
        .getSetCookie()
        .map((one) => one.split(';')[0])
        .join('; ')
    const cookie = jar(signedIn)
    const page = { headers: { cookie, 'sec-fetch-site': 'same-origin' } }
    const chosen = { organization_id: id }
    const elsewhere = { headers: { cookie, 'sec-fetch-site': 'cross-site' } }
    const refused = await call(world, undefined, 'POST', '/organizations/active', chosen, elsewhere)
    expect(refused.status).toBe(403)
    const answer = await call(world, undefined, 'POST', '/organizations/active', chosen, page)
    expect(answer.status).toBe(200)
    expect(await answer.text()).not.toMatch(/"(?:access|refresh)_token":"[^"]/)
    const token = jar(answer).match(/auth-access=([^;]+)/)?.[1] as string
    expect(claimsOf(token).org.id).toBe(id)
    // And the session goes on by them.
    const next = { headers: { cookie: jar(answer), 'sec-fetch-site': 'same-origin' } }
    const renewed = await call(world, undefined, 'POST', '/cookie', {}, next)
    expect(renewed.status, await renewed.clone().text()).toBeLessThan(300)
  })

  it('someone whose session is another issuer’s acts by it, and makes none of it active', async () => {
    const secret = 'a secret of the project before, which is long enough'
    const issuer = 'https://old.example/auth/v1'
    world = await organizationsWorld({}, { with: [trust([{ issuer, secret }])] })
    const ann = await world.person('ann')
    const { id } = await newOrganization(world, ann)
    const now = Math.floor(clock.now() / 1000)
    const token = await new SignJWT({ role: 'authenticated', session_id: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(issuer)
      .setAudience('authenticated')
      .setSubject(ann.id)
      .setIssuedAt(now)
      .setExpirationTime(now + 60)
      .sign(new TextEncoder().encode(secret))
    expect((await ok(call(world, { token }, 'GET', `/organizations/${id}`))).role).toBe('owner')
    const active = await activate(world, { ...ann, token }, id)
    await expectRefused(active, 403, 'session_not_found')
    expect(await count('active_organizations')).toBe(0)
  })
})
