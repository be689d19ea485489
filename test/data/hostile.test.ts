import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { apiKeys, type Module } from 'leanto'
import { data, expose } from 'leanto/data'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Env, makeBase, mount, site, testSecret } from '../kit/world.ts'
import { alice, ask, bob, call, fresh, makeStore, people, stored, tags } from './store.ts'

const q = encodeURIComponent
const open = { select: () => true, insert: () => true, update: () => true, delete: () => true }

beforeEach(async () => {
  await fresh()
  await env.DB.batch(
    [
      `INSERT INTO notes (id, owner_id, title, public, created_at) VALUES (1, 'alice', 'mine', 0, 0), (2, 'bob', 'his', 0, 0)`,
      `INSERT INTO tags (name) VALUES ('a'), ('b')`,
    ].map((sql) => env.DB.prepare(sql)),
  )
})
afterEach(() => vi.restoreAllMocks())

const everything = async () => [
  await stored('SELECT * FROM notes ORDER BY id'),
  await stored('SELECT * FROM tags ORDER BY name'),
  await stored('SELECT * FROM kinds'),
  await stored('SELECT * FROM lines'),
]

/** PostgREST's body, and nothing of the machine in it. */
const wellFormed = (text: string) => {
  const body = JSON.parse(text)
  expect(Object.keys(body)).toEqual(['code', 'message', 'details', 'hint'])
  expect(text).not.toMatch(machine)
  return body
}
const machine =
  /SQLITE|D1_|syntax error at|unrecognized token|no such (table|column)|near \\"|leanto_given|json_each|at async|\.ts:/

/** Sends a request as it is, past the helper's own headers. */
async function send(module: Module, request: Request): Promise<Response> {
  const ctx = createExecutionContext()
  const app = new Hono().route('/rest/v1', module.routes)
  const response = await app.fetch(request, env as never, ctx as never)
  await waitOnExecutionContext(ctx as never)
  return response
}

