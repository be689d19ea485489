import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import {
  count,
  expectStatus,
  getUser,
  json,
  makeAuth,
  mountAuth,
  password,
  refresh,
  rows,
  signIn,
  signUp,
  snapshot,
} from './world.ts'

const users = makeAuth()
const ask = mountAuth(users)
beforeEach(() => freshDatabase([users]))

const put = (token: string, body: unknown, of = ask) =>
  of('/auth/v1/user', { method: 'PUT', token, body })
const logout = (token: string, scope = '') =>
  ask(`/auth/v1/logout${scope}`, { method: 'POST', token })

describe('GET /user', () => {
  it('shows each user themselves (case 42)', async () => {
    const ann = await signUp(ask, 'ann@example.com')
    const bob = await signUp(ask, 'bob@example.com')
    for (const { access_token, user } of [ann, bob]) {
      const body = await expectStatus(await getUser(ask, access_token), 200)
      expect(body).toEqual(user)
      expect(JSON.stringify(body)).not.toMatch(/argon2|password/)
    }
    const asked = `/auth/v1/user?id=${bob.user.id}&user_id=${bob.user.id}`
    expect((await json(await ask(asked, { token: ann.access_token }))).id).toBe(ann.user.id)
  })

  it('takes no id from a guest (case 41)', async () => {
    const { user } = await signUp(ask, 'ann@example.com')
    const body = { user_id: user.id, id: user.id, sub: user.id, data: { hacked: true } }
    const before = await snapshot()
    const response = await ask('/auth/v1/user', { method: 'PUT', body, key: 'publishable' })
    expect(await expectStatus(response, 401)).toEqual({
      code: 401,
      error_code: 'no_authorization',
      msg: 'This endpoint requires a Bearer token',
    })
    expect(await snapshot()).toBe(before)
  })

  it('sees at once that the session, the user or the right is gone (case 12)', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    const code = async () => (await expectStatus(await getUser(ask, access_token), 403)).error_code
    await rows('UPDATE leanto_auth_users SET banned_until = ?', clock.now() + 1000)
    expect(await code()).toBe('user_banned')
    await rows('UPDATE leanto_auth_users SET banned_until = NULL')
    expect((await getUser(ask, access_token)).status).toBe(200)
    await env.DB.prepare('DELETE FROM leanto_auth_sessions').run()
    expect(await code()).toBe('session_not_found')
    await env.DB.prepare('DELETE FROM leanto_auth_users').run()
    expect(await code()).toBe('user_not_found')
  })
})

