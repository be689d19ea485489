import { env } from 'cloudflare:workers'
import { data, expose, fn } from 'leanto/data'
import * as v from 'valibot'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { makeBase, mount } from '../kit/world.ts'
import { toStandardJson } from './rpc-schemas.ts'
import { ask, call, entered, fresh, get, titles } from './rpc-world.ts'
import { alice, bob, people, tags } from './store.ts'

const post = (body: unknown = {}, more = {}) => ({ body, ...more })

describe('what a function answers', () => {
  beforeAll(fresh)

  it('a scalar is itself, called by GET and by POST', async () => {
    const byGet = await call('/add?a=1&b=2')
    expect([byGet.status, byGet.text]).toEqual([200, '3'])
    expect(byGet.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(byGet.headers.get('content-range')).toBe('0-0/*')
    expect(byGet.headers.get('content-location')).toBeNull()
    expect((await call('/add', post({ a: 1, b: 2 }))).text).toBe('3')
    expect((await call('/add', post({ a: 1 }))).text).toBe('2')
    expect((await call('/hello?name=World')).text).toBe('"Hello, World"')
    expect((await call('/null')).text).toBe('null')
    const counted = await call('/add?a=1', { headers: { prefer: 'count=exact' } })
    expect(counted.headers.get('content-range')).toBe('0-0/1')
  })

  it('nothing is 204 without a body', async () => {
    for (const options of [{}, post()]) {
      const { status, text, headers } = await call('/nothing', options)
      expect([status, text, headers.get('content-type')]).toEqual([204, '', null])
    }
  })

  it('an object is an object, a list a list, and every value has its form on the wire', async () => {
    expect(await get('/numbers')).toEqual([1, 2, 3, null])
    expect(await get('/values')).toEqual({
      date: '1970-01-01T00:00:00.000Z',
      big: '12345678901234567890',
      bytes: ['\\x01ff', '\\x02', '\\x03'],
      none: null,
      deep: [{ at: '1970-01-01T00:00:01.000Z' }],
    })
    expect(await get('/echo', post([1, { a: null }]))).toEqual([1, { a: null }])
    expect(await get('/echo', post('null'))).toBeNull()
  })

  it('in the form that is asked for', async () => {
    const as = (accept: string) => ({ headers: { accept } })
    const object = 'application/vnd.pgrst.object+json'
    expect(await get('/point', as(object))).toEqual({ x: 1, y: null })
    expect(await get('/point', as('application/vnd.pgrst.array+json;nulls=stripped'))).toEqual({
      x: 1,
    })
    expect((await call('/point', as('text/csv'))).text).toBe('x,y\n1,')
    expect((await call('/add?a=1', as('text/csv'))).text).toBe('pgrst_scalar\n2')
    expect((await call('/numbers', as('text/csv'))).text).toBe('pgrst_scalar\n1\n2\n3\n')
    expect((await call('/add?a=1', as(object))).text).toBe('2')
    expect(await get('/fruits', as(object))).toBe('406 PGRST116')
    expect(await get('/fruits?id=eq.2&select=id', as(object))).toEqual({ id: 2 })
    expect(await get('/add?a=1', as('image/png'))).toBe('406 PGRST107')
    expect(await get('/add?a=1', as('application/geo+json'))).toBe('406 PGRST107')
  })

  it('HEAD answers as GET without the body; a tag saves sending it again', async () => {
    const head = await call('/add?a=1', { method: 'HEAD' })
    expect([head.status, head.text]).toEqual([200, ''])
    const { headers } = await call('/add?a=1')
    expect(head.headers.get('etag')).toBe(headers.get('etag'))
    const again = await call('/add?a=1', {
      headers: { 'if-none-match': headers.get('etag') as string },
    })
    expect([again.status, again.text]).toEqual([304, ''])
    expect((await call('/add', post({ a: 1 }))).headers.get('etag')).toBeNull()
  })

  it('return=minimal leaves the body out', async () => {
    const prefer = { headers: { prefer: 'return=minimal, count=exact' } }
    const { status, text, headers } = await call('/search', { ...post({ words: 'an' }), ...prefer })
    expect([status, text, headers.get('content-range')]).toEqual([200, '', '0-0/1'])
    expect(headers.get('preference-applied')).toBe('return=minimal, count=exact')
  })

  it('sees who asks', async () => {
    expect(await get('/me')).toEqual({ id: null, role: 'anon' })
    expect(await get('/me', { token: alice })).toEqual({ id: 'alice', role: 'authenticated' })
    expect(await get('/me', { key: 'secret' })).toMatchObject({ role: 'service' })
  })
})

describe('who may call', () => {
  beforeAll(fresh)

  it('nobody but service, unless the function says so', async () => {
    expect(await get('/closed')).toBe('401 42501')
    expect(await get('/closed', { token: alice })).toBe('403 42501')
    expect(await get('/closed', { key: 'secret' })).toBe('for service')
    expect(await get('/members')).toBe('401 42501')
    expect(await get('/members', { token: alice })).toBe('for members')
    // Whoever may not call it is not told what it takes.
    const { body } = await call('/write', post({ nonsense: 1 }))
    expect(body).toMatchObject({ code: '42501', message: 'permission denied for function write' })
    expect(entered.count).toBe(0)
  })

  it('only what reads is called by GET, and it cannot write', async () => {
    const { status, body, headers } = await call('/write?title=x', { token: alice })
    expect([status, headers.get('allow')]).toEqual([405, 'POST'])
    expect(body).toMatchObject({
      code: '25006',
      message: 'cannot call function write in a read-only transaction',
    })
    expect((await call('/write?title=x', { token: alice, method: 'HEAD' })).status).toBe(405)
    expect(entered.count).toBe(0)

    const tried = (sql: string) => get('/write_while_reading', post({ sql }))
    for (const sql of [
      'delete from notes',
      '  -- select\n DELETE FROM notes',
      '/* select */ update notes set title = id',
      `INSERT INTO notes (owner_id, title) VALUES ('x', 'y') RETURNING *`,
      'replace into vault values (1, 2)',
      'with x as (select 1) delete from notes',
      `with x as (select ')') insert into vault values (9, 9)`,
      'with "select" as (select 1) update vault set gold = 0',
      'drop table notes',
      'pragma user_version = 5',
      'create table x (a)',
    ])
      expect(await tried(sql), sql).toBe('405 25006')
    expect(await tried('select count(*) as n from notes')).toEqual([{ n: 5 }])
    expect(await tried('with x(n) as (select 1 union select 2) select max(n) as n from x')).toEqual(
      [{ n: 2 }],
    )
    expect(await tried('values (7)')).toEqual([{ column1: 7 }])
  })

  it('no other method calls', async () => {
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const { status, body } = await call('/add', { method, body: {} })
      expect([status, body]).toMatchObject([
        405,
        { code: 'PGRST101', message: `Cannot use the ${method} method on RPC` },
      ])
    }
  })
})

