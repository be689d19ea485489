import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AuthClient, type Session } from '@supabase/supabase-js'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { mfaMigrations } from '../../src/auth/mfa/migrations.ts'
import { trustMigrations } from '../../src/auth/parts/migrations.ts'
import { type App, local, startApp } from './oauth-app.ts'
import { startOldProject, type Trouble } from './old-project.ts'

/*
 * A move to leanto while the old project still answers: its clients come with the refresh tokens that they have, and none of
 * their users signs in anew. The old project is a real server.
 */

const secret = 'the-jwt-secret-of-the-project-that-is-left'
const key = 'the-anon-key'
const ann = '5b1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a10'
const token = 'abc123def456'

let old: Awaited<ReturnType<typeof startOldProject>>
let app: App

beforeAll(async () => {
  old = await startOldProject(secret, key)
  app = await startApp('moved-sessions', {
    providers: '',
    migrations: [...mfaMigrations, ...trustMigrations],
    options: `with: [mfa({ enforce: true }), trust([{ issuer: '${old.url}', secret: '${secret}', upstream: { url: '${old.url}/', key: '${key}' } }])]`,
    routes: `import { mfa } from 'leanto/auth/mfa'
import { trust } from 'leanto/auth/parts'
app.get('/me', users.signedIn, (c) => c.json({ id: c.var.principal.id }, 200))
app.post('/sql', async (c) => c.json(await c.env.DB.prepare(await c.req.text()).all(), 200))`,
  })
})
afterAll(async () => {
  await app?.stop()
  old?.stop()
})
const sql = (text: string) => app.fetch(`${local}/sql`, { method: 'POST', body: text })
beforeEach(async () => {
  old.clear()
  await app.empty()
  for (const table of ['auth_endings', 'auth_factors', 'core_limits'])
    await sql(`DELETE FROM leanto_${table}`)
  await sql(`INSERT INTO leanto_auth_users (id, email, email_confirmed_at, app_metadata, user_metadata, created_at, updated_at)
    VALUES ('${ann}', 'ann@example.com', 1, '{}', '{}', 1, 1)`)
})

