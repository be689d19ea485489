import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { alice, bob } from './store.ts'
import { type Answer, type Open, openDatabase } from './world.ts'

/* What CouchDB 3.4 answers where it is easy to answer otherwise; read off its source, its tests and its documentation. */

let db: Open
beforeEach(async () => {
  db = await openDatabase()
})

const brief = ({ status, body }: Answer) => [status, body.error, body.reason]
const ids = ({ body }: Answer) => body.rows.map(({ id }: { id: string }) => id)

describe('a document', () => {
  it('goes by one revision: of the URL, the header or itself', async () => {
    const { rev } = (await db.put('/a', { v: 1 })).body
    const second = (await db.put('/a', { v: 2 }, { 'if-match': `"${rev}"` })).body.rev
    expect(brief(await db.put(`/a?rev=${second}`, {}, { 'if-match': rev }))).toEqual([
      400,
      'bad_request',
      'Document rev and etag have different values',
    ])
    expect(brief(await db.put(`/a?rev=${rev}`, { _rev: second }))[2]).toBe(
      'Document rev from request body and query string have different values',
    )
    expect(brief(await db.put('/a', { _rev: null }))[2]).toBe('Invalid rev format')
    expect(brief(await db.get('/a?rev='))).toEqual([400, 'bad_request', 'Invalid rev format'])
    expect((await db.get('/a')).body).toMatchObject({ _rev: second, v: 2 })
  })

  it('takes whatever is not `true` for an option that is off', async () => {
    await db.put('/a', {})
    for (const name of ['revs', 'conflicts', 'meta', 'attachments', 'latest', 'local_seq'])
      expect((await db.get(`/a?${name}=maybe`)).body).toEqual({
        _id: 'a',
        _rev: expect.any(String),
      })
    expect((await db.get('/_changes?include_docs=maybe')).body.results[0].doc).toBeUndefined()
  })

  it('of a batch is told without its revision', async () => {
    const put = await db.put('/a?batch=ok', { v: 1 })
    expect([put.status, put.body]).toEqual([202, { ok: true, id: 'a' }])
    expect((await db.post('?batch=ok', { _id: 'b' })).status).toBe(202)
    expect((await db.get('/a')).body.v).toBe(1)
    expect((await db.get('/b')).status).toBe(200)
    // It is written before it is answered, so what is wrong is told.
    expect((await db.put('/a?batch=ok', { v: 2 })).status).toBe(409)
  })

  it('goes by its history, whatever `_rev` says beside it', async () => {
    const docs = [{ _id: 'a', _rev: '2-y', _revisions: { start: 1, ids: ['y'] } }]
    expect((await db.post('/_bulk_docs', { docs, new_edits: false })).body).toEqual([])
    expect((await db.get('/a')).body._rev).toBe('1-y')
  })

  it('that is twice in a bulk is written once', async () => {
    const docs = [{ _id: '0' }, { _id: '1', a: 1 }, { _id: '1', a: 1 }, { _id: '2' }]
    const { body } = await db.post('/_bulk_docs', { docs })
    expect(body.map(({ ok, error }: Answer['body']) => ok ?? error)).toEqual([
      true,
      true,
      'conflict',
      true,
    ])
    expect((await db.get('/1')).body._rev).toBe(body[1].rev)
  })

  it.each([
    [{ docs: [], new_edits: 'no' }, '`new_edits` parameter must be a boolean.'],
    [{ docs: null }, '`docs` parameter must be an array.'],
  ])('of %j is refused', async (body, reason) => {
    expect(brief(await db.post('/_bulk_docs', body))).toEqual([400, 'bad_request', reason])
  })

  it('that is none is one line of `_bulk_get`', async () => {
    await db.put('/a', {})
    const { status, body } = await db.post('/_bulk_get', { docs: [5, {}, { id: 'a' }] })
    expect(status).toBe(200)
    expect(body.results.map(({ docs }: Answer['body']) => docs[0].error?.reason)).toEqual([
      'document must be a JSON object',
      'document id missed',
      undefined,
    ])
    expect(brief(await db.post('/_bulk_get', {}))[2]).toBe("Missing JSON list of 'docs'.")
  })

  it.each(['', '/_all_docs', '/_changes', '/_bulk_docs', '/_compact', '/_ensure_full_commit'])(
    'is no text: POST %s',
    async (path) => {
      const headers = { 'content-type': 'text/plain' }
      expect(brief(await db.post(path, {}, headers))).toEqual([
        415,
        'bad_content_type',
        'Content-Type must be application/json',
      ])
    },
  )
})

