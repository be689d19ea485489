import { env } from 'cloudflare:workers'
import { SignJWT } from 'jose'
import { apiKeys } from 'leanto'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { beforeEach, describe, expect, it } from 'vitest'
import { readDuration } from '../../src/auth/admin/duration.ts'
import { hashPassword } from '../../src/auth/password.ts'
import { type Ask, clock, freshDatabase, makeBase, site, testSecret } from '../kit/world.ts'
import { withFactor } from './mfa-world.ts'
import {
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

let staff = admin()
let mails: Json[] = []
const make = () => {
  staff = admin()
  mails = []
  return makeAuth({
    with: [mfa(), staff],
    mailer: { send: async (_, mail) => void mails.push(mail) },
    autoconfirm: true,
    redirects: ['https://other.example/welcome'],
  })
}
let users = make()
let ask = mountAuth(users)
beforeEach(async () => {
  users = make()
  ask = mountAuth(users)
  await freshDatabase([users])
})

const unknown = '00000000-0000-7000-8000-000000000000'
const service = { key: 'secret' } as const
const asService = (path: string, more: Ask = {}) => ask(`/auth/v1${path}`, { ...service, ...more })
const code = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code

describe('nobody else', () => {
  const routes = [
    ['GET', '/admin/users'],
    ['POST', '/admin/users'],
    ['GET', `/admin/users/${unknown}`],
    ['PUT', `/admin/users/${unknown}`],
    ['DELETE', `/admin/users/${unknown}`],
    ['POST', `/admin/users/${unknown}/logout`],
    ['GET', `/admin/users/${unknown}/factors`],
    ['DELETE', `/admin/users/${unknown}/factors/${unknown}`],
    ['POST', '/invite'],
    ['POST', '/admin/generate_link'],
    ['GET', '/admin/audit'],
  ] as const

  it.each(routes)('gets in at %s %s (cases 12, 40 to 42)', async (method, path) => {
    const { access_token: token, user } = await signUp(ask, 'ann@example.com')
    await rows(
      `UPDATE leanto_auth_users SET app_metadata = '{"role":"service_role","provider":"email"}',
         user_metadata = '{"role":"service_role"}'`,
    )
    const { access_token: forged } = await expectStatus(await signIn(ask, 'ann@example.com'), 200)
    const { secret } = await apiKeys(testSecret)
    const before = await snapshot()
    const to = `/auth/v1${path.replace(unknown, user.id)}`
    const body = {
      email: 'eve@example.com',
      type: 'magiclink',
      role: 'service_role',
      user_id: user.id,
    }
    const more = method === 'GET' ? { method } : { method, body }
    expect(await code(await ask(to, more), 401)).toBe('no_authorization')
    expect(await code(await ask(to, { ...more, key: 'publishable' }), 403)).toBe('not_admin')
    for (const shown of [token, forged])
      expect(await code(await ask(to, { ...more, token: shown }), 403)).toBe('not_admin')
    // A user's token with the secret key is the user.
    expect(await code(await ask(to, { ...more, key: 'secret', token }), 403)).toBe('not_admin')
    const wrong = { apikey: `${secret}x` }
    expect(await code(await ask(to, { ...more, headers: wrong }), 401)).toBe('no_authorization')
    for (const header of [{ alg: 'HS256' }, { alg: 'none' }]) {
      const encode = (part: object) => btoa(JSON.stringify(part)).replaceAll('=', '')
      const claims = { role: 'service_role', sub: 'x', exp: 9e9, aud: 'authenticated' }
      const unsigned = `${encode(header)}.${encode(claims)}.AAAA`
      expect((await ask(to, { ...more, token: unsigned })).status).toBe(403)
    }
    const signed = await new SignJWT({ role: 'service_role', aud: 'authenticated' })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('x')
      .setIssuer(`${site}/auth/v1`)
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(testSecret))
    expect((await ask(to, { ...more, token: signed })).status).toBe(403)
    expect(await snapshot()).toBe(before)
    expect(mails).toEqual([])
  })

  it('has the routes at all where the part is not mounted', async () => {
    const bare = mountAuth(makeAuth())
    for (const [method, path] of routes) {
      const body = method === 'GET' ? undefined : {}
      const response = await bare(`/auth/v1${path}`, { method, body, key: 'secret' })
      expect(response.status, path).toBe(404)
    }
  })
})

