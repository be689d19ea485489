import { env } from 'cloudflare:workers'
import type { Scope, Statement } from 'leanto'
import { type ByJobs, byJobs } from 'leanto/email/jobs'
import { type Jobs, type JobsOptions, jobs } from 'leanto/jobs'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Undelivered } from '../../src/email/transport.ts'
import { clock, type Env, freshDatabase, makeBase } from '../kit/world.ts'
import {
  down,
  fresh,
  inScope,
  insertion,
  mail,
  makeEmail,
  outbox,
  rows,
  sent,
  world,
} from './world.ts'

const lost: { id: string; error: string }[] = []

function make(more: Partial<JobsOptions<Env, Record<never, never>>> = {}, options = {}) {
  const base = makeBase()
  const delivery: ByJobs = byJobs({ jobs: () => work })
  const mailer = makeEmail(
    { parts: [delivery], after: { failed: (_, one) => lost.push(one) }, ...options },
    base,
  )
  const work: Jobs<Record<never, never>> = jobs(base, { handlers: {}, parts: [delivery], ...more })
  return { mailer, work }
}
const { mailer, work } = make()

/** With a queue that keeps its messages, and whether the job of each was there. */
function withQueue() {
  const messages: unknown[] = []
  const send = async (body: unknown) => {
    const { id } = body as { id: string }
    const there = (await jobRows()).some((row) => row.id === id)
    messages.push({ ...(body as object), there })
  }
  return { ...make({ queue: () => ({ send }) }), messages }
}

beforeEach(async () => {
  await fresh()
  await freshDatabase([mailer, work], ['CREATE TABLE notes (title TEXT)'])
  lost.length = 0
  vi.restoreAllMocks()
  vi.spyOn(console, 'error').mockImplementation(() => {})
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})

const post = (more = {}, options = {}) =>
  inScope((scope) => mailer.post(scope, { ...mail, ...more }, options))
const drain = () => inScope((scope) => work.drain(scope))
const cron = () => inScope((scope) => mailer.scheduled?.(scope, 0))
const jobRows = () =>
  rows<{ id: string; state: string; attempt: number; due: number; error: string | null }>(
    'SELECT id, state, attempt, due, error FROM leanto_jobs_jobs ORDER BY id',
  )

