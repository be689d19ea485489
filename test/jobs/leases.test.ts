import { env } from 'cloudflare:workers'
import { job, jobs } from 'leanto/jobs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { counts, oneHandler, payload, scopeOf, seed, stored } from './world.ts'

const base = makeBase()

beforeEach(async () => {
  for (const method of ['warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => {})
  await freshDatabase([oneHandler(() => {})])
})
afterEach(() => {
  vi.restoreAllMocks()
})

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** A handler that counts how often each job runs, and how many jobs run at the same time. */
function counting(options = {}, more = {}) {
  const runs = new Map<number, number>()
  const running = new Set<number>()
  const seen = { twice: 0, most: 0 }
  const work = oneHandler(
    async (_, { n }) => {
      if (running.has(n)) seen.twice++
      running.add(n)
      seen.most = Math.max(seen.most, running.size)
      runs.set(n, (runs.get(n) ?? 0) + 1)
      await pause(1)
      running.delete(n)
    },
    options,
    more,
  )
  return { work, runs, seen }
}

describe('many Workers', () => {
  it('drain 10,000 jobs, two at once, and run none twice', { timeout: 120_000 }, async () => {
    const { work, runs, seen } = counting()
    await seed(10_000)
    const drained = await Promise.all(
      [0, 1].map(async () => {
        let ran = 0
        for (;;) {
          const round = await work.drain(scopeOf(base), { limit: 1000 })
          ran += round.ran
          if (!round.more) return ran
        }
      }),
    )
    expect(await counts()).toEqual({ done: 10_000 })
    expect(runs.size).toBe(10_000)
    expect([...runs.values()].every((n) => n === 1)).toBe(true)
    expect(seen.twice).toBe(0)
    // Both did their share.
    expect((drained[0] ?? 0) + (drained[1] ?? 0)).toBe(10_000)
    expect(Math.min(...drained)).toBeGreaterThan(0)
  })

  it('run one job once when fifty of them ask for it', async () => {
    const { work, runs } = counting()
    await seed(1)
    const drained = await Promise.all(Array.from({ length: 50 }, () => work.drain(scopeOf(base))))
    expect(drained.filter(({ ran }) => ran > 0)).toHaveLength(1)
    expect([...runs.values()]).toEqual([1])
  })

  it('keep to a limit of a name together, and leave other names alone', async () => {
    let most = 0
    let now = 0
    const slow = async () => {
      most = Math.max(most, ++now)
      await pause(5)
      now--
    }
    const both = jobs(base, {
      handlers: {
        work: job({ payload, run: slow, concurrency: 3 }),
        free: job({ payload, run: () => {} }),
      },
    })
    await seed(30)
    await env.DB.prepare(
      `UPDATE leanto_jobs_jobs SET name = 'free' WHERE CAST(substr(id, 5) AS INTEGER) > 20`,
    ).run()
    const drained = await Promise.all(Array.from({ length: 10 }, () => both.drain(scopeOf(base))))
    expect(most).toBe(3)
    expect(drained.reduce((sum, { ran }) => sum + ran, 0)).toBe(30)
    expect(await counts()).toEqual({ done: 30 })
  })

  it('leave jobs alone whose handlers they do not have', async () => {
    const { work } = counting()
    await seed(1, 'newer')
    expect((await work.drain(scopeOf(base))).ran).toBe(0)
    expect((await stored()).find(({ name }) => name === 'newer')).toMatchObject({
      state: 'ready',
      attempt: 0,
    })
  })
})

describe('a Worker that dies', () => {
  /** Claims all there is and never comes back. */
  const die = async (attempts = 10) => {
    let started = 0
    const dying = oneHandler(
      () => {
        started++
        return new Promise(() => {})
      },
      { attempts },
    )
    // What nobody waits for may meet an emptied database.
    void dying.drain(scopeOf(base)).catch(() => {})
    while (started < (await stored()).length) await pause(5)
  }

  it('loses nothing: what it had runs again when its lease has run out, and not before', async () => {
    const { work, runs } = counting()
    await seed(20)
    await die()
    expect(await counts()).toEqual({ running: 20 })
    clock.advance(59)
    expect((await work.drain(scopeOf(base))).ran).toBe(0)
    clock.advance(1)
    expect((await work.drain(scopeOf(base))).ran).toBe(20)
    expect(await counts()).toEqual({ done: 20 })
    expect(runs.size).toBe(20)
    expect((await stored()).every(({ attempt }) => attempt === 2)).toBe(true)
  })

  it('uses up an attempt: a job that kills every Worker ends as a dead letter', async () => {
    const told: unknown[] = []
    const work = oneHandler(() => {}, {}, {
      after: { dead: (_: unknown, dead: unknown) => told.push(dead) },
    } as never)
    await env.DB.prepare(
      `INSERT INTO leanto_jobs_jobs (id, name, payload, state, priority, due, attempt, attempts, once, created_at, scheduled_at, lease, unique_key)
       VALUES ('killer', 'work', '{"n":1}', 'running', 0, ?, 3, 3, 0, 0, 0, 'gone', 'k')`,
    )
      .bind(clock.time)
      .run()
    const scope = scopeOf(base)
    expect((await work.drain(scope)).ran).toBe(0)
    await scope.settled()
    const error = 'The Worker stopped before the job ended'
    expect((await stored())[0]).toMatchObject({
      state: 'dead',
      error,
      lease: null,
      unique_key: null,
    })
    expect(told).toEqual([[{ id: 'killer', name: 'work', error }]])
  })

  it('cannot finish what another has by now', async () => {
    await seed(1)
    let end = (_: string) => {}
    const slow = oneHandler(() => new Promise((resolve) => (end = resolve)))
    const first = slow.drain(scopeOf(base))
    while ((await counts()).running !== 1) await pause(5)
    clock.advance(60)
    let endSecond = (_: string) => {}
    const other = oneHandler(() => new Promise((resolve) => (endSecond = resolve)))
    const second = other.drain(scopeOf(base))
    while ((await stored())[0]?.attempt !== 2) await pause(5)
    end('too late')
    await first
    expect((await stored())[0]).toMatchObject({ state: 'running', result: null })
    endSecond('in time')
    await second
    expect((await stored())[0]).toMatchObject({ state: 'done', result: '"in time"' })
  })
})

describe('a lease', () => {
  it('is renewed while a job takes longer, what has ended is written meanwhile, progress too', async () => {
    await seed(2)
    let end = () => {}
    const work = oneHandler(
      async (_, { n }, { progress }) => {
        if (n === 1) return
        await progress(1)
        await progress(2)
        await new Promise<void>((resolve) => (end = resolve))
      },
      {},
      { lease: 1 } as never,
    )
    const drained = work.drain(scopeOf(base))
    while ((await counts()).running !== 2) await pause(5)
    clock.advance(0.9)
    // A third of a second later, by real time.
    while ((await counts()).done !== 1) await pause(20)
    const row = (await stored()).find(({ state }) => state === 'running')
    expect(row).toMatchObject({ due: clock.time + 1000, progress: '2' })
    end()
    expect(await drained).toEqual({ ran: 2, more: false })
    expect(await counts()).toEqual({ done: 2 })
  })

  it('that cannot be renewed stops its job before another Worker may have it', async () => {
    await seed(1)
    let broken = false
    const failing = makeBase({ db: (e) => faulty(e.DB as never, () => broken) })
    let told = ''
    const work = oneHandler(
      (_, __, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => {
            told = String(signal.reason)
            reject(signal.reason)
          }),
        ),
      {},
      { lease: 1 } as never,
      failing,
    )
    const drained = work.drain(scopeOf(failing))
    while ((await counts()).running !== 1) await pause(5)
    broken = true
    clock.advance(0.7)
    while (told === '') await pause(20)
    expect(told).toContain('could not be renewed')
    broken = false
    await drained
    expect((await stored())[0]).toMatchObject({ state: 'waiting', attempt: 1 })
  })
})

describe('a database that fails', () => {
  it.each([true, 'after'] as const)(
    'while work is written (%s): it is written all the same, and done once',
    async (how) => {
      await seed(20)
      let finishing = 0
      const failing = makeBase({
        db: (e) =>
          faulty(
            e.DB as never,
            (sql) => sql.some((one) => one.includes('o.state')) && ++finishing === 1 && how,
          ),
      })
      let ran = 0
      const work = oneHandler(() => ran++, {}, {}, failing)
      expect(await work.drain(scopeOf(failing))).toEqual({ ran: 20, more: true })
      expect(finishing).toBe(2)
      expect(await counts()).toEqual({ done: 20 })
      expect(ran).toBe(20)
    },
  )

  it('for good while work is written: the drain fails, and the work is done again later', async () => {
    await seed(1)
    let broken = true
    const failing = makeBase({
      db: (e) =>
        faulty(e.DB as never, (sql) => broken && sql.some((one) => one.includes('o.state'))),
    })
    let ran = 0
    const work = oneHandler(() => ran++, {}, {}, failing)
    await expect(work.drain(scopeOf(failing))).rejects.toThrow('D1_ERROR')
    broken = false
    clock.advance(60)
    await work.drain(scopeOf(failing))
    expect(ran).toBe(2)
    expect(await counts()).toEqual({ done: 1 })
  })

  it('after a claim whose answer was lost: the jobs run when the lease has run out', async () => {
    await seed(1)
    let lost = true
    const failing = makeBase({ db: (e) => faulty(e.DB as never, () => lost && 'after') })
    let ran = 0
    const work = oneHandler(() => ran++, {}, {}, failing)
    await expect(work.drain(scopeOf(failing))).rejects.toThrow('D1_ERROR')
    lost = false
    expect((await work.drain(scopeOf(failing))).ran).toBe(0)
    clock.advance(60)
    expect((await work.drain(scopeOf(failing))).ran).toBe(1)
    expect(ran).toBe(1)
  })
})

describe('cancelling', () => {
  it('keeps a job from running', async () => {
    const { work, runs } = counting()
    const scope = scopeOf(base)
    const { id } = await work.enqueue(scope, 'work', { n: 1 })
    await work.cancel(scope, id)
    expect((await work.drain(scope)).ran).toBe(0)
    expect(runs.size).toBe(0)
    await expect(work.cancel(scope, id)).rejects.toMatchObject({ code: 'job_ended' })
    await expect(work.cancel(scope, 'nothing')).rejects.toMatchObject({ code: 'job_not_found' })
  })

  it('stops one that runs at its next renewal, and what it answers does not count', async () => {
    let told = ''
    const work = oneHandler(
      (_, __, { signal }) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            told = String(signal.reason)
            resolve('done after all')
          }),
        ),
      {},
      { lease: 1 } as never,
    )
    const scope = scopeOf(base)
    const { id } = await work.enqueue(scope, 'work', { n: 1 })
    const drained = work.drain(scopeOf(base))
    while ((await counts()).running !== 1) await pause(5)
    await work.cancel(scope, id)
    await drained
    expect(told).toContain('cancelled')
    expect(await work.read(scope, id)).toMatchObject({ state: 'cancelled', result: null })
  })

  it('and ending meet in one of the two, never in both', async () => {
    const { work } = counting()
    await seed(20)
    const drained = work.drain(scopeOf(base))
    const cancelled = await Promise.allSettled(
      (await stored()).map(({ id }) => work.cancel(scopeOf(base), id)),
    )
    await drained
    const won = cancelled.filter(({ status }) => status === 'fulfilled').length
    const { done = 0, cancelled: gone = 0 } = await counts()
    expect([done + gone, gone]).toEqual([20, won])
  })
})
