import { beforeEach, describe, expect, it } from 'vitest'
import { type Open, openDatabase } from './world.ts'

let db: Open
beforeEach(async () => {
  db = await openDatabase()
})

/** A path of revisions, the newest first, as replication brings it. */
const replicated = (id: string, hashes: string[], more: object = {}) => ({
  _id: id,
  _rev: `${hashes.length}-${hashes[0]}`,
  _revisions: { start: hashes.length, ids: hashes },
  ...more,
})

const bring = (...docs: object[]) => db.post('/_bulk_docs', { docs, new_edits: false })

describe('attachments', () => {
  it('inline, by URL, as stubs, in parts, with digests', async () => {
    const made = await db.put('/a', {
      _attachments: { 't.txt': { content_type: 'text/plain', data: btoa('0123456789') } },
    })
    const whole = await db.get('/a/t.txt')
    expect([whole.body, whole.headers.get('content-type'), whole.headers.get('etag')]).toEqual([
      '0123456789',
      'text/plain',
      '"eB5eJF1ptWaXm4bijSPyxw=="',
    ])
    expect((await db.get('/a/t.txt', { range: 'bytes=2-4' })).body).toBe(234)
    expect((await db.get('/a/t.txt', { range: 'bytes=-3' })).headers.get('content-range')).toBe(
      'bytes 7-9/10',
    )
    expect((await db.get('/a/t.txt', { range: 'bytes=20-' })).status).toBe(416)
    expect(
      (await db.get('/a/t.txt', { 'if-none-match': '"eB5eJF1ptWaXm4bijSPyxw=="' })).status,
    ).toBe(304)
    expect((await db.get('/a')).body._attachments['t.txt']).toEqual({
      content_type: 'text/plain',
      revpos: 1,
      digest: 'md5-eB5eJF1ptWaXm4bijSPyxw==',
      length: 10,
      stub: true,
    })
    const put = await db.call('PUT', `/open-a/a/dir/b.bin?rev=${made.body.rev}`, 'xyz', {
      'content-type': 'application/x-thing',
    })
    expect(put.status).toBe(201)
    expect((await db.get('/a/dir/b.bin')).body).toBe('xyz')
    const doc = (await db.get('/a?attachments=true')).body
    expect(doc._attachments['dir/b.bin']).toMatchObject({ revpos: 2, data: btoa('xyz') })
    // A stub keeps the bytes; one that is left out goes.
    const next = await db.put('/a', {
      _rev: doc._rev,
      _attachments: { 't.txt': { stub: true, digest: doc._attachments['t.txt'].digest } },
    })
    expect((await db.get('/a/dir/b.bin')).status).toBe(404)
    expect((await db.get(`/a/dir/b.bin?rev=${put.body.rev}`)).body).toBe('xyz')
    expect(
      (await db.get('/a?atts_since=["'.concat(made.body.rev, '"]'))).body._attachments['t.txt']
        .stub,
    ).toBe(true)
    expect((await db.del(`/a/t.txt?rev=${next.body.rev}`)).status).toBe(200)
    expect((await db.get('/a')).body).not.toHaveProperty('_attachments')
    expect((await db.del('/a/none?rev='.concat((await db.get('/a')).body._rev))).status).toBe(404)
    expect((await db.call('PUT', '/open-a/a/x', 'y', { 'content-type': 'a/b' })).status).toBe(409)
    expect((await db.call('PUT', '/open-a/new/x', 'y', { 'content-type': 'a/b' })).status).toBe(201)
  })

  it('go along with COPY', async () => {
    await db.put('/a', {
      v: 1,
      _attachments: { x: { content_type: 'text/plain', data: btoa('hi') } },
    })
    expect((await db.call('COPY', '/open-a/a', undefined, { destination: 'b%2Fc' })).body.id).toBe(
      'b/c',
    )
    expect((await db.get('/b%2Fc/x')).body).toBe('hi')
    expect((await db.call('COPY', '/open-a/a', undefined, { destination: 'b%2Fc' })).status).toBe(
      409,
    )
    const { body } = await db.get('/b%2Fc')
    expect(
      (await db.call('COPY', '/open-a/a', undefined, { destination: `b%2Fc?rev=${body._rev}` }))
        .status,
    ).toBe(201)
    expect((await db.call('COPY', '/open-a/a')).status).toBe(400)
  })

  it('of more than a part of D1 come back whole', async () => {
    const bytes = new Uint8Array(2_500_000).map((_, i) => (i * 31) % 251)
    const put = await db.ask('/open-a/big/b', { method: 'PUT', body: 'x', headers: {} })
    expect(put.status).toBe(201)
    const { rev } = (await put.json()) as { rev: string }
    const { app } = { app: db.docs.routes }
    const { env } = await import('cloudflare:workers')
    const response = await app.fetch(
      new Request(`https://app.example/open-a/big/b?rev=${rev}`, {
        method: 'PUT',
        body: bytes,
        headers: { 'content-type': 'a/b' },
      }),
      env as never,
      { waitUntil() {}, passThroughOnException() {} } as never,
    )
    expect(response.status).toBe(201)
    const got = await db.ask('/open-a/big/b')
    expect(new Uint8Array(await got.arrayBuffer())).toEqual(bytes)
    const part = await db.ask('/open-a/big/b', { headers: { range: 'bytes=1048570-1048580' } })
    expect(new Uint8Array(await part.arrayBuffer())).toEqual(bytes.slice(1048570, 1048581))
  })
})

describe('_snapshot', () => {
  it('streams living documents with their histories, ready to be written elsewhere', async () => {
    await db.put('/a', { v: 1 })
    await bring(replicated('c', ['x1'], { n: 1 }), replicated('c', ['y1'], { n: 2 }))
    const gone = await db.put('/gone', {})
    await db.del(`/gone?rev=${gone.body.rev}`)
    const lines = (await db.get('/_snapshot')).body
      .trim()
      .split('\n')
      .map((line: string) => JSON.parse(line))
    expect(lines.at(0)).toEqual({ db_name: 'open-a', update_seq: 4 })
    expect(lines.at(-1)).toEqual({ last_seq: 4 })
    await db.call('PUT', '/open-b')
    const written = await db.call('POST', '/open-b/_bulk_docs', {
      docs: lines.slice(1, -1),
      new_edits: false,
    })
    expect(written).toMatchObject({ status: 201, body: [] })
    expect((await db.call('GET', '/open-b/c?conflicts=true')).body).toEqual(
      (await db.get('/c?conflicts=true')).body,
    )
  })
})

describe('what else a CouchDB has', () => {
  it('_session, _security, _ensure_full_commit, _uuids', async () => {
    expect((await db.call('GET', '/_session')).body).toMatchObject({
      ok: true,
      userCtx: { name: null, roles: [] },
    })
    expect((await db.call('POST', '/_session', { name: 'a', password: 'b' })).status).toBe(404)
    expect((await db.get('/_security')).body).toEqual({
      admins: { names: [], roles: [] },
      members: { names: [], roles: [] },
    })
    await db.put('/_security', { admins: { names: ['x'], roles: [] } })
    expect((await db.get('/_security')).body.admins.names).toEqual(['x'])
    expect(await db.post('/_ensure_full_commit', {})).toMatchObject({
      status: 201,
      body: { ok: true },
    })
    expect((await db.call('GET', '/_uuids?count=2')).body.uuids).toHaveLength(2)
  })
})
