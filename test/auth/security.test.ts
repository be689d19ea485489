import { Hono } from 'hono'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { cookies, issuedKeys, sessions, turnstile } from 'leanto/auth/parts'
import { breached } from 'leanto/auth/passwords'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { asker, clock, freshDatabase } from '../kit/world.ts'
import { enroll, withFactor } from './mfa-world.ts'
import { type Answers, fake, profile } from './oauth-world.ts'
import {
  type Asker,
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
  signUp,
  snapshot,
} from './world.ts'

/*
 * Cases of SECURITY-CASES that are of no one file; `test/node/security-cases.test.ts` lists where each case is.
 */

const answers: Answers = { ann: profile('1', 'ann@example.com') }
const make = () =>
  makeAuth({
    anonymous: true,
    with: [mfa(), admin(), cookies(), sessions(), issuedKeys(), fake('google', answers)],
  })
let users = make()
let ask: Asker
let host: Asker
beforeEach(async () => {
  users = make()
  ask = mountAuth(users)
  host = asker(new Hono().get('/me', users.signedIn, (c) => c.json({}, 200)))
  await freshDatabase([users])
})
afterEach(() => void vi.restoreAllMocks())

const ann = 'ann@example.com'
const service = { key: 'secret' } as const
const own = { 'sec-fetch-site': 'same-origin', prefer: 'session=cookie' }
const jarOf = (response: Response): string =>
  response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';')[0])
    .filter((cookie) => cookie?.startsWith('__Host-auth'))
    .join('; ')

describe('who is banned or deleted is out (case 12)', () => {
  const ends: Record<string, (id: string) => Promise<Response>> = {
    'by a ban': (id) =>
      ask(`/auth/v1/admin/users/${id}`, {
        method: 'PUT',
        body: { ban_duration: '24h' },
        ...service,
      }),
    softly: (id) =>
      ask(`/auth/v1/admin/users/${id}`, {
        method: 'DELETE',
        body: { should_soft_delete: true },
        ...service,
      }),
    'for good': (id) => ask(`/auth/v1/admin/users/${id}`, { method: 'DELETE', ...service }),
  }

  it.each(Object.entries(ends))('%s: token, cookie, refresh token, factor', async (_, end) => {
    const { session, factor } = await withFactor(ask, await signUp(ask, ann))
    const { access_token: token, refresh_token, user } = session
    const cookie = jarOf(await signIn(ask, ann, password, { headers: own }))
    expect((await end(user.id)).status).toBe(200)
    // `auth` itself knows at once.
    const headers = { ...own, cookie }
    const calls: [status: readonly number[], response: Promise<Response>][] = [
      [[403], getUser(ask, token)],
      [[403], ask('/auth/v1/user', { headers })],
      [[403], ask('/auth/v1/user', { method: 'PUT', token, body: { data: { a: 1 } } })],
      [[400], refresh(ask, refresh_token)],
      [[400], ask('/auth/v1/cookie', { method: 'POST', headers })],
      [[403], post(ask, `/factors/${factor.id}/challenge`, {}, { token })],
      [[403], post(ask, '/factors', { factor_type: 'totp' }, { token })],
      [[403], ask('/auth/v1/sessions', { token })],
      [[403], ask('/auth/v1/user/identities/authorize?provider=google', { token })],
      [[400], signIn(ask, ann)],
    ]
    for (const [statuses, response] of calls) expect(statuses).toContain((await response).status)
    expect(await count('sessions')).toBe(0)
    // Other routes take a token for as long as it lives, an hour by default, and no longer.
    clock.advance(3600)
    expect((await host('/me', { token })).status).toBe(401)
    expect((await host('/me', { headers: { cookie } })).status).toBe(401)
  })
})

