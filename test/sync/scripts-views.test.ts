import { env } from 'cloudflare:workers'
import { scriptsFaults } from 'leanto/sync/scripts'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Ask, freshDatabase } from '../kit/world.ts'
import {
  type Answer,
  answer,
  ask,
  bulk,
  cities,
  design,
  docs,
  ids,
  measure,
  persons,
  put,
} from './scripts-world.ts'
import { alice, bob } from './store.ts'

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
      {
        key: null,
        value: { again: true, of: [...Array.from({ length: 11 }, () => 100), 12, 100] },
      },
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
    expect([cost.trips, cost.rowsRead, cost.rowsWritten]).toEqual([2, 14, 0])
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
    expect(await changes('filter=f/__proto__')).toEqual(missing('missing json key: __proto__'))
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
