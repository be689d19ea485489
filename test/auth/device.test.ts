import { devices } from 'leanto/auth/oauth-server/device'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, site } from '../kit/world.ts'
import {
  type DeviceWorld,
  deviceGrant,
  formTo,
  makeClient,
  makeWorld,
  type Setup,
  worldOf,
} from './device-world.ts'
import { claimsOf, count, expectStatus, getUser, rows } from './world.ts'

let world: DeviceWorld
const mounted = async (setup: Setup = {}) => {
  world = await makeWorld(setup)
}
beforeEach(() => mounted())

const errorOf = async (response: Response, status = 400): Promise<string> =>
  (await expectStatus(response, status)).error
const codeOf = async (response: Response, status: number): Promise<string> =>
  (await expectStatus(response, status)).error_code

describe('a device', () => {
  it('is given a code to show, and where to enter it', async () => {
    const response = await formTo(world.ask, '/oauth/device_authorization', {
      client_id: world.client.client_id,
      scope: 'openid',
    })
    expect(response.headers.get('cache-control')).toBe('no-store')
    const begun = await expectStatus(response, 200)
    const page = `${site}/auth/v1/oauth/device`
    expect(begun).toEqual({
      device_code: expect.stringMatching(/^[\w-]{43}$/),
      user_code: expect.stringMatching(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/),
      verification_uri: page,
      verification_uri_complete: `${page}?user_code=${begun.user_code}`,
      expires_in: 600,
      interval: 5,
    })
  })

  it('is found in the discovery documents', async () => {
    for (const path of ['oauth-authorization-server', 'openid-configuration']) {
      const found = await expectStatus(await world.ask(`/auth/v1/.well-known/${path}`), 200)
      expect(found).toMatchObject({
        device_authorization_endpoint: `${site}/auth/v1/oauth/device_authorization`,
        grant_types_supported: expect.arrayContaining([deviceGrant]),
      })
    }
  })

  it('shows the host’s own address, as it is set', async () => {
    await mounted({ devices: { page: '/tv', seconds: 120, interval: 2 } })
    const begun = await world.begin()
    expect(begun).toMatchObject({
      verification_uri: `${site}/tv`,
      verification_uri_complete: `${site}/tv?user_code=${begun.user_code}`,
      expires_in: 120,
      interval: 2,
    })
  })

  it('gets tokens once its user has approved, and not before', async () => {
    const { device_code, user_code } = await world.begin()
    expect(await errorOf(await world.poll(device_code))).toBe('authorization_pending')
    await expectStatus(await world.claim(user_code), 200)
    clock.advance(5)
    expect(await errorOf(await world.poll(device_code))).toBe('authorization_pending')
    await expectStatus(await world.consent(user_code), 200)
    const response = await world.poll(device_code)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const tokens = await expectStatus(response, 200)
    expect(tokens).toMatchObject({
      token_type: 'Bearer',
      scope: 'openid email notes',
      refresh_token: expect.stringMatching(/^[\w-]{43}$/),
    })
    const userId = world.session.user.id
    expect(claimsOf(tokens.access_token)).toMatchObject({
      sub: userId,
      client_id: world.client.client_id,
      aal: 'aal1',
      amr: [{ method: 'password' }],
    })
    expect(claimsOf(tokens.id_token)).toMatchObject({ sub: userId, email: 'ann@example.com' })
    const next = await formTo(world.ask, '/oauth/token', {
      grant_type: 'refresh_token',
      client_id: world.client.client_id,
      refresh_token: tokens.refresh_token,
    })
    expect((await expectStatus(next, 200)).access_token).toBeTypeOf('string')
  })

  it('may ask for the first time once it is approved; the account itself is closed to it', async () => {
    const tokens = await world.connect()
    expect(claimsOf(tokens.access_token).sub).toBe(world.session.user.id)
    expect((await getUser(world.ask, tokens.access_token)).status).toBe(403)
  })

  it('hears that its user has refused', async () => {
    const { device_code, user_code } = await world.begin()
    await expectStatus(await world.claim(user_code), 200)
    expect(await expectStatus(await world.consent(user_code, 'deny'), 200)).toMatchObject({
      client: { name: 'Big Screen' },
    })
    expect(await errorOf(await world.poll(device_code))).toBe('access_denied')
    // An answer is one.
    expect(await codeOf(await world.consent(user_code, 'approve'), 404)).toBe(
      'oauth_device_not_found',
    )
    expect(await codeOf(await world.claim(user_code), 404)).toBe('oauth_device_not_found')
    clock.advance(5)
    expect(await errorOf(await world.poll(device_code))).toBe('access_denied')
    expect([await count('oauth_sessions'), await count('oauth_consents')]).toEqual([0, 0])
  })

  it('hears that its code has ended, approved or not', async () => {
    const [open, approved] = [await world.begin(), await world.begin()]
    await world.approve(approved.user_code)
    clock.advance(600)
    for (const { device_code } of [open, approved])
      expect(await errorOf(await world.poll(device_code))).toBe('expired_token')
    expect(await codeOf(await world.claim(open.user_code), 404)).toBe('oauth_device_not_found')
    expect(await count('oauth_sessions')).toBe(0)
  })

  it.each([
    ['a code that is none', (code: string) => ({ device_code: `${code.slice(1)}x` })],
    ['its user code', (_: string, user: string) => ({ device_code: user })],
  ])('gets nothing for %s', async (_, change) => {
    const { device_code, user_code } = await world.begin()
    await world.approve(user_code)
    const response = await world.poll(device_code, change(device_code, user_code))
    expect(await errorOf(response)).toBe('invalid_grant')
  })

  it('needs a code', async () => {
    expect(await errorOf(await world.poll(''))).toBe('invalid_request')
  })

  it('is another client’s to nobody else (case 42)', async () => {
    const { device_code, user_code } = await world.begin()
    const other = await makeClient(world.ask)
    await world.approve(user_code)
    const response = await world.poll(device_code, { client_id: other.client_id })
    expect(await errorOf(response)).toBe('invalid_grant')
    await expectStatus(await world.poll(device_code), 200)
  })

  it('authenticates where its client has a secret', async () => {
    const client = await makeClient(world.ask, { token_endpoint_auth_method: 'client_secret_post' })
    const form = { client_id: client.client_id, scope: 'openid' }
    const begin = (more = {}) =>
      formTo(world.ask, '/oauth/device_authorization', { ...form, ...more })
    expect(await errorOf(await begin(), 401)).toBe('invalid_client')
    expect(await errorOf(await begin({ client_secret: 'x' }), 401)).toBe('invalid_client')
    expect(await count('oauth_devices')).toBe(0)
    const secret = { client_secret: client.client_secret }
    const { device_code, user_code } = await expectStatus(await begin(secret), 200)
    await world.approve(user_code)
    const poll = (more = {}) => world.poll(device_code, { ...form, ...more })
    expect(await errorOf(await poll(), 401)).toBe('invalid_client')
    await expectStatus(await poll(secret), 200)
  })

  it('is there for clients that were registered for it, and asks for what they may', async () => {
    const asked = async (metadata: object, form: Record<string, string> = {}) => {
      const { client_id } = await makeClient(world.ask, metadata)
      return formTo(world.ask, '/oauth/device_authorization', { client_id, ...form })
    }
    const web = { grant_types: ['authorization_code'], redirect_uris: ['https://web.example/cb'] }
    expect(await errorOf(await asked(web))).toBe('unauthorized_client')
    expect(await errorOf(await asked({ scope: 'openid' }, { scope: 'openid notes' }))).toBe(
      'invalid_scope',
    )
    expect(await errorOf(await asked({}, { resource: 'https://evil.example/' }))).toBe(
      'invalid_target',
    )
    expect(await count('oauth_devices')).toBe(0)
  })

  it('registers itself, where that is allowed', async () => {
    await mounted({ server: { registration: true } })
    const made = await expectStatus(
      await world.ask('/auth/v1/oauth/clients/register', {
        body: {
          client_name: 'A command line',
          grant_types: [deviceGrant],
          token_endpoint_auth_method: 'none',
        },
      }),
      201,
    )
    const { user_code } = await world.begin({ client_id: made.client_id, scope: 'openid' })
    expect(await expectStatus(await world.claim(user_code), 200)).toMatchObject({
      registration: 'dynamic',
      client: { name: 'A command line' },
    })
  })

  it('has a refresh token only where its client may refresh', async () => {
    const client = await makeClient(world.ask, { grant_types: [deviceGrant] })
    const tokens = await worldOf({ ...world, client }).connect()
    expect(tokens.refresh_token).toBeUndefined()
  })

  it('is given tokens for the resource that was asked for, or for fewer', async () => {
    await mounted({
      server: { resources: { '/one': {}, '/two': {} } },
    })
    const [one, two] = [`${site}/one`, `${site}/two`]
    const { device_code, user_code } = await world.begin({ resource: one })
    expect(await expectStatus(await world.claim(user_code), 200)).toMatchObject({ resource: [one] })
    await expectStatus(await world.consent(user_code), 200)
    expect(await errorOf(await world.poll(device_code, { resource: two }))).toBe('invalid_target')
    const tokens = await expectStatus(await world.poll(device_code, { resource: one }), 200)
    expect(claimsOf(tokens.access_token).aud).toContain(one)
  })
})

