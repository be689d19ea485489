import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { mfa } from 'leanto/auth/mfa'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, clock, freshDatabase, makeBase } from '../kit/world.ts'
import { challenge, codeOf, enroll, stepUp, verify, withFactor } from './mfa-world.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  post,
  refresh,
  rows,
  signIn,
  signUp,
  snapshot,
} from './world.ts'

// New for each test: an isolate that has cached the keys of a database that is gone would sign with them.
let users = makeAuth({ with: [mfa()] })
let ask = mountAuth(users)
beforeEach(async () => {
  users = makeAuth({ with: [mfa()] })
  ask = mountAuth(users)
  await freshDatabase([users])
})

const code = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

describe('a verified factor', () => {
  it('gives the session a new refresh token; the old one is dead (case 16)', async () => {
    const first = await signUp(ask, 'ann@example.com')
    const other = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    const { factor, session } = await withFactor(ask, first)
    expect(claimsOf(session.access_token)).toMatchObject({
      aal: 'aal2',
      session_id: claimsOf(first.access_token).session_id,
      sub: first.user.id,
    })
    expect(session.refresh_token).not.toBe(first.refresh_token)
    expect(await code(await refresh(ask, first.refresh_token), 400)).toBe('refresh_token_not_found')
    const next = await expectStatus(await refresh(ask, session.refresh_token), 200)
    expect(claimsOf(next.access_token)).toMatchObject({ aal: 'aal2' })
    expect(claimsOf(next.access_token).amr[0].method).toBe('totp')
    // What had shown less is signed out, as in GoTrue; what had shown as much is not.
    expect(await code(await getUser(ask, other.access_token), 403)).toBe('session_not_found')
    const third = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    await stepUp(ask, third, factor)
    await expectStatus(await getUser(ask, next.access_token), 200)
  })

  it('kills the old token within its grace, too: no aal2 for whoever stole it', async () => {
    const first = await signUp(ask, 'ann@example.com')
    const factor = await enroll(ask, first.access_token)
    const { id } = await challenge(ask, first.access_token, factor.id)
    const second = await expectStatus(await refresh(ask, first.refresh_token), 200)
    const shown = { factorId: factor.id, challengeId: id, code: await codeOf(factor.totp.secret) }
    await expectStatus(await verify(ask, second.access_token, shown), 200)
    for (const token of [first.refresh_token, second.refresh_token])
      expect(await code(await refresh(ask, token), 400)).toBe('refresh_token_not_found')
  })

  it('is demanded for password and address, and for another factor', async () => {
    const { factor } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    const weak = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    const token = weak.access_token
    const before = await snapshot()
    const put = (body: object) => ask('/auth/v1/user', { method: 'PUT', body, token })
    expect(await code(await put({ password: 'a new password' }), 401)).toBe('insufficient_aal')
    expect(await code(await post(ask, '/factors', { factor_type: 'totp' }, { token }), 403)).toBe(
      'insufficient_aal',
    )
    expect(await snapshot()).toBe(before)
    const strong = await stepUp(ask, weak, factor)
    await enroll(ask, strong.access_token, { friendly_name: 'second' })
    const changed = await ask('/auth/v1/user', {
      method: 'PUT',
      body: { password: 'a new password' },
      token: strong.access_token,
    })
    await expectStatus(changed, 200)
  })

  it('is not to be had by a factor that was enrolled before there was one', async () => {
    const texted: string[] = []
    const both = makeAuth({
      with: [mfa({ phone: true })],
      sms: (_, { text }) => void texted.push(text),
    })
    const askBoth = mountAuth(both)
    const thief = await signUp(askBoth, 'ann@example.com')
    const planted = await expectStatus(
      await post(
        askBoth,
        '/factors',
        { factor_type: 'phone', phone: '+15550001111' },
        { token: thief.access_token },
      ),
      200,
    )
    await withFactor(askBoth, await expectStatus(await signIn(askBoth, 'ann@example.com'), 200))
    const back = await expectStatus(await signIn(askBoth, 'ann@example.com'), 200)
    const { id } = await challenge(askBoth, back.access_token, planted.id)
    const sent = texted.at(-1)?.match(/\d{6}/)?.[0]
    const shown = { factorId: planted.id, challengeId: id, code: sent }
    expect(await code(await verify(askBoth, back.access_token, shown), 403)).toBe(
      'insufficient_aal',
    )
  })

  it('lets a host’s route and a policy ask for it', async () => {
    const host = asker(
      new Hono()
        .get('/in', users.signedIn, (c) => c.json({ id: c.var.principal.id }, 200))
        .get('/safe', users.signedIn({ aal: 'aal2' }), (c) =>
          c.json({ aal: c.var.principal.claims.aal }, 200),
        ),
    )
    const first = await signUp(ask, 'ann@example.com')
    expect((await host('/safe')).status).toBe(401)
    expect((await host('/in', { token: first.access_token })).status).toBe(200)
    const refused = await host('/safe', { token: first.access_token })
    expect(refused.status).toBe(401)
    // RFC 9470.
    expect(refused.headers.get('www-authenticate')).toBe(
      'Bearer error="insufficient_user_authentication", acr_values="aal2"',
    )
    const { session } = await withFactor(ask, first)
    expect(await expectStatus(await host('/safe', { token: session.access_token }), 200)).toEqual({
      aal: 'aal2',
    })
    expect((await host('/safe', { key: 'secret' })).status).toBe(200)
  })
})