describe('functions that are not there', () => {
  beforeAll(fresh)

  it('are told in PostgREST’s words, with the likeliest one that the caller may call', async () => {
    const of = async (path: string, options = {}) => {
      const { status, body } = await call(path, options)
      expect(status).toBe(404)
      return body as { code: string; message: string; details: string; hint: string | null }
    }
    expect(await of('/helo?name=x')).toEqual({
      code: 'PGRST202',
      message: 'Could not find the function public.helo(name) in the schema cache',
      details:
        'Searched for the function public.helo with parameter name, but no matches were found in the schema cache.',
      hint: 'Perhaps you meant to call the function public.hello',
    })
    expect(await of('/zzz', post())).toEqual({
      code: 'PGRST202',
      message: 'Could not find the function public.zzz without parameters in the schema cache',
      details:
        'Searched for the function public.zzz without parameters, but no matches were found in the schema cache.',
      hint: null,
    })
    expect((await of('/zzz', post({ b: 1, a: 2 }))).details).toBe(
      'Searched for the function public.zzz with parameters a, b or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache.',
    )
    expect((await of('/close')).hint).toBeNull()
    expect((await of('/close', { key: 'secret' })).hint).toMatch(/public\.closed$/)
    // Names that every object has (case 46).
    for (const name of [
      'constructor',
      '__proto__',
      'toString',
      'hasOwnProperty',
      '%00',
      'x'.repeat(500),
    ])
      expect((await of(`/${name}`)).code).toBe('PGRST202')
    expect(await get('/echo', post('{"__proto__":{"a":1},"constructor":2}'))).toHaveProperty(
      'constructor',
      2,
    )
    expect(({} as { a?: number }).a).toBeUndefined()
  })

  it('without functions there are none', async () => {
    const none = mount({ '/r': data(makeBase(), { identity: people, tables: {} }) })
    expect((await none('/r/rpc/add', { body: {} })).status).toBe(404)
  })
})