describe('bodies', () => {
  it.each([
    ['', 'PGRST102'],
    [' ', 'PGRST102'],
    ['{', 'PGRST102'],
    ['{"name":"x"', 'PGRST102'],
    ['{"name":"x"}}', 'PGRST102'],
    ["{'name':'x'}", 'PGRST102'],
    ['{"name":undefined}', 'PGRST102'],
    ['{"name":NaN}', 'PGRST102'],
    ['{"name":"\\x"}', 'PGRST102'],
    ['null', 'PGRST102'],
    ['5', 'PGRST102'],
    ['"text"', 'PGRST102'],
    ['[5]', 'PGRST102'],
    ['[null]', 'PGRST102'],
    ['[[{"name":"x"}]]', 'PGRST102'],
    ['[{"name":"x"},null]', 'PGRST102'],
    [`${'['.repeat(200_000)}${']'.repeat(200_000)}`, 'PGRST102'],
    [`${'{"name":'.repeat(100_000)}1${'}'.repeat(100_000)}`, '22P02'],
    ['{"name":"a\\u0000b"}', '22P05'],
    ['{"name":"\\ud800"}', '22P02'],
    ['{"name":["x"]}', '22P02'],
    ['{"name":{"toString":"x"}}', '22P02'],
    ['{"__proto__":{"name":"x"}}', 'PGRST204'],
    ['{"constructor":{"prototype":{"name":"x"}}}', 'PGRST204'],
    ['{"NAME":"x"}', 'PGRST204'],
    ['{"name ":"x"}', 'PGRST204'],
    ['{"name\\u0000":"x"}', 'PGRST204'],
    ['{"\\"name\\"":"x"}', 'PGRST204'],
    [`{${Array.from({ length: 5000 }, (_, i) => `"c${i}":1`)}}`, 'PGRST204'],
  ])('%# is %s', async (body, code) => {
    const before = await everything()
    for (const [path, method] of [
      ['/tags', 'POST'],
      ['/tags?name=eq.a', 'PATCH'],
      ['/tags?name=eq.a', 'PUT'],
    ] as const) {
      const answer = await call(path, { method, body })
      expect(answer.status).toBe(400)
      // PUT asks for the key in the body before it looks at the rest.
      const codes = method === 'PUT' ? [code, 'PGRST115'] : [code]
      expect(codes).toContain(wellFormed(answer.text).code)
    }
    expect(await everything()).toEqual(before)
  })

  it('invalid UTF-8, a BOM, UTF-16', async () => {
    const post = (bytes: number[]) =>
      send(
        makeStore(makeBase()),
        new Request(`${site}/rest/v1/tags`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: new Uint8Array(bytes),
        }),
      )
    const bytesOf = (text: string) => [...new TextEncoder().encode(text)]
    for (const bytes of [
      [0xff, 0xfe],
      [...bytesOf('{"name":"'), 0xc3, 0x28, ...bytesOf('"}')],
      [0x7b, 0, 0x7d, 0],
    ]) {
      const response = await post(bytes)
      expect(response.status).toBe(400)
      expect(wellFormed(await response.text()).code).toBe('PGRST102')
    }
    expect((await post([0xef, 0xbb, 0xbf, ...bytesOf('{"name":"bom"}')])).status).toBe(201)
  })

  it('another content type is refused; none is taken for JSON', async () => {
    const before = await everything()
    for (const type of [
      'text/plain',
      'text/csv',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonp',
      'text/json',
      'image/png',
    ]) {
      const answer = await call('/tags', {
        body: '{"name":"x"}',
        headers: { 'content-type': type },
      })
      expect(answer.status).toBe(400)
      expect(wellFormed(answer.text)).toMatchObject({
        code: 'PGRST102',
        message: `Content-Type not acceptable: ${type.split(';')[0]}`,
      })
    }
    expect(await everything()).toEqual(before)
    const types = ['application/json', 'APPLICATION/JSON; charset=utf-8', ' application/json ']
    for (const [i, type] of types.entries())
      expect(
        (await call('/tags', { body: { name: `${i}` }, headers: { 'content-type': type } })).status,
      ).toBe(201)
    const untyped = new Request(`${site}/rest/v1/tags`, {
      method: 'POST',
      body: new TextEncoder().encode('{"name":"untyped"}'),
    })
    expect((await send(makeStore(makeBase()), untyped)).status).toBe(201)
  })

  it('case 67: the limit holds for true, false and no Content-Length, and for a stream', async () => {
    const small = data(makeBase(), {
      identity: people,
      tables: { tags: expose(tags, open) },
      bodyLimit: 1000,
    })
    const big = `{"name":"${'x'.repeat(2000)}"}`
    let pulled = 0
    const stream = () =>
      new ReadableStream({
        pull(controller) {
          if (++pulled > 50) controller.close()
          else controller.enqueue(new TextEncoder().encode(' '.repeat(100)))
        },
      })
    const requests: [headers: Record<string, string>, body: () => BodyInit][] = [
      [{}, () => big],
      [{ 'content-length': String(big.length) }, () => big],
      [{ 'content-length': '10' }, () => big],
      [{ 'content-length': 'x' }, () => big],
      [{ 'content-length': '-1' }, () => big],
      [{ 'content-length': '99999999' }, () => '{"name":"short"}'],
      [{ 'transfer-encoding': 'chunked' }, stream],
    ]
    const before = await everything()
    for (const method of ['POST', 'PATCH'])
      for (const [headers, body] of requests) {
        pulled = 0
        const request = new Request(`${site}/rest/v1/tags`, {
          method,
          headers: { 'content-type': 'application/json', ...headers },
          body: body(),
        })
        const response = await send(small, request)
        expect(response.status).toBe(413)
        expect(wellFormed(await response.text()).code).toBe('PT413')
        // It stopped reading, rather than reading it all and then refusing.
        expect(pulled).toBeLessThan(20)
      }
    expect(await everything()).toEqual(before)
    const fits = `{"name":"${'x'.repeat(980)}"}`
    const exact = new Request(`${site}/rest/v1/tags`, { method: 'POST', body: fits.padEnd(1000) })
    exact.headers.set('content-type', 'application/json')
    expect((await send(small, exact)).status).toBe(201)
  })

  it('case 45: of a key given twice, the policy and the writer see the same one', async () => {
    const insert = (keys: string) =>
      call('/notes', { token: alice, body: `{"title":"twice",${keys}}` })
    expect((await insert('"owner_id":"alice","owner_id":"bob"')).status).toBe(403)
    expect((await insert('"owner_id":"bob","owner_id":"alice"')).status).toBe(201)
    expect(await stored(`SELECT owner_id FROM notes WHERE title = 'twice'`)).toEqual([
      { owner_id: 'alice' },
    ])
    const patch = await call('/notes?id=eq.1', {
      method: 'PATCH',
      token: alice,
      body: '{"owner_id":"alice","owner_id":"bob"}',
    })
    expect(patch.status).toBe(403)
    const put = await call('/tags?name=eq.a', { method: 'PUT', body: '{"name":"a","name":"b"}' })
    expect(put.body.code).toBe('PGRST115')
  })
})

