import { apiKeys } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { site, testSecret } from '../kit/world.ts'
import { everything, seed, wellFormed } from './intact.ts'
import { alice, ask, call } from './store.ts'

const q = encodeURIComponent

beforeEach(seed)

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
    ['/notes?notes.id=eq.1', 400, 'PGRST108'],
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

  it('what an answer calls a value is no name of our own: nothing is written, no tag forged', async () => {
    const names = [
      'leanto:row',
      'leanto:version',
      'leanto:key:0',
      'leanto:none',
      "x'leanto:y",
      '__proto__',
    ]
    const before = await everything()
    for (const name of names)
      for (const select of [
        `"${name}":title`,
        `id,"${name}":title`,
        `"${name}":count()`,
        `meta->"${name}"`,
        `meta->"${name}"->0`,
        `...comments("${name}":text)`,
        `"${name}":comments(id)`,
      ])
        for (const options of [
          {},
          { method: 'PATCH', body: { body: 'x' }, prefer: 'return=representation' },
          { body: { title: 'x' }, prefer: 'return=representation' },
        ]) {
          const path = `/notes?select=${q(select)}`
          const { status, body } = await call(path, { token: alice, ...options })
          expect([select, status, body.code]).toEqual([select, 400, 'PGRST100'])
        }
    expect(await everything()).toEqual(before)
    const { body } = await call(`/notes?select=x:meta->${q('"leanto:row"')}&limit=1`, {
      token: alice,
    })
    expect(body).toEqual([{ x: null }])
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
        // The root describes itself, and is no table; where `..` leads is the root.
        const described = method === 'GET' && ['/', '', '/./notes/..'].includes(path)
        expect([path, method, status]).toEqual([path, method, described ? 200 : 404])
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
