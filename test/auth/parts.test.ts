import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { Fault } from 'leanto'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { cookies, issuedKeys, sessions, trust, turnstile } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Ask, asker, clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { challenge, codeOf, enroll } from './mfa-world.ts'
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
} from './world.ts'

type Options = Parameters<typeof makeAuth>[0]
let users = makeAuth()
let ask: Asker
const setUp = async (options: Options) => {
  users = makeAuth(options)
  ask = mountAuth(users)
  await freshDatabase([users])
}
const code = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code
const unknown = '00000000-0000-7000-8000-000000000000'

describe('sessions', () => {
  beforeEach(() => setUp({ with: [sessions()] }))

  it('are listed to their user, and ended by them alone (case 42)', async () => {
    const headers = { 'user-agent': 'Browser/1', 'cf-connecting-ip': '192.0.2.7' }
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    clock.advance(1)
    const other = await expectStatus(
      await signIn(ask, 'ann@example.com', password, { headers }),
      200,
    )
    const eve = await signUp(ask, 'eve@example.com')
    const list = await expectStatus(await ask('/auth/v1/sessions', { token }), 200)
    expect(list).toMatchObject([
      {
        id: claimsOf(other.access_token).session_id,
        current: false,
        aal: 'aal1',
        amr: [{ method: 'password' }],
        user_agent: 'Browser/1',
        ip: '192.0.2.7',
      },
      { id: claimsOf(token).session_id, current: true },
    ])
    const end = (id: string, more: Ask) =>
      ask(`/auth/v1/sessions/${id}`, { method: 'DELETE', ...more })
    const id = list[0].id
    expect(await code(await end(id, {}), 401)).toBe('no_authorization')
    expect(await code(await end(id, { token: eve.access_token }), 404)).toBe('session_not_found')
    expect(await code(await end(unknown, { token }), 404)).toBe('session_not_found')
    expect(await code(await end('x', { token }), 404)).toBe('validation_failed')
    expect(await count('sessions')).toBe(3)
    expect((await end(id, { token })).status).toBe(204)
    expect((await refresh(ask, other.refresh_token)).status).toBe(400)
    // An ended session sees and ends nothing.
    expect(await code(await ask('/auth/v1/sessions', { token: other.access_token }), 403)).toBe(
      'session_not_found',
    )
    expect(
      await code(await end(claimsOf(token).session_id, { token: other.access_token }), 403),
    ).toBe('session_not_found')
    await expectStatus(await getUser(ask, token), 200)
  })

  it('are one at a time if asked, whoever comes at once', async () => {
    await setUp({ with: [sessions({ single: true })] })
    const first = await signUp(ask, 'ann@example.com')
    await signUp(ask, 'eve@example.com')
    await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    expect((await refresh(ask, first.refresh_token)).status).toBe(400)
    await Promise.all(Array.from({ length: 5 }, () => signIn(ask, 'ann@example.com')))
    expect(await count('sessions')).toBe(2)
    expect(() => sessions({ single: 'yes' as never })).toThrow(TypeError)
  })
})

