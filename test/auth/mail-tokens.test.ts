import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { makeInbox, member, register, verify } from './inbox.ts'
import {
  count,
  expectStatus,
  getUser,
  makeAuth,
  mountAuth,
  post,
  refresh,
  rows,
  signIn,
  snapshot,
} from './world.ts'

const inbox = makeInbox()
const free = {
  guesses: false,
  signIns: false,
  signUps: false,
  messages: false,
  inbox: false,
} as const
const users = makeAuth({ mailer: inbox.mailer, limits: free })
const ask = mountAuth(users)
const ann = 'ann@example.com'

beforeEach(async () => {
  await freshDatabase([users])
  inbox.clear()
})

const codeOf = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

describe('a token', () => {
  it('is stored hashed, and so is its code (case 23)', async () => {
    await register(ask, ann)
    const stored = await snapshot()
    expect(stored).not.toContain(inbox.token(ann))
    const [row] = await rows('SELECT code FROM leanto_auth_tokens')
    expect(row.code).toMatch(/^[\w-]{43}$/)
  })

  it('of one kind is none of another (case 23)', async () => {
    await member(ask, inbox, ann)
    await member(ask, inbox, 'bob@example.com')
    const made: Record<string, { token_hash: string; token: string; email: string }> = {}
    const remember = (kind: string, email: string) => {
      made[kind] = { token_hash: inbox.token(email), token: inbox.code(email), email }
    }
    await post(ask, '/otp', { email: ann })
    remember('magiclink', ann)
    await post(ask, '/recover', { email: ann })
    remember('recovery', ann)
    await register(ask, 'eve@example.com')
    remember('signup', 'eve@example.com')
    const bob = await expectStatus(await signIn(ask, 'bob@example.com'), 200)
    await ask('/auth/v1/user', {
      method: 'PUT',
      token: bob.access_token,
      body: { email: 'rob@example.com' },
    })
    remember('email_change', 'rob@example.com')
    const before = await count('sessions')
    const fits = (kind: string, type: string) =>
      kind === type || (type === 'email' && (kind === 'signup' || kind === 'magiclink'))
    const types = [
      'signup',
      'magiclink',
      'email',
      'recovery',
      'invite',
      'email_change',
      'sms',
      'phone_change',
    ]
    for (const [kind, { token_hash, token, email }] of Object.entries(made))
      for (const type of types.filter((one) => !fits(kind, one))) {
        expect(await codeOf(await verify(ask, { type, token_hash }), 403)).toBe('otp_expired')
        expect(await codeOf(await verify(ask, { type, email, token }), 403)).toBe('otp_expired')
      }
    for (const { token_hash } of Object.values(made)) {
      expect((await refresh(ask, token_hash)).status).toBe(400)
      const exchange = { auth_code: token_hash, code_verifier: 'v'.repeat(43) }
      expect((await post(ask, '/token?grant_type=pkce', exchange)).status).toBe(404)
      expect((await getUser(ask, token_hash)).status).toBe(403)
    }
    expect(await count('sessions')).toBe(before)
    for (const [kind, { token_hash }] of Object.entries(made))
      await expectStatus(await verify(ask, { type: kind, token_hash }), 200)
  })

  it('is nothing once its address was changed or its password chosen', async () => {
    const session = await member(ask, inbox, ann)
    await post(ask, '/recover', { email: ann })
    const recovery = { type: 'recovery', token_hash: inbox.token(ann) }
    await post(ask, '/otp', { email: ann })
    const magiclink = { type: 'magiclink', token_hash: inbox.token(ann) }
    const change = {
      method: 'PUT',
      token: session.access_token,
      body: { password: 'a new password' },
    }
    await expectStatus(await ask('/auth/v1/user', change), 200)
    await expectStatus(await verify(ask, recovery), 403)
    await expectStatus(await verify(ask, magiclink), 403)
    await post(ask, '/recover', { email: ann })
    const later = { type: 'recovery', token_hash: inbox.token(ann) }
    await rows(`UPDATE leanto_auth_users SET email = 'anna@example.com'`)
    await expectStatus(await verify(ask, later), 403)
  })

  it.each([
    ['signup', '/resend', { type: 'signup' }],
    ['magiclink', '/otp', {}],
    ['recovery', '/recover', {}],
  ])('of %s is used once by 50 parallel calls (case 19)', async (type, path, body) => {
    if (type === 'signup') await register(ask, ann)
    else await member(ask, inbox, ann)
    const before = await count('sessions')
    await post(ask, path, { email: ann, ...body })
    const link = { type, token_hash: inbox.token(ann) }
    const code = { type, email: ann, token: inbox.code(ann) }
    const calls = Array.from({ length: 50 }, (_, i) => verify(ask, i % 10 === 0 ? code : link))
    const statuses = (await Promise.all(calls)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.filter((status) => status === 403)).toHaveLength(49)
    expect(await count('sessions')).toBe(before + 1)
    expect(await count('tokens')).toBe(0)
  })

  it('endures five wrong guesses, 50 parallel ones too, and its link any (case 20)', async () => {
    await post(ask, '/otp', { email: ann })
    const token = inbox.code(ann)
    const wrong = (i: number) => String((Number(token) + 1 + i) % 1_000_000).padStart(6, '0')
    const guesses = Array.from({ length: 50 }, (_, i) =>
      verify(ask, { type: 'email', email: ann, token: wrong(i) }),
    )
    expect((await Promise.all(guesses)).every(({ status }) => status === 403)).toBe(true)
    expect((await rows('SELECT attempts FROM leanto_auth_tokens'))[0].attempts).toBe(5)
    expect(await codeOf(await verify(ask, { type: 'email', email: ann, token }), 403)).toBe(
      'otp_expired',
    )
    await expectStatus(await verify(ask, { type: 'magiclink', token_hash: inbox.token(ann) }), 200)
  })

  it('is guessed at within the budget of passwords (case 20)', async () => {
    const limited = mountAuth(
      makeAuth({ mailer: inbox.mailer, limits: { ...free, guesses: { max: 3, seconds: 300 } } }),
    )
    clock.time = Math.ceil(clock.time / 300_000) * 300_000
    await post(limited, '/otp', { email: ann })
    const token = inbox.code(ann)
    const other = token === '000000' ? '000001' : '000000'
    const guess = (email: string, code: string, network: string) =>
      verify(
        limited,
        { type: 'email', email, token: code },
        { headers: { 'cf-connecting-ip': network } },
      )
    for (const email of [ann, 'nobody@example.com']) {
      for (let i = 0; i < 3; i++) await expectStatus(await guess(email, other, '192.0.2.1'), 403)
      await expectStatus(await guess(email, other, '192.0.2.1'), 429)
    }
    // Not even the right one is looked at, from there; the owner is not locked out.
    await expectStatus(await guess(ann, token, '192.0.2.1'), 429)
    await expectStatus(await guess(ann, token, '192.0.2.2'), 200)
    const spent = await rows(`SELECT spent FROM leanto_core_limits WHERE key LIKE '%192.0.2.2%'`)
    expect(spent.every((row) => row.spent === 0)).toBe(true)
  })
})
