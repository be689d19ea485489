import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  authenticate,
  creation,
  expectRefused,
  newPasskey,
  passkeyWorld,
  register,
  request,
  trySignIn,
  type World,
} from './passkey-world.ts'
import { count, expectStatus, post, rows, signUp } from './world.ts'

let world: World
beforeEach(async () => {
  world = await passkeyWorld()
})

const parallel = 50
const many = (ask: (i: number) => Promise<Response>) =>
  Promise.all(Array.from({ length: parallel }, (_, i) => ask(i)))
const right = (responses: readonly Response[]) => responses.filter(({ ok }) => ok).length

describe('at once', () => {
  it('one challenge signs in once (case 19)', async () => {
    await newPasskey(world)
    const before = await count('sessions')
    const { challenge_id, options } = await request(world)
    const credential = await world.device.get(options)
    const responses = await many(() => authenticate(world, challenge_id, credential))
    expect(right(responses)).toBe(1)
    expect(await count('sessions')).toBe(before + 1)
    for (const response of responses.filter(({ ok }) => !ok))
      await expectRefused(response, 400, 'webauthn_challenge_not_found')
  })

  it('one challenge makes one passkey (case 19)', async () => {
    const { challenge_id, options } = await creation(world)
    const credentials = await Promise.all(
      Array.from({ length: parallel }, () => world.device.create(options)),
    )
    expect(right(await many((i) => register(world, challenge_id, credentials[i])))).toBe(1)
    expect(await count('passkeys')).toBe(1)
  })

  it('one credential is registered once, whoever does', async () => {
    const eve = await signUp(world.ask, 'eve@example.com')
    const tokens = [world.token, eve.access_token]
    const asked = await Promise.all(
      Array.from({ length: 20 }, (_, i) => creation({ ...world, token: tokens[i % 2] })),
    )
    const [first] = asked
    await world.device.create(first.options)
    const again = world.device.credentials[0]
    const responses = await Promise.all(
      asked.map(async ({ challenge_id, options }, i) => {
        const made = await world.device.create(options, {}, again)
        return register({ ...world, token: tokens[i % 2] }, challenge_id, made)
      }),
    )
    expect(right(responses)).toBe(1)
    for (const response of responses.filter(({ ok }) => !ok))
      await expectRefused(response, 422, 'webauthn_credential_exists')
    expect(await count('passkeys')).toBe(1)
  })

  it('there are never more passkeys than may be', async () => {
    world = await passkeyWorld({ maxPasskeys: 3 })
    const asked = await Promise.all(Array.from({ length: 20 }, () => creation(world)))
    const responses = await Promise.all(
      asked.map(async ({ challenge_id, options }) =>
        register(world, challenge_id, await world.device.create(options)),
      ),
    )
    expect(right(responses)).toBe(3)
    for (const response of responses.filter(({ ok }) => !ok))
      await expectRefused(response, 422, 'too_many_passkeys')
  })

  it('one count signs in once, with however many challenges', async () => {
    await newPasskey(world)
    const asked = await Promise.all(Array.from({ length: 20 }, () => request(world)))
    const responses = await Promise.all(
      asked.map(async ({ challenge_id, options }) =>
        authenticate(world, challenge_id, await world.device.get(options, { counter: 5 })),
      ),
    )
    expect(right(responses)).toBe(1)
  })

  it('a passkey that is taken away signs nobody in from then on', async () => {
    const { id } = await newPasskey(world)
    const before = await count('sessions')
    const asked = await Promise.all(Array.from({ length: 20 }, () => request(world)))
    const remove = world.ask(`/auth/v1/passkeys/${id}`, { method: 'DELETE', token: world.token })
    const responses = await Promise.all(
      asked.map(async ({ challenge_id, options }) =>
        authenticate(world, challenge_id, await world.device.get(options)),
      ),
    )
    expect((await remove).status).toBe(204)
    expect(await count('sessions')).toBe(before + right(responses))
    expect((await trySignIn(world)).status).toBe(400)
  })
})

describe('between the look and the write', () => {
  /** Does this before the n-th trip of the next request. */
  async function meddling(at: number, meddle: () => Promise<unknown>) {
    const state = { armed: false, trip: 0 }
    const db = {
      prepare: (sql: string) => env.DB.prepare(sql),
      async batch(statements: never) {
        state.trip += 1
        if (state.armed && state.trip === at) await meddle()
        return env.DB.batch(statements)
      },
    }
    world = await passkeyWorld({}, {}, { db: () => db as never })
    return () => Object.assign(state, { armed: true, trip: 0 })
  }

  it.each([
    ['it is taken away', 'DELETE FROM leanto_auth_passkeys'],
    ['it has counted on', 'UPDATE leanto_auth_passkeys SET counter = 9'],
    ['its user is banned', 'UPDATE leanto_auth_users SET banned_until = 9e15'],
    ['its user is deleted', 'UPDATE leanto_auth_users SET deleted_at = 1'],
    ['its address is proven no more', 'UPDATE leanto_auth_users SET email_confirmed_at = NULL'],
  ])('a sign-in fails when %s', async (_, sql) => {
    const arm = await meddling(2, () => env.DB.prepare(sql).run())
    await newPasskey(world)
    const before = await count('sessions')
    const { challenge_id, options } = await request(world)
    const credential = await world.device.get(options, { counter: 3 })
    arm()
    const response = await authenticate(world, challenge_id, credential)
    await expectRefused(response, 400, 'webauthn_verification_failed')
    expect(await count('sessions')).toBe(before)
  })

  it.each([
    ['the session ends', 'DELETE FROM leanto_auth_sessions'],
    ['the user is banned', 'UPDATE leanto_auth_users SET banned_until = 9e15'],
    ['the user is gone', 'DELETE FROM leanto_auth_users'],
  ])('a registration fails when %s', async (_, sql) => {
    const arm = await meddling(2, () => env.DB.prepare(sql).run())
    const { challenge_id, options } = await creation(world)
    const credential = await world.device.create(options)
    arm()
    await expectRefused(await register(world, challenge_id, credential), 409, 'conflict')
    expect(await count('passkeys')).toBe(0)
  })
})

it('spends a budget of the network that asks (case 20)', async () => {
  world = await passkeyWorld({}, { limits: { flows: { max: 5, seconds: 300 } } })
  const from = (ip: string) =>
    post(world.ask, '/passkeys/authentication/options', {}, { headers: { 'cf-connecting-ip': ip } })
  const statuses = (await Promise.all(Array.from({ length: 20 }, () => from('192.0.2.1')))).map(
    ({ status }) => status,
  )
  expect(statuses.filter((status) => status === 200)).toHaveLength(5)
  expect(await count('flows')).toBe(5)
  expect((await from('192.0.2.2')).status).toBe(200)
  await expectStatus(await post(world.ask, '/passkeys/authentication/options', {}), 200)
  expect(await rows('SELECT count(*) AS n FROM leanto_auth_flows')).toEqual([{ n: 7 }])
})