describe('cookies', () => {
  const own = { 'sec-fetch-site': 'same-origin' }
  const prefer = { prefer: 'session=cookie' }
  const jarOf = (response: Response): string =>
    response.headers
      .getSetCookie()
      .filter((cookie) => cookie.startsWith('__Host-auth'))
      .map((cookie) => cookie.split(';')[0])
      .join('; ')
  const come = async (): Promise<string> => {
    await signUp(ask, 'ann@example.com')
    const response = await signIn(ask, 'ann@example.com', password, {
      headers: { ...own, ...prefer },
    })
    expect(response.status).toBe(200)
    return jarOf(response)
  }
  const tokensOf = (jar: string) =>
    Object.fromEntries(jar.split('; ').map((pair) => pair.split('=') as [string, string]))

  beforeEach(() => setUp({ with: [cookies(), mfa({ enforce: true })] }))

  it('hold the session where no script reads it, and the body holds none', async () => {
    await signUp(ask, 'ann@example.com')
    const response = await signIn(ask, 'ann@example.com', password, {
      headers: { ...own, ...prefer },
    })
    expect(response.headers.get('preference-applied')).toBe('session=cookie')
    const set = response.headers.getSetCookie().filter((cookie) => cookie.startsWith('__Host'))
    expect(set).toHaveLength(2)
    for (const cookie of set)
      expect(cookie).toMatch(
        /^__Host-auth-(?:access|refresh)=[\w.-]+; Max-Age=\d+; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      )
    const body = await response.json<Json>()
    expect(body).toMatchObject({ token_type: 'cookie', expires_in: 3600 })
    expect(body.access_token ?? body.refresh_token).toBeUndefined()
    const cookie = jarOf(response)
    await expectStatus(await ask('/auth/v1/user', { headers: { cookie } }), 200)
    const host = asker(new Hono().get('/me', users.signedIn, (c) => c.json({}, 200)))
    expect((await host('/me', { headers: { cookie } })).status).toBe(200)
    expect((await host('/me')).status).toBe(401)
    // Bearer mode beside it is as ever.
    const bearer = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    expect(bearer.access_token).toBeTruthy()
  })

  it('are renewed, and end', async () => {
    const cookie = await come()
    clock.advance(3600)
    expect((await ask('/auth/v1/user', { headers: { cookie } })).status).toBe(403)
    const renewed = await ask('/auth/v1/cookie', { method: 'POST', headers: { ...own, cookie } })
    const next = jarOf(renewed)
    expect(renewed.status).toBe(200)
    expect(next).not.toBe(cookie)
    await expectStatus(await ask('/auth/v1/user', { headers: { cookie: next } }), 200)
    clock.advance(3600)
    const ended = await ask('/auth/v1/cookie', {
      method: 'DELETE',
      headers: { ...own, cookie: next },
    })
    expect(ended.status).toBe(204)
    expect(tokensOf(jarOf(ended))).toEqual({ '__Host-auth-access': '', '__Host-auth-refresh': '' })
    // The other session is the bearer's.
    expect(await count('sessions')).toBe(1)
    const late = await ask('/auth/v1/cookie', { method: 'POST', headers: { ...own, cookie: next } })
    expect(late.headers.getSetCookie().join()).toContain('__Host-auth-refresh=; Max-Age=0')
    expect(late.status).toBe(400)
    expect((await ask('/auth/v1/cookie', { method: 'POST', headers: own })).status).toBe(400)
  })

  it.each([
    ['json', { 'content-type': 'application/json' }, '{"data":{"a":1}}'],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'data=1'],
    ['text', { 'content-type': 'text/plain' }, '{"data":{"a":1}}'],
    ['no type', { 'content-type': '' }, '{"data":{"a":1}}'],
  ])('do nothing for another site that sends %s (case 64)', async (_, type, body) => {
    const cookie = await come()
    const origins: Record<string, string>[] = [
      {},
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site', origin: 'https://sub.app.example' },
      { 'sec-fetch-site': 'cross-site', origin: site },
      { 'sec-fetch-site': 'none' },
    ]
    const host = asker(new Hono().all('/do', users.signedIn, (c) => c.json({}, 200)))
    for (const origin of origins) {
      const headers = { cookie, ...type, ...origin }
      for (const method of ['PUT', 'POST', 'DELETE', 'PATCH']) {
        const response = await host('/do', { method, headers, body })
        expect(response.status, JSON.stringify([origin, method])).toBe(403)
      }
      for (const [method, path] of [
        ['PUT', '/user'],
        ['POST', '/factors'],
        ['POST', '/logout'],
        ['POST', '/cookie'],
        ['DELETE', '/cookie'],
      ] as const) {
        const response = await ask(`/auth/v1${path}`, { method, headers, body })
        expect(await code(response, 403), path).toBe('bad_origin')
      }
      const get = await ask('/auth/v1/reauthenticate', { headers: { cookie, ...origin } })
      expect(await code(get, 403)).toBe('bad_origin')
      // Nor is anyone signed in from there (login CSRF).
      const login = await signIn(ask, 'ann@example.com', password, {
        headers: { ...prefer, ...origin },
      })
      expect(login.headers.getSetCookie().join()).not.toContain('__Host')
      expect(login.status).toBe(403)
    }
    const [{ user_metadata }] = await rows('SELECT user_metadata FROM leanto_auth_users')
    expect(user_metadata).toBe('{}')
    for (const fine of [own, { origin: site }] as Record<string, string>[]) {
      expect(
        (await host('/do', { method: 'POST', headers: { cookie, ...fine }, body: '{}' })).status,
      ).toBe(200)
      const put = await ask('/auth/v1/user', {
        method: 'PUT',
        headers: { cookie, ...fine },
        body: { data: { a: 1 } },
      })
      expect(put.status).toBe(200)
    }
  })

  it('that wait for a second factor open nothing else (case 17)', async () => {
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    const factor = await enroll(ask, token)
    const first = await challenge(ask, token, factor.id)
    const shown = { challenge_id: first.id, code: await codeOf(factor.totp.secret) }
    await expectStatus(await post(ask, `/factors/${factor.id}/verify`, shown, { token }), 200)
    clock.advance(30)

    const headers = { ...own, ...prefer }
    const pending = jarOf(await signIn(ask, 'ann@example.com', password, { headers }))
    const host = asker(new Hono().get('/me', users.signedIn, (c) => c.json({}, 200)))
    const refused = await host('/me', { headers: { cookie: pending } })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toContain('insufficient_user_authentication')
    // Nor under another name, or as a bearer.
    const bearer = tokensOf(pending)['__Host-auth-access'] as string
    expect((await host('/me', { token: bearer })).status).toBe(401)
    const again = jarOf(
      await ask('/auth/v1/cookie', { method: 'POST', headers: { ...own, cookie: pending } }),
    )
    expect((await host('/me', { headers: { cookie: again } })).status).toBe(401)

    const cookie = again
    const { id } = await expectStatus(
      await post(ask, `/factors/${factor.id}/challenge`, {}, { headers: { ...own, cookie } }),
      200,
    )
    const raised = await post(
      ask,
      `/factors/${factor.id}/verify`,
      { challenge_id: id, code: await codeOf(factor.totp.secret) },
      { headers: { ...own, cookie } },
    )
    expect(raised.status).toBe(200)
    expect((await raised.clone().json<Json>()).access_token).toBeUndefined()
    expect((await host('/me', { headers: { cookie: jarOf(raised) } })).status).toBe(200)
  })

  it.each([
    ['__Host-auth-access=a b'],
    ['__Host-auth-access'],
    ['__host-auth-access=x'],
    ['x__Host-auth-access=x'],
  ])('that say %s are nobody’s', async (cookie) => {
    expect([401, 403]).toContain((await ask('/auth/v1/user', { headers: { cookie } })).status)
  })

  it('ask for options that make sense', () => {
    for (const options of [{ sameSite: 'none' }, { maxAge: 1 }, { maxAge: 1e9 }])
      expect(() => cookies(options as never)).toThrow(TypeError)
  })
})

