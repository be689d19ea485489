import { env } from 'cloudflare:workers'
import { service, services } from 'leanto/services'
import { cached } from 'leanto/services/cache'
import { streamed } from 'leanto/services/streamed'
import { usage } from 'leanto/services/usage'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { freshDatabase, makeBase } from '../kit/world.ts'
import { client, deepl, gateway, hello, key, people, Upstream } from './world.ts'

const upstream = new Upstream()
const good = {
  origin: 'https://api.example.com',
  allow: [{ method: 'GET' as const, path: '/v1/things' }],
  quota: { user: { requests: { day: 1 } } },
}

/** Addresses that lead inside, in every spelling that a URL parser takes (case 61). */
const inside = [
  'https://10.0.0.1',
  'https://192.168.1.1',
  'https://169.254.169.254',
  'https://2852039166',
  'https://0xa9fea9fe',
  'https://0251.0376.0251.0376',
  'https://169.254.43518',
  'https://[::ffff:169.254.169.254]',
  'https://[::ffff:a9fe:a9fe]',
  'https://[fd00::1]',
  'https://[64:ff9b::a9fe:a9fe]',
  'https://8.8.8.8',
  'https://metadata',
  'https://metadata.google.internal',
  'https://printer.local',
  'https://router.lan',
  'http://api.example.com',
  'https://user:pass@api.example.com',
  'https://api.example.com@10.0.0.1',
  'https://api.example.com/',
  'https://api.example.com/v1',
  'https://api.example.com?x',
  'https://api.example.com#x',
  'HTTPS://API.EXAMPLE.COM',
  'ftp://api.example.com',
  'javascript:alert(1)',
  'data:text/plain,x',
  '//api.example.com',
  'api.example.com',
  '',
  'null',
]

const loopback = ['http://localhost:9', 'http://127.0.0.1:9', 'http://[::1]:9', 'http://2130706433']

describe('an origin', () => {
  beforeEach(() => freshDatabase([gateway({})]))

  it.each(inside)('is not %s', (origin) => {
    expect(() => service({ ...good, origin })).toThrow('service: `origin`')
  })

  it.each([...inside, ...loopback])('is not %s when env says it is', async (origin) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const fetched = vi.fn()
    const ask = client(
      gateway({ deepl: deepl(upstream, { origin: () => origin, fetch: fetched }) }),
    )
    const { status, json } = await ask('/deepl/v2/translate', { body: hello, token: 'ada' })
    expect([status, json.code]).toEqual([500, 'misconfigured'])
    expect(fetched).not.toHaveBeenCalled()
    log.mockRestore()
  })

  it('is a loopback host in local development alone', () => {
    expect(() => service({ ...good, origin: 'http://localhost:9' })).not.toThrow()
    expect(() => service({ ...good, origin: 'http://localhost.evil.example' })).toThrow()
  })
})

describe('a service is refused', () => {
  const allow = (one: object) => ({ allow: [{ ...good.allow[0], ...one }] as never })
  it.each<[string, object, string]>([
    ['without calls', { allow: [] }, '`allow`'],
    ['with a method that is none', allow({ method: 'CONNECT' }), 'CONNECT'],
    ['with a wildcard', allow({ path: '/v1/*' }), '"/v1/*"'],
    ['with dots', allow({ path: '/v1/../admin' }), '"/v1/../admin"'],
    ['with an encoded path', allow({ path: '/v1/%2e%2e' }), '"/v1/%2e%2e"'],
    ['with a query in its path', allow({ path: '/v1?x=1' }), '"/v1?x=1"'],
    ['with a GET that has a body', allow({ body: streamed('text/plain') }), 'a body'],
    [
      'with a body that is only described',
      allow({ method: 'POST', body: { types: ['text/plain'] } }),
      'streamed(…)',
    ],
    [
      'with the key’s parameter open',
      { ...allow({ query: ['key'] }), auth: { query: 'key', value: () => key } },
      '`key`',
    ],
    [
      'with a key in plain',
      { auth: { header: 'authorization', value: key } as never },
      '`auth.value`',
    ],
    ['without a limit', { quota: undefined }, 'unsafeUnlimited'],
    ['with units that nothing counts', { quota: { app: { units: { day: 1 } } } }, 'meter'],
    ['with money that nothing costs', { quota: { app: { money: { day: 1 } } } }, 'price'],
    ['with a budget that nothing costs', { budget: { money: 1 } }, 'price'],
    ['with a budget of nothing', { budget: { money: 0 }, price: { request: 1 } }, 'more than 0'],
    [
      'with alerts that are a bare function',
      { budget: { money: 1, alerts: () => {} } as never, price: { request: 1 } },
      'alerts(…)',
    ],
    ['with an amount that is none', { quota: { user: { requests: { day: -1 } } } }, 'day: -1'],
    ['with a period that is none', { quota: { user: { requests: { week: 1 } } } as never }, 'week'],
    ['with a cache that is only described', { cache: { seconds: 60 } as never }, '`cache`'],
    ['with a fallback on no cache', { fallback: 'stale' as const }, 'cache'],
    ...['Cookie', 'authorization', 'apikey', 'host', 'x-forwarded-for', 'cf-ray', 'a b'].map(
      (name): [string, object, string] => [
        `with ${name} sent on`,
        { headers: { request: [name] } },
        name,
      ],
    ),
    ...['Set-Cookie', 'location', 'access-control-allow-origin', 'content-length', 'link'].map(
      (name): [string, object, string] => [
        `with ${name} let out`,
        { headers: { answer: [name] } },
        name,
      ],
    ),
  ])('%s', (_what, options, named) => {
    expect(() => service({ ...good, ...options })).toThrow(named)
    expect(() => service({ ...good, ...options })).toThrow(TypeError)
  })
})

