import PouchHttp from 'pouchdb-adapter-http'
import PouchMemory from 'pouchdb-adapter-memory'
import PouchCore from 'pouchdb-core'
import PouchReplication from 'pouchdb-replication'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SyncServer, startSync } from '../kit/sync-server.ts'

const PouchDB = PouchCore.plugin(PouchMemory).plugin(PouchHttp).plugin(PouchReplication)

let server: SyncServer
let n = 0
beforeAll(async () => {
  server = await startSync()
})
afterAll(() => server.stop())

const local = () => new PouchDB(`local-${Date.now()}-${n++}`, { adapter: 'memory' })
const remoteName = (kind = 'db') => `${server.url}/${kind}-${Date.now()}-${n++}`

describe('stock PouchDB', () => {
  it('pushes to a database that it makes, and another device pulls the same', async () => {
    const url = remoteName()
    const one = local()
    await one.bulkDocs(Array.from({ length: 250 }, (_, i) => ({ _id: `doc-${i}`, n: i })))
    await one.put({
      _id: 'with attachment',
      _attachments: { 'a.txt': { content_type: 'text/plain', data: btoa('hello') } },
    })
    await one.remove(await one.get('doc-7'))
    const pushed = await one.replicate.to(url)
    expect(pushed).toMatchObject({ ok: true, docs_written: 251, doc_write_failures: 0 })
    const two = local()
    const pulled = await two.replicate.from(url)
    expect(pulled).toMatchObject({ ok: true, docs_written: 251 })
    const list = (db: typeof one) => db.allDocs({ include_docs: true, attachments: true })
    expect((await list(two)).rows).toEqual((await list(one)).rows)
    expect((await list(new PouchDB(url) as never)).rows).toEqual((await list(one)).rows)
    expect((await one.replicate.to(url)).docs_read).toBe(0)
    expect((await two.replicate.from(url)).docs_read).toBe(0)
  })

  it('shows both sides of a conflict, with the same winner everywhere', async () => {
    const url = remoteName()
    const [one, two] = [local(), local()]
    await one.put({ _id: 'note', text: 'first' })
    await one.sync(url)
    await two.sync(url)
    await one.put({ ...(await one.get('note')), text: 'on one' })
    await two.put({ ...(await two.get('note')), text: 'on two' })
    for (const db of [one, two, one, two]) await db.sync(url)
    const seen = await Promise.all(
      [one, two, new PouchDB(url)].map((db) => db.get('note', { conflicts: true, revs: true })),
    )
    expect(seen[1]).toEqual(seen[0])
    expect(seen[2]).toEqual(seen[0])
    expect(seen[0]?._conflicts).toHaveLength(1)
  })

  it('begins with what is there alone, where no deletion is told of what it never had', async () => {
    const url = remoteName('brief')
    const one = local()
    await one.bulkDocs(Array.from({ length: 90 }, (_, i) => ({ _id: `doc-${i}`, n: i })))
    await one.replicate.to(url)
    for (let i = 0; i < 60; i++) await one.remove(await one.get(`doc-${i}`))
    await one.replicate.to(url)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const two = local()
    // A page at a time, and cut in the middle, before it has kept a checkpoint.
    // biome-ignore lint/suspicious/noExplicitAny: that it is an emitter, too, is not in the types of the tests.
    const first = two.replicate.from(url, { batch_size: 8 }) as any
    await new Promise((resolve) => first.once('change', resolve))
    first.cancel()
    await first
    await one.remove(await one.get('doc-60'))
    await one.replicate.to(url)
    await two.replicate.from(url, { batch_size: 8 })
    const living = async (db: typeof one) => (await db.allDocs()).rows
    expect(await living(two)).toEqual(await living(one))
    expect(await living(two)).toHaveLength(29)
    // The 60 are not there, not even as deleted: only the last may be, as it was read before.
    const { results } = await two.changes()
    expect(results.filter(({ deleted }) => deleted).length).toBeLessThanOrEqual(1)
    await two.put({ _id: 'more' })
    expect(await two.replicate.to(url)).toMatchObject({ docs_written: 1, doc_write_failures: 0 })
    expect((await two.replicate.from(url, { batch_size: 8 })).docs_written).toBe(0)
  })

  it('syncs live in both directions', async () => {
    const url = remoteName()
    const [one, two] = [local(), local()]
    const syncs = [one, two].map((db) => db.sync(url, { live: true, retry: true }))
    await one.put({ _id: 'a', from: 'one' })
    await two.put({ _id: 'b', from: 'two' })
    await expect
      .poll(() => two.get('a').catch(() => null), { timeout: 20_000 })
      .toMatchObject({ from: 'one' })
    await expect
      .poll(() => one.get('b').catch(() => null), { timeout: 20_000 })
      .toMatchObject({ from: 'two' })
    // What they have asked already comes to its end before the server goes.
    await Promise.all(
      syncs.map((sync) => new Promise((resolve) => sync.on('complete', resolve).cancel())),
    )
    await new Promise((resolve) => setTimeout(resolve, 500))
  })
})
