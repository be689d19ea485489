import PouchHttp from 'pouchdb-adapter-http'
import PouchMemory from 'pouchdb-adapter-memory'
import PouchCore from 'pouchdb-core'
import PouchReplication from 'pouchdb-replication'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SyncServer, startSync } from '../kit/sync-server.ts'

const PouchDB = PouchCore.plugin(PouchMemory).plugin(PouchHttp).plugin(PouchReplication)

let server: SyncServer
beforeAll(async () => {
  server = await startSync()
})
afterAll(() => server.stop())

/** Numbers that follow from a seed (mulberry32). */
function randomOf(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return {
    below: (n: number) => Math.floor(next() * n),
    chance: (p: number) => next() < p,
  }
}

const seeds = 200

/** Everything of a database that replication carries: each leaf with its content and attachments. */
async function contentOf(db: PouchDB.Database) {
  const { results } = await db.changes({ style: 'all_docs' } as never)
  const all = await Promise.all(
    results
      .filter(({ id }) => !id.startsWith('_design/'))
      .map(async ({ id, changes, deleted }) => {
        const leaves = await Promise.all(
          changes
            .map(({ rev }: { rev: string }) => rev)
            .sort()
            .map((rev: string) => db.get(id, { rev, attachments: true })),
        )
        const shown = leaves.map(({ _attachments, ...leaf }) => ({
          ...leaf,
          bytes: Object.fromEntries(
            Object.entries(_attachments ?? {}).map(([name, one]) => [
              name,
              (one as { data?: string }).data,
            ]),
          ),
        }))
        const winner = deleted ? null : (await db.get(id))._rev
        return { id, winner, leaves: shown }
      }),
  )
  return all.sort((a, b) => (a.id < b.id ? -1 : 1))
}

async function edit(db: PouchDB.Database, random: ReturnType<typeof randomOf>, tag: string) {
  const _id = `doc${random.below(4)}`
  const before = await db.get(_id).catch(() => null)
  if (before && random.chance(0.2)) return db.remove(before)
  // A name for each: of a document in conflict PouchDB asks for attachments without saying of which revision.
  const _attachments = random.chance(0.3)
    ? { [`of ${tag}`]: { content_type: 'text/plain', data: btoa(`bytes of ${tag}`) } }
    : before?._attachments
  const doc = {
    _id,
    ...(before ? { _rev: before._rev } : {}),
    tag,
    ...(_attachments ? { _attachments } : {}),
  }
  return db.put(doc as never)
}

/** A network that now and then loses what is asked or what is answered. */
function cutting(random: ReturnType<typeof randomOf>, on: () => boolean): typeof fetch {
  return async (url, options) => {
    // PouchDB asks for the database's own info in passing, and does not look after that promise.
    const cuts = () => on() && !/\/random-\d+\/?$/.test(String(url)) && random.chance(0.1)
    if (cuts()) throw new TypeError('the network is gone')
    const response = await fetch(url, options)
    if (cuts()) {
      await response.body?.cancel()
      throw new TypeError('the network is gone')
    }
    // What PouchDB in Node reads attachments by, and only node-fetch has.
    return Object.assign(response, {
      buffer: async () => Buffer.from(await response.arrayBuffer()),
    })
  }
}

/** Waits for both directions: where one fails, the other is still under way when the whole says so. */
async function tried(sync: PouchDB.Sync) {
  await Promise.allSettled([sync, sync.push, sync.pull])
}

async function quiet(devices: PouchDB.Database[], remote: PouchDB.Database) {
  for (let round = 0; round < 10; round++) {
    let moved = 0
    for (const device of devices) {
      const { push, pull } = await device.sync(remote)
      moved += (push?.docs_written ?? 0) + (pull?.docs_written ?? 0)
    }
    if (moved === 0) return
  }
  throw new Error('they do not come to rest')
}

describe('three devices and the server, with random edits and a network that breaks', () => {
  it(`have the same leaves, winners and bytes in the end, for ${seeds} seeds`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const random = randomOf(seed)
      const url = `${server.url}/random-${seed}`
      await fetch(url, { method: 'PUT' })
      let breaks = true
      const remote = new PouchDB(url, { fetch: cutting(random, () => breaks) } as never)
      const devices = [0, 1, 2].map(
        (i) => new PouchDB(`random-${seed}-${i}`, { adapter: 'memory' }),
      )
      for (let step = 0; step < 14; step++) {
        const device = devices[random.below(3)] as PouchDB.Database
        if (random.chance(0.6)) await edit(device, random, `${seed}.${step}`)
        else await tried(device.sync(remote))
      }
      breaks = false
      await quiet(devices, remote)
      const [first, ...others] = await Promise.all([remote, ...devices].map(contentOf))
      for (const other of others) expect([seed, other]).toEqual([seed, first])
      await Promise.all(devices.map((device) => device.destroy()))
    }
  }, 240_000)
})
