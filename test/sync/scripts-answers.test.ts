import { scriptsFaults } from 'leanto/sync/scripts'
import { beforeEach, describe, expect, it } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { type Answer, answer, ask, bulk, design, docs, put } from './scripts-world.ts'
import { alice } from './store.ts'

/* What CouchDB 3.4 answers of design documents and their views, read off its source and its tests. */

beforeEach(() => freshDatabase([docs]))

const view = (path: string, body?: object) =>
  answer(`/db/_design/d/_view/${path}`, body && { method: 'POST', body })
const refused = async (path: string, body?: object) => {
  const [status, { error, reason }] = await view(path, body)
  return [status, error, reason]
}
const parseError = (reason: string) => [400, 'query_parse_error', reason]

describe('a design document', () => {
  it.each<[object, string]>([
    [{ views: 5 }, '`views` field must have object type'],
    [{ views: { v: 'function () {}' } }, '`views.v` field must have object type'],
    [{ views: { v: { map: 5 } } }, '`views.v.map` field must have string type'],
    [{ views: { v: {} } }, 'View `v` must contain map function'],
    [
      { views: { v: { map: '() => 1', reduce: 5 } } },
      '`views.v.reduce` field must have string type',
    ],
    [
      { views: { v: { map: '() => 1', reduce: '_nope' } } },
      '`_nope` is not a supported reduce function.',
    ],
    [{ language: 5 }, '`language` field must have string type'],
    [{ filters: [] }, '`filters` field must have object type'],
    [{ updates: { u: 5 } }, '`updates.u` field must have object or string type'],
    [{ options: { include_design: 'x' } }, '`options.include_design` field must have boolean type'],
    [{ validate_doc_update: 5 }, '`validate_doc_update` field must have string type'],
    [{ rewrites: 5 }, '`rewrites` field must have string or array type'],
  ])('is refused: %j', async (body, reason) => {
    const error = scriptsFaults.invalid_design_doc().code
    expect(await design('d', body)).toEqual([400, { error, reason }])
    const [, lines] = await bulk(
      [{ _id: '_design/d', ...body }, { _id: 'a' }],
      {},
      { token: alice },
    )
    expect(lines).toMatchObject([{ error, reason }, { ok: true }])
  })

  it('may have what is none of these', async () => {
    const views = {
      lib: { a: 'exports.a = 1' },
      v: { map: '() => 1', reduce: '_approx_count_distinct' },
    }
    expect((await design('d', { views, filters: { lib: { a: '' } }, rewrites: [], x: 5 }))[0]).toBe(
      201,
    )
    expect((await design('e', { language: 'erlang', views: 5 }))[0]).toBe(201)
  })
})