describe('a change by the server', () => {
  it('of the password, and a ban, end every session (cases 11 and 12)', async () => {
    for (const change of [{ password: 'a new password' }, { ban_duration: '1h' }]) {
      const email = `${Object.keys(change)[0]?.replace('_', '-')}@example.com`
      const session = await signUp(ask, email)
      const path = `/admin/users/${session.user.id}`
      await expectStatus(await asService(path, { method: 'PUT', body: change }), 200)
      expect((await getUser(ask, session.access_token)).status).toBe(403)
      expect((await refresh(ask, session.refresh_token)).status).toBe(400)
    }
    expect(await code(await signIn(ask, 'ban-duration@example.com'), 400)).toBe('user_banned')
    const [{ id }] = await rows(
      `SELECT id FROM leanto_auth_users WHERE email = 'ban-duration@example.com'`,
    )
    const lifted = await expectStatus(
      await asService(`/admin/users/${id}`, { method: 'PUT', body: { ban_duration: 'none' } }),
      200,
    )
    expect(lifted.banned_until).toBeUndefined()
    await expectStatus(await signIn(ask, 'ban-duration@example.com'), 200)
  })

  it('takes no role, no id, no time and no nonsense', async () => {
    const { user } = await signUp(ask, 'ann@example.com')
    const put = (body: unknown) => asService(`/admin/users/${user.id}`, { method: 'PUT', body })
    const before = await snapshot()
    for (const body of [
      { role: 'service_role' },
      { ban_duration: 'forever' },
      { ban_duration: '-1h' },
      { email: 'nobody' },
      { phone: 'x' },
      { user_metadata: [] },
      { user_metadata: JSON.parse('{"__proto__":{"a":1}}') },
      { app_metadata: 'x' },
      { email: { $ne: null } },
      { email_confirm: 'yes' },
      { password: 'short' },
      { password_hash: '$2b$nonsense' },
      { password, password_hash: '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA' },
      [],
      'x',
    ])
      expect([400, 422], JSON.stringify(body)).toContain((await put(body)).status)
    expect(await snapshot()).toBe(before)
    await put({ id: unknown, created_at: 1, banned_until: 1, is_anonymous: true })
    const [row] = await rows(
      'SELECT id, created_at, banned_until, is_anonymous FROM leanto_auth_users',
    )
    expect(row).toEqual({
      id: user.id,
      created_at: Date.parse(user.created_at),
      banned_until: null,
      is_anonymous: 0,
    })
  })

  it('never gives two users one address, however many come at once (case 21)', async () => {
    const made = await Promise.all(
      Array.from({ length: 50 }, () =>
        asService('/admin/users', { body: { email: 'ann@example.com', phone: '+15550001111' } }),
      ),
    )
    expect(made.filter(({ status }) => status === 200)).toHaveLength(1)
    expect([await count('users'), await count('identities')]).toEqual([1, 2])
    const phone = await asService('/admin/users', {
      body: { email: 'bob@example.com', phone: '15550001111' },
    })
    expect(await code(phone, 422)).toBe('phone_exists')
    expect(await count('users')).toBe(1)
    const bob = await expectStatus(
      await asService('/admin/users', { body: { email: 'bob@example.com' } }),
      200,
    )
    const put = (body: object) => asService(`/admin/users/${bob.id}`, { method: 'PUT', body })
    expect(await code(await put({ email: 'ann@example.com' }), 422)).toBe('email_exists')
    expect(await code(await put({ phone: '15550001111' }), 422)).toBe('phone_exists')
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => put({ user_metadata: { [`k${i}`]: i } })),
    )
    const good = answers.filter(({ status }) => status === 200).length
    const [{ user_metadata }] = await rows(
      `SELECT user_metadata FROM leanto_auth_users WHERE email = 'bob@example.com'`,
    )
    expect(Object.keys(JSON.parse(user_metadata))).toHaveLength(good)
    for (const { status } of answers) expect([200, 409]).toContain(status)
  })

  it('drops what was sent to an old address', async () => {
    const { user } = await signUp(ask, 'ann@example.com')
    const link = await expectStatus(
      await asService('/admin/generate_link', {
        body: { type: 'magiclink', email: 'ann@example.com' },
      }),
      200,
    )
    await asService(`/admin/users/${user.id}`, {
      method: 'PUT',
      body: { email: 'anna@example.com' },
    })
    expect(
      (await post(ask, '/verify', { type: 'magiclink', token_hash: link.hashed_token })).status,
    ).toBe(403)
  })

  it('takes a hash of another house', async () => {
    const encoded = hashPassword('moved in here')
    const id = crypto.randomUUID()
    const made = await expectStatus(
      await asService('/admin/users', {
        body: { id, email: 'ann@example.com', password_hash: encoded, email_confirm: true },
      }),
      200,
    )
    expect(made.id).toBe(id)
    await expectStatus(await signIn(ask, 'ann@example.com', 'moved in here'), 200)
    expect((await asService('/admin/users', { body: { id, email: 'b@example.com' } })).status).toBe(
      422,
    )
    expect(
      (await asService('/admin/users', { body: { id: '1', email: 'b@example.com' } })).status,
    ).toBe(400)
  })

  it('deletes softly: the id stays, and nothing else', async () => {
    const { session } = await withFactor(
      ask,
      await signUp(ask, 'ann@example.com', { data: { a: 1 } }),
    )
    const path = `/admin/users/${session.user.id}`
    await expectStatus(
      await asService(path, { method: 'DELETE', body: { should_soft_delete: true } }),
      200,
    )
    const user = await expectStatus(await asService(path), 200)
    expect(user).toMatchObject({
      id: session.user.id,
      email: '',
      user_metadata: {},
      identities: [],
    })
    expect(user.deleted_at).toBeTruthy()
    expect((await getUser(ask, session.access_token)).status).toBe(403)
    expect((await refresh(ask, session.refresh_token)).status).toBe(400)
    expect((await signIn(ask, 'ann@example.com')).status).toBe(400)
    for (const table of ['sessions', 'identities', 'factors', 'tokens'])
      expect(await count(table), table).toBe(0)
    expect((await asService(path, { method: 'PUT', body: { email: 'a@b.example' } })).status).toBe(
      404,
    )
    // The address is free again.
    const next = await signUp(ask, 'ann@example.com')
    expect(next.user.id).not.toBe(session.user.id)
    await expectStatus(await asService(path, { method: 'DELETE' }), 200)
    expect(await code(await asService(path, { method: 'DELETE' }), 404)).toBe('user_not_found')
  })

  it('signs a user out by id', async () => {
    const session = await signUp(ask, 'ann@example.com')
    const path = (id: string) => `/admin/users/${id}/logout`
    expect((await asService(path(session.user.id), { method: 'POST' })).status).toBe(204)
    expect((await refresh(ask, session.refresh_token)).status).toBe(400)
    expect(await code(await asService(path(unknown), { method: 'POST' }), 404)).toBe(
      'user_not_found',
    )
    expect(await code(await asService(path('x'), { method: 'POST' }), 404)).toBe(
      'validation_failed',
    )
  })
})