describe('keys that were made', () => {
  beforeEach(() => setUp({ with: [issuedKeys(), admin()] }))
  const make = async (body: object): Promise<Json> =>
    expectStatus(await post(ask, '/admin/api-keys', body, { key: 'secret' }), 200)
  const as = (apikey: string) => ({ headers: { apikey } })

  it('work, are listed without themselves, expire, and are revoked at once', async () => {
    const made = await make({ type: 'secret', name: 'CI', expires_in: 60 })
    expect(made.api_key).toMatch(/^sb_secret_[\w-]{43}$/)
    const stored = JSON.stringify(await rows('SELECT * FROM leanto_auth_api_keys'))
    expect(stored).not.toContain(made.api_key)
    const list = await expectStatus(await ask('/auth/v1/admin/api-keys', { key: 'secret' }), 200)
    expect(list).toMatchObject([
      { id: made.id, name: 'CI', scopes: [], hint: made.api_key.slice(-4) },
    ])
    expect(JSON.stringify(list)).not.toContain(made.api_key)

    expect((await ask('/auth/v1/admin/users', as(made.api_key))).status).toBe(200)
    expect((await ask('/auth/v1/admin/users', { token: made.api_key })).status).toBe(200)
    const principal = (key: string) =>
      users.principal(makeBase().scope({ env }), new Request(site, as(key)))
    expect(await principal(made.api_key)).toMatchObject({
      role: 'service',
      claims: { key_id: made.id },
    })
    clock.advance(60)
    await expect(principal(made.api_key)).rejects.toMatchObject({ status: 401 })

    const other = await make({ type: 'publishable', name: 'app', expires_in: null })
    expect(other.expires_at).toBeUndefined()
    expect(await principal(other.api_key)).toMatchObject({ role: 'anon', id: null })
    expect((await ask('/auth/v1/admin/users', as(other.api_key))).status).toBe(403)
    const end = await ask(`/auth/v1/admin/api-keys/${other.id}`, {
      method: 'DELETE',
      key: 'secret',
    })
    expect((await expectStatus(end, 200)).id).toBe(other.id)
    await expect(principal(other.api_key)).rejects.toMatchObject({ status: 401 })
    expect(
      (await ask(`/auth/v1/admin/api-keys/${other.id}`, { method: 'DELETE', key: 'secret' }))
        .status,
    ).toBe(404)
  })

  it('with scopes are for those alone: no service, and no maker of keys (case 18)', async () => {
    const made = await make({ type: 'secret', name: 'reports', scopes: ['reports:read'] })
    const host = asker(
      new Hono().get('/who', users.identify, (c) => c.json({ ...c.var.principal }, 200)),
    )
    expect(await expectStatus(await host('/who', as(made.api_key)), 200)).toEqual({
      id: null,
      role: 'anon',
      claims: { key_id: made.id, scopes: ['reports:read'] },
    })
    const before = await count('api_keys')
    for (const [method, path] of [
      ['GET', '/admin/users'],
      ['GET', '/admin/api-keys'],
      ['POST', '/admin/api-keys'],
      ['DELETE', `/admin/api-keys/${made.id}`],
    ] as const) {
      const body = method === 'POST' ? { type: 'secret', name: 'more' } : undefined
      const response = await ask(`/auth/v1${path}`, { method, body, ...as(made.api_key) })
      expect(await code(response, 403), path).toBe('not_admin')
    }
    expect(await count('api_keys')).toBe(before)
  })

  it('are refused when they are nonsense, or nobody’s', async () => {
    for (const body of [
      {},
      { type: 'service', name: 'x' },
      { type: 'secret', name: 'x'.repeat(101) },
      { type: 'secret', name: 'x', scopes: ['a b'] },
      { type: 'secret', name: 'x', scopes: 'all' },
      { type: 'secret', name: 'x', expires_in: 0 },
      { type: 'secret', name: 'x', expires_in: 1e12 },
      { type: 'secret', name: 'x', expires_in: '60' },
    ])
      expect(await code(await post(ask, '/admin/api-keys', body, { key: 'secret' }), 400)).toBe(
        'validation_failed',
      )
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    expect(
      (await post(ask, '/admin/api-keys', { type: 'secret', name: 'x' }, { token })).status,
    ).toBe(403)
    for (const key of [`sb_secret_${'A'.repeat(43)}`, 'sb_secret_', "sb_secret_' OR 1=1 --"])
      expect((await ask('/auth/v1/settings', as(key))).status).toBe(200)
    for (const key of [`sb_secret_${'A'.repeat(43)}`, 'sb_secret_x'])
      expect((await ask('/auth/v1/admin/users', as(key))).status).toBe(401)
    expect(await count('api_keys')).toBe(0)
  })
})

