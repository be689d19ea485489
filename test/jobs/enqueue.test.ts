import { type Enqueue, Fault, type Statement } from 'leanto'
import { job, jobs } from 'leanto/jobs'
import * as v from 'valibot'
import { beforeEach, describe, expect, it } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { costOf, oneHandler, payload, people, scopeOf, stored } from './world.ts'

const base = makeBase()
const seen: unknown[] = []
const work = oneHandler((_, input) => {
  seen.push(input)
})

beforeEach(async () => {
  seen.length = 0
  await freshDatabase([work], ['CREATE TABLE notes (id INTEGER PRIMARY KEY)'])
})

describe('enqueue', () => {
  it('takes one trip, runs the job once, and keeps what it was', async () => {
    const scope = scopeOf(base)
    const { id, fresh } = await work.enqueue(scope, 'work', { n: 1 }, { owner: 'alice' })
    expect([scope.cost.trips, scope.cost.statements, fresh]).toEqual([1, 1, true])
    expect(await work.drain(scope)).toEqual({ ran: 1, more: false })
    expect(await work.drain(scope)).toEqual({ ran: 0, more: false })
    expect(seen).toEqual([{ n: 1 }])
    expect(await work.read(scope, id)).toEqual({
      id,
      name: 'work',
      state: 'done',
      payload: { n: 1 },
      owner: 'alice',
      priority: 0,
      attempt: 1,
      attempts: 10,
      progress: null,
      result: null,
      error: null,
      createdAt: clock.time,
      scheduledAt: clock.time,
      endedAt: clock.time,
    })
  })

  it('joins a batch: the job is there if and only if the rest is', async () => {
    const scope = scopeOf(base)
    const insert = (id: number) =>
      scope.db.prepare('INSERT INTO notes (id) VALUES (?)').bind(id) as Statement
    const batch = [insert(1)]
    const { id } = await work.enqueue(scope, 'work', { n: 1 }, { within: batch })
    expect(scope.cost.trips).toBe(0)
    expect(await stored()).toEqual([])
    await scope.db.batch(batch)
    expect(scope.cost.trips).toBe(1)
    expect((await stored()).map((row) => row.id)).toEqual([id])
    // The same note again: neither note nor job.
    const again = [insert(1)]
    await work.enqueue(scope, 'work', { n: 2 }, { within: again })
    await expect(scope.db.batch(again)).rejects.toThrow('UNIQUE')
    expect(await stored()).toHaveLength(1)
    // And by the function that returns statements.
    const { id: third, statements } = await work.statements(scope, 'work', { n: 3 })
    await scope.db.batch([insert(3), ...statements])
    expect((await stored()).map((row) => row.id)).toContain(third)
  })

  it('is refused if the payload is not as its schema says, and then nothing is written', async () => {
    const scope = scopeOf(base)
    const wrong = { n: 'one' } as never
    const fault = await work.enqueue(scope, 'work', wrong).catch((error) => error)
    expect(fault).toBeInstanceOf(Fault)
    expect([fault.code, fault.status, fault.details[0].path]).toEqual(['bad_request', 400, 'n'])
    expect(await stored()).toEqual([])
  })

  it('checks what is stored: what is no JSON does not pass as what it was', async () => {
    const dated = jobs(base, {
      handlers: { dated: job({ payload: v.object({ at: v.date() }), run: () => {} }) },
    })
    await expect(dated.enqueue(scopeOf(base), 'dated', { at: new Date() })).rejects.toMatchObject({
      code: 'bad_request',
    })
  })

  it.each<[string, object]>([
    ['at', { at: Number.NaN }],
    ['at', { at: new Date('never') }],
    ['key', { key: '' }],
    ['key', { key: 'k'.repeat(513) }],
    ['key', { key: 'a\0b' }],
    ['owner', { owner: {} }],
    ['once', { once: true }],
    ['priority', { priority: 1.5 }],
    ['attempts', { attempts: 0 }],
  ])('refuses a wrong `%s`', async (name, options) => {
    await expect(work.enqueue(scopeOf(base), 'work', { n: 1 }, options as never)).rejects.toThrow(
      `enqueue: \`${name}\``,
    )
  })

  it('refuses a payload over 256 KB, and names of no handler', async () => {
    const wide = oneHandler(() => {}, { payload: v.any() as never })
    const scope = scopeOf(base)
    await expect(wide.enqueue(scope, 'work', 'é'.repeat(131_072) as never)).rejects.toThrow(
      'up to 256 KB',
    )
    for (const name of ['other', '__proto__', 'constructor', 'toString'])
      await expect(work.enqueue(scope, name as 'work', { n: 1 })).rejects.toThrow('no handler')
  })

  it('waits for `at`, and goes by priority and age', async () => {
    const scope = scopeOf(base)
    await work.enqueue(scope, 'work', { n: 1 }, { at: clock.time + 60_000 })
    await work.enqueue(scope, 'work', { n: 2 })
    await work.enqueue(scope, 'work', { n: 3 }, { priority: 5 })
    await work.enqueue(scope, 'work', { n: 4 }, { at: new Date(clock.time - 1000) })
    expect(await work.drain(scope, { limit: 1 })).toEqual({ ran: 1, more: true })
    await work.drain(scope, { limit: 1 })
    await work.drain(scope)
    expect(seen).toEqual([{ n: 3 }, { n: 4 }, { n: 2 }])
    clock.advance(59)
    expect(await work.drain(scope)).toEqual({ ran: 0, more: false })
    clock.advance(1)
    expect(await work.drain(scope)).toEqual({ ran: 1, more: false })
    expect(seen.at(-1)).toEqual({ n: 1 })
  })

  it('is what the port Enqueue asks for', async () => {
    const port: Enqueue = work
    expect((await port.enqueue(scopeOf(base), 'work', { n: 1 })).id).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('a key', () => {
  it('makes one job of fifty parallel calls, and all of them learn which', async () => {
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        work.enqueue(scopeOf(base), 'work', { n }, { key: 'doc-5' }),
      ),
    )
    expect(await stored()).toHaveLength(1)
    expect(new Set(all.map(({ id }) => id)).size).toBe(1)
    expect(all.filter(({ fresh }) => fresh)).toHaveLength(1)
  })

  it('is free again once the job has ended: done, dead or cancelled', async () => {
    const scope = scopeOf(base)
    const enqueue = () => work.enqueue(scope, 'work', { n: 1 }, { key: 'k', attempts: 1 })
    await enqueue()
    await work.drain(scope)
    const second = await enqueue()
    expect(second.fresh).toBe(true)
    await work.cancel(scope, second.id)
    expect((await enqueue()).fresh).toBe(true)
    const failing = oneHandler(() => Promise.reject(new Error('no')))
    await failing.drain(scope)
    expect((await stored()).map(({ state }) => state)).toContain('dead')
    expect((await enqueue()).fresh).toBe(true)
  })

  it('holds with `once` for as long as the job is kept', async () => {
    const scope = scopeOf(base)
    const enqueue = () => work.enqueue(scope, 'work', { n: 1 }, { key: 'event-1', once: true })
    const { id } = await enqueue()
    await work.drain(scope)
    expect(await enqueue()).toEqual({ id, fresh: false })
    clock.advance(7 * 24 * 60 * 60)
    await work.scheduled?.(scope, clock.time)
    expect(await stored()).toEqual([])
    expect((await enqueue()).fresh).toBe(true)
    await work.drain(scope)
    expect(seen).toHaveLength(2)
  })

  it('belongs to its name, and holds within a batch', async () => {
    const two = jobs(base, {
      identity: people,
      handlers: { one: job({ payload, run: () => {} }), two: job({ payload, run: () => {} }) },
    })
    const scope = scopeOf(base)
    for (const name of ['one', 'two', 'one'] as const) {
      const batch: Statement[] = []
      await two.enqueue(scope, name, { n: 1 }, { key: 'k', within: batch })
      await scope.db.batch(batch)
    }
    expect((await stored()).map(({ name }) => name).sort()).toEqual(['one', 'two'])
  })
})

describe('enqueuing where things fail', () => {
  it('fails when D1 does, with no job behind', async () => {
    const broken = makeBase({ db: (e) => faulty(e.DB as never, () => true) })
    await expect(
      oneHandler(() => {}, {}, {}, broken).enqueue(scopeOf(broken), 'work', { n: 1 }),
    ).rejects.toThrow('D1_ERROR')
    expect(await stored()).toEqual([])
  })

  it('makes no second job when the answer was lost and the caller has a key', async () => {
    let lost = true
    const broken = makeBase({ db: (e) => faulty(e.DB as never, () => lost && 'after') })
    const enqueue = () => work.enqueue(scopeOf(broken), 'work', { n: 1 }, { key: 'k' })
    await expect(enqueue()).rejects.toThrow()
    lost = false
    expect((await enqueue()).fresh).toBe(false)
    expect(await stored()).toHaveLength(1)
  })
})

describe('eager', () => {
  it('runs at once what a request enqueues, in waitUntil, and not what is for later', async () => {
    const eager = oneHandler((_, { n }) => seen.push(n), {}, { eager: true })
    const run = (n: number, at?: number) =>
      costOf(base, (scope) => eager.enqueue(scope, 'work', { n }, at ? { at } : {}))
    // One to enqueue, two to run it.
    expect((await run(1)).trips).toBe(3)
    expect((await run(2, clock.time + 1)).trips).toBe(1)
    expect(seen).toEqual([1])
  })

  it('is asked for by wake after a batch', async () => {
    const eager = oneHandler((_, { n }) => seen.push(n), {}, { eager: true })
    const cost = await costOf(base, async (scope) => {
      const [a, b] = [
        await eager.statements(scope, 'work', { n: 1 }),
        await eager.statements(scope, 'work', { n: 2 }),
      ]
      await scope.db.batch([...a.statements, ...b.statements])
      eager.wake(scope, [a.id, b.id])
    })
    expect(cost.trips).toBe(3)
    expect(seen.sort()).toEqual([1, 2])
  })
})
