import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { bind, faults, handlers, type Module, migrate, type Principal, validate } from 'leanto'
import * as v from 'valibot'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { isStorable, readJson, readText } from '../../src/core/body.ts'
import { guards } from '../../src/core/guard.ts'
import { identity } from '../../src/core/identity.ts'
import { asker, freshDatabase, makeBase, testSecret } from '../kit/world.ts'

describe('bind', () => {
  it.each([
    [{}, '`db`'],
    [{ db: () => {} }, '`kv`'],
    [{ db: () => {}, kv: () => {}, secret: testSecret }, '`secret`'],
    [
      { db: () => {}, kv: () => {}, secret: () => '', origins: ['https://a.example/'] },
      '`origins`',
    ],
    [{ db: () => {}, kv: () => {}, secret: () => '', origins: ['a.example'] }, '`origins`'],
  ])('refuses wrong options when it is built: %j', (options, named) => {
    expect(() => bind(options as never)).toThrow(TypeError)
    expect(() => bind(options as never)).toThrow(named)
  })

  it('makes one scope a request, and reads nothing until it is asked', () => {
    const db = vi.fn(() => env.DB)
    const base = makeBase({ db: db as never })
    const source = { env, req: { raw: new Request('https://app.example') } }
    const another = { ...source, req: { raw: new Request('https://app.example') } }
    // Compared by hand: an assertion that prints a scope would open its database.
    const scope = base.scope(source)
    expect(scope === base.scope(source)).toBe(true)
    expect(base.scope(source) === base.scope(another)).toBe(false)
    expect(db).not.toHaveBeenCalled()
  })

  it.each([
    ['http://localhost:8787', true],
    ['http://127.0.0.1', true],
    ['http://[::1]:80', true],
    ['http://notes.localhost', true],
    ['https://localhost.example', false],
    ['https://127.0.0.1.example', false],
    ['https://app.example', false],
  ])('takes %s for local: %s', (url, local) => {
    expect(makeBase().scope({ env, req: { raw: new Request(url) } }).local).toBe(local)
  })

  it('logs work that fails after the response', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const executionCtx = createExecutionContext()
    makeBase()
      .scope({ env, executionCtx })
      .waitUntil(Promise.reject(new Error('late')))
    await waitOnExecutionContext(executionCtx)
    expect(String(log.mock.calls[0]?.[1])).toContain('late')
    log.mockRestore()
  })
})

describe('cost', () => {
  beforeEach(() => freshDatabase([]))

  it('counts trips, statements and rows of every kind of query', async () => {
    const { db, cost } = makeBase().scope({ env })
    await db.prepare('CREATE TABLE t (a)').run()
    const made = { ...cost }
    expect(made).toMatchObject({ trips: 1, statements: 1 })
    await db.batch([
      db.prepare('INSERT INTO t VALUES (?)').bind(1),
      db.prepare('INSERT INTO t VALUES (?)').bind(2),
    ])
    expect(cost.trips - made.trips).toBe(1)
    expect(cost.statements - made.statements).toBe(2)
    expect(cost.rowsWritten - made.rowsWritten).toBe(2)
    const written = { ...cost }
    expect(await db.prepare('SELECT a FROM t ORDER BY a').first()).toEqual({ a: 1 })
    expect(await db.prepare('SELECT a FROM t').raw()).toEqual([[1], [2]])
    expect(await db.prepare('SELECT a FROM t WHERE a = ?').bind(3).first()).toBeNull()
    expect(cost.trips - written.trips).toBe(3)
    expect(cost.rowsRead - written.rowsRead).toBeGreaterThanOrEqual(4)
  })
})