describe('requests', () => {
  it.each([
    ['/nothing', 404, 'PGRST205'],
    ['/NOTES', 404, 'PGRST205'],
    ['/Notes', 404, 'PGRST205'],
    ['/notes%00', 404, 'PGRST205'],
    ['/notes%20', 404, 'PGRST205'],
    ['/notes%2F1', 404, 'PGRST205'],
    ['/notes%3Fid=eq.1', 404, 'PGRST205'],
    ['/notes;id=1', 404, 'PGRST205'],
    ['/%E0%A4%A', 404, 'PGRST205'],
    ['/%22notes%22', 404, 'PGRST205'],
    [`/${'n'.repeat(5000)}`, 404, 'PGRST205'],
    ['/rpc/anything', 404, 'PGRST202'],
    ['/notes?nothing=eq.1', 400, '42703'],
    ['/notes?notes.id=eq.1', 400, 'PGRST200'],
    ['/notes?id=xx.1', 400, 'PGRST100'],
    ['/notes?%00=eq.1', 400, 'PGRST100'],
    ['/notes?=eq.1', 400, 'PGRST100'],
    ['/notes?id', 400, 'PGRST100'],
    ['/notes?title=eq.a%00b', 400, '22P05'],
    ['/notes?title=like.a%00*', 400, '22P05'],
    ['/notes?title=in.(a,b%00)', 400, '22P05'],
    ['/notes?select=%22a%00%22:id', 400, 'PGRST100'],
    ['/notes?select=%22a%00%22', 400, '42703'],
    ['/notes?select=id&select=title', 400, 'PGRST100'],
    ['/notes?limit=1&limit=2', 400, 'PGRST100'],
    ['/notes?order=id&order=title', 400, 'PGRST100'],
    [
      `/notes?${Array.from({ length: 200 }, (_, i) => `id=neq.${i + 9}`).join('&')}`,
      400,
      'PGRST100',
    ],
    [`/notes?or=(${Array.from({ length: 200 }, (_, i) => `id.eq.${i}`)})`, 400, 'PGRST100'],
    [`/notes?or=${'(or('.repeat(5000)}`, 400, 'PGRST100'],
    [`/notes?or=${'(and'.repeat(20)}(id.eq.1)${')'.repeat(20)}`, 400, 'PGRST100'],
    [`/notes?select=${Array.from({ length: 101 }, (_, i) => `c${i}:id`)}`, 400, '54000'],
    [`/notes?order=${Array.from({ length: 3000 }, () => 'id')}`, 400, '54000'],
    [`/notes?select=${'a'.repeat(120_000)}:id`, 400, '54000'],
    [
      `/notes?${Array.from({ length: 60 }, (_, i) => `title=ilike.*${q(String.fromCodePoint(0x430 + (i % 30), 0x450 + (i % 14)))}${i}*`).join('&')}`,
      400,
      '54000',
    ],
    ['/notes?id=eq.99999999999999999999', 400, '22003'],
  ])('%# GET is %i %s', async (path, status, code) => {
    const answer = await call(path, { token: alice })
    expect([answer.status, wellFormed(answer.text).code]).toEqual([status, code])
  })

  it('100 values fit into a statement, 101 do not; one value is counted once', async () => {
    const filters = (count: number) => Array.from({ length: count }, (_, i) => `title.neq.${i}`)
    const words = Array.from({ length: 63 }, (_, i) => `title.ilike.*${q('ä')}${i}_*`)
    expect((await call(`/notes?or=(${filters(63)})`, { token: alice })).status).toBe(200)
    expect((await call(`/notes?or=(${words})`, { token: alice })).status).toBe(200)
    const many = Array.from(
      { length: 40 },
      (_, i) => `title.ilike.*${q(String.fromCodePoint(0x430 + (i % 32)))}${i}*`,
    )
    expect(await call(`/notes?or=(${many})`, { token: alice })).toMatchObject({
      status: 400,
      body: { code: '54000' },
    })
  })

  it('case 54: paths, cases and overrides reach nothing else', async () => {
    const before = await everything()
    for (const path of [
      '//notes',
      '/notes/',
      '/notes//',
      '/notes/1',
      '/./notes/..',
      '/%2e%2e/notes',
      '/notes%2f..%2fnotes',
      '/rpc',
      '/rpc/a/b',
      '/',
      '',
    ])
      for (const method of ['GET', 'DELETE', 'POST']) {
        const body = method === 'POST' ? {} : undefined
        const { status } = await call(path, { method, body, token: alice })
        expect([path, method, status]).toEqual([path, method, 404])
      }
    for (const prefix of ['/REST/V1', '/rest/V1', '//rest/v1', '/rest//v1'])
      expect((await ask(`${prefix}/notes`, { token: alice })).status).toBe(404)
    for (const header of ['x-http-method-override', 'x-http-method', 'x-method-override'])
      for (const method of ['GET', 'POST']) {
        const options = { method, headers: { [header]: 'DELETE' }, token: alice }
        const body = method === 'POST' ? [] : undefined
        expect((await call('/notes?_method=DELETE', { ...options, body })).status).toBe(400)
        await call('/notes', { ...options, body })
      }
    for (const method of ['OPTIONS', 'PROPFIND', 'LOCK', 'get'])
      expect((await call('/notes', { method, token: alice })).status).toBeLessThan(500)
    expect(await everything()).toEqual(before)
  })

  it('the same key twice: filters are both asked', async () => {
    expect((await call('/tags?name=eq.a&name=eq.b')).body).toEqual([])
    expect((await call('/tags?name=gte.a&name=lt.b')).body).toEqual([{ name: 'a' }])
  })

  it.each([
    ['Bearer', 'PGRST301'],
    ['Bearer ', 'PGRST301'],
    ['Bearer  a b', 'PGRST301'],
    ['Basic dXNlcjpwYXNz', 'PGRST301'],
    ['Bearer not-a-user', 'PGRST301'],
    ['user-alice', 'PGRST301'],
    ['Bearer user-alice, Bearer user-bob', 'PGRST301'],
    ['Bearer \u00ff', 'PGRST301'],
    ['Bearer sb_secret_guess', 'PGRST301'],
    [`Bearer ${'x'.repeat(10_000)}`, 'PGRST301'],
  ])('case 33: Authorization %# is 401', async (authorization, code) => {
    for (const method of ['GET', 'POST', 'PATCH', 'PUT', 'DELETE']) {
      const body = ['GET', 'DELETE'].includes(method) ? undefined : {}
      const answer = await call('/notes', { method, body, headers: { authorization } })
      expect(answer.status).toBe(401)
      expect(wellFormed(answer.text).code).toBe(code)
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    }
  })

  it('an API key that is none is 401; a token counts before the key', async () => {
    for (const apikey of ['', 'x', 'sb_secret_x', 'sb_publishable_x']) {
      const answer = await call('/notes', { headers: { apikey } })
      expect([answer.status, wellFormed(answer.text).code]).toEqual([401, 'PGRST301'])
    }
    const keys = await apiKeys(testSecret)
    expect((await call('/notes', { headers: { apikey: keys.publishable } })).body).toEqual([])
    expect((await call('/notes', { headers: { apikey: keys.secret } })).body).toHaveLength(2)
    const both = { apikey: keys.secret, authorization: `Bearer ${alice}` }
    expect((await call('/notes', { headers: both })).body).toHaveLength(1)
  })

  it('case 64: cookies authenticate nothing', async () => {
    for (const cookie of [
      `access_token=${alice}`,
      `sb-access-token=${alice}; Authorization=Bearer ${alice}`,
      `apikey=${(await apiKeys(testSecret)).secret}`,
    ])
      for (const origin of [site, 'https://evil.example']) {
        const headers = { cookie, origin }
        expect((await call('/notes', { headers })).body).toEqual([])
        expect((await call('/notes', { headers, body: { title: 'x' } })).status).toBe(401)
        const update = await call('/notes', {
          headers,
          method: 'PATCH',
          body: { title: 'x' },
          prefer: 'count=exact',
        })
        expect(update.headers.get('content-range')).toBe('*/0')
      }
  })

  it('case 66: no answer may be stored', async () => {
    for (const [path, options] of [
      ['/notes', {}],
      ['/notes', { token: alice }],
      ['/notes', { token: alice, method: 'HEAD' }],
      ['/notes', { token: alice, body: { title: 'x' } }],
      ['/notes', { token: 'bad' }],
      ['/nothing', {}],
      ['/notes?id=xx', {}],
      ['/rpc/x', {}],
    ] as const) {
      const { headers } = await call(path, options)
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    }
  })
})