describe('a local document', () => {
  it('with `_deleted` is removed, alone and in a bulk', async () => {
    for (const id of ['a', 'b']) await db.put(`/_local/${id}`, { v: 1 })
    expect((await db.put('/_local/a', { _rev: '0-1', _deleted: true })).body).toMatchObject({
      rev: '0-0',
    })
    await db.put('/kept', {})
    const docs = [
      { _id: '_local/b', _deleted: true },
      { _id: '_local/none', _deleted: true },
    ]
    expect(
      (await db.post('/_bulk_docs', { docs })).body.map(({ rev }: Answer['body']) => rev),
    ).toEqual(['0-0', '0-0'])
    expect((await db.get('/_local_docs')).body.rows).toEqual([])
    expect((await db.del('/_local/b')).status).toBe(404)
  })

  it('has no history, whatever it says', async () => {
    await db.put('/_local/a', { v: 1, _revisions: { start: 0, ids: ['1'] } })
    expect((await db.get('/_local/a')).body).toEqual({ _id: '_local/a', _rev: '0-1', v: 1 })
  })

  it('is listed as others are', async () => {
    for (const id of ['a', 'b', 'c']) await db.put(`/_local/${id}`, {})
    expect(ids(await db.get('/_local_docs?limit=1&skip=1'))).toEqual(['_local/b'])
    expect(ids(await db.get('/_local_docs?limit=0'))).toEqual([])
    expect(ids(await db.get('/_local_docs?startkey="_local/b"&descending=true'))).toEqual([
      '_local/b',
      '_local/a',
    ])
    expect(ids(await db.get('/_local_docs?endkey="_local/b"&inclusive_end=false'))).toEqual([
      '_local/a',
    ])
    const { body } = await db.post('/_local_docs/queries', {
      queries: [{ keys: ['_local/c', '_local/d'] }, { key: '_local/a', include_docs: true }],
    })
    expect(body.results).toMatchObject([
      { rows: [{ id: '_local/c' }, { key: '_local/d', error: 'not_found' }] },
      { total_rows: null, rows: [{ doc: { _id: '_local/a', _rev: '0-1' } }] },
    ])
  })
})

describe('design documents', () => {
  it('are listed alone, with their own count', async () => {
    for (const id of ['a', '_design/x', '_design/y', 'z']) await db.put(`/${id}`, {})
    expect((await db.get('/_design_docs')).body).toMatchObject({
      total_rows: 2,
      rows: [{ id: '_design/x' }, { id: '_design/y' }],
    })
    expect(ids(await db.get('/_design_docs?descending=true&startkey="zz"'))).toEqual([
      '_design/y',
      '_design/x',
    ])
    expect(ids(await db.get('/_design_docs?key="a"'))).toEqual([])
    const { body } = await db.post('/_design_docs/queries', {
      queries: [{ keys: ['_design/y', 'a'] }, { limit: 1 }],
    })
    expect(body.results[0].rows.map(({ id }: { id?: string }) => id)).toEqual([
      '_design/y',
      undefined,
    ])
    expect(body.results[1]).toMatchObject({ total_rows: 2, rows: [{ id: '_design/x' }] })
  })

  it('tell of their views, and compact to nothing', async () => {
    await db.post('/_index', { index: { fields: ['n'] }, ddoc: 'by', name: 'n' })
    await db.put('/a', { n: 1 })
    await db.post('/_find', { selector: { n: 1 } })
    const { body } = await db.get('/_design/by/_info')
    expect(body).toMatchObject({
      name: 'by',
      view_index: {
        language: 'query',
        update_seq: 2,
        updates_pending: { total: 0 },
        sizes: { active: '[1]'.length + 'null'.length },
        signature: expect.stringMatching(/^[0-9a-f]{32}$/),
      },
    })
    expect((await db.post('/_compact/by', {})).status).toBe(202)
    expect((await db.post('/_compact/none', {})).status).toBe(404)
    expect((await db.get('/_design/none/_info')).status).toBe(404)
    // What was kept of an index that is gone goes, nothing else.
    const kept = async () =>
      (await env.DB.prepare('SELECT count(*) n FROM leanto_sync_rows').first<{ n: number }>())?.n
    expect((await db.post('/_view_cleanup', {})).status).toBe(202)
    expect(await kept()).toBe(1)
    await db.call('DELETE', '/open-a/_index/by/json/n')
    await db.post('/_view_cleanup', {})
    expect(await kept()).toBe(0)
  })
})