describe('PUT /user', () => {
  it('merges data one level deep; null deletes', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com', {
      data: { name: 'Ann', old: 1, deep: { a: 1 } },
    })
    clock.advance(5)
    const data = { old: null, deep: { b: null }, price: 0.1 + 0.2, text: 'ünï "q" \\' }
    const user = await expectStatus(await put(access_token, { data }), 200)
    const merged = {
      name: 'Ann',
      deep: { b: null },
      price: 0.30000000000000004,
      text: 'ünï "q" \\',
    }
    expect(user.user_metadata).toEqual(merged)
    expect(user.updated_at).toBe(new Date(clock.now()).toISOString())
    expect((await json(await getUser(ask, access_token))).user_metadata).toEqual(merged)
  })

  it('keeps every one of 10 parallel changes', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => put(access_token, { data: { [`key${i}`]: i } })),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
    const { user_metadata } = await json(await getUser(ask, access_token))
    expect(Object.keys(user_metadata).sort()).toEqual(
      Array.from({ length: 10 }, (_, i) => `key${i}`),
    )
  })

  it('sets nothing that is the server’s (cases 14 and 40)', async () => {
    const theirs = {
      id: '00000000-0000-7000-8000-000000000000',
      role: 'service_role',
      aud: 'admin',
      is_super_admin: true,
      is_anonymous: true,
      banned_until: 'none',
      email_confirmed_at: '2020-01-01T00:00:00Z',
      confirmed_at: null,
      created_at: '2020-01-01T00:00:00Z',
      session_id: 'x',
      aal: 'aal2',
      expires_at: 9e12,
      password_hash: 'x',
      identities: [],
    }
    const first = await signUp(ask, 'ann@example.com', { ...theirs, app_metadata: { admin: true } })
    expect(first.user.app_metadata).toEqual({ provider: 'email', providers: ['email'] })
    const [before] = await rows('SELECT * FROM leanto_auth_users')
    const answer = await expectStatus(await put(first.access_token, { ...theirs, data: {} }), 200)
    expect(answer).toEqual(first.user)
    expect(await rows('SELECT * FROM leanto_auth_users')).toEqual([before])
    const refused = await put(first.access_token, { app_metadata: { admin: true }, data: { x: 1 } })
    expect((await expectStatus(refused, 403)).error_code).toBe('not_admin')
    expect(await rows('SELECT * FROM leanto_auth_users')).toEqual([before])
    // A role in the user's own metadata is just data: the claim stays what it is.
    await expectStatus(await put(first.access_token, { data: { role: 'service_role' } }), 200)
    const next = await expectStatus(await refresh(ask, first.refresh_token), 200)
    expect(next.user.role).toBe('authenticated')
    const scope = { user: { ...next.user } }
    expect(scope.user.app_metadata).toEqual({ provider: 'email', providers: ['email'] })
  })

  it('changes no address yet, and takes the one there is', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    const before = await snapshot()
    const body = await expectStatus(
      await put(access_token, {
        email: 'eve@example.com',
        data: { x: 1 },
        password: 'a new password',
      }),
      400,
    )
    expect(body).toMatchObject({ error_code: 'validation_failed' })
    expect(body.msg).toContain('confirmation mail')
    expect(await snapshot()).toBe(before)
    const same = await expectStatus(
      await put(access_token, { email: 'ANN@example.com', data: { x: 1 } }),
      200,
    )
    expect(same.user_metadata).toEqual({ x: 1 })
    expect((await put(access_token, { phone: '+49123' })).status).toBe(422)
  })
})

describe('a new password', () => {
  it.each([{}, { scope: 'local' }, { logout: false, keep_sessions: true }])(
    'ends every other session and its refresh tokens, whatever the body says: %j (case 11)',
    async (more) => {
      const mine = await signUp(ask, 'ann@example.com')
      const others = [
        await json(await signIn(ask, 'ann@example.com')),
        await json(await signIn(ask, 'ann@example.com')),
      ]
      const stranger = await signUp(ask, 'bob@example.com')
      await expectStatus(await put(mine.access_token, { password: 'a new password', ...more }), 200)
      for (const other of others) {
        expect((await expectStatus(await refresh(ask, other.refresh_token), 400)).error_code).toBe(
          'refresh_token_not_found',
        )
        expect((await getUser(ask, other.access_token)).status).toBe(403)
      }
      expect((await getUser(ask, mine.access_token)).status).toBe(200)
      expect((await refresh(ask, mine.refresh_token)).status).toBe(200)
      expect((await refresh(ask, stranger.refresh_token)).status).toBe(200)
      expect((await signIn(ask, 'ann@example.com')).status).toBe(400)
      expect((await signIn(ask, 'ann@example.com', 'a new password')).status).toBe(200)
    },
  )

  it('must be another one, and as good as any', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    const before = await snapshot()
    const code = async (secret: unknown, status: number) =>
      (await expectStatus(await put(access_token, { password: secret }), status)).error_code
    expect(await code(password, 422)).toBe('same_password')
    expect(await code('short', 422)).toBe('weak_password')
    expect(await code('', 422)).toBe('weak_password')
    expect(await code('x'.repeat(1025), 400)).toBe('validation_failed')
    expect(await code(['a new password'], 400)).toBe('validation_failed')
    expect(await snapshot()).toBe(before)
  })

  it('is set by one of 50 parallel changes, and no session slips through', async () => {
    const relaxed = mountAuth(makeAuth({ limits: { guesses: false, signIns: false } }))
    const mine = await signUp(relaxed, 'ann@example.com')
    const [changes, signIns] = await Promise.all([
      Promise.all(
        Array.from({ length: 25 }, (_, i) =>
          put(mine.access_token, { password: `a new password ${i}` }, relaxed),
        ),
      ),
      Promise.all(Array.from({ length: 25 }, () => signIn(relaxed, 'ann@example.com'))),
    ])
    const statuses = changes.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(1)
    for (const change of changes)
      if (change.status !== 200) expect((await json(change)).error_code).toBe('conflict')
    for (const { status } of signIns) expect([200, 400]).toContain(status)
    // Whoever got in by the old password in between is out again.
    expect(await count('sessions')).toBe(1)
    const won = statuses.lastIndexOf(200)
    const right = await Promise.all(
      statuses.map((_, i) => signIn(relaxed, 'ann@example.com', `a new password ${i}`)),
    )
    expect(right.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(won).toBeGreaterThanOrEqual(0)
  })

  it('is told to the address by mail, in text and escaped HTML', async () => {
    const sent: Record<string, string>[] = []
    const mailer = {
      async send(_: unknown, mail: object) {
        sent.push(mail as Record<string, string>)
      },
    }
    const telling = mountAuth(makeAuth({ mailer, autoconfirm: true }))
    const { access_token } = await signUp(telling, "o'ann&co@example.com")
    const change = (body: object) =>
      telling('/auth/v1/user', { method: 'PUT', token: access_token, body })
    await expectStatus(await change({ data: { a: 1 } }), 200)
    await expectStatus(await change({ password: 'short' }), 422)
    expect(sent).toEqual([])
    await expectStatus(await change({ password: 'a new password' }), 200)
    expect(sent).toHaveLength(1)
    expect(sent[0]).toMatchObject({
      to: "o'ann&co@example.com",
      subject: 'Your password was changed',
    })
    expect(sent[0]?.html).toContain('o&#39;ann&#38;co@example.com')
    expect(JSON.stringify(sent)).not.toContain('a new password')
  })

  it('stands even if the mail fails', async () => {
    const mailer = { send: () => Promise.reject(new Error('no mail today')) }
    const telling = mountAuth(makeAuth({ mailer, autoconfirm: true }))
    const { access_token } = await signUp(telling, 'ann@example.com')
    const body = { password: 'a new password' }
    await expectStatus(
      await telling('/auth/v1/user', { method: 'PUT', token: access_token, body }),
      200,
    )
    expect((await signIn(telling, 'ann@example.com', 'a new password')).status).toBe(200)
  })
})

