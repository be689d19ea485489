import type { ServiceOptions } from 'leanto/services'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Env, freshDatabase } from '../kit/world.ts'
import { client, counters, deepl, gateway, hello, key, Upstream } from './world.ts'

let upstream: Upstream
let ask: ReturnType<typeof client>
let log: ReturnType<typeof vi.spyOn>

const make = (options: Partial<ServiceOptions<Env>> = {}) => {
  const module = gateway({ deepl: deepl(upstream, options) })
  ask = client(module)
  return module
}

beforeEach(async () => {
  upstream = new Upstream()
  log = vi.spyOn(console, 'error').mockImplementation(() => {})
  await freshDatabase([make()])
})
afterEach(() => log.mockRestore())

const translate = () => ask('/deepl/v2/translate', { body: hello, token: 'ada' })

const encode = (text: string) => new TextEncoder().encode(text)

/** A body that comes piece by piece. */
const pieces = (all: readonly string[], wait = 0) =>
  new ReadableStream<Uint8Array>({
    async start(controller) {
      for (const piece of all) {
        controller.enqueue(encode(piece))
        await new Promise((resolve) => setTimeout(resolve, wait))
      }
      controller.close()
    },
  })

const post = (body: BodyInit, headers: Record<string, string> = {}) =>
  ask('/deepl/v2/document', {
    token: 'ada',
    method: 'POST',
    headers: { 'content-type': 'text/plain', ...headers },
    raw: { body },
  })

describe('a body on its way to a service', () => {
  it('is streamed as it comes', async () => {
    const { status } = await post(pieces(['one ', 'two ', 'three']))
    expect(status).toBe(200)
    expect(upstream.last.body).toBe('one two three')
    expect(upstream.last.request.headers.get('content-type')).toBe('text/plain')
  })

  it.each([
    ['with an honest length', 'x'.repeat(1001), {}],
    ['without a length', pieces(Array(11).fill('x'.repeat(100))), {}],
    ['with a false length', pieces(Array(11).fill('x'.repeat(100))), { 'content-length': '5' }],
  ])('is bounded %s (case 67)', async (_how, body, headers) => {
    const { status, json } = await post(body, headers)
    expect([status, json.code]).toEqual([413, 'too_large'])
    // The service was not at fault, and nothing was used.
    expect((await counters())['deepl:user:ada:minute']?.units ?? 0).toBe(0)
  })

  it('is of a declared type', async () => {
    expect((await post('<a/>', { 'content-type': 'text/html' })).status).toBe(415)
    expect((await post('a', { 'content-type': 'text/plain; charset=utf-8' })).status).toBe(200)
  })

  it('may be metered by its declared size', async () => {
    make({
      meter: { unit: 'bytes', most: ({ size }) => size ?? 1000 },
      quota: { user: { units: { day: 1500 } } },
    })
    await post('x'.repeat(100), { 'content-length': '100' })
    await post(pieces(['x']))
    expect((await counters())['deepl:user:ada:day']?.units).toBe(1100)
  })
})

describe('an answer on its way to the client', () => {
  const events = (...all: unknown[]) => all.map((one) => `data: ${JSON.stringify(one)}\n\n`)
  const stream = (body: BodyInit) =>
    new Response(body, { headers: { 'content-type': 'text/event-stream' } })

  it('is streamed, and what it used is read from its end', async () => {
    make({
      meter: {
        unit: 'tokens',
        most: () => 100,
        used: (_call, { text }) => JSON.parse(text.trim().split('data: ').at(-1) ?? '').used,
      },
      quota: { user: { units: { day: 500 } } },
    })
    const all = events({ text: 'Hal' }, { text: 'lo' }, { used: 7 })
    upstream.answer = () => stream(pieces(all, 5))
    const { text, headers } = await translate()
    expect(text).toBe(all.join(''))
    expect(headers.get('content-type')).toBe('text/event-stream')
    expect((await counters())['deepl:user:ada:day']?.units).toBe(7)
  })

  it('comes piece by piece: the first is there before the last was made', async () => {
    let finish = () => {}
    upstream.answer = () =>
      stream(
        new ReadableStream({
          start(controller) {
            controller.enqueue(encode('data: first\n\n'))
            finish = () => {
              controller.enqueue(encode('data: last\n\n'))
              controller.close()
            }
          },
        }),
      )
    const module = make()
    const response = await module.routes.request(
      '/deepl/v2/translate',
      {
        method: 'POST',
        headers: { authorization: 'Bearer ada', 'content-type': 'application/json' },
        body: JSON.stringify(hello),
      },
      (await import('cloudflare:workers')).env,
    )
    const reader = response.body?.getReader()
    const first = await reader?.read()
    expect(new TextDecoder().decode(first?.value)).toBe('data: first\n\n')
    finish()
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('data: last\n\n')
    expect((await reader?.read())?.done).toBe(true)
  })

  it('keeps all that was reserved if the client leaves before its end', async () => {
    const module = make({
      meter: { unit: 'tokens', most: () => 100, used: () => 1 },
      quota: { user: { units: { day: 500 } } },
    })
    upstream.answer = () => stream(pieces(events(...Array(50).fill('x')), 10))
    const response = await module.routes.request(
      '/deepl/v2/translate',
      {
        method: 'POST',
        headers: { authorization: 'Bearer ada', 'content-type': 'application/json' },
        body: JSON.stringify(hello),
      },
      (await import('cloudflare:workers')).env,
    )
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    expect((await counters())['deepl:user:ada:day']?.units).toBe(100)
  })

  it('is broken off past its limit', async () => {
    make({ answerBytes: 1000 })
    upstream.answer = () => new Response(pieces(Array(11).fill('x'.repeat(100))))
    await expect(translate()).rejects.toThrow('longer than 1000 bytes')
  })

  it('is broken off when it stops coming', async () => {
    make({ timeout: 30 })
    upstream.answer = () =>
      new Response(new ReadableStream({ start: (c) => c.enqueue(encode('x')) }))
    await expect(translate()).rejects.toThrow('stopped coming')
  })

  it('hides the key in events too, and holds nothing back that is not its beginning', async () => {
    upstream.answer = () => stream(pieces([`data: ${key.slice(0, 9)}`, `${key.slice(9)}\n\n`]))
    expect((await translate()).text).toBe('data: [hidden]\n\n')
  })

  it('passes unread what is not text', async () => {
    make({
      meter: { unit: 'calls', most: () => 3, used: () => 1 },
      quota: { user: { units: { day: 500 } } },
    })
    upstream.answer = () => new Response(new Uint8Array([255, 0, 254]))
    expect((await translate()).status).toBe(200)
    expect((await counters())['deepl:user:ada:day']?.units).toBe(3)
  })

  it('may be empty, or have no body', async () => {
    upstream.answer = () => new Response(null, { status: 204 })
    expect((await translate()).status).toBe(204)
    upstream.answer = () => new Response('')
    expect((await translate()).text).toBe('')
  })
})