describe('what is stored and shown', () => {
  it('holds no secret in the clear', async () => {
    const { factor, session } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    const { codes } = await expectStatus(
      await ask('/auth/v1/factors/recovery-codes', { method: 'POST', token: session.access_token }),
      200,
    )
    const stored = JSON.stringify([
      await rows('SELECT * FROM leanto_auth_factors'),
      await rows('SELECT * FROM leanto_auth_recovery_codes'),
    ])
    for (const secret of [factor.totp.secret, ...codes]) expect(stored).not.toContain(secret)
    const user = JSON.stringify(await expectStatus(await getUser(ask, session.access_token), 200))
    expect(user).not.toContain('secret')
    expect(user).not.toContain('last_step')
  })

  it('is nobody else’s (case 42)', async () => {
    const ann = await signUp(ask, 'ann@example.com')
    const { factor } = await withFactor(ask, ann)
    const eve = await withFactor(ask, await signUp(ask, 'eve@example.com'))
    const token = eve.session.access_token
    const before = await snapshot()
    const path = `/factors/${factor.id}`
    for (const response of [
      await post(ask, `${path}/challenge`, {}, { token }),
      await ask(`/auth/v1${path}`, { method: 'DELETE', token }),
      await verify(ask, token, {
        factorId: factor.id,
        challengeId: factor.id,
        code: await codeOf(factor.totp.secret),
      }),
    ])
      expect(await code(response, 404)).toBe('mfa_factor_not_found')
    expect(await snapshot()).toBe(before)
    for (const [method, to] of [
      ['POST', '/factors'],
      ['POST', `${path}/challenge`],
      ['POST', `${path}/verify`],
      ['DELETE', path],
      ['GET', '/factors/recovery-codes'],
      ['POST', '/factors/recovery-codes'],
      ['DELETE', '/factors/recovery-codes'],
      ['POST', '/factors/recovery-codes/verify'],
      ['POST', '/factors/recovery-codes/regenerate'],
    ] as const) {
      const body = method === 'POST' ? {} : undefined
      expect(await code(await ask(`/auth/v1${to}`, { method, body }), 401)).toBe('no_authorization')
      expect((await ask(`/auth/v1${to}`, { method, body, key: 'secret' })).status).toBe(401)
    }
  })

  it('keeps names apart, factors few, and what was abandoned short', async () => {
    const few = mountAuth(makeAuth({ with: [mfa({ maxFactors: 2 })] }))
    let { access_token: token } = await signUp(few, 'ann@example.com')
    const add = (body: object) => post(few, '/factors', { factor_type: 'totp', ...body }, { token })
    await expectStatus(await add({ friendly_name: 'a' }), 200)
    expect(await code(await add({ friendly_name: 'a' }), 422)).toBe('mfa_factor_name_conflict')
    await expectStatus(await add({}), 200)
    expect(await code(await add({}), 422)).toBe('too_many_enrolled_mfa_factors')
    clock.advance(3600)
    ;({ access_token: token } = await expectStatus(await signIn(few, 'ann@example.com'), 200))
    const parallel = await Promise.all(Array.from({ length: 50 }, () => add({})))
    expect(parallel.filter(({ status }) => status === 200)).toHaveLength(2)
    expect(await count('factors')).toBe(2)
    expect(await code(await add({ factor_type: 'phone', phone: '+15550001111' }), 422)).toBe(
      'mfa_phone_enroll_not_enabled',
    )
    expect(await code(await add({ factor_type: 'webauthn' }), 422)).toBe(
      'mfa_webauthn_enroll_not_enabled',
    )
    expect(await code(await add({ factor_type: 'constructor' }), 400)).toBe('validation_failed')
  })

  it.each([
    [{ challenge_id: { $ne: null }, code: '123456' }],
    [{ challenge_id: 'x', code: '123456' }],
    [{ challenge_id: '00000000-0000-7000-8000-000000000000', code: 123456 }],
    [{ challenge_id: '00000000-0000-7000-8000-000000000000', code: ['123456'] }],
    [{ challenge_id: '00000000-0000-7000-8000-000000000000', code: '' }],
    [{}],
  ])('takes no %j (case 22)', async (body) => {
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    const factor = await enroll(ask, token)
    expect(await code(await post(ask, `/factors/${factor.id}/verify`, body, { token }), 400)).toBe(
      'validation_failed',
    )
  })

  it('tells the mailbox of a factor that comes or goes, and the clean-up ends what is over', async () => {
    const mails: Json[] = []
    const mailed = makeAuth({
      with: [mfa()],
      autoconfirm: true,
      mailer: { send: async (_, mail) => void mails.push(mail) },
    })
    const askMailed = mountAuth(mailed)
    const { factor, session } = await withFactor(
      askMailed,
      await signUp(askMailed, 'ann@example.com'),
    )
    const token = session.access_token
    await askMailed(`/auth/v1/factors/${factor.id}`, { method: 'DELETE', token })
    expect(mails.map(({ to, subject }) => [to, subject])).toEqual([
      ['ann@example.com', 'A second factor was added'],
      ['ann@example.com', 'A second factor was removed'],
    ])
    const other = await enroll(askMailed, token)
    await challenge(askMailed, token, other.id)
    clock.advance(301)
    await mailed.scheduled(makeBase().scope({ env }))
    expect(await count('challenges')).toBe(0)
  })
})

