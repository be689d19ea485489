import { env } from 'cloudflare:workers'
import type { Cost } from 'leanto'
import type { Session } from 'leanto/auth'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { makeInbox } from './inbox.ts'
import { claimsOf, makeAuth, password } from './world.ts'

const base = makeBase()
let users = makeAuth()
beforeEach(async () => {
  users = makeAuth()
  await freshDatabase([users])
})

type Work<T> = (scope: ReturnType<typeof base.scope>) => Promise<T>

async function costOf<T>(work: Work<T>): Promise<{ cost: Cost; result: T }> {
  const scope = base.scope({ env })
  const result = await work(scope)
  return { cost: scope.cost, result }
}

const expectCost = (cost: Cost, trips: number, statements: number, read: number, written: number) =>
  expect(cost).toEqual({ trips, statements, rowsRead: read, rowsWritten: written })

const network = '192.0.2.1'
const ann = { email: 'ann@example.com', password, network }

/** Users, sessions and tokens enough that a scan would show in the rows. */
async function populate() {
  const { result } = await costOf((scope) => users.signUp(scope, ann))
  const session = result as Session
  const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'
  await env.DB.batch(
    [
      `${many} INSERT INTO leanto_auth_users (id, email, app_metadata, user_metadata, email_confirmed_at, created_at, updated_at) SELECT 'u' || i, 'u' || i || '@example.com', '{}', '{}', 1, 1, 1 FROM n`,
      `${many} INSERT INTO leanto_auth_sessions (id, user_id, created_at) SELECT 's' || i, 'u' || i, 1 FROM n`,
      `${many} INSERT INTO leanto_auth_refresh_tokens SELECT 't' || i, 's' || i, NULL, NULL, ${clock.now() + 1e9} FROM n`,
    ].map((sql) => env.DB.prepare(sql)),
  )
  const { sub: userId, session_id: sessionId } = claimsOf(session.access_token)
  return { session, caller: { userId, sessionId } }
}

it('sign-up: two trips; the very first makes the signing key in one more', async () => {
  const first = await costOf((scope) => users.signUp(scope, ann))
  expect(first.cost.trips).toBe(3)
  clock.advance(1)
  const second = await costOf((scope) => users.signUp(scope, { ...ann, email: 'bob@example.com' }))
  expectCost(second.cost, 2, 7, 11, 13)
  // An isolate that has no keys yet loads them in the same trip.
  const cold = await costOf((scope) =>
    makeAuth().signUp(scope, { ...ann, email: 'eve@example.com' }),
  )
  expect(cold.cost.trips).toBe(2)
})

it('sign-in: two trips, in a new isolate too; one for a wrong password', async () => {
  await populate()
  const warm = await costOf((scope) => users.signIn(scope, ann))
  expectCost(warm.cost, 2, 11, 20, 14)
  const cold = await costOf((scope) => makeAuth().signIn(scope, ann))
  expect(cold.cost.trips).toBe(2)
  const wrong = await costOf((scope) =>
    users.signIn(scope, { ...ann, password: 'wrong guess' }).catch(() => null),
  )
  expectCost(wrong.cost, 1, 4, 9, 6)
  const nobody = await costOf((scope) =>
    users.signIn(scope, { ...ann, email: 'nobody@example.com' }).catch(() => null),
  )
  expect(nobody.cost.trips).toBe(1)
})

it('refresh: one trip, in a new isolate too', async () => {
  const { session } = await populate()
  const warm = await costOf((scope) =>
    users.refresh(scope, { refreshToken: session.refresh_token }),
  )
  expectCost(warm.cost, 1, 5, 15, 4)
  const { refresh_token: refreshToken } = warm.result
  const cold = await costOf((scope) => makeAuth().refresh(scope, { refreshToken }))
  expect(cold.cost.trips).toBe(1)
  const unknown = await costOf((scope) =>
    users.refresh(scope, { refreshToken: 'A'.repeat(43) }).catch(() => null),
  )
  expectCost(unknown.cost, 1, 5, 1, 0)
  const nonsense = await costOf((scope) =>
    users.refresh(scope, { refreshToken: 'nonsense' }).catch(() => null),
  )
  expect(nonsense.cost.trips).toBe(0)
})

it('the check of a token: none after the first', async () => {
  const { session } = await populate()
  const request = new Request(site, {
    headers: { authorization: `Bearer ${session.access_token}` },
  })
  const isolate = makeAuth()
  const first = await costOf((scope) => isolate.principal(scope, request))
  expectCost(first.cost, 1, 1, 2, 0)
  for (let i = 0; i < 3; i++)
    expectCost((await costOf((scope) => isolate.principal(scope, request))).cost, 0, 0, 0, 0)
  clock.advance(299)
  expect((await costOf((scope) => isolate.principal(scope, request))).cost.trips).toBe(0)
  clock.advance(1)
  expect((await costOf((scope) => isolate.principal(scope, request))).cost.trips).toBe(1)
})

it('the user: one trip', async () => {
  const { caller } = await populate()
  expectCost((await costOf((scope) => users.getUser(scope, caller))).cost, 1, 1, 4, 0)
})

it('a change of the user: two trips', async () => {
  const { caller } = await populate()
  const data = await costOf((scope) => users.updateUser(scope, { ...caller, data: { a: 1 } }))
  expectCost(data.cost, 2, 3, 11, 1)
  await costOf((scope) => users.signIn(scope, ann))
  const secret = await costOf((scope) =>
    users.updateUser(scope, { ...caller, password: 'a new password' }),
  )
  expect(secret.cost).toMatchObject({ trips: 2, statements: 5, rowsWritten: 2 })
  expect(secret.cost.rowsRead).toBeLessThanOrEqual(20)
})

