import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { beforeEach, expect, it } from 'vitest'
import { alice, bob } from './store.ts'
import { call, dump, seed } from './writing-world.ts'

beforeEach(seed)

/*
 * Case 72, at random: a batch is the same as its operations one after the other, as long as all of them succeed; if one
 * does not, the batch is refused with that one's error and its index, and nothing has happened. A dry run of it answers
 * the same, and so does a repeat of its key.
 */

interface Operation {
  method: string
  path: string
  headers: Record<string, string>
  body?: unknown
}

const id = fc.integer({ min: 1, max: 9 })
const text = fc.constantFrom('a', 'b', 'c', "it's", '"ü"', '')
const nullable = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null, freq: 6 })

const tables = {
  plain: { id, text: nullable(text) },
  pairs: {
    a: fc.constantFrom('x', 'y', 'z'),
    b: fc.integer({ min: 1, max: 3 }),
    v: nullable(text),
  },
  keyless: { text: nullable(text), n: nullable(id) },
  notes: { title: text, rank: nullable(fc.constantFrom(0.1, 2, -3.5)), public: fc.boolean() },
  comments: { note_id: id, text },
  versioned: { id, text: nullable(text) },
} as const
type Name = keyof typeof tables
const keys: Partial<Record<Name, string[]>> = {
  plain: ['id'],
  pairs: ['a', 'b'],
  versioned: ['id'],
}

const filterOf = (name: Name): fc.Arbitrary<string> => {
  const columns = Object.keys(tables[name])
  return fc.oneof(
    fc.constant(''),
    fc
      .tuple(
        fc.constantFrom(...columns),
        fc.constantFrom('eq', 'neq', 'gte'),
        fc.oneof(id, fc.constantFrom('a', 'x')),
      )
      .map(([column, operator, value]) => `${column}=${operator}.${value}`),
  )
}

const windowOf = (name: Name): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant('') },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom(...Object.keys(tables[name])),
          fc.nat({ max: 3 }),
          fc.nat({ max: 2 }),
        )
        .map(([column, limit, offset]) => `order=${column}&limit=${limit}&offset=${offset}`),
    },
  )

const preferOf = fc
  .tuple(
    fc.constantFrom('', 'return=representation', 'return=headers-only', 'return=minimal'),
    fc.constantFrom('', '', 'count=exact'),
    fc.constantFrom('', '', 'resolution=merge-duplicates', 'resolution=ignore-duplicates'),
    fc.constantFrom('', '', '', 'handling=strict, max-affected=2'),
  )
  .map((parts) => parts.filter((part) => part !== '').join(', '))

const operation: fc.Arbitrary<Operation> = fc
  .constantFrom(...(Object.keys(tables) as Name[]))
  .chain((name) => {
    const columns = tables[name] as Record<string, fc.Arbitrary<unknown>>
    const row = fc.record(columns)
    const part = fc.record(columns, { requiredKeys: [] })
    const headers = fc
      .tuple(
        preferOf,
        fc.constantFrom(undefined, undefined, undefined, 'application/vnd.pgrst.object+json'),
      )
      .map(([prefer, accept]) => ({ prefer, ...(accept ? { accept } : {}) }))
    const query = fc
      .tuple(filterOf(name), windowOf(name))
      .map((parts) => parts.filter(Boolean).join('&'))
    const path = query.map((text) => `/${name}${text ? `?${text}` : ''}`)
    const put = row.map((body) => ({
      method: 'PUT',
      path: `/${name}?${(keys[name] ?? ['id']).map((key) => `${key}=eq.${(body as Record<string, unknown>)[key]}`).join('&')}`,
      body,
    }))
    return fc.oneof(
      { weight: 3, arbitrary: fc.record({ method: fc.constant('GET'), path, headers }) },
      {
        weight: 4,
        arbitrary: fc.record({
          method: fc.constant('POST'),
          path: fc.constant(`/${name}`),
          headers,
          body: fc.oneof(row, fc.array(row, { minLength: 0, maxLength: 4 })),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ method: fc.constant('PATCH'), path, headers, body: part }),
      },
      { weight: 2, arbitrary: fc.record({ method: fc.constant('DELETE'), path, headers }) },
      {
        weight: 1,
        arbitrary: fc.tuple(put, headers).map(([asked, more]) => ({ ...asked, headers: more })),
      },
    )
  })

const named = ['content-type', 'content-range', 'etag', 'location', 'preference-applied']
const shown = ({ status, headers, body }: Awaited<ReturnType<typeof call>>) => ({
  status,
  headers: Object.fromEntries(
    named.flatMap((name) => (headers.has(name) ? [[name, headers.get(name)]] : [])),
  ),
  body: body === '' ? null : body,
})

const send = ({ method, path, headers, body }: Operation, token: string) =>
  call(path, { method, token, headers, ...(body === undefined ? {} : { body }) })

let n = 0

async function holds(operations: readonly Operation[], token: string) {
  await seed()
  const before = await dump()
  const alone: ReturnType<typeof shown>[] = []
  for (const operation of operations) {
    const answer = await send(operation, token)
    alone.push(shown(answer))
    if (answer.status >= 400) break
  }
  const after = await dump()
  await seed()
  const ask = (more: object) => call('/batch', { token, body: { operations }, ...more })
  const failed = alone.findIndex(({ status }) => status >= 400)
  const tried = await ask({ prefer: 'tx=rollback' })
  expect(await dump()).toBe(before)
  const isKeyed = ++n % 2 === 0
  const headers = { 'idempotency-key': `a-key-that-no-guest-could-guess-${n}` }
  const done = await ask(isKeyed ? { headers } : {})
  if (failed >= 0) {
    expect(await dump()).toBe(before)
    expect(tried.body).toEqual(done.body)
    // What is wrong by itself is found before anything is run, wherever it stands.
    const at = done.body.operation?.index
    expect(at).toBeGreaterThanOrEqual(failed)
    const expected =
      at === failed ? alone[failed] : shown(await send(operations[at] as Operation, token))
    expect([done.status, done.body]).toEqual([
      expected?.status,
      { ...(expected?.body as object), operation: { index: at, id: String(at) } },
    ])
    return 'failed'
  }
  expect(done.status, done.text).toBe(200)
  const results = done.body.results.map(({ status, headers, body }: ReturnType<typeof shown>) => ({
    status,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => named.includes(name))),
    body,
  }))
  // A read's tag is of its answer; the rest is the same word for word.
  expect(results).toEqual(alone)
  expect(tried.text).toBe(done.text)
  if (isKeyed) expect((await ask({ headers })).text).toBe(done.text)
  await env.DB.prepare('DELETE FROM leanto_data_answers').run()
  expect(await dump()).toBe(after)
  return 'done'
}

it('a batch is its operations, all of them or none', async () => {
  const seen = { failed: 0, done: 0 }
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 1, maxLength: 6 }),
      fc.constantFrom(alice, alice, bob, ''),
      async (operations, token) => {
        seen[await holds(operations, token)]++
      },
    ),
    { numRuns: 250, seed: 20261124, endOnFailure: false },
  )
  // Both ends of the property were met.
  expect(seen.failed).toBeGreaterThan(30)
  expect(seen.done).toBeGreaterThan(30)
}, 600_000)
