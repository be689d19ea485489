import { beforeEach, describe, expect, it } from 'vitest'
import { type Open, openDatabase } from './world.ts'

let db: Open
beforeEach(async () => {
  db = await openDatabase()
})

const brief = ({ status, body }: { status: number; body: { error?: string; reason?: string } }) => [
  status,
  body.error,
  body.reason,
]

/** A path of revisions, the newest first, as replication brings it. */
const replicated = (id: string, hashes: string[], more: object = {}) => ({
  _id: id,
  _rev: `${hashes.length}-${hashes[0]}`,
  _revisions: { start: hashes.length, ids: hashes },
  ...more,
})

const bring = (...docs: object[]) => db.post('/_bulk_docs', { docs, new_edits: false })

describe('status and words', () => {
  it('of databases', async () => {
    expect((await db.call('PUT', '/open-b')).status).toBe(201)
    expect(brief(await db.call('PUT', '/open-b'))).toEqual([412, 'file_exists', expect.any(String)])
    expect(brief(await db.call('PUT', '/Open'))[1]).toBe('illegal_database_name')
    expect(brief(await db.call('GET', '/open-none'))).toEqual([
      404,
      'not_found',
      'Database does not exist.',
    ])
    expect((await db.call('DELETE', '/open-b')).body).toEqual({ ok: true })
    expect((await db.call('DELETE', '/open-b')).status).toBe(404)
    expect(await db.call('GET', '/open-a/')).toMatchObject({
      body: { db_name: 'open-a', doc_count: 0, update_seq: 0 },
    })
    expect((await db.call('HEAD', '/open-a')).status).toBe(200)
    expect((await db.call('HEAD', '/open-none')).status).toBe(404)
  })

  it('of a document’s life', async () => {
    const first = await db.put('/a', { v: 1 })
    expect(first).toMatchObject({
      status: 201,
      body: { ok: true, id: 'a', rev: expect.stringMatching(/^1-[0-9a-f]{32}$/) },
    })
    expect(first.headers.get('etag')).toBe(`"${first.body.rev}"`)
    expect(first.headers.get('location')).toMatch(/\/open-a\/a$/)
    expect(brief(await db.put('/a', { v: 2 }))).toEqual([
      409,
      'conflict',
      'Document update conflict.',
    ])
    expect(brief(await db.put('/a?rev=1-abc', { v: 2 }))[0]).toBe(409)
    expect(brief(await db.put('/a?rev=abc', { v: 2 }))).toEqual([
      400,
      'bad_request',
      'Invalid rev format',
    ])
    const second = await db.put('/a', { v: 2 }, { 'if-match': first.body.rev })
    expect(second.status).toBe(201)
    expect(await db.get(`/a?rev=${first.body.rev}`)).toMatchObject({ status: 200, body: { v: 1 } })
    expect(brief(await db.del('/a'))[0]).toBe(409)
    expect(brief(await db.del('/none'))).toEqual([404, 'not_found', 'missing'])
    const deleted = await db.del(`/a?rev=${second.body.rev}`)
    expect(deleted).toMatchObject({ status: 200, body: { ok: true } })
    expect(brief(await db.get('/a'))).toEqual([404, 'not_found', 'deleted'])
    expect(brief(await db.del(`/a?rev=${deleted.body.rev}`))).toEqual([404, 'not_found', 'deleted'])
    expect(await db.get(`/a?rev=${deleted.body.rev}`)).toMatchObject({
      status: 200,
      body: { _deleted: true },
    })
    expect(brief(await db.get('/a?rev=9-abc'))).toEqual([404, 'not_found', 'missing'])
    // Made anew without a revision, on top of its tombstone.
    expect((await db.put('/a', { v: 3 })).body.rev).toMatch(/^4-/)
    expect((await db.put('/b', { _deleted: true })).status).toBe(200)
  })

  it('of bad input', async () => {
    const raw = (path: string, body: string, type = 'application/json') =>
      db.call('POST', `/open-a${path}`, body, { 'content-type': type })
    expect(brief(await raw('/_bulk_docs', '{'))).toEqual([400, 'bad_request', 'invalid UTF-8 JSON'])
    expect(brief(await raw('/_bulk_docs', '{}', 'text/plain'))[1]).toBe('bad_content_type')
    expect(brief(await db.post('/_bulk_docs', {}))[1]).toBe('bad_request')
    expect(brief(await db.post('/_bulk_docs', { docs: 1 }))[1]).toBe('bad_request')
    expect(brief(await db.post('/_bulk_docs', { docs: [1] }))[1]).toBe('bad_request')
    expect(brief(await db.post('/_bulk_docs', { docs: [{ _id: 'ok' }, { _id: '_no' }] }))[1]).toBe(
      'illegal_docid',
    )
    expect(brief(await db.post('/_bulk_docs', { docs: [{ _id: 1 }] }))[1]).toBe('illegal_docid')
    expect(brief(await db.post('/_bulk_docs', { docs: [{ _zing: 1 }] }))[1]).toBe('doc_validation')
    expect(brief(await bring({ _id: 'x' }))[1]).toBe('bad_request')
    expect(brief(await db.put('/x', { _attachments: { _a: { data: '' } } }))[1]).toBe('bad_request')
    expect(brief(await db.put('/x', { _attachments: { a: { data: '*' } } }))[1]).toBe('bad_request')
    expect(
      brief(await db.put('/x', { _attachments: { a: { stub: true, digest: 'md5-x' } } })),
    ).toEqual([412, 'missing_stub', expect.any(String)])
    expect(brief(await db.put('/_local/x', { _attachments: { a: { data: '' } } }))[1]).toBe(
      'bad_request',
    )
    expect(brief(await db.get('/_changes?since=zing'))[0]).toBe(400)
    expect(brief(await db.get('/_changes?feed=zing'))[0]).toBe(400)
    expect(brief(await db.get('/_changes?filter=a/b'))).toEqual([
      404,
      'not_found',
      'missing json key: filters',
    ])
    expect(brief(await db.get('/_all_docs?keys=["a"]&key="a"'))[1]).toBe('query_parse_error')
    expect(brief(await db.post('/_all_docs', { keys: 'a' }))[1]).toBe('bad_request')
    expect(brief(await db.get('/_all_docs?startkey=a'))).toEqual([
      400,
      'bad_request',
      'invalid UTF-8 JSON',
    ])
    expect(brief(await db.get('/_all_docs?limit=-1'))[1]).toBe('query_parse_error')
    expect(brief(await db.call('PATCH', '/open-a/x'))[1]).toBe('method_not_allowed')
    expect(brief(await db.call('PUT', '/open-a/_changes', {}))[1]).toBe('method_not_allowed')
    expect(brief(await db.put('/_zing', {}))[1]).toBe('illegal_docid')
    expect(brief(await db.call('GET', '/open-a/%ff'))[1]).toBe('bad_request')
    // Nothing of a refused request was written.
    expect((await db.get('/_all_docs')).body.rows).toEqual([])
  })
})

