import { beforeEach, describe, expect, it, vi } from 'vitest'
import { freshDatabase, makeBase } from '../kit/world.ts'
import { client, counters, deepl, gateway, hello, key, Upstream } from './world.ts'

let upstream: Upstream
let ask: ReturnType<typeof client>

const make = (options: Parameters<typeof deepl>[1] = {}) => {
  const module = gateway({ deepl: deepl(upstream, options) })
  ask = client(module)
  return module
}

beforeEach(async () => {
  upstream = new Upstream()
  await freshDatabase([make()])
})

const translate = (more = {}) => ask('/deepl/v2/translate', { body: hello, token: 'ada', ...more })

describe('a call', () => {
  it('reaches the service as if it had been called there, with the key', async () => {
    const { status, json, headers } = await translate()
    expect(status).toBe(200)
    expect(json).toEqual({ path: '/v2/translate', body: JSON.stringify(hello) })
    const { request } = upstream.last
    expect(request.url).toBe('https://api.deepl.example/v2/translate')
    expect(request.method).toBe('POST')
    expect(request.redirect).toBe('manual')
    expect(request.headers.get('authorization')).toBe(`DeepL-Auth-Key ${key}`)
    expect(request.headers.get('content-type')).toBe('application/json')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
  })

  it('puts a key into the query where the service wants it there, past what the client sends', async () => {
    make({ auth: { query: 'key', value: () => key } })
    await ask('/deepl/v2/glossaries/g1?page=2', { token: 'ada' })
    expect(upstream.last.request.url).toBe(
      `https://api.deepl.example/v2/glossaries/g1?page=2&key=${key}`,
    )
    const { status } = await ask('/deepl/v2/glossaries/g1?key=mine', { token: 'ada' })
    expect(status).toBe(400)
    expect(upstream.seen).toHaveLength(1)
  })

  it('is refused without a key to send, and nothing is sent', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    for (const value of [
      '',
      ' ',
      'Bearer ',
      'Bearer undefined',
      undefined,
      `${key}\n${key}`,
      'ü',
    ]) {
      make({ auth: { header: 'authorization', value: () => value as string } })
      const { status, json } = await translate()
      expect([status, json.code]).toEqual([500, 'misconfigured'])
    }
    expect(log.mock.calls.flat().map(String).join()).not.toContain(key)
    log.mockRestore()
    expect(upstream.seen).toEqual([])
  })

  it('is sent on as the schema reads it: of a key that comes twice, what was checked', async () => {
    const body = '{"text":["a"],"text":["b"],"target_lang":"DE","formality":"more"}'
    await translate({ body })
    // Case 45: the one who checks and the one who is sent it see the same.
    expect(upstream.last.body).toBe('{"text":["b"],"target_lang":"DE"}')
  })

  it.each([
    ['{"text":"a","target_lang":"DE"}', {}, 400],
    ['{"text":', {}, 400],
    [JSON.stringify(hello), { 'content-type': 'text/plain' }, 415],
    [JSON.stringify({ ...hello, text: ['x'.repeat(300_000)] }), {}, 413],
  ])('is refused with a body that is not declared: %#', async (body, headers, wanted) => {
    const { status } = await translate({ body, headers })
    expect(status).toBe(wanted)
    expect(upstream.seen).toEqual([])
    expect(await counters()).toEqual({})
  })

  it('has no body where none is declared', async () => {
    make({ allow: [{ method: 'POST', path: '/v2/purge' }] })
    expect((await ask('/deepl/v2/purge', { method: 'POST', token: 'ada' })).status).toBe(200)
    expect((await ask('/deepl/v2/purge', { body: {}, token: 'ada' })).status).toBe(413)
  })
})

