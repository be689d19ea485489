import { data, fn } from 'leanto/data'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { makeBase, mount } from '../kit/world.ts'
import { toStandardJson } from './rpc-schemas.ts'
import { people } from './store.ts'

/** A module whose functions answer the arguments that they were given. */
const taking = (schemas: Record<string, Parameters<typeof fn>[0]>) => {
  const functions = Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      fn(schema, (_scope, args: unknown) => args, { allow: () => true, readOnly: true }),
    ]),
  )
  const ask = mount({ '/r': data(makeBase(), { identity: people, tables: {}, functions }) })
  return async (path: string, body?: unknown, type = 'application/json') => {
    const response = await ask(`/r/rpc${path}`, { body, headers: { 'content-type': type } })
    return { status: response.status, body: (await response.json()) as never }
  }
}

describe('arguments in a query string', () => {
  const optional = v.object({
    text: v.optional(v.nullable(v.string())),
    number: v.optional(v.nullable(v.number())),
    flag: v.optional(v.boolean()),
    either: v.optional(v.union([v.number(), v.string()])),
    texts: v.optional(v.array(v.nullable(v.string()))),
    numbers: v.optional(v.array(v.nullable(v.number()))),
    nested: v.optional(v.array(v.array(v.number()))),
    object: v.optional(v.object({ a: v.number(), b: v.array(v.string()) })),
    colour: v.optional(v.picklist(['red', 'blue'])),
    short: v.optional(v.pipe(v.string(), v.maxLength(3))),
    date: v.optional(v.pipe(v.string(), v.isoDate())),
    made: v.optional(v.pipe(v.string(), v.transform(Number), v.number())),
  })
  const ask = taking({ take: optional })
  const read = async (query: string) => {
    const { status, body } = await ask(`/take?${query}`)
    return status === 200 ? body : `${status} ${(body as { code: string }).code}`
  }
  const quote = encodeURIComponent

  it.each([
    ['text=5', { text: '5' }],
    ['text=true', { text: 'true' }],
    ['text=', { text: '' }],
    ['text=null', { text: 'null' }],
    ['text=a+b%2Bc', { text: 'a b+c' }],
    ['number=5', { number: 5 }],
    ['number=-1.5e3', { number: -1500 }],
    ['number=%2B007', { number: 7 }],
    ['number=.5', { number: 0.5 }],
    ['number=null', { number: null }],
    ['flag=true', { flag: true }],
    ['flag=f', { flag: false }],
    ['flag=on', { flag: true }],
    ['flag=0', { flag: false }],
    ['either=5', { either: '5' }],
    ['texts={a,b}', { texts: ['a', 'b'] }],
    [
      `texts=${quote('{a,"b, c","\\"d\\"",NULL,"NULL",}')}`,
      { texts: ['a', 'b, c', '"d"', null, 'NULL', ''] },
    ],
    ['texts={}', { texts: [] }],
    ['texts=["a","b"]', { texts: ['a', 'b'] }],
    ['texts=a', { texts: ['a'] }],
    ['texts=a&texts=b', { texts: ['a', 'b'] }],
    ['texts={1,2}', { texts: ['1', '2'] }],
    ['numbers={1,2,null}', { numbers: [1, 2, null] }],
    ['numbers=[1,2]', { numbers: [1, 2] }],
    ['numbers=1&numbers=2', { numbers: [1, 2] }],
    ['numbers=7', { numbers: [7] }],
    ['nested={{1,2},{3}}', { nested: [[1, 2], [3]] }],
    ['nested=[[1],[]]', { nested: [[1], []] }],
    [`object=${quote('{"a":1,"b":["x"]}')}`, { object: { a: 1, b: ['x'] } }],
    ['colour=red', { colour: 'red' }],
    // Not a list: the last one counts, as in PostgREST.
    ['text=a&text=b', { text: 'b' }],
    ['number=1&number=2', { number: 2 }],
    ['date=2026-01-01&made=12', { date: '2026-01-01', made: 12 }],
    ['text=1&number=1&flag=1&numbers=1', { text: '1', number: 1, flag: true, numbers: [1] }],
  ])('%s', async (query, expected) => {
    expect(await read(query)).toEqual(expected)
  })

  it.each([
    ['number=five', 'number: '],
    ['number=12345678901234567890', 'number: '],
    ['flag=maybe', 'flag: '],
    ['colour=green', 'colour: '],
    ['short=long+one', 'short: '],
    ['numbers={1,x}', 'numbers.1: '],
    ['numbers={1', 'numbers'],
    ['object={1,2}', 'object'],
    ['number=1&flag=2', 'flag: '],
    // Names that every object has are no arguments (case 46).
    ['number=x&constructor=1&__proto__=2', 'number: '],
  ])('%s is refused, and said where', async (query, where) => {
    const { status, body } = await ask(`/take?${query}`)
    expect([status, (body as { code: string }).code]).toEqual([400, '22023'])
    expect((body as { message: string }).message).toContain(`for function take: ${where}`)
  })

  it('what reads as a filter is one, of the row that is answered', async () => {
    expect(await read('text=eq.5')).toBe('400 42703')
    expect(await read('text=5&text=eq.5')).toEqual({ text: '5' })
    expect(await read('text=5&text=neq.5')).toBeNull()
    expect(await read('text=5&number=1&select=number')).toEqual({ number: 1 })
    expect(await read('text=5&select=a')).toBe('400 42703')
    expect(await read('a.text=5')).toBe('400 PGRST108')
    // Not one, though it has a point.
    expect(await read('text=equal.5')).toEqual({ text: 'equal.5' })
  })

  it('a hundred are the most', async () => {
    const query = Array.from({ length: 101 }, (_, i) => `a${i}=1`).join('&')
    expect(await read(query)).toBe('400 54000')
  })

  it('a schema that is against the whole is heard, and hostile texts end soon', async () => {
    const both = v.pipe(
      v.object({ a: v.number(), b: v.number() }),
      v.check(({ a, b }) => a < b, 'a must be less'),
    )
    const whole = taking({
      less: both,
      never: v.pipe(
        v.unknown(),
        v.check(() => false, 'never'),
      ),
    })
    expect((await whole('/less?a=1&b=2')).body).toEqual({ a: 1, b: 2 })
    expect((await whole('/less?a=2&b=1')).body).toMatchObject({
      message: 'invalid arguments for function less: a must be less',
    })
    const deep = quote(`${'{'.repeat(2000)}${'}'.repeat(2000)}`)
    expect((await whole(`/never?a=${deep}&a=${deep}`)).status).toBe(400)
  })
})

