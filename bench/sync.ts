/*
 * Replicates and asks documents through leanto's sync and through express-pouchdb with PouchDB's memory adapter, in one
 * run, alternating, and prints documents a second of leanto as a ratio to it: 1.00 is as fast. `npm run bench:sync`
 * installs what it needs in bench first.
 *
 * leanto runs under workerd with D1 simulated on a disk, durable; its peer is in memory, in a process of its own, and
 * keeps nothing. (express-pouchdb is what there is: the server that CouchDB's protocol has in JavaScript, no longer kept
 * up, and about as fast as CouchDB 3.4 itself.) Whoever asks is stock PouchDB 9 in this process, whose own work is the
 * same on both sides, and plain fetch for the raw requests.
 */
import { fork } from 'node:child_process'
import { createServer } from 'node:net'
import { startSync } from '../test/kit/sync-server.ts'

const rounds = Number(process.env.ROUNDS ?? 3)
const sizes = (process.env.SIZES ?? '1000,10000').split(',').map(Number)
const raw = Number(process.env.RAW ?? 2000)

const modules = ['core', 'adapter-memory', 'adapter-http', 'replication'].map(
  (name) => import(`pouchdb-${name}`),
)
const [PouchDB, ...plugins] = (await Promise.all(modules)).map((one) => one.default)
for (const plugin of plugins) PouchDB.plugin(plugin)

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

async function startPeer() {
  const port = await freePort()
  const child = fork(new URL('./sync-peer.js', import.meta.url).pathname, [String(port)])
  await new Promise((resolve) => child.once('message', resolve))
  return { url: `http://127.0.0.1:${port}`, stop: async () => void child.kill() }
}

const documents = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    _id: `doc-${String(i).padStart(6, '0')}`,
    title: `Note ${i}`,
    body: 'A small document, as apps have many of.',
    n: i,
    done: i % 2 === 0,
  }))

const post = async (url: string, body: unknown): Promise<{ id: string; rev: string }[]> => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return (await response.json()) as { id: string; rev: string }[]
}

let names = 0
const fresh = async (base: string) => {
  const url = `${base}/bench-${process.pid}-${names++}`
  await fetch(url, { method: 'PUT' })
  return url
}

/** @returns Documents a second. */
async function timed(count: number, work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return count / ((performance.now() - start) / 1000)
}

type Work = (base: string) => Promise<Record<string, number>>

/** One database, filled and emptied by stock PouchDB. */
const replicating =
  (count: number): Work =>
  async (base) => {
    const url = await fresh(base)
    const local = new PouchDB(`local-${names++}`, { adapter: 'memory' })
    await local.bulkDocs(documents(count))
    const other = new PouchDB(`local-${names++}`, { adapter: 'memory' })
    const options = { batch_size: 500 }
    const push = await timed(count, () => local.replicate.to(url, options))
    const pull = await timed(count, () => other.replicate.from(url, options))
    if ((await other.info()).doc_count !== count) throw new Error('not all came')
    await Promise.all([local.destroy(), other.destroy()])
    return { [`push ${count}`]: push, [`pull ${count}`]: pull }
  }

/** The requests of replication by themselves, 100 documents each. */
const asking: Work = async (base) => {
  const url = await fresh(base)
  const docs = documents(raw)
  const pages = Array.from({ length: raw / 100 }, (_, i) => docs.slice(i * 100, (i + 1) * 100))
  const revs: Record<string, string> = {}
  const bulkDocs = await timed(raw, async () => {
    for (const page of pages)
      for (const { id, rev } of await post(`${url}/_bulk_docs`, { docs: page })) revs[id] = rev
  })
  const changes = await timed(raw, async () => {
    let since: number | string = 0
    for (const _ of pages) {
      const query = `since=${encodeURIComponent(since)}&limit=100&include_docs=true`
      const page = (await (await fetch(`${url}/_changes?${query}`)).json()) as { last_seq: number }
      since = page.last_seq
    }
  })
  const bulkGet = await timed(raw, async () => {
    for (const page of pages)
      await post(`${url}/_bulk_get?revs=true&latest=true`, {
        docs: page.map(({ _id }) => ({ id: _id, rev: revs[_id] })),
      })
  })
  return { '_bulk_docs by 100': bulkDocs, '_changes by 100': changes, '_bulk_get by 100': bulkGet }
}

const sides = { leanto: await startSync(), peer: await startPeer() }
const found: Record<string, Record<'leanto' | 'peer', number[]>> = {}
for (let round = 0; round < rounds; round++)
  for (const work of [asking, ...sizes.map(replicating)])
    for (const [side, { url }] of Object.entries(sides))
      for (const [name, perSecond] of Object.entries(await work(url))) {
        found[name] ??= { leanto: [], peer: [] }
        found[name][side as 'leanto' | 'peer'].push(perSecond)
      }
await Promise.all(Object.values(sides).map(({ stop }) => stop()))

const median = (list: number[]) => [...list].sort((a, b) => a - b)[list.length >> 1] as number
for (const [name, { leanto, peer }] of Object.entries(found))
  console.log(`${name.padEnd(20)} ${(median(leanto) / median(peer)).toFixed(2)}`)
process.exit(0)