describe('the module is refused', () => {
  const base = makeBase()
  it.each(['Deepl', '1', 'a/b', '__proto__x', ''])('with a service called %j', (name) => {
    expect(() => services(base, { identity: people, services: { [name]: service(good) } })).toThrow(
      `services.${name}`,
    )
  })

  it('with a service called as a part is, and only then', () => {
    const declared = { usage: service(good) }
    expect(() =>
      services(base, { identity: people, parts: [usage()], services: declared }),
    ).toThrow('`services.usage` cannot be called so: lower-case letters, digits and -, not usage')
    expect(() => services(base, { identity: people, services: declared })).not.toThrow()
    expect(() => services(base, { identity: people, services: { A: service(good) } })).toThrow(
      /lower-case letters, digits and -$/,
    )
  })

  it('without an identity, with a fallback to nowhere, with an empty budget', () => {
    expect(() => services(base, {} as never)).toThrow('`identity`')
    const call = () => null
    const lost = service({ ...good, fallback: { service: 'toString', call } })
    expect(() => services(base, { identity: people, services: { lost } })).toThrow('toString')
    expect(() => services(base, { identity: people, budget: { money: 0 } })).toThrow('more than 0')
  })
})

describe('the host’s own calls', () => {
  it('go by the same rules, on the app’s account or on a user’s', async () => {
    const up = new Upstream()
    const module = gateway({ deepl: deepl(up, { quota: { user: { requests: { day: 1 } } } }) })
    await freshDatabase([module])
    const scope = makeBase().scope({ env })
    const made = { service: 'deepl', method: 'POST' as const, path: '/v2/translate', body: hello }
    const who = { id: 'ada', role: 'authenticated' as const, claims: {} }
    for (let i = 0; i < 2; i++) expect((await module.call(scope, made)).status).toBe(200)
    expect((await module.call(scope, { ...made, who })).status).toBe(200)
    await expect(module.call(scope, { ...made, who })).rejects.toMatchObject({
      code: 'quota_exceeded',
    })
    expect((await module.usage(scope, who)).services.deepl?.limits[0]?.requests).toEqual({
      limit: 1,
      used: 1,
      left: 0,
    })
    await expect(module.call(scope, { ...made, path: '/v2/other' })).rejects.toThrow('not allow')
    await expect(module.call(scope, { ...made, service: 'toString' })).rejects.toThrow('toString')
    await expect(module.call(scope, { ...made, body: {} })).rejects.toMatchObject({ status: 400 })
    await expect(
      module.call(scope, { ...made, method: 'GET', path: '/v2/glossaries/..', body: undefined }),
    ).rejects.toThrow('not allow')
    const streaming = module.call(scope, { ...made, path: '/v2/document', body: undefined })
    await expect(streaming).rejects.toThrow(TypeError)
    await expect(streaming).rejects.toThrow('/v2/document of `deepl` cannot be called from code')
    expect(up.seen).toHaveLength(3)
  })

  it.each([
    [[]],
    [['audio/*']],
    [['*/*']],
    [['Audio/MPEG']],
    [['audio']],
    [['audio/mpeg; codecs=mp3']],
    [['audio/mpeg', '']],
  ])('cannot be streamed as %j', (types) => {
    expect(() => streamed(...(types as [string]))).toThrow('streamed: name the content types')
  })

  it.each([
    [{ seconds: 60 }, '`per`'],
    [{ seconds: 5, per: 'shared' }, '60'],
    [{ per: 'user' }, '`seconds`'],
  ])('cannot be kept by %o', (options, says) => {
    expect(() => cached(options as never)).toThrow(says)
  })

  it('keep two tenants apart: quotas, breakers and waiting calls (case 70)', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const up = new Upstream()
    let slow = true
    up.answer = async () => {
      const fails = slow
      await new Promise((resolve) => setTimeout(resolve, 5))
      return fails ? new Response('', { status: 500 }) : Response.json({})
    }
    const one = deepl(up, {
      breaker: { failures: 1, seconds: 30 },
      cache: cached({ seconds: 60, per: 'shared' }),
    })
    const kv = { get: async () => null, put: async () => {}, delete: async () => {} }
    const tenant = { db: env.DB as unknown }
    const base = makeBase({ db: () => tenant.db as never, kv: () => kv })
    const module = gateway({ deepl: one }, {}, base)
    await freshDatabase([module])
    for (const { sql } of module.migrations)
      for (const statement of sql) await env.OTHER_DB.prepare(statement).run()
    const ask = client(module, base)
    const translate = () => ask('/deepl/v2/translate', { body: hello, token: 'ada' })
    expect((await translate()).status).toBe(502)
    expect((await translate()).status).toBe(503)
    slow = false
    tenant.db = env.OTHER_DB
    const first = translate()
    expect((await first).status).toBe(200)
    expect(up.seen).toHaveLength(2)
    log.mockRestore()
  })
})