describe('a session that was there before is not the one after (case 16)', () => {
  it('of a sign-in, whatever the request brings along', async () => {
    const planted = await signUp(ask, ann)
    const cookie = jarOf(await signIn(ask, ann, password, { headers: own }))
    const before = (await rows('SELECT id FROM leanto_auth_sessions')).map(({ id }) => id)
    const eve = await signUp(ask, 'eve@example.com')
    for (const more of [
      { token: planted.access_token },
      { headers: { ...own, cookie } },
      { headers: { ...own, cookie: cookie.replace(/__Host-auth-access=[^;]+;? ?/, '') } },
    ]) {
      const response = await post(
        ask,
        '/token?grant_type=password',
        {
          ...{ email: ann, password },
          ...{ session_id: before[0], refresh_token: planted.refresh_token },
        },
        more,
      )
      expect(response.status).toBe(200)
      const jar = jarOf(response)
      const access =
        jar.match(/__Host-auth-access=([\w.-]+)/)?.[1] ??
        (await response.clone().json<Json>()).access_token
      expect(before).not.toContain(claimsOf(access).session_id)
      expect(jar).not.toContain(cookie.match(/__Host-auth-refresh=([\w-]+)/)?.[1])
    }
    // And who signs in as someone else leaves nothing of the one before.
    const response = await signIn(ask, 'eve@example.com', password, { headers: { ...own, cookie } })
    const [, access = ''] = jarOf(response).match(/__Host-auth-access=([\w.-]+)/) ?? []
    expect(claimsOf(access).sub).toBe(eve.user.id)
  })

  it('of a guest who becomes someone', async () => {
    const guest = await expectStatus(await post(ask, '/signup', {}), 200)
    const { access_token: token } = guest
    const body = { email: ann, password }
    await expectStatus(await ask('/auth/v1/user', { method: 'PUT', token, body }), 200)
    const session = await expectStatus(await signIn(ask, ann), 200)
    expect(session.user.id).toBe(guest.user.id)
    expect(claimsOf(session.access_token).session_id).not.toBe(claimsOf(token).session_id)
  })
})

describe('what is no string (case 22)', () => {
  const odd: unknown[] = [
    ...[{ $ne: null }, { $gt: '' }, { toString: 'x' }],
    ...[[], ['x'], [['x']], 42, 0, true, false],
  ]
  const unknown = '00000000-0000-7000-8000-000000000000'
  const fields: [path: string, body: object, fields: readonly string[], as?: 'user' | 'service'][] =
    [
      [
        '/token?grant_type=pkce',
        { auth_code: 'x', code_verifier: 'x' },
        ['auth_code', 'code_verifier'],
      ],
      [
        '/token?grant_type=id_token',
        { provider: 'google', id_token: 'ann', nonce: 'x', access_token: 'x' },
        ['provider', 'issuer', 'id_token', 'nonce', 'access_token'],
      ],
      ['/factors', { factor_type: 'totp' }, ['factor_type', 'friendly_name', 'issuer'], 'user'],
      ['/factors/recovery-codes/verify', { code: 'x' }, ['code'], 'user'],
      [
        '/admin/users',
        { email: 'eve@example.com' },
        ['id', 'email', 'phone', 'password', 'password_hash', 'ban_duration'],
        'service',
      ],
      ['/invite', { email: 'eve@example.com' }, ['email'], 'service'],
      [
        '/admin/generate_link',
        { type: 'signup', email: 'eve@example.com', password, new_email: 'x@example.com' },
        ['type', 'email', 'password', 'new_email', 'redirect_to'],
        'service',
      ],
      ['/admin/api-keys', { type: 'secret', name: 'x' }, ['type', 'name'], 'service'],
    ]

  it.each(fields)('at %s is refused, and does nothing', async (path, body, names, as) => {
    const { access_token: token } = await signUp(ask, ann)
    const factor = await enroll(ask, token)
    expect(factor.id).toBeDefined()
    const before = await snapshot()
    const more = as === 'user' ? { token } : as === 'service' ? service : {}
    for (const name of names)
      for (const value of odd) {
        const response = await post(ask, path, { ...body, [name]: value }, more)
        const said = `${name}: ${JSON.stringify(value)}`
        expect((await expectStatus(response, 400)).error_code, said).toBe('validation_failed')
      }
    expect(await snapshot()).toBe(before)
    expect([await count('factors'), await count('api_keys')]).toEqual([1, 0])
  })

  it('nor is a path’s id, of whatever it looks like', async () => {
    const { access_token: token } = await signUp(ask, ann)
    const before = await snapshot()
    for (const id of ['*', '%', `${unknown}'--`, '__proto__', 'null', '[object Object]', '0'])
      for (const [method, path, more] of [
        ['GET', `/admin/users/${encodeURIComponent(id)}`, service],
        ['DELETE', `/admin/users/${encodeURIComponent(id)}`, service],
        ['POST', `/admin/users/${encodeURIComponent(id)}/logout`, service],
        ['DELETE', `/admin/api-keys/${encodeURIComponent(id)}`, service],
        ['DELETE', `/sessions/${encodeURIComponent(id)}`, { token }],
        ['DELETE', `/factors/${encodeURIComponent(id)}`, { token }],
        ['POST', `/factors/${encodeURIComponent(id)}/challenge`, { token }],
        ['DELETE', `/user/identities/${encodeURIComponent(id)}`, { token }],
      ] as const)
        expect([400, 404], `${method} ${path}`).toContain(
          (await ask(`/auth/v1${path}`, { method, ...more })).status,
        )
    expect(await snapshot()).toBe(before)
  })
})

