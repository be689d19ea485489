import { mfa } from 'leanto/auth/mfa'
import { beforeEach, describe, expect, it } from 'vitest'
import { mfaFaults } from '../../src/auth/mfa/faults.ts'
import { clock, freshDatabase } from '../kit/world.ts'
import { challenge, codeOf, enroll, verify, withFactor } from './mfa-world.ts'
import {
  claimsOf,
  count,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  post,
  refresh,
  rows,
  signIn,
  signUp,
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

describe('no code is taken twice (case 19)', () => {
  it('of 50 parallel calls with one step exactly one succeeds', async () => {
    const { factor } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    clock.advance(60)
    const sessions: Json[] = []
    for (let i = 0; i < 5; i++)
      sessions.push(await expectStatus(await signIn(ask, 'ann@example.com'), 200))
    const challenges = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const token = sessions[i % 5].access_token
        return { token, id: (await challenge(ask, token, factor.id)).id }
      }),
    )
    const right = await codeOf(factor.totp.secret)
    const lenient = mountAuth(makeAuth({ with: [mfa({ attempts: { max: 1000, seconds: 300 } })] }))
    const answers = await Promise.all(
      challenges.map(({ token, id }) =>
        verify(lenient, token, { factorId: factor.id, challengeId: id, code: right }),
      ),
    )
    const good = answers.filter(({ status }) => status === 200)
    expect(good).toHaveLength(1)
    const session = await good[0]?.json<Json>()
    await expectStatus(await refresh(ask, session.refresh_token), 200)
    expect(
      await rows(
        `SELECT 1 FROM leanto_auth_sessions WHERE aal = 'aal2' AND refreshed_at = ?`,
        clock.now(),
      ),
    ).toHaveLength(1)
  })

  it('of 50 parallel calls with one recovery code exactly one succeeds', async () => {
    const { session } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    const token = session.access_token
    const { codes } = await expectStatus(
      await ask('/auth/v1/factors/recovery-codes', { method: 'POST', token }),
      200,
    )
    const weak = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    const lenient = mountAuth(makeAuth({ with: [mfa({ attempts: { max: 1000, seconds: 300 } })] }))
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        post(
          lenient,
          '/factors/recovery-codes/verify',
          { code: codes[0] },
          { token: weak.access_token },
        ),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(await count('recovery_codes')).toBe(9)
    expect(await rows('SELECT 1 FROM leanto_auth_recovery_codes WHERE taken IS NOT NULL')).toEqual(
      [],
    )
  })

  it('not the same code again, not one before it, and one after it', async () => {
    const { factor, session } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    const token = session.access_token
    const attempt = async (offset: number) => {
      const { id } = await challenge(ask, token, factor.id)
      const shown = { factorId: factor.id, challengeId: id }
      const right = await codeOf(factor.totp.secret, offset)
      return verify(ask, token, { ...shown, code: right })
    }
    expect(await code(await attempt(0), 422)).toBe('mfa_verification_failed')
    expect(await code(await attempt(-1), 422)).toBe('mfa_verification_failed')
    await expectStatus(await attempt(1), 200)
    clock.advance(30)
    expect(await code(await attempt(0), 422)).toBe('mfa_verification_failed')
    expect(await code(await attempt(2), 422)).toBe('mfa_verification_failed')
  })

  it('no challenge twice, nor another session’s, nor an expired one', async () => {
    const { factor, session } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    clock.advance(60)
    const token = session.access_token
    const first = await challenge(ask, token, factor.id)
    const shown = { factorId: factor.id, challengeId: first.id }
    const other = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    const right = await codeOf(factor.totp.secret)
    expect(await code(await verify(ask, other.access_token, { ...shown, code: right }), 422)).toBe(
      'mfa_factor_not_found',
    )
    await expectStatus(await verify(ask, token, { ...shown, code: right }), 200)
    clock.advance(30)
    const next = { ...shown, code: await codeOf(factor.totp.secret) }
    expect(await code(await verify(ask, token, next), 422)).toBe('mfa_factor_not_found')
    const late = await challenge(ask, token, factor.id)
    clock.advance(300)
    const stale = { factorId: factor.id, challengeId: late.id }
    const now = await codeOf(factor.totp.secret)
    expect(await code(await verify(ask, token, { ...stale, code: now }), 422)).toBe(
      'mfa_challenge_expired',
    )
  })
})