const post = (path: string, body: object, headers: Record<string, string> = {}) =>
  app.fetch(`${local}/auth/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
const refresh = (refresh_token: string) =>
  post('/token?grant_type=refresh_token', { refresh_token })
// biome-ignore lint/suspicious/noExplicitAny: a test looks at what came, whatever it is.
const told = async (response: Response, status: number): Promise<any> => {
  const text = await response.text()
  expect(response.status, text).toBe(status)
  return JSON.parse(text)
}
const errorOf = async (response: Response, status: number) =>
  (await told(response, status)).error_code
const claimsOf = (accessToken: string) =>
  JSON.parse(atob((accessToken.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')))
const sessions = () => app.rows('SELECT * FROM leanto_auth_sessions')

describe('a refresh token of the old project', () => {
  it('is exchanged there once, and goes on here', async () => {
    const session = old.signedIn(token, ann)
    const first = await told(await refresh(token), 200)
    expect(first.user.email).toBe('ann@example.com')
    expect(claimsOf(first.access_token)).toMatchObject({
      iss: `${local}/auth/v1`,
      sub: ann,
      aal: 'aal1',
      amr: [{ method: 'password' }],
    })
    expect(claimsOf(first.access_token).session_id).not.toBe(session)
    expect(old.asked).toEqual([
      {
        url: 'POST /auth/v1/token?grant_type=refresh_token',
        key,
        body: JSON.stringify({ refresh_token: token }),
      },
    ])
    // From here on the old project is asked nothing.
    old.fail((response) => response.destroy())
    const next = await told(await refresh(first.refresh_token), 200)
    expect((await refresh(next.refresh_token)).status).toBe(200)
    expect(old.asked).toHaveLength(1)
    const stored = JSON.stringify([
      await app.rows('SELECT * FROM leanto_auth_refresh_tokens'),
      await sessions(),
    ])
    expect(stored).not.toContain(token)
    expect(stored).not.toContain('next0')
  })

  it('brings a second factor along', async () => {
    old.signedIn(token, ann, { aal: 'aal2', amr: [{ method: 'totp', timestamp: 1_700_000_000 }] })
    const { access_token } = await told(await refresh(token), 200)
    expect(claimsOf(access_token)).toMatchObject({ aal: 'aal2', amr: [{ method: 'totp' }] })
  })

  it('and none that it has not, where one is asked for', async () => {
    await sql(`INSERT INTO leanto_auth_factors (id, user_id, type, name, status, created_at, updated_at)
      VALUES ('f', '${ann}', 'totp', '', 'verified', 1, 1)`)
    old.signedIn(token, ann)
    const { access_token } = await told(await refresh(token), 200)
    const me = (of: string) =>
      app.fetch(`${local}/me`, { headers: { authorization: `Bearer ${of}` } })
    expect((await me(access_token)).status).toBe(401)
    const theirs = await old.sign({ sub: ann, session: crypto.randomUUID(), claims: {} })
    expect((await me(theirs)).status).toBe(401)
  })

  it.each([2, 50])('of %i parallel calls makes one session', async (n) => {
    old.signedIn(token, ann)
    const all = await Promise.all(Array.from({ length: n }, () => refresh(token)))
    const bodies = await Promise.all(all.map((response) => told(response, 200)))
    expect(new Set(bodies.map(({ refresh_token }) => refresh_token)).size).toBe(1)
    expect(new Set(bodies.map(({ access_token }) => claimsOf(access_token).session_id)).size).toBe(
      1,
    )
    expect(await sessions()).toHaveLength(1)
  })

  it('makes one as well where the old project answers only the first', async () => {
    old.signedIn(token, ann)
    old.beStrict(true)
    const bodies = await Promise.all(
      [refresh(token), refresh(token), refresh(token)].map(async (one) => told(await one, 200)),
    )
    expect(new Set(bodies.map(({ refresh_token }) => refresh_token)).size).toBe(1)
    expect(await sessions()).toHaveLength(1)
  })

  it('that it refuses is not found, and stores nothing', async () => {
    expect(await errorOf(await refresh(token), 400)).toBe('refresh_token_not_found')
    expect(old.asked).toHaveLength(1)
    expect(await sessions()).toEqual([])
  })

  it('is not sent there if it is one of ours, or none', async () => {
    for (const shown of ['A'.repeat(43), 'short', 'x'.repeat(600), 'with space 12', '{"a":1}'])
      expect(await errorOf(await refresh(shown), 400)).toBe('refresh_token_not_found')
    expect(old.asked).toEqual([])
  })

  it.each<[string, () => Promise<unknown>, string, string]>([
    ['are not here', () => sql('DELETE FROM leanto_auth_users'), 'refresh_token_not_found', ''],
    [
      'are deleted',
      () => sql('UPDATE leanto_auth_users SET deleted_at = 1'),
      'refresh_token_not_found',
      '',
    ],
    [
      'are banned',
      () => sql('UPDATE leanto_auth_users SET banned_until = 9e15'),
      'user_banned',
      '',
    ],
    [
      'have signed out here since',
      () => sql(`INSERT INTO leanto_auth_endings VALUES ('${ann}', '', ${Date.now()}, NULL)`),
      'refresh_token_not_found',
      '',
    ],
  ])('is refused if its user and they %s', async (_, prepare, error) => {
    old.signedIn(token, ann)
    await prepare()
    expect(await errorOf(await refresh(token), 400)).toBe(error)
    expect(await app.rows('SELECT id FROM leanto_auth_sessions WHERE aal IS NULL')).toEqual([])
  })

  it.each<[string, object]>([
    ['of another issuer', { iss: 'https://evil.example/auth/v1' }],
    ['for others', { aud: 'others' }],
    ['that is over', { exp: 1 }],
    ['of no user', { sub: 'service_role' }],
    ['of another role', { role: 'service_role' }],
  ])('is refused if the answer is a token %s', async (_, claims) => {
    old.signedIn(token, ann, claims)
    // It is the host's key or issuer that is wrong: nobody is signed out by that.
    expect(await errorOf(await refresh(token), 503)).toBe('upstream_unavailable')
    expect(await sessions()).toEqual([])
  })
})

describe('made-up tokens', () => {
  it('are asked about as often as passwords are tried, from one network, and sign nobody out', async () => {
    let asked = 0
    const far = await startApp('moved-sessions-far', {
      site: 'https://app.example',
      providers: '',
      migrations: trustMigrations,
      options: `with: [trust([{ issuer: 'https://old.example/auth/v1', secret: '${secret}', upstream: { url: 'https://old.example/auth/v1', key: '${key}' } }])]`,
      routes: `import { trust } from 'leanto/auth/parts'`,
      outbound: async (request) => {
        asked += 1
        expect(request.url).toBe('https://old.example/auth/v1/token?grant_type=refresh_token')
        return new Response('{"error_code":"refresh_token_not_found"}', { status: 400 })
      },
    })
    try {
      const guess = (i: number, network: string) =>
        far.fetch('https://app.example/auth/v1/token?grant_type=refresh_token', {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'cf-connecting-ip': network },
          body: JSON.stringify({ refresh_token: `guess${String(i).padStart(7, '0')}` }),
        })
      const all = await Promise.all(Array.from({ length: 40 }, (_, i) => guess(i, '192.0.2.1')))
      expect(all.filter(({ status }) => status === 400)).toHaveLength(30)
      const late = all.filter(({ status }) => status !== 400)
      expect(late.map(({ status }) => status)).toEqual(Array(10).fill(503))
      expect(Number(late[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(asked).toBe(30)
      expect((await guess(99, '192.0.2.2')).status).toBe(400)
    } finally {
      await far.stop()
    }
  })
})

describe('an old project in trouble leaves its clients their sessions', () => {
  const ends =
    (status: number, body = '{}', headers: Record<string, string> = {}): Trouble =>
    (response) => {
      response.writeHead(status, headers)
      response.end(body)
    }

  it.each<[string, Trouble]>([
    ['hangs up', (response) => response.destroy()],
    ['answers 500', ends(500)],
    ['answers 502', ends(502, '<html>Bad gateway')],
    ['is paused', ends(540)],
    ['has had enough', ends(429)],
    ['does not know our key', ends(401, '{"message":"Invalid API key"}')],
    ['forbids it', ends(403)],
    ['is not there', ends(404)],
    ['answers no JSON', ends(200, '<html>Welcome')],
    ['answers no token', ends(200, '{"access_token":null}')],
    ['answers a list', ends(200, '[]')],
    ['answers too much', ends(200, JSON.stringify({ access_token: 'x'.repeat(300_000) }))],
  ])('when it %s: 503, by which they try again', async (_, trouble) => {
    old.signedIn(token, ann)
    old.fail(trouble)
    const body = await told(await refresh(token), 503)
    expect(body.error_code).toBe('upstream_unavailable')
    expect(JSON.stringify(body)).not.toContain(token)
    expect(JSON.stringify(body)).not.toContain('127.0.0.1')
    expect(await sessions()).toEqual([])
    old.fail(undefined)
    await told(await refresh(token), 200)
  })

  it('when it says to go elsewhere, which nobody does (case 61)', async () => {
    const visits: string[] = []
    const elsewhere = createServer((request, response) => {
      visits.push(String(request.url))
      response.end('{}')
    })
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
    const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`
    try {
      for (const status of [301, 302, 303, 307, 308]) {
        old.fail(ends(status, '', { location }))
        expect(await errorOf(await refresh(token), 503)).toBe('upstream_unavailable')
      }
      expect(visits).toEqual([])
    } finally {
      elsewhere.close()
    }
  })

  it('when it takes too long: 504', async () => {
    old.signedIn(token, ann)
    old.fail(() => {})
    expect(await errorOf(await refresh(token), 504)).toBe('upstream_unavailable')
  })
})

