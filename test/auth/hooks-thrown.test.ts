import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, freshDatabase } from '../kit/world.ts'
import {
  answers,
  ask,
  breakBy,
  bug,
  email,
  expectTold,
  fault,
  inbox,
  maybe,
  type Options,
  phone,
  setUp,
  spent,
  thrown,
  told,
} from './hooks-world.ts'
import { member, verify as verifyMail } from './inbox.ts'
import { challenge, codeOf, enroll, verify } from './mfa-world.ts'
import { begin, comeBack, fake } from './oauth-world.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  refresh,
  rows,
  signIn,
} from './world.ts'

describe('before a user is made', () => {
  /** Each way to become one. */
  const ways: [string, Options, () => Promise<Response>][] = [
    ['by password', { autoconfirm: true }, () => post(ask, '/signup', { email, password })],
    ['by password, to be confirmed', {}, () => post(ask, '/signup', { email, password })],
    ['by phone', {}, () => post(ask, '/signup', { phone, password })],
    ['as a guest', {}, () => post(ask, '/signup', {})],
    [
      'by a provider',
      {},
      async () => told(await comeBack(ask, await begin(ask, 'provider=google'), 'it')),
    ],
    [
      'by an ID token',
      {},
      () => post(ask, '/token?grant_type=id_token', { provider: 'google', id_token: 'it' }),
    ],
    ['by invitation', {}, () => post(ask, '/invite', { email }, { key: 'secret' })],
    ...['signup', 'magiclink', 'invite'].map((type): [string, Options, () => Promise<Response>] => [
      `by a link that the server makes, ${type}`,
      {},
      () => post(ask, '/admin/generate_link', { type, email, password }, { key: 'secret' }),
    ]),
  ]
  const signUp = vi.fn(maybe)
  beforeEach(() => void signUp.mockClear())

  it.each(ways.flatMap((way) => thrown.map((one) => [...way, ...one] as const)))(
    '%s: %s',
    async (_, options, become, _what, error, status, code) => {
      await setUp({ ...options, before: { signUp } })
      breakBy(error)
      const response = await become()
      if (response.status === 500 && code === 'unexpected_failure') {
        expect(await response.text()).not.toContain('secret of the host')
      } else await expectTold(response, status, code)
      expect(signUp).toHaveBeenCalledTimes(1)
      for (const table of ['users', 'identities', 'sessions', 'tokens'])
        expect(await count(table), table).toBe(0)
      expect([inbox.mails, inbox.texts]).toEqual([[], []])
      // An answer spends an attempt; a failure of ours does not.
      if (status === 500)
        expect(
          await rows(
            'SELECT key FROM leanto_core_limits WHERE spent > 0 AND key NOT LIKE ?',
            'auth:flow:%',
          ),
        ).toEqual([])
      breakBy(undefined)
      expect((await become()).status).toBeLessThan(600)
      expect(await count('users')).toBe(1)
    },
  )

  it.each([['email'], ['phone']])(
    'by a code to a new %s: a refusal is not told, a bug is one',
    async (type) => {
      await setUp({ before: { signUp } })
      const body = type === 'email' ? { email } : { phone }
      breakBy(fault)
      expect(await expectStatus(await post(ask, '/otp', body), 200)).toEqual({})
      expect([await count('users'), await count('tokens')]).toEqual([0, 0])
      breakBy(bug)
      const before = await spent()
      await expectTold(await post(ask, '/otp', body), 500, 'unexpected_failure')
      expect([await count('users'), await spent()]).toEqual([0, before])
      expect([inbox.mails, inbox.texts]).toEqual([[], []])
      breakBy(undefined)
      await expectStatus(await post(ask, '/otp', body), 200)
      expect(await count('users')).toBe(1)
      expect(signUp.mock.calls.map(([, request]: Json[]) => request)).toEqual(
        Array(3).fill(
          type === 'email' ? { email, data: {} } : { email: '', phone: phone.slice(1), data: {} },
        ),
      )
    },
  )

  it('is asked about whoever comes by a provider, at whichever look they turn out to be new', async () => {
    let trips = 0
    const users = makeAuth(
      { before: { signUp }, with: [fake('google', answers)], limits: { flows: false } },
      {
        db: (bound) =>
          faulty(bound.DB as never, async (sql) => {
            // Between the look that finds the account and the write that is made for it.
            if (
              sql.some((one) => one.includes('INSERT INTO leanto_auth_sessions')) &&
              ++trips === 2
            )
              for (const table of ['users', 'sessions', 'identities'])
                await rows(`DELETE FROM leanto_auth_${table}`)
            return false
          }),
      },
    )
    await freshDatabase([users])
    const own = mountAuth(users)
    const come = async () => comeBack(own, await begin(own, 'provider=google'), 'it')
    await come()
    expect(signUp).toHaveBeenCalledTimes(1)
    breakBy(fault)
    expect((await come()).searchParams.get('error_code')).toBe('no_thanks')
    expect(signUp).toHaveBeenCalledTimes(2)
    expect([await count('users'), await count('sessions')]).toEqual([0, 0])
  })

  it('is awaited, and not asked about who is there already', async () => {
    const order: string[] = []
    await setUp({
      autoconfirm: true,
      before: {
        signUp: async () => {
          await new Promise((resolve) => setTimeout(resolve, 5))
          order.push(`before, ${await count('users')}`)
        },
      },
      after: { signUp: async (_, user) => void order.push(`after ${user.email}`) },
    })
    await expectStatus(await post(ask, '/signup', { email, password }), 200)
    expect(order).toEqual(['before, 0', `after ${email}`])
    await post(ask, '/otp', { email })
    await comeBack(ask, await begin(ask, 'provider=google'), 'it')
    expect(order).toHaveLength(2)
  })
})

