import { env } from 'cloudflare:workers'
import { developmentSecret } from 'leanto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { d1Error, faulty } from '../kit/faulty.ts'
import { clock, freshDatabase, testSecret } from '../kit/world.ts'
import {
  expectStatus,
  getUser,
  makeAuth,
  mountAuth,
  password,
  post,
  refresh,
  rows,
  signIn,
  signUp,
  snapshot,
} from './world.ts'

const users = makeAuth()
const ask = mountAuth(users)
const logged: string[] = []
let spies: { mockRestore(): void }[] = []

beforeEach(async () => {
  await freshDatabase([users])
  clock.time = Math.ceil(clock.time / 3_600_000) * 3_600_000
  logged.length = 0
  spies = (['log', 'info', 'warn', 'error', 'debug', 'trace'] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation((...values: unknown[]) => {
      for (const value of values)
        logged.push(
          value instanceof Error ? `${value.stack} ${value.cause}` : JSON.stringify(value),
        )
    }),
  )
})
afterEach(() => {
  for (const spy of spies) spy.mockRestore()
})

/** An app whose database fails at the n-th trip of each request, counted from when it is armed. */
function failing(at: number, how: true | 'after' = true) {
  const state = { armed: false, trip: 0 }
  const db = faulty(env.DB as never, () => {
    if (!state.armed) return false
    state.trip += 1
    return state.trip === at && how
  })
  const broken = mountAuth(makeAuth({}, { db: () => db }))
  return {
    broken,
    arm() {
      state.armed = true
      state.trip = 0
    },
  }
}

describe('a failing database', () => {
  const flows = [
    ['sign-up', 1, (of: typeof ask) => post(of, '/signup', { email: 'eve@example.com', password })],
    ['sign-up', 2, (of: typeof ask) => post(of, '/signup', { email: 'eve@example.com', password })],
    ['sign-in', 1, (of: typeof ask) => signIn(of, 'ann@example.com')],
    ['sign-in', 2, (of: typeof ask) => signIn(of, 'ann@example.com')],
    [
      'refresh',
      1,
      (of: typeof ask, s: Awaited<ReturnType<typeof signUp>>) => refresh(of, s.refresh_token),
    ],
    [
      'user',
      1,
      (of: typeof ask, s: Awaited<ReturnType<typeof signUp>>) => getUser(of, s.access_token),
    ],
    [
      'password',
      2,
      (of: typeof ask, s: Awaited<ReturnType<typeof signUp>>) =>
        of('/auth/v1/user', {
          method: 'PUT',
          token: s.access_token,
          body: { password: 'a new password' },
        }),
    ],
    [
      'logout',
      1,
      (of: typeof ask, s: Awaited<ReturnType<typeof signUp>>) =>
        of('/auth/v1/logout', { method: 'POST', token: s.access_token }),
    ],
  ] as const

  it.each(flows)(
    '%s, trip %i: a bare 500 in GoTrue’s body, and nothing half done',
    async (_, at, run) => {
      const { broken, arm } = failing(at)
      const session = await signUp(broken, 'ann@example.com')
      const before = await snapshot()
      arm()
      const response = await run(broken, session)
      expect(response.headers.get('x-sb-error-code')).toBe('unexpected_failure')
      expect(await expectStatus(response, 500)).toEqual({
        code: 500,
        error_code: 'unexpected_failure',
        msg: 'Unexpected failure, please check server logs for more information',
      })
      expect(await snapshot()).toBe(before)
      // Whoever runs the app sees what it was.
      expect(logged.join('\n')).toContain(d1Error)
      // And the next call goes through.
      expect((await run(broken, session)).status).toBeLessThan(300)
    },
  )

  it.each([1, 2, 3])('at trip %i of the very first sign-up leaves no user behind', async (at) => {
    const { broken, arm } = failing(at)
    arm()
    await expectStatus(await post(broken, '/signup', { email: 'ann@example.com', password }), 500)
    expect(JSON.parse(await snapshot()).flat()).toEqual([])
    const { access_token } = await signUp(broken, 'ann@example.com')
    expect((await getUser(broken, access_token)).status).toBe(200)
  })

  it('spends no attempt (case 20)', async () => {
    const { broken, arm } = failing(2)
    await signUp(broken, 'ann@example.com')
    for (let i = 0; i < 40; i++) {
      arm()
      expect((await signIn(broken, 'ann@example.com')).status).toBe(500)
    }
    const spent = await rows(
      `SELECT sum(spent) AS n FROM leanto_core_limits WHERE key NOT LIKE '%sign-up%'`,
    )
    expect(spent).toEqual([{ n: 0 }])
    expect((await signIn(ask, 'ann@example.com')).status).toBe(200)
  })

  it('that loses its answer to a refresh costs nobody the session', async () => {
    const { broken, arm } = failing(1, 'after')
    const { refresh_token } = await signUp(broken, 'ann@example.com')
    arm()
    expect((await refresh(broken, refresh_token)).status).toBe(500)
    // Within the grace the same token answers the child that was made.
    const next = await expectStatus(await refresh(broken, refresh_token), 200)
    await expectStatus(await refresh(broken, next.refresh_token), 200)
  })
})