describe('revisions', () => {
  it('the same edit has the same name everywhere', async () => {
    const other = (await db.call('PUT', '/open-b')) && (await db.call('PUT', '/open-b/a', { v: 1 }))
    expect((await db.put('/a', { v: 1 })).body.rev).toBe(other.body.rev)
  })

  it('a replicated branch loses or wins as everywhere, and is told as a conflict', async () => {
    await bring(replicated('a', ['a1'], { v: 'a1' }))
    await bring(
      replicated('a', ['b2', 'a1'], { v: 'b2' }),
      replicated('a', ['c2', 'a1'], { v: 'c2' }),
    )
    const told = (await db.get('/a?conflicts=true&revs=true&local_seq=true')).body
    expect(told).toEqual({
      _id: 'a',
      _rev: '2-c2',
      v: 'c2',
      _conflicts: ['2-b2'],
      _revisions: { start: 2, ids: ['c2', 'a1'] },
      _local_seq: 2,
    })
    await bring(replicated('a', ['d3', 'b2', 'a1'], { _deleted: true }))
    expect((await db.get('/a?deleted_conflicts=true&conflicts=true')).body).toMatchObject({
      _rev: '2-c2',
      _deleted_conflicts: ['3-d3'],
    })
    // The winner goes: what lost comes in its place.
    await bring(replicated('a', ['e2', 'a1'], { v: 'e2' }))
    await db.del('/a?rev=2-e2')
    expect((await db.get('/a')).body).toMatchObject({ _rev: '2-c2', v: 'c2' })
    await db.del('/a?rev=2-c2')
    expect((await db.get('/a')).status).toBe(404)
    expect((await db.call('GET', '/open-a')).body).toMatchObject({ doc_count: 0, doc_del_count: 1 })
  })

  it('open_revs gives what is asked, all leaves, or the newest descendants', async () => {
    await bring(
      replicated('a', ['b2', 'a1'], { v: 'b2' }),
      replicated('a', ['c2', 'a1'], { v: 'c2' }),
    )
    const open = async (query: string) =>
      (await db.get(`/a?${query}`)).body.map(
        (one: { ok?: { _rev: string }; missing?: string }) =>
          one.ok?._rev ?? `missing ${one.missing}`,
      )
    expect(await open('open_revs=all')).toEqual(['2-c2', '2-b2'])
    expect(await open('open_revs=["2-b2","3-x"]')).toEqual(['2-b2', 'missing 3-x'])
    expect(await open('open_revs=["1-a1"]&latest=true')).toEqual(['2-c2', '2-b2'])
    expect(await open('open_revs=["1-a1"]')).toEqual(['missing 1-a1'])
    expect((await db.get('/none?open_revs=["1-a"]')).body).toEqual([{ missing: '1-a' }])
    expect((await db.get('/none?open_revs=all')).status).toBe(404)
    expect((await db.get('/a?open_revs=zing')).status).toBe(400)
  })

  it('_revs_info says of which bodies are kept, and _compact drops those that are no leaves', async () => {
    const revs: string[] = []
    for (let v = 1; v <= 3; v++)
      revs.unshift((await db.put('/a', { v, ...(revs[0] ? { _rev: revs[0] } : {}) })).body.rev)
    const info = async () => (await db.get('/a?revs_info=true')).body._revs_info
    expect(await info()).toEqual(revs.map((rev) => ({ rev, status: 'available' })))
    expect((await db.post('/_compact', {})).status).toBe(202)
    expect(await info()).toEqual(
      revs.map((rev, i) => ({ rev, status: i === 0 ? 'available' : 'missing' })),
    )
  })

  it('_revs_limit stems, and replication goes on', async () => {
    await db.put('/_revs_limit', '3', {})
    let rev: string | undefined
    for (let v = 1; v <= 6; v++) rev = (await db.put('/a', { v, _rev: rev })).body.rev
    expect((await db.get('/a?revs=true')).body._revisions.ids).toHaveLength(3)
    expect((await db.get('/_revs_limit')).body).toBe(3)
    expect(brief(await db.put('/_revs_limit', '"x"'))[0]).toBe(400)
  })

  it('_purge forgets leaves, and what only they had', async () => {
    await bring(
      replicated('a', ['b2', 'a1'], { v: 'b2' }),
      replicated('a', ['c2', 'a1'], { v: 'c2' }),
      replicated('b', ['z1']),
    )
    expect(
      (await db.post('/_purge', { a: ['2-c2'], b: ['1-z1', '1-none'], none: ['1-a'] })).body.purged,
    ).toEqual({ a: ['2-c2'], b: ['1-z1'], none: [] })
    expect((await db.get('/a?conflicts=true')).body).toEqual({ _id: 'a', _rev: '2-b2', v: 'b2' })
    expect((await db.get('/b')).status).toBe(404)
    expect((await db.call('GET', '/open-a')).body).toMatchObject({ doc_count: 1, doc_del_count: 0 })
    // What was purged may come again.
    await bring(replicated('b', ['z1'], { back: true }))
    expect((await db.get('/b')).body.back).toBe(true)
  })

  it('_revs_diff tells what is missing and from what it may follow', async () => {
    await bring(replicated('a', ['b2', 'a1']), replicated('b', ['a1']))
    expect(
      (await db.post('/_revs_diff', { a: ['2-b2', '1-a1', '3-c'], b: ['1-a1'], c: ['1-x'] })).body,
    ).toEqual({
      a: { missing: ['3-c'], possible_ancestors: ['2-b2'] },
      c: { missing: ['1-x'] },
    })
  })
})

