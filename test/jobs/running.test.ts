import { giveUp, job, jobs, retryIn } from 'leanto/jobs'
import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { counts, oneHandler, scopeOf, seed, stored } from './world.ts'

const base = makeBase()
const tables = oneHandler(() => {})

beforeEach(async () => {
  vi.spyOn(console, 'warn').mockImplementation(() => {})
  await freshDatabase([tables])
})
afterEach(() => {
  vi.restoreAllMocks()
})

const only = async () => {
  const rows = await stored()
  expect(rows).toHaveLength(1)
  return rows[0] as (typeof rows)[number]
}

describe('a handler that fails', () => {
  it('is tried again, later and later, with the same idempotency key, until it is a dead letter', async () => {
    const tries: [number, string][] = []
    const work = oneHandler(
      (_, __, { attempt, idempotencyKey }) => {
        tries.push([attempt, idempotencyKey])
        throw new Error(`failure ${attempt}`)
      },
      { attempts: 4, backoff: { first: 10, factor: 3, max: 60 } },
    )
    const scope = scopeOf(base)
    const { id } = await work.enqueue(scope, 'work', { n: 1 })
    for (const most of [10, 30, 60]) {
      await work.drain(scope)
      const row = await only()
      expect([row.state, row.error, row.lease]).toEqual(['waiting', `failure ${row.attempt}`, null])
      const wait = (row.due - clock.time) / 1000
      expect(wait).toBeGreaterThanOrEqual(most / 2)
      expect(wait).toBeLessThanOrEqual(most)
      // Not a moment sooner.
      clock.time = row.due - 1
      expect((await work.drain(scope)).ran).toBe(0)
      clock.time = row.due
    }
    await work.drain(scope)
    expect(await only()).toMatchObject({ id, state: 'dead', error: 'failure 4', attempt: 4 })
    clock.advance(24 * 60 * 60)
    expect((await work.drain(scope)).ran).toBe(0)
    expect(tries).toEqual([1, 2, 3, 4].map((attempt) => [attempt, id]))
    expect((await work.list(scope, { dead: true })).map((one) => one.id)).toEqual([id])
  })

  it('waits as chance has it, so that what failed together does not come back together', async () => {
    const work = oneHandler(() => Promise.reject(new Error('down')), {
      backoff: { first: 1000 },
    })
    await seed(200)
    await work.drain(scopeOf(base))
    const waits = (await stored()).map(({ due }) => (due - clock.time) / 1000)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(500)
    expect(Math.max(...waits)).toBeLessThanOrEqual(1000)
    expect(new Set(waits).size).toBeGreaterThan(190)
    // In each tenth of the span: a chance of one in a hundred million that it is not.
    const tenths = new Set(waits.map((wait) => Math.min(Math.floor((wait - 500) / 50), 9)))
    expect(tenths.size).toBe(10)
  })

  it('takes a function for its backoff', async () => {
    const work = oneHandler(() => Promise.reject(new Error('down')), {
      backoff: (attempt: number) => attempt * 7,
    })
    const scope = scopeOf(base)
    await work.enqueue(scope, 'work', { n: 1 })
    await work.drain(scope)
    const wait = ((await only()).due - clock.time) / 1000
    expect(wait).toBeGreaterThanOrEqual(3.5)
    expect(wait).toBeLessThanOrEqual(7)
  })

  it.each<[string, () => number]>([
    ['no number', () => Number.NaN],
    ['less than nothing', () => -1],
    ['a fault of its own', () => JSON.parse('no')],
  ])(
    'whose backoff answers %s waits up to an hour, and keeps nothing from ending',
    async (_, backoff) => {
      const work = oneHandler(
        (_, { n }) => {
          if (n === 1) throw new Error('down')
        },
        { backoff },
      )
      await seed(2)
      await work.drain(scopeOf(base))
      expect(await counts()).toEqual({ done: 1, waiting: 1 })
      const wait = ((await stored())[0]?.due ?? 0) - clock.time
      expect(wait).toBeGreaterThanOrEqual(1_800_000)
      expect(wait).toBeLessThanOrEqual(3_600_000)
    },
  )

  it('may give up at once, or say when to come back', async () => {
    const work = oneHandler((_, { n }) => {
      throw n === 1 ? giveUp('no such user') : retryIn(120, 'busy')
    })
    const scope = scopeOf(base)
    await work.enqueue(scope, 'work', { n: 1 })
    await work.enqueue(scope, 'work', { n: 2 })
    await work.drain(scope)
    const rows = await stored()
    const [dead, waiting] = ['dead', 'waiting'].map((state) => rows.find((r) => r.state === state))
    expect(dead).toMatchObject({ error: 'no such user', attempt: 1 })
    expect(waiting).toMatchObject({ error: 'busy' })
    const wait = ((waiting?.due ?? 0) - clock.time) / 1000
    // Never sooner than was asked.
    expect(wait).toBeGreaterThanOrEqual(120)
    expect(wait).toBeLessThanOrEqual(132)
    expect(() => retryIn(Number.NaN, 'x')).toThrow('retryIn: `seconds`')
  })

  it('does not keep the others of its round from ending', async () => {
    const work = oneHandler((_, { n }) => {
      if (n % 3 === 0) throw new Error('every third')
    })
    await seed(20)
    await work.drain(scopeOf(base))
    expect(await counts()).toEqual({ done: 14, waiting: 6 })
  })

  it.each<[string, unknown, string]>([
    ['a text', 'just words', 'just words'],
    ['nothing', undefined, 'Unknown error'],
    ['what SQL and JSON choke on', new Error(`a\0b\ud800"'\\`), `ab\ufffd"'\\`],
    [
      'an error whose message is none',
      Object.assign(new Error(), { message: { a: 1 } }),
      '[object Object]',
    ],
    ['a book', new Error('x'.repeat(5000)), 'x'.repeat(2000)],
  ])('may throw %s', async (_, thrown, error) => {
    const work = oneHandler(() => Promise.reject(thrown))
    const scope = scopeOf(base)
    await work.enqueue(scope, 'work', { n: 1 })
    await work.drain(scope)
    expect((await only()).error).toBe(error)
  })

  it('is a dead letter at once if its payload is not valid any more', async () => {
    const old = jobs(base, { handlers: { work: job({ payload: v.any(), run: () => {} }) } })
    const scope = scopeOf(base)
    await old.enqueue(scope, 'work', { m: 1 })
    let ran = false
    await oneHandler(() => {
      ran = true
    }).drain(scope)
    expect(ran).toBe(false)
    expect(await only()).toMatchObject({ state: 'dead', attempt: 1 })
    expect((await only()).error).toContain('The payload is not valid any more: n')
  })

  it('is stopped when its time is up, and tried again', async () => {
    let told: unknown
    const work = oneHandler(
      (_, __, { signal }) =>
        new Promise(() => signal.addEventListener('abort', () => (told = signal.reason))),
      { timeout: 0.05 },
    )
    const scope = scopeOf(base)
    await work.enqueue(scope, 'work', { n: 1 })
    await work.drain(scope)
    expect(String(told)).toContain('longer than 0.05 s')
    expect(await only()).toMatchObject({ state: 'waiting', attempt: 1 })
  })
})