describe('a view', () => {
  const map = (source: string, more: object = {}) => ({
    map: `function (doc) { ${source} }`,
    ...more,
  })
  const views = {
    plain: map('emit(doc.k, doc.v)'),
    sum: map('emit(doc.k, doc.v)', { reduce: '_sum' }),
    members: map('emit(null, { a: doc.v, b: { c: [1, doc.v] } })', { reduce: '_sum' }),
    mixed: map('emit(null, doc.v ? { a: 1 } : 1)', { reduce: '_sum' }),
    stats: map('emit(null, [doc.v, 1])', { reduce: '_stats' }),
    counted: map('emit(null, { sum: doc.v, count: 2, min: 0, max: doc.v, sumsqr: 1 })', {
      reduce: '_stats',
    }),
    uneven: map('emit(null, doc.v ? [1, 2] : [1])', { reduce: '_stats' }),
    order: map(
      'if (doc.v === 0) ["b", [1], { a: 1 }, true, "a", null, 2, false, 1, [0, 1]].forEach(function (v) { emit(1, v) })',
    ),
    torn: map('emit(doc._conflicts || doc._deleted_conflicts, null)'),
  }

  beforeEach(async () => {
    await design('d', { views })
    await bulk([0, 1, 2].map((v) => ({ _id: `k${v}`, k: 'abc'[v], v })))
  })

  it.each([
    ['plain?group=true', 'Invalid use of grouping on a map view.'],
    ['plain?group_level=1', 'Invalid use of grouping on a map view.'],
    ['plain?reduce=true', 'Reduce is invalid for map-only views.'],
    ['sum?conflicts=true', '`conflicts` is invalid for reduce views.'],
    ['plain?stale=x', 'Invalid value for `stale`.'],
    ['plain?update=x', 'Invalid value for `update`.'],
    ['plain?stable=x', 'Invalid value for `stable`.'],
    [
      'plain?startkey="a"&endkey="b"&descending=true',
      'No rows can match your key range, reverse your start_key and end_key or set descending=false',
    ],
  ])('is not asked by %s', async (path, reason) => {
    expect(await refused(path)).toEqual(parseError(reason))
  })

  it('is asked several questions at once, where those are asked', async () => {
    const queries = [{ key: 'a' }, { limit: 1, descending: true }]
    expect((await view('plain/queries', { queries }))[1]).toMatchObject({
      results: [{ rows: [{ key: 'a' }] }, { rows: [{ key: 'c' }] }],
    })
    expect((await refused('plain', { queries }))[2]).toBe(
      'The `queries` parameter is no longer supported at this endpoint',
    )
    expect(await refused('plain/queries', {})).toEqual([
      400,
      'bad_request',
      'POST body must include `queries` parameter.',
    ])
    expect((await refused('plain/queries', { queries: 5 }))[2]).toBe(
      '`queries` member must be an array.',
    )
  })

  it('is brought up to date after a lazy answer', async () => {
    const rows = async (query: string) => (await view(`plain?${query}`))[1].rows.length
    expect(await rows('stale=ok')).toBe(0)
    expect(await rows('stale=ok')).toBe(0)
    expect(await rows('stale=update_after')).toBe(0)
    expect(await rows('update=false')).toBe(3)
    await put({ _id: 'k3' })
    expect(await rows('update=lazy')).toBe(3)
    expect(await rows('update=false')).toBe(4)
  })

  it('sums objects member by member, and counts lists element by element', async () => {
    const value = async (name: string) => (await view(name))[1].rows[0].value
    expect(await value('members')).toEqual({ a: 3, b: { c: [3, 3] } })
    expect(await value('stats')).toEqual([
      { sum: 3, count: 3, min: 0, max: 2, sumsqr: 5 },
      { sum: 3, count: 3, min: 1, max: 1, sumsqr: 3 },
    ])
    expect(await value('counted')).toEqual({ sum: 3, count: 6, min: 0, max: 2, sumsqr: 3 })
    for (const name of ['mixed', 'uneven']) expect((await refused(name))[0]).toBe(400)
  })

  it('has the rows of one key and document in the order of their values', async () => {
    const [, { rows }] = await view('order')
    expect(rows.map(({ value }: Answer) => value)).toEqual([
      1,
      2,
      false,
      null,
      true,
      { a: 1 },
      [0, 1],
      [1],
      'a',
      'b',
    ])
  })

  it('sees the conflicts of a document', async () => {
    const rivals = ['a', 'b'].map((hash) => ({ _id: 'k0', _rev: `1-${hash}`, k: hash }))
    await bulk(rivals, { new_edits: false })
    const { _rev, _conflicts } = (await answer('/db/k0?conflicts=true'))[1]
    expect(_rev).toBe('1-b')
    expect((await view('torn'))[1].rows.at(-1)).toMatchObject({ id: 'k0', key: _conflicts })
  })

  it('sees design documents where its own says so', async () => {
    const all = { views: { all: map('emit(doc._id)') }, options: { include_design: true } }
    await design('all', all)
    const keys = async () =>
      (await answer('/db/_design/all/_view/all'))[1].rows.map(({ key }: Answer) => key)
    expect(await keys()).toEqual(['_design/all', '_design/d', 'k0', 'k1', 'k2'])
    const [, { _rev }] = await answer('/db/_design/all')
    await design('all', { ...all, _rev, options: {} })
    expect(await keys()).toEqual(['k0', 'k1', 'k2'])
  })

  it('of another member’s channel is not told of conflicts there', async () => {
    const body = { views: { torn: map('emit(doc._conflicts || null)') }, in: ['*', 'red', 'blue'] }
    await design('t', body, 'board')
    const docs = [
      { _id: 'a', _rev: '1-a', in: ['red'] },
      { _id: 'a', _rev: '1-b', in: ['blue'] },
    ]
    for (const doc of docs)
      await ask('/board/_bulk_docs', { key: 'secret', body: { docs: [doc], new_edits: false } })
    const [, { rows }] = await answer('/board/_design/t/_view/torn', { token: 'user-bob.blue' })
    expect(rows).toEqual([{ id: 'a', key: null, value: null }])
  })
})
