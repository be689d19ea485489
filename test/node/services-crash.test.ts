import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { servicesMigrations } from '../../src/services/migrations.ts'
import { removeFolder, root, temporaryFolder } from '../kit/running.ts'

/*
 * A Worker that is killed between the reservation of a call and its settlement. Whether the service did the work, and will
 * have it paid, nobody knows: the reservation stays used until its window ends. A quota may be too strict by what died, and
 * is never overrun.
 */

let folder: string
let flare: Miniflare | undefined
let asked = 0
let behave: (response: ServerResponse) => void = () => {}

const server = createServer((_request, response) => {
  asked++
  behave(response)
})

beforeEach(async () => {
  folder = temporaryFolder()
  asked = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  await flare?.dispose()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  removeFolder(folder)
})

/** Runs the Worker on the database of this test, as it was left. */
async function start(ahead = 0) {
  const { outputFiles } = await build({
    entryPoints: [`${root}test/kit/services-worker.ts`],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*'],
    alias: {
      leanto: `${root}src/core/index.ts`,
      'leanto/services': `${root}src/services/index.ts`,
      'leanto/services/cache': `${root}src/services/cache/index.ts`,
      'leanto/services/streamed': `${root}src/services/streamed/index.ts`,
    },
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
      bindings: {
        ORIGIN: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        AHEAD: ahead,
      },
    }),
  )
  const url = `${(await flare.ready).origin}/services`
  const db = await flare.getD1Database('DB')
  for (const { sql } of servicesMigrations)
    for (const statement of sql) await db.prepare(statement).run()
  return {
    ask: (path: string) => fetch(url + path, { headers: { authorization: 'Bearer ada' } }),
    used: () =>
      db
        .prepare(
          `SELECT requests, units FROM leanto_services_usage WHERE key = 'model:user:ada:month'`,
        )
        .first<{ requests: number; units: number }>(),
  }
}

it('keeps what was reserved as used, until the window ends', async () => {
  const first = await start()
  // Of 1,000 units ten calls of at most 100 each fit.
  behave = () => {}
  const dying = Array.from({ length: 9 }, () => first.ask('/model/a').catch(() => 'dead'))
  await expect.poll(() => asked, { timeout: 10_000 }).toBe(9)
  expect(await first.used()).toEqual({ requests: 9, units: 900 })
  await flare?.dispose()
  server.closeAllConnections()
  expect(await Promise.all(dying)).toEqual(Array(9).fill('dead'))

  const second = await start()
  expect(await second.used()).toEqual({ requests: 9, units: 900 })
  behave = (response) => response.end('answer')
  // One fits, and gives back what it did not use; no other does.
  expect((await second.ask('/model/b')).status).toBe(200)
  await expect.poll(second.used).toEqual({ requests: 10, units: 906 })
  const refused = await second.ask('/model/c')
  expect(refused.status).toBe(429)
  expect(refused.headers.get('x-ratelimit-remaining')).toBe('0')
  expect(asked).toBe(10)
  await flare?.dispose()

  const month = 32 * 24 * 3600
  const third = await start(month)
  expect((await third.ask('/model/d')).status).toBe(200)
  await expect.poll(third.used).toEqual({ requests: 1, units: 6 })
})