describe('migrate', () => {
  const first = { id: '0001_a', sql: ['CREATE TABLE IF NOT EXISTS leanto_x_a (a)'] }
  const second = { id: '0002_b', sql: ['CREATE TABLE IF NOT EXISTS leanto_x_b (b)'] }
  beforeEach(() => freshDatabase([]))

  it('applies what is pending, once', async () => {
    expect(await migrate(env.DB as never, [{ name: 'x', migrations: [first] }])).toEqual([
      'x/0001_a',
    ])
    expect(await migrate(env.DB as never, [{ name: 'x', migrations: [first, second] }])).toEqual([
      'x/0002_b',
    ])
    expect(await migrate(env.DB as never, [{ name: 'x', migrations: [first, second] }])).toEqual([])
  })

  it('refuses a migration that was changed after it had been applied', async () => {
    await migrate(env.DB as never, [{ name: 'x', migrations: [first] }])
    const changed = { ...first, sql: ['CREATE TABLE IF NOT EXISTS leanto_x_a (a, b)'] }
    await expect(migrate(env.DB as never, [{ name: 'x', migrations: [changed] }])).rejects.toThrow(
      'x/0001_a was changed',
    )
  })

  it('leaves nothing of a migration that fails', async () => {
    const broken = {
      id: '0002_b',
      sql: ['CREATE TABLE leanto_x_b (b)', 'CREATE TABLE leanto_x_b (b)'],
    }
    await expect(
      migrate(env.DB as never, [{ name: 'x', migrations: [first, broken] }]),
    ).rejects.toThrow()
    const { results } = await env.DB.prepare(
      `SELECT name FROM sqlite_master WHERE name LIKE 'leanto_x_%'`,
    ).all()
    expect(results).toEqual([{ name: 'leanto_x_a' }])
    expect(await migrate(env.DB as never, [{ name: 'x', migrations: [first, second] }])).toEqual([
      'x/0002_b',
    ])
  })
})

describe('validate', () => {
  const schema = v.object({ name: v.string(), tags: v.array(v.pipe(v.string(), v.minLength(2))) })

  it('gives what the schema makes of the value', async () => {
    expect(await validate(schema, { name: 'a', tags: ['bb'], more: 1 })).toEqual({
      name: 'a',
      tags: ['bb'],
    })
  })

  it('refuses with 400, the first field by name and all of them in the details', async () => {
    const refused = await validate(schema, { name: 1, tags: ['ok', 'x'] }).catch((fault) => fault)
    expect(refused).toMatchObject({ code: 'bad_request', status: 400 })
    expect(refused.message).toMatch(/^name: /)
    expect(refused.details.map(({ path }: { path: string }) => path)).toEqual(['name', 'tags.1'])
  })
})

describe('bodies (case 67)', () => {
  const post = (body: BodyInit, headers: Record<string, string> = {}) =>
    new Request('https://app.example', {
      method: 'POST',
      body,
      headers,
      duplex: 'half',
    } as RequestInit)
  const endless = () => {
    let chunks = 0
    return new ReadableStream<Uint8Array>({
      pull(controller) {
        chunks++
        if (chunks > 1000) controller.close()
        else controller.enqueue(new Uint8Array(1024))
      },
    })
  }

  it('are cut at the limit, whatever Content-Length claims or leaves out', async () => {
    await expect(readText(post('x'.repeat(11)), 10)).rejects.toMatchObject({ status: 413 })
    await expect(readText(post(endless()), 10_000)).rejects.toMatchObject({ status: 413 })
    await expect(readText(post('xx', { 'content-length': '99999999' }), 10)).rejects.toMatchObject({
      status: 413,
    })
    expect(await readText(post('x'.repeat(10)), 10)).toBe('x'.repeat(10))
    expect(await readText(new Request('https://app.example'), 10)).toBe('')
  })

  it('must be UTF-8 and JSON', async () => {
    await expect(readText(post(new Uint8Array([0xff, 0xfe])))).rejects.toMatchObject({
      status: 400,
    })
    for (const text of ['', '{', '{"a":}', 'undefined', '[1,]'])
      await expect(
        readJson(post(text, { 'content-type': 'application/json' })),
      ).rejects.toMatchObject({ code: 'bad_json' })
    await expect(readJson(post('{}', { 'content-type': 'text/plain' }))).rejects.toMatchObject({
      status: 415,
    })
    expect(
      await readJson(
        post('{"__proto__":1}', { 'content-type': 'application/json; charset=utf-8' }),
      ),
    ).toEqual(JSON.parse('{"__proto__":1}'))
  })

  it('hold text that can be stored', () => {
    expect(isStorable('a😀')).toBe(true)
    expect(isStorable('a\0')).toBe(false)
    expect(isStorable('\ud83d')).toBe(false)
  })
})

