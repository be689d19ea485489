import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import type { Module } from 'leanto'
import { data, expose } from 'leanto/data'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeBase, site } from '../kit/world.ts'
import { everything, seed, wellFormed } from './intact.ts'
import { alice, call, makeStore, people, stored, tags } from './store.ts'

const open = { select: () => true, insert: () => true, update: () => true, delete: () => true }

beforeEach(seed)

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
