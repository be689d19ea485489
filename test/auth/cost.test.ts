import { env } from 'cloudflare:workers'
import type { Cost } from 'leanto'
import { beforeEach, expect, it } from 'vitest'
import { clock, freshDatabase, makeBase, site } from '../kit/world.ts'
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
  const { result: session } = await costOf((scope) => users.signUp(scope, ann))
  const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)'
  await env.DB.batch(
    [
      `${many} INSERT INTO leanto_auth_users SELECT 'u' || i, 'u' || i || '@example.com', NULL, '{}', '{}', 1, 1, NULL, 1, 1 FROM n`,
      `${many} INSERT INTO leanto_auth_sessions SELECT 's' || i, 'u' || i, 1, NULL FROM n`,
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
  expectCost(second.cost, 2, 4, 4, 8)
  // An isolate that has no keys yet loads them in the same trip.
  const cold = await costOf((scope) =>
    makeAuth().signUp(scope, { ...ann, email: 'eve@example.com' }),
  )
  expect(cold.cost.trips).toBe(2)
})

it('sign-in: two trips, in a new isolate too; one for a wrong password', async () => {
  await populate()
  const warm = await costOf((scope) => users.signIn(scope, ann))
  expectCost(warm.cost, 2, 8, 9, 11)
  const cold = await costOf((scope) => makeAuth().signIn(scope, ann))
  expect(cold.cost.trips).toBe(2)
  const wrong = await costOf((scope) =>
    users.signIn(scope, { ...ann, password: 'wrong guess' }).catch(() => null),
  )
  expectCost(wrong.cost, 1, 3, 3, 4)
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
  expectCost(warm.cost, 1, 4, 11, 3)
  const { refresh_token: refreshToken } = warm.result
  const cold = await costOf((scope) => makeAuth().refresh(scope, { refreshToken }))
  expect(cold.cost.trips).toBe(1)
  const unknown = await costOf((scope) =>
    users.refresh(scope, { refreshToken: 'A'.repeat(43) }).catch(() => null),
  )
  expectCost(unknown.cost, 1, 4, 1, 0)
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
  expectCost((await costOf((scope) => users.getUser(scope, caller))).cost, 1, 1, 2, 0)
})

it('a change of the user: two trips', async () => {
  const { caller } = await populate()
  const data = await costOf((scope) => users.updateUser(scope, { ...caller, data: { a: 1 } }))
  expectCost(data.cost, 2, 2, 5, 1)
  await costOf((scope) => users.signIn(scope, ann))
  const secret = await costOf((scope) =>
    users.updateUser(scope, { ...caller, password: 'a new password' }),
  )
  expectCost(secret.cost, 2, 3, 10, 2)
})

it('logout: one trip', async () => {
  const { caller } = await populate()
  await costOf((scope) => users.signIn(scope, ann))
  const { cost } = await costOf((scope) => users.signOut(scope, { ...caller, which: 'global' }))
  expectCost(cost, 1, 2, 7, 2)
})

it('upkeep: one trip, and nothing read of what has not ended', async () => {
  await populate()
  const { cost } = await costOf((scope) => users.scheduled(scope))
  expect(cost.trips).toBe(1)
  expect(cost.rowsRead).toBeLessThanOrEqual(6)
  expect(cost.rowsWritten).toBe(0)
})
