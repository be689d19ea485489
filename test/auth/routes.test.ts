import { apiKeys } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase, site, testSecret } from '../kit/world.ts'
import { closed } from './closed.ts'
import {
  claimsOf,
  count,
  expectStatus,
  getUser,
  issuer,
  makeAuth,
  mountAuth,
  password,
  post,
  refresh,
  rows,
  signIn,
  signUp,
} from './world.ts'

const users = makeAuth()
const ask = mountAuth(users)
beforeEach(() => freshDatabase([users]))

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('sign-up', () => {
  it('answers a session with the user as GoTrue shows it', async () => {
    const response = await post(ask, '/signup', {
      email: 'Ann@Example.COM',
      password,
      data: { name: 'Ann' },
      gotrue_meta_security: {},
      code_challenge: null,
    })
    const session = await expectStatus(response, 200)
    const now = new Date(clock.now()).toISOString()
    const { user } = session
    expect(user.id).toMatch(uuid)
    expect(session).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: 'bearer',
      expires_in: 3600,
      expires_at: clock.now() / 1000 + 3600,
      refresh_token: expect.stringMatching(/^[\w-]{43}$/),
      user: {
        id: user.id,
        aud: 'authenticated',
        role: 'authenticated',
        email: 'ann@example.com',
        email_confirmed_at: now,
        phone: '',
        confirmed_at: now,
        last_sign_in_at: now,
        app_metadata: { provider: 'email', providers: ['email'] },
        user_metadata: { name: 'Ann' },
        identities: [
          {
            identity_id: user.id,
            id: user.id,
            user_id: user.id,
            identity_data: {
              email: 'ann@example.com',
              email_verified: true,
              phone_verified: false,
              sub: user.id,
            },
            provider: 'email',
            last_sign_in_at: now,
            created_at: now,
            updated_at: now,
            email: 'ann@example.com',
          },
        ],
        created_at: now,
        updated_at: now,
        is_anonymous: false,
      },
    })
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('set-cookie')).toBeNull()
  })

  it('signs GoTrue’s claims', async () => {
    const { access_token, user } = await signUp(ask, 'ann@example.com', { data: { name: 'Ann' } })
    const now = clock.now() / 1000
    expect(claimsOf(access_token)).toEqual({
      iss: issuer,
      sub: user.id,
      aud: 'authenticated',
      exp: now + 3600,
      iat: now,
      email: 'ann@example.com',
      phone: '',
      app_metadata: { provider: 'email', providers: ['email'] },
      user_metadata: { name: 'Ann' },
      role: 'authenticated',
      aal: 'aal1',
      amr: [{ method: 'password', timestamp: now }],
      session_id: (await rows('SELECT id FROM leanto_auth_sessions'))[0].id,
      is_anonymous: false,
    })
    const header = JSON.parse(atob(access_token.split('.')[0] as string))
    expect(header).toEqual({ alg: 'ES256', kid: expect.any(String), typ: 'JWT' })
  })

  it('stores no password and no refresh token as they are (case 23)', async () => {
    // Its own module, because a key that this isolate already knows would not be in the emptied database.
    const ask = mountAuth(makeAuth())
    const session = await signUp(ask, 'ann@example.com')
    await refresh(ask, session.refresh_token)
    const stored = JSON.stringify(
      await Promise.all(
        ['users', 'sessions', 'refresh_tokens', 'keys'].map((t) =>
          rows(`SELECT * FROM leanto_auth_${t}`),
        ),
      ),
    )
    expect(stored).toContain('$argon2id$v=19$m=19456,t=2,p=1$')
    for (const secret of [password, session.refresh_token, session.access_token, testSecret])
      expect(stored).not.toContain(secret)
    // The private key is sealed: the public half is there, the private `d` is not.
    expect(stored).toContain('kty')
    expect(stored).not.toMatch(/\\"d\\"/)
  })

  it('refuses an address that is taken, in any spelling, and changes nothing', async () => {
    await signUp(ask, 'ann@bücher.example')
    for (const email of ['ANN@bücher.example', 'ann@xn--bcher-kva.example', 'ann@BÜCHER.example']) {
      const body = await expectStatus(
        await post(ask, '/signup', { email, password: 'another one' }),
        422,
      )
      expect(body).toEqual({
        code: 422,
        error_code: 'user_already_exists',
        msg: 'User already registered',
      })
    }
    expect([await count('users'), await count('sessions')]).toEqual([1, 1])
    await expectStatus(await signIn(ask, 'ann@bücher.example', 'another one'), 400)
  })

  it('can be closed, and says so in its settings', async () => {
    const closed = mountAuth(makeAuth({ signUp: false }))
    const body = await expectStatus(
      await post(closed, '/signup', { email: 'a@b.example', password }),
      422,
    )
    expect(body.error_code).toBe('signup_disabled')
    expect(await count('users')).toBe(0)
    const settings = await expectStatus(await closed('/auth/v1/settings'), 200)
    expect(settings).toMatchObject({ disable_signup: true, mailer_autoconfirm: true })
    const open = await expectStatus(await ask('/auth/v1/settings'), 200)
    expect(open).toMatchObject({ disable_signup: false, external: { email: true, phone: false } })
  })
})