describe('dead letters', () => {
  it('are told to the host once they are written', async () => {
    const told: unknown[] = []
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const work = oneHandler(() => Promise.reject(giveUp('no')), { attempts: 1 }, {
      after: { dead: (_: unknown, dead: unknown) => told.push(dead) },
    } as never)
    const scope = scopeOf(base)
    const { id } = await work.enqueue(scope, 'work', { n: 1 })
    await work.drain(scope)
    await scope.settled()
    expect(told).toEqual([[{ id, name: 'work', error: 'no' }]])
    expect(JSON.stringify(warn.mock.calls)).toContain(id)
  })

  it('can be retried, with all their attempts, and then live', async () => {
    let works = false
    const work = oneHandler(() => {
      if (!works) throw giveUp('no')
      return 'fine'
    })
    const scope = scopeOf(base)
    const { id } = await work.enqueue(scope, 'work', { n: 1 })
    await work.drain(scope)
    works = true
    const parallel = await Promise.allSettled(
      Array.from({ length: 50 }, () => work.retry(scopeOf(base), id)),
    )
    expect(parallel.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await work.drain(scope)).toEqual({ ran: 1, more: false })
    expect(await work.read(scope, id)).toMatchObject({ state: 'done', result: 'fine', attempt: 1 })
    await expect(work.retry(scope, id)).rejects.toMatchObject({ code: 'job_not_dead' })
    await expect(work.retry(scope, 'nothing')).rejects.toMatchObject({ code: 'job_not_found' })
  })
})

