import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { makeInbox, member } from './inbox.ts'
import { expectStatus, makeAuth, mountAuth, password, post, rows, signIn, signUp } from './world.ts'

const users = makeAuth()
const ask = mountAuth(users)
beforeEach(async () => {
  await freshDatabase([users])
  // Windows are aligned to the clock: start in the middle of none.
  clock.time = Math.ceil(clock.time / 3_600_000) * 3_600_000
})

const from = (address: string, more: Record<string, string> = {}) => ({
  headers: { 'cf-connecting-ip': address, ...more },
})
const guess = (email: string, address = '192.0.2.1', more = {}) =>
  signIn(ask, email, 'wrong guess', from(address, more))
const times = <T>(n: number, work: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: n }, (_, i) => work(i)))
const tally = (answers: Response[]) => {
  const sum: Record<number, number> = {}
  for (const { status } of answers) sum[status] = (sum[status] ?? 0) + 1
  return sum
}

describe('wrong passwords', () => {
  it('by 50 parallel calls get ten answers and no more (case 20)', async () => {
    await signUp(ask, 'ann@example.com')
    const answers = await times(50, () => guess('ann@example.com'))
    expect(tally(answers)).toEqual({ 400: 10, 429: 40 })
    const refused = answers.find(({ status }) => status === 429) as Response
    expect(Number(refused.headers.get('retry-after'))).toBe(300)
    expect(await expectStatus(refused, 429)).toEqual({
      code: 429,
      error_code: 'over_request_rate_limit',
      msg: 'Too many requests',
    })
    // The right password gets no other answer, or it would be a way to keep guessing.
    expect((await signIn(ask, 'ann@example.com', password, from('192.0.2.1'))).status).toBe(429)
    // Who comes from elsewhere is not locked out.
    expect((await signIn(ask, 'ann@example.com', password, from('198.51.100.1'))).status).toBe(200)
    clock.advance(300)
    expect((await signIn(ask, 'ann@example.com', password, from('192.0.2.1'))).status).toBe(200)
  })

  it('are limited the same where there is no such user (case 55)', async () => {
    await signUp(ask, 'ann@example.com')
    const known = tally(await times(15, () => guess('ann@example.com', '192.0.2.7')))
    const unknown = tally(await times(15, () => guess('nobody@example.com', '192.0.2.8')))
    expect(unknown).toEqual(known)
  })

  it('cannot be spread over spellings, fields or headers (cases 52 and 53)', async () => {
    await signUp(ask, 'ann@example.com')
    const spellings = ['ann@example.com', 'ANN@example.com', 'Ann@EXAMPLE.com', 'ａnn@example.com']
    const answers = await times(40, (i) =>
      post(
        ask,
        '/token?grant_type=password',
        {
          email: spellings[i % 4],
          password: `wrong guess ${i}`,
          ip: `10.0.0.${i}`,
          network: `10.0.0.${i}`,
          gotrue_meta_security: { captcha_token: String(i) },
        },
        from('192.0.2.1', {
          'x-forwarded-for': `10.0.0.${i}`,
          'x-real-ip': `10.0.0.${i}`,
          forwarded: `for=10.0.0.${i}`,
          'true-client-ip': `10.0.0.${i}`,
          'user-agent': `agent ${i}`,
        }),
      ),
    )
    expect(tally(answers)).toEqual({ 400: 10, 429: 30 })
  })

  it('count by /64 for IPv6, and mapped addresses as IPv4 (case 52)', async () => {
    const six = await times(20, (i) => guess('ann@example.com', `2001:db8:1:2:${i}::${i + 1}`))
    expect(tally(six)).toEqual({ 400: 10, 429: 10 })
    const mapped = await times(20, (i) =>
      guess('ann@example.com', i % 2 ? '::ffff:203.0.113.9' : '203.0.113.9'),
    )
    expect(tally(mapped)).toEqual({ 400: 10, 429: 10 })
  })

  it('from one network over many addresses stop at 30', async () => {
    const answers = await times(50, (i) => guess(`user${i}@example.com`))
    expect(tally(answers)).toEqual({ 400: 30, 429: 20 })
    expect((await guess('one@example.com', '192.0.2.2')).status).toBe(400)
  })

  it('for one account from everywhere have a budget, and its owner still comes in (case 20)', async () => {
    const limited = mountAuth(makeAuth({ limits: { account: { max: 12, seconds: 3600 } } }))
    const wrong = (email: string, address: string) =>
      signIn(limited, email, 'wrong guess', from(address))
    const right = (address: string) => signIn(limited, 'ann@example.com', password, from(address))
    const many = (email: string) => times(25, (i) => wrong(email, `198.51.${i}.1`))
    await signUp(limited, 'ann@example.com')
    expect((await right('2001:db8:1:2::9')).status).toBe(200)
    expect(tally(await many('ann@example.com'))).toEqual({ 400: 12, 429: 13 })
    // The right password is no other answer to a stranger's network …
    const stranger = await right('203.0.113.5')
    expect(stranger.status).toBe(429)
    expect(Number(stranger.headers.get('retry-after'))).toBe(3600)
    // … but where the owner is signed in, by the /64 too, nobody is locked out, nor free to guess on.
    expect((await right('2001:db8:1:2:ffff::1')).status).toBe(200)
    const more = await times(13, () => wrong('ann@example.com', '2001:db8:1:2::3'))
    expect(tally(more)).toEqual({ 400: 10, 429: 3 })
    expect((await right('203.0.113.5')).status).toBe(429)
    clock.advance(3600)
    expect((await right('203.0.113.5')).status).toBe(200)
    // Known or not, it is the same (case 55).
    expect(tally(await many('nobody@example.com'))).toEqual({ 400: 12, 429: 13 })
    // What a network is refused by itself does not count for the account.
    const one = await times(30, () => wrong('bob@example.com', '192.0.2.99'))
    expect(tally(one)).toEqual({ 400: 10, 429: 20 })
    expect((await wrong('bob@example.com', '192.0.2.100')).status).toBe(400)
  })

  it('for one account are 100 an hour if nothing else is said (NIST SP 800-63B-4, 3.2.2)', async () => {
    await guess('ann@example.com')
    await rows(`UPDATE leanto_core_limits SET spent = 99 WHERE key LIKE 'auth:account:%'`)
    expect((await guess('ann@example.com', '192.0.2.2')).status).toBe(400)
    expect((await guess('ann@example.com', '192.0.2.3')).status).toBe(429)
  })

  it('of others do not keep an owner from a link or a code', async () => {
    const inbox = makeInbox()
    const mailed = mountAuth(
      makeAuth({ mailer: inbox.mailer, limits: { account: { max: 3, seconds: 60 } } }),
    )
    await member(mailed, inbox, 'ann@example.com')
    const wrong = (i: number) =>
      signIn(mailed, 'ann@example.com', 'wrong guess', from(`198.51.${i}.1`))
    expect(tally(await times(9, wrong))).toEqual({ 400: 3, 429: 6 })
    expect((await signIn(mailed, 'ann@example.com', password, from('203.0.113.5'))).status).toBe(
      429,
    )
    await post(mailed, '/otp', { email: 'ann@example.com' }, from('203.0.113.5'))
    const body = { type: 'email', email: 'ann@example.com', token: inbox.code('ann@example.com') }
    await expectStatus(await post(mailed, '/verify', body, from('203.0.113.5')), 200)
    // And from where that was, the password is looked at again.
    expect((await signIn(mailed, 'ann@example.com', password, from('203.0.113.5'))).status).toBe(
      200,
    )
  })

  it('do not add up where the password is right', async () => {
    await signUp(ask, 'ann@example.com')
    for (let i = 0; i < 35; i++)
      expect((await signIn(ask, 'ann@example.com', password, from('192.0.2.1'))).status).toBe(200)
    const spent = await rows(
      `SELECT sum(spent) AS n FROM leanto_core_limits WHERE key LIKE 'auth:guess:%' OR key LIKE 'auth:sign-in:%' OR key LIKE 'auth:account:%'`,
    )
    expect(spent).toEqual([{ n: 0 }])
  })

  it('leave no address in the counters', async () => {
    await guess('ann@example.com')
    const keys = JSON.stringify(await rows('SELECT key FROM leanto_core_limits'))
    expect(keys).toMatch(/auth:guess:192\.0\.2\.1:[\w-]{43}/)
    expect(keys).not.toContain('ann')
  })

  it('without an address share one budget, and in development the network’s does not hold', async () => {
    const far = await times(12, () => signIn(ask, 'ann@example.com', 'wrong guess'))
    expect(tally(far)).toEqual({ 400: 10, 429: 2 })
    const local = mountAuth(users, 'http://localhost:8787')
    const near = await times(40, (i) => signIn(local, `user${i}@example.com`, 'wrong guess'))
    expect(tally(near)).toEqual({ 400: 40 })
    const one = await times(12, () => signIn(local, 'bob@example.com', 'wrong guess'))
    expect(tally(one)).toEqual({ 400: 10, 429: 2 })
  })

  it('can be given other budgets, or none', async () => {
    const tight = mountAuth(
      makeAuth({ limits: { guesses: { max: 2, seconds: 60 }, signIns: false } }),
    )
    const answers = await times(5, () => signIn(tight, 'ann@example.com', 'wrong guess'))
    expect(tally(answers)).toEqual({ 400: 2, 429: 3 })
    const free = mountAuth(makeAuth({ limits: { guesses: false, signIns: false } }))
    expect(tally(await times(40, () => signIn(free, 'bob@example.com', 'wrong guess')))).toEqual({
      400: 40,
    })
  })
})