describe('an attachment', () => {
  const type = { 'content-type': 'text/plain' }

  it('has its own address, and says which revision is missing', async () => {
    const { headers, body } = await db.put('/a/b c.txt', 'text', type)
    expect(headers.get('location')).toMatch(/\/open-a\/a\/b%20c\.txt$/)
    const missing = [409, 'not_found', 'missing_rev']
    expect(brief(await db.put('/a/b?rev=7-x', 'text', type))).toEqual(missing)
    expect(brief(await db.put('/none/b?rev=1-x', 'text', type))).toEqual(missing)
    expect(brief(await db.del('/a/b?rev=7-x'))).toEqual(missing)
    expect(brief(await db.del('/none/b'))).toEqual([404, 'not_found', 'missing'])
    const removed = await db.del(`/a/b c.txt?rev=${body.rev}`)
    expect([removed.status, removed.headers.get('location')]).toEqual([200, null])
  })

  it('is taken compressed, and given plain', async () => {
    const stream = new Response('hello'.repeat(50)).body?.pipeThrough(new CompressionStream('gzip'))
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer())
    const put = await db.docs.routes.fetch(
      new Request('https://app.example/open-a/a/t', {
        method: 'PUT',
        body: bytes,
        headers: { ...type, 'content-encoding': 'gzip' },
      }),
      env as never,
      createExecutionContext() as never,
    )
    expect(put.status).toBe(201)
    expect((await db.get('/a/t')).body).toBe('hello'.repeat(50))
    expect((await db.get('/a?att_encoding_info=true')).body._attachments.t).toMatchObject({
      encoding: 'gzip',
      encoded_length: bytes.length,
    })
    // What is said to be compressed, and is not, is given as it is.
    await db.put('/c/t', 'text', { ...type, 'content-encoding': 'gzip' })
    expect((await db.get('/c/t')).body).toBe('text')
    expect(brief(await db.put('/b/t', 'text', { ...type, 'content-encoding': 'br' }))).toEqual([
      415,
      'bad_content_type',
      'Only gzip and identity content-encodings are supported',
    ])
  })

  it.each([
    ['bytes=1-2', 206],
    ['bytes=0-', 200],
    ['bytes=-2', 206],
    ['bytes=2-1', 416],
    ['bytes=9-', 416],
    ['rows=1-2', 200],
  ])('in part: %s is %i', async (range, status) => {
    await db.put('/a/t', 'text', type)
    expect((await db.get('/a/t', { range })).status).toBe(status)
  })

  it('tells its size to who only asks about it', async () => {
    await db.put('/a/t', 'text', type)
    const { headers, body } = await db.call('HEAD', '/open-a/a/t')
    expect([headers.get('content-length'), body]).toEqual(['4', ''])
  })

  it('as a stub names the generation that brought it', async () => {
    const attached = { t: { content_type: 'text/plain', data: 'aGk=' } }
    const { rev } = (await db.put('/a', { _attachments: attached })).body
    const stub = (revpos: number) => ({ _rev: rev, _attachments: { t: { stub: true, revpos } } })
    expect(brief(await db.put('/a', stub(10)))[1]).toBe('missing_stub')
    expect((await db.put('/a', stub(1))).status).toBe(201)
  })
})