describe('guesses', () => {
  it('never exceed the budget, however many come at once (case 20)', async () => {
    const { factor, session } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    clock.advance(600)
    const token = session.access_token
    const ids = await Promise.all(
      Array.from({ length: 50 }, async () => (await challenge(ask, token, factor.id)).id),
    )
    const wrong = (await codeOf(factor.totp.secret)) === '000000' ? '111111' : '000000'
    const answers = await Promise.all(
      ids.map((challengeId) =>
        verify(ask, token, { factorId: factor.id, challengeId, code: wrong }),
      ),
    )
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 422)).toHaveLength(10)
    expect(statuses.filter((status) => status === 429)).toHaveLength(40)
    // From elsewhere the owner still gets in.
    const headers = { 'cf-connecting-ip': '198.51.100.7' }
    const shown = {
      challenge_id: ids[0],
      code: await codeOf(factor.totp.secret),
    }
    await expectStatus(
      await post(ask, `/factors/${factor.id}/verify`, shown, { token, headers }),
      200,
    )
  })

  it('at one challenge are five', async () => {
    const texted: string[] = []
    const phones = makeAuth({
      with: [mfa({ phone: true, attempts: { max: 100, seconds: 300 } })],
      sms: (_, { text }) => void texted.push(text),
    })
    const askPhones = mountAuth(phones)
    const { access_token: token } = await signUp(askPhones, 'ann@example.com')
    const factor = await expectStatus(
      await post(askPhones, '/factors', { factor_type: 'phone', phone: '+15550001111' }, { token }),
      200,
    )
    expect(factor).toMatchObject({ type: 'phone', phone: '15550001111' })
    const { id, type } = await challenge(askPhones, token, factor.id)
    expect(type).toBe('phone')
    const sent = texted[0]?.match(/\d{6}/)?.[0] as string
    const wrong = sent === '000000' ? '111111' : '000000'
    const attempt = (value: string) =>
      verify(askPhones, token, { factorId: factor.id, challengeId: id, code: value })
    const answers = await Promise.all(Array.from({ length: 50 }, () => attempt(wrong)))
    expect(answers.filter(({ status }) => status === 422)).toHaveLength(5)
    expect((await attempt(sent)).status).toBe(429)
    // Another one is not sent at once.
    const again = await post(askPhones, `/factors/${factor.id}/challenge`, {}, { token })
    expect(again.headers.get('retry-after')).toBe('60')
    expect(await code(again, 429)).toBe('over_sms_send_rate_limit')
    clock.advance(61)
    const second = await challenge(askPhones, token, factor.id)
    const right = texted[1]?.match(/\d{6}/)?.[0] as string
    expect(
      await code(
        await verify(askPhones, token, {
          factorId: factor.id,
          challengeId: second.id,
          code: wrong === right ? '222222' : wrong,
        }),
        422,
      ),
    ).toBe('mfa_verification_failed')
    const shown = { factorId: factor.id, challengeId: second.id, code: right }
    const session = await expectStatus(await verify(askPhones, token, shown), 200)
    expect(claimsOf(session.access_token).amr[0].method).toBe('mfa/phone')
    const stored = JSON.stringify(await rows('SELECT * FROM leanto_auth_challenges'))
    expect(stored).not.toContain(sent)
  })

  it('may be refused by the host, who hears of each', async () => {
    const heard: Json[] = []
    const strict = mfa({
      before: {
        verify(_, attempt) {
          heard.push(attempt)
          if (heard.length > 1) throw mfaFaults.mfa_verification_rejected()
        },
      },
    })
    const askStrict = mountAuth(makeAuth({ with: [strict] }))
    const { access_token: token, user } = await signUp(askStrict, 'ann@example.com')
    const factor = await enroll(askStrict, token)
    const { id } = await challenge(askStrict, token, factor.id)
    const shown = { factorId: factor.id, challengeId: id }
    await verify(askStrict, token, { ...shown, code: 'wrong' })
    const right = await codeOf(factor.totp.secret)
    expect(await code(await verify(askStrict, token, { ...shown, code: right }), 403)).toBe(
      'mfa_verification_rejected',
    )
    expect(heard).toEqual([
      { userId: user.id, factorId: factor.id, type: 'totp', valid: false },
      { userId: user.id, factorId: factor.id, type: 'totp', valid: true },
    ])
    expect(await rows(`SELECT 1 FROM leanto_auth_factors WHERE status = 'verified'`)).toEqual([])
  })
})
