import { sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { Hono } from 'hono'
import { type Fault, handlers, type Module, problem } from 'leanto'
import { type AuthPart, auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { oauthServer } from 'leanto/auth/oauth-server'
import { type DpopOptions, dpop } from 'leanto/auth/oauth-server/dpop'
import { data, expose } from 'leanto/data'
import { service, services } from 'leanto/services'
import { usage } from 'leanto/services/usage'
import { owned, sync } from 'leanto/sync'
import { beforeEach, describe, expect, it } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { type Ask, asker, clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import { type Made, makeProver, type Prover } from './dpop-world.ts'
import { claimsOf, count, makeAuth, mountAuth, rows, signUp } from './world.ts'

/*
 * Where a token that is bound to a key is shown: everything that asks `auth` who calls.
 */

const notes = sqliteTable('notes', { id: text().primaryKey(), text: text().notNull() })
const hostSql = ['CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL)']

/** Binds every token that is made to this key, as the OAuth server does for its clients. */
const bound = (jkt: string): AuthPart => ({ name: 'bound', claims: () => ({ cnf: { jkt } }) })

let client: Prover
let token: string
let ask: ReturnType<typeof asker>
let modules: Module[]

async function mounted(options: DpopOptions | null = {}, host = site) {
  const base = makeBase()
  const parts = (binding: AuthPart[]) => [
    oauthServer({ with: options ? [dpop(options)] : [] }),
    ...binding,
    admin(),
  ]
  const users = auth(base, { site, with: parts([]) })
  const store = data(base, {
    identity: users,
    tables: { notes: expose(notes, { select: () => true, insert: () => true }) },
  })
  const docs = sync(base, { identity: users, databases: { notes: owned() } })
  const proxied = services(base, {
    identity: users,
    parts: [usage()],
    services: {
      weather: service({
        origin: 'https://weather.example',
        allow: [{ method: 'GET', path: '/now' }],
        quota: { user: { requests: { day: 9 } } },
      }),
    },
  })
  modules = [users, store, docs, proxied]
  await freshDatabase(modules, hostSql)
  const app = new Hono()
    .route('/auth/v1', users.routes)
    .route('/rest/v1', store.routes)
    .route('/sync', docs.routes)
    .route('/services', proxied.routes)
    .get('/me', users.signedIn, (c) => c.json({ id: c.var.principal.id }, 200))
    .get('/twice', users.identify, users.signedIn, async (c) => {
      const { id } = await users.principal(base.scope(c as never), c.req.raw)
      return c.json({ same: id === c.var.principal.id }, 200)
    })
    .get('/both', async (c) => {
      const ask = () => users.principal(base.scope(c as never), c.req.raw)
      try {
        const [one, two] = await Promise.all([ask(), ask()])
        return c.json({ same: one.id === two.id }, 200)
      } catch (error) {
        return problem(error as Fault)
      }
    })
    .get('/guest', users.identify, (c) => c.json({ role: c.var.principal.role }, 200))
  ask = asker(app, host)
  client = await makeProver()
  const binding = makeAuth({
    with: parts([bound(client.jkt)]),
    accessToken: { lifetime: 86_400 },
  })
  token = (await signUp(mountAuth(binding), 'ann@example.com')).access_token
  expect(claimsOf(token).cnf).toEqual({ jkt: client.jkt })
  return { base, users, store }
}
beforeEach(async () => {
  await mounted()
})

interface Shown extends Made {
  by?: Prover
  /** In the place of the one that is made. @default as made */
  proof?: string | null
  scheme?: string
  token?: string
  host?: string
}

/** Asks with the token and a proof, of which a test changes what it is about. */
async function show(path: string, asked: Ask = {}, { scheme = 'DPoP', ...shown }: Shown = {}) {
  const { by = client, token: other = token, host = site } = shown
  const method = asked.method ?? (asked.body === undefined ? 'GET' : 'POST')
  const proof =
    shown.proof === undefined ? await by.prove(method, host + path, other, shown) : shown.proof
  return ask(path, {
    ...asked,
    method,
    headers: {
      authorization: `${scheme} ${other}`,
      ...(proof === null ? {} : { dpop: proof }),
      ...asked.headers,
    },
  })
}

const places: readonly (readonly [string, string, number, Ask])[] = [
  ['auth’s own user', '/auth/v1/user', 200, {}],
  ['a change of the user', '/auth/v1/user', 200, { method: 'PUT', body: { data: { a: 1 } } }],
  ['the data API', '/rest/v1/notes?select=*', 200, {}],
  ['a write of the data API', '/rest/v1/notes', 201, { body: { id: '1', text: 'a' } }],
  ['sync', '/sync/notes', 200, {}],
  ['a write of sync', '/sync/notes/a', 201, { method: 'PUT', body: {} }],
  ['services', '/services/usage', 200, {}],
  ['the host’s routes', '/me', 200, {}],
  ['the host’s routes for everyone', '/guest', 200, {}],
]

describe.each(places)('%s', (_, path, status, asked) => {
  it('takes a bound token with a proof of its key', async () => {
    const response = await show(path, asked)
    expect(response.status, await response.clone().text()).toBe(status)
    expect(await count('dpop_proofs')).toBe(1)
  })

  it.each([
    ['as a bearer’s', { scheme: 'Bearer' }],
    ['as a bearer’s, with no proof', { scheme: 'Bearer', proof: null }],
    ['with no proof', { proof: null }],
    ['with a proof for another place', { payload: { htu: 'https://evil.example/' } }],
    ['with a proof for another method', { payload: { htm: 'DELETE' } }],
    ['with a proof for another token', { payload: { ath: 'x' } }],
    ['with a proof of an hour ago', { payload: { iat: 1 } }],
    ['that is changed', { token: `x.${'y'.repeat(20)}.z` }],
  ] as [string, Shown][])('refuses it %s', async (_, shown) => {
    const response = await show(path, asked, shown)
    const text = await response.text()
    // Of a token that does not verify GoTrue’s routes say 403, whatever the scheme.
    const gotrue = shown.token !== undefined && path.startsWith('/auth/')
    expect(response.status, text).toBe(gotrue ? 403 : 401)
    if (shown.token === undefined)
      expect(response.headers.get('www-authenticate')).toMatch(/^DPoP error="/)
    expect(await count('dpop_proofs')).toBe(0)
    expect(await rows('SELECT * FROM notes')).toEqual([])
  })

  it('refuses a proof of another key, and one that was used', async () => {
    const other = await makeProver()
    const theirs = await show(path, asked, { by: other })
    expect(theirs.status).toBe(401)
    expect(theirs.headers.get('www-authenticate')).toContain('invalid_token')
    expect(await count('dpop_proofs')).toBe(0)

    const method = asked.method ?? (asked.body === undefined ? 'GET' : 'POST')
    const proof = await client.prove(method, site + path, token)
    expect((await show(path, asked, { proof })).status).toBe(status)
    const again = await show(path, asked, { proof })
    expect(again.status).toBe(401)
    expect(again.headers.get('www-authenticate')).toContain('error="invalid_dpop_proof"')
  })
})

describe('a proof', () => {
  it('is good once, of 50 at once (case 19)', async () => {
    const proof = await client.prove('GET', `${site}/me`, token)
    const all = await Promise.all(Array.from({ length: 50 }, () => show('/me', {}, { proof })))
    expect(all.filter(({ ok }) => ok)).toHaveLength(1)
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200, 401]))
    expect(await count('dpop_proofs')).toBe(1)
  })

  it('is remembered for as long as it is good, however late it came first', async () => {
    await mounted({ seconds: 300 })
    for (const start of [0, 1, 299, 300, 599]) {
      clock.time = Math.ceil(clock.time / 600_000) * 600_000 + start * 1000
      const now = clock.now() / 1000
      const ahead = { payload: { iat: now + 300, jti: `j${start}` } }
      const proof = await client.prove('GET', `${site}/guest`, token, ahead)
      expect((await show('/guest', {}, { proof })).status).toBe(200)
      for (const seconds of [1, 299, 300]) {
        clock.time = (now + seconds) * 1000
        await modules[0]?.scheduled?.(makeBase().scope({ env: await envOf() }), clock.now())
        expect((await show('/guest', {}, { proof })).status, `${start}+${seconds}`).toBe(401)
      }
      clock.time = now * 1000 + 600_000
      const late = await show('/guest', {}, { proof })
      expect(late.headers.get('www-authenticate'), `${start}+600`).toContain('used before')
    }
  })

  it('leaves nothing behind once it cannot be shown again', async () => {
    for (let i = 0; i < 3; i++) expect((await show('/me')).status).toBe(200)
    clock.advance(600)
    const run = async () => {
      const env = await envOf()
      await handlers(makeBase(), modules).scheduled({ scheduledTime: clock.now() }, env, {
        waitUntil() {},
      })
    }
    await run()
    expect(await count('dpop_proofs')).toBe(3)
    clock.advance(600)
    await run()
    expect(await count('dpop_proofs')).toBe(0)
  })

  it('is good for all that its one request asks, and for no other request', async () => {
    const proof = await client.prove('GET', `${site}/twice`, token)
    expect(await (await show('/twice', {}, { proof })).json()).toEqual({ same: true })
    expect((await show('/twice', {}, { proof })).status).toBe(401)
    expect(await count('dpop_proofs')).toBe(1)
    // Asked twice at once, as well.
    const both = await show('/both')
    expect(await both.json()).toEqual({ same: true })
    const refused = await show('/both', {}, { by: await makeProver() })
    expect(refused.status).toBe(401)
  })

  it('is not shown again by a feed that is held', async () => {
    await show('/sync/notes')
    const path = '/sync/notes/_changes?feed=longpoll&since=now&timeout=1500'
    const held = show(path)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect((await show('/sync/notes/later', { method: 'PUT', body: {} })).status).toBe(201)
    const response = await held
    expect(response.status).toBe(200)
    expect(JSON.stringify(await response.json())).toContain('later')
  })

  it('is stored as a hash', async () => {
    await show('/me', {}, { payload: { jti: 'a-jti-that-is-looked-for' } })
    expect(JSON.stringify(await rows('SELECT * FROM leanto_auth_dpop_proofs'))).not.toContain(
      'a-jti-that-is-looked-for',
    )
  })

  it('is another one where another key has the same jti', async () => {
    const other = await makeProver()
    const payload = { jti: 'same' }
    await show('/me', {}, { by: other, payload })
    expect((await show('/me', {}, { payload })).status).toBe(200)
  })

  it('is for the site, whatever name the request says that it came to', async () => {
    await mounted({}, 'https://other.example')
    expect((await show('/me')).status).toBe(200)
    expect((await show('/me', {}, { host: 'https://other.example' })).status).toBe(401)
    await mounted({ origins: ['https://other.example'] }, 'https://other.example')
    expect((await show('/me', {}, { host: 'https://other.example' })).status).toBe(200)
  })
})

const envOf = async () => (await import('cloudflare:workers')).env

describe('the scheme DPoP', () => {
  it('is written in any case', async () => {
    expect((await show('/me', {}, { scheme: 'dpop' })).status).toBe(200)
  })

  it('takes no token that is bound to no key', async () => {
    const free = (await signUp(ask, 'bob@example.com')).access_token
    expect((await ask('/me', { token: free })).status).toBe(200)
    const response = await show('/me', {}, { token: free })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('bound to no key')
    expect((await show('/me', {}, { token: 'sb_secret_x' })).status).toBe(401)
    expect((await show('/me', {}, { token: '' })).status).toBe(401)
  })

  it('opens nothing of the server’s', async () => {
    expect((await show('/auth/v1/admin/users')).status).toBe(401)
    expect((await show('/auth/v1/admin/users', {}, { scheme: 'Bearer' })).status).toBe(403)
  })

  it('is unknown without the part, and a bound token is nobody’s', async () => {
    await mounted(null)
    for (const scheme of ['DPoP', 'Bearer'])
      for (const path of ['/me', '/guest', '/auth/v1/user', '/rest/v1/notes', '/sync/notes'])
        expect((await show(path, {}, { scheme })).status, `${scheme} ${path}`).toBe(401)
  })
})

describe('with a nonce', () => {
  const nonceOf = async (response: Response) => {
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('error="use_dpop_nonce"')
    return response.headers.get('dpop-nonce') as string
  }

  it.each(['/me', '/auth/v1/user', '/rest/v1/notes', '/sync/notes', '/services/usage'])(
    'a proof has the one that %s has answered',
    async (path) => {
      await mounted({ nonce: true })
      const nonce = await nonceOf(await show(path))
      expect(nonce).toMatch(/^[\w-]{43}$/)
      const payload = { nonce, iat: 1 }
      expect((await show(path, {}, { payload })).status).toBe(200)
      expect((await show(path, {}, { payload })).status).toBe(200)
      expect(await count('dpop_proofs')).toBe(2)
    },
  )

  it('which is good for 150 seconds, and for 300 at most', async () => {
    await mounted({ nonce: true })
    clock.time = Math.ceil(clock.time / 150_000) * 150_000
    const nonce = await nonceOf(await show('/me'))
    for (const seconds of [0, 150, 149]) {
      clock.advance(seconds)
      expect((await show('/me', {}, { payload: { nonce } })).status).toBe(200)
    }
    clock.advance(1)
    expect(await nonceOf(await show('/me', {}, { payload: { nonce } }))).not.toBe(nonce)
  })
})

describe('a request with a bound token', () => {
  it('costs one trip more than a bearer’s, and writes one row', async () => {
    const { base, store, users } = await mounted()
    const headers = async (path: string) => ({
      authorization: `DPoP ${token}`,
      dpop: await client.prove('GET', site + path, token),
    })
    await show('/me')
    const measure = measurer(base, store)
    const costOf = async (ask: Ask) => {
      const { response, cost } = await measure('/notes', ask)
      expect(response.status).toBe(200)
      return [cost.trips, cost.statements, cost.rowsRead, cost.rowsWritten]
    }
    const free = (await signUp(ask, 'bob@example.com')).access_token
    expect(await costOf({ token: free })).toEqual([1, 1, 1, 0])
    expect(await costOf({ headers: await headers('/notes') })).toEqual([2, 2, 3, 1])
    const own = await measurer(base, users)('/user', { headers: await headers('/user') })
    expect(own.cost.trips).toBe(2)
    const refused = await measure('/notes', {
      headers: { authorization: `DPoP ${token}`, dpop: 'a.b.c' },
    })
    expect([refused.response.status, refused.cost.trips]).toEqual([401, 0])
  })
})

it('lets pages of other origins read what they have to do', async () => {
  const origin = 'https://other.example'
  const base = makeBase({ origins: [origin] })
  const users = auth(base, { site, with: [oauthServer({ with: [dpop({ nonce: true })] })] })
  await freshDatabase([users])
  const response = await mountAuth(users)('/auth/v1/oauth/token', {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      origin,
      dpop: await client.prove('POST', `${site}/auth/v1/oauth/token`),
    },
    body: 'grant_type=refresh_token',
  })
  expect(response.headers.get('dpop-nonce')).toMatch(/^[\w-]{43}$/)
  const exposed = response.headers.get('access-control-expose-headers')?.split(', ')
  expect(exposed).toEqual(expect.arrayContaining(['dpop-nonce', 'www-authenticate']))
})

it('refuses options that are wrong, by name', () => {
  for (const [option, options] of [
    ['seconds', { seconds: 0 }],
    ['seconds', { seconds: 301 }],
    ['seconds', { seconds: 1.5 }],
    ['nonce', { nonce: 'yes' }],
    ['origins', { origins: 'https://app.example' }],
    ['origins', { origins: ['https://app.example/'] }],
    ['origins', { origins: ['app.example'] }],
  ] as const)
    expect(() => dpop(options as never)).toThrow(`\`${option}\``)
})