describe('sign-in', () => {
  it('answers a session of its own each time', async () => {
    const first = await signUp(ask, 'ann@example.com')
    clock.advance(1)
    const second = await expectStatus(await signIn(ask, ' ann@example.com'.trim()), 200)
    expect(second.user.id).toBe(first.user.id)
    expect(second.refresh_token).not.toBe(first.refresh_token)
    const ids = [first, second].map((s) => claimsOf(s.access_token).session_id)
    expect(ids[0]).not.toBe(ids[1])
    expect(second.user.last_sign_in_at).toBe(new Date(clock.now()).toISOString())
    expect(await count('sessions')).toBe(2)
  })

  it('refuses a ban to whoever knows the password only', async () => {
    await signUp(ask, 'ann@example.com')
    await rows('UPDATE leanto_auth_users SET banned_until = ?', clock.now() + 1000)
    expect((await expectStatus(await signIn(ask, 'ann@example.com'), 400)).error_code).toBe(
      'user_banned',
    )
    const wrong = await expectStatus(await signIn(ask, 'ann@example.com', 'wrong guess'), 400)
    expect(wrong.error_code).toBe('invalid_credentials')
    clock.advance(2)
    await expectStatus(await signIn(ask, 'ann@example.com'), 200)
  })

  it.each([
    [{}, 400, 'validation_failed', 'missing email or phone'],
    [{ email: 'a@b.example', phone: '+4912', password }, 400, 'validation_failed', 'Only an email'],
    [{ phone: '+4912', password }, 422, 'phone_provider_disabled', 'Phone logins are disabled'],
    [{ email: 'a@b.example' }, 400, 'invalid_credentials', 'Invalid login credentials'],
    [{ email: 'no address', password }, 400, 'invalid_credentials', 'Invalid login credentials'],
  ])('answers %j as GoTrue does', async (body, status, code, message) => {
    const answer = await expectStatus(await post(ask, '/token?grant_type=password', body), status)
    expect(answer.error_code).toBe(code)
    expect(answer.msg).toContain(message)
  })

  it.each([
    '',
    '?grant_type=',
    '?grant_type=toString',
    '?grant_type=__proto__',
    '?grant_type=PASSWORD',
    '?grant_type[]=password',
  ])('knows no grant %j', async (query) => {
    await signUp(ask, 'ann@example.com')
    const body = { email: 'ann@example.com', password, grant_type: 'password' }
    expect(await expectStatus(await post(ask, `/token${query}`, body), 400)).toEqual({
      code: 400,
      error_code: 'invalid_credentials',
      msg: 'unsupported_grant_type',
    })
  })
})

describe('the error body', () => {
  const wrong = (version?: string) =>
    post(
      ask,
      '/token?grant_type=password',
      { email: 'ann@example.com', password: 'wrong guess' },
      version ? { headers: { 'x-supabase-api-version': version } } : {},
    )

  it('is GoTrue’s first one without a version', async () => {
    for (const version of [undefined, '2023-12-31', 'tomorrow', '9']) {
      const response = await wrong(version)
      expect(response.headers.get('x-sb-error-code')).toBe('invalid_credentials')
      expect(response.headers.get('x-supabase-api-version')).toBeNull()
      expect(await expectStatus(response, 400)).toEqual({
        code: 400,
        error_code: 'invalid_credentials',
        msg: 'Invalid login credentials',
      })
    }
  })

  it('has the code as text from 2024-01-01 on', async () => {
    for (const version of ['2024-01-01', '2026-01-01']) {
      const response = await wrong(version)
      expect(response.headers.get('x-supabase-api-version')).toBe('2024-01-01')
      expect(await expectStatus(response, 400)).toEqual({
        code: 'invalid_credentials',
        message: 'Invalid login credentials',
      })
    }
  })

  it('gives the reasons of a weak password in both', async () => {
    for (const [version, body] of [
      [
        '',
        {
          code: 422,
          error_code: 'weak_password',
          msg: 'Password should be at least 8 characters.',
        },
      ],
      [
        '2024-01-01',
        { code: 'weak_password', message: 'Password should be at least 8 characters.' },
      ],
    ] as const) {
      const headers = version ? { 'x-supabase-api-version': version } : undefined
      const response = await post(
        ask,
        '/signup',
        { email: 'a@b.example', password: 'short' },
        { headers },
      )
      expect(await expectStatus(response, 422)).toEqual({
        ...body,
        weak_password: { reasons: ['length'] },
      })
    }
    expect(await count('users')).toBe(0)
  })
})