describe('a secret that may not be used (case 73)', () => {
  it.each([undefined, '', 'too-tiny-a-one', developmentSecret])(
    '%j: nothing works, and says how to set it',
    async (secret) => {
      const unset = mountAuth(makeAuth({}, { secret: () => secret }))
      for (const response of [
        await post(unset, '/signup', { email: 'ann@example.com', password }),
        await signIn(unset, 'ann@example.com'),
        await unset('/auth/v1/.well-known/jwks.json'),
      ]) {
        const body = await expectStatus(response, 500)
        expect(body.error_code).toBe('unexpected_failure')
        expect(body.msg).toContain('npx leanto secret')
        if (secret) expect(body.msg).not.toContain(secret)
      }
      expect(JSON.parse(await snapshot()).flat()).toEqual([])
    },
  )
})

it('no password, token, hash or secret is ever logged (case 74)', async () => {
  const secrets: string[] = [password, testSecret, 'wrong guess 1', 'a new password', '$argon2id$']
  const keep = (session: { access_token: string; refresh_token: string }) => {
    secrets.push(
      session.access_token,
      session.refresh_token,
      session.access_token.split('.')[2] as string,
    )
    return session
  }
  const flow = async (of: typeof ask, lenient = false) => {
    const answers: Response[] = []
    const up = await post(of, '/signup', { email: 'ann@example.com', password })
    const session = up.ok ? keep(await up.json()) : { access_token: 'a.b.c', refresh_token: 'x' }
    const token = session.access_token
    answers.push(await signIn(of, 'ann@example.com', 'wrong guess 1'))
    const signedIn = await signIn(of, 'ann@example.com')
    if (signedIn.ok) keep(await signedIn.json())
    const refreshed = await refresh(of, session.refresh_token)
    if (refreshed.ok) keep(await refreshed.json())
    answers.push(await getUser(of, token), await getUser(of, `${token}x`))
    const body = { password: 'a new password' }
    answers.push(await of('/auth/v1/user', { method: 'PUT', token, body }))
    answers.push(await post(of, '/signup', `{"password":"${password}"`))
    answers.push(await of('/auth/v1/logout', { method: 'POST', token }))
    if (!lenient) expect(up.status).toBe(200)
    return answers
  }
  await flow(ask)
  expect(logged).toEqual([])
  // And when things go wrong at any trip, there is a log, but not of these.
  for (const at of [1, 2]) {
    const db = faulty(env.DB as never, () => true)
    await flow(mountAuth(makeAuth({}, { db: () => db })), true)
    const { broken, arm } = failing(at)
    arm()
    await flow(broken, true)
  }
  const log = logged.join('\n')
  expect(log).toContain(d1Error)
  for (const secret of secrets) expect(log).not.toContain(secret)
})