describe('bulk reads', () => {
  it('_bulk_get answers each by itself, and what was edited since by its newest', async () => {
    await bring(replicated('a', ['b2', 'a1'], { v: 2 }))
    const { body } = await db.post('/_bulk_get?revs=true&latest=true', {
      docs: [{ id: 'a', rev: '1-a1' }, { id: 'none', rev: '1-x' }, { id: 'a' }, {}, { id: '_x' }],
    })
    expect(
      body.results.map(
        ({ docs }: { docs: { ok?: { _rev: string }; error?: { error: string } }[] }) =>
          docs.map((one) => one.ok?._rev ?? one.error?.error),
      ),
    ).toEqual([['2-b2'], ['not_found'], ['2-b2'], ['bad_request'], ['illegal_docid']])
  })

  it('_all_docs has all its options, in the URL and in the body', async () => {
    await db.post('/_bulk_docs', { docs: ['a', 'b', 'c', 'd'].map((_id) => ({ _id })) })
    const { body: b } = await db.get('/b')
    await db.del(`/b?rev=${b._rev}`)
    const ids = async (query: string) =>
      (await db.get(`/_all_docs?${query}`)).body.rows.map(
        ({ id, key, error }: { id?: string; key: string; error?: string }) =>
          id ?? `${key} ${error}`,
      )
    expect(await ids('')).toEqual(['a', 'c', 'd'])
    expect(await ids('descending=true&limit=2')).toEqual(['d', 'c'])
    expect(await ids('startkey="b"')).toEqual(['c', 'd'])
    expect(await ids('start_key="c"&end_key="d"&inclusive_end=false')).toEqual(['c'])
    expect(await ids('startkey="d"&endkey="a"&descending=true&skip=1')).toEqual(['c', 'a'])
    expect(await ids('key="c"')).toEqual(['c'])
    expect(await ids('keys=["d","none","b","a"]')).toEqual(['d', 'none not_found', 'b', 'a'])
    expect(await ids('startkey=[]')).toEqual([])
    expect(await ids('endkey={}')).toEqual(['a', 'c', 'd'])
    const { body } = await db.post('/_all_docs', { keys: ['b', 'c'], include_docs: true })
    expect(body).toMatchObject({
      total_rows: 3,
      rows: [
        { id: 'b', value: { deleted: true }, doc: null },
        { id: 'c', doc: { _id: 'c' } },
      ],
    })
  })
})

