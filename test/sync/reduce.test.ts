import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { shared, sync, type View } from 'leanto/sync'
import { find } from 'leanto/sync/find'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { measurer } from '../kit/measure.ts'
import { type Ask, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { alice, open, people } from './store.ts'
import type { Json } from './world.ts'

/*
 * What views come to is kept by blocks of rows. Whatever was written between two questions, and wherever a range cuts, the
 * answer is that of all rows at once.
 */

const map: View['map'] = ({ k, v }, emit) => {
  for (const key of (k ?? []) as unknown[]) emit(key, v)
}

/** Not the order of rows, but everything else shows whether one was missed or counted twice. */
const largest: View['reduce'] = (_, values, rereduce) =>
  rereduce
    ? (values as number[][]).reduce(([n = 0, most = 0], [m = 0, other = 0]) => [
        n + m,
        Math.max(most, other),
      ])
    : [values.length, Math.max(...(values as number[]))]

const reduces = { count: '_count', sum: '_sum', stats: '_stats', largest } as const

const make = (base = makeBase()) =>
  sync(base, {
    identity: people,
    parts: [find],
    databases: {
      db: shared({
        ...open,
        views: Object.fromEntries(
          Object.entries(reduces).map(([name, reduce]) => [`v/${name}`, { map, reduce }]),
        ),
      }),
      members: shared({
        ...open,
        channels: (doc) => [String(doc.in)],
        member: ({ claims }) => (claims.channels ?? []) as string[],
        views: { 'v/count': { map, reduce: '_count' } },
      }),
    },
  })

const base = makeBase()
const docs = make(base)
const ask = mount({ '/': docs })
const measure = measurer(base, docs)
const answer = async (path: string, options?: Ask): Promise<Json> =>
  (await ask(path, options)).json()

const view = (name: string, options: Record<string, unknown> = {}) =>
  `/db/_design/v/_view/${name}?${new URLSearchParams(
    Object.entries(options).map(([key, value]) => [key, JSON.stringify(value)]),
  )}`

type Document = { k: unknown[]; v: number }

async function write(documents: Map<string, Document>, changes: Record<string, Document | null>) {
  const keys = Object.keys(changes)
  const { rows } = await answer('/db/_all_docs', { body: { keys } })
  await ask('/db/_bulk_docs', {
    body: {
      docs: keys.map((_id, i) => {
        const { value } = rows[i] as { value?: { rev: string; deleted?: true } }
        const _rev = value && !value.deleted ? { _rev: value.rev } : {}
        return { _id, ..._rev, ...(changes[_id] ?? { _deleted: true }) }
      }),
    },
  })
  for (const [id, document] of Object.entries(changes))
    if (document) documents.set(id, document)
    else documents.delete(id)
}

const many = (count: number, from = 0): Record<string, Document> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      `d${String(i + from).padStart(6, '0')}`,
      { k: [[Math.floor((i + from) / 500), (i + from) % 500]], v: i + from },
    ]),
  )

beforeEach(() => freshDatabase([docs]))

const blocks = async () =>
  Number(
    (await env.DB.prepare('SELECT count(*) n FROM leanto_sync_reduced').first<{ n: number }>())?.n,
  )

