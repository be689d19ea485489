import PouchHttp from 'pouchdb-adapter-http'
import PouchMemory from 'pouchdb-adapter-memory'
import PouchCore from 'pouchdb-core'
import PouchFind from 'pouchdb-find'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answerOf, type SyncServer, startSync } from '../kit/sync-server.ts'

const PouchDB = PouchCore.plugin(PouchMemory).plugin(PouchHttp).plugin(PouchFind)

const people = [
  { _id: 'a', name: 'Ada', age: 36, city: 'London', tags: ['x', 'y'], home: { floor: 1 } },
  { _id: 'b', name: 'Bob', age: 20, city: 'Berlin', tags: ['y'], home: { floor: 3 } },
  { _id: 'c', name: 'Cleo', age: 50, city: 'Berlin', tags: [], home: {} },
  { _id: 'd', name: 'Dan', age: 20, city: 'London', scores: [{ n: 1 }, { n: 5 }] },
  { _id: 'e', name: 'Eve', age: null, city: null },
  { _id: 'f', name: 'Fay', age: 64, city: 'Paris', tags: ['z', 'x'], 'a.b': 1 },
]

/** Selectors of which PouchDB's own finder and CouchDB think the same. */
const selectors: Record<string, unknown>[] = [
  { name: 'Ada' },
  { age: { $gt: 20 } },
  { age: { $gte: 20, $lt: 50 } },
  { age: { $lte: 36 } },
  { age: { $ne: 20 } },
  { age: null },
  { age: { $exists: true } },
  { tags: { $exists: false } },
  { city: { $in: ['London', 'Paris'] } },
  { name: { $nin: ['Ada', 'Fay'] } },
  { tags: { $all: ['x'] } },
  { tags: { $size: 1 } },
  { tags: { $elemMatch: { $eq: 'z' } } },
  { scores: { $elemMatch: { n: { $gt: 4 } } } },
  { scores: { $allMatch: { n: { $gt: 0 } } } },
  { age: { $mod: [10, 0] } },
  { name: { $regex: '^[AB]' } },
  { name: { $type: 'string' } },
  { 'home.floor': { $gt: 1 } },
  { home: { floor: 1 } },
  { $or: [{ name: 'Ada' }, { age: 64 }] },
  { $and: [{ city: 'Berlin' }, { age: { $gt: 30 } }] },
  { $nor: [{ name: 'Ada' }, { name: 'Bob' }], age: { $gt: 1 } },
  { $not: { name: 'Ada' } },
  { _id: { $gt: 'c' } },
  { _id: { $in: ['a', 'f'] } },
]

let server: SyncServer
beforeAll(async () => {
  server = await startSync()
})
afterAll(() => server.stop())

