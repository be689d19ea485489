import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { makeInbox, member, verify } from './inbox.ts'
import { stockClient } from './stock.ts'
import {
  type Asker,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
  rows,
  signIn,
} from './world.ts'

/* The password so far, where a new one is chosen: `current_password` of `PUT /user`, as GoTrue has it. */

const inbox = makeInbox()
const email = 'ann@example.com'
const next = 'another good passphrase'
let ask: Asker
let session: Json

async function setUp(
  requireCurrent: boolean,
  limits: NonNullable<Parameters<typeof makeAuth>[0]>['limits'] = {},
) {
  inbox.clear()
  const users = makeAuth({ mailer: inbox.mailer, password: { requireCurrent }, limits })
  await freshDatabase([users])
  ask = mountAuth(users)
  await member(ask, inbox, email)
  session = await expectStatus(await signIn(ask, email), 200)
  return users
}
const put = (body: object, token = session.access_token, more: object = {}) =>
  ask('/auth/v1/user', { method: 'PUT', body, token, ...more })
const refused = async (response: Response, status = 400) =>
  (await expectStatus(response, status)).error_code
const stored = async () =>
  (await rows('SELECT password FROM leanto_auth_users WHERE email = ?', email))[0].password
const spent = async () =>
  (
    await rows(
      `SELECT coalesce(sum(spent), 0) AS n FROM leanto_core_limits WHERE key LIKE 'auth:guess:%' OR key LIKE 'auth:sign-in:%'`,
    )
  )[0].n

describe('where it is required', () => {
  beforeEach(() => setUp(true))

  it('a new password needs it, and the right one', async () => {
    const before = await stored()
    expect(await refused(await put({ password: next }))).toBe('current_password_required')
    expect(await refused(await put({ password: next, current_password: '' }))).toBe(
      'current_password_required',
    )
    expect(await refused(await put({ password: next, current_password: 'wrong guess' }))).toBe(
      'current_password_invalid',
    )
    expect(await stored()).toBe(before)
    expect(inbox.mails.filter(({ subject }) => /password/i.test(subject))).toEqual([])
    await expectStatus(await put({ password: next, current_password: password }), 200)
    expect(await stored()).not.toBe(before)
    expect((await signIn(ask, email, next)).status).toBe(200)
  })

  it('nothing else does', async () => {
    await expectStatus(await put({ data: { name: 'Ann' } }), 200)
    await expectStatus(await put({ email: 'new@example.com' }), 200)
  })

  it.each([
    ['recovery', () => post(ask, '/recover', { email })],
    ['magiclink', () => post(ask, '/otp', { email })],
  ])('whoever came by a mail of type %s may have forgotten it', async (type, send) => {
    await send()
    const shown = { type, token_hash: inbox.token(email) }
    const { access_token } = await expectStatus(await verify(ask, shown), 200)
    await expectStatus(await put({ password: next }, access_token), 200)
  })

  it('an account without one has none to show', async () => {
    await post(ask, '/otp', { email: 'bob@example.com' })
    const shown = { type: 'magiclink', token_hash: inbox.token('bob@example.com') }
    const { access_token } = await expectStatus(await verify(ask, shown), 200)
    await expectStatus(await put({ password: next }, access_token), 200)
  })

  it('the stock client shows it', async () => {
    const auth = await stockClient(ask)
    await auth.setSession(session)
    const wrong = await auth.updateUser({ password: next, current_password: 'wrong guess' })
    expect(wrong.error).toMatchObject({ status: 400, code: 'current_password_invalid' })
    const right = await auth.updateUser({ password: next, current_password: password })
    expect(right.error).toBe(null)
  })
})

describe('a guess at it', () => {
  beforeEach(() => {
    clock.time = Math.ceil(clock.time / 3_600_000) * 3_600_000
  })
  const guess = (i = 0) => put({ password: next, current_password: `wrong guess ${i}` })

  it('is refused where nobody had to make one, too', async () => {
    await setUp(false)
    expect(await refused(await guess())).toBe('current_password_invalid')
    await expectStatus(await put({ password: next }), 200)
  })

  it('has a budget, which 50 parallel calls do not exceed (case 20)', async () => {
    await setUp(true)
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => guess(i)))
    const statuses = all.map(({ status }) => status)
    expect(statuses.filter((status) => status === 400)).toHaveLength(10)
    expect(statuses.filter((status) => status === 429)).toHaveLength(40)
    // Nor is the right one looked at any more.
    expect(await refused(await put({ password: next, current_password: password }), 429)).toBe(
      'over_request_rate_limit',
    )
    expect((await signIn(ask, email)).status).toBe(200)
  })

  it('that is right spends nothing, and takes no more trips than without', async () => {
    const users = await setUp(true)
    const { user } = session
    const [{ id: sessionId }] = await rows(
      'SELECT id FROM leanto_auth_sessions ORDER BY id DESC LIMIT 1',
    )
    const scope = makeBase().scope({ env })
    await users.updateUser(scope, {
      ...{ userId: user.id, sessionId, password: next, currentPassword: password },
      network: '192.0.2.1',
    })
    expect(scope.cost).toMatchObject({ trips: 2, statements: 9 })
    expect(await spent()).toBe(0)
  })
})

it('the option is true or false', () => {
  expect(() => makeAuth({ password: { requireCurrent: 'yes' as never } })).toThrow(
    'password.requireCurrent',
  )
})