describe('handlers', () => {
  const module = (name: string, more: Partial<Module>): Module => ({
    name,
    routes: new Hono(),
    table: [],
    faults: faults({}),
    migrations: [],
    ...more,
  })

  it('runs every module’s upkeep, also after one has failed, and then fails as a whole', async () => {
    const ran: string[] = []
    const { scheduled } = handlers(makeBase(), [
      module('a', {
        scheduled: async () => {
          throw new Error('a broke')
        },
      }),
      module('b', {
        scheduled: async (_scope, at) => {
          ran.push(`b ${at}`)
        },
      }),
      module('c', {}),
    ])
    await expect(scheduled({ scheduledTime: 5 }, env, createExecutionContext())).rejects.toThrow(
      'scheduled work failed',
    )
    expect(ran).toEqual(['b 5'])
  })

  it('gives a queue’s batch to the module whose it is', async () => {
    const took: string[] = []
    const taker = (name: string) =>
      module(name, {
        queue: async (_scope, batch) => batch.queue === name && Boolean(took.push(name)),
      })
    const { queue } = handlers(makeBase(), [taker('a'), taker('b')])
    await queue({ queue: 'b', messages: [] }, env, createExecutionContext())
    expect(took).toEqual(['b'])
    await expect(
      queue({ queue: 'c', messages: [] }, env, createExecutionContext()),
    ).rejects.toThrow('no module takes')
  })

  it('refuses a module that is listed twice', () => {
    expect(() => handlers(makeBase(), [module('a', {}), module('a', {})])).toThrow(TypeError)
  })
})

describe('an identity', () => {
  const people = identity(
    async (_scope, token): Promise<Principal> => ({ id: token, role: 'authenticated', claims: {} }),
  )
  const { signedIn, identify } = guards(makeBase(), people)
  const app = new Hono()
    .get('/in', signedIn, (c) => c.json(c.var.principal, 200))
    .get('/any', identify, (c) => c.json(c.var.principal, 200))
  const ask = asker(app)

  it('lets the signed-in in and says who it is', async () => {
    expect(await (await ask('/in', { token: 'alice' })).json()).toMatchObject({
      id: 'alice',
      role: 'authenticated',
    })
    expect(await (await ask('/in', { key: 'secret' })).json()).toMatchObject({
      id: null,
      role: 'service',
    })
    expect(await (await ask('/any')).json()).toMatchObject({ id: null, role: 'anon' })
  })

  it('keeps a guest out, with or without the publishable key, and never by a cookie (case 64)', async () => {
    for (const asked of [
      {},
      { key: 'publishable' as const },
      { headers: { cookie: 'sb-access-token=alice; token=alice' } },
    ]) {
      const response = await ask('/in', asked)
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      expect(response.headers.get('content-type')).toBe('application/problem+json')
    }
  })

  it('refuses keys that are none', async () => {
    for (const headers of [
      { apikey: 'sb_secret_no' },
      { apikey: '' },
      { authorization: 'Bearer sb_secret_no' },
    ] as Record<string, string>[])
      expect((await ask('/any', { headers })).status).toBe(401)
  })

  it.each(['Bearer', 'Bearer ', 'Basic YWxpY2U6eA==', 'bearer a b', 'Bearer é', 'alice', ''])(
    'answers 401, never 500, to Authorization: %j (case 33)',
    async (authorization) => {
      expect((await ask('/any', { headers: { authorization } })).status).toBe(401)
    },
  )
})
