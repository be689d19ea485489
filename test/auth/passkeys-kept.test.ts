import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { withFactor } from './mfa-world.ts'
import {
  creation,
  email,
  expectRefused,
  newPasskey,
  passkeyWorld,
  register,
  trySignIn,
  type World,
} from './passkey-world.ts'
import { count, expectStatus, post, rows, signUp } from './world.ts'

/* Passkeys that are there: whose they are, who changes them, and what ends them. */

let world: World
beforeEach(async () => {
  world = await passkeyWorld()
})

const flows = () => count('flows')

describe('the list', () => {
  const list = async (token = world.token) =>
    expectStatus(await world.ask('/auth/v1/passkeys', { token }), 200)
  const change = (id: string, method: string, body?: object, token = world.token) =>
    world.ask(`/auth/v1/passkeys/${id}`, { method, body, token })

  it('shows what there is, named and used', async () => {
    const first = await newPasskey(world)
    clock.advance(10)
    const second = await newPasskey(world)
    expect(await list()).toEqual([first, second])
    const named = await expectStatus(
      await change(first.id, 'PATCH', { friendly_name: 'Phone' }),
      200,
    )
    expect(named).toEqual({ ...first, friendly_name: 'Phone' })
    clock.advance(10)
    expect((await trySignIn(world)).status).toBe(200)
    const last_used_at = new Date(clock.now()).toISOString()
    expect(await list()).toEqual([{ ...named, last_used_at }, second])
    expect((await change(first.id, 'DELETE')).status).toBe(204)
    expect(await list()).toEqual([second])
    await expectRefused(await trySignIn(world), 400, 'webauthn_credential_not_found')
  })

  it.each([undefined, null, '', 'x'.repeat(121), 'a\nb', '\ud800', 5, ['x']])(
    'takes no name like %j',
    async (friendly_name) => {
      const { id } = await newPasskey(world)
      expect((await change(id, 'PATCH', { friendly_name })).status).toBe(400)
    },
  )

  it('is nobody else’s (case 42)', async () => {
    const { id } = await newPasskey(world)
    const { access_token } = await signUp(world.ask, 'eve@example.com')
    expect(await list(access_token)).toEqual([])
    const renamed = await change(id, 'PATCH', { friendly_name: 'mine' }, access_token)
    await expectRefused(renamed, 404, 'validation_failed')
    await expectRefused(
      await change(id, 'DELETE', undefined, access_token),
      404,
      'validation_failed',
    )
    expect((await change('1', 'DELETE')).status).toBe(404)
    expect(await list()).toHaveLength(1)
  })

  it('ends with the user', async () => {
    await newPasskey(world)
    const path = `/auth/v1/admin/users/${world.session.user.id}`
    await expectStatus(await world.ask(path, { method: 'DELETE', key: 'secret' }), 200)
    expect(await count('passkeys')).toBe(0)
  })

  it('has ten at most', async () => {
    for (let i = 0; i < 10; i++) await newPasskey(world)
    const response = await post(
      world.ask,
      '/passkeys/registration/options',
      {},
      { token: world.token },
    )
    await expectRefused(response, 422, 'too_many_passkeys')
  })

  it('is open to the server', async () => {
    const made = await newPasskey(world)
    const path = `/auth/v1/admin/users/${world.session.user.id}/passkeys`
    const service = { key: 'secret' } as const
    expect(await expectStatus(await world.ask(path, service), 200)).toEqual([made])
    const remove = (id: string) => world.ask(`${path}/${id}`, { method: 'DELETE', ...service })
    expect((await remove(made.id)).status).toBe(204)
    await expectRefused(await remove(made.id), 404, 'validation_failed')
    const nobody = path.replace(world.session.user.id, made.id)
    await expectRefused(await world.ask(nobody, service), 404, 'user_not_found')
  })
})

