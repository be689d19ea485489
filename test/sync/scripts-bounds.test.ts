import { sync } from 'leanto/sync'
import { find } from 'leanto/sync/find'
import { scripts } from 'leanto/sync/scripts'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { type Ask, type Env, freshDatabase, makeBase, mount } from '../kit/world.ts'
import {
  type Answer,
  answer,
  ask,
  bulk,
  databases,
  design,
  docs,
  ids,
  put,
} from './scripts-world.ts'
import { people } from './store.ts'

beforeEach(() => freshDatabase([docs]))

describe('what functions can not do', () => {
  /** In ms, real ones. */
  const longest = 15_000
  const timed = async (run: () => Promise<[number, Answer]>): Promise<[number, Answer]> => {
    const began = Date.now()
    const told = await run()
    expect(Date.now() - began).toBeLessThan(longest)
    return told
  }
  const filtered = async (body: string) => {
    await design('f', { filters: { x: `function (doc, req) { ${body} }` } })
    return timed(() => answer('/db/_changes?filter=f/x'))
  }
  const tooMuch = [400, { error: 'os_process_error' }]

  it.each([
    ['goes on for ever', 'while (true) {}'],
    [
      'goes on for ever and catches',
      'while (true) { try { while (true) {} } catch (e) {} finally { while (true) {} } }',
    ],
    ['calls itself', '(function f() { return f() + 1 })()'],
    [
      'calls itself and catches',
      'function f() { try { return f() } catch (e) { return f() } } return f()',
    ],
    ['parses what is too deep', 'return JSON.parse("[".repeat(1e6))'],
    [
      'writes what is too deep',
      'var o = {}; for (var i = 0; i < 2e5; i++) o = { o: o }; return JSON.stringify(o)',
    ],
    ['fills a list', 'var a = []; for (;;) a.push("text" + a.length)'],
    ['doubles a text', 'var s = "x"; for (;;) s += s + 1'],
    ['keeps texts', 'var a = []; for (;;) a.push("x".repeat(1e6) + a.length)'],
    ['fills an object', 'var o = {}; for (var i = 0; ; i++) o["k" + i] = { i: i }'],
    ['backtracks', 'return /^(a+)+$/.test("a".repeat(60) + "b")'],
    [
      'searches a long text for a long text',
      'return "a".repeat(1 << 21).indexOf("a".repeat(1 << 20) + "b")',
    ],
    ['searches from behind', 'return "a".repeat(1 << 21).lastIndexOf("b" + "a".repeat(1 << 20))'],
    ['splits by a long text', 'return "a".repeat(1 << 21).split("a".repeat(1 << 20) + "b")'],
    [
      'replaces a long text',
      'return "a".repeat(1 << 21).replace({ toString: () => "a".repeat(1 << 20) + "b" }, "")',
    ],
    ['has a list of no end', 'var a = []; a.length = 4294967295; return a.indexOf(1)'],
    ['sorts a list of no end', 'var a = [1]; a.length = 4294967295; return a.sort()'],
    ['flattens one', 'var a = [1]; a.length = 4294967295; return [a].flat()'],
    ['appends one', 'var a = [1]; a.length = 4294967295; return [].concat(a)'],
    ['makes a set of one', 'var a = [1]; a.length = 4294967295; return new Set(a)'],
    ['spreads one', 'var a = [1]; a.length = 4294967295; return [...a]'],
    ['searches often', 'var a = new Array(1e5).fill(1), n = 0; for (;;) n += a.indexOf(2)'],
  ])('%s', async (_, body) => {
    await put({ _id: 'a' })
    const [status, { error }] = await filtered(body)
    expect([status, ['os_process_error', 'unnamed_error']]).toEqual([
      400,
      expect.arrayContaining([error]),
    ])
    // The next request has an interpreter of its own.
    const [, { _rev }] = await answer('/db/_design/f')
    await design('f', { _rev, filters: { x: 'function (doc) { return doc._id === "a" }' } })
    expect(ids((await answer('/db/_changes?filter=f/x'))[1])).toEqual(['a'])
  })

  it('say that it was too much, not who is to blame', async () => {
    await put({ _id: 'a' })
    expect(await filtered('while (true) {}')).toMatchObject(tooMuch)
  })

  it('go on with the next document where one was too much, and refuse that', async () => {
    const rule = `function (doc) {
      if (doc.loop) while (true) {}
      if (doc.fill) { var a = []; for (;;) a.push("x".repeat(1e6) + a.length) }
    }`
    await design('v', { validate_doc_update: rule })
    const [status, lines] = await timed(() =>
      bulk([{ _id: 'a', loop: 1 }, { _id: 'b' }, { _id: 'c', fill: 1 }, { _id: 'd' }]),
    )
    const reason = expect.stringContaining('too many steps')
    expect([status, lines]).toMatchObject([
      201,
      [
        { id: 'a', error: 'forbidden', reason },
        { ok: true, id: 'b' },
        { id: 'c', error: 'forbidden', reason },
        { ok: true, id: 'd' },
      ],
    ])
  })

  it('end a request as a whole where all of it is too much, and nothing of it is written', async () => {
    await design('v', { validate_doc_update: 'function (doc) { while (true) {} }' })
    const list = Array.from({ length: 400 }, (_, n) => ({ _id: `n${n}` }))
    expect(await timed(() => bulk(list))).toMatchObject(tooMuch)
    expect((await answer('/db'))[1].doc_count).toBe(1)
  })

  it('end a view, which goes on once they are mended', async () => {
    await bulk([
      { _id: 'a', n: 1 },
      { _id: 'b', n: 2 },
    ])
    const map = (more: string) => ({
      views: { x: { map: `function (doc) { ${more} emit(doc.n) }` } },
    })
    await design('v', map('if (doc.n === 2) for (;;);'))
    expect(await timed(() => answer('/db/_design/v/_view/x'))).toMatchObject(tooMuch)
    const [, { _rev }] = await answer('/db/_design/v')
    await design('v', { _rev, ...map('') })
    expect(ids((await answer('/db/_design/v/_view/x'))[1])).toEqual(['a', 'b'])
    const reduced = {
      views: { x: { map: 'function (doc) { emit(1) }', reduce: 'function () { for (;;); }' } },
    }
    await design('w', reduced)
    expect(await timed(() => answer('/db/_design/w/_view/x'))).toMatchObject(tooMuch)
    expect((await answer('/db/_design/w/_view/x?reduce=false'))[0]).toBe(200)
  })

  it('take documents as large and as deep as there are', async () => {
    await design('v', {
      validate_doc_update:
        'function (doc, old) { if (old && old.list.length !== doc.list.length) throw({ forbidden: "n" }) }',
    })
    const list = Array.from({ length: 500_000 }, () => 1)
    let deep: unknown = 1
    for (let i = 0; i < 1000; i++) deep = [deep]
    const doc = { _id: 'large', list, deep }
    const [status, { rev }] = await put(doc)
    expect(status).toBe(201)
    expect((await put({ ...doc, _rev: rev } as never))[0]).toBe(201)
  })

  it('reach nothing of the host, and make no code of text', async () => {
    await put({ _id: 'a' })
    const of = async (expression: string) => {
      const filters = { x: `function (doc) { throw({ forbidden: String(${expression}) }) }` }
      const name = `e${await digest(expression)}`
      await design(name, { filters })
      const [, { error, reason }] = await answer(`/db/_changes?filter=${name}/x`)
      return error === 'forbidden' ? reason : error
    }
    const globals = [
      'fetch',
      'process',
      'console',
      'WebAssembly',
      'setTimeout',
      'crypto',
      'caches',
      'self',
      'Promise',
      'Proxy',
      'BigInt',
      'Uint8Array',
      'eval',
      'Iterator',
      'std',
      'os',
      'bjson',
      'performance',
      'navigator',
    ]
    expect(
      await of(`${JSON.stringify(globals)}.filter(function (n) { return n in globalThis })`),
    ).toBe('')
    for (const attempt of [
      'Function("return 1")()',
      '(function () {}).constructor("return 1")()',
      '(function* () {}).constructor("yield 1")()',
      'Object.getPrototypeOf(async function () {}).constructor("return 1")()',
      'new (doc.constructor.constructor)("return this")()',
      'eval("1")',
    ])
      expect(['unnamed_error', 'compilation_error'], attempt).toContain(await of(attempt))
    expect(await of('import("fs")')).toMatch(/error|Promise/)
    expect(await of('require("views/../../etc")')).toBe('unnamed_error')
    expect(await of('require("__proto__/constructor")')).toBe('unnamed_error')
  })

  it('change nothing for others by changing what everything comes from', async () => {
    const evil = `function (doc) {
      if (globalThis.done) return
      globalThis.done = true
      Object.prototype.toJSON = Array.prototype.toJSON = function () { return { forbidden: 1 } }
      JSON.stringify = JSON.parse = function () { return '"o"' }
      Array.prototype.push = Array.prototype.map = function () {}
      Function.prototype.apply = Function.prototype.call = function () { return true }
      Object.defineProperty(Object.prototype, 'forbidden', { get: function () { return undefined }, set: function () {} })
      Object.defineProperty(Array.prototype, 0, { set: function () {}, get: function () { return 'o' } })
      String.prototype.slice = String.prototype.charAt = function () { return 'o' }
      globalThis.emit = globalThis.require = globalThis.isArray = undefined
      Error.prototype.toString = function () { return 'o' }
      %
    }`
    const rule = 'function (doc) { if (doc.no) throw({ forbidden: "no" }) }'
    await design('a', { validate_doc_update: evil.replace('%', '') })
    await design('b', { validate_doc_update: rule })
    expect((await bulk([{ _id: 'x', no: 1 }, { _id: 'y' }]))[1]).toMatchObject([
      { id: 'x', error: 'forbidden', reason: 'no' },
      { ok: true, id: 'y' },
    ])
    await design('v', {
      views: {
        evil: { map: evil.replace('%', 'emit(1)') },
        good: { map: 'function (doc) { emit(doc._id, [1, { a: doc.no }]) }' },
      },
    })
    expect((await answer('/db/_design/v/_view/evil'))[0]).toBe(200)
    expect((await answer('/db/_design/v/_view/good'))[1].rows).toEqual([
      { id: 'y', key: 'y', value: [1, {}] },
    ])
    expect((await put({ _id: '__proto__' } as never))[0]).toBe(400)
    expect({}).not.toHaveProperty('toJSON')
  })

  it('leave no memory behind: many requests, each with an interpreter', async () => {
    await design('v', {
      validate_doc_update: 'function (doc) { var a = []; for (var i = 0; i < 1e4; i++) a.push(i) }',
    })
    for (let n = 0; n < 150; n++) expect((await put({ _id: `n${n}` }))[0]).toBe(201)
  })
})

