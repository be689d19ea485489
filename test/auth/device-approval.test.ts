import { mfa } from 'leanto/auth/mfa'
import { trust } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { clock } from '../kit/world.ts'
import { type DeviceWorld, makeUsers, makeWorld, type Setup, worldOf } from './device-world.ts'
import { makeInbox } from './inbox.ts'
import { withFactor } from './mfa-world.ts'
import { device, oldIssuer, oldSecret, signOld } from './trust-world.ts'
import { claimsOf, count, expectStatus, type Json, mountAuth, post, rows, signIn } from './world.ts'

let world: DeviceWorld
const mounted = async (setup: Setup = {}) => {
  world = await makeWorld(setup)
}
beforeEach(() => mounted())

const errorOf = async (response: Response, status = 400): Promise<string> =>
  (await expectStatus(response, status)).error
const codeOf = async (response: Response, status: number): Promise<string> =>
  (await expectStatus(response, status)).error_code

describe('an approval', () => {
  const approved = async () => {
    const begun = await world.begin()
    await world.approve(begun.user_code)
    return begun
  }
  const denied = async (begun: Json) => {
    expect(await errorOf(await world.poll(begun.device_code))).toBe('access_denied')
    expect(await count('oauth_sessions')).toBe(0)
  }

  it('is gone with the session that gave it', async () => {
    const begun = await approved()
    const { access_token: token } = world.session
    await world.ask('/auth/v1/logout?scope=local', { method: 'POST', token })
    await denied(begun)
  })

  it('is gone with the grant', async () => {
    const begun = await approved()
    const { access_token: token } = world.session
    const path = `/auth/v1/user/oauth/grants?client_id=${world.client.client_id}`
    expect((await world.ask(path, { method: 'DELETE', token })).status).toBe(204)
    await denied(begun)
  })

  it.each([
    ['banned', 'UPDATE leanto_auth_users SET banned_until = 9e15'],
    ['deleted', 'UPDATE leanto_auth_users SET deleted_at = 1'],
  ])('is gone where its user is %s', async (_, sql) => {
    const begun = await approved()
    await rows(sql)
    await denied(begun)
  })

  it('is listed as a grant, beside what was agreed to before', async () => {
    const { access_token: token } = world.session
    for (const scope of ['openid', 'notes']) {
      const { user_code } = await world.begin({ scope })
      await world.approve(user_code)
    }
    const { 0: grant, length } = await expectStatus(
      await world.ask('/auth/v1/user/oauth/grants', { token }),
      200,
    )
    expect(length).toBe(1)
    expect(grant).toMatchObject({ client: { name: 'Big Screen' }, scopes: ['openid', 'notes'] })
  })

  it('gives what the session has shown, and no more', async () => {
    await mounted({ auth: { with: [mfa()] } })
    await rows(`UPDATE leanto_auth_sessions SET aal = 'aal2', factor_id = 'f',
      amr = json_insert(amr, '$[#]', json('{"method":"totp","timestamp":1780315200}'))`)
    // A token that was minted before the second factor was shown stays aal1 (case 16).
    expect(claimsOf((await world.connect()).access_token).aal).toBe('aal1')
  })

  it('goes with its user', async () => {
    const { user_code } = await world.begin()
    await expectStatus(await world.claim(user_code), 200)
    const { id } = world.session.user
    const gone = await world.ask(`/auth/v1/admin/users/${id}`, { method: 'DELETE', key: 'secret' })
    expect(gone.status).toBe(200)
    expect(await count('oauth_devices')).toBe(0)
  })

  it('goes with its client', async () => {
    const { device_code, user_code } = await world.begin()
    await world.approve(user_code)
    const path = `/auth/v1/admin/oauth/clients/${world.client.client_id}`
    expect((await world.ask(path, { method: 'DELETE', key: 'secret' })).status).toBe(204)
    expect(await count('oauth_devices')).toBe(0)
    expect(await errorOf(await world.poll(device_code), 401)).toBe('invalid_client')
  })
})