describe('the server’s routes', () => {
  it.each(['GET', 'DELETE'])('%s answers nobody else (case 41)', async (method) => {
    const { id } = await newPasskey(world)
    const { access_token: stranger } = await signUp(world.ask, 'eve@example.com')
    const path = `/auth/v1/admin/users/${world.session.user.id}/passkeys`
    const ask = (more: object) =>
      world.ask(method === 'GET' ? path : `${path}/${id}`, { method, ...more })
    expect((await ask({})).status).toBe(401)
    for (const more of [{ token: world.token }, { token: stranger }, { key: 'publishable' }])
      expect((await ask(more)).status).toBe(403)
    expect(await count('passkeys')).toBe(1)
  })
})

describe('who may add and remove', () => {
  it('not a guest', async () => {
    world = await passkeyWorld({}, { anonymous: true })
    const guest = await expectStatus(await post(world.ask, '/signup', {}), 200)
    const asked = { token: guest.access_token }
    const response = await post(world.ask, '/passkeys/registration/options', {}, asked)
    await expectRefused(response, 403, 'no_authorization')
    expect(await flows()).toBe(0)
  })

  it('not a session that has yet to show the second factor; but it may rename', async () => {
    const { id } = await newPasskey(world)
    const { challenge_id, options } = await creation(world)
    const { session } = await withFactor(world.ask, world.session)
    const low = await expectStatus(await trySignIn(world), 200)
    const token = low.access_token
    const post2 = await post(world.ask, '/passkeys/registration/options', {}, { token })
    await expectRefused(post2, 403, 'insufficient_aal')
    const made = await world.device.create(options)
    const verify = await register({ ...world, token }, challenge_id, made)
    await expectRefused(verify, 403, 'insufficient_aal')
    const path = `/auth/v1/passkeys/${id}`
    await expectRefused(await world.ask(path, { method: 'DELETE', token }), 403, 'insufficient_aal')
    const body = { friendly_name: 'Phone' }
    expect((await world.ask(path, { method: 'PATCH', body, token })).status).toBe(200)
    const high = { token: session.access_token }
    expect((await world.ask(path, { method: 'DELETE', ...high })).status).toBe(204)
  })

  it('not a session that has ended', async () => {
    const { challenge_id, options } = await creation(world)
    const credential = await world.device.create(options)
    await rows('DELETE FROM leanto_auth_sessions')
    await expectRefused(await register(world, challenge_id, credential), 403, 'session_not_found')
    expect(await count('passkeys')).toBe(0)
  })
})

describe('notices', () => {
  it('go to the mailbox when one is added and removed', async () => {
    const inbox = makeInbox()
    world = await passkeyWorld({}, { mailer: inbox.mailer, autoconfirm: true })
    inbox.clear()
    const { id } = await newPasskey(world)
    expect(inbox.mails.map(({ text }) => text).join()).toContain('signed in to with a passkey')
    inbox.clear()
    await world.ask(`/auth/v1/passkeys/${id}`, { method: 'DELETE', token: world.token })
    expect(inbox.mails.map(({ text }) => text).join()).toContain('no longer be signed in to')
  })

  it('a passkey of before its address was proven goes with the first proof (case 3)', async () => {
    const inbox = makeInbox()
    world = await passkeyWorld({}, { mailer: inbox.mailer, autoconfirm: true })
    await newPasskey(world)
    await rows('UPDATE leanto_auth_users SET email_confirmed_at = NULL')
    inbox.clear()
    await post(world.ask, '/otp', { email, create_user: false })
    const proven = { type: 'magiclink', token_hash: inbox.token(email) }
    await expectStatus(await post(world.ask, '/verify', proven), 200)
    expect(await count('passkeys')).toBe(0)
  })
})

it('stays when a proven address is proven again', async () => {
  const inbox = makeInbox()
  world = await passkeyWorld({}, { mailer: inbox.mailer, autoconfirm: true })
  await newPasskey(world)
  inbox.clear()
  await post(world.ask, '/otp', { email })
  await expectStatus(
    await post(world.ask, '/verify', { type: 'magiclink', token_hash: inbox.token(email) }),
    200,
  )
  expect(await count('passkeys')).toBe(1)
})
