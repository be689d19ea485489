import { Hono } from 'hono'
import { mfa } from 'leanto/auth/mfa'
import { cookies } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, clock, freshDatabase, site } from '../kit/world.ts'
import { challenge, codeOf, enroll } from './mfa-world.ts'
import {
  type Asker,
  count,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  password,
  post,
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
