import { env } from 'cloudflare:workers'
import type { ServiceOptions } from 'leanto/services'
import { cached } from 'leanto/services/cache'
import { streamed } from 'leanto/services/streamed'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { clock, type Env, freshDatabase, makeBase } from '../kit/world.ts'
import { client, counters, deepl, gateway, hello, Upstream } from './world.ts'

let upstream: Upstream
let second: Upstream
let ask: ReturnType<typeof client>
let log: ReturnType<typeof vi.spyOn>

const rule = { seconds: 600, per: 'shared' as const }
const cache = cached(rule)

const make = (options: Partial<ServiceOptions<Env>> = {}, base = makeBase()) => {
  const module = gateway(
    {
      deepl: deepl(upstream, { cache, ...options }),
      libre: deepl(second, {
        origin: 'https://libre.example',
        allow: [{ method: 'GET', path: '/find', query: ['q'] }],
        quota: { user: { requests: { day: 2 } } },
      }),
    },
    {},
    base,
  )
  ask = client(module, base)
  return module
}

beforeEach(async () => {
  clock.time = Date.parse('2026-06-01T12:00:00Z')
  upstream = new Upstream()
  second = new Upstream()
  log = vi.spyOn(console, 'error').mockImplementation(() => {})
  await freshDatabase([make()])
})
afterEach(() => log.mockRestore())

const translate = (token = 'ada', more = {}) =>
  ask('/deepl/v2/translate', { body: hello, token, ...more })

const fails = () => new Response('', { status: 500 })

describe('the cache', () => {
  it('answers what was asked before, by one trip and without the service', async () => {
    make()
    const first = await translate()
    expect(first.headers.get('cache-status')).toBe('leanto; fwd=miss')
    clock.advance(30)
    const again = await translate('bob')
    expect(again.text).toBe(first.text)
    expect(again.cost.trips).toBe(1)
    expect(again.headers.get('cache-status')).toBe('leanto; hit; ttl=570')
    expect(again.headers.get('age')).toBe('30')
    // Personal to whoever is between: the answer's own cache is ours alone (case 66).
    expect(again.headers.get('cache-control')).toBe('no-store')
    expect(upstream.seen).toHaveLength(1)
  })

  it('counts a request, but neither units nor money', async () => {
    make({
      meter: { unit: 'characters', most: () => 5 },
      price: { request: 1 },
      quota: { user: { requests: { day: 3 }, units: { day: 5 } } },
    })
    for (let i = 0; i < 3; i++) expect((await translate()).status).toBe(200)
    expect((await counters())['deepl:user:ada:day']).toEqual({
      requests: 3,
      units: 5,
      micros: 1_000_000,
    })
    expect((await translate()).status).toBe(429)
  })

  it('ends with its time', async () => {
    make()
    await translate()
    clock.advance(600)
    expect((await translate()).headers.get('cache-status')).toBe('leanto; fwd=stale')
    expect(upstream.seen).toHaveLength(2)
  })

  it('tells calls apart by all that is sent on', async () => {
    make()
    await translate()
    await translate('ada', { body: { ...hello, target_lang: 'FR' } })
    await translate('ada', { headers: { 'accept-language': 'fr' } })
    await ask('/deepl/v2/glossaries/a', { token: 'ada' })
    await ask('/deepl/v2/glossaries/b', { token: 'ada' })
    await ask('/deepl/v2/glossaries/b?page=2', { token: 'ada' })
    expect(upstream.seen).toHaveLength(6)
  })

  it('gives one user’s answer to nobody else where it is per user', async () => {
    make({ cache: cached({ seconds: 600, per: 'user' }) })
    await translate('ada')
    await translate('bob')
    await translate('ada')
    expect(upstream.seen).toHaveLength(2)
  })

  it.each([
    ['status 201', () => new Response('x', { status: 201 })],
    ['status 400', () => new Response('x', { status: 400 })],
    ['an answer that is private', () => cacheControl('private')],
    ['an answer that is not to be stored', () => cacheControl('no-store, max-age=5')],
    ['bytes that are no text', () => new Response(new Uint8Array([0xff, 0xfe, 0x00]))],
    ['more than 1 MiB', () => new Response('x'.repeat(1024 * 1024 + 1))],
  ])('does not keep %s', async (_what, answer) => {
    make()
    upstream.answer = answer
    const first = await translate()
    expect((await translate()).text).toBe(first.text)
    expect(upstream.seen).toHaveLength(2)
    expect((await env.KV.list()).keys).toEqual([])
  })

  const cacheControl = (value: string) => new Response('x', { headers: { 'cache-control': value } })

  it('keeps no text of a client in its keys, and no cookie of a service (cases 57 and 66)', async () => {
    make()
    upstream.answer = () =>
      Response.json({}, { headers: { 'set-cookie': 'a=b', authorization: 'x' } })
    await translate()
    const { keys } = await env.KV.list()
    expect(keys.map(({ name }) => name)).toEqual([
      expect.stringMatching(/^leanto:services:deepl:[\w-]{43}$/),
    ])
    expect(await env.KV.get(keys[0]?.name as string)).not.toMatch(/cookie|authorization/)
  })

  it('is passed by where a call says so, and for streamed bodies', async () => {
    make({
      allow: [
        { method: 'GET', path: '/v2/usage', cache: false },
        { method: 'POST', path: '/v2/document', body: streamed('text/plain') },
      ],
    })
    for (let i = 0; i < 2; i++) {
      await ask('/deepl/v2/usage', { token: 'ada' })
      await ask('/deepl/v2/document', {
        token: 'ada',
        body: 'x',
        headers: { 'content-type': 'text/plain' },
      })
    }
    expect(upstream.seen).toHaveLength(4)
  })

  it('fails as if it were empty', async () => {
    const broken = () => Promise.reject(new Error('KV is away'))
    make({}, makeBase({ kv: () => ({ get: broken, put: broken, delete: broken }) }))
    expect((await translate()).status).toBe(200)
    expect((await translate()).status).toBe(200)
    expect(upstream.seen).toHaveLength(2)
  })
})