describe('sign-ups', () => {
  it('of one address by 50 parallel calls make one user (case 21)', async () => {
    const relaxed = mountAuth(makeAuth({ limits: { signUps: false } }))
    const spellings = ['ann@example.com', 'ANN@example.com', 'ann@EXAMPLE.com']
    const answers = await times(50, (i) =>
      post(relaxed, '/signup', { email: spellings[i % 3], password }),
    )
    expect(tally(answers)).toEqual({ 200: 1, 422: 49 })
    expect(await rows('SELECT email FROM leanto_auth_users')).toEqual([
      { email: 'ann@example.com' },
    ])
    expect(await rows('SELECT count(*) AS n FROM leanto_auth_sessions')).toEqual([{ n: 1 }])
    expect(await rows('SELECT count(*) AS n FROM leanto_auth_refresh_tokens')).toEqual([{ n: 1 }])
  })

  it('from one network stop at 30, and the next stores nothing', async () => {
    const answers = await times(35, (i) =>
      post(ask, '/signup', { email: `user${i}@example.com`, password }, from('192.0.2.1')),
    )
    expect(tally(answers)).toEqual({ 200: 30, 429: 5 })
    expect(await rows('SELECT count(*) AS n FROM leanto_auth_users')).toEqual([{ n: 30 }])
    const other = { email: 'other@example.com', password }
    expect((await post(ask, '/signup', other, from('192.0.2.2'))).status).toBe(200)
  })
})