describe('the audit log', () => {
  it('says what happened, without a secret, and is trimmed', async () => {
    const { session } = await withFactor(ask, await signUp(ask, 'ann@example.com'))
    await asService(`/admin/users/${session.user.id}`, {
      method: 'PUT',
      body: { password: 'another password' },
    })
    const response = await asService('/admin/audit?per_page=100')
    const entries = await expectStatus(response.clone(), 200)
    expect(response.headers.get('x-total-count')).toBe(String(entries.length))
    const actions = entries.map(({ payload }: Json) => payload.action)
    for (const action of ['factor_enrolled', 'factor_verified', 'user_modified'])
      expect(actions).toContain(action)
    const modified = entries.find(({ payload }: Json) => payload.action === 'user_modified')
    expect(modified).toMatchObject({
      payload: { actor_id: session.user.id, traits: { fields: ['password'] } },
      created_at: new Date(clock.now()).toISOString(),
    })
    const text = JSON.stringify(entries)
    for (const secret of ['another password', password, session.refresh_token])
      expect(text).not.toContain(secret)
    clock.advance(90 * 86_400 + 1)
    await users.scheduled(makeBase().scope({ env }))
    expect(await count('audit')).toBe(0)
  })

  it('can be left out', async () => {
    const silent = makeAuth({ with: [admin({ audit: false })] })
    await freshDatabase([silent])
    const quiet = mountAuth(silent)
    await signUp(quiet, 'ann@example.com')
    expect((await quiet('/auth/v1/admin/audit', { key: 'secret' })).status).toBe(404)
    expect(await rows(`SELECT 1 FROM sqlite_master WHERE name = 'leanto_auth_audit'`)).toEqual([])
  })
})

it('reads durations as Go does', () => {
  for (const [text, milliseconds] of [
    ['0', 0],
    ['1h', 3_600_000],
    ['2h45m', 9_900_000],
    ['300ms', 300],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1h30m10s', 5_410_000],
    ['1µs', 0],
    ['876000h', 876_000 * 3_600_000],
    ['99999999999999999999h', 100 * 366 * 24 * 3_600_000],
  ] as const)
    expect(readDuration(text), text).toBe(milliseconds)
  for (const text of ['', 'h', '1', '-1h', '1d', '1h 2m', '1hx', '.h', 'none'])
    expect(readDuration(text), text).toBeNull()
})