it('logout: one trip', async () => {
  const { caller } = await populate()
  await costOf((scope) => users.signIn(scope, ann))
  const { cost } = await costOf((scope) => users.signOut(scope, { ...caller, which: 'global' }))
  expectCost(cost, 1, 2, 7, 2)
})

describe('messages and their proofs', () => {
  const inbox = makeInbox()
  const { mailer, sms } = inbox
  const proving = () => makeAuth({ mailer, sms, anonymous: true })
  const email = 'eve@example.com'
  const auth = proving()
  const input = { email, network }
  beforeEach(async () => {
    inbox.clear()
    await populate()
    // Of the emptied database this isolate knows the keys no more.
    await costOf((scope) => auth.rotateKeys(scope))
  })

  it('sign-up to be confirmed: two trips, for a known address too', async () => {
    const fresh = await costOf((scope) => auth.signUp(scope, { ...input, password }))
    expectCost(fresh.cost, 2, 9, 20, 20)
    const pending = await costOf((scope) => auth.signUp(scope, { ...input, password }))
    expect([pending.cost.trips, pending.cost.statements]).toEqual([2, 9])
    const known = await costOf((scope) => auth.signUp(scope, ann))
    expect([known.cost.trips, known.cost.statements]).toEqual([2, 9])
  })

  it('a link or code: two trips, whoever asks for whom', async () => {
    const [first, second, none] = [
      await costOf((scope) => auth.sendOtp(scope, input)),
      await costOf((scope) => auth.sendOtp(scope, input)),
      await costOf((scope) =>
        auth.sendOtp(scope, { email: 'nobody@example.com', network, createUser: false }),
      ),
    ]
    expect([first.cost.trips, second.cost.trips, none.cost.trips]).toEqual([2, 2, 2])
    expect(first.cost.statements).toBe(second.cost.statements)
    expect((await costOf((scope) => auth.recover(scope, input))).cost.trips).toBe(2)
    const resend = (type: 'signup' | 'email_change') =>
      costOf((scope) => auth.resend(scope, { ...input, type }))
    expect((await resend('signup')).cost.trips).toBe(2)
    expect((await resend('email_change')).cost.trips).toBe(2)
  })

  it('verify: one trip, two in a new isolate', async () => {
    await costOf((scope) => auth.sendOtp(scope, input))
    const link = { type: 'magiclink', tokenHash: inbox.token(email) } as const
    const used = await costOf((scope) => auth.verify(scope, link))
    expect(used.cost).toMatchObject({ trips: 1, statements: 10, rowsWritten: 8 })
    // One more or less is read beside a random hash.
    expect(used.cost.rowsRead).toBeLessThanOrEqual(32)
    const late = await costOf((scope) => auth.verify(scope, link).catch(() => null))
    expect(late.cost.trips).toBe(1)
    await costOf((scope) => auth.sendOtp(scope, input))
    const code = { type: 'email', email, token: inbox.code(email), network } as const
    const wrong = { ...code, token: code.token === '000000' ? '000001' : '000000' }
    const guess = await costOf((scope) => auth.verify(scope, wrong).catch(() => null))
    expect(guess.cost.trips).toBe(1)
    expect(guess.cost.rowsRead).toBeLessThan(30)
    const cold = await costOf((scope) => proving().verify(scope, code))
    expect(cold.cost.trips).toBe(2)
  })

  it('PKCE: one trip for the link, one for the exchange', async () => {
    const codeVerifier = 'v'.repeat(43)
    const challenge = { challenge: codeVerifier, method: 'plain' } as const
    await costOf((scope) => auth.sendOtp(scope, { ...input, challenge }))
    const link = { type: 'magiclink', tokenHash: inbox.token(email) } as const
    const opened = await costOf((scope) => auth.verifyForCode(scope, link))
    expect(opened.cost.trips).toBe(1)
    const authCode = opened.result as string
    const exchanged = await costOf((scope) => auth.exchangeCode(scope, { authCode, codeVerifier }))
    expect(exchanged.cost).toMatchObject({ trips: 1, statements: 7, rowsWritten: 7 })
    expect(exchanged.cost.rowsRead).toBeLessThanOrEqual(16)
  })

  it('a code to go on with: two trips', async () => {
    await costOf((scope) => auth.sendOtp(scope, input))
    const proof = { type: 'magiclink', tokenHash: inbox.token(email) } as const
    const { result } = await costOf((scope) => auth.verify(scope, proof))
    const { sub: userId, session_id: sessionId } = claimsOf((result as Session).access_token)
    const asked = await costOf((scope) => auth.reauthenticate(scope, { userId, sessionId }))
    expect(asked.cost.trips).toBe(2)
    const change = { userId, sessionId, email: 'anna@example.com' }
    expect((await costOf((scope) => auth.updateUser(scope, change))).cost.trips).toBe(2)
  })

  it('anonymous sign-in: two trips', async () => {
    const { cost } = await costOf((scope) => auth.signInAnonymously(scope, { network }))
    expect(cost.trips).toBe(2)
  })
})

it('upkeep: one trip, and nothing read of what has not ended', async () => {
  await populate()
  const { cost } = await costOf((scope) => users.scheduled(scope))
  expect(cost.trips).toBe(1)
  expect(cost.rowsRead).toBeLessThanOrEqual(20)
  expect(cost.rowsWritten).toBe(0)
})