describe('polling', () => {
  it('is slowed down where it comes too early, and goes on where it waits', async () => {
    const { device_code } = await world.begin()
    const poll = async () => errorOf(await world.poll(device_code))
    expect(await poll()).toBe('authorization_pending')
    clock.advance(2)
    expect(await poll()).toBe('slow_down')
    // The client waits 5 seconds longer from now on.
    clock.advance(10)
    expect(await poll()).toBe('authorization_pending')
    clock.advance(6)
    expect(await poll()).toBe('slow_down')
    clock.advance(15)
    expect(await poll()).toBe('authorization_pending')
  })

  it('forgives what a network does', async () => {
    const { device_code } = await world.begin()
    for (const seconds of [5, 4.2, 5.8, 4.1, 5, 5]) {
      expect(await errorOf(await world.poll(device_code))).toBe('authorization_pending')
      clock.advance(seconds)
    }
  })

  it('that is always too fast is told so, and still hears in time', async () => {
    const { device_code, user_code } = await world.begin()
    const heard: string[] = []
    for (let i = 0; i < 100; i++) {
      heard.push(await errorOf(await world.poll(device_code)))
      clock.advance(2)
    }
    expect(new Set(heard)).toEqual(new Set(['authorization_pending', 'slow_down']))
    // A minute is the longest that it waits to be told the same again.
    expect(heard.slice(70)).toContain('authorization_pending')
    expect(await rows('SELECT every FROM leanto_auth_oauth_devices')).toEqual([{ every: 60 }])
    await world.approve(user_code)
    await expectStatus(await world.poll(device_code), 200)
  })

  it.each([5, 1])('by many at once is answered as by one, every %d seconds', async (interval) => {
    await mounted({ devices: { interval } })
    const { device_code } = await world.begin()
    const all = await Promise.all(Array.from({ length: 20 }, () => world.poll(device_code)))
    const heard = await Promise.all(all.map((response) => errorOf(response)))
    expect(heard.filter((error) => error === 'authorization_pending')).toHaveLength(1)
    expect(heard.filter((error) => error === 'slow_down')).toHaveLength(19)
  })

  it('gives tokens once, of 50 polls at once (case 19)', async () => {
    const { device_code, user_code } = await world.begin()
    await world.approve(user_code)
    const all = await Promise.all(Array.from({ length: 50 }, () => world.poll(device_code)))
    expect(all.filter(({ ok }) => ok)).toHaveLength(1)
    for (const response of all.filter(({ ok }) => !ok))
      expect(await errorOf(response)).toBe('invalid_grant')
    expect(await count('oauth_sessions')).toBe(1)
    // Ann's own, and the device's.
    expect([await count('sessions'), await count('refresh_tokens')]).toEqual([2, 2])
    clock.advance(5)
    expect(await errorOf(await world.poll(device_code))).toBe('invalid_grant')
    expect(await count('oauth_sessions')).toBe(1)
  })

  it('goes by the one answer that came first, of 20 at once', async () => {
    const { user_code } = await world.begin()
    await expectStatus(await world.claim(user_code), 200)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => world.consent(user_code, i % 2 ? 'approve' : 'deny')),
    )
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
    const [{ decision }] = await rows('SELECT decision FROM leanto_auth_oauth_devices')
    expect(await count('oauth_consents')).toBe(decision === 'approved' ? 1 : 0)
  })
})