describe('what a function throws', () => {
  beforeEach(fresh)

  it('its own faults pass, whole', async () => {
    const { status, body } = await call('/poor')
    expect([status, body]).toEqual([
      402,
      { code: 'too_poor', message: 'Pay first', details: { needs: 5 }, hint: 'Buy coins.' },
    ])
  })

  it('a bug is a bare 500, and a database that is away 503 (case 51)', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const { status, text } = await call('/bug')
    expect(status).toBe(500)
    expect(text).not.toContain('secret')
    expect(
      (await call('/write_while_reading', post({ sql: 'select nonsense from notes' }))).text,
    ).toBe(text)
    expect(await get('/down')).toBe('503 PGRST001')
    log.mockRestore()
  })

  it('a constraint that it meets is told by its kind, and by no name', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    for (const path of ['/write', '/by_drizzle_write']) {
      const { status, text } = await call(path, post({ title: 'apple' }, { token: bob }))
      expect(status).toBe(409)
      expect(text).toContain('"23505"')
      expect(text).not.toMatch(/notes|title|apple|INSERT/i)
    }
    expect(await get('/by_drizzle_write', post({ title: 'x'.repeat(60) }, { token: bob }))).toBe(
      '400 23514',
    )
    expect(await get('/by_drizzle_write', post({ title: 'no owner' }))).toBe('400 23502')
    log.mockRestore()
  })
})

describe('functions that write', () => {
  beforeEach(fresh)

  const count = async () =>
    ((await env.DB.prepare('SELECT count(*) AS n FROM notes').first()) as { n: number }).n

  it('answer what they wrote, which a batch writes whole or not at all', async () => {
    expect(
      await titles(
        '/write?order=title.desc&select=title',
        post({ title: 'new' }, { token: alice }),
      ),
    ).toEqual(['new again', 'new'])
    expect(await count()).toBe(7)
    // The second of the two is there already.
    await env.DB.prepare(`INSERT INTO notes (owner_id, title) VALUES ('x', 'old again')`).run()
    expect(await get('/write', post({ title: 'old' }, { token: alice }))).toBe('409 23505')
    expect(await count()).toBe(8)
  })

  it('by drizzle as well', async () => {
    expect(await get('/by_drizzle_write', post({ title: 'd' }, { token: alice }))).toEqual([
      { id: 6, title: 'd' },
    ])
    expect(await count()).toBe(6)
  })

  it('are not entered if the answer could not be made', async () => {
    const tried = (query: string, headers = {}) =>
      get(`/write${query}`, { body: { title: 'n' }, token: alice, headers })
    expect(await tried('?select=nonsense')).toBe('400 42703')
    expect(await tried('?select=secret')).toBe('400 42703')
    expect(await tried('?select=title,nonsense(id)')).toBe('400 PGRST200')
    expect(await tried('?title=nonsense.x')).toBe('400 PGRST100')
    expect(await tried('?title=x')).toBe('400 PGRST100')
    expect(await tried('?order=nonsense')).toBe('400 42703')
    expect(await tried('', { accept: 'image/png' })).toBe('406 PGRST107')
    expect(await tried('', { accept: 'application/geo+json' })).toBe('406 PGRST107')
    expect(await tried('', { accept: 'application/vnd.pgrst.plan+json' })).toBe('406 PGRST107')
    expect(await tried('', { prefer: 'tx=rollback' })).toBe('400 PGRST127')
    expect(await tried('', { prefer: 'handling=strict, max-affected=1' })).toBe('400 PGRST127')
    expect(await tried('', { prefer: 'handling=strict, params=single-object' })).toBe(
      '400 PGRST122',
    )
    expect(await tried('', { 'content-profile': 'private' })).toBe('406 PGRST106')
    expect(entered.count).toBe(0)
    expect(await count()).toBe(5)
    // What PostgREST no longer knows is let pass otherwise.
    expect(await tried('', { prefer: 'params=single-object' })).toHaveLength(2)
  })
})