it('nothing but an access token is one, to `auth` and to the host’s routes (case 32)', async () => {
  const session = await signUp(ask, ann)
  const made = await expectStatus(
    await post(ask, '/admin/api-keys', { type: 'publishable', name: 'x' }, service),
    200,
  )
  const link = await expectStatus(
    await post(ask, '/admin/generate_link', { type: 'magiclink', email: ann }, service),
    200,
  )
  const [header = '', claims = '', signature = ''] = session.access_token.split('.')
  const others = [
    session.refresh_token,
    link.hashed_token,
    made.api_key,
    // The provider's own ID token.
    'ann',
    // Ours, in other forms.
    `${header}.${claims}`,
    `${header}.${claims}.`,
    `${header}.${claims}.${signature}.x.y`,
    `${header}.${claims}.${signature.slice(0, -4)}AAAA`,
    session.access_token.toUpperCase(),
  ]
  for (const token of others) {
    expect([401, 403], token).toContain((await getUser(ask, token)).status)
    expect((await host('/me', { token })).status, token).toBe(401)
  }
  // And an access token is nothing else.
  const token = session.access_token
  expect((await refresh(ask, token)).status).toBe(400)
  expect((await post(ask, '/verify', { type: 'magiclink', token_hash: token })).status).toBe(403)
  const exchange = { auth_code: token, code_verifier: 'v'.repeat(43) }
  expect((await post(ask, '/token?grant_type=pkce', exchange)).status).toBe(404)
  const apikey = { headers: { apikey: token } }
  expect((await ask('/auth/v1/admin/users', apikey)).status).not.toBe(200)
})

it('no spelling of a route dodges its budget (case 54)', async () => {
  await signUp(ask, ann)
  const headers = { 'cf-connecting-ip': '192.0.2.1' }
  const wrong = (path: string, body: Json = { email: ann, password: 'a wrong guess' }) =>
    ask(`/auth/v1${path}`, { method: 'POST', body, headers })
  for (let i = 0; i < 10; i++) await wrong('/token?grant_type=password')
  for (const path of [
    '/token?grant_type=password',
    '/token?grant_type=password&grant_type=refresh_token',
    '/token?x=1&grant_type=password',
    '/token?grant_type=%70assword',
    '/%74oken?grant_type=password',
    '//token?grant_type=password',
    '/./token?grant_type=password',
    '/token/?grant_type=password',
    '/Token?grant_type=password',
    '/token;x?grant_type=password',
  ])
    for (const email of [ann, 'ANN@example.com', ` ${ann}`, 'ａnn@example.com', `${ann}.`])
      expect([400, 404, 429], path).toContain((await wrong(path, { email, password })).status)
  expect(await count('sessions')).toBe(1)
})

describe('what is configured wrongly is seen (case 73)', () => {
  it('Turnstile with a wrong secret refuses everyone, and the log says why', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    const captcha = turnstile({
      secret: 'a-wrong-secret',
      fetch: async () => Response.json({ success: false, 'error-codes': ['invalid-input-secret'] }),
    })
    const guarded = mountAuth(makeAuth({ with: [captcha] }))
    const body = { email: 'eve@example.com', password }
    const solved = { gotrue_meta_security: { captcha_token: 'solved' } }
    const response = await post(guarded, '/signup', { ...body, ...solved })
    expect((await expectStatus(response, 400)).error_code).toBe('captcha_failed')
    expect(await count('users')).toBe(0)
    const log = JSON.stringify(logged.mock.calls)
    expect(log).toContain('invalid-input-secret')
    expect(log).not.toContain('a-wrong-secret')
    expect(log).not.toContain('solved')
  })

  it('a breach check that cannot be asked lets in, and the log says so', async () => {
    const logged = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const check = breached({ fetch: async () => new Response('', { status: 401 }) })
    const checked = mountAuth(makeAuth({ password: { checks: [check] } }))
    await signUp(checked, 'eve@example.com')
    expect(JSON.stringify(logged.mock.calls)).toContain('401')
    expect(JSON.stringify(logged.mock.calls)).not.toContain(password)
  })
})