describe('trusted issuers', () => {
  const issuer = 'https://old.supabase.co/auth/v1'
  const secret = 'the-jwt-secret-of-the-project-that-is-left'
  const claims = (sub: string) => ({ sub, role: 'authenticated', session_id: crypto.randomUUID() })
  const sign = (key: CryptoKey | Uint8Array, alg: string, more: object = {}, header: object = {}) =>
    new SignJWT({ ...claims(unknown), ...more })
      .setProtectedHeader({ alg, ...header })
      .setIssuer((more as Json).iss ?? issuer)
      .setAudience((more as Json).aud ?? 'authenticated')
      .setExpirationTime((more as Json).exp ?? Math.floor(clock.now() / 1000) + 3600)
      .sign(key)
  const shared = new TextEncoder().encode(secret)
  const principal = (token: string) =>
    users.principal(
      makeBase().scope({ env }),
      new Request(site, { headers: { authorization: `Bearer ${token}` } }),
    )

  it('are honoured by HS256, RS256, ES256 and EdDSA', async () => {
    const pairs = await Promise.all(
      ['RS256', 'ES256', 'EdDSA'].map(async (alg) => ({ alg, ...(await generateKeyPair(alg)) })),
    )
    const keys = await Promise.all(
      pairs.map(async ({ alg, publicKey }) => ({ ...(await exportJWK(publicKey)), alg, kid: alg })),
    )
    await setUp({ with: [trust([{ issuer, keys, secret: () => secret }])] })
    for (const { alg, privateKey } of pairs)
      expect(await principal(await sign(privateKey, alg, {}, { kid: alg }))).toMatchObject({
        id: unknown,
        role: 'authenticated',
      })
    const token = await sign(shared, 'HS256', { aal: 'aal1' })
    expect(await principal(token)).toMatchObject({ id: unknown, claims: { aal: 'aal1' } })
    // Its session has not moved yet: `auth` itself asks the database.
    await rows(
      `INSERT INTO leanto_auth_users (id, app_metadata, user_metadata, created_at, updated_at)
       VALUES (?, '{}', '{}', 1, 1)`,
      unknown,
    )
    expect(await code(await getUser(ask, token), 403)).toBe('session_not_found')
    await rows(
      `INSERT INTO leanto_auth_sessions (id, user_id, created_at) VALUES (?, ?, 1)`,
      claimsOf(token).session_id,
      unknown,
    )
    expect((await expectStatus(await getUser(ask, token), 200)).id).toBe(unknown)
    // Ours are as ever.
    const { access_token } = await signUp(ask, 'ann@example.com')
    await expectStatus(await getUser(ask, access_token), 200)
  })

  it('never by a public key as secret, nor by what a token says of itself (cases 31, 34)', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'a' }
    await setUp({
      with: [
        trust([
          { issuer, keys: [jwk] },
          { issuer: `${issuer}2`, secret },
        ]),
      ],
    })
    const text = (value: string) => new TextEncoder().encode(value)
    const noUsers = ['service_role', 'anon', undefined]
    const bad = [
      await sign(text(JSON.stringify(jwk)), 'HS256'),
      await sign(text(jwk.x as string), 'HS256', {}, { kid: 'a' }),
      await sign(shared, 'HS256'),
      await sign(privateKey, 'ES256', { iss: `${issuer}2` }),
      await sign(privateKey, 'ES256', { iss: 'https://nobody.example' }),
      await sign(privateKey, 'ES256', { aud: 'other' }),
      await sign(privateKey, 'ES256', { exp: Math.floor(clock.now() / 1000) }),
      await sign(privateKey, 'ES256', { sub: 'role:admin' }),
      await sign((await generateKeyPair('ES256')).privateKey, 'ES256', {}, { jwk, kid: 'a' }),
      await sign((await generateKeyPair('RS256')).privateKey, 'RS256', {}, { kid: 'a' }),
      ...(await Promise.all(noUsers.map((role) => sign(privateKey, 'ES256', { role })))),
      `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify({ iss: issuer, ...claims(unknown) }))}.`.replaceAll(
        '=',
        '',
      ),
    ]
    for (const token of bad)
      await expect(principal(token), token).rejects.toMatchObject({ status: 401 })
    expect(await principal(await sign(privateKey, 'ES256'))).toMatchObject({ id: unknown })
  })

  it.each([
    [[]],
    [[{ issuer }]],
    [[{ issuer: '', secret }]],
    [[{ issuer, secret: 'short' }]],
    [[{ issuer, secret: `-----BEGIN PUBLIC KEY-----${'A'.repeat(64)}` }]],
    [[{ issuer, secret: JSON.stringify({ kty: 'EC', x: 'x'.repeat(43) }) }]],
    [[{ issuer, keys: [{ kty: 'EC' }] }]],
    [[{ issuer, keys: [{ kty: 'oct', k: 'x', alg: 'HS256' }] }]],
    [[{ issuer, keys: [{ kty: 'oct', k: 'x', alg: 'ES256' }] }]],
    [[{ issuer, keys: [{ kty: 'EC', d: 'private', alg: 'ES256' }] }]],
    [
      [
        { issuer, secret },
        { issuer, secret },
      ],
    ],
  ])('are not built of %j', (issuers) => {
    expect(() => trust(issuers as never)).toThrow(TypeError)
  })
})