describe('who may', () => {
  it('is nobody without a sign-in', async () => {
    expect((await translate({ token: undefined })).status).toBe(401)
    expect((await translate({ token: 'bad' })).status).toBe(401)
    expect(upstream.seen).toEqual([])
  })

  it('is no other site that sends a browser with its cookies here, not by a GET either (case 64)', async () => {
    make({ access: () => true })
    const from = (headers: Record<string, string>, more = {}) =>
      ask('/deepl/v2/glossaries/a', { headers, ...more })
    for (const site of ['cross-site', 'same-site']) {
      const foreign = { cookie: 'session=1', 'sec-fetch-site': site }
      expect((await from(foreign)).json.code).toBe('forbidden')
      expect((await ask('/usage', { headers: foreign })).status).toBe(403)
      // A token is sent by who has it, and without cookies it is a guest.
      expect((await from(foreign, { token: 'ada' })).status).toBe(200)
      expect((await from({ 'sec-fetch-site': site })).status).toBe(200)
    }
    for (const site of ['same-origin', 'none'])
      expect((await from({ cookie: 'session=1', 'sec-fetch-site': site })).status).toBe(200)
    expect(upstream.seen).toHaveLength(6)
  })

  it('is whom `access` lets, guests by their network', async () => {
    make({ access: ({ id }) => id !== 'eve' })
    expect((await translate({ token: 'eve' })).json.code).toBe('forbidden')
    const guest = (ip: string) =>
      translate({ token: undefined, headers: { 'cf-connecting-ip': ip } })
    expect((await guest('2001:db8::1')).status).toBe(200)
    expect((await guest('2001:db8::2')).status).toBe(200)
    expect((await guest('192.0.2.1')).status).toBe(200)
    expect(await counters()).toMatchObject({
      'deepl:user:guest 2001:db8:0:0::/64:minute': { requests: 2 },
      'deepl:user:guest 192.0.2.1:minute': { requests: 1 },
    })
  })
})

describe('only what is declared passes', () => {
  it.each([
    ['GET', '/deepl/v2/translate'],
    ['DELETE', '/deepl/v2/glossaries/g1'],
    ['GET', '/deepl/v2/usage'],
    ['GET', '/deepl'],
    ['GET', '/deepl/v2/glossaries'],
    ['GET', '/deepl/v2/glossaries/g1/entries'],
    ['GET', '/other/v2/glossaries/g1'],
    ['POST', '/constructor/v2/translate'],
    ['GET', '/deepl//v2/glossaries/g1'],
  ])('%s %s is not there (case 54)', async (method, path) => {
    expect((await ask(path, { method, token: 'ada' })).status).toBe(404)
    expect(upstream.seen).toEqual([])
  })

  it.each([
    '..%2f..%2fadmin',
    '%2e%2e',
    '%2e%2e%2fusage',
    '..%5cusage',
    '%252e%252e%252fusage',
    '%00',
    'a%00b',
    'a%2fb',
    'a%3fb=c',
    'a%23b',
    'a%0d%0ahost:x',
    '%e2%80%ae',
    '%ff',
    '.',
    'x'.repeat(201),
  ])('no parameter leaves its segment: %s (case 57)', async (part) => {
    const { status } = await ask(`/deepl/v2/glossaries/${part}`, { token: 'ada' })
    expect([400, 404]).toContain(status)
    expect(upstream.seen).toEqual([])
  })

  it('takes a parameter as it is', async () => {
    await ask('/deepl/v2/glossaries/a-b_c.d~e:f@g+h=i,j', { token: 'ada' })
    expect(new URL(upstream.last.request.url).pathname).toBe('/v2/glossaries/a-b_c.d~e:f@g+h=i,j')
  })

  it('takes declared parameters of the query, each once', async () => {
    expect((await ask('/deepl/v2/glossaries/g?page=1&page=2', { token: 'ada' })).status).toBe(400)
    expect((await ask('/deepl/v2/glossaries/g?Page=1', { token: 'ada' })).status).toBe(400)
    expect((await ask('/deepl/v2/glossaries/g?page=a%26key=b', { token: 'ada' })).status).toBe(200)
    expect(new URL(upstream.last.request.url).search).toBe('?page=a%26key%3Db')
  })

  it('answers HEAD by 405: its price would be paid for nothing (case 60)', async () => {
    const { status } = await ask('/deepl/v2/glossaries/g', { method: 'HEAD', token: 'ada' })
    expect(status).toBe(405)
    expect(upstream.seen).toEqual([])
  })

  it('asks for all of an answer, and shows a part or a failure no other way (case 60)', async () => {
    const get = (headers = {}) => ask('/deepl/v2/glossaries/g', { token: 'ada', headers })
    for (const status of [200, 206, 404]) {
      upstream.answer = () =>
        new Response('<svg onload="alert(1)"/>', {
          status,
          headers: { 'content-type': 'image/svg+xml', 'content-range': 'bytes 0-1/2' },
        })
      const { headers } = await get({ range: 'bytes=0-1', 'if-range': '"a"' })
      expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('content-range')).toBeNull()
      expect(upstream.last.request.headers.get('range')).toBeNull()
      expect(upstream.last.request.headers.get('if-range')).toBeNull()
    }
  })
})