describe('logout', () => {
  const three = async () => [
    await signUp(ask, 'ann@example.com'),
    await json(await signIn(ask, 'ann@example.com')),
    await json(await signIn(ask, 'ann@example.com')),
  ]
  it.each([
    ['', [403, 403, 403]],
    ['?scope=', [403, 403, 403]],
    ['?scope=global', [403, 403, 403]],
    ['?scope=local', [403, 200, 200]],
    ['?scope=others', [200, 403, 403]],
  ])('%j leaves %j', async (scope, statuses) => {
    const sessions = await three()
    const stranger = await signUp(ask, 'bob@example.com')
    const response = await logout(sessions[0].access_token, scope)
    expect(response.status).toBe(204)
    expect(await response.text()).toBe('')
    const seen = await Promise.all(
      sessions.map(async ({ access_token }) => (await getUser(ask, access_token)).status),
    )
    expect(seen).toEqual(statuses)
    const refreshed = await Promise.all(
      sessions.map(async ({ refresh_token }) => (await refresh(ask, refresh_token)).status),
    )
    expect(refreshed).toEqual(statuses.map((status) => (status === 200 ? 200 : 400)))
    expect((await getUser(ask, stranger.access_token)).status).toBe(200)
  })

  it('knows no other scope, and no session that has ended', async () => {
    const [mine, other] = await three()
    for (const scope of ['?scope=all', '?scope=LOCAL', '?scope=__proto__', '?scope=toString'])
      expect((await expectStatus(await logout(mine.access_token, scope), 400)).error_code).toBe(
        'validation_failed',
      )
    expect(await count('sessions')).toBe(3)
    expect((await logout(mine.access_token, '?scope=local')).status).toBe(204)
    // A token that outlived its session ends nobody else's.
    for (const scope of ['?scope=global', '?scope=others', '?scope=local'])
      expect((await expectStatus(await logout(mine.access_token, scope), 403)).error_code).toBe(
        'session_not_found',
      )
    expect((await getUser(ask, other.access_token)).status).toBe(200)
  })
})