describe('arguments of a body', () => {
  const ask = taking({
    take: v.object({ a: v.number(), b: v.optional(v.string()) }),
    list: v.array(v.number()),
    text: v.string(),
  })

  it('are of their own types: a text is no number', async () => {
    expect((await ask('/take', { a: 1, b: '2' })).body).toEqual({ a: 1, b: '2' })
    const { status, body } = await ask('/take', { a: '1', b: 2 })
    expect([status, body]).toMatchObject([
      400,
      { code: '22023', message: expect.stringContaining('function take: a: ') },
    ])
    expect((body as { details: string }).details.split('\n')).toHaveLength(2)
    expect((await ask('/list', [1, 2])).body).toEqual([1, 2])
    expect((await ask('/list', ['1'])).status).toBe(400)
    expect((await ask('/text', '"x"')).body).toBe('x')
    expect((await ask('/text', 'x', 'text/plain')).body).toBe('x')
    expect((await ask('/take', 'x', 'text/plain')).status).toBe(400)
    // A key of every object, in the place of an argument (case 46).
    expect((await ask('/take', '{"a":1,"constructor":5,"__proto__":{"b":"x"}}')).body).toEqual({
      a: 1,
    })
  })

  it('the query string beside a body is for rows alone', async () => {
    expect((await ask('/take?b=x', { a: 1 })).body).toMatchObject({ code: 'PGRST100' })
  })
})

describe('a schema that tells its arguments (Standard JSON Schema)', () => {
  const ask = taking({
    take: toStandardJson(v.object({ a: v.number(), b: v.optional(v.string()) }), {
      type: 'object',
      properties: { a: { type: 'number' }, b: { type: 'string' } },
      required: ['a'],
    }),
    loose: toStandardJson(v.looseObject({ a: v.optional(v.number()) }), {
      type: 'object',
      properties: { a: { type: 'number' } },
      additionalProperties: {},
    }),
    untold: toStandardJson(v.object({ a: v.number() }), undefined),
  })

  it('other names are another function, which is not there', async () => {
    expect((await ask('/take', { a: 1, b: 'x' })).status).toBe(200)
    expect((await ask('/take?a=1')).status).toBe(200)
    for (const { status, body } of [
      await ask('/take', { a: 1, c: 1, b: 'x' }),
      await ask('/take?a=1&b=x&c=1'),
    ]) {
      expect(status).toBe(404)
      expect(body).toMatchObject({
        code: 'PGRST202',
        message: 'Could not find the function public.take(a, b, c) in the schema cache',
        hint: 'Perhaps you meant to call the function public.take(a, b)',
      })
    }
    expect((await ask('/take', { b: 'x' })).status).toBe(404)
    expect((await ask('/take')).body).toMatchObject({
      message: 'Could not find the function public.take without parameters in the schema cache',
    })
    // Of the right names, but not of their types.
    expect((await ask('/take', { a: 'x' })).body).toMatchObject({ code: '22023' })
  })

  it('one of any keys, or that cannot tell, is asked itself', async () => {
    expect((await ask('/loose', { z: 1 })).body).toEqual({ z: 1 })
    expect((await ask('/untold', { b: 1 })).body).toMatchObject({ code: '22023' })
  })
})