describe('Turnstile', () => {
  const asked: Json[] = []
  let verdict: () => Response = () => Response.json({ success: true })
  const captcha = () =>
    turnstile({
      secret: () => 'the-secret',
      fetch: async (url, init) => {
        asked.push({ url, ...JSON.parse(String(init.body)) })
        return verdict()
      },
    })
  beforeEach(async () => {
    asked.length = 0
    verdict = () => Response.json({ success: true })
    await setUp({ with: [captcha()] })
  })
  const solved = { gotrue_meta_security: { captcha_token: 'solved' } }
  const ann = { email: 'ann@example.com', password }

  it('stands before sign-up and sign-in, and nothing else', async () => {
    expect(await code(await post(ask, '/signup', ann), 400)).toBe('captcha_failed')
    const headers = { 'cf-connecting-ip': '192.0.2.1' }
    const session = await expectStatus(
      await post(ask, '/signup', { ...ann, ...solved }, { headers }),
      200,
    )
    expect(asked).toEqual([
      {
        url: 'https://challenges.cloudflare.com/turnstile/v0/siteverify',
        secret: 'the-secret',
        response: 'solved',
        remoteip: '192.0.2.1',
      },
    ])
    expect(await code(await signIn(ask, ann.email), 400)).toBe('captcha_failed')
    for (const path of ['/recover', '/resend', '/otp', '/magiclink'])
      expect(await code(await post(ask, path, ann), 400), path).toBe('captcha_failed')
    await expectStatus(await post(ask, '/token?grant_type=password', { ...ann, ...solved }), 200)
    await expectStatus(await refresh(ask, session.refresh_token), 200)
    await expectStatus(await getUser(ask, session.access_token), 200)
  })

  it.each<[string, () => Response]>([
    ['says no', () => Response.json({ success: false, 'error-codes': ['timeout-or-duplicate'] })],
    ['says truthy', () => Response.json({ success: 'true' })],
    ['says nothing', () => new Response('', { status: 200 })],
    ['is down', () => new Response('oops', { status: 502 })],
    [
      'cannot be reached',
      () => {
        throw new TypeError('no network')
      },
    ],
  ])('refuses when it %s', async (_, answer) => {
    verdict = answer
    expect(await code(await post(ask, '/signup', { ...ann, ...solved }), 400)).toBe(
      'captcha_failed',
    )
    expect(await count('users')).toBe(0)
  })

  it.each([
    [{ captcha_token: { $ne: null } }],
    [{ captcha_token: ['solved'] }],
    [{ captcha_token: 'x'.repeat(2049) }],
    [{}],
    ['solved'],
  ])('asks nobody about %j', async (gotrue_meta_security) => {
    const response = await post(ask, '/signup', { ...ann, gotrue_meta_security })
    expect(await code(response, 400)).toBe('captcha_failed')
    expect(asked).toEqual([])
  })

  it('wants a secret', () => {
    expect(() => turnstile({ secret: '' })).toThrow(TypeError)
  })
})