describe('the feed', () => {
  it('says on its first page how much there is to come', async () => {
    for (const id of ['a', 'b', 'c']) await db.put(`/${id}`, {})
    await db.put('/a', { _rev: (await db.get('/a')).body._rev, v: 2 })
    expect((await db.get('/_changes?limit=1')).body).toMatchObject({ last_seq: 2, pending: 2 })
    expect((await db.get('/_changes?limit=2')).body.pending).toBe(1)
    expect((await db.get('/_changes?limit=3')).body.pending).toBe(0)
  })

  it('that goes down begins at the newest, whatever it is to begin after', async () => {
    for (const id of ['a', 'b', 'c']) await db.put(`/${id}`, {})
    const { body } = await db.get('/_changes?descending=true&since=1&limit=2')
    expect(body.results.map(({ id }: { id: string }) => id)).toEqual(['c', 'b'])
  })

  it('goes by `live` for continuous', async () => {
    await db.put('/a', {})
    const { body } = await db.get('/_changes?feed=live&timeout=10')
    expect(body.trim().split('\n')).toHaveLength(2)
  })
})

describe('the server', () => {
  it('tells of databases by name, and of none that someone may not read', async () => {
    const infos = async (keys: unknown, token?: string) =>
      db.ask('/_dbs_info', { method: 'POST', body: { keys }, ...(token ? { token } : {}) })
    await db.put('/a', {})
    expect(await (await infos(['open-a', 'open-none', 'club', '_x'])).json()).toMatchObject([
      { key: 'open-a', info: { db_name: 'open-a', doc_count: 1 } },
      { key: 'open-none', error: 'not_found' },
      { key: 'club', error: 'not_found' },
      { key: '_x', error: 'not_found' },
    ])
    await db.ask('/club/a', { method: 'PUT', token: alice, body: {} })
    await db.ask('/notes/a', { method: 'PUT', token: alice, body: {} })
    const counts = async (token: string) =>
      ((await (await infos(['club', 'notes'], token)).json()) as Answer['body'][]).map(
        ({ info }) => info?.doc_count,
      )
    expect(await counts(alice)).toEqual([1, 1])
    // There is no such database of hers yet.
    expect(await counts(bob)).toEqual([1, undefined])
    const listed = (await (await db.ask('/_dbs_info', { token: alice })).json()) as Answer['body'][]
    expect(listed.map(({ key }) => key)).toEqual(['club', 'notes'])
    expect(brief(await db.call('POST', '/_dbs_info', {}))).toEqual([
      400,
      'bad_request',
      '`keys` member must exist.',
    ])
    expect(brief(await db.call('POST', '/_dbs_info', { keys: Array(101).fill('a') }))[0]).toBe(400)
  })

  it('does not take an empty id for the database', async () => {
    expect(brief(await db.del('?rev=1-a'))[1]).toBe('bad_request')
    expect((await db.get('')).status).toBe(200)
    expect(brief(await db.call('GET', '/_nothing'))).toEqual([
      404,
      'not_found',
      'Database does not exist.',
    ])
    expect(brief(await db.call('PUT', '/_nothing'))[1]).toBe('illegal_database_name')
  })

  it('tells of revisions in its older words', async () => {
    const { rev } = (await db.put('/a', {})).body
    expect((await db.post('/_missing_revs', { a: [rev, '2-x'], b: ['1-y'] })).body).toEqual({
      missing_revs: { a: ['2-x'], b: ['1-y'] },
    })
    expect((await db.post('/_purge', { a: [rev] })).body).toEqual({
      purge_seq: null,
      purged: { a: [rev] },
    })
    expect(brief(await db.post('/_purge', { a: 'x' }))[2]).toBe('Invalid list of revisions')
  })
})