describe('a mail by jobs', () => {
  it('is sent by its job, once, and not before', async () => {
    const id = await post()
    await cron()
    expect(sent).toEqual([])
    expect(await drain()).toEqual({ ran: 1, more: false })
    expect(sent).toMatchObject([{ id, subject: 'Hello' }])
    expect(await outbox()).toMatchObject([{ state: 'sent', attempts: 1, body: null }])
    expect(await jobRows()).toMatchObject([{ state: 'done', attempt: 1 }])
    clock.advance(48 * 3600)
    await cron()
    await drain()
    expect(sent).toHaveLength(1)
  })

  it('is sent behind the answer where jobs are eager', async () => {
    const eager = make({ eager: true })
    await inScope((scope) => eager.mailer.send(scope, mail))
    expect(sent).toHaveLength(1)
    // In the caller's batch as well: nobody says when that is run.
    await inScope(async (scope) => {
      const batch = [insertion(scope, 'x')]
      await eager.mailer.send(scope, mail, { within: batch })
      await scope.db.batch(batch)
    })
    expect(sent).toHaveLength(2)
  })

  it('wakes the queue, once the batch was run', async () => {
    const queued = withQueue()
    await inScope((scope) => queued.mailer.send(scope, mail))
    const [job] = await jobRows()
    expect(queued.messages).toEqual([{ leanto: 'jobs', id: job?.id, there: true }])
  })

  it('wakes the queue by one message, once the caller’s batch was run', async () => {
    const queued = withQueue()
    await inScope(async (scope) => {
      const batch = [insertion(scope, 'x')]
      await queued.mailer.send(scope, mail, { within: batch })
      // Later than a first look would be.
      await new Promise((resolve) => setTimeout(resolve, 200))
      await scope.db.batch(batch)
    })
    const [job] = await jobRows()
    expect(queued.messages).toEqual([{ leanto: 'jobs', id: job?.id, there: true }])
  })

  it('is there if and only if the caller’s batch is', async () => {
    await inScope(async (scope) => {
      const batch: Statement[] = [
        insertion(scope, 'a'),
        scope.db.prepare('SELECT json(?)').bind('{'),
      ]
      await mailer.send(scope, mail, { within: batch })
      await expect(scope.db.batch(batch)).rejects.toThrow()
    })
    expect([await outbox(), await jobRows()]).toEqual([[], []])
    await inScope(async (scope) => {
      const batch = [insertion(scope, 'a')]
      await mailer.send(scope, mail, { within: batch })
      await scope.db.batch(batch)
    })
    await drain()
    expect(sent).toHaveLength(1)
  })

  it('is one of all with its key', async () => {
    const first = await post({}, { key: 'k' })
    expect(await post({ subject: 'Again' }, { key: 'k' })).toBe(first)
    expect(await drain()).toMatchObject({ ran: 2 })
    expect(sent).toMatchObject([{ id: first, subject: 'Hello' }])
  })

  it('keeps to its recipient’s limit, and to who gets no more', async () => {
    const limited = make({}, { limits: { recipient: { max: 1, seconds: 60 } } })
    await inScope((scope) => limited.mailer.send(scope, mail))
    await expect(inScope((scope) => limited.mailer.send(scope, mail))).rejects.toMatchObject({
      code: 'recipient_limited',
    })
    expect([(await outbox()).length, (await jobRows()).length]).toEqual([1, 1])
    await inScope((scope) => mailer.suppress(scope, { address: mail.to }))
    await drain()
    expect(sent).toEqual([])
    expect(await outbox()).toMatchObject([{ state: 'suppressed' }])
  })
})

describe('a mail by jobs that fails', () => {
  it('waits as jobs do, and is sent by the same id', async () => {
    world.fails = (_, attempt) => (attempt < 3 ? down() : undefined)
    const id = await post()
    await drain()
    const [job] = await jobRows()
    expect(job).toMatchObject({ state: 'waiting', attempt: 1, error: 'the provider is down' })
    const wait = (job?.due ?? 0) - clock.time
    expect(wait).toBeGreaterThanOrEqual(60_000)
    expect(wait).toBeLessThanOrEqual(66_000)
    // The outbox leaves it to jobs.
    await cron()
    for (const seconds of [70, 140]) {
      clock.advance(seconds)
      await drain()
    }
    expect(sent).toMatchObject([{ id }])
    expect(await outbox()).toMatchObject([{ state: 'sent', attempts: 3 }])
    expect(lost).toEqual([])
  })

  it('waits as long as the provider says', async () => {
    world.fails = () => new Undelivered('busy', { retryAfter: 7200 })
    await post()
    await drain()
    expect(((await jobRows())[0]?.due ?? 0) - clock.time).toBeGreaterThanOrEqual(7_200_000)
  })

  it('for good is a dead letter at once, told to the host, and can be retried', async () => {
    world.fails = () => down(true)
    const id = await post()
    await drain()
    expect(await jobRows()).toMatchObject([{ state: 'dead', attempt: 1 }])
    expect(await outbox()).toMatchObject([{ state: 'failed', error: 'the provider is down' }])
    expect(lost).toEqual([{ id, error: 'the provider is down' }])
    world.fails = undefined
    const [job] = await jobRows()
    await inScope((scope) => work.retry(scope, job?.id ?? ''))
    await drain()
    expect(sent).toMatchObject([{ id }])
    expect(await outbox()).toMatchObject([{ state: 'sent', attempts: 2, done_at: clock.time }])
    // Its own way too, by cron.
    world.fails = () => down(true)
    const other = await post()
    await drain()
    world.fails = undefined
    expect(await inScope((scope) => mailer.retry(scope, other))).toBe(true)
    await cron()
    expect(sent).toHaveLength(2)
  })

  it('is given up after 10 attempts', async () => {
    world.fails = () => down()
    await post()
    for (let i = 0; i < 12; i++) {
      await drain()
      clock.advance(5 * 3600)
    }
    expect(await jobRows()).toMatchObject([{ state: 'dead', attempt: 10 }])
    expect(await outbox()).toMatchObject([{ state: 'failed', attempts: 10 }])
    expect(lost).toHaveLength(1)
  })

  it('is taken by cron where its job is lost', async () => {
    await post()
    await env.DB.prepare('DELETE FROM leanto_jobs_jobs').run()
    clock.advance(26 * 3600)
    await cron()
    expect(sent).toEqual([])
    clock.advance(3600)
    await cron()
    expect(sent).toHaveLength(1)
  })

  it('because its Worker died is sent by the next attempt', async () => {
    await post()
    const [id] = (await outbox()).map((row) => row.id)
    // As a Worker leaves it that dies in the middle.
    await env.DB.batch([
      env.DB.prepare(
        `UPDATE leanto_jobs_jobs SET state = 'running', attempt = 1, lease = 'x', due = ?`,
      ).bind(clock.time + 60_000),
      env.DB.prepare('UPDATE leanto_email_outbox SET attempts = 1, due_at = ?').bind(
        clock.time + 27 * 3_600_000,
      ),
    ])
    await drain()
    await cron()
    expect(sent).toEqual([])
    clock.advance(60)
    await drain()
    expect(sent).toMatchObject([{ id }])
    expect(await outbox()).toMatchObject([{ state: 'sent', attempts: 2 }])
  })
})