it('fails as 503 where D1 does, at every trip, and is right when that is over', async () => {
  await design('f', {
    validate_doc_update: 'function (doc) { if (doc.no) throw({ forbidden: "no" }) }',
    filters: { n: 'function (doc) { return doc.n > 0 }' },
    views: {
      n: { map: 'function (doc) { emit(doc.n) }', reduce: 'function (k, v) { return v.length }' },
    },
  })
  await bulk([
    { _id: 'a', n: 0 },
    { _id: 'b', n: 1 },
  ])
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  for (const [path, options, expected] of [
    ['/db/_changes?filter=f/n', {}, 200],
    ['/db/_changes?filter=_view&view=f/n', {}, 200],
    ['/db/_design/f/_view/n', {}, 200],
    ['/db/_design/f/_view/n?reduce=false&include_docs=true', {}, 200],
    ['/db/new', { method: 'PUT', body: { n: 2 } }, 201],
    ['/db/refused', { method: 'PUT', body: { no: 1 } }, 403],
  ] as [string, Ask, number][]) {
    for (const verdict of [true, 'after'] as const) {
      for (let failing = 1; ; failing++) {
        // So that a view has something to catch up with.
        await ask('/db', { body: { n: failing } })
        let trips = 0
        const db = (e: Env) => faulty(e.DB as never, () => ++trips === failing && verdict)
        const away = sync(makeBase({ db }), { identity: people, parts: [find, scripts], databases })
        const response = await mount({ '/': away })(path, options)
        const text = await response.text()
        if (trips < failing) break
        expect([path, failing, response.status]).toEqual([path, failing, 503])
        expect(text).not.toMatch(/leanto|D1_ERROR/)
      }
    }
    const { status } = await ask(path, options)
    expect([path, status]).toEqual([path, path === '/db/new' ? 409 : expected])
  }
  log.mockRestore()
  const { doc_count } = (await answer('/db'))[1]
  expect((await answer('/db/_design/f/_view/n'))[1].rows).toEqual([
    { key: null, value: doc_count - 1 },
  ])
  expect((await answer('/db/refused'))[0]).toBe(404)
})

async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return [...new Uint8Array(bytes)]
    .map((byte) => byte.toString(16))
    .join('')
    .slice(0, 12)
}
