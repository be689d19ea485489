import { createRxDatabase, type RxCollection } from 'rxdb'
import { replicateCouchDB } from 'rxdb/plugins/replication-couchdb'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answerOf, type SyncServer, startSync } from '../kit/sync-server.ts'

let server: SyncServer
let n = 0
beforeAll(async () => {
  server = await startSync()
})
afterAll(() => server.stop())

interface Hero {
  name: string
  power: string
  age?: number
}

const schema = {
  version: 0,
  primaryKey: 'name',
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 100 },
    power: { type: 'string' },
    age: { type: 'number' },
  },
  required: ['name', 'power'],
} as const

async function device(url: string, live = true) {
  const db = await createRxDatabase({
    name: `rx${Date.now()}${n++}`,
    storage: getRxStorageMemory(),
  })
  const { heroes } = (await db.addCollections({
    heroes: {
      schema,
      // The longer word wins, whichever side it comes from.
      conflictHandler: {
        isEqual: (a, b) => a.power === b.power && a._deleted === b._deleted && a.age === b.age,
        resolve: async ({ newDocumentState: mine, realMasterState: theirs }) =>
          mine.power.length > theirs.power.length ? mine : theirs,
      },
    },
  })) as unknown as { heroes: RxCollection<Hero> }
  const state = replicateCouchDB<Hero>({
    replicationIdentifier: `to-${url}`,
    collection: heroes,
    url: `${url}/`,
    live,
    retryTime: 500,
    pull: { batchSize: 7, heartbeat: 5000 },
    push: { batchSize: 5 },
  })
  const errors: unknown[] = []
  state.error$.subscribe((error) => errors.push(error))
  return { db, heroes, state, errors }
}

async function make(kind = 'rx') {
  const url = `${server.url}/${kind}-${Date.now()}-${n++}`
  await fetch(url, { method: 'PUT' })
  return url
}

const powers = async (heroes: RxCollection<Hero>) =>
  Object.fromEntries((await heroes.find().exec()).map(({ name, power }) => [name, power]))

describe('RxDB', () => {
  it('pushes, pulls, deletes and puts in again, live on two devices', async () => {
    const url = await make()
    const [one, two] = [await device(url), await device(url)]
    await one.heroes.bulkInsert(
      Array.from({ length: 23 }, (_, i) => ({ name: `hero${i}`, power: `p${i}` })),
    )
    await expect
      .poll(() => powers(two.heroes), { timeout: 20_000 })
      .toEqual(await powers(one.heroes))
    await (await two.heroes.findOne('hero3').exec())?.remove()
    await expect.poll(() => one.heroes.findOne('hero3').exec(), { timeout: 20_000 }).toBeNull()
    await one.heroes.insert({ name: 'hero3', power: 'back' })
    await expect
      .poll(async () => (await powers(two.heroes)).hero3, { timeout: 20_000 })
      .toBe('back')
    const onServer = await answerOf(fetch(`${url}/hero3`))
    expect(onServer).toMatchObject({ power: 'back' })
    expect(onServer._rev).toMatch(/^3-/)
    expect([one.errors, two.errors]).toEqual([[], []])
    await Promise.all([one.db.close(), two.db.close()])
  }, 60_000)

  it('begins anew, page by page, where no deletion is told of what it never had', async () => {
    const url = await make('brief')
    const one = await device(url)
    await one.heroes.bulkInsert(
      Array.from({ length: 30 }, (_, i) => ({ name: `hero${i}`, power: `p${i}` })),
    )
    await one.heroes.find({ selector: { power: { $regex: '^p1' } } }).remove()
    await one.state.awaitInSync()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const two = await device(url)
    await expect
      .poll(() => powers(two.heroes), { timeout: 20_000 })
      .toEqual(await powers(one.heroes))
    await (await one.heroes.findOne('hero2').exec())?.remove()
    await expect.poll(() => two.heroes.findOne('hero2').exec(), { timeout: 20_000 }).toBeNull()
    expect(Object.keys(await powers(two.heroes))).toHaveLength(18)
    expect([one.errors, two.errors]).toEqual([[], []])
    await Promise.all([one.db.close(), two.db.close()])
  }, 60_000)

  it('resolves conflicts by its own handler, the same on both', async () => {
    const url = await make()
    const one = await device(url)
    await one.heroes.insert({ name: 'x', power: 'a' })
    await one.state.awaitInSync()
    const two = await device(url)
    await expect.poll(() => powers(two.heroes), { timeout: 20_000 }).toEqual({ x: 'a' })
    await Promise.all([one.state.cancel(), two.state.cancel()])
    await (await one.heroes.findOne('x').exec())?.patch({ power: 'short' })
    await (await two.heroes.findOne('x').exec())?.patch({ power: 'much longer' })
    const again = [one, two].map(({ heroes }) =>
      replicateCouchDB<Hero>({
        replicationIdentifier: `to-${url}`,
        collection: heroes,
        url: `${url}/`,
        live: true,
        retryTime: 500,
        pull: {},
        push: {},
      }),
    )
    for (const { heroes } of [one, two])
      await expect.poll(() => powers(heroes), { timeout: 20_000 }).toEqual({ x: 'much longer' })
    await Promise.all(again.map((state) => state.cancel()))
    await Promise.all([one.db.close(), two.db.close()])
  }, 60_000)
})