it('what has ended is removed by the upkeep, and not before', async () => {
  const { device_code } = await world.begin()
  const { makeBase } = await import('../kit/world.ts')
  const { env } = await import('cloudflare:workers')
  const run = () => world.users.scheduled(makeBase().scope({ env }))
  clock.advance(1199)
  await run()
  expect(await errorOf(await world.poll(device_code))).toBe('expired_token')
  clock.advance(1)
  await run()
  expect(await count('oauth_devices')).toBe(0)
  expect(await errorOf(await world.poll(device_code))).toBe('invalid_grant')
})

it('refuses options that are wrong, by name', () => {
  for (const [option, options] of [
    ['page', { page: 'tv' }],
    ['page', { page: '//evil.example' }],
    ['page', { page: '/tv?x=1' }],
    ['page', { page: 7 }],
    ['seconds', { seconds: 59 }],
    ['seconds', { seconds: 601 }],
    ['interval', { interval: 0 }],
    ['interval', { interval: 61 }],
    ['attempts.max', { attempts: { max: 0, seconds: 300 } }],
    ['attempts.seconds', { attempts: { max: 1, seconds: 1.5 } }],
    ['attempts.max', { attempts: null }],
  ] as const)
    expect(() => devices(options as never)).toThrow(`\`${option}\``)
})