describe('CORS (case 65)', () => {
  const origins = {
    none: mount({ '/rest/v1': makeStore(makeBase()) }),
    list: mount({ '/rest/v1': makeStore(makeBase({ origins: ['https://web.example'] })) }),
    any: mount({ '/rest/v1': makeStore(makeBase({ origins: '*' })) }),
  }
  const preflight = (which: keyof typeof origins, origin: string) =>
    origins[which]('/rest/v1/notes', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'PATCH',
        'access-control-request-headers': 'authorization, apikey, prefer',
      },
    })
  const allowed = async (which: keyof typeof origins, origin: string) => {
    const responses = [
      await preflight(which, origin),
      await origins[which]('/rest/v1/notes', { headers: { origin } }),
      await origins[which]('/rest/v1/notes', { headers: { origin }, token: 'bad' }),
      await origins[which]('/rest/v1/notes', { headers: { origin }, body: { title: 'x' } }),
    ]
    for (const { headers } of responses) {
      expect(headers.get('access-control-allow-credentials')).toBeNull()
      if (which === 'list') expect(headers.get('vary')).toContain('Origin')
    }
    const found = new Set(
      responses.map(({ headers }) => headers.get('access-control-allow-origin')),
    )
    expect(found.size).toBe(1)
    return [...found][0]
  }

  it('none: no header for anyone', async () => {
    for (const origin of ['https://web.example', 'null', site])
      expect(await allowed('none', origin)).toBeNull()
  })
  it('a list: those, exactly', async () => {
    expect(await allowed('list', 'https://web.example')).toBe('https://web.example')
    for (const origin of [
      'https://web.example.evil.example',
      'https://evil.example',
      'http://web.example',
      'https://web.example:8443',
      'https://WEB.example',
      'https://sub.web.example',
      'null',
      'https://web.example,https://evil.example',
    ])
      expect(await allowed('list', origin)).toBeNull()
  })
  it('any: a star, never the origin itself', async () => {
    for (const origin of ['https://evil.example', 'null'])
      expect(await allowed('any', origin)).toBe('*')
  })
  it('a preflight says methods and headers, and shows the range to the page', async () => {
    const { status, headers } = await preflight('list', 'https://web.example')
    expect(status).toBe(204)
    const methods = headers.get('access-control-allow-methods')?.split(', ').sort()
    expect(methods).toEqual(['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT'])
    expect(headers.get('access-control-allow-headers')).toBe('authorization, apikey, prefer')
    const actual = await origins.list('/rest/v1/notes', {
      headers: { origin: 'https://web.example' },
    })
    expect(actual.headers.get('access-control-expose-headers')).toContain('content-range')
    const injected = await origins.list('/rest/v1/notes', {
      method: 'OPTIONS',
      headers: { origin: 'https://web.example', 'access-control-request-headers': 'a;b<script>' },
    })
    expect(injected.headers.get('access-control-allow-headers')).toBeNull()
  })
})

