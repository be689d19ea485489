import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { shared, sync } from 'leanto/sync'
import { find } from 'leanto/sync/find'
import { scripts, scriptsFaults } from 'leanto/sync/scripts'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { measurer } from '../kit/measure.ts'
import { type Ask, type Env, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { alice, bob, open, people } from './store.ts'

const base = makeBase()
const databases = {
  db: shared({ ...open, admin: ({ id }) => id === 'alice', keepRevisions: true }),
  board: shared({
    ...open,
    admin: ({ id }) => id === 'alice',
    channels: (doc) => (Array.isArray(doc.in) ? (doc.in as string[]) : []),
    member: ({ claims }) => (claims.channels ?? []) as string[],
  }),
}
const docs = sync(base, { identity: people, parts: [find, scripts], databases })
const ask = mount({ '/': docs })
const measure = measurer(base, docs)

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
type Answer = any
const answer = async (path: string, options: Ask = {}): Promise<[number, Answer]> => {
  const response = await ask(path, options)
  return [response.status, await response.json()]
}
const design = async (id: string, body: object, db = 'db') =>
  answer(`/${db}/_design/${id}`, { method: 'PUT', token: alice, body })
const bulk = (list: readonly object[], more: object = {}, options: Ask = {}) =>
  answer('/db/_bulk_docs', { ...options, body: { docs: list, ...more } })
const put = (doc: { _id: string }, options: Ask = {}) =>
  answer(`/db/${doc._id}`, { method: 'PUT', body: doc, ...options })
const ids = (result: Answer) =>
  (result.rows ?? result.results)
    .map(({ id }: { id: string }) => id)
    .filter((id: string) => id[0] !== '_')

const cities = ['Berlin', 'London', 'Paris']
const persons = Array.from({ length: 12 }, (_, i) => ({
  _id: `p${String(i).padStart(2, '0')}`,
  n: i,
  city: cities[i % 3],
}))

beforeEach(() => freshDatabase([docs]))

describe('views', () => {
  const views = {
    city: { map: 'function (doc) { if (doc.city) emit(doc.city, doc.n) }', reduce: '_sum' },
    pairs: {
      map: 'doc => { emit([doc.city, doc.n], 1); };',
      reduce: 'function (keys, values, rereduce) { return sum(values) }',
    },
    none: { map: 'function (doc) { throw new Error("no") }' },
    missing: { map: 'function (doc) { emit() }' },
    distinct: { map: 'function (doc) { emit(doc.city) }', reduce: '_approx_count_distinct' },
    keyed: {
      map: 'function (doc) { emit(doc.n, doc.n) }',
      reduce:
        'function (keys, values, rereduce) { if (rereduce) return { again: true, of: values }; return keys.length }',
    },
    bad: { map: 'function (doc) { emit(doc.n) }', reduce: 'function () { throw 1 }' },
    linked: {
      map: "function (doc) { var lib = require('views/lib/names'); emit(lib.upper(doc.city), { _id: 'p00' }) }",
    },
    lib: {
      names: "var other = require('./other'); exports.upper = function (s) { return other.fix(s) }",
      other: 'exports.fix = function (s) { return String(s).toUpperCase() }',
    },
  }
  const view = (path: string, options: Ask = {}) => answer(`/db/_design/all/_view/${path}`, options)

  beforeEach(async () => {
    expect((await design('all', { views }))[0]).toBe(201)
    await bulk(persons)
  })

  it('are asked by key, range, keys, page and with documents', async () => {
    const [, first] = await view('city?reduce=false&key="Paris"')
    expect(first.rows).toEqual(
      [2, 5, 8, 11].map((n) => ({ id: `p${String(n).padStart(2, '0')}`, key: 'Paris', value: n })),
    )
    expect([first.total_rows, first.offset]).toEqual([12, 0])
    expect(ids((await view('city?reduce=false&keys=["Paris","Berlin"]&limit=5'))[1])).toEqual([
      'p02',
      'p05',
      'p08',
      'p11',
      'p00',
    ])
    const [, paged] = await view(
      'pairs?reduce=false&startkey=["London"]&endkey=["London",{}]&skip=1&limit=1&include_docs=true',
    )
    expect(paged.rows).toMatchObject([{ id: 'p04', value: 1, doc: { city: 'London', n: 4 } }])
    expect((await view('missing'))[1].rows[0]).toEqual({ id: 'p00', key: null, value: null })
    expect((await view('none'))[1].rows).toEqual([])
    expect((await view('city?reduce=false&descending=true&limit=1'))[1].rows[0].id).toBe('p11')
  })

  it('are reduced by what is built in and by what is written, grouped or not', async () => {
    expect((await view('city'))[1].rows).toEqual([{ key: null, value: 66 }])
    expect((await view('city?group=true'))[1].rows).toEqual([
      { key: 'Berlin', value: 18 },
      { key: 'London', value: 22 },
      { key: 'Paris', value: 26 },
    ])
    expect((await view('pairs?group_level=1'))[1].rows).toEqual(
      cities.map((city) => ({ key: [city], value: 4 })),
    )
    expect(
      (
        await view('pairs', {
          body: {
            keys: [
              ['Paris', 2],
              ['Paris', 5],
            ],
            group: true,
          },
        })
      )[1].rows,
    ).toEqual([
      { key: ['Paris', 2], value: 1 },
      { key: ['Paris', 5], value: 1 },
    ])
    expect((await view('distinct'))[1].rows).toEqual([{ key: null, value: 3 }])
    expect((await view('keyed'))[1].rows).toEqual([{ key: null, value: 12 }])
    expect((await view('bad'))[1].rows).toEqual([{ key: null, value: null }])
  })

  it('reduce in parts and again what comes of them, where there are many rows', async () => {
    await bulk(Array.from({ length: 1200 }, (_, n) => ({ _id: `q${n}`, n })))
    expect((await view('keyed?startkey=0'))[1].rows).toEqual([
      { key: null, value: { again: true, of: [500, 500, 212] } },
    ])
    expect((await view('pairs'))[1].rows).toEqual([{ key: null, value: 1212 }])
  })

  it('share code by require, and are made anew when that or their own changes', async () => {
    const [, linked] = await view('linked?key="PARIS"&include_docs=true')
    expect(linked.rows.map(({ id, doc }: Answer) => [id, doc._id])).toEqual([
      ['p02', 'p00'],
      ['p05', 'p00'],
      ['p08', 'p00'],
      ['p11', 'p00'],
    ])
    const [, { _rev }] = await answer('/db/_design/all')
    const lib = { ...views.lib, other: 'exports.fix = function (s) { return "x" + s }' }
    await design('all', { _rev, views: { ...views, lib } })
    expect(ids((await view('linked?key="xParis"'))[1])).toEqual(['p02', 'p05', 'p08', 'p11'])
    await put({ _id: 'p99', n: 99, city: 'Rome' } as never)
    expect(ids((await view('linked?key="xRome"'))[1])).toEqual(['p99'])
  })

  it('are missing as CouchDB says it', async () => {
    expect(await answer('/db/_design/nothing/_view/a')).toEqual([
      404,
      { error: 'not_found', reason: 'missing' },
    ])
    expect(await view('nothing')).toEqual([
      404,
      { error: 'not_found', reason: 'missing_named_view' },
    ])
    expect((await view('__proto__'))[0]).toBe(404)
    expect((await view('constructor'))[0]).toBe(404)
    await design('erl', { language: 'erlang', views: { a: { map: 'fun() -> 1 end.' } } })
    expect((await answer('/db/_design/erl/_view/a'))[0]).toBe(404)
    const [, { _rev }] = await answer('/db/_design/all')
    await ask('/db/_design/all', { method: 'DELETE', token: alice, headers: { 'if-match': _rev } })
    expect(await view('city')).toEqual([404, { error: 'not_found', reason: 'deleted' }])
  })

  it.each([
    [
      { views: { a: { map: 'function (doc) {' } } },
      /^Compilation of the map function in the 'a' view failed: SyntaxError/,
    ],
    [{ views: { a: { map: '1 + 1' } } }, /does not eval to a function/],
    [{ views: { a: { map: 5 } } }, /does not eval to a function/],
    [
      { views: { a: { map: 'function () {}', reduce: 'nope(' } } },
      /the reduce function in the 'a' view/,
    ],
    [{ views: { a: { map: 'function (d) { emit(2n ** 64n) }' } } }, /BigInt is not supported/],
    [{ validate_doc_update: 'function (' }, /validate_doc_update failed/],
  ])('refuse a design document that does not compile: %j', async (body, reason) => {
    const [status, told] = await design('x', body)
    expect([status, told.error]).toEqual([400, scriptsFaults.compilation_error().code])
    expect(told.reason).toMatch(reason)
    const [, lines] = await bulk(
      [{ _id: '_design/x', ...body }, { _id: 'beside' }],
      {},
      { token: alice },
    )
    expect(lines).toMatchObject([
      { id: '_design/x', error: 'compilation_error' },
      { ok: true, id: 'beside' },
    ])
  })

  it('are cleaned up when no design document has them, by who may', async () => {
    await view('city')
    await view('none')
    const kept = async () => {
      const { results } = await env.DB.prepare(
        'SELECT v.name, count(r.id) n FROM leanto_sync_views v LEFT JOIN leanto_sync_rows r ON r.view = v.id GROUP BY v.id ORDER BY v.name',
      ).all<{ name: string; n: number }>()
      return results.map(({ name, n }) => [name, n])
    }
    const before = [
      ['view:all/city', 12],
      ['view:all/none', 0],
    ]
    const clean = async (options: Ask) =>
      (await ask('/db/_view_cleanup', { method: 'POST', ...options })).status
    expect(await clean({ token: alice })).toBe(202)
    expect(await kept()).toEqual(before)
    const [, { _rev }] = await answer('/db/_design/all')
    await design('all', { _rev, views: { none: views.none } })
    expect([await clean({}), await clean({ token: bob })]).toEqual([401, 403])
    expect(await kept()).toEqual(before)
    expect(await clean({ key: 'secret' })).toBe(202)
    expect(await kept()).toEqual([['view:all/none', 0]])
    expect((await ask('/nowhere/_view_cleanup', { method: 'POST', token: alice })).status).toBe(404)
  })

  it('cost one trip to read the design document beside what a view costs', async () => {
    await view('city')
    const { cost } = await measure('/db/_design/all/_view/city')
    expect([cost.trips, cost.rowsRead, cost.rowsWritten]).toEqual([2, 20, 0])
    const { cost: custom } = await measure('/db/_design/all/_view/pairs?group_level=1')
    expect(custom.trips).toBeGreaterThan(2)
    expect((await measure('/db/_design/all/_view/pairs?group_level=1')).cost.trips).toBe(2)
  })
})

describe('filters', () => {
  const filters = {
    city: 'function (doc, req) { return doc.city === req.query.city }',
    mine: 'function (doc, req) { return req.userCtx.name + req.userCtx.db === doc.of }',
    seen: 'function (doc, req) { throw({ forbidden: JSON.stringify(req) }) }',
    broken: 'function (doc) { return doc.a.b.c }',
    syntax: 'function (',
    deleted: 'function (doc) { return doc._deleted === true }',
  }
  const changes = (query: string, options: Ask = {}) => answer(`/db/_changes?${query}`, options)

  beforeEach(async () => {
    await design('f', {
      filters,
      views: { odd: { map: 'function (doc) { if (doc.n % 2) emit(1) }' } },
    })
    await design('empty', {})
    await bulk(persons)
  })

  it('choose what changes a feed has', async () => {
    expect(ids((await changes('filter=f/city&city=Paris'))[1])).toEqual([
      'p02',
      'p05',
      'p08',
      'p11',
    ])
    expect(ids((await changes('filter=f/city&city=Paris&limit=2'))[1])).toEqual(['p02', 'p05'])
    expect(ids((await changes('filter=f/city&city=London&feed=longpoll&since=0'))[1])).toHaveLength(
      4,
    )
    expect(ids((await changes('filter=_view&view=f/odd'))[1])).toEqual([
      'p01',
      'p03',
      'p05',
      'p07',
      'p09',
      'p11',
    ])
    await put({ _id: 'm', of: 'bobdb' } as never)
    expect(ids((await changes('filter=f/mine', { token: bob }))[1])).toEqual(['m'])
    expect(ids((await changes('filter=f/mine'))[1])).toEqual([])
    const [, { _rev }] = await answer('/db/p00')
    await ask('/db/p00', { method: 'DELETE', headers: { 'if-match': _rev } })
    expect(ids((await changes('filter=f/deleted'))[1])).toEqual(['p00'])
  })

  it('are missing as CouchDB says it', async () => {
    const missing = (reason: string) => [404, { error: 'not_found', reason }]
    expect(await changes('filter=none/x')).toEqual(missing('missing'))
    expect(await changes('filter=empty/x')).toEqual(missing('missing json key: filters'))
    expect(await changes('filter=f/__proto__')).toEqual(missing('missing json key: filters'))
    expect(await changes('filter=_view&view=empty/x')).toEqual(missing('missing json key: views'))
    expect(await changes('filter=_view&view=none/x')).toEqual(missing('missing'))
    expect((await changes('filter=nothing'))[0]).toBe(400)
  })

  it('fail as a bad request, never as the server', async () => {
    expect(await changes('filter=f/broken')).toMatchObject([
      400,
      { error: 'unnamed_error', reason: expect.stringContaining('TypeError') },
    ])
    expect(await changes('filter=f/syntax')).toMatchObject([400, { error: 'compilation_error' }])
  })

  it('see the request without what its sender keeps secret', async () => {
    const headers = { cookie: 'session=abc', 'x-auth-token': 'abc', 'x-color': 'red' }
    const [status, { reason }] = await changes('filter=f/seen&a=b', { token: bob, headers })
    expect(status).toBe(403)
    expect(reason).not.toMatch(/abc|user-bob/)
    const request = JSON.parse(reason)
    expect(request).toMatchObject({
      method: 'GET',
      path: ['db', '_changes'],
      query: { filter: 'f/seen', a: 'b' },
      userCtx: { db: 'db', name: 'bob', roles: ['authenticated'] },
      secObj: { admins: {}, members: {} },
      info: { db_name: 'db' },
    })
    expect(request.headers['x-color']).toBe('red')
  })

  it('see no document that who asks may not see', async () => {
    await design(
      'f',
      {
        filters: { all: 'function () { return true }' },
        views: {
          all: {
            map: 'function (doc) { emit(doc._id, 1) }',
            reduce: 'function (k, v) { return k }',
          },
        },
      },
      'board',
    )
    for (const [_id, channel] of [
      ['r', 'red'],
      ['b', 'blue'],
    ])
      await answer(`/board/${_id}`, {
        method: 'PUT',
        body: { in: [channel] },
        token: `${bob}.red.blue`,
      })
    const as = async (channel: string) => [
      ids(
        (await answer('/board/_changes?filter=f/all', { token: `user-${channel}.${channel}` }))[1],
      ),
      ids(
        (
          await answer('/board/_design/f/_view/all?reduce=false', {
            token: `user-${channel}.${channel}`,
          })
        )[1],
      ),
      (await answer('/board/_design/f/_view/all', { token: `user-${channel}.${channel}` }))[1].rows,
    ]
    expect(await as('red')).toEqual([['r'], ['r'], [{ key: null, value: [['r', 'r']] }]])
    expect(await as('blue')).toEqual([['b'], ['b'], [{ key: null, value: [['b', 'b']] }]])
  })
})

describe('validate_doc_update', () => {
  const rule = `function (newDoc, oldDoc, userCtx, secObj) {
    if (newDoc.type === 'secret' && userCtx.roles.indexOf('_admin') < 0) throw({ unauthorized: 'Sign in as admin' })
    if (!newDoc._deleted && !isArray(newDoc.tags || [])) throw({ forbidden: 'tags must be a list' })
    if (oldDoc && oldDoc.author && oldDoc.author !== userCtx.name) throw({ forbidden: { by: oldDoc.author } })
    if (newDoc.broken) undefinedFunction()
    if (newDoc.weird) throw 'just text'
    if (newDoc._attachments && newDoc._attachments.a && newDoc._attachments.a.hash) throw({ forbidden: 'hash' })
    if (newDoc._attachments && !newDoc._attachments.a.stub) throw({ forbidden: 'no stub' })
  }`
  beforeEach(async () => {
    await design('rules', { validate_doc_update: rule })
  })

  it('refuses one document at a time, by 401, 403 and their reasons', async () => {
    expect(await put({ _id: 'a', tags: 1 } as never)).toEqual([
      403,
      { error: 'forbidden', reason: 'tags must be a list' },
    ])
    expect(await put({ _id: 'a', type: 'secret' } as never)).toEqual([
      401,
      { error: 'unauthorized', reason: 'Sign in as admin' },
    ])
    expect((await put({ _id: 'a', type: 'secret' } as never, { token: alice }))[0]).toBe(201)
    const [status, lines] = await bulk([
      { _id: 'b', tags: 1 },
      { _id: 'c' },
      { _id: 'd', type: 'secret' },
    ])
    expect([status, lines]).toMatchObject([
      201,
      [
        { id: 'b', error: 'forbidden' },
        { ok: true, id: 'c' },
        { id: 'd', error: 'unauthorized' },
      ],
    ])
    expect((await answer('/db/b'))[0]).toBe(404)
  })

  it('looks at what is replicated, deleted, copied and attached', async () => {
    expect(
      await bulk(
        [
          { _id: 'b', _rev: '1-aa', tags: 1 },
          { _id: 'c', _rev: '1-bb' },
        ],
        { new_edits: false },
      ),
    ).toEqual([201, [{ id: 'b', rev: '1-aa', error: 'forbidden', reason: 'tags must be a list' }]])
    expect((await answer('/db/b'))[0]).toBe(404)
    const [, { rev }] = await put({ _id: 'o', author: 'bob' } as never, { token: bob })
    const remove = (token: string) =>
      answer('/db/o', { method: 'DELETE', token, headers: { 'if-match': rev } })
    expect(await remove('user-carol')).toEqual([
      403,
      { error: 'forbidden', reason: '{"by":"bob"}' },
    ])
    const attached = await ask('/db/o/a', {
      method: 'PUT',
      token: 'user-carol',
      body: 'x',
      headers: { 'if-match': rev },
    })
    expect(attached.status).toBe(403)
    const copied = await ask('/db/o', {
      method: 'COPY',
      token: 'user-carol',
      headers: { destination: `o?rev=${rev}` },
    })
    expect(copied.status).toBe(403)
    const own = await ask('/db/o/a', {
      method: 'PUT',
      token: bob,
      body: 'x',
      headers: { 'if-match': rev },
    })
    expect(own.status).toBe(201)
  })

  it('refuses where it fails, and where it is not JavaScript', async () => {
    expect(await put({ _id: 'a', broken: true } as never)).toMatchObject([
      403,
      { error: 'forbidden', reason: expect.stringContaining('ReferenceError') },
    ])
    expect(await put({ _id: 'a', weird: true } as never)).toMatchObject([
      403,
      { reason: expect.stringContaining('just text') },
    ])
    await design('erl', { language: 'erlang', validate_doc_update: 'fun(_) -> ok end.' })
    expect(await put({ _id: 'a' })).toMatchObject([
      403,
      { reason: expect.stringContaining('not in JavaScript') },
    ])
  })

  it('asks those of every design document, and none of one that is deleted', async () => {
    const [, { rev }] = await design('z', {
      validate_doc_update: 'function (doc) { if (doc.z) throw({ forbidden: "z" }) }',
    })
    expect(await put({ _id: 'a', tags: 1, z: 1 } as never)).toMatchObject([
      403,
      { reason: 'tags must be a list' },
    ])
    expect(await put({ _id: 'a', z: 1 } as never)).toMatchObject([403, { reason: 'z' }])
    await ask('/db/_design/z', { method: 'DELETE', token: alice, headers: { 'if-match': rev } })
    expect((await put({ _id: 'a', z: 1 } as never))[0]).toBe(201)
  })

  it('looks at what the host itself writes, as an admin’s', async () => {
    const scope = base.scope({
      env,
      executionCtx: createExecutionContext(),
      req: { raw: new Request('https://a.example/') },
    } as never)
    const doc = { _id: 'h', type: 'secret' }
    expect(await docs.put(scope, { database: 'db', doc })).toMatch(/^1-/)
    await expect(docs.put(scope, { database: 'db', doc: { _id: 'i', tags: 1 } })).rejects.toThrow(
      'tags must be a list',
    )
  })

  it('tells nobody of a document that they may not see', async () => {
    const tell = 'function (doc, old) { if (old) throw({ forbidden: JSON.stringify(old) }) }'
    await design('tell', { validate_doc_update: tell }, 'board')
    const path = '/board/r'
    const body = { in: ['red'], secret: 'abc' }
    const [, { rev }] = await answer(path, { method: 'PUT', body, token: 'user-red.red' })
    const edit = { in: ['blue'], _rev: rev }
    const as = (token: string) => answer(path, { method: 'PUT', body: edit, token })
    expect((await as('user-both.red.blue'))[1].reason).toContain('abc')
    expect(JSON.stringify(await as('user-blue.blue'))).not.toContain('abc')
    const filters = {
      info: 'function (doc, req) { throw({ forbidden: JSON.stringify(req.info) }) }',
    }
    await design('f', { filters }, 'board')
    const told = (token: string) => answer('/board/_changes?filter=f/info', { token })
    expect(JSON.parse((await told('user-red.red'))[1].reason)).toEqual({ db_name: 'board' })
    expect(JSON.parse((await told('user-all.*'))[1].reason)).toMatchObject({ doc_count: 3 })
  })

  it('does not look at design documents, which admins alone write, nor at _local', async () => {
    await design('never', { validate_doc_update: 'function () { throw({ forbidden: "never" }) }' })
    expect((await put({ _id: 'a' }))[0]).toBe(403)
    expect((await design('more', {}))[0]).toBe(201)
    expect((await answer('/db/_design/other', { method: 'PUT', body: {}, token: bob }))[0]).toBe(
      403,
    )
    expect((await answer('/db/_local/a', { method: 'PUT', body: {}, token: bob }))[0]).toBe(201)
  })

  it('costs no trip more, and 2 rows read for each design document', async () => {
    const list = Array.from({ length: 20 }, (_, n) => ({ _id: `n${n}` }))
    const { cost } = await measure('/db/_bulk_docs', { body: { docs: list } })
    expect([cost.trips, cost.rowsWritten]).toEqual([2, 41])
    expect(cost.rowsRead).toBe(9 + 7 * 20 + 2)
  })
})

describe('what functions can not do', () => {
  /** In ms, real ones. */
  const longest = 15_000
  const timed = async (run: () => Promise<[number, Answer]>): Promise<[number, Answer]> => {
    const began = Date.now()
    const told = await run()
    expect(Date.now() - began).toBeLessThan(longest)
    return told
  }
  const filtered = async (body: string) => {
    await design('f', { filters: { x: `function (doc, req) { ${body} }` } })
    return timed(() => answer('/db/_changes?filter=f/x'))
  }
  const tooMuch = [400, { error: 'os_process_error' }]

  it.each([
    ['goes on for ever', 'while (true) {}'],
    [
      'goes on for ever and catches',
      'while (true) { try { while (true) {} } catch (e) {} finally { while (true) {} } }',
    ],
    ['calls itself', '(function f() { return f() + 1 })()'],
    [
      'calls itself and catches',
      'function f() { try { return f() } catch (e) { return f() } } return f()',
    ],
    ['parses what is too deep', 'return JSON.parse("[".repeat(1e6))'],
    [
      'writes what is too deep',
      'var o = {}; for (var i = 0; i < 2e5; i++) o = { o: o }; return JSON.stringify(o)',
    ],
    ['fills a list', 'var a = []; for (;;) a.push("text" + a.length)'],
    ['doubles a text', 'var s = "x"; for (;;) s += s + 1'],
    ['keeps texts', 'var a = []; for (;;) a.push("x".repeat(1e6) + a.length)'],
    ['fills an object', 'var o = {}; for (var i = 0; ; i++) o["k" + i] = { i: i }'],
    ['backtracks', 'return /^(a+)+$/.test("a".repeat(60) + "b")'],
    [
      'searches a long text for a long text',
      'return "a".repeat(1 << 21).indexOf("a".repeat(1 << 20) + "b")',
    ],
    ['searches from behind', 'return "a".repeat(1 << 21).lastIndexOf("b" + "a".repeat(1 << 20))'],
    ['splits by a long text', 'return "a".repeat(1 << 21).split("a".repeat(1 << 20) + "b")'],
    [
      'replaces a long text',
      'return "a".repeat(1 << 21).replace({ toString: () => "a".repeat(1 << 20) + "b" }, "")',
    ],
    ['has a list of no end', 'var a = []; a.length = 4294967295; return a.indexOf(1)'],
    ['sorts a list of no end', 'var a = [1]; a.length = 4294967295; return a.sort()'],
    ['flattens one', 'var a = [1]; a.length = 4294967295; return [a].flat()'],
    ['appends one', 'var a = [1]; a.length = 4294967295; return [].concat(a)'],
    ['makes a set of one', 'var a = [1]; a.length = 4294967295; return new Set(a)'],
    ['spreads one', 'var a = [1]; a.length = 4294967295; return [...a]'],
    ['searches often', 'var a = new Array(1e5).fill(1), n = 0; for (;;) n += a.indexOf(2)'],
  ])('%s', async (_, body) => {
    await put({ _id: 'a' })
    const [status, { error }] = await filtered(body)
    expect([status, ['os_process_error', 'unnamed_error']]).toEqual([
      400,
      expect.arrayContaining([error]),
    ])
    // The next request has an interpreter of its own.
    const [, { _rev }] = await answer('/db/_design/f')
    await design('f', { _rev, filters: { x: 'function (doc) { return doc._id === "a" }' } })
    expect(ids((await answer('/db/_changes?filter=f/x'))[1])).toEqual(['a'])
  })

  it('say that it was too much, not who is to blame', async () => {
    await put({ _id: 'a' })
    expect(await filtered('while (true) {}')).toMatchObject(tooMuch)
  })

  it('go on with the next document where one was too much, and refuse that', async () => {
    const rule = `function (doc) {
      if (doc.loop) while (true) {}
      if (doc.fill) { var a = []; for (;;) a.push("x".repeat(1e6) + a.length) }
    }`
    await design('v', { validate_doc_update: rule })
    const [status, lines] = await timed(() =>
      bulk([{ _id: 'a', loop: 1 }, { _id: 'b' }, { _id: 'c', fill: 1 }, { _id: 'd' }]),
    )
    const reason = expect.stringContaining('too many steps')
    expect([status, lines]).toMatchObject([
      201,
      [
        { id: 'a', error: 'forbidden', reason },
        { ok: true, id: 'b' },
        { id: 'c', error: 'forbidden', reason },
        { ok: true, id: 'd' },
      ],
    ])
  })

  it('end a request as a whole where all of it is too much, and nothing of it is written', async () => {
    await design('v', { validate_doc_update: 'function (doc) { while (true) {} }' })
    const list = Array.from({ length: 400 }, (_, n) => ({ _id: `n${n}` }))
    expect(await timed(() => bulk(list))).toMatchObject(tooMuch)
    expect((await answer('/db'))[1].doc_count).toBe(1)
  })

  it('end a view, which goes on once they are mended', async () => {
    await bulk([
      { _id: 'a', n: 1 },
      { _id: 'b', n: 2 },
    ])
    const map = (more: string) => ({
      views: { x: { map: `function (doc) { ${more} emit(doc.n) }` } },
    })
    await design('v', map('if (doc.n === 2) for (;;);'))
    expect(await timed(() => answer('/db/_design/v/_view/x'))).toMatchObject(tooMuch)
    const [, { _rev }] = await answer('/db/_design/v')
    await design('v', { _rev, ...map('') })
    expect(ids((await answer('/db/_design/v/_view/x'))[1])).toEqual(['a', 'b'])
    const reduced = {
      views: { x: { map: 'function (doc) { emit(1) }', reduce: 'function () { for (;;); }' } },
    }
    await design('w', reduced)
    expect(await timed(() => answer('/db/_design/w/_view/x'))).toMatchObject(tooMuch)
    expect((await answer('/db/_design/w/_view/x?reduce=false'))[0]).toBe(200)
  })

  it('take documents as large and as deep as there are', async () => {
    await design('v', {
      validate_doc_update:
        'function (doc, old) { if (old && old.list.length !== doc.list.length) throw({ forbidden: "n" }) }',
    })
    const list = Array.from({ length: 500_000 }, () => 1)
    let deep: unknown = 1
    for (let i = 0; i < 1000; i++) deep = [deep]
    const doc = { _id: 'large', list, deep }
    const [status, { rev }] = await put(doc)
    expect(status).toBe(201)
    expect((await put({ ...doc, _rev: rev } as never))[0]).toBe(201)
  })

  it('reach nothing of the host, and make no code of text', async () => {
    await put({ _id: 'a' })
    const of = async (expression: string) => {
      const filters = { x: `function (doc) { throw({ forbidden: String(${expression}) }) }` }
      const name = `e${await digest(expression)}`
      await design(name, { filters })
      const [, { error, reason }] = await answer(`/db/_changes?filter=${name}/x`)
      return error === 'forbidden' ? reason : error
    }
    const globals = [
      'fetch',
      'process',
      'console',
      'WebAssembly',
      'setTimeout',
      'crypto',
      'caches',
      'self',
      'Promise',
      'Proxy',
      'BigInt',
      'Uint8Array',
      'eval',
      'Iterator',
      'std',
      'os',
      'bjson',
      'performance',
      'navigator',
    ]
    expect(
      await of(`${JSON.stringify(globals)}.filter(function (n) { return n in globalThis })`),
    ).toBe('')
    for (const attempt of [
      'Function("return 1")()',
      '(function () {}).constructor("return 1")()',
      '(function* () {}).constructor("yield 1")()',
      'Object.getPrototypeOf(async function () {}).constructor("return 1")()',
      'new (doc.constructor.constructor)("return this")()',
      'eval("1")',
    ])
      expect(['unnamed_error', 'compilation_error'], attempt).toContain(await of(attempt))
    expect(await of('import("fs")')).toMatch(/error|Promise/)
    expect(await of('require("views/../../etc")')).toBe('unnamed_error')
    expect(await of('require("__proto__/constructor")')).toBe('unnamed_error')
  })

  it('change nothing for others by changing what everything comes from', async () => {
    const evil = `function (doc) {
      if (globalThis.done) return
      globalThis.done = true
      Object.prototype.toJSON = Array.prototype.toJSON = function () { return { forbidden: 1 } }
      JSON.stringify = JSON.parse = function () { return '"o"' }
      Array.prototype.push = Array.prototype.map = function () {}
      Function.prototype.apply = Function.prototype.call = function () { return true }
      Object.defineProperty(Object.prototype, 'forbidden', { get: function () { return undefined }, set: function () {} })
      Object.defineProperty(Array.prototype, 0, { set: function () {}, get: function () { return 'o' } })
      String.prototype.slice = String.prototype.charAt = function () { return 'o' }
      globalThis.emit = globalThis.require = globalThis.isArray = undefined
      Error.prototype.toString = function () { return 'o' }
      %
    }`
    const rule = 'function (doc) { if (doc.no) throw({ forbidden: "no" }) }'
    await design('a', { validate_doc_update: evil.replace('%', '') })
    await design('b', { validate_doc_update: rule })
    expect((await bulk([{ _id: 'x', no: 1 }, { _id: 'y' }]))[1]).toMatchObject([
      { id: 'x', error: 'forbidden', reason: 'no' },
      { ok: true, id: 'y' },
    ])
    await design('v', {
      views: {
        evil: { map: evil.replace('%', 'emit(1)') },
        good: { map: 'function (doc) { emit(doc._id, [1, { a: doc.no }]) }' },
      },
    })
    expect((await answer('/db/_design/v/_view/evil'))[0]).toBe(200)
    expect((await answer('/db/_design/v/_view/good'))[1].rows).toEqual([
      { id: 'y', key: 'y', value: [1, {}] },
    ])
    expect((await put({ _id: '__proto__' } as never))[0]).toBe(400)
    expect({}).not.toHaveProperty('toJSON')
  })

  it('leave no memory behind: many requests, each with an interpreter', async () => {
    await design('v', {
      validate_doc_update: 'function (doc) { var a = []; for (var i = 0; i < 1e4; i++) a.push(i) }',
    })
    for (let n = 0; n < 150; n++) expect((await put({ _id: `n${n}` }))[0]).toBe(201)
  })
})

it('fails as 503 where D1 does, at every trip, and is right when that is over', async () => {
  await design('f', {
    validate_doc_update: 'function (doc) { if (doc.no) throw({ forbidden: "no" }) }',
    filters: { n: 'function (doc) { return doc.n > 0 }' },
    views: {
      n: { map: 'function (doc) { emit(doc.n) }', reduce: 'function (k, v) { return v.length }' },
    },
  })
  await bulk([
    { _id: 'a', n: 0 },
    { _id: 'b', n: 1 },
  ])
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  for (const [path, options, expected] of [
    ['/db/_changes?filter=f/n', {}, 200],
    ['/db/_changes?filter=_view&view=f/n', {}, 200],
    ['/db/_design/f/_view/n', {}, 200],
    ['/db/_design/f/_view/n?reduce=false&include_docs=true', {}, 200],
    ['/db/new', { method: 'PUT', body: { n: 2 } }, 201],
    ['/db/refused', { method: 'PUT', body: { no: 1 } }, 403],
  ] as [string, Ask, number][]) {
    for (const verdict of [true, 'after'] as const) {
      for (let failing = 1; ; failing++) {
        // So that a view has something to catch up with.
        await ask('/db', { body: { n: failing } })
        let trips = 0
        const db = (e: Env) => faulty(e.DB as never, () => ++trips === failing && verdict)
        const away = sync(makeBase({ db }), { identity: people, parts: [find, scripts], databases })
        const response = await mount({ '/': away })(path, options)
        const text = await response.text()
        if (trips < failing) break
        expect([path, failing, response.status]).toEqual([path, failing, 503])
        expect(text).not.toMatch(/leanto|D1_ERROR/)
      }
    }
    const { status } = await ask(path, options)
    expect([path, status]).toEqual([path, path === '/db/new' ? 409 : expected])
  }
  log.mockRestore()
  const { doc_count } = (await answer('/db'))[1]
  expect((await answer('/db/_design/f/_view/n'))[1].rows).toEqual([
    { key: null, value: doc_count - 1 },
  ])
  expect((await answer('/db/refused'))[0]).toBe(404)
})

async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return [...new Uint8Array(bytes)]
    .map((byte) => byte.toString(16))
    .join('')
    .slice(0, 12)
}