describe('a reduce', () => {
  const key = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.nat(3), fc.nat(5)) },
    { weight: 2, arbitrary: fc.tuple(fc.nat(3)) },
    { weight: 2, arbitrary: fc.nat(4) },
    { weight: 1, arbitrary: fc.constantFrom(null, 'a', 'B', [], [0, 1, 2], { a: 1 }) },
  )
  const document = fc.record({
    k: fc.array(key, { maxLength: 3 }),
    v: fc.integer({ max: 99, min: -99 }),
  })
  const change = fc.dictionary(
    fc.nat(400).map((n) => `d${n}`),
    fc.option(document, { freq: 4 }),
    { minKeys: 1, maxKeys: 400, size: 'max' },
  )
  const question = fc.record(
    {
      startkey: key,
      endkey: key,
      inclusive_end: fc.boolean(),
      descending: fc.boolean(),
      group_level: fc.nat(3),
      group: fc.constant(true),
      skip: fc.nat(2),
      limit: fc.integer({ min: 1, max: 5 }),
    },
    { requiredKeys: [] },
  )

  it('is that of all rows of its range, whatever was written in between', async () => {
    let asked = 0
    let most = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(change, fc.array(question, { minLength: 2, maxLength: 4 })), {
          minLength: 1,
          maxLength: 5,
        }),
        async (rounds) => {
          await freshDatabase([docs])
          const documents = new Map<string, Document>()
          for (const [changes, questions] of rounds) {
            await write(documents, changes)
            for (const options of questions)
              for (const name of Object.keys(reduces)) {
                const { group, group_level, skip = 0, limit = 1e9, ...range } = options
                const level = group ? 99 : (group_level ?? 0)
                const got = await answer(view(name, { ...options }))
                // The rows of the same range, reduced here.
                const rows = await answer(view(name, { ...range, reduce: false }))
                if (rows.error) {
                  expect(got.error).toBe(rows.error)
                  continue
                }
                const wanted = grouped(rows.rows, level, name).slice(skip, skip + limit)
                expect(got.rows, JSON.stringify([name, options])).toEqual(wanted)
                asked++
              }
            most = Math.max(most, await blocks())
          }
        },
      ),
      { numRuns: 25, endOnFailure: true },
    )
    expect(asked).toBeGreaterThan(300)
    // There was something to get wrong.
    expect(most).toBeGreaterThan(8)
  }, 120_000)

  function grouped(rows: { key: unknown; value: number }[], level: number, name: string) {
    const groups = new Map<string, { key: unknown; values: number[] }>()
    for (const { key, value } of rows) {
      const part = level === 0 ? null : Array.isArray(key) ? key.slice(0, level) : key
      const group = groups.get(JSON.stringify(part)) ?? { key: part, values: [] }
      groups.set(JSON.stringify(part), group)
      group.values.push(value)
    }
    return [...groups.values()].map(({ key, values }) => ({ key, value: made(values, name) }))
  }

  function made(values: number[], name: string) {
    const total = values.reduce((a, b) => a + b, 0)
    const [min, max] = [Math.min(...values), Math.max(...values)]
    const sumsqr = values.reduce((a, b) => a + b * b, 0)
    return {
      count: values.length,
      sum: total,
      stats: { sum: total, count: values.length, min, max, sumsqr },
      largest: [values.length, max],
    }[name]
  }

  it('of 10,000 rows reads a hundredth of them, and after a write the block that it is in', async () => {
    const documents = new Map<string, Document>()
    for (let from = 0; from < 10_000; from += 1000) await write(documents, many(1000, from))
    expect(await answer(view('sum'))).toEqual({ rows: [{ key: null, value: 49_995_000 }] })
    expect(await blocks()).toBe(99)
    await env.DB.prepare('ANALYZE').run()
    const asked = async (options = {}) => {
      const { response, cost } = await measure(view('sum', options))
      return {
        ...((await response.json()) as Json),
        cost: [cost.trips, cost.rowsRead, cost.rowsWritten],
      }
    }
    expect(await asked()).toMatchObject({ cost: [1, 109, 0] })
    // Of the groups by 500, each is five whole blocks.
    const years = await asked({ group_level: 1 })
    expect([years.rows.length, years.rows[1]]).toEqual([20, { key: [1], value: 374_750 }])
    expect(years.cost).toEqual([1, 109, 0])
    // Cut at both ends: two blocks by rows, those between by what they come to.
    const range = await asked({ startkey: [3, 250], endkey: [13, 49] })
    expect(range.rows[0].value).toBe(((1750 + 6549) * 4800) / 2)
    expect(range.cost).toEqual([1, 265, 0])
    await write(documents, { d000777: { k: [[1, 277]], v: 0 } })
    const after = await asked()
    expect(after.rows[0].value).toBe(49_995_000 - 777)
    expect(after.cost).toEqual([7, 566, 7])
    expect((await asked()).cost).toEqual([1, 109, 0])
    expect(await blocks()).toBe(99)
  }, 60_000)

  it('is told to whoever asks for rows that it is not for, and to nobody else', async () => {
    const documents = new Map<string, Document>()
    await write(documents, { ...many(300), bad: { k: [[9, 9]], v: 'no number' as never } })
    expect((await ask(view('sum'))).status).toBe(400)
    expect(await answer(view('sum', { endkey: [8] }))).toEqual({
      rows: [{ key: null, value: 44_850 }],
    })
    await write(documents, { bad: null })
    expect((await answer(view('sum'))).rows[0].value).toBe(44_850)
  })

  it('is another when it is declared to be', async () => {
    await write(new Map(), many(300))
    expect((await answer(view('sum'))).rows[0].value).toBe(44_850)
    const other = sync(makeBase(), {
      identity: people,
      parts: [find],
      databases: { db: shared({ ...open, views: { 'v/sum': { map, reduce: '_count' } } }) },
    })
    const now = await mount({ '/': other })(view('sum'))
    expect(await now.json()).toEqual({ rows: [{ key: null, value: 300 }] })
  })

  it('goes with its database', async () => {
    await write(new Map(), many(300))
    await answer(view('sum'))
    expect(await blocks()).toBeGreaterThan(1)
    await ask('/db', { method: 'DELETE' })
    expect(await blocks()).toBe(0)
  })

  it('counts for each person what they may see', async () => {
    await ask('/members/_bulk_docs', {
      body: {
        docs: Object.entries(many(300)).map(([_id, doc]) => ({
          _id,
          ...doc,
          in: doc.v % 3 === 0 ? 'red' : 'blue',
        })),
      },
      token: `${alice}*`,
    })
    const count = (token: string) => answer('/members/_design/v/_view/count', { token })
    expect(await count('user-bob.red')).toEqual({ rows: [{ key: null, value: 100 }] })
    expect(await count('user-bob.blue')).toEqual({ rows: [{ key: null, value: 200 }] })
    expect(await count('user-bob')).toEqual({ rows: [] })
  })

  it('is right when many ask at once, while others write', async () => {
    const documents = new Map<string, Document>()
    await write(documents, many(700))
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => answer(view('count'))),
      write(documents, many(200, 700)),
      ...Array.from({ length: 10 }, () => answer(view('count'))),
    ])
    for (const { rows } of answers.filter(Boolean)) expect([700, 900]).toContain(rows[0].value)
    expect((await answer(view('count'))).rows[0].value).toBe(900)
  })

  it('is right after each call of D1 has failed, or lost its answer', async () => {
    vi.spyOn(console, 'error').mockReturnValue()
    const documents = new Map<string, Document>()
    await write(documents, many(300))
    await answer(view('sum'))
    for (const how of [true, 'after'] as const)
      for (let call = 0; call < 7; call++) {
        const v = call + (how === true ? 1000 : 2000)
        await write(documents, { d000123: { k: [[0, 123]], v } })
        let calls = 0
        const base = makeBase({
          db: () => faulty(env.DB as never, () => (calls++ === call ? (how as true) : false)),
        })
        const response = await mount({ '/': make(base) })(view('sum'))
        if (calls > call) expect(response.status).toBe(503)
        expect((await answer(view('sum'))).rows[0].value).toBe(44_850 - 123 + v)
      }
  })
})