describe('pouchdb-find', () => {
  it('finds the same here as in its own store, with indexes and without', async () => {
    const remote = new PouchDB(`${server.url}/find-${Date.now()}`)
    const local = new PouchDB(`find-${Date.now()}`, { adapter: 'memory' })
    for (const db of [remote, local]) await db.bulkDocs(people)
    const ids = async (db: typeof remote, request: object) => {
      const { docs } = await db.find({ limit: 100, ...request })
      return docs.map(({ _id }) => _id)
    }
    const sorted = async (db: typeof remote, request: object) => (await ids(db, request)).sort()
    const compareAll = async () => {
      for (const selector of selectors)
        expect([selector, await sorted(remote, { selector })]).toEqual([
          selector,
          await sorted(local, { selector }),
        ])
    }
    await compareAll()
    for (const fields of [['age'], ['city', 'age'], ['name'], ['home.floor']]) {
      const made = await remote.createIndex({ index: { fields } })
      expect(made.result).toBe('created')
      expect((await remote.createIndex({ index: { fields } })).result).toBe('exists')
      await local.createIndex({ index: { fields } })
    }
    await compareAll()
    for (const request of [
      { selector: { age: { $gt: null } }, sort: ['age'] },
      { selector: { age: { $gt: null } }, sort: [{ age: 'desc' }] },
      { selector: { city: 'Berlin', age: { $gt: 0 } }, sort: ['city', 'age'] },
      {
        selector: { city: { $gt: null }, age: { $gt: 0 } },
        sort: ['city', 'age'],
        skip: 1,
        limit: 2,
      },
    ])
      expect([request, await ids(remote, request)]).toEqual([request, await ids(local, request)])
    const { indexes } = await remote.getIndexes()
    expect(indexes.map(({ name }) => name)).toContain('_all_docs')
    expect(indexes).toHaveLength(5)
    const [, index] = indexes
    await remote.deleteIndex({ ddoc: index?.ddoc as string, name: index?.name as string })
    expect((await remote.getIndexes()).indexes).toHaveLength(4)
  })

  it('projects, pages by bookmark, and follows changes of what it has indexed', async () => {
    const db = new PouchDB(`${server.url}/find-${Date.now()}b`)
    await db.bulkDocs(
      Array.from({ length: 120 }, (_, i) => ({
        _id: `n${String(i).padStart(3, '0')}`,
        n: i,
        deep: { a: i, b: 1 },
      })),
    )
    await db.createIndex({ index: { fields: ['n'] } })
    const seen: unknown[] = []
    let bookmark: string | undefined
    for (;;) {
      const page: { docs: unknown[]; bookmark?: string } = await db.find({
        selector: { n: { $gte: 10 } },
        fields: ['n', 'deep.a'],
        limit: 25,
        ...(bookmark ? { bookmark } : {}),
      })
      if (page.docs.length === 0) break
      seen.push(...page.docs)
      bookmark = page.bookmark
    }
    expect(seen).toEqual(
      Array.from({ length: 110 }, (_, i) => ({ n: i + 10, deep: { a: i + 10 } })),
    )
    const doc = await db.get('n050')
    await db.put({ ...doc, n: 1000 })
    await db.remove(await db.get('n051'))
    const found = await db.find({ selector: { n: { $gte: 50 } }, limit: 2, fields: ['_id'] })
    expect(found.docs).toEqual([{ _id: 'n052' }, { _id: 'n053' }])
    expect((await db.find({ selector: { n: 1000 }, fields: ['_id'] })).docs).toEqual([
      { _id: 'n050' },
    ])
  })

  it.each([
    [{}, 'missing_required_key'],
    [{ selector: 1 }, 'invalid_selector_json'],
    [{ selector: { a: { $foo: 1 } } }, 'invalid_operator'],
    [{ selector: { a: { $in: 1 } } }, 'bad_arg'],
    [{ selector: { a: { $regex: '(a+)+' } } }, 'bad_arg'],
    [{ selector: {}, sort: ['nothing'] }, 'no_usable_index'],
    [{ selector: {}, sort: 'a' }, 'invalid_sort_json'],
  ])('refuses %j: %s', async (body, error) => {
    await fetch(`${server.url}/refusing`, { method: 'PUT' })
    const response = await fetch(`${server.url}/refusing/_find`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect([response.status, (await answerOf(response)).error]).toEqual([400, error])
  })
})

describe('views of the host', () => {
  it('are asked as CouchDB’s', async () => {
    const url = `${server.url}/views-${Date.now()}`
    const db = new PouchDB(url)
    await db.bulkDocs(people)
    const ask = (path: string) => answerOf(fetch(`${url}/_design/people/_view/${path}`))
    const rows = async (path: string) => (await ask(path)).rows.map(({ id }: { id: string }) => id)
    expect(await rows('by-name?reduce=false')).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    expect(await rows('by-name?reduce=false&descending=true&limit=2')).toEqual(['f', 'e'])
    expect(await rows('by-name?reduce=false&startkey="B"&endkey="D"')).toEqual(['b', 'c'])
    expect(await rows('by-name?reduce=false&keys=["Eve","Ada","None"]')).toEqual(['e', 'a'])
    expect(await rows('by-path?reduce=false&startkey=["London"]&endkey=["London",{}]')).toEqual([
      'a',
      'd',
    ])
    expect((await ask('by-path?group_level=1')).rows).toEqual([
      { key: [null], value: 1 },
      { key: ['Berlin'], value: 2 },
      { key: ['London'], value: 2 },
      { key: ['Paris'], value: 1 },
    ])
    expect((await ask('by-path')).rows).toEqual([{ key: null, value: 6 }])
    await db.remove(await db.get('e'))
    expect((await ask('ages')).rows[0].value).toEqual({
      sum: 190,
      count: 5,
      min: 20,
      max: 64,
      sumsqr: 36 ** 2 + 400 * 2 + 2500 + 64 ** 2,
    })
    expect((await ask('by-name?reduce=false&key="Ada"&include_docs=true')).rows[0].doc.city).toBe(
      'London',
    )
    const changed = await answerOf(fetch(`${url}/_changes?filter=people/in&city=Berlin`))
    expect(changed.results.map(({ id }: { id: string }) => id)).toEqual(['b', 'c'])
    expect((await fetch(`${url}/_design/people/_view/none`)).status).toBe(404)
  })
})
