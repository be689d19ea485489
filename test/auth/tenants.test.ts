import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { migrate } from 'leanto'
import { beforeEach, expect, it } from 'vitest'
import { asker, freshDatabase, makeBase, site } from '../kit/world.ts'
import {
  count,
  expectStatus,
  getUser,
  makeAuth,
  mountAuth,
  refresh,
  signIn,
  signUp,
} from './world.ts'

// One module, one isolate; each tenant's host name has its own database.
const tenantDb = (_: unknown, { req }: { req?: { raw: Request } }) =>
  (req && new URL(req.raw.url).hostname.startsWith('blue') ? env.OTHER_DB : env.DB) as never
const users = makeAuth({ limits: { signIns: false, guesses: false } }, { db: tenantDb })
const red = mountAuth(users, 'https://red.example')
const blue = mountAuth(users, 'https://blue.example')

beforeEach(async () => {
  await freshDatabase([users])
  await migrate(env.OTHER_DB as never, [users])
})

it('1,000 interleaved requests of two tenants never mix (case 70)', async () => {
  const tenants = [
    { ask: red, session: await signUp(red, 'ann@example.com', { data: { tenant: 'red' } }) },
    { ask: blue, session: await signUp(blue, 'ann@example.com', { data: { tenant: 'blue' } }) },
  ] as const
  const [r, b] = tenants
  expect(r.session.user.id).not.toBe(b.session.user.id)
  const check = async (i: number) => {
    const own = tenants[i % 2] as (typeof tenants)[number]
    const other = tenants[(i + 1) % 2] as (typeof tenants)[number]
    switch (i % 5) {
      case 0: {
        // The other tenant's token is nobody's here, though it is valid at home.
        const body = await expectStatus(await getUser(own.ask, other.session.access_token), 403)
        return expect(body.error_code).toBe('bad_jwt')
      }
      case 1: {
        const answer = await refresh(own.ask, other.session.refresh_token)
        return expect((await expectStatus(answer, 400)).error_code).toBe('refresh_token_not_found')
      }
      default: {
        const user = await expectStatus(await getUser(own.ask, own.session.access_token), 200)
        return expect([user.id, user.user_metadata]).toEqual([
          own.session.user.id,
          own.session.user.user_metadata,
        ])
      }
    }
  }
  for (let round = 0; round < 10; round++)
    await Promise.all(Array.from({ length: 100 }, (_, i) => check(round * 100 + i)))
  for (const { ask } of tenants) await expectStatus(await signIn(ask, 'ann@example.com'), 200)
  expect([await count('users'), await count('users', env.OTHER_DB)]).toEqual([1, 1])
  expect([await count('keys'), await count('keys', env.OTHER_DB)]).toEqual([1, 1])
}, 60_000)

it('a password change in one tenant leaves its namesake in the other', async () => {
  const mine = await signUp(red, 'ann@example.com')
  const theirs = await signUp(blue, 'ann@example.com')
  const body = { password: 'a new password' }
  const change = { method: 'PUT', token: mine.access_token, body }
  await expectStatus(await red('/auth/v1/user', change), 200)
  await expectStatus(await signIn(blue, 'ann@example.com'), 200)
  await expectStatus(await refresh(blue, theirs.refresh_token), 200)
  await expectStatus(await signIn(red, 'ann@example.com'), 400)
})

it('an auth module of another site takes no token of this one', async () => {
  const here = makeAuth()
  const there = makeAuth({ site: 'https://other.example' })
  const { access_token: token } = await signUp(mountAuth(here), 'ann@example.com')
  expect((await getUser(mountAuth(there), token)).status).toBe(403)
  const app = asker(new Hono().get('/me', there.signedIn, (c) => c.json({}, 200)))
  expect((await app('/me', { token })).status).toBe(401)
  const request = new Request(site, { headers: { authorization: `Bearer ${token}` } })
  const principal = await here.principal(makeBase().scope({ env }), request)
  expect(principal.role).toBe('authenticated')
})