describe('results', () => {
  it.each<[string, unknown, unknown, string | null]>([
    ['an object', { a: [1, 'é', null] }, { a: [1, 'é', null] }, null],
    ['nothing', undefined, null, null],
    ['no JSON', 1n, null, 'The result was not JSON, and was not kept'],
    ['too much', 'x'.repeat(65_536), null, 'The result was over 64 KB, and was not kept'],
  ])('may be %s, and the job is done', async (_, result, kept, error) => {
    const work = oneHandler(() => result)
    const scope = scopeOf(base)
    const { id } = await work.enqueue(scope, 'work', { n: 1 })
    await work.drain(scope)
    expect(await work.read(scope, id)).toMatchObject({ state: 'done', result: kept, error })
  })

  it('may be nested deeper than SQLite reads, and the largest there are, twenty at once', async () => {
    const deep = JSON.parse(`${'['.repeat(3000)}${']'.repeat(3000)}`)
    const work = oneHandler((_, { n }) => (n === 1 ? deep : '"'.repeat(32_000)))
    await seed(20)
    await work.drain(scopeOf(base))
    expect(await counts()).toEqual({ done: 20 })
    expect((await stored())[0]?.result).toBe(JSON.stringify(deep))
    expect(JSON.parse((await stored())[19]?.result ?? '')).toBe('"'.repeat(32_000))
  })

  it('are kept for as long as said, dead letters longer', async () => {
    const work = oneHandler(
      (_, { n }) => {
        if (n === 2) throw giveUp('no')
      },
      {},
      { keepFor: { done: 1, dead: 2 } } as never,
    )
    await seed(2)
    const scope = scopeOf(base)
    await work.drain(scope)
    const day = 24 * 60 * 60
    for (const [seconds, kept] of [
      [day - 1, { dead: 1, done: 1 }],
      [1, { dead: 1 }],
      [day - 1, { dead: 1 }],
      [1, {}],
    ] as const) {
      clock.advance(seconds)
      await work.scheduled?.(scope, clock.time)
      expect(await counts()).toEqual(kept)
    }
  })
})

describe('progress', () => {
  it('is written at once, then once a second at most, and its last is not lost', async () => {
    const trips: number[] = []
    const work = oneHandler(async (scope, _, { progress }) => {
      for (const percent of [10, 20, 30]) {
        await progress({ percent })
        trips.push(scope.cost.trips)
      }
      clock.advance(1)
      await progress({ percent: 40 })
      trips.push(scope.cost.trips)
      await progress({ percent: 100 })
    })
    const scope = scopeOf(base)
    const { id } = await work.enqueue(scope, 'work', { n: 1 })
    await work.drain(scope)
    const [first = 0] = trips
    expect(trips.map((n) => n - first)).toEqual([0, 0, 0, 1])
    expect((await work.read(scope, id)).progress).toEqual({ percent: 100 })
  })

  it('refuses what is no JSON or over 4 KB', async () => {
    const refused: unknown[] = []
    const work = oneHandler(async (_, __, { progress }) => {
      for (const value of [undefined, 'x'.repeat(4095)])
        await progress(value).catch((error) => refused.push(error.message))
    })
    const scope = scopeOf(base)
    await work.enqueue(scope, 'work', { n: 1 })
    await work.drain(scope)
    expect(refused).toEqual(Array(2).fill('progress: must be JSON of up to 4 KB'))
  })
})