describe('headers', () => {
  const hostile = {
    cookie: 'session=secret',
    apikey: 'sb_publishable_x',
    'x-forwarded-for': '10.0.0.1',
    'cf-connecting-ip': '192.0.2.1',
    'x-d1-bookmark': 'b',
    'proxy-authorization': 'Basic x',
    'x-http-method-override': 'DELETE',
    referer: 'https://app.example/private',
    connection: 'authorization, x-custom',
    te: 'trailers',
    'x-custom': 'c',
    accept: 'application/json',
    'accept-language': 'de',
  }

  it('are sent by a list: no cookie, token or address of the user is (case 62)', async () => {
    await translate({ headers: hostile })
    const { request } = upstream.last
    expect(Object.fromEntries(request.headers)).toEqual({
      accept: 'application/json',
      'accept-language': 'de',
      // What `Connection` lists is not taken away: it is the key.
      authorization: `DeepL-Auth-Key ${key}`,
      'content-type': 'application/json',
    })
    expect(JSON.stringify(Object.fromEntries(request.headers))).not.toContain('ada')
  })

  it('are sent if the host lists them', async () => {
    make({ headers: { request: ['X-Custom'] } })
    await translate({ headers: hostile })
    expect(upstream.last.request.headers.get('x-custom')).toBe('c')
  })

  it('come back by a list (cases 62 and 66)', async () => {
    make({ headers: { answer: ['x-billed'] } })
    upstream.answer = () =>
      new Response('<script>alert(1)</script>', {
        headers: {
          'content-type': 'text/html',
          'set-cookie': 'session=evil',
          'access-control-allow-origin': '*',
          'cache-control': 'public, max-age=9999',
          'x-billed': '5',
          server: 'nginx',
          'x-internal-host': 'db-7',
          refresh: '0;url=https://evil.example',
          'clear-site-data': '"*"',
        },
      })
    const { headers } = await translate()
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'text/html',
      'x-billed': '5',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
    })
    for (const name of ['set-cookie', 'server', 'x-internal-host', 'refresh', 'clear-site-data'])
      expect(headers.get(name), name).toBeNull()
    expect(headers.get('access-control-allow-origin')).toBeNull()
  })
})

