import PouchHttp from 'pouchdb-adapter-http'
import PouchMemory from 'pouchdb-adapter-memory'
import PouchCore from 'pouchdb-core'
import PouchMapReduce from 'pouchdb-mapreduce'
import PouchReplication from 'pouchdb-replication'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answerOf, type SyncServer, startSync } from '../kit/sync-server.ts'

const PouchDB = PouchCore.plugin(PouchMemory)
  .plugin(PouchHttp)
  .plugin(PouchMapReduce)
  .plugin(PouchReplication)

let server: SyncServer
let url: string
let count = 0
const dbName = (start: string) => `${start}${Date.now()}-${++count}`
const remoteOf = (name: string, token = 'user-root') =>
  new PouchDB(`${url}/${name}`, {
    fetch: (input: string, init: RequestInit) => {
      const headers = new Headers(init.headers)
      headers.set('authorization', `Bearer ${token}`)
      return fetch(input, { ...init, headers })
    },
  })

beforeAll(async () => {
  server = await startSync()
  url = server.url.replace('/couch', '/scripted')
})
afterAll(() => server.stop())

const people = [
  { _id: 'a', name: 'Ada', age: 36, city: 'London', tags: ['x', 'y'] },
  { _id: 'b', name: 'Bob', age: 20, city: 'Berlin', tags: ['y'] },
  { _id: 'c', name: 'Cleo', age: 50, city: 'Berlin', tags: [] },
  { _id: 'd', name: 'Dan', age: 20, city: 'London' },
  { _id: 'e', name: 'Eve', age: null, city: null },
]

const design = {
  _id: '_design/people',
  views: {
    age: { map: 'function (doc) { emit(doc.age, doc.name) }' },
    ages: { map: 'function (doc) { emit(doc.city, doc.age || 0) }', reduce: '_stats' },
    cities: { map: 'function (doc) { emit([doc.city, doc.name], 1) }', reduce: '_sum' },
    tags: {
      map: 'function (doc) { if (doc.tags) doc.tags.forEach(function (tag) { emit(tag) }) }',
      reduce: '_count',
    },
    names: {
      map: 'function (doc) { emit(doc.city, doc.name) }',
      reduce:
        'function (keys, values, rereduce) { return rereduce ? values.join("+") : values.sort().join("+") }',
    },
  },
  filters: {
    city: 'function (doc, req) { return doc.city === req.query.city }',
  },
}

/** Questions of which PouchDB's own views and CouchDB think the same. */
const questions: [string, object][] = [
  ['people/age', {}],
  ['people/age', { descending: true }],
  ['people/age', { key: 20 }],
  ['people/age', { keys: [50, 20, 99] }],
  ['people/age', { startkey: 20, endkey: 40 }],
  ['people/age', { startkey: 20, endkey: 50, inclusive_end: false }],
  ['people/age', { skip: 1, limit: 2 }],
  ['people/age', { include_docs: true, key: 36 }],
  ['people/ages', { group: true }],
  ['people/ages', {}],
  ['people/ages', { reduce: false }],
  ['people/cities', { group_level: 1 }],
  ['people/cities', { startkey: ['London'], endkey: ['London', {}], reduce: false }],
  ['people/tags', { group: true }],
  ['people/tags', { keys: ['x', 'y'], group: true }],
  ['people/names', { group: true }],
]

