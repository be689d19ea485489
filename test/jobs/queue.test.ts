import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { handlers, type QueueBatch } from 'leanto'
import type { QueueBinding } from 'leanto/jobs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { costOf, oneHandler, scopeOf, stored } from './world.ts'

const base = makeBase()
const sent: { id: string; delay: number | undefined }[] = []
let down = false

/** A producer that keeps what it is given. */
const binding: QueueBinding = {
  async send(body, options) {
    if (down) throw new Error('the queue is down')
    sent.push({ id: (body as { id: string }).id, delay: options?.delaySeconds })
  },
}
const queue = { queue: () => binding } as never

/** A consumer's batch of the messages that were sent, with how each was answered. */
function batchOf(ids: string[], body: (id: string) => unknown = (id) => ({ leanto: 'jobs', id })) {
  const acked: string[] = []
  const messages = ids.map((id) => ({ body: body(id), ack: () => acked.push(id) }))
  return { acked, batch: { queue: 'jobs', messages } satisfies QueueBatch }
}

let run = (_: number): unknown => undefined
const work = oneHandler((_, { n }) => run(n), { backoff: { first: 100 } }, queue)

beforeEach(async () => {
  sent.length = 0
  down = false
  run = () => undefined
  vi.spyOn(console, 'error').mockImplementation(() => {})
  await freshDatabase([work])
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** Enqueues and waits until the message is away. */
async function enqueue(n: number, options = {}) {
  const scope = scopeOf(base)
  const { id } = await work.enqueue(scope, 'work', { n }, options)
  await scope.settled()
  return id
}

describe('a queue', () => {
  it('is told of a job when it is due, and within 12 hours', async () => {
    const now = await enqueue(1)
    const soon = await enqueue(2, { at: clock.time + 90_500 })
    const late = await enqueue(3, { at: clock.time + 7 * 24 * 60 * 60 * 1000 })
    expect(sent).toEqual([
      { id: now, delay: 0 },
      { id: soon, delay: 91 },
      { id: late, delay: 43_200 },
    ])
  })

  it('is not told of a job that was there, nor of one that is not written yet', async () => {
    await enqueue(1, { key: 'k' })
    await enqueue(2, { key: 'k' })
    expect(sent).toHaveLength(1)
    const scope = scopeOf(base)
    const { id, statements } = await work.statements(scope, 'work', { n: 3 })
    await scope.db.batch(statements)
    expect(sent).toHaveLength(1)
    work.wake(scope, [id])
    await scope.settled()
    expect(sent).toHaveLength(2)
  })

  it('that is down loses nothing: the next trigger runs the job', async () => {
    down = true
    const id = await enqueue(1)
    expect(sent).toEqual([])
    await work.scheduled?.(scopeOf(base), clock.time)
    expect(await work.read(scopeOf(base), id)).toMatchObject({ state: 'done' })
  })

  it('has its messages taken by handlers(…), and no others', async () => {
    const id = await enqueue(1)
    const { queue: consume } = handlers(base, [work])
    const { batch, acked } = batchOf([id])
    const ctx = createExecutionContext()
    await consume(batch, env, ctx as never)
    await waitOnExecutionContext(ctx as never)
    expect(acked).toEqual([id])
    expect((await stored())[0]?.state).toBe('done')
    for (const body of [null, 'text', { id }, { leanto: 'jobs' }, { leanto: 'other', id }])
      await expect(consume(batchOf([id], () => body).batch, env, ctx as never)).rejects.toThrow(
        'no module takes',
      )
    const plain = oneHandler(() => {})
    expect(await plain.queue?.(scopeOf(base), batchOf([id]).batch)).toBe(false)
  })

  it('that delivers a message ten times has the job run once', async () => {
    const id = await enqueue(1)
    let ran = 0
    run = () => ran++
    await Promise.all(
      Array.from({ length: 10 }, () => work.queue?.(scopeOf(base), batchOf([id, id]).batch)),
    )
    await work.queue?.(scopeOf(base), batchOf([id]).batch)
    expect(ran).toBe(1)
  })

  it('keeps a message of a job for as long as it has not ended', async () => {
    const id = await enqueue(1)
    run = () => Promise.reject(new Error('down'))
    sent.length = 0
    const first = batchOf([id])
    await work.queue?.(scopeOf(base), first.batch)
    const wait = Math.ceil((((await stored())[0]?.due ?? 0) - clock.time) / 1000)
    expect(sent).toEqual([{ id, delay: wait }])
    expect(first.acked).toEqual([id])
    clock.advance(wait)
    run = () => undefined
    await work.queue?.(scopeOf(base), batchOf([id]).batch)
    expect(sent).toHaveLength(1)
    expect((await stored())[0]?.state).toBe('done')
  })

  it('hears again of a job whose Worker died, when its lease has run out', async () => {
    const id = await enqueue(1)
    await env.DB.prepare(`UPDATE leanto_jobs_jobs SET state = 'running', due = ?, lease = 'gone'`)
      .bind(clock.time + 40_000)
      .run()
    sent.length = 0
    await work.queue?.(scopeOf(base), batchOf([id]).batch)
    expect(sent).toEqual([{ id, delay: 40 }])
  })

  it('has nothing acknowledged if the next message cannot be sent', async () => {
    const id = await enqueue(1)
    run = () => Promise.reject(new Error('down'))
    down = true
    const { batch, acked } = batchOf([id])
    await expect(work.queue?.(scopeOf(base), batch)).rejects.toThrow('the queue is down')
    expect(acked).toEqual([])
  })

  it('costs one trip more than without', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => enqueue(n)))
    const cost = await costOf(base, (scope) => work.queue?.(scope, batchOf(ids).batch))
    expect(cost.trips).toBe(3)
  })
})