describe('who may ask what', () => {
  type Line = [method: string, path: string, guest: number, user: number, service: number]
  const matrix: Line[] = [
    ['POST', '/signup', 400, 400, 400],
    ['POST', '/token', 400, 400, 400],
    ['POST', '/otp', 400, 400, 400],
    ['POST', '/magiclink', 400, 400, 400],
    ['POST', '/recover', 400, 400, 400],
    ['POST', '/resend', 400, 400, 400],
    ['GET', '/verify', 400, 400, 400],
    ['POST', '/verify', 400, 400, 400],
    ['GET', '/user', 401, 200, 401],
    ['PUT', '/user', 401, 200, 401],
    ['GET', '/reauthenticate', 401, 422, 401],
    ['POST', '/logout', 401, 204, 401],
    ['DELETE', '/user/identities/:identity_id', 401, 404, 401],
    ['GET', '/authorize', 400, 400, 400],
    ['GET', '/user/identities/authorize', 401, 400, 401],
    ['GET', '/settings', 200, 200, 200],
    ['GET', '/health', 200, 200, 200],
    ['GET', '/.well-known/jwks.json', 200, 200, 200],
    ['GET', '/.well-known/openid-configuration', 200, 200, 200],
    ...closed.map(({ method, path }): Line => [method, path, 404, 404, 404]),
  ]

  it('has a line for every route', () => {
    expect(users.table).toEqual(matrix.map(([method, path]) => ({ method, path })))
    expect(users.table.some(({ method }) => method === 'ALL')).toBe(false)
  })

  it.each(matrix)(
    '%s %s: guest %i, user %i, service %i',
    async (method, path, guest, user, service) => {
      const { access_token } = await signUp(ask, 'ann@example.com')
      const body = method === 'GET' ? undefined : path === '/signup' ? [] : {}
      const options = { method, body }
      const keys = await apiKeys(testSecret)
      const status = async (more: object) =>
        (await ask(`/auth/v1${path}`, { ...options, ...more })).status
      expect(await status({})).toBe(guest)
      expect(await status({ key: 'publishable' })).toBe(guest)
      expect(await status({ key: 'publishable', token: keys.publishable })).toBe(guest)
      expect(await status({ key: 'secret' })).toBe(service)
      expect(await status({ token: keys.secret })).toBe(service)
      expect(await status({ token: access_token, key: 'publishable' })).toBe(user)
    },
  )

  it('knows nothing beside them (case 54)', async () => {
    for (const path of [
      '//token',
      '/Token',
      '/token/',
      '/%74oken/x',
      '/admin/users',
      '/.well-known',
    ])
      expect((await ask(`/auth/v1${path}?grant_type=password`, { body: {} })).status).toBe(404)
    const override = { 'x-http-method-override': 'PUT', 'x-method-override': 'DELETE' }
    const { access_token } = await signUp(ask, 'ann@example.com')
    const response = await getUser(ask, access_token, { headers: override })
    expect(response.status).toBe(200)
  })
})

describe('health and discovery', () => {
  it('publishes the issuer and the public keys, and lets them be cached', async () => {
    const config = await ask('/auth/v1/.well-known/openid-configuration')
    expect(config.headers.get('cache-control')).toBe('public, max-age=600')
    expect(await expectStatus(config, 200)).toMatchObject({
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      id_token_signing_alg_values_supported: ['ES256'],
    })
    const jwks = await ask('/auth/v1/.well-known/jwks.json')
    expect(jwks.headers.get('cache-control')).toBe('public, max-age=600')
    const { keys } = await expectStatus(jwks, 200)
    expect(keys).toEqual([
      {
        kty: 'EC',
        crv: 'P-256',
        alg: 'ES256',
        use: 'sig',
        kid: expect.any(String),
        x: expect.any(String),
        y: expect.any(String),
      },
    ])
    const { access_token } = await signUp(ask, 'ann@example.com')
    expect(JSON.parse(atob(access_token.split('.')[0] as string)).kid).toBe(keys[0].kid)
  })

  it('takes nothing from Host, Origin or X-Forwarded-* (case 10)', async () => {
    const headers = {
      host: 'evil.example',
      origin: 'https://evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'host=evil.example',
    }
    const evil = mountAuth(users, 'https://evil.example')
    const text = await (await evil('/auth/v1/.well-known/openid-configuration', { headers })).text()
    expect(text).not.toContain('evil')
    const first = await post(evil, '/signup', { email: 'ann@example.com', password }, { headers })
    const session = await expectStatus(first, 200)
    expect(claimsOf(session.access_token).iss).toBe(issuer)
    expect((await getUser(ask, session.access_token)).status).toBe(200)
    expect(site).not.toContain('evil')
  })
})