describe('SQL injection (cases 47, 51)', () => {
  const pieces = [
    "'",
    '"',
    '`',
    ';',
    '--',
    '/*',
    '*/',
    '\\',
    ')',
    '(',
    ',',
    '.',
    ':',
    '::',
    '->',
    '->>',
    '*',
    '%',
    '_',
    '?',
    '?1',
    '$1',
    '@a',
    '#',
    '=',
    ' ',
    '\t',
    '\n',
    '\0',
    '\x7f',
    'ü',
    '\u2028',
    '👩',
    ' OR 1=1',
    ' UNION SELECT 1',
    'DROP TABLE notes',
    "x'00'",
    'rowid',
    'sqlite_master',
    'excluded.title',
    'notes',
    'id',
    'title',
    'secret',
    'not.',
    'eq.',
    'in.(',
    'is.null',
    'and(',
    'or(',
    '1e999',
    'NULL',
    'leanto:ok',
    '__proto__',
    '[',
    '{',
    '\ufffd',
    '!inner',
    '...',
    '..',
  ]
  let state = 42
  const below = (max: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * max)
  }
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const noise = () => Array.from({ length: 1 + below(6) }, () => pick(pieces)).join('')
  const quoted = () => (below(2) ? noise() : `"${noise().replace(/["\\]/g, '\\$&')}"`)
  const operators = ['eq', 'neq', 'gt', 'lt', 'like', 'ilike', 'in', 'is', 'isdistinct', 'xx']
  const columns = ['id', 'title', 'done', 'rank', 'meta', 'created_at', 'score']
  const filterOf = () =>
    `${below(2) ? 'not.' : ''}${pick(operators)}.${below(3) ? quoted() : `(${quoted()},${quoted()})`}`

  const shapes: (() => [path: string, options?: object])[] = [
    () => [`/notes?select=${q(quoted())}`],
    () => [`/notes?select=${q(`${quoted()}:${pick(columns)}`)},id`],
    () => [`/notes?select=${q(`"${noise().replace(/["\\]/g, '\\$&')}":title`)}`],
    () => [`/notes?${q(quoted())}=eq.1`],
    () => [`/notes?${pick(columns)}=${q(filterOf())}`],
    () => [`/notes?title=${q(`${pick(['eq', 'like', 'ilike'])}.${noise()}`)}`],
    () => [`/notes?title=in.(${q(quoted())},${q(quoted())})`],
    () => [`/notes?or=(${q(`${pick(columns)}.${filterOf()}`)},id.eq.1)`],
    () => [`/notes?and=${q(noise())}`],
    () => [`/notes?order=${q(`${quoted()}.desc`)}`],
    () => [`/notes?order=id.${q(noise())}`],
    () => [`/notes?limit=${q(noise())}`],
    () => [`/notes?offset=${q(noise())}`],
    () => [`/${q(noise())}`],
    () => [`/notes?columns=${q(quoted())}`, { body: { title: 'x' } }],
    () => [
      `/notes?on_conflict=${q(quoted())}`,
      { body: { title: 'x' }, prefer: 'resolution=merge-duplicates' },
    ],
    () => ['/notes', { body: { [noise()]: noise() } }],
    () => ['/notes', { body: { title: noise(), body: noise() }, prefer: 'return=representation' }],
    () => ['/notes', { body: { title: noise(), id: below(1e9) }, prefer: 'return=headers-only' }],
    () => [
      '/kinds',
      {
        body: {
          [pick(['whole', 'fraction', 'flag', 'millis', 'bytes', 'big', 'json', 'exact'])]: noise(),
        },
      },
    ],
    () => [
      `/notes?id=eq.1&select=${q(`${quoted()}:title`)}`,
      { method: 'PATCH', body: { body: noise() }, prefer: 'return=representation' },
    ],
    () => [`/notes?title=${q(filterOf())}&id=eq.0`, { method: 'DELETE' }],
    () => [`/tags?name=eq.${q(noise())}`, { method: 'PUT', body: { name: noise() } }],
    () => ['/notes', { headers: { prefer: `return=${noise().replace(/[^\x20-\x7e]/g, '')}` } }],
    () => ['/notes', { headers: { accept: noise().replace(/[^\x20-\x7e]/g, '') } }],
    () => ['/notes', { headers: { range: noise().replace(/[^\x20-\x7e]/g, '') } }],
    () => ['/notes', { headers: { 'accept-profile': noise().replace(/[^\x20-\x7e]/g, '') } }],
  ]

  it('4,000 random strings: never 5xx, never a word of the machine, never another’s row', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    const statuses = new Map<number, number>()
    for (let i = 0; i < 4000; i++) {
      const [path, options] = pick(shapes)()
      const answer = await call(path, { token: alice, ...options })
      const shown = JSON.stringify([path, options]).slice(0, 300)
      expect(answer.status, shown).toBeLessThan(500)
      if (
        answer.status >= 400 &&
        answer.text !== '' &&
        answer.headers.get('content-type')?.includes('json')
      )
        expect(answer.text, shown).not.toMatch(machine)
      if (answer.status < 300) expect(answer.text, shown).not.toContain('"his"')
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
    }
    expect(logged).not.toHaveBeenCalled()
    // The corpus is no good if all of it is refused.
    expect(statuses.get(200)).toBeGreaterThan(200)
    expect(statuses.get(400)).toBeGreaterThan(200)
    expect(await stored('SELECT owner_id, title FROM notes WHERE id = 2')).toEqual([
      { owner_id: 'bob', title: 'his' },
    ])
    expect(await stored(`SELECT count(*) AS n FROM sqlite_master WHERE name = 'notes'`)).toEqual([
      { n: 1 },
    ])
  })
})

