import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { forbidden, owned, shared, sync, type Written } from 'leanto/sync'
import { find } from 'leanto/sync/find'
import { upkeep } from 'leanto/sync/upkeep'
import { afterAll, describe, expect, it } from 'vitest'
import { clock, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { makeDocs, open, people } from './store.ts'
import { openDatabase } from './world.ts'

// Other files go by the same clock.
const began = clock.time
afterAll(() => {
  clock.time = began
})

const base = makeBase()
const scopeOf = () => base.scope({ env })

describe('the host', () => {
  it('reads, writes and follows its databases, past their rules of access', async () => {
    const docs = sync(base, { identity: people, databases: { notes: owned(), inbox: shared({}) } })
    await freshDatabase([docs])
    const scope = scopeOf()
    const at = { database: 'notes', owner: 'alice' }
    await docs.put(scope, { ...at, owner: 'carol', doc: { _id: '_design/x', language: 'query' } })
    const rev = await docs.put(scope, { ...at, doc: { _id: 'task', do: 'translate' } })
    expect(rev).toMatch(/^1-/)
    await docs.put(scope, { ...at, doc: { _id: 'task', _rev: rev, done: true } })
    await expect(docs.put(scope, { ...at, doc: { _id: 'task', _rev: rev } })).rejects.toMatchObject(
      { code: 'conflict' },
    )
    expect(await docs.get(scope, { ...at, id: 'task' })).toMatchObject({ done: true })
    expect(await docs.get(scope, { ...at, id: 'none' })).toBeNull()
    expect(await docs.get(scope, { database: 'notes', owner: 'bob', id: 'task' })).toBeNull()
    await docs.put(scope, { database: 'inbox', doc: { _id: 'a' } })
    expect(await docs.changes(scope, { ...at, includeDocs: true })).toEqual({
      changes: [
        {
          seq: 2,
          id: 'task',
          rev: expect.stringMatching(/^2-/),
          deleted: false,
          doc: expect.objectContaining({ done: true }),
        },
      ],
      lastSeq: 2,
      pending: 0,
    })
    const ask = mount({ '/': docs })
    expect(await (await ask('/notes/task', { token: 'user-alice' })).json()).toMatchObject({
      done: true,
    })
    await expect(docs.get(scope, { database: 'notes', id: 'x' })).rejects.toThrow('say whose')
    await expect(docs.get(scope, { database: 'inbox', owner: 'x', id: 'x' })).rejects.toThrow(
      'no owner',
    )
    await expect(docs.get(scope, { database: 'other', id: 'x' })).rejects.toThrow('not declared')
  })

  it('is told what was written, once it is: client and server leave each other tasks', async () => {
    const seen: Written[] = []
    const docs = sync(base, {
      identity: people,
      databases: {
        notes: owned({
          after: {
            async write(scope, written) {
              seen.push(...written)
              for (const { id, owner, deleted } of written) {
                if (!id.startsWith('task:') || deleted) continue
                const doc = await docs.get(scope, { database: 'notes', owner, id })
                if (doc && !doc.done)
                  await docs.put(scope, {
                    database: 'notes',
                    owner,
                    doc: { ...doc, done: 'by the server' },
                  })
              }
            },
          },
        }),
      },
    })
    await freshDatabase([docs])
    const ask = mount({ '/': docs })
    const more = { token: 'user-alice' }
    await ask('/notes/_bulk_docs', {
      ...more,
      body: { docs: [{ _id: 'task:1' }, { _id: 'other' }] },
    })
    await expect
      .poll(async () => (await ask('/notes/task:1', more)).json())
      .toMatchObject({ done: 'by the server' })
    expect(seen.slice(0, 2)).toEqual([
      {
        database: 'notes',
        owner: 'alice',
        seq: 1,
        id: 'task:1',
        rev: expect.any(String),
        deleted: false,
      },
      {
        database: 'notes',
        owner: 'alice',
        seq: 2,
        id: 'other',
        rev: expect.any(String),
        deleted: false,
      },
    ])
    const told = seen.length
    await ask('/notes/_bulk_docs', { ...more, body: { docs: [{ _id: 'other' }] } })
    expect(seen.length).toBe(told)
  })

  it('validates each version, also one that a device brings, and says why not', async () => {
    const docs = sync(base, {
      identity: people,
      databases: {
        a: shared({
          ...open,
          validate(doc, old, who) {
            if (old?.locked && !doc._deleted) throw forbidden('It is locked.')
            if (doc.bad) throw forbidden(`Not by ${who.id}`)
          },
        }),
      },
    })
    await freshDatabase([docs])
    const ask = mount({ '/': docs })
    const bulk = async (docs: object[], newEdits = true) =>
      (
        await ask('/a/_bulk_docs', { token: 'user-alice', body: { docs, new_edits: newEdits } })
      ).json()
    expect(
      await bulk([
        { _id: 'x', bad: true },
        { _id: 'y', locked: true },
      ]),
    ).toMatchObject([
      { id: 'x', error: 'forbidden', reason: 'Not by alice' },
      { ok: true, id: 'y' },
    ])
    expect(
      await bulk(
        [
          { _id: 'y', _rev: '9-z' },
          { _id: 'z', _rev: '1-z', bad: true },
          { _id: 'w', _rev: '1-w' },
        ],
        false,
      ),
    ).toEqual([
      { id: 'y', rev: '9-z', error: 'forbidden', reason: 'It is locked.' },
      { id: 'z', rev: '1-z', error: 'forbidden', reason: 'Not by alice' },
    ])
    const put = await ask('/a/q', { method: 'PUT', token: 'user-alice', body: { bad: true } })
    expect([put.status, await put.json()]).toEqual([
      403,
      { error: 'forbidden', reason: 'Not by alice' },
    ])
  })

  it.each([
    [{ databases: { a: owned() } }, 'identity'],
    [{ identity: people }, 'at least one'],
    [{ identity: people, databases: { a: {} } }, 'owned() or shared()'],
    [{ identity: people, databases: { A: owned() } }, 'small letter'],
    [{ identity: people, databases: { a: shared({ views: {} }) } }, 'parts: [find]'],
  ])('is told at once what is wrong with %j', (options, message) => {
    expect(() => sync(base, options as never)).toThrow(message)
  })

  it.each([
    [() => owned({ revsLimit: 0 }), 'revsLimit'],
    [() => owned({ limits: { document: 3_000_000 } }), 'D1 value'],
    [() => owned({ limits: { request: -1 } }), 'limits.request'],
    [() => owned({ channels: () => [] }), 'both or none'],
    [() => owned({ tombstones: 0 }), 'tombstones'],
    [() => shared({ read: true as never }), 'read'],
  ])('is told what is wrong with rules', (make, message) => {
    expect(make).toThrow(message)
  })

  it('names databases by a function, and by the longest pattern', async () => {
    const named = sync(base, {
      identity: people,
      databases: (name) => (name === 'mine' ? shared(open) : undefined),
    })
    await freshDatabase([named])
    const ask = mount({ '/': named })
    expect((await ask('/mine', { method: 'PUT' })).status).toBe(201)
    expect((await ask('/other', { method: 'PUT' })).status).toBe(404)
    const patterned = sync(base, {
      identity: people,
      databases: { '*': shared({}), 'a-*': shared({ read: () => true }), 'a-b': shared(open) },
    })
    const asked = mount({ '/': patterned })
    expect((await asked('/a-b', { method: 'PUT' })).status).toBe(201)
    expect((await asked('/a-c')).status).toBe(404)
    expect((await asked('/x')).status).toBe(401)
    expect((await asked('/a-c', { method: 'PUT', token: 'user-bob' })).status).toBe(403)
  })
})

describe('growth', () => {
  it('drops bodies of old revisions at once, unless the database keeps them', async () => {
    for (const [name, kept] of [
      ['lean-a', 404],
      ['open-a', 200],
    ] as const) {
      const db = await openDatabase(name)
      const first = await db.put('/a', { v: 1 })
      await db.put('/a', { v: 2, _rev: first.body.rev })
      expect((await db.get(`/a?rev=${first.body.rev}`)).status).toBe(kept)
    }
  })

  it('forgets old tombstones, and tells a device with an older checkpoint to start again', async () => {
    const db = await openDatabase('lean-a')
    const { docs } = db
    const gone = await db.put('/gone', {})
    await db.put('/stays', {})
    await db.del(`/gone?rev=${gone.body.rev}`)
    const { body: before } = await db.get('/_changes')
    clock.advance(31 * 24 * 60 * 60)
    await db.put('/new', {})
    const ctx = createExecutionContext()
    await docs.scheduled?.(makeBase().scope({ env }), clock.now())
    await waitOnExecutionContext(ctx)
    expect((await db.get('/_changes')).body.results.map(({ id }: { id: string }) => id)).toEqual([
      'stays',
      'new',
    ])
    expect((await db.call('GET', '/lean-a')).body).toMatchObject({ doc_count: 2, doc_del_count: 0 })
    expect(await db.get('/_changes?since=1')).toMatchObject({
      status: 410,
      body: { error: 'checkpoint_expired' },
    })
    expect((await db.get(`/_changes?since=${before.last_seq}`)).status).toBe(200)
    // Where nothing says so, they stay.
    const kept = await openDatabase('open-a')
    const made = await kept.put('/gone', {})
    await kept.del(`/gone?rev=${made.body.rev}`)
    clock.advance(400 * 24 * 60 * 60)
    await kept.docs.scheduled?.(makeBase().scope({ env }), clock.now())
    expect((await kept.get('/_changes')).body.results).toHaveLength(1)
  })

  it('once a day drops the bytes of attachments that no document has, and leaves those that one has', async () => {
    const db = await openDatabase('lean-a')
    const put = await db.put('/a', { _attachments: { x: { data: btoa('first') } } })
    await db.put('/a', { _rev: put.body.rev, _attachments: { y: { data: btoa('second') } } })
    const bytes = async () =>
      (await env.DB.prepare('SELECT CAST(data AS TEXT) text FROM leanto_sync_parts').all()).results
    const run = () => db.docs.scheduled?.(makeBase().scope({ env }), clock.now())
    expect(await bytes()).toHaveLength(2)
    await run()
    expect(await bytes()).toEqual([{ text: 'second' }])
    await db.put('/b', { _attachments: { z: { data: btoa('third') } } })
    const { body } = await db.get('/b')
    await db.del(`/b?rev=${body._rev}`)
    await run()
    expect(await bytes()).toHaveLength(2)
    clock.advance(24 * 60 * 60)
    await run()
    expect(await bytes()).toEqual([{ text: 'second' }])
  })

  it('a pattern’s rule of tombstones is not that of a database with its own', async () => {
    const docs = sync(base, {
      identity: people,
      parts: [upkeep],
      databases: { '*': shared({ ...open, tombstones: 1 }), 'keep-*': shared(open) },
    })
    await freshDatabase([docs])
    const ask = mount({ '/': docs })
    for (const name of ['keep-a', 'other']) {
      await ask(`/${name}`, { method: 'PUT' })
      await ask(`/${name}/x`, { method: 'PUT', body: { _deleted: true } })
    }
    clock.advance(3 * 24 * 60 * 60)
    await docs.scheduled?.(makeBase().scope({ env }), clock.now())
    const left = async (name: string) =>
      ((await (await ask(`/${name}`)).json()) as { doc_del_count: number }).doc_del_count
    expect([await left('keep-a'), await left('other')]).toEqual([1, 0])
  })

  it('ends at the limits of document, attachment, request and database, and lets a full one shrink', async () => {
    const docs = makeDocs(base)
    await freshDatabase([docs])
    const ask = mount({ '/': docs })
    const put = (id: string, body: object) =>
      ask(`/club/${id}`, { method: 'PUT', token: 'user-alice', body })
    expect((await put('a', { text: 'x'.repeat(2100) })).status).toBe(413)
    const made: { id: string; rev: string }[] = []
    for (let i = 0; i < 13; i++) {
      const response = await put(`d${i}`, { text: 'x'.repeat(1900) })
      const body = (await response.json()) as { id: string; rev: string; error?: string }
      if (response.status !== 201)
        expect([response.status, body.error]).toEqual([413, 'database_full'])
      else made.push(body)
    }
    expect(made).toHaveLength(10)
    const [first] = made
    expect(
      (await ask(`/club/${first?.id}?rev=${first?.rev}`, { method: 'DELETE', token: 'user-alice' }))
        .status,
    ).toBe(200)
    expect((await put('again', { text: 'x'.repeat(1000) })).status).toBe(201)
  })
})

describe('other origins', () => {
  it('may send cookies along if they are listed, and are told of no other', async () => {
    const listed = makeBase({ origins: ['https://page.example'] })
    const docs = sync(listed, {
      identity: people,
      parts: [find, upkeep],
      databases: { a: shared(open) },
    })
    await freshDatabase([docs])
    const ask = mount({ '/': docs })
    const from = (origin: string) => ask('/a', { headers: { origin } })
    const good = (await from('https://page.example')).headers
    expect([
      good.get('access-control-allow-origin'),
      good.get('access-control-allow-credentials'),
    ]).toEqual(['https://page.example', 'true'])
    const other = (await from('https://evil.example')).headers
    expect([
      other.get('access-control-allow-origin'),
      other.get('access-control-allow-credentials'),
    ]).toEqual([null, null])
    const preflight = await ask('/a/x', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://page.example',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'content-type',
      },
    })
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PUT')
    const open1 = sync(makeBase({ origins: '*' }), {
      identity: people,
      databases: { a: shared(open) },
    })
    const any = (await mount({ '/': open1 })('/a', { headers: { origin: 'https://x.example' } }))
      .headers
    expect([
      any.get('access-control-allow-origin'),
      any.get('access-control-allow-credentials'),
    ]).toEqual(['*', null])
  })

  it('an attachment that is a page may do nothing as the site', async () => {
    const db = await openDatabase()
    await db.call('PUT', '/open-a/a/x.html', '<script>alert(1)</script>', {
      'content-type': 'text/html',
    })
    const { headers } = await db.get('/a/x.html')
    expect(headers.get('content-security-policy')).toContain('sandbox')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('a client of CouchDB may show its token as the password of Basic', async () => {
    const docs = makeDocs(base)
    await freshDatabase([docs])
    const ask = mount({ '/': docs })
    const basic = (password: string) =>
      ask('/club', { headers: { authorization: `Basic ${btoa(`anyone:${password}`)}` } })
    expect((await basic('user-alice')).status).toBe(200)
    expect((await basic('nonsense')).status).toBe(401)
    expect((await ask('/', { headers: { authorization: 'Basic: x' } })).status).toBe(200)
  })
})