describe('calls for the same thing at the same time', () => {
  it('are one call of the service, and each is counted as a request', async () => {
    make({
      meter: { unit: 'characters', most: () => 5 },
      quota: { app: { requests: { day: 100 }, units: { day: 5 } } },
    })
    upstream.answer = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return Response.json({ n: upstream.seen.length })
    }
    const all = await Promise.all(Array.from({ length: 30 }, (_, i) => translate(`u${i}`)))
    expect(all.map(({ status, json }) => [status, json.n])).toEqual(Array(30).fill([200, 1]))
    expect(upstream.seen).toHaveLength(1)
    expect((await counters())['deepl:app::day']).toMatchObject({ requests: 30, units: 5 })
  })

  it('are as many where they are per user', async () => {
    make({ cache: cached({ seconds: 600, per: 'user' }) })
    await Promise.all(Array.from({ length: 9 }, (_, i) => translate(`u${i % 3}`)))
    expect(upstream.seen).toHaveLength(3)
  })

  it('go by themselves if the first one failed', async () => {
    make()
    upstream.answer = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      return upstream.seen.length === 1 ? fails() : Response.json({})
    }
    const all = await Promise.all(Array.from({ length: 5 }, (_, i) => translate(`u${i}`)))
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 502])
  })
})

describe('a fallback', () => {
  it('is the last answer, as long as it may be one', async () => {
    make({ fallback: 'stale', cache: cached({ ...rule, stale: 3600 }) })
    const first = await translate()
    clock.advance(700)
    upstream.answer = fails
    const stale = await translate()
    expect(stale.status).toBe(200)
    expect(stale.text).toBe(first.text)
    expect(stale.headers.get('cache-status')).toBe('leanto; hit; ttl=-100; detail=upstream_failed')
    clock.advance(3600)
    expect((await translate()).status).toBe(502)
  })

  it('is nothing that was never there', async () => {
    make({ fallback: 'stale' })
    upstream.answer = fails
    expect((await translate()).json.code).toBe('upstream_failed')
  })

  it('is another service, by its own rules and quotas', async () => {
    const text = ({ body }: { body?: unknown }) => (body as typeof hello).text.join()
    make({
      fallback: {
        service: 'libre',
        call: (call) => ({ method: 'GET', path: '/find', query: { q: text(call) } }),
      },
    })
    upstream.answer = fails
    second.answer = () => Response.json({ from: 'libre' })
    const answer = await translate()
    expect([answer.status, answer.json]).toEqual([200, { from: 'libre' }])
    expect(answer.headers.get('x-leanto-service')).toBe('libre')
    expect(second.last.request.url).toBe('https://libre.example/find?q=Hello')
    expect((await counters())['libre:user:ada:day']?.requests).toBe(1)
    expect((await translate()).status).toBe(200)
    expect((await translate()).json.code).toBe('quota_exceeded')
  })

  it('is not one whose own rules the caller does not pass, nor one of a fallback', async () => {
    const call = () => ({ method: 'POST' as const, path: '/v2/translate', body: hello })
    const third = new Upstream()
    const options = { fallback: { service: 'three', call } }
    const module = gateway({
      one: deepl(upstream, { fallback: { service: 'two', call } }),
      two: deepl(second, options),
      three: deepl(third, { access: ({ id }) => id === 'eve' }),
      four: deepl(upstream, options),
    })
    const asked = client(module)
    upstream.answer = second.answer = fails
    const from = (name: string, token: string) =>
      asked(`/${name}/v2/translate`, { body: hello, token })
    expect((await from('one', 'eve')).status).toBe(502)
    expect((await from('four', 'ada')).status).toBe(502)
    expect((await from('four', 'eve')).status).toBe(200)
  })

  it('does not stand in for what the client did wrong, or has no quota for', async () => {
    make({
      quota: { user: { requests: { day: 1 } } },
      fallback: { service: 'libre', call: () => ({ method: 'GET', path: '/find' }) },
    })
    upstream.answer = () => new Response('', { status: 400 })
    expect((await translate()).status).toBe(400)
    expect((await translate()).status).toBe(429)
    expect(second.seen).toEqual([])
  })
})