describe('the stock client', () => {
  const storageKey = 'sb-old-auth-token'
  /** A client as the old app has left it: signed in, its access token about to end. */
  async function client(
    seconds: number,
    autoRefreshToken: boolean,
    store = new Map<string, string>(),
  ) {
    const session = crypto.randomUUID()
    const accessToken = await old.sign({
      sub: ann,
      session,
      claims: { exp: Math.floor(Date.now() / 1000) + seconds },
    })
    const user = { id: ann, aud: 'authenticated', app_metadata: {}, user_metadata: {} }
    if (store.size === 0)
      store.set(
        storageKey,
        JSON.stringify({
          access_token: accessToken,
          refresh_token: token,
          token_type: 'bearer',
          expires_in: seconds,
          expires_at: Math.floor(Date.now() / 1000) + seconds,
          user,
        }),
      )
    const auth = new AuthClient({
      url: `${local}/auth/v1`,
      headers: { apikey: 'none' },
      storageKey,
      autoRefreshToken,
      persistSession: true,
      storage: {
        getItem: (name) => store.get(name) ?? null,
        setItem: (name, value) => void store.set(name, value),
        removeItem: (name) => void store.delete(name),
      },
      fetch: (input, init) => {
        const headers = new Headers(init?.headers)
        headers.delete('apikey')
        const request = { method: init?.method ?? 'GET', body: init?.body ?? null }
        return app.fetch(String(input), {
          ...request,
          headers: Object.fromEntries(headers),
        } as RequestInit)
      },
    })
    const events: string[] = []
    auth.onAuthStateChange((event) => void events.push(event))
    const kept = (): Session | undefined => {
      const text = store.get(storageKey)
      return text ? JSON.parse(text) : undefined
    }
    return { auth, events, kept, store }
  }

  it('refreshes by itself, and is signed in here without anyone’s doing', async () => {
    old.signedIn(token, ann)
    const { auth, events, kept } = await client(30, true)
    await auth.startAutoRefresh()
    try {
      await vi.waitFor(() => expect(events).toContain('TOKEN_REFRESHED'), 10_000)
      expect(events).not.toContain('SIGNED_OUT')
      expect(kept()?.refresh_token).toMatch(/^[\w-]{43}$/)
      expect(claimsOf(kept()?.access_token ?? '').iss).toBe(`${local}/auth/v1`)
      const { data, error } = await auth.getUser()
      expect([error, data.user?.email]).toEqual([null, 'ann@example.com'])
      expect((await auth.refreshSession()).error).toBeNull()
      expect(old.asked).toHaveLength(1)
    } finally {
      await auth.stopAutoRefresh()
    }
  })

  it('works with the token that it has until then', async () => {
    const { auth, kept } = await client(3600, false)
    const { data, error } = await auth.getUser()
    expect([error, data.user?.id]).toEqual([null, ann])
    expect((await auth.updateUser({ data: { name: 'Ann' } })).error).toBeNull()
    expect(kept()?.refresh_token).toBe(token)
    expect((await auth.signOut()).error).toBeNull()
    expect(kept()).toBeUndefined()
    expect(old.asked).toEqual([])
  })

  it('keeps its session while the old project is down, and goes on when it is back', async () => {
    old.signedIn(token, ann)
    old.fail((response) => {
      response.writeHead(503)
      response.end()
    })
    // Over already: nothing but the refresh token is left.
    const { auth, events, kept, store } = await client(-10, false)
    const failed = await auth.refreshSession()
    expect(failed.error?.status).toBe(503)
    expect(kept()?.refresh_token).toBe(token)
    expect(events).not.toContain('SIGNED_OUT')
    old.fail(undefined)
    // The next load of the page.
    const later = await client(-10, false, store)
    expect((await later.auth.getUser()).data.user?.id).toBe(ann)
    expect(kept()?.refresh_token).toMatch(/^[\w-]{43}$/)
  }, 60_000)

  it('is signed out where its session has ended', async () => {
    const { auth, kept } = await client(-10, false)
    const { error } = await auth.refreshSession()
    expect(error?.code).toBe('refresh_token_not_found')
    expect(kept()).toBeUndefined()
  })
})
