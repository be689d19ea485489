import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { type BindOptions, faults, problem, type Route, routesOf } from 'leanto'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { asker, type Env, freshDatabase, makeBase, site } from '../kit/world.ts'

const table = faults({ teapot: [418, 'I am a teapot'] })

const routes: Route[] = [
  [
    'GET',
    '/read',
    async (scope) => Response.json((await scope.replica.prepare('SELECT 1 AS one').all()).results),
  ],
  [
    'POST',
    '/write',
    async (scope) => Response.json((await scope.db.prepare('SELECT 1 AS one').all()).results),
  ],
  [
    'GET',
    '/fault',
    () => {
      throw table.teapot({ details: 'short and stout', cause: new Error('SELECT secret') })
    },
  ],
  [
    'GET',
    '/bug',
    () => {
      throw new Error('SELECT secret FROM leanto_auth_users')
    },
  ],
  [
    'GET',
    '/cached',
    () => new Response('', { headers: { 'cache-control': 'public, max-age=60' } }),
  ],
]

const app = (options: Partial<BindOptions<Env>> = {}, origin = site) => {
  const made = routesOf(
    { base: makeBase(options), render: problem, bug: () => new Response('bug', { status: 500 }) },
    routes,
  )
  return asker(new Hono().route('/m', made.routes), origin)
}

beforeEach(() => freshDatabase([]))

describe('a module’s answers', () => {
  it('are not stored and not sniffed, unless the handler says otherwise (case 66)', async () => {
    const response = await app()('/m/read')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect((await app()('/m/cached')).headers.get('cache-control')).toBe('public, max-age=60')
  })

  it('show a fault in the module’s words and nothing of its cause', async () => {
    const response = await app()('/m/fault')
    expect(response.status).toBe(418)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    const body = await response.text()
    expect(JSON.parse(body)).toEqual({
      type: 'urn:leanto:fault:teapot',
      title: 'I am a teapot',
      status: 418,
      code: 'teapot',
      details: 'short and stout',
    })
    expect(body).not.toContain('SELECT')
  })

  it('show a bug as a bare 500 and log it', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const response = await app()('/m/bug')
    expect(response.status).toBe(500)
    expect(await response.text()).toBe('bug')
    expect(String(log.mock.calls[0]?.[1])).toContain('SELECT secret')
    log.mockRestore()
  })

  it('tell the cost in local development only', async () => {
    expect((await app()('/m/read')).headers.get('server-timing')).toBeNull()
    const local = await app({}, 'http://localhost:8787')('/m/read')
    expect(local.headers.get('server-timing')).toContain('d1;desc="1 trips, 1 statements"')
  })

  it('leave paths that are not theirs to the host', async () => {
    const response = await app()('/m/other')
    expect(response.status).toBe(404)
    expect(response.headers.get('x-content-type-options')).toBeNull()
  })
})

describe('D1 bookmarks', () => {
  const shape = /^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$/

  /** Notes with what each session was started. */
  const spying = () => {
    const started: string[] = []
    const db = (e: Env) => ({
      ...e.DB,
      withSession(constraint: string) {
        started.push(constraint)
        return e.DB.withSession(constraint)
      },
    })
    return { started, ask: app({ db: db as never }) }
  }

  it('go out with every answer that queried, and come back in as header or cookie', async () => {
    const { started, ask } = spying()
    const first = await ask('/m/write', { method: 'POST' })
    const bookmark = first.headers.get('x-d1-bookmark') ?? ''
    expect(bookmark).toMatch(shape)
    await ask('/m/read', { headers: { 'x-d1-bookmark': bookmark } })
    await ask('/m/read', { headers: { cookie: `a=b; d1-bookmark=${bookmark}; c=d` } })
    await ask('/m/read')
    expect(started).toEqual(['first-primary', bookmark, bookmark, 'first-unconstrained'])
  })

  it('are ignored where they are none', async () => {
    const { started, ask } = spying()
    for (const bad of ['first-primary', "'; DROP TABLE x", '', '0'.repeat(59)])
      await ask('/m/read', { headers: { 'x-d1-bookmark': bad } })
    expect(new Set(started)).toEqual(new Set(['first-unconstrained']))
  })

  it('are kept for pages in a cookie that scripts and other sites do not see', async () => {
    const ask = app()
    const page = await ask('/m/write', { method: 'POST', headers: { origin: site } })
    expect(page.headers.get('set-cookie')).toMatch(
      /^d1-bookmark=[0-9a-f-]{59}; Path=\/; Max-Age=60; HttpOnly; SameSite=Lax; Secure$/,
    )
    expect(
      (await ask('/m/read', { headers: { origin: site } })).headers.get('set-cookie'),
    ).toBeNull()
    expect((await ask('/m/write', { method: 'POST' })).headers.get('set-cookie')).toBeNull()
  })
})

describe('CORS (case 65)', () => {
  const friend = 'https://friend.example'
  const preflight = {
    method: 'OPTIONS',
    headers: {
      origin: friend,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, prefer',
    },
  }

  it('is off by default', async () => {
    const ask = app()
    expect((await ask('/m/write', preflight)).status).toBe(404)
    const response = await ask('/m/read', { headers: { origin: friend } })
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })

  it('answers listed origins alone, and varies by them', async () => {
    const ask = app({ origins: [friend] })
    const allowed = await ask('/m/write', preflight)
    expect(allowed.status).toBe(204)
    expect(allowed.headers.get('access-control-allow-origin')).toBe(friend)
    expect(allowed.headers.get('access-control-allow-methods')).toContain('POST')
    expect(allowed.headers.get('access-control-allow-headers')).toBe('authorization, prefer')
    expect(allowed.headers.get('vary')).toContain('Origin')
    for (const origin of [
      'https://foe.example',
      'https://friend.example.foe.example',
      'null',
      'http://friend.example',
    ]) {
      const refused = await ask('/m/read', { headers: { origin } })
      expect(refused.headers.get('access-control-allow-origin')).toBeNull()
      expect(refused.headers.get('vary')).toContain('Origin')
    }
  })

  it('never allows credentials, with a wildcard or without', async () => {
    for (const origins of ['*', [friend]] as const)
      for (const asked of [preflight, { headers: { origin: friend } }]) {
        const response = await app({ origins })('/m/read', asked)
        expect(response.headers.get('access-control-allow-origin')).toBe(
          origins === '*' ? '*' : friend,
        )
        expect(response.headers.get('access-control-allow-credentials')).toBeNull()
      }
  })

  it('lets pages read what the protocols put into headers', async () => {
    const response = await app({ origins: '*' })('/m/read', { headers: { origin: friend } })
    expect(response.headers.get('access-control-expose-headers')).toContain('content-range')
  })
})

it('does not work without a database in the environment, and says so in the log only', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const response = await app({ db: () => (env as unknown as { NONE: never }).NONE })('/m/read')
  expect(response.status).toBe(500)
  expect(await response.text()).toBe('bug')
  log.mockRestore()
})