it('lets a page of a listed origin read what it has left, by its token alone', async () => {
  const base = makeBase({ origins: ['https://page.example'] })
  const asked = client(gateway({ deepl: deepl(upstream) }, {}, base), base)
  const from = (origin: string) =>
    asked('/deepl/v2/translate', { body: hello, token: 'ada', headers: { origin } })
  const { headers } = await from('https://page.example')
  expect(headers.get('access-control-allow-origin')).toBe('https://page.example')
  expect(headers.get('access-control-expose-headers')).toContain('x-ratelimit-remaining')
  expect(headers.get('access-control-allow-credentials')).toBeNull()
  expect((await from('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull()
  expect(upstream.last.request.headers.get('origin')).toBeNull()
})

describe('the key never leaves', () => {
  it.each([
    [200, `you are ${key}!`],
    [400, `Incorrect API key provided: DeepL-Auth-Key ${key}.`],
    [200, `${key}${key}`],
  ])('in a body of status %d', async (status, text) => {
    upstream.answer = () => new Response(text, { status })
    const answer = await translate()
    expect(answer.status).toBe(status)
    expect(answer.text).toContain('[hidden]')
    expect(answer.text).not.toContain(key)
  })

  it.each([1, 2, 3, 7, 29])('in a body that comes in pieces of %d bytes', async (size) => {
    const whole = new TextEncoder().encode(`ein ${key}, sk-0123456789-never-to-stay, ü sk-0123`)
    upstream.answer = () =>
      new Response(
        new ReadableStream({
          start(controller) {
            for (let at = 0; at < whole.length; at += size)
              controller.enqueue(whole.slice(at, at + size))
            controller.close()
          },
        }),
      )
    expect((await translate()).text).toBe('ein [hidden], sk-0123456789-never-to-stay, ü sk-0123')
  })

  it('in a header, a fault or the log', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    make({ headers: { answer: ['x-echo'] } })
    upstream.answer = () => new Response(null, { status: 401, headers: { 'x-echo': key } })
    const refused = await translate()
    expect([refused.status, refused.json.code]).toEqual([502, 'upstream_refused'])
    upstream.answer = () => {
      throw new Error(`cannot connect with ${key}`)
    }
    const failed = await translate()
    expect(failed.text + JSON.stringify([...failed.headers])).not.toContain('sk-')
    upstream.answer = () => new Response('x', { headers: { 'x-echo': `got ${key}` } })
    expect(JSON.stringify([...(await translate()).headers])).not.toContain('sk-')
    expect(log).toHaveBeenCalled()
    expect(log.mock.calls.flat().map(String).join()).not.toContain('sk-')
    log.mockRestore()
  })
})

describe('what a service answers', () => {
  it.each([301, 302, 303, 307, 308])('%d is followed by nobody (case 61)', async (status) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    upstream.answer = () =>
      new Response(null, { status, headers: { location: 'http://169.254.169.254/latest' } })
    const answer = await translate()
    expect([answer.status, answer.json.code]).toEqual([502, 'upstream_failed'])
    expect(answer.headers.get('location')).toBeNull()
    expect(upstream.seen).toHaveLength(1)
    log.mockRestore()
  })

  it.each([
    [400, 400, undefined],
    [404, 404, undefined],
    [422, 422, undefined],
    [401, 502, 'upstream_refused'],
    [403, 502, 'upstream_refused'],
    [402, 503, 'service_unavailable'],
    [429, 503, 'service_unavailable'],
    [503, 503, 'service_unavailable'],
    [500, 502, 'upstream_failed'],
    [504, 502, 'upstream_failed'],
  ])('%d becomes %d', async (status, wanted, code) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    upstream.answer = () => Response.json({ why: 'upstream' }, { status })
    const answer = await translate()
    expect(answer.status).toBe(wanted)
    expect(answer.json).toMatchObject(code ? { code } : { why: 'upstream' })
    if (code) expect(answer.text).not.toContain('why')
    log.mockRestore()
  })

  it.each([
    ['7', '7'],
    ['0', '30'],
    ['999999', '86400'],
    ['soon', '30'],
    [undefined, '30'],
  ])('says when to come back: %s is %s', async (said, wanted) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    upstream.answer = () =>
      new Response(null, { status: 429, headers: said ? { 'retry-after': said } : {} })
    expect((await translate()).headers.get('retry-after')).toBe(wanted)
    log.mockRestore()
  })
})
