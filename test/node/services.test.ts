import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Hono } from 'hono'
import { bind, type Identity, migrate } from 'leanto'
import { type ServiceOptions, service, services } from 'leanto/services'
import { streamed } from 'leanto/services/streamed'
import { libre, translate } from 'leanto/services/translate'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'

/*
 * A real server on loopback that behaves badly as it is told to, behind the real fetch. The app answers on a loopback
 * name, as in development: only so may it call one.
 */

interface Env {
  DB: unknown
  KV: unknown
}

let worker: Miniflare
let bindings: Env
let port = 0
let behave: (request: IncomingMessage, response: ServerResponse, body: string) => void
let asked: { url: string; method: string; headers: IncomingMessage['headers']; body: string }[] = []
let log: ReturnType<typeof vi.spyOn>

const server = createServer(async (request, response) => {
  let body = ''
  try {
    for await (const chunk of request) body += chunk
  } catch {
    return
  }
  const { url = '', method = '', headers } = request
  asked.push({ url, method, headers, body })
  behave(request, response, body)
})

beforeAll(async () => {
  worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: 'export default { fetch: () => new Response() }',
      compatibilityDate: '2026-10-01',
      d1Databases: ['DB'],
      kvNamespaces: ['KV'],
    }),
  )
  await worker.ready
  bindings = { DB: await worker.getD1Database('DB'), KV: await worker.getKVNamespace('KV') }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await worker?.dispose()
})
beforeEach(() => {
  asked = []
  behave = (_request, response) => response.end('{}')
  log = vi.spyOn(console, 'error').mockImplementation(() => {})
})
afterEach(() => log.mockRestore())

const ada: Identity = {
  principal: async () => ({ id: 'ada', role: 'authenticated', claims: {} }),
}

/** An app with one service at the server. */
async function app(options: Partial<ServiceOptions<Env>> = {}, site = 'http://localhost') {
  const base = bind<Env>({
    db: (env) => env.DB as never,
    kv: (env) => env.KV as never,
    secret: () => 'a-secret-of-these-tests-alone-0123456789abcdef',
  })
  const origin = `http://127.0.0.1:${port}`
  const module = services(base, {
    identity: ada,
    services: {
      api: service<Env>({
        origin,
        auth: { header: 'authorization', value: () => 'Bearer sk-0123456789' },
        allow: [
          { method: 'GET', path: '/v1/things/:id' },
          { method: 'POST', path: '/v1/files', body: streamed('text/plain'), bytes: 100_000 },
        ],
        quota: { user: { requests: { day: 1_000_000 } } },
        breaker: false,
        retries: 0,
        timeout: 300,
        ...options,
      }),
    },
    parts: [
      translate({
        providers: [libre<Env>({ origin: () => origin, timeout: 300 })],
        quota: { user: { units: { day: 1_000_000 } } },
        cache: false,
      }),
    ],
  })
  await migrate(bindings.DB as never, [module])
  const hono = new Hono<{ Bindings: Env }>().route('/services', module.routes)
  return (path: string, init: RequestInit = {}) => {
    const request = new Request(`${site}/services${path}`, init)
    return hono.fetch(request, bindings, {
      waitUntil: () => {},
      passThroughOnException() {},
    } as never)
  }
}

const thing = '/api/v1/things/1'

it('reaches a real server, with the key and nothing of the user', async () => {
  const ask = await app()
  behave = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'set-cookie': 'a=b' })
    response.end('{"ok":true}')
  }
  const response = await ask(thing, {
    headers: { cookie: 'session=1', authorization: 'Bearer user', 'x-forwarded-for': '1.2.3.4' },
  })
  expect(await response.json()).toEqual({ ok: true })
  expect(response.headers.get('set-cookie')).toBeNull()
  expect(asked[0]).toMatchObject({ url: '/v1/things/1', method: 'GET', body: '' })
  expect(asked[0]?.headers.authorization).toBe('Bearer sk-0123456789')
  expect(asked[0]?.headers.cookie).toBeUndefined()
  expect(asked[0]?.headers['x-forwarded-for']).toBeUndefined()
})

