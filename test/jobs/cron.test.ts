import { env } from 'cloudflare:workers'
import { Cron } from 'croner'
import { job, jobs } from 'leanto/jobs'
import { type ScheduleOptions, schedule } from 'leanto/jobs/cron'
import * as v from 'valibot'
import { beforeEach, describe, expect, it } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { costOf, scopeOf } from './world.ts'

const base = makeBase()
const ran: string[] = []

const world = (pattern: string, options: ScheduleOptions = {}, on = base) =>
  jobs(on, {
    handlers: {
      digest: job({
        payload: v.any(),
        run: (_, payload, { scheduledAt }) => {
          const said = payload === null ? '' : ` ${JSON.stringify(payload)}`
          ran.push(new Date(scheduledAt).toISOString().slice(0, 16) + said)
        },
      }),
    },
    cron: [schedule(pattern, 'digest', options)],
  })

type World = ReturnType<typeof world>

/** Triggers the minute that the clock is in. */
const tick = (work: World, on = base) => work.scheduled?.(scopeOf(on), clock.time)

/** Goes to a time and triggers. */
const at = async (work: World, time: string) => {
  clock.time = Date.parse(time)
  await tick(work)
}

/** Triggers every so many minutes of a span. */
async function through(work: World, from: string, to: string, minutes = 1) {
  for (let time = Date.parse(from); time <= Date.parse(to); time += minutes * 60_000) {
    clock.time = time
    await tick(work)
  }
}

beforeEach(async () => {
  ran.length = 0
  clock.time = Date.parse('2026-06-01T08:58:00Z')
  await freshDatabase([world('0 9 * * 1')])
})

describe('a schedule', () => {
  it('runs in its minute, once, with its payload', async () => {
    const work = world('0 9 * * 1', { payload: { to: 'all' } })
    await through(work, '2026-06-01T08:58:00Z', '2026-06-01T09:05:00Z')
    expect(ran).toEqual(['2026-06-01T09:00 {"to":"all"}'])
  })

  it('runs in the very first minute that it is known, and not for those before', async () => {
    await at(world('0 9 * * 1'), '2026-06-01T09:00:12Z')
    expect(ran).toEqual(['2026-06-01T09:00'])
    await at(world('30 8 * * *', { id: 'other' }), '2026-06-01T09:01:00Z')
    expect(ran).toHaveLength(1)
  })

  it('never runs twice for a slot, however many triggers there are, in order or not', async () => {
    const work = world('*/5 * * * *')
    await at(work, '2026-06-01T09:00:00Z')
    await Promise.all(Array.from({ length: 20 }, () => tick(work)))
    clock.time = Date.parse('2026-06-01T09:05:00Z')
    await Promise.all(Array.from({ length: 20 }, () => tick(work)))
    await work.scheduled?.(scopeOf(base), Date.parse('2026-06-01T09:00:00Z'))
    await tick(work)
    await work.drain(scopeOf(base))
    expect(ran).toEqual(['2026-06-01T09:00', '2026-06-01T09:05'])
  })

  it('catches up once for all that it missed, and goes on from there', async () => {
    const work = world('*/10 * * * *')
    await at(work, '2026-06-01T09:00:00Z')
    // Three hours without a trigger.
    await through(work, '2026-06-01T12:07:00Z', '2026-06-01T12:21:00Z')
    expect(ran).toEqual([
      '2026-06-01T09:00',
      '2026-06-01T12:00',
      '2026-06-01T12:10',
      '2026-06-01T12:20',
    ])
  })

  it('is not lost with a trigger that fails, nor doubled by one whose answer is lost', async () => {
    let fails: boolean | 'after' = false
    const broken = makeBase({
      db: (e) => faulty(e.DB as never, (sql) => sql.some((one) => one.includes('_slots')) && fails),
    })
    const work = world('* * * * *', {}, broken)
    await tick(work, broken)
    ran.length = 0
    for (const failing of [true, 'after'] as const) {
      clock.advance(60)
      fails = failing
      await tick(work, broken)?.catch(() => {})
      fails = false
      await tick(work, broken)
      clock.advance(60)
      await tick(work, broken)
    }
    const minutes = ran.map((time) => time.slice(-2)).sort()
    expect(minutes).toEqual(['59', '00', '01', '02'].sort())
  })

  it('begins anew under another id, and needs no trigger of its own for each', async () => {
    const handlers = {
      digest: job({ payload: v.any(), run: (_, payload) => ran.push(String(payload)) }),
    }
    const many = jobs(base, {
      handlers,
      cron: Array.from({ length: 40 }, (_, i) =>
        schedule('0 9 * * *', 'digest', { id: `s${i}`, payload: i }),
      ),
    })
    clock.time = Date.parse('2026-06-01T09:00:00Z')
    await tick(many as never)
    expect(ran.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })

  it('makes a job that is like any other: it is retried', async () => {
    let fail = true
    const work = jobs(base, {
      handlers: {
        digest: job({
          payload: v.null(),
          run: (_, __, { attempt, scheduledAt }) => {
            ran.push(`${attempt} ${new Date(scheduledAt).toISOString()}`)
            if (fail) throw new Error('no')
          },
          backoff: { first: 10 },
        }),
      },
      cron: [schedule('0 9 * * *', 'digest')],
    })
    await at(work as never, '2026-06-01T09:00:00Z')
    fail = false
    await at(work as never, '2026-06-01T09:01:00Z')
    expect(ran).toEqual(['1 2026-06-01T09:00:00.000Z', '2 2026-06-01T09:00:00.000Z'])
  })
})

describe('a time zone', () => {
  it('is where nine o’clock is nine o’clock, in winter and in summer', async () => {
    const work = world('0 9 * * *', { zone: 'Europe/Berlin' })
    await through(work, '2026-03-28T07:59:00Z', '2026-03-28T08:01:00Z')
    await through(work, '2026-03-29T06:59:00Z', '2026-03-29T08:01:00Z')
    expect(ran).toEqual(['2026-03-28T08:00', '2026-03-29T07:00'])
  })

  it('may skip a time in a night, or have it twice: it runs once each night', async () => {
    const work = world('30 2 * * *', { zone: 'Europe/Berlin' })
    // 29 March has no 02:30; 25 October has two.
    await through(work, '2026-03-27T12:00:00Z', '2026-03-30T12:00:00Z', 15)
    expect(ran.map((time) => time.slice(0, 10))).toEqual(['2026-03-28', '2026-03-29', '2026-03-30'])
    await at(work, '2026-10-23T12:00:00Z')
    ran.length = 0
    await through(work, '2026-10-23T12:00:00Z', '2026-10-26T12:00:00Z', 15)
    expect(ran.map((time) => time.slice(0, 10))).toEqual(['2026-10-24', '2026-10-25', '2026-10-26'])
  })
})

describe('the newest slot', () => {
  const zones = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'UTC']
  const patterns = ['30 2 * * *', '0 0 * * *', '30 * * * *', '*/20 1-3 * * *', '0 0 29 2 *']
  // Nights in which one of the zones changes its clocks.
  const days = ['2026-03-08', '2026-03-29', '2026-04-05', '2026-10-04', '2026-10-25', '2026-11-01']

  it.each(zones.flatMap((zone) => patterns.map((pattern) => [zone, pattern] as const)))(
    'in %s of %s never goes back, is never ahead, and skips none that comes next',
    (zone, pattern) => {
      const { last } = schedule(pattern, 'digest', { zone })
      for (const day of days) {
        const slots = new Set<number>()
        let before = 0
        const start = Date.parse(`${day}T00:00Z`) - 12 * 3_600_000
        for (let time = start; time < start + 48 * 3_600_000; time += 10 * 60_000) {
          const slot = last(time) ?? 0
          expect(slot).toBeLessThanOrEqual(time)
          expect(slot).toBeGreaterThanOrEqual(before)
          before = slot
          if (slot >= start) slots.add(slot)
          // Within the second of the slot it is the slot already.
          expect(last(slot)).toBe(slot)
        }
        const next = new Cron(pattern, { timezone: zone, mode: '5-part', paused: true })
          .nextRuns(200, new Date(start - 1000))
          .map((date) => date.getTime())
          .filter((time) => time < start + 48 * 3_600_000)
        expect([...slots]).toEqual(next)
      }
    },
  )
})