describe('what is rare', () => {
  it('too many recovery codes are locked, from one network', async () => {
    const { session } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    const token = session.access_token
    const { codes } = await expectStatus(
      await ask('/auth/v1/factors/recovery-codes', { method: 'POST', token }),
      200,
    )
    clock.advance(600)
    const attempt = (value: string, headers = {}) =>
      post(ask, '/factors/recovery-codes/verify', { code: value }, { token, headers })
    const answers = await Promise.all(Array.from({ length: 50 }, () => attempt('a'.repeat(24))))
    expect(answers.filter(({ status }) => status === 422)).toHaveLength(10)
    const locked = await attempt(codes[0])
    expect(locked.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await code(locked, 429)).toBe('mfa_recovery_codes_locked')
    await expectStatus(await attempt(codes[0], { 'cf-connecting-ip': '198.51.100.7' }), 200)
  })

  it('a message that does not leave, and a phone whose messages are no more', async () => {
    let broken = true
    const flaky = mountAuth(
      makeAuth({
        with: [mfa({ phone: true })],
        sms: () => {
          if (broken) throw new Error('no network, key=SECRET')
        },
      }),
    )
    const { access_token: token } = await signUp(flaky, 'ann@example.com')
    const body = { factor_type: 'phone', phone: '+15550001111' }
    const factor = await expectStatus(await post(flaky, '/factors', body, { token }), 200)
    const failed = await post(flaky, `/factors/${factor.id}/challenge`, {}, { token })
    expect(await failed.clone().text()).not.toContain('SECRET')
    expect(await code(failed, 500)).toBe('sms_send_failed')
    broken = false
    clock.advance(61)
    await challenge(flaky, token, factor.id)
    clock.advance(61)
    const mute = mountAuth(makeAuth({ with: [mfa({ phone: true })] }))
    expect(
      await code(await post(mute, `/factors/${factor.id}/challenge`, {}, { token }), 422),
    ).toBe('mfa_phone_verify_not_enabled')
  })

  it('costs: one trip to enroll and to challenge, two to verify', async () => {
    const session = await signUp(ask, 'ann@example.com')
    const local = mountAuth(users, 'http://localhost')
    const trips = async (path: string, body: object) => {
      const token = session.access_token
      const response = await post(local, path, body, { token })
      const made = await expectStatus(response, 200)
      return {
        made,
        trips: Number(response.headers.get('server-timing')?.match(/(\d+) trips/)?.[1]),
      }
    }
    const enrolled = await trips('/factors', { factor_type: 'totp' })
    const factor = enrolled.made
    const challenged = await trips(`/factors/${factor.id}/challenge`, {})
    const verified = await trips(`/factors/${factor.id}/verify`, {
      challenge_id: challenged.made.id,
      code: await codeOf(factor.totp.secret),
    })
    expect([enrolled.trips, challenged.trips, verified.trips]).toEqual([1, 1, 2])
  })
})

it('asks for options that make sense', () => {
  for (const options of [
    { phone: 'yes' },
    { maxFactors: 0 },
    { attempts: { max: 0, seconds: 1 } },
    { attempts: { max: 1 } },
  ])
    expect(() => mfa(options as never)).toThrow(TypeError)
})