describe('the feed', () => {
  it('has each document once, at its newest place, with every option', async () => {
    await db.post('/_bulk_docs', { docs: ['a', 'b', 'c'].map((_id) => ({ _id, n: 1 })) })
    const { body: a } = await db.get('/a')
    await db.put('/a', { ...a, n: 2 })
    const feed = async (query: string) => (await db.get(`/_changes?${query}`)).body
    const ids = async (query: string) =>
      (await feed(query)).results.map(({ seq, id }: { seq: number; id: string }) => `${seq}${id}`)
    expect(await ids('')).toEqual(['2b', '3c', '4a'])
    expect(await ids('since=2')).toEqual(['3c', '4a'])
    expect(await ids('descending=true&limit=2')).toEqual(['4a', '3c'])
    expect(await ids('limit=0')).toEqual(['2b'])
    expect(await feed('since=now')).toEqual({ results: [], last_seq: 4, pending: 0 })
    expect(await feed('limit=1')).toMatchObject({ last_seq: 2, pending: 2 })
    expect(await feed('since=99')).toEqual({ results: [], last_seq: 99, pending: 0 })
    expect((await feed('since=3&include_docs=true')).results[0].doc).toMatchObject({ n: 2 })
    expect(
      (await feed('seq_interval=2')).results.map(({ seq }: { seq: number | null }) => seq),
    ).toEqual([null, 3, null])
    expect(
      (await db.post('/_changes?filter=_doc_ids', { doc_ids: ['c', 'none'] })).body.results,
    ).toMatchObject([{ id: 'c' }])
    expect(
      (await db.post('/_changes?filter=_selector', { selector: { n: 2 } })).body,
    ).toMatchObject({ results: [{ id: 'a' }], last_seq: 4 })
    await bring(replicated('c', ['zz'], { other: true }))
    expect((await feed('style=all_docs&since=4')).results[0].changes).toHaveLength(2)
  })
})

describe('_local documents', () => {
  it('are no documents', async () => {
    expect((await db.put('/_local/x', { a: 1 })).body.rev).toBe('0-1')
    expect((await db.put('/_local/x', { a: 2 })).status).toBe(201)
    expect((await db.put('/_local/x', { a: 3, _rev: '0-1' })).body.rev).toBe('0-2')
    expect((await db.get('/_local/x')).body).toEqual({ _id: '_local/x', _rev: '0-2', a: 3 })
    expect((await db.get('/_local%2Fx')).body.a).toBe(3)
    expect((await db.get('/_local_docs?include_docs=true')).body.rows).toMatchObject([
      { id: '_local/x', doc: { a: 3 } },
    ])
    expect((await db.get('/_changes')).body.results).toEqual([])
    expect((await db.del('/_local/x')).status).toBe(200)
    expect((await db.get('/_local/x')).status).toBe(404)
  })
})
