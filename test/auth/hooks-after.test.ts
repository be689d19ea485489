import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { clock, makeBase, site } from '../kit/world.ts'
import {
  answers,
  ask,
  breakBy,
  bug,
  email,
  expectTold,
  fault,
  inbox,
  logged,
  maybe,
  phone,
  setUp,
  thrown,
} from './hooks-world.ts'
import { member } from './inbox.ts'
import { challenge, codeOf, enroll, verify } from './mfa-world.ts'
import { begin, comeBack, fake, fragment } from './oauth-world.ts'
import { count, expectStatus, type Json, password, post, rows, signIn } from './world.ts'

describe('attempts', () => {
  it.each(thrown)('at a password, with %s', async (_, error, status, code) => {
    const seen: Json[] = []
    await setUp({
      before: {
        password: async (_scope, attempt) => {
          seen.push(attempt)
          maybe()
        },
      },
    })
    const { user } = await member(ask, inbox, 'ann@example.com')
    const sessions = await count('sessions')
    breakBy(error)
    for (const secret of [password, 'a wrong guess'])
      await expectTold(await signIn(ask, 'ann@example.com', secret), status, code)
    expect(seen).toEqual([
      { userId: user.id, valid: true },
      { userId: user.id, valid: false },
    ])
    expect(await count('sessions')).toBe(sessions)
    // Nobody is asked about an address that is nobody's.
    expect((await signIn(ask, 'nobody@example.com')).status).toBe(400)
    expect(seen).toHaveLength(2)
    const [guess] = await rows(
      `SELECT sum(spent) AS n FROM leanto_core_limits WHERE key LIKE 'auth:guess:%'`,
    )
    // With a bug, nothing but the guess at nobody.
    expect(guess.n).toBe(status === 500 ? 1 : 3)
    breakBy(undefined)
    await expectStatus(await signIn(ask, 'ann@example.com'), 200)
  })

  it.each(thrown)('at a second factor, with %s', async (_, error, status, code) => {
    const seen: Json[] = []
    const before = {
      verify: async (_scope: unknown, attempt: Json) => {
        seen.push(attempt)
        maybe()
      },
    }
    await setUp({}, { before })
    const session = await member(ask, inbox, 'ann@example.com')
    const token = session.access_token
    const factor = await enroll(ask, token)
    const { id: challengeId } = await challenge(ask, token, factor.id)
    const right = await codeOf(factor.totp.secret)
    breakBy(error)
    for (const shown of [right, '000000'])
      await expectTold(
        await verify(ask, token, { factorId: factor.id, challengeId, code: shown }),
        status,
        code,
      )
    const common = { userId: session.user.id, factorId: factor.id, type: 'totp' }
    expect(seen).toEqual([
      { ...common, valid: true },
      { ...common, valid: right === '000000' },
    ])
    expect(await rows('SELECT status, last_step FROM leanto_auth_factors')).toEqual([
      { status: 'unverified', last_step: null },
    ])
    const [{ n }] = await rows(
      `SELECT coalesce(sum(spent), 0) AS n FROM leanto_core_limits WHERE key LIKE 'auth:mfa%'`,
    )
    expect(n > 0).toBe(status === 403)
    breakBy(undefined)
    // The code was not used up by it.
    const shown = { factorId: factor.id, challengeId, code: right }
    const raised = await expectStatus(await verify(ask, token, shown), 200)
    const codes = await expectStatus(
      await post(ask, '/factors/recovery-codes', {}, { token: raised.access_token }),
      200,
    )
    breakBy(error)
    const body = { code: codes.codes[0] }
    await expectTold(
      await post(ask, '/factors/recovery-codes/verify', body, { token: raised.access_token }),
      status,
      code,
    )
    expect(await count('recovery_codes')).toBe(10)
  })
})