describe('stock PouchDB', () => {
  let remote: PouchDB.Database
  let local: PouchDB.Database
  beforeEach(async () => {
    remote = remoteOf(dbName('kept-'))
    local = new PouchDB(dbName('local'), { adapter: 'memory' })
    for (const db of [remote, local]) {
      await db.put(design)
      await db.bulkDocs(people)
    }
  })

  it('has the same of a stored view here as in its own store', async () => {
    // PouchDB has revisions of its own for the same document.
    const bare = (rows: object[]) =>
      JSON.parse(JSON.stringify(rows), (name, value) => (name === '_rev' ? undefined : value))
    for (const [view, options] of questions) {
      const [there, here] = await Promise.all([
        remote.query(view, options),
        local.query(view, options),
      ])
      expect([view, options, bare(there.rows)]).toEqual([view, options, bare(here.rows)])
    }
  })

  it('follows what is edited, deleted and put into the design document', async () => {
    await local.replicate.from(remote)
    const doc = await remote.get('a')
    await remote.put({ ...doc, age: 37 })
    await remote.remove(await remote.get('b'))
    const named = async () => (await remote.query('people/age')).rows.map(({ value }) => value)
    expect(await named()).toEqual(['Eve', 'Dan', 'Ada', 'Cleo'])
    const before = await remote.get('_design/people')
    const age = { map: 'function (doc) { emit(doc.name, doc.age) }' }
    await remote.put({ ...before, views: { age } })
    expect(await named()).toEqual([37, 50, 20, null])
    await expect(remote.query('people/tags')).rejects.toMatchObject({ status: 404 })
  })

  it('pulls by a stored filter, and by a stored view', async () => {
    const device = new PouchDB(dbName('device'), { adapter: 'memory' })
    const pulled = await device.replicate.from(remote, {
      filter: 'people/city',
      query_params: { city: 'Berlin' },
    })
    expect([pulled.ok, pulled.docs_written]).toEqual([true, 2])
    const ids = async () => (await device.allDocs()).rows.map(({ id }) => id)
    expect(await ids()).toEqual(['b', 'c'])
    await device.replicate.from(remote, { filter: '_view', view: 'people/tags' })
    expect(await ids()).toEqual(['a', 'b', 'c'])
    await expect(device.replicate.from(remote, { filter: 'people/none' })).rejects.toMatchObject({
      status: 404,
    })
  })

  it('is told which documents a stored validate_doc_update refused, and goes on with the rest', async () => {
    const validate = `function (newDoc, oldDoc, userCtx) {
      if (newDoc.type === 'post' && newDoc.author !== userCtx.name)
        throw({ forbidden: userCtx.name + ' is not ' + newDoc.author })
      if (oldDoc && oldDoc.author !== newDoc.author) throw({ forbidden: 'the author stays' })
    }`
    await remote.put({ _id: '_design/posts', validate_doc_update: validate })
    const mine = remoteOf(remote.name.split('/').at(-1) as string, 'user-kim')
    const device = new PouchDB(dbName('device'), { adapter: 'memory' })
    await device.bulkDocs([
      { _id: 'own', type: 'post', author: 'kim' },
      { _id: 'forged', type: 'post', author: 'root' },
      { _id: 'other', author: 'kim' },
    ])
    const denied: { id: string; reason: string }[] = []
    const pushing = device.replicate.to(mine)
    pushing.on('denied', (one) => denied.push(one as never))
    const pushed = await pushing
    expect([pushed.docs_written, pushed.doc_write_failures]).toEqual([2, 1])
    expect(denied.map(({ id, reason }) => [id, reason])).toEqual([['forged', 'kim is not root']])
    await expect(mine.get('forged')).rejects.toMatchObject({ status: 404 })
    await expect(mine.put({ ...(await mine.get('other')), author: 'root' })).rejects.toMatchObject({
      status: 403,
      reason: 'the author stays',
    })
  })

  it('is given live changes through a stored filter', async () => {
    const name = remote.name.split('/').at(-1)
    const since = (await remote.info()).update_seq
    const feed = answerOf(
      fetch(
        `${url}/${name}/_changes?feed=longpoll&filter=people/city&city=Rome&since=${since}&timeout=20000`,
      ),
    )
    await remote.put({ _id: 'f', city: 'Paris' })
    await remote.put({ _id: 'g', city: 'Rome' })
    expect((await feed).results.map(({ id }: { id: string }) => id)).toEqual(['g'])
  })
})
