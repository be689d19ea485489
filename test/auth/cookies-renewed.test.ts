import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { auth } from 'leanto/auth'
import { mfa } from 'leanto/auth/mfa'
import { cookies } from 'leanto/auth/parts'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { d1Error, faulty } from '../kit/faulty.ts'
import { asker, clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { withFactor } from './mfa-world.ts'
import {
  type Asker,
  count,
  expectStatus,
  type Json,
  password,
  post,
  rows,
  signUp,
} from './world.ts'

/* Pages that the server makes, for a browser whose access token has ended. */

let fails: (sql: string[]) => boolean | 'after' = () => false
const database = faulty(env.DB as never, (sql) => fails(sql))
const base = makeBase({ db: () => database })
let ask: Asker
const own = { 'sec-fetch-site': 'same-origin' }

/** A host with pages of every kind, all of them behind `renewed`. */
function host() {
  const pages = cookies()
  const users = auth(base, { site, with: [pages, mfa({ enforce: true })] })
  const app = new Hono()
    .use(pages.renewed)
    .route('/auth/v1', users.routes)
    .get('/', users.identify, (c) => c.json({ id: c.var.principal.id }, 200))
    .get('/me', users.signedIn, (c) => c.json({ id: c.var.principal.id }, 200))
    .post('/me', users.signedIn, (c) => c.json({ id: c.var.principal.id }, 200))
    .get('/cached', (c) => c.text('page', 200, { 'cache-control': 'public, max-age=600' }))
    .get('/proxied', () => {
      const response = new Response('from elsewhere')
      // As what `fetch` answers: nobody can set a header of it.
      Object.defineProperty(response.headers, 'append', {
        value: () => {
          throw new TypeError('immutable')
        },
      })
      return response
    })
    .get('/broken', () => {
      throw new Error('a bug of the host')
    })
    .get('/twice', pages.renewed, users.signedIn, (c) => c.json({}, 200))
  app.onError((_, c) => c.text('sorry', 500))
  return { app, users }
}

let app: Hono
beforeEach(async () => {
  fails = () => false
  const made = host()
  await freshDatabase([made.users])
  app = made.app as never
  ask = asker(app)
})

const jarOf = (response: Response): string =>
  response.headers
    .getSetCookie()
    .filter((cookie) => cookie.startsWith('__Host-auth'))
    .map((cookie) => cookie.split(';')[0])
    .join('; ')
const refreshOf = (jar: string) => jar.match(/__Host-auth-refresh=([^;]*)/)?.[1]
const load = (path: string, cookie: string, more: Record<string, string> = {}) =>
  ask(path, { headers: { cookie, ...more } })

/** Someone who is signed in by cookies. */
async function come(): Promise<{ jar: string; id: string }> {
  const { user, access_token } = await signUp(ask, 'ann@example.com')
  const headers = { ...own, prefer: 'session=cookie' }
  const body = { email: 'ann@example.com', password }
  const response = await post(ask, '/token?grant_type=password', body, { headers })
  expect(response.status).toBe(200)
  await post(ask, '/logout?scope=local', undefined, { token: access_token })
  return { jar: jarOf(response), id: user.id }
}
/** What the browser still sends once the access token is over: its cookie ended with it. */
const ended = (jar: string) => `__Host-auth-refresh=${refreshOf(jar)}`

describe('a page for a browser', () => {
  it('with a good token is as it was', async () => {
    const { jar, id } = await come()
    const page = await load('/me', jar)
    expect(await expectStatus(page.clone(), 200)).toEqual({ id })
    expect(jarOf(page)).toBe('')
    const cached = await load('/cached', jar)
    expect(cached.headers.get('cache-control')).toBe('public, max-age=600')
    expect(jarOf(await load('/', ''))).toBe('')
  })

  it.each([
    ['gone', ended],
    ['still sent', (jar: string) => jar],
    ['nonsense', (jar: string) => `__Host-auth-access=nonsense; ${ended(jar)}`],
  ])('whose token is over and %s knows its user, and sets the next cookies', async (_, sent) => {
    const { jar, id } = await come()
    clock.advance(3600)
    const page = await load('/me', sent(jar))
    expect(await expectStatus(page.clone(), 200)).toEqual({ id })
    const set = page.headers.getSetCookie().filter((cookie) => cookie.startsWith('__Host'))
    expect(set).toHaveLength(2)
    for (const cookie of set)
      expect(cookie).toMatch(
        /^__Host-auth-(?:access|refresh)=[\w.-]+; Max-Age=\d+; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      )
    expect(page.headers.get('cache-control')).toBe('no-store')
    expect(refreshOf(jarOf(page))).not.toBe(refreshOf(jar))
    const next = await load('/me', jarOf(page))
    expect([next.status, jarOf(next)]).toEqual([200, ''])
  })

  it('takes one trip to renew, and none where nothing is over', async () => {
    const { jar } = await come()
    const trips = async (cookie: string) => {
      const executionCtx = createExecutionContext()
      const request = new Request(`${site}/me`, { headers: { cookie } })
      const response = await app.fetch(request, env as never, executionCtx as never)
      await waitOnExecutionContext(executionCtx as never)
      expect(response.status).toBe(200)
      return base.scope({ env, executionCtx, req: { raw: request } }).cost.trips
    }
    expect(await trips(jar)).toBe(0)
    clock.advance(200)
    expect(await trips(ended(jar))).toBe(1)
    expect(await trips(ended(jar))).toBe(1)
  })

  it('loaded 20 times at once renews once (case 15)', async () => {
    const { jar, id } = await come()
    clock.advance(3600)
    const all = await Promise.all(Array.from({ length: 20 }, () => load('/me', ended(jar))))
    for (const page of all) expect(await expectStatus(page.clone(), 200)).toEqual({ id })
    expect(new Set(all.map((page) => refreshOf(jarOf(page)))).size).toBe(1)
    expect(await count('sessions')).toBe(1)
    expect(
      await rows(
        'SELECT 1 FROM leanto_auth_refresh_tokens WHERE used_at IS NULL AND session_id IN (SELECT id FROM leanto_auth_sessions)',
      ),
    ).toHaveLength(1)
    // Whichever answer came last: it goes on, and so it does after the next hour.
    clock.advance(3600)
    const later = await load('/me', ended(jarOf(all[7] as Response)))
    expect(later.status).toBe(200)
    // A load that is late by more than the grace ends the session, as a thief's would.
    const late = await load('/me', ended(jar))
    expect(late.status).toBe(401)
    expect(jarOf(late)).toBe('__Host-auth-access=; __Host-auth-refresh=')
    expect(await count('sessions')).toBe(0)
  })

  it('whose session has ended is a guest’s, and keeps no cookie', async () => {
    const { jar } = await come()
    clock.advance(3600)
    await env.DB.prepare('DELETE FROM leanto_auth_sessions').run()
    for (const sent of [ended(jar), jar, '__Host-auth-refresh=nonsense']) {
      const page = await load('/', sent)
      expect(await expectStatus(page.clone(), 200)).toEqual({ id: null })
      expect(jarOf(page)).toBe('__Host-auth-access=; __Host-auth-refresh=')
      expect(page.headers.getSetCookie().join()).toContain('Max-Age=0')
      expect((await load('/me', sent)).status).toBe(401)
    }
  })

  it('while the database fails is an error, and keeps its cookies', async () => {
    const { jar } = await come()
    clock.advance(3600)
    for (const how of [true, 'after'] as const) {
      fails = () => how
      const page = await load('/', ended(jar))
      expect(page.status).toBe(500)
      expect(jarOf(page)).toBe('')
      expect(await page.text()).not.toContain(d1Error.slice(0, 9))
    }
    fails = () => false
    // Committed or not: the next load gets the one successor.
    expect((await load('/me', ended(jar))).status).toBe(200)
    expect(await count('sessions')).toBe(1)
  })

  it('is never cached with a session in it, and loses none by an error of the host', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    const { jar } = await come()
    let last = ended(jar)
    for (const [path, status] of [
      ['/cached', 200],
      ['/proxied', 200],
      ['/broken', 500],
      ['/nowhere', 404],
    ] as const) {
      clock.advance(3600)
      const page = await load(path, last)
      expect([path, page.status]).toEqual([path, status])
      expect(page.headers.get('cache-control')).toBe('no-store')
      last = ended(jarOf(page))
      expect(last).toMatch(/=[\w-]{43}$/)
    }
    expect((await load('/me', last)).status).toBe(200)
  })

  it('waits for a second factor where there is one (case 17)', async () => {
    const session = await signUp(ask, 'ann@example.com')
    await withFactor(ask, session)
    const headers = { ...own, prefer: 'session=cookie' }
    const body = { email: 'ann@example.com', password }
    const pending = await post(ask, '/token?grant_type=password', body, { headers })
    clock.advance(3600)
    const page = await load('/me', ended(jarOf(pending)))
    expect(page.status).toBe(401)
    expect(page.headers.get('www-authenticate')).toContain('insufficient_user_authentication')
    // It is the same session still, which can show one.
    expect(refreshOf(jarOf(page))).toMatch(/^[\w-]{43}$/)
  })
})