describe('what is sent', () => {
  it.each(thrown)('fails after the answer, with %s, and is logged', async (_, error) => {
    const send = async () => {
      throw error()
    }
    await setUp({ mailer: { send }, sms: send })
    for (const [path, body] of [
      ['/signup', { email: 'a@example.com', password }],
      ['/otp', { email: 'b@example.com' }],
      ['/otp', { phone }],
      ['/recover', { email: 'a@example.com' }],
      ['/invite', { email: 'c@example.com' }],
    ] as const) {
      logged.mockReset()
      const more = path === '/invite' ? ({ key: 'secret' } as const) : {}
      const text = await (await post(ask, path, body, more)).text()
      expect(text, path).not.toMatch(/error|secret/)
      expect(logged, path).toHaveBeenCalledTimes(1)
    }
  })

  it('a template with a bug fails as the mail would, and says nothing', async () => {
    await setUp({
      mails: {
        magiclink: () => {
          throw bug()
        },
      },
    })
    expect(await expectStatus(await post(ask, '/otp', { email }), 200)).toEqual({})
    expect(String(logged.mock.calls.flat().at(-1))).toContain('secret of the host')
    expect(inbox.mails).toEqual([])
  })

  it('where it is awaited, of a second factor, is told as it is', async () => {
    await setUp({ sms: maybe as never }, { phone: true })
    const { access_token: token } = await member(ask, inbox, 'ann@example.com')
    const { id } = await expectStatus(
      await post(ask, '/factors', { factor_type: 'phone', phone }, { token }),
      200,
    )
    breakBy(fault)
    await expectTold(await post(ask, `/factors/${id}/challenge`, {}, { token }), 403, 'no_thanks')
    clock.advance(60)
    breakBy(bug)
    await expectTold(
      await post(ask, `/factors/${id}/challenge`, {}, { token }),
      500,
      'sms_send_failed',
    )
  })
})

describe('after it is done', () => {
  it.each(thrown)('what is thrown, %s, changes no answer, and is logged', async (_, error) => {
    const after = {
      signUp: async () => maybe(),
      event: () => maybe(),
    }
    const part = { name: 'listener', happened: () => maybe() }
    await setUp({ after, autoconfirm: true, with: [part, fake('google', answers)] })
    breakBy(error)
    const session = await expectStatus(await post(ask, '/signup', { email, password }), 200)
    expect(session.access_token).toBeTruthy()
    expect(logged).toHaveBeenCalledTimes(3)
    await expectStatus(await signIn(ask, email), 200)
    expect((await post(ask, '/logout', undefined, { token: session.access_token })).status).toBe(
      204,
    )
    expect(fragment(await comeBack(ask, await begin(ask, 'provider=google'), 'it'))).toBeTruthy()
  })

  it('runs once the answer is on its way, however long it takes', async () => {
    const done: string[] = []
    const held = Promise.withResolvers<void>()
    const users = await setUp({
      autoconfirm: true,
      after: {
        event: async (_, { action }) => {
          await held.promise
          done.push(action)
        },
      },
    })
    const executionCtx = createExecutionContext()
    const request = new Request(`${site}/auth/v1/signup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    })
    const app = new Hono().route('/auth/v1', users.routes)
    const response = await app.fetch(request, env as never, executionCtx as never)
    expect([response.status, done]).toEqual([200, []])
    held.resolve()
    await waitOnExecutionContext(executionCtx as never)
    expect(done).toEqual(['user_signedup'])
  })

  it('hears of what was done, by whom and from where, and of no secret', async () => {
    const events: Json[] = []
    const users = await setUp({
      autoconfirm: true,
      after: { event: (_, event) => void events.push(event) },
    })
    const from = { headers: { 'cf-connecting-ip': '192.0.2.1' } }
    const session = await expectStatus(await post(ask, '/signup', { email, password }, from), 200)
    await signIn(ask, email, 'a wrong guess', from)
    await post(ask, '/logout?scope=local', undefined, { token: session.access_token, ...from })
    const userId = session.user.id
    const network = '192.0.2.1'
    expect(events).toEqual([
      { action: 'user_signedup', userId, network },
      { action: 'login_failed', userId, network },
      { action: 'logout', userId, network, data: { scope: 'local' } },
    ])
    await users.createUser(makeBase().scope({ env }), { email: 'made@example.com' })
    expect(events.at(-1)).toMatchObject({ action: 'user_created' })
    expect(JSON.stringify(events)).not.toMatch(/wrong guess|correct horse/)
  })
})