describe('when the database fails', () => {
  /** A database whose calls of one kind throw. */
  const failing = (kind: 'prepare' | 'all' | 'batch', text: string) =>
    makeBase({
      db: (e: Env) => {
        const fail = () => {
          throw new Error(text)
        }
        const wrap = (statement: object): object =>
          new Proxy(statement, {
            get: (target, name) => {
              if (name === 'bind')
                return (...values: unknown[]) =>
                  wrap((target as { bind: (...v: unknown[]) => object }).bind(...values))
              return name === 'all' ? async () => fail() : Reflect.get(target, name)
            },
          })
        return {
          prepare: (sql: string) => {
            if (kind === 'prepare') fail()
            const statement = e.DB.prepare(sql)
            return kind === 'all' ? wrap(statement) : statement
          },
          batch: async (statements: never[]) =>
            kind === 'batch' ? fail() : e.DB.batch(statements),
        } as never
      },
    })

  const requests: Record<'all' | 'batch', [path: string, options?: object][]> = {
    all: [
      ['/notes'],
      ['/notes', { body: { title: 'x' } }],
      ['/notes?id=eq.1', { method: 'PATCH', body: { title: 'x' } }],
      ['/notes?id=eq.1', { method: 'DELETE' }],
    ],
    batch: [
      ['/notes', { headers: { prefer: 'count=exact' } }],
      [
        '/notes',
        { body: { id: 1, title: 'x' }, headers: { prefer: 'resolution=merge-duplicates' } },
      ],
      ['/notes?id=eq.1', { method: 'PUT', body: { id: 1, title: 'x' } }],
      ['/notes', { method: 'DELETE', headers: { prefer: 'handling=strict, max-affected=1' } }],
    ],
  }
  const texts: [text: string, status: number, code: string][] = [
    ['D1_ERROR: no such table: leanto_secret: SQLITE_ERROR', 500, 'XX000'],
    ['D1_ERROR: near "SELECT": syntax error at offset 7: SQLITE_ERROR', 500, 'XX000'],
    ['D1_ERROR: database disk image is malformed: SQLITE_CORRUPT', 500, 'XX000'],
    ['internal error; reference = 0123456789abcdef', 500, 'XX000'],
    ["bad JSON path: 'leanto:nonsense:'", 500, 'XX000'],
    ['', 500, 'XX000'],
    ['D1_ERROR: D1 DB is overloaded. Too many requests queued.', 503, 'PGRST001'],
    ['D1_ERROR: D1 DB is overloaded. Requests queued for too long.', 503, 'PGRST001'],
    ['D1_ERROR: Network connection lost.', 503, 'PGRST001'],
    ['D1 DB storage operation exceeded timeout which caused object to be reset.', 503, 'PGRST001'],
    ['D1 DB reset because its code was updated.', 503, 'PGRST001'],
    ['Internal error in D1 DB storage caused object to be reset.', 503, 'PGRST001'],
    ['D1 DB exceeded its CPU time limit and was reset.', 503, 'PGRST001'],
    ['Cannot resolve D1 DB due to transient issue on remote node.', 503, 'PGRST001'],
  ]
  it.each(texts)('%s is %i %s', async (text, status, code) => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    const before = await everything()
    for (const kind of ['prepare', 'all', 'batch'] as const) {
      const ask = mount({ '/rest/v1': makeStore(failing(kind, text)) })
      const asked = kind === 'prepare' ? [...requests.all, ...requests.batch] : requests[kind]
      for (const [path, options] of asked) {
        const response = await ask(`/rest/v1${path}`, { token: alice, ...options })
        const body = wellFormed(await response.text())
        expect([kind, path, response.status, body]).toEqual([
          kind,
          path,
          status,
          {
            code,
            message: code === 'XX000' ? 'Internal server error' : 'Could not reach the database',
            details: null,
            hint: null,
          },
        ])
        expect(response.headers.get('cache-control')).toBe('no-store')
      }
    }
    // The cause is for the log, where the host finds it.
    expect(JSON.stringify(logged.mock.calls.map((args) => args.map(String)))).toContain(
      JSON.stringify(text).slice(1, -1),
    )
    expect(await everything()).toEqual(before)
  })

  it.each([
    ['D1_ERROR: too many SQL variables at offset 9: SQLITE_ERROR'],
    ['D1_ERROR: string or blob too big: SQLITE_TOOBIG'],
    ['D1_ERROR: Expression tree is too large (maximum depth 100): SQLITE_ERROR'],
  ])('%s is 54000', async (text) => {
    const ask = mount({ '/rest/v1': makeStore(failing('all', text)) })
    const response = await ask('/rest/v1/notes', { body: { title: 'x' }, token: alice })
    expect([response.status, wellFormed(await response.text()).code]).toEqual([400, '54000'])
  })
})