describe('what is no page', () => {
  const elsewhere: Record<string, string>[] = [
    {},
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site', origin: site },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
  ]

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
    'a %s from another site renews and does nothing (case 64)',
    async (method) => {
      const { jar } = await come()
      clock.advance(3600)
      const before = await rows('SELECT * FROM leanto_auth_refresh_tokens')
      for (const headers of elsewhere) {
        const response = await ask('/me', { method, headers: { cookie: ended(jar), ...headers } })
        expect(response.status).toBe(403)
        expect((await response.clone().json<Json>()).code).toBe('bad_origin')
        expect(response.headers.get('content-type')).toContain('problem+json')
        expect(jarOf(response)).toBe('')
      }
      expect(await rows('SELECT * FROM leanto_auth_refresh_tokens')).toEqual(before)
    },
  )

  it('a form of the app’s own is answered as any page', async () => {
    const { jar, id } = await come()
    for (const headers of [own, { origin: site }] as Record<string, string>[]) {
      clock.advance(5)
      const sent = { cookie: ended(jar), ...headers }
      const response = await ask('/me', { method: 'POST', headers: sent })
      expect(await expectStatus(response.clone(), 200)).toEqual({ id })
      expect(refreshOf(jarOf(response))).toBeTruthy()
    }
  })

  it('a link from another site leads to the page, by GET', async () => {
    const { jar, id } = await come()
    clock.advance(3600)
    const page = await load('/me', ended(jar), { 'sec-fetch-site': 'cross-site' })
    expect(await expectStatus(page, 200)).toEqual({ id })
  })

  it('a caller with a token in the header is that token’s', async () => {
    const { jar } = await come()
    const { access_token, user } = await signUp(ask, 'bob@example.com')
    const before = await rows('SELECT * FROM leanto_auth_refresh_tokens')
    const response = await ask('/me', { token: access_token, headers: { cookie: ended(jar) } })
    expect(await expectStatus(response.clone(), 200)).toEqual({ id: user.id })
    expect(jarOf(response)).toBe('')
    expect(await rows('SELECT * FROM leanto_auth_refresh_tokens')).toEqual(before)
  })

  it('auth’s own routes behind it have the last word on the cookies', async () => {
    const { jar } = await come()
    clock.advance(3600)
    const headers = { ...own, cookie: ended(jar) }
    const renewed = await ask('/auth/v1/cookie', { method: 'POST', headers })
    expect(renewed.status).toBe(200)
    expect(renewed.headers.getSetCookie().filter((one) => one.startsWith('__Host'))).toHaveLength(2)
    clock.advance(3600)
    const out = await ask('/auth/v1/cookie', {
      method: 'DELETE',
      headers: { ...own, cookie: ended(jarOf(renewed)) },
    })
    expect(out.status).toBe(204)
    expect(jarOf(out)).toBe('__Host-auth-access=; __Host-auth-refresh=')
    expect(await count('sessions')).toBe(0)
  })

  it('mounted twice does it once', async () => {
    const { jar } = await come()
    clock.advance(3600)
    const page = await load('/twice', ended(jar))
    expect(page.status).toBe(200)
    expect(page.headers.getSetCookie().filter((one) => one.startsWith('__Host'))).toHaveLength(2)
    expect(await count('sessions')).toBe(1)
  })

  it('of a part that is in no `with` says so', async () => {
    const lonely = new Hono().use(cookies().renewed).get('/', (c) => c.text('', 200))
    lonely.onError((error, c) => c.text(error.message, 500))
    const response = await asker(lonely)('/')
    expect(await response.text()).toContain('must be listed in the `with`')
  })
})