describe('a service that fails', () => {
  const none = { cache: undefined as never }

  it('is tried again where that is safe, and only there', async () => {
    make({ ...none, retries: 2 })
    upstream.answer = () => (upstream.seen.length < 3 ? fails() : Response.json({}))
    expect((await ask('/deepl/v2/glossaries/a', { token: 'ada' })).status).toBe(200)
    expect(upstream.seen).toHaveLength(3)
    upstream.seen.length = 0
    expect((await translate()).status).toBe(502)
    expect(upstream.seen).toHaveLength(1)
    expect((await counters())['deepl:user:ada:minute']?.requests).toBe(2)
  })

  it('is not tried again when it says to wait, or refuses', async () => {
    make({ ...none, retries: 2 })
    for (const status of [429, 503, 401, 400]) {
      upstream.seen.length = 0
      upstream.answer = () => new Response('', { status })
      await ask('/deepl/v2/glossaries/a', { token: 'ada' })
      expect(upstream.seen).toHaveLength(1)
    }
  })

  it('is closed after so many failures in a row, and tried again after so long', async () => {
    make({ ...none, breaker: { failures: 3, seconds: 30 } })
    const statuses = async (count: number) => {
      const all = []
      for (let i = 0; i < count; i++) all.push((await translate()).status)
      return all
    }
    upstream.answer = fails
    expect(await statuses(2)).toEqual([502, 502])
    upstream.answer = () => Response.json({})
    expect(await statuses(1)).toEqual([200])
    upstream.answer = fails
    expect(await statuses(4)).toEqual([502, 502, 502, 503])
    clock.advance(10)
    const closed = await translate()
    expect([closed.status, closed.json.code]).toEqual([503, 'service_unavailable'])
    expect(closed.headers.get('retry-after')).toBe('20')
    expect(upstream.seen).toHaveLength(6)
    clock.advance(20)
    expect(await statuses(2)).toEqual([502, 503])
    clock.advance(30)
    upstream.answer = () => Response.json({})
    expect(await statuses(3)).toEqual([200, 200, 200])
  })

  it('is not closed by what clients do wrong', async () => {
    make({ ...none, breaker: { failures: 2, seconds: 30 } })
    upstream.answer = () => Promise.reject(new Error('the body broke off'))
    for (let i = 0; i < 5; i++) {
      const headers = { 'content-type': 'text/plain' }
      const { status } = await ask('/deepl/v2/document', { token: 'ada', body: 'x', headers })
      expect(status).toBe(502)
    }
    upstream.answer = () => new Response('', { status: 400 })
    for (let i = 0; i < 5; i++) expect((await translate()).status).toBe(400)
  })
})