describe('tenants (case 70)', () => {
  it('1,000 interleaved requests of two tenants never mix', async () => {
    const tenants = makeStore(
      makeBase({
        db: (e, source) =>
          (source.req?.raw.headers.get('x-tenant') === 'b' ? e.OTHER_DB : e.DB) as never,
      }),
    )
    const ask = mount({ '/rest/v1': tenants })
    const sql = (await stored(`SELECT sql FROM sqlite_master WHERE name = 'notes'`))[0]
      ?.sql as string
    await env.OTHER_DB.prepare(sql).run()
    await env.DB.prepare('DELETE FROM notes').run()
    const people = [alice, bob]
    const requests = Array.from({ length: 1000 }, async (_, i) => {
      const tenant = i % 2 ? 'a' : 'b'
      const token = people[(i >> 1) % 2] as string
      const owner = token.slice(5)
      const headers = { 'x-tenant': tenant, prefer: 'return=representation' }
      if (i % 5 === 0) {
        const body = { title: `${tenant}-${owner}-${i}` }
        const response = await ask('/rest/v1/notes', { token, headers, body })
        const [row] = (await response.json()) as { owner_id: string; title: string }[]
        expect(row).toMatchObject({ owner_id: owner, title: body.title })
        return
      }
      const response = await ask('/rest/v1/notes?select=owner_id,title', { token, headers })
      for (const row of (await response.json()) as { owner_id: string; title: string }[])
        expect(row.title.startsWith(`${tenant}-${owner}-`) && row.owner_id === owner).toBe(true)
    })
    await Promise.all(requests)
    for (const [db, tenant] of [
      [env.DB, 'a'],
      [env.OTHER_DB, 'b'],
    ] as const) {
      const { results } = await db.prepare('SELECT title FROM notes').all<{ title: string }>()
      expect(results).toHaveLength(100)
      expect(results.every(({ title }) => title.startsWith(`${tenant}-`))).toBe(true)
    }
  })
})