describe('a wrong schedule', () => {
  it.each<[string, () => unknown]>([
    ['is not a cron pattern', () => schedule('every day', 'digest')],
    ['is not a cron pattern', () => schedule('0 0 9 * * 1', 'digest')],
    ['`zone` "Berlin"', () => schedule('0 9 * * 1', 'digest', { zone: 'Berlin' })],
    ['never comes', () => schedule('0 0 31 2 *', 'digest')],
    ['`payload`', () => schedule('0 9 * * 1', 'digest', { payload: () => {} })],
    ['`id`', () => schedule('0 9 * * 1', 'digest', { id: '' })],
    ['name of a handler', () => schedule('0 9 * * 1', '')],
    [
      'which is no handler',
      () => jobs(base, { handlers: {}, cron: [schedule('0 9 * * 1', 'digest')] }),
    ],
    [
      'twice',
      () =>
        jobs(base, {
          handlers: { digest: job({ payload: v.null(), run: () => {} }) },
          cron: [schedule('0 9 * * 1', 'digest'), schedule('0 9 * * 1', 'digest')],
        }),
    ],
  ])('%s: is refused when it is made', (message, make) => {
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })
})

it('costs nothing more than the trip that a trigger makes anyway', async () => {
  const work = world('0 9 * * *')
  const trigger = (time: string) => {
    clock.time = Date.parse(time)
    return costOf(base, (scope) => work.scheduled?.(scope, clock.time))
  }
  // The slot of yesterday is noted, and nothing runs.
  expect(await trigger('2026-06-01T08:00:00Z')).toMatchObject({ trips: 1, rowsWritten: 1 })
  expect(await trigger('2026-06-01T08:01:00Z')).toMatchObject({ trips: 1, rowsWritten: 0 })
  expect(await trigger('2026-06-01T09:00:00Z')).toMatchObject({ trips: 2 })
  expect(await env.DB.prepare('SELECT count(*) AS n FROM leanto_jobs_slots').first()).toEqual({
    n: 1,
  })
})
