import { env } from 'cloudflare:workers'
import { migrate } from 'leanto'
import { job, jobs } from 'leanto/jobs'
import { webhooks } from 'leanto/jobs/webhooks'
import { describe, expect, it } from 'vitest'
import { freshDatabase, makeBase } from '../kit/world.ts'
import { oneHandler, payload, scopeOf } from './world.ts'

const base = makeBase()
const handlers = { work: job({ payload, run: () => {} }) }

describe('a wrong option', () => {
  it.each<[string, object]>([
    ['`payload` must be a Standard Schema', { payload: { n: 1 } }],
    ['`run` must be a function', { run: 'later' }],
    ['`attempts` must be a whole number', { attempts: 0 }],
    ['`attempts` must be a whole number', { attempts: 1.5 }],
    ['`concurrency` must be a whole number', { concurrency: 0 }],
    ['`timeout` must be a number of seconds', { timeout: 0 }],
    ['`backoff.first`', { backoff: { first: -1 } }],
    ['`backoff.factor`', { backoff: { factor: 0.5 } }],
    ['`backoff.max`', { backoff: { max: Number.NaN } }],
  ])('of a handler is refused when it is made: %s', (message, wrong) => {
    expect(() => job({ payload, run: () => {}, ...wrong } as never)).toThrow(`job: ${message}`)
  })

  it.each<[string, object]>([
    ['`handlers` must be', { handlers: undefined }],
    ['`handlers` holds "a b"', { handlers: { 'a b': handlers.work } }],
    ['`handlers.work` must be made by job', { handlers: { work: () => {} } }],
    [
      '`handlers.webhooks.deliver` is there twice',
      {
        handlers: { 'webhooks.deliver': handlers.work },
        parts: [webhooks()],
      },
    ],
    ['`identity` must have principal', { identity: {} }],
    ['`queue` must be a function of env', { queue: {} }],
    ['`lease` must be a number of seconds', { lease: 0 }],
    ['`keepFor.done`', { keepFor: { done: 0 } }],
    ['`keepFor.dead`', { keepFor: { dead: Number.NaN } }],
  ])('of the module is refused when it is made: %s', (message, wrong) => {
    const make = () => jobs(base, { handlers, ...wrong } as never)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(`jobs: ${message}`)
  })
})

it('case 70: keeps nothing of one tenant for another, in a thousand calls of two', async () => {
  const other = makeBase({ db: (e) => e.OTHER_DB as never })
  const ran: string[] = []
  const work = oneHandler((_, { n }, { owner }) => ran.push(`${owner} ${n}`))
  await freshDatabase([work])
  await migrate(env.OTHER_DB as never, [work])
  const tenants = [
    ['red', base],
    ['blue', other],
  ] as const
  await Promise.all(
    Array.from({ length: 1000 }, (_, n) => {
      const [owner, on] = tenants[n % 2] as (typeof tenants)[number]
      return work.enqueue(scopeOf(on), 'work', { n }, { owner, key: `k${n - (n % 2)}` })
    }),
  )
  for (const [owner, on] of tenants) {
    ran.length = 0
    while ((await work.drain(scopeOf(on))).more);
    expect(ran).toHaveLength(500)
    expect(ran.every((one) => one.startsWith(owner))).toBe(true)
    const all = await work.list(scopeOf(on), { limit: 200 })
    expect(new Set(all.map((one) => one.owner))).toEqual(new Set([owner]))
  }
})
