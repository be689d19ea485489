import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { jobsMigrations } from '../../src/jobs/migrations.ts'
import type { Delivery } from '../../src/jobs/webhooks/log.ts'
import { webhooksMigrations } from '../../src/jobs/webhooks/migrations.ts'
import { root } from '../kit/running.ts'

let flare: Miniflare
let url: URL
const servers: Server[] = []

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [`${root}test/kit/webhooks-worker.ts`],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    alias: {
      leanto: `${root}src/core/index.ts`,
      'leanto/jobs': `${root}src/jobs/index.ts`,
      'leanto/jobs/webhooks': `${root}src/jobs/webhooks/index.ts`,
    },
  })
  flare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      modules: true,
      script: outputFiles[0]?.text ?? '',
      compatibilityDate: '2026-10-01',
      d1Databases: ['DB'],
      kvNamespaces: ['KV'],
    }),
  )
  url = await flare.ready
  const db = await flare.getD1Database('DB')
  for (const { sql } of [...jobsMigrations, ...webhooksMigrations])
    for (const statement of sql) await db.prepare(statement).run()
})
afterAll(async () => {
  await flare?.dispose()
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

const post = async <T>(path: string, body: unknown = {}): Promise<T> => {
  const response = await fetch(new URL(path, url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return (response.status === 204 ? undefined : await response.json()) as T
}

interface Asked {
  path: string
  headers: Record<string, string>
  body: string
}

/** A receiver, and its address. */
async function receiver(answer: (asked: Asked, nth: number) => number | 'cut' | 'slow') {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = {
        path: request.url ?? '',
        headers: request.headers as Record<string, string>,
        body: Buffer.concat(chunks).toString(),
      }
      asked.push(one)
      const status = answer(one, asked.length)
      if (status === 'cut') return request.socket.destroy()
      if (status === 'slow') return
      response.writeHead(status, { location: `${address}/elsewhere`, 'set-cookie': 'a=b' }).end('x')
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { asked, address }
}

const log = async (id: string): Promise<Delivery[]> =>
  (await (await fetch(new URL(`/log/${id}`, url))).json()) as Delivery[]

it('delivers to real receivers, that verify with the official library, fail, cut, stall and redirect', async () => {
  const accepted: unknown[] = []
  let secret = ''
  const good = await receiver(({ body, headers }) => {
    try {
      accepted.push(new Webhook(secret).verify(body, headers))
      return 204
    } catch {
      return 401
    }
  })
  const flaky = await receiver((_, nth) => (['cut', 'slow', 500] as const)[nth - 1] ?? 200)
  const moved = await receiver(({ path }) => (path === '/elsewhere' ? 200 : 307))
  const register = (address: string) =>
    post<{ id: string; secret: string }>('/register', { url: `${address}/hook` })
  const registered = await register(good.address)
  secret = registered.secret
  const [{ id: flakyId }, { id: movedId }] = [
    await register(flaky.address),
    await register(moved.address),
  ]
  const data = { title: 'é "quoted" \u{1F600}', n: 1.5, list: [null, true] }
  const { id } = await post<{ id: string }>('/send', { type: 'note.created', data })
  for (let i = 0; i < 4; i++) {
    await post('/drain')
    await post('/later')
  }
  // The official library's own clock is the real one: the first delivery is the one that it takes.
  expect(accepted).toEqual([expect.objectContaining({ type: 'note.created', data })])
  expect(good.asked).toHaveLength(1)

  expect(flaky.asked.map(({ headers }) => headers['webhook-id'])).toEqual(Array(4).fill(id))
  expect(new Set(flaky.asked.map(({ body }) => body)).size).toBe(1)
  expect((await log(flakyId)).map(({ status, error }) => [status, error]).reverse()).toEqual([
    [null, 'The connection failed'],
    [null, 'No answer in 1 s'],
    [500, 'The receiver answered 500'],
    [200, null],
  ])

  expect(moved.asked.length).toBeGreaterThan(1)
  expect(moved.asked.every(({ path }) => path === '/hook')).toBe(true)
  expect((await log(movedId))[0]).toMatchObject({ status: 307 })
  for (const { headers } of [...good.asked, ...flaky.asked, ...moved.asked])
    expect([headers.cookie, headers.authorization, headers.apikey]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
})