it.each([
  'http://169.254.169.254/latest/meta-data/',
  'http://2852039166/',
  'http://[::ffff:169.254.169.254]/',
  '/v1/elsewhere',
  '//127.0.0.1/',
])('does not follow a redirect to %s (case 61)', async (location) => {
  const ask = await app()
  for (const status of [301, 302, 303, 307, 308]) {
    behave = (_request, response) => response.writeHead(status, { location }).end('moved')
    const response = await ask(thing)
    expect(response.status).toBe(502)
    expect(response.headers.get('location')).toBeNull()
    expect(await response.text()).not.toContain('moved')
  }
  // Each once, and never where it was sent to.
  expect(asked.map(({ url }) => url)).toEqual(Array(5).fill('/v1/things/1'))
})

it('says so when the connection is cut before an answer, or nothing listens', async () => {
  const ask = await app()
  behave = (request) => request.socket.destroy()
  const cut = await ask(thing)
  expect([cut.status, ((await cut.json()) as { code: string }).code]).toEqual([
    502,
    'upstream_failed',
  ])
  const nowhere = await app({ origin: 'http://127.0.0.1:1' })
  expect((await nowhere(thing)).status).toBe(502)
})

it('breaks the answer off when the connection is cut in the middle of it', async () => {
  const ask = await app()
  behave = (request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half of it')
    setTimeout(() => request.socket.destroy(), 20)
  }
  const response = await ask(thing)
  expect(response.status).toBe(200)
  await expect(response.text()).rejects.toThrow()
})

it('gives up on a server that does not answer, and on one that stops in the middle', async () => {
  const ask = await app()
  behave = () => {}
  const started = Date.now()
  const never = await ask(thing)
  expect(never.status).toBe(504)
  expect(Date.now() - started).toBeLessThan(3000)
  behave = (_request, response) => void response.write('a little')
  const stops = await ask(thing)
  await expect(stops.text()).rejects.toThrow('stopped coming')
})

it('tries a safe call again, and it works', async () => {
  const ask = await app({ retries: 2 })
  behave = (request, response) =>
    asked.length < 3 ? request.socket.destroy() : response.end('there')
  expect(await (await ask(thing)).text()).toBe('there')
  expect(asked).toHaveLength(3)
})

it('streams events as they come', async () => {
  const ask = await app()
  let finish = () => {}
  behave = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: one\n\n')
    finish = () => response.end('data: two\n\n')
  }
  const reader = (await ask(thing)).body?.getReader()
  const read = async () => new TextDecoder().decode((await reader?.read())?.value)
  expect(await read()).toBe('data: one\n\n')
  finish()
  expect(await read()).toBe('data: two\n\n')
})

it('streams a body on, and breaks it off past its limit (case 67)', async () => {
  const ask = await app()
  const body = (pieces: number) =>
    new ReadableStream({
      async start(controller) {
        for (let i = 0; i < pieces; i++) {
          controller.enqueue(new TextEncoder().encode('x'.repeat(10_000)))
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
        controller.close()
      },
    })
  const post = (pieces: number) =>
    ask('/api/v1/files', {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: body(pieces),
      duplex: 'half',
    } as RequestInit)
  expect((await post(10)).status).toBe(200)
  expect(asked[0]?.body.length).toBe(100_000)
  expect((await post(11)).status).toBe(413)
  // What was broken off is no whole request to the service.
  expect(asked).toHaveLength(1)
})

it('does not hand on what looks like two answers', async () => {
  const ask = await app()
  behave = (request) => {
    request.socket.end(
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nokHTTP/1.1 200 OK\r\nset-cookie: a=b\r\n\r\nevil',
    )
  }
  const response = await ask(thing)
  expect(await response.text()).toBe('ok')
})

it('translates by a real server, and says so when there is none', async () => {
  const ask = await app()
  behave = (_request, response, body) => {
    const { q } = JSON.parse(body) as { q: string[] }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ translatedText: q.map((text) => text.toUpperCase()) }))
  }
  const post = (text: string) =>
    ask('/translate', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text, source: 'en', target: 'de' }),
    })
  expect(await (await post('Hello there.')).json()).toMatchObject({ text: 'HELLO THERE.' })
  behave = (_request, response) => response.writeHead(302, { location: 'http://10.0.0.1/' }).end()
  expect((await post('Again.')).status).toBe(502)
  behave = () => {}
  expect((await post('And again.')).status).toBe(504)
})

it('calls no loopback for who came by another name', async () => {
  const ask = await app({}, 'https://app.example')
  expect((await ask(thing)).status).toBe(500)
  expect(asked).toEqual([])
  expect(log.mock.calls.flat().map(String).join()).toContain('in local development only')
})