describe('the host’s hooks', () => {
  it('hear of each password at an account, and of what happens', async () => {
    const attempts: Json[] = []
    const events: Json[] = []
    let refuse = false
    await setUp({
      with: [mfa()],
      before: {
        password(_, attempt) {
          attempts.push(attempt)
          if (refuse) throw new Fault('too_late', { status: 403, message: 'Come back tomorrow' })
        },
        accessToken: () => ({ plan: 'gold', role: 'service_role', aal: 'aal2', sub: 'x' }),
      },
      after: { event: (_, event) => void events.push(event) },
    })
    const { user } = await signUp(ask, 'ann@example.com')
    const session = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    // Claims are added, and none of ours is replaced.
    expect(claimsOf(session.access_token)).toMatchObject({
      plan: 'gold',
      role: 'authenticated',
      aal: 'aal1',
      sub: user.id,
    })
    await signIn(ask, 'ann@example.com', 'wrong password')
    await signIn(ask, 'nobody@example.com')
    refuse = true
    expect(await code(await signIn(ask, 'ann@example.com'), 403)).toBe('too_late')
    expect(attempts.map(({ userId, valid }) => [userId, valid])).toEqual([
      [user.id, true],
      [user.id, false],
      [user.id, true],
    ])
    await enroll(ask, session.access_token)
    const actions = events.map(({ action }) => action)
    expect(actions).toEqual(expect.arrayContaining(['login', 'login_failed', 'factor_enrolled']))
    expect(JSON.stringify(events)).not.toContain('wrong password')
  })
})
