import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { servicesMigrations } from '../../src/services/migrations.ts'
import { root } from '../kit/running.ts'

/*
 * The whole way: clients over HTTP, the Worker in workerd, a real server behind it. What only this shows: that requests
 * which are not one another's wait for one another, and what happens when one of them is given up.
 */

let flare: Miniflare
let url: string
let asked: string[] = []
let behave: (request: IncomingMessage, response: ServerResponse) => void

const server = createServer(async (request, response) => {
  asked.push(request.url ?? '')
  behave(request, response)
})

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
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
      kvNamespaces: ['KV'],
      bindings: { ORIGIN: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    }),
  )
  url = `${(await flare.ready).origin}/services`
  const db = await flare.getD1Database('DB')
  for (const { sql } of servicesMigrations)
    for (const statement of sql) await db.prepare(statement).run()
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await flare?.dispose()
})
beforeEach(() => {
  asked = []
  behave = (_request, response) => response.end('answer')
})

const ask = (path: string, init: RequestInit & { token?: string } = {}) =>
  fetch(url + path, { ...init, headers: { authorization: `Bearer ${init.token ?? 'ada'}` } })

const counter = async (key: string) => {
  const db = await flare.getD1Database('DB')
  return db
    .prepare('SELECT requests, units FROM leanto_services_usage WHERE key = ?')
    .bind(key)
    .first<{ requests: number; units: number }>()
}

const until = async (done: () => boolean | Promise<boolean>) => {
  for (let i = 0; i < 200 && !(await done()); i++)
    await new Promise((resolve) => setTimeout(resolve, 25))
}

const slowly =
  (milliseconds: number, text = 'answer') =>
  (_: unknown, response: ServerResponse) =>
    void setTimeout(() => response.end(text), milliseconds)

it('lets exactly 100 of 1,000 parallel calls pass', async () => {
  const statuses: number[] = []
  const one = async () => {
    const response = await ask('/counted/a')
    await response.arrayBuffer()
    statuses.push(response.status)
  }
  await Promise.all(Array.from({ length: 1000 }, one))
  expect(statuses.filter((status) => status === 200)).toHaveLength(100)
  expect(statuses.filter((status) => status === 429)).toHaveLength(900)
  expect(asked).toHaveLength(100)
  expect((await counter('counted:user:ada:month'))?.requests).toBe(100)
})

it('makes one call of many for the same thing at once', async () => {
  behave = slowly(300)
  const all = await Promise.all(
    Array.from({ length: 25 }, (_, i) => ask(`/cached/b`, { token: `u${i}` })),
  )
  expect(await Promise.all(all.map((response) => response.text()))).toEqual(
    Array(25).fill('answer'),
  )
  expect(asked).toEqual(['/b'])
  // And keeps it.
  expect((await ask('/cached/b')).headers.get('cache-status')).toMatch(/^leanto; hit; ttl=\d+$/)
})

it('answers those who wait though the one whom they wait for is gone', async () => {
  behave = slowly(400)
  const leaving = new AbortController()
  const first = ask('/cached/c', { signal: leaving.signal }).catch(() => 'left')
  await until(() => asked.length === 1)
  const others = Array.from({ length: 5 }, (_, i) => ask('/cached/c', { token: `u${i}` }))
  await new Promise((resolve) => setTimeout(resolve, 100))
  leaving.abort()
  expect(await first).toBe('left')
  const texts = await Promise.all((await Promise.all(others)).map((response) => response.text()))
  expect(texts).toEqual(Array(5).fill('answer'))
})

it('does not follow a redirect (case 61)', async () => {
  behave = (_request, response) =>
    response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end()
  const response = await ask('/cached/d')
  expect(response.status).toBe(502)
  expect(response.headers.get('location')).toBeNull()
  expect(asked).toEqual(['/d'])
})

it('gives up on a server that does not answer, and says when it is cut off', async () => {
  behave = () => {}
  expect((await ask('/cached/e')).status).toBe(504)
  behave = (request) => request.socket.destroy()
  expect((await ask('/cached/e')).status).toBe(502)
})

it('streams events, and settles what they used at their end', async () => {
  let finish = () => {}
  behave = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
    finish = () => response.end('data: 2\n\n')
  }
  const reader = (await ask('/model/f')).body?.getReader()
  const read = async () => new TextDecoder().decode((await reader?.read())?.value)
  expect(await read()).toBe('data: 1\n\n')
  expect((await counter('model:user:ada:month'))?.units).toBe(100)
  finish()
  expect(await read()).toBe('data: 2\n\n')
  await until(async () => (await counter('model:user:ada:month'))?.units === 18)
  expect((await counter('model:user:ada:month'))?.units).toBe(18)
})

it('keeps what was reserved for a client that leaves in the middle', async () => {
  behave = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
  }
  const leaving = new AbortController()
  const response = await ask('/model/g', { token: 'eve', signal: leaving.signal })
  await response.body?.getReader().read()
  leaving.abort()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect((await counter('model:user:eve:month'))?.units).toBe(100)
})

it('settles a short answer though the client leaves before it is there', async () => {
  behave = slowly(200, 'xyz')
  const leaving = new AbortController()
  const gone = ask('/model/h', { token: 'bob', signal: leaving.signal }).catch(() => 'left')
  await until(() => asked.length === 1)
  leaving.abort()
  expect(await gone).toBe('left')
  await new Promise((resolve) => setTimeout(resolve, 500))
  // At most all that was reserved; nothing is lost to nobody.
  expect([3, 100]).toContain((await counter('model:user:bob:month'))?.units)
})

it('streams an upload, and breaks it off past its limit (case 67)', async () => {
  let received = 0
  let whole = 0
  behave = (request, response) => {
    received = 0
    request.on('data', (piece: Uint8Array) => {
      received += piece.length
    })
    request.on('end', () => {
      whole++
      response.end(String(received))
    })
  }
  const upload = (size: number) =>
    fetch(`${url}/upload/upload`, {
      method: 'POST',
      headers: { authorization: 'Bearer ada', 'content-type': 'text/plain' },
      duplex: 'half',
      body: new ReadableStream({
        start(controller) {
          for (let left = size; left > 0; left -= 50_000)
            controller.enqueue(new Uint8Array(Math.min(left, 50_000)))
          controller.close()
        },
      }),
    } as RequestInit)
  expect(await (await upload(1_000_000)).text()).toBe('1000000')
  expect((await upload(1_000_001)).status).toBe(413)
  expect((await upload(1_050_000)).status).toBe(413)
  // The service never took a part for the whole.
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(whole).toBe(1)
})
