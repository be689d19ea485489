import { env } from 'cloudflare:workers'
import { job, jobs } from 'leanto/jobs'
import { beforeEach, describe, expect, it } from 'vitest'
import { costOf, oneHandler, payload, seed } from '../jobs/world.ts'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'

const base = makeBase()
const work = oneHandler(() => 'fine')

const drain = (limit?: number) =>
  costOf(base, (scope) => work.drain(scope, limit === undefined ? {} : { limit }))

beforeEach(() => freshDatabase([work]))

describe('what a job costs', () => {
  it.each([
    // The row, and its place among what is ready.
    ['now', {}, 1, 2],
    ['later', { at: 2e12 }, 1, 2],
    ['with an owner', { owner: 'alice' }, 1, 3],
    ['with a key', { key: 'k' }, 2, 3],
  ] as const)('to enqueue %s: one trip', async (_, options, statements, rowsWritten) => {
    const cost = await costOf(base, (scope) => work.enqueue(scope, 'work', { n: 1 }, options))
    expect(cost).toMatchObject({ trips: 1, statements, rowsWritten })
  })

  it('to enqueue within a batch: no trip', async () => {
    const cost = await costOf(base, (scope) =>
      work.enqueue(scope, 'work', { n: 1 }, { key: 'k', within: [] }),
    )
    expect(cost).toEqual({ trips: 0, statements: 0, rowsRead: 0, rowsWritten: 0 })
  })

  it.each([
    [0, 1, 2],
    [1, 2, 5],
    [20, 2, 5],
    [21, 3, 8],
    [100, 6, 17],
  ])('to run %d: %d trips', async (count, trips, statements) => {
    await seed(count || 1)
    if (count === 0) await env.DB.prepare('DELETE FROM leanto_jobs_jobs').run()
    expect(await drain()).toMatchObject({ trips, statements })
  })

  it('to run twenty of ten thousand: rows as of twenty', async () => {
    await seed(20)
    const few = await drain(20)
    await seedAnew(10_000)
    const many = await drain(20)
    // Of each job: the row and its three places, when it is claimed and when it ends.
    expect([few.rowsRead, few.rowsWritten]).toEqual([328, 100])
    expect([many.rowsRead, many.rowsWritten]).toEqual([328, 100])
  })

  it('to look among ten thousand that wait, are done or are dead: a few rows', async () => {
    for (const state of ['waiting', 'done', 'dead', 'cancelled']) {
      await seedAnew(10_000)
      await env.DB.prepare(`UPDATE leanto_jobs_jobs SET state = ?, due = ?`)
        .bind(state, clock.time + 1)
        .run()
      const { trips, rowsRead, rowsWritten } = await costOf(base, (scope) =>
        work.scheduled?.(scope, clock.time),
      )
      expect([state, trips, rowsRead, rowsWritten]).toEqual([state, 1, 17, 0])
    }
  })

  it('to keep to a limit: the running ones of that name are counted, and nothing else', async () => {
    const limited = jobs(base, {
      handlers: { work: job({ payload, run: () => {}, concurrency: 5 }) },
    })
    await seedAnew(10_000)
    await env.DB.prepare(`UPDATE leanto_jobs_jobs SET state = 'done' WHERE id > 'job-05000'`).run()
    await env.DB.prepare(
      `UPDATE leanto_jobs_jobs SET state = 'running', due = ? WHERE id <= 'job-00005'`,
    )
      .bind(clock.time + 1000)
      .run()
    const { trips, rowsRead } = await costOf(base, (scope) => limited.drain(scope))
    expect(trips).toBe(1)
    expect(rowsRead).toBe(18)
  })
})

/** So many, and none that were there. */
async function seedAnew(count: number) {
  await env.DB.prepare('DELETE FROM leanto_jobs_jobs').run()
  await seed(count)
}

describe('what a client’s question costs', () => {
  it('one trip, to read, to cancel and to list', async () => {
    await seed(100)
    const read = await costOf(base, (scope) => work.read(scope, 'job-00050'))
    expect(read).toMatchObject({ trips: 1, rowsRead: 1, rowsWritten: 0 })
    const cancel = await costOf(base, (scope) => work.cancel(scope, 'job-00050'))
    expect(cancel).toMatchObject({ trips: 1 })
    const list = await costOf(base, (scope) => work.list(scope, { dead: true }))
    expect(list).toMatchObject({ trips: 1, rowsRead: 1 })
  })
})
