import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { jobsMigrations } from '../../src/jobs/migrations.ts'
import { root } from '../kit/running.ts'

let folder: string
let flare: Miniflare | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobs-'))
})
afterEach(async () => {
  await flare?.dispose()
  flare = undefined
  await rm(folder, { recursive: true, force: true })
})

/** Runs the Worker on the database of this test, as it was left. */
async function start(bindings: { AHEAD: number; WITH_QUEUE: boolean }) {
  const { outputFiles } = await build({
    entryPoints: [`${root}test/kit/jobs-worker.ts`],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    alias: { leanto: `${root}src/core/index.ts`, 'leanto/jobs': `${root}src/jobs/index.ts` },
  })
  flare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      modules: true,
      script: outputFiles[0]?.text ?? '',
      compatibilityDate: '2026-10-01',
      d1Databases: ['DB'],
      resourcePersistencePath: folder,
      kvNamespaces: ['KV'],
      queueProducers: { JOBS: 'jobs' },
      queueConsumers: { jobs: { maxBatchSize: 10, maxBatchTimeout: 0.05, maxRetries: 5 } },
      bindings,
    }),
  )
  const url = await flare.ready
  const db = await flare.getD1Database('DB')
  for (const { sql } of jobsMigrations)
    for (const statement of sql) await db.prepare(statement).run()
  await db.prepare('CREATE TABLE IF NOT EXISTS starts (n INTEGER, key TEXT)').run()
  const post = (path: string, body: unknown = {}) =>
    fetch(new URL(path, url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const count = async (sql: string): Promise<number> =>
    ((await db.prepare(sql).first<{ n: number }>()) as { n: number }).n
  return { post, count, db }
}

const until = async (check: () => Promise<boolean>) => {
  for (let tries = 0; tries < 400; tries++) {
    if (await check()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('it did not come to that')
}

const starts = 'SELECT count(*) AS n FROM starts'
const inState = (state: string) =>
  `SELECT count(*) AS n FROM leanto_jobs_jobs WHERE state = '${state}'`
const mostStarts =
  'SELECT max(times) AS n FROM (SELECT count(*) AS times FROM starts GROUP BY n, key)'

it('a Worker that is killed during jobs loses none, and runs none of them a third time', async () => {
  const first = await start({ AHEAD: 0, WITH_QUEUE: false })
  await first.post('/enqueue', { from: 1, to: 20, ms: 0 })
  await first.post('/enqueue', { from: 21, to: 50, ms: 30_000 })
  first.post('/drain').catch(() => {})
  // The first round has ended, the second is in the middle of its work.
  await until(async () => (await first.count(starts)) === 40)
  expect(await first.count(inState('done'))).toBe(20)
  await flare?.dispose()

  const second = await start({ AHEAD: 30, WITH_QUEUE: false })
  expect(await second.count(inState('running'))).toBe(20)
  await second.db
    .prepare(`UPDATE leanto_jobs_jobs SET payload = json_set(payload, '$.ms', 0)`)
    .run()
  // Its leases still hold: another Worker takes only what nobody has.
  expect(await (await second.post('/drain')).json()).toEqual({ ran: 10, more: false })
  await flare?.dispose()

  const third = await start({ AHEAD: 90, WITH_QUEUE: false })
  expect(await (await third.post('/drain')).json()).toEqual({ ran: 20, more: false })
  expect(await third.count(inState('done'))).toBe(50)
  expect(await third.count('SELECT count(DISTINCT n) AS n FROM starts')).toBe(50)
  // The twenty that were cut off twice, with the same key; the others once.
  expect(await third.count(starts)).toBe(70)
  expect(await third.count(mostStarts)).toBe(2)
})

it('a real queue runs jobs at once, without a cron trigger, and again after failures', async () => {
  const { post, count } = await start({ AHEAD: 0, WITH_QUEUE: true })
  await post('/enqueue', { from: 1, to: 100, ms: 1 })
  await until(async () => (await count(inState('done'))) === 100)
  expect(await count(starts)).toBe(100)
  expect(await count(mostStarts)).toBe(1)
  // Each fails twice: its next message comes when it is due again.
  await post('/enqueue', { from: 101, to: 105, ms: 1, fails: 2 })
  await until(async () => (await count(inState('done'))) === 105)
  expect(await count(starts)).toBe(115)
  expect(await count(mostStarts)).toBe(3)
})