describe('claims of an access token', () => {
  const accessToken = vi.fn(() => {
    maybe()
    return { plan: 'gold' }
  })
  const verifier = 'v'.repeat(43)
  let session: Json
  /** What each way needs first, and what it asks. */
  const ways: [string, () => Promise<() => Promise<Response>>][] = [
    ['a password', async () => () => signIn(ask, 'ann@example.com')],
    ['a guest', async () => () => post(ask, '/signup', {})],
    [
      'a link',
      async () => {
        await post(ask, '/otp', { email: 'ann@example.com' })
        const body = { type: 'magiclink', token_hash: inbox.token('ann@example.com') }
        return () => verifyMail(ask, body)
      },
    ],
    [
      'a code of PKCE',
      async () => {
        const flow = await begin(
          ask,
          `provider=google&code_challenge=${verifier}&code_challenge_method=plain`,
        )
        const auth_code = (await comeBack(ask, flow, 'it')).searchParams.get('code')
        return () => post(ask, '/token?grant_type=pkce', { auth_code, code_verifier: verifier })
      },
    ],
    [
      'an ID token',
      async () => () =>
        post(ask, '/token?grant_type=id_token', { provider: 'google', id_token: 'it' }),
    ],
    [
      'a provider',
      async () => async () => told(await comeBack(ask, await begin(ask, 'provider=google'), 'it')),
    ],
    ['a refresh token', async () => () => refresh(ask, session.refresh_token)],
    [
      'a second factor',
      async () => {
        const factor = await enroll(ask, session.access_token)
        const { id } = await challenge(ask, session.access_token, factor.id)
        const code = await codeOf(factor.totp.secret)
        const shown = { factorId: factor.id, challengeId: id, code }
        return () => verify(ask, session.access_token, shown)
      },
    ],
    [
      'a cookie',
      async () => () =>
        ask('/auth/v1/cookie', {
          method: 'POST',
          headers: {
            'sec-fetch-site': 'same-origin',
            cookie: `__Host-auth-refresh=${session.refresh_token}`,
          },
        }),
    ],
  ]

  it.each(ways.flatMap((way) => thrown.map((one) => [...way, ...one] as const)))(
    'by %s, with %s: no token leaves, and the user can sign in later',
    async (_, prepare, _what, error, status, code) => {
      await setUp({ before: { accessToken } })
      session = await member(ask, inbox, 'ann@example.com')
      const call = await prepare()
      breakBy(error)
      const response = await call()
      const text = await response.clone().text()
      expect(text).not.toContain('secret of the host')
      expect(text).not.toMatch(/access_token|refresh_token/)
      expect(response.headers.getSetCookie().join()).not.toMatch(/__Host-auth-access=\w/)
      await expectTold(response, status, code)
      breakBy(undefined)
      const again = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
      expect(claimsOf(again.access_token).plan).toBe('gold')
    },
  )

  it('a bug of an hour ends no session: the refresh token is as good as before', async () => {
    await setUp({ before: { accessToken } })
    session = await member(ask, inbox, 'ann@example.com')
    breakBy(bug)
    for (let i = 0; i < 6; i++) {
      expect((await refresh(ask, session.refresh_token)).status).toBe(500)
      clock.advance(600)
    }
    breakBy(undefined)
    const next = await expectStatus(await refresh(ask, session.refresh_token), 200)
    await expectStatus(await getUser(ask, next.access_token), 200)
    // And it is used by then, as any other.
    clock.advance(60)
    const late = await expectStatus(await refresh(ask, session.refresh_token), 400)
    expect(late.error_code).toBe('refresh_token_already_used')
  })

  it('nor does one beside parallel calls that work', async () => {
    await setUp({ before: { accessToken } })
    session = await member(ask, inbox, 'ann@example.com')
    let calls = 0
    accessToken.mockImplementation(() => {
      if (++calls % 2) throw bug()
      return { plan: 'gold' }
    })
    const all = await Promise.all(
      Array.from({ length: 20 }, () => refresh(ask, session.refresh_token)),
    )
    accessToken.mockImplementation(() => {
      maybe()
      return { plan: 'gold' }
    })
    const good = all.filter(({ status }) => status === 200)
    expect(good).toHaveLength(10)
    const tokens = await Promise.all(
      good.map(async (one) => (await one.json<Json>()).refresh_token),
    )
    expect(new Set(tokens).size).toBe(1)
    await expectStatus(await refresh(ask, tokens[0]), 200)
    // The parent of a token that is in use is a thief's.
    expect((await refresh(ask, session.refresh_token)).status).toBe(400)
    expect(await count('sessions')).toBe(0)
  })
})
