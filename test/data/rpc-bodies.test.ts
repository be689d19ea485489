import { data, fn } from 'leanto/data'
import * as v from 'valibot'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeBase, mount } from '../kit/world.ts'
import { fresh, get } from './rpc-world.ts'
import { people } from './store.ts'

const post = (body: unknown) => ({ body })

describe('bodies', () => {
  beforeAll(fresh)

  it('have a limit, whatever they claim (cases 53, 67)', async () => {
    const small = mount({
      '/r': data(makeBase(), {
        identity: people,
        tables: {},
        bodyLimit: 100,
        functions: { echo: fn(v.unknown(), (_scope, args) => args, { allow: () => true }) },
      }),
    })
    const long = JSON.stringify({ a: 'x'.repeat(200) })
    for (const headers of [{}, { 'content-length': '5' }] as Record<string, string>[])
      for (const type of ['application/json', 'text/plain', 'application/octet-stream'])
        expect(
          (
            await small('/r/rpc/echo', {
              body: long,
              headers: { ...headers, 'content-type': type },
            })
          ).status,
        ).toBe(413)
    expect((await small('/r/rpc/echo', { body: { a: 1 } })).status).toBe(200)
  })

  it('are JSON, a form, one row of CSV, a text or bytes', async () => {
    const sent = (type: string, body: string, path = '/echo') =>
      get(path, { body, headers: { 'content-type': type } })
    expect(await sent('application/json', '')).toEqual({})
    expect(await sent('application/json', '{')).toBe('400 PGRST102')
    expect(await sent('', '{"a":1}')).toEqual({ a: 1 })
    expect(await sent('text/plain', 'as it is')).toBe('as it is')
    expect(await sent('text/xml; charset=utf-8', '<a/>')).toBe('<a/>')
    expect(await sent('application/octet-stream', 'ab')).toBe('\\x6162')
    expect(await sent('image/png', 'x')).toBe('400 PGRST102')
    const form = 'application/x-www-form-urlencoded'
    expect(await sent(form, 'name=A+B%21&name=last', '/hello')).toBe('Hello, last')
    expect(await sent(form, 'a=1&b=2', '/add')).toBe(3)
    expect(await sent(form, 'a=%zz', '/add')).toBe('400 PGRST102')
    expect(await sent('text/csv', 'a,b\n1,2', '/add')).toBe(3)
    expect(await sent('text/csv', 'a,b\n1,2\n3,4', '/add')).toBe('400 PGRST102')
    expect(await sent('text/csv', 'a,b', '/add')).toBe('400 PGRST102')
    // Every row of a list is not one call: nothing is dropped silently.
    expect(await get('/add', post([{ a: 1 }, { a: 2 }]))).toBe('400 22023')
  })

  it('columns= says which keys count', async () => {
    expect(await get('/echo?columns=a,c', post({ a: 1, b: 2, c: 3 }))).toEqual({ a: 1, c: 3 })
    expect(await get('/add?columns=a', post({ a: 1, b: 'x' }))).toBe(2)
  })

  it('with a key that is there twice: schema and handler see the same one (case 45)', async () => {
    expect(await get('/echo', post('{"a":1,"a":2}'))).toEqual({ a: 2 })
  })
})