it('an approval is not lost by a failure of the host’s (case 20)', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  let fails = true
  const accessToken = () => {
    if (fails) throw new Error('the hook is down')
    return { plan: 'gold' }
  }
  await mounted()
  const { device_code, user_code } = await world.begin()
  await world.approve(user_code)
  const users = makeUsers({ auth: { before: { accessToken } } })
  const broken = worldOf({ ...world, users, ask: mountAuth(users) })
  for (let i = 0; i < 2; i++) expect((await broken.poll(device_code)).status).toBe(500)
  expect([await count('oauth_sessions'), await count('sessions')]).toEqual([0, 1])
  fails = false
  const tokens = await expectStatus(await broken.poll(device_code), 200)
  expect(claimsOf(tokens.access_token).plan).toBe('gold')
  expect(await errorOf(await broken.poll(device_code))).toBe('invalid_grant')
})

describe('whoever may not let a client in', () => {
  it('is a session that waits for its second factor (case 17)', async () => {
    await mounted({ auth: { with: [mfa({ enforce: true })] } })
    const { device_code, user_code } = await world.begin()
    const { session } = await withFactor(world.ask, world.session)
    const waiting = await expectStatus(await signIn(world.ask, 'ann@example.com'), 200)
    const { access_token: weak } = waiting
    expect(await codeOf(await world.claim(user_code, weak), 401)).toBe('insufficient_aal')
    // Whatever it has claimed, it cannot answer.
    expect(await codeOf(await world.consent(user_code, 'approve', weak), 401)).toBe(
      'insufficient_aal',
    )
    expect(await errorOf(await world.poll(device_code))).toBe('authorization_pending')
    const other = await world.begin()
    const { access_token: strong } = session
    await expectStatus(await world.claim(other.user_code, strong), 200)
    await expectStatus(await world.consent(other.user_code, 'approve', strong), 200)
    const tokens = await expectStatus(await world.poll(other.device_code), 200)
    expect(claimsOf(tokens.access_token).aal).toBe('aal2')
    expect(claimsOf(tokens.id_token).amr).toContain('totp')
  })
})

describe('a session of another issuer', () => {
  const old = () =>
    mounted({ auth: { with: [trust([{ issuer: oldIssuer, secret: oldSecret }]), mfa()] } })
  const theirs = async (session = device(0)) =>
    signOld({ sub: world.session.user.id, session, since: Math.floor(clock.now() / 1000) - 60 })

  it('approves, until it has ended here', async () => {
    await old()
    const token = await theirs()
    const approved = async () => {
      const begun = await world.begin()
      await expectStatus(await world.claim(begun.user_code, token), 200)
      await expectStatus(await world.consent(begun.user_code, 'approve', token), 200)
      return begun
    }
    await expectStatus(await world.poll((await approved()).device_code), 200)
    const begun = await approved()
    // Another of the user's sessions ends alone.
    const elsewhere = await theirs(device(1))
    const out = (which: string, by: string) =>
      world.ask(`/auth/v1/logout?scope=${which}`, { method: 'POST', token: by })
    expect((await out('local', elsewhere)).status).toBe(204)
    expect((await rows('SELECT 1 FROM leanto_auth_oauth_devices')).length).toBe(2)
    expect((await out('local', token)).status).toBe(204)
    expect(await errorOf(await world.poll(begun.device_code))).toBe('invalid_grant')
  })

  it('has no part in what another session has claimed (case 28)', async () => {
    await old()
    const { user_code } = await world.begin()
    await expectStatus(await world.claim(user_code), 200)
    const token = await theirs()
    expect(await codeOf(await world.claim(user_code, token), 404)).toBe('oauth_device_not_found')
    expect(await codeOf(await world.consent(user_code, 'approve', token), 404)).toBe(
      'oauth_device_not_found',
    )
  })
})

it('an approval before the address was proven is gone with its first proof (case 3)', async () => {
  const inbox = makeInbox()
  await mounted({ auth: { mailer: inbox.mailer, autoconfirm: true } })
  const { device_code, user_code } = await world.begin()
  await world.approve(user_code)
  await rows('UPDATE leanto_auth_users SET email_confirmed_at = NULL')
  await expectStatus(await post(world.ask, '/otp', { email: 'ann@example.com' }), 200)
  const shown = { type: 'magiclink', token_hash: inbox.token('ann@example.com') }
  await expectStatus(await post(world.ask, '/verify', shown), 200)
  expect((await world.poll(device_code)).status).toBe(400)
  expect([await count('oauth_sessions'), await count('oauth_consents')]).toEqual([0, 0])
})