describe('what it costs by jobs', () => {
  const measured = (work: (scope: Scope<Env>) => unknown) =>
    inScope(async (scope) => {
      await work(scope)
      const { trips, statements, rowsWritten } = scope.cost
      return { trips, statements, rowsWritten }
    })

  it('one trip to be stored, none within the caller’s batch, one more for a limit', async () => {
    expect(await measured((scope) => mailer.post(scope, mail))).toEqual({
      trips: 1,
      statements: 2,
      rowsWritten: 4,
    })
    expect(await measured((scope) => mailer.post(scope, mail, { within: [] }))).toMatchObject({
      trips: 0,
    })
    const limited = make({}, { limits: { recipient: { max: 1, seconds: 60 } } })
    expect(await measured((scope) => limited.mailer.post(scope, mail))).toMatchObject({ trips: 2 })
  })

  it('three trips a mail, besides the two of up to 20 jobs', async () => {
    await post()
    expect(await measured((scope) => work.drain(scope))).toMatchObject({ trips: 5 })
    for (let i = 0; i < 20; i++) await post()
    expect(await measured((scope) => work.drain(scope))).toMatchObject({ trips: 2 + 3 * 20 })
  })
})

describe('byJobs', () => {
  it('that jobs do not have adds nothing to the caller’s batch', async () => {
    const delivery: ByJobs = byJobs({ jobs: () => jobs(makeBase(), { handlers: {} }) })
    const halfway = makeEmail({ parts: [delivery] })
    const within: Statement[] = []
    await expect(inScope((scope) => halfway.send(scope, mail, { within }))).rejects.toThrow(
      'no handler "email.deliver"',
    )
    expect(within).toEqual([])
  })

  it('says what is missing', async () => {
    expect(() => byJobs({ jobs: work as never })).toThrow('`jobs` must be a function')
    const alone = byJobs({ jobs: () => work })
    const run = alone.handlers['email.deliver'].run
    await expect(
      inScope(async (scope) => run(scope, { id: 'x' }, { attempt: 1, attempts: 1 })),
    ).rejects.toThrow('among `parts` of email')
  })
})