describe('the description', () => {
  beforeAll(fresh)

  it('lists the functions that the caller may call, and how', async () => {
    const described = async (options = {}) => {
      const response = await ask('/rest/v1/', options)
      return ((await response.json()) as { paths: Record<string, object> }).paths
    }
    const guest = await described()
    expect(Object.keys(guest['/rpc/add'] as object)).toEqual(['get', 'post'])
    expect(Object.keys(guest['/rpc/by_drizzle_write'] as object)).toEqual(['post'])
    expect(guest).not.toHaveProperty('/rpc/closed')
    expect(guest).not.toHaveProperty('/rpc/members')
    expect(guest).not.toHaveProperty('/rpc/write')
    expect(await described({ token: alice })).toHaveProperty('/rpc/write')
    expect(await described({ key: 'secret' })).toHaveProperty('/rpc/closed')
  })

  it('says the arguments that a schema tells', async () => {
    const schema = toStandardJson(v.object({ a: v.number() }), {
      type: 'object',
      properties: { a: { type: 'number' } },
      required: ['a'],
    })
    const told = mount({
      '/r': data(makeBase(), {
        identity: people,
        tables: {},
        functions: { take: fn(schema, () => 1, { allow: () => true, readOnly: true }) },
      }),
    })
    const { paths } = (await (await told('/r/')).json()) as { paths: Record<string, object> }
    expect(paths['/rpc/take']).toMatchObject({
      get: { parameters: [{ name: 'a', in: 'query', required: true }] },
      post: { parameters: [{ name: 'args', schema: { required: ['a'] } }, {}] },
    })
  })
})

describe('max-affected', () => {
  beforeAll(fresh)

  it('bounds the rows of a function that reads', async () => {
    const bounded = (path: string, most: number) =>
      get(path, { headers: { prefer: `handling=strict, max-affected=${most}` } })
    expect(await bounded('/every', 3)).toHaveLength(3)
    expect(await bounded('/every', 2)).toBe('400 PGRST124')
    expect(await bounded('/fruits', 2)).toBe('400 PGRST124')
    expect(await bounded('/fruits?limit=2', 2)).toHaveLength(2)
    expect(await bounded('/add?a=1', 5)).toBe('400 PGRST128')
    expect(await bounded('/newest?owner=alice', 5)).toBe('400 PGRST128')
    expect(await bounded('/nothing', 5)).toBe('400 PGRST128')
  })
})

describe('what cannot be a function', () => {
  const schema = v.object({})
  const made = (functions: object) => () =>
    data(makeBase(), {
      identity: people,
      tables: { tags: expose(tags, {}) },
      functions: functions as never,
    })

  it('is refused when it is declared, or when the module is built', () => {
    expect(() => fn({} as never, () => 1)).toThrow('must be a Standard Schema')
    expect(() => fn(schema, 5 as never)).toThrow('must be a function')
    expect(() => fn(schema, () => 1, { allow: true as never })).toThrow('`allow` must be')
    expect(made({ x: () => 1 })).toThrow('`functions.x` must be made by fn')
    expect(made({ 'a/b': fn(schema, () => 1) })).toThrow('no URL can hold')
    expect(made({ x: fn(schema, () => true, { returns: 'nothing' }) })).toThrow(
      '`functions.x` returns "nothing", which is no table',
    )
    expect(made({ x: fn(schema, () => true, { returns: 'tags' }) })).not.toThrow()
  })
})
