import { env } from 'cloudflare:workers'
import type { Statement } from 'leanto'
import { webhooks } from 'leanto/jobs/webhooks'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { all, type HooksWorld, hooksWorld, type Received, verified } from './webhooks-world.ts'
import { costOf, counts, stored } from './world.ts'

let world: HooksWorld

beforeEach(async () => {
  world = hooksWorld()
  vi.spyOn(console, 'warn').mockImplementation(() => {})
  await freshDatabase([world.work], ['CREATE TABLE notes (id INTEGER PRIMARY KEY)'])
})

const url = 'https://hooks.example/in'
const register = (more = {}) => world.hooks.register(world.scope(), { url, ...more })
const send = (more = {}) =>
  world.hooks.send(world.scope(), { type: 'note.created', data: { id: 7 }, ...more })
const only = (): Received => {
  expect(world.received).toHaveLength(1)
  return world.received[0] as Received
}

describe('a message', () => {
  it('comes to its endpoint, signed so that the official library takes it, with nothing of ours (case 62)', async () => {
    const { secret } = await register()
    const { id } = await send()
    expect(await world.drain()).toEqual({ ran: 1, more: false })
    const received = only()
    expect(received.url).toBe(url)
    expect(received.init).toMatchObject({ method: 'POST', redirect: 'manual' })
    expect(received.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(clock.time / 1000),
    })
    expect(Object.keys(received.headers).sort()).toEqual([
      'content-type',
      'user-agent',
      'webhook-id',
      'webhook-signature',
      'webhook-timestamp',
    ])
    expect(verified(secret, received)).toEqual({
      type: 'note.created',
      timestamp: new Date(clock.time).toISOString(),
      data: { id: 7 },
    })
  })

  it('case 63: is refused by the official library if body, id or time are changed, or it is replayed', async () => {
    const { secret } = await register()
    await send()
    await world.drain()
    const received = only()
    const with_ = (headers: Record<string, string>) => ({
      ...received,
      headers: { ...received.headers, ...headers },
    })
    const other = await world.hooks.register(world.scope(), { url })
    expect(() => verified(other.secret, received)).toThrow()
    expect(() => verified(secret, { ...received, body: `${received.body} ` })).toThrow()
    expect(() => verified(secret, with_({ 'webhook-id': 'msg_other' }))).toThrow()
    const later = String(clock.time / 1000 + 1)
    expect(() => verified(secret, with_({ 'webhook-timestamp': later }))).toThrow()
    clock.advance(301)
    expect(() => verified(secret, received)).toThrow('too old')
  })

  it('is sent if and only if the caller’s batch is written', async () => {
    await register()
    const scope = world.scope()
    const batch: Statement[] = [scope.db.prepare('INSERT INTO notes (id) VALUES (1)')]
    const { id } = await world.hooks.send(scope, { type: 'note.created', data: 1, within: batch })
    expect(scope.cost.trips).toBe(0)
    expect((await world.drain()).ran).toBe(0)
    await scope.db.batch(batch)
    expect((await world.drain()).ran).toBe(1)
    expect(only().headers['webhook-id']).toBe(id)
    const again: Statement[] = [scope.db.prepare('INSERT INTO notes (id) VALUES (1)')]
    await world.hooks.send(scope, { type: 'note.created', data: 1, within: again })
    await expect(scope.db.batch(again)).rejects.toThrow()
    expect((await world.drain()).ran).toBe(0)
    expect(await all('SELECT id FROM leanto_jobs_messages')).toHaveLength(1)
  })

  it('comes to those that want its type and have its owner, and to no others', async () => {
    const at = (name: string, more = {}) => register({ url: `https://${name}.example/`, ...more })
    await at('all')
    await at('created', { types: ['note.created', 'note.gone'] })
    await at('gone', { types: ['note.gone'] })
    await at('none', { types: [] })
    await at('acme', { owner: 'acme' })
    await at('bolt', { owner: 'bolt' })
    const hosts = async (more = {}) => {
      world.received.length = 0
      await send(more)
      await world.drain()
      return world.received.map((one) => new URL(one.url).hostname.split('.')[0]).sort()
    }
    expect(await hosts()).toEqual(['all', 'created'])
    expect(await hosts({ type: 'note.gone' })).toEqual(['all', 'created', 'gone'])
    expect(await hosts({ owner: 'acme' })).toEqual(['acme'])
    expect(await hosts({ owner: 'nobody' })).toEqual([])
  })

  it.each<[string, object]>([
    ['`type`', { type: '' }],
    ['`type`', { type: 'a b' }],
    ['`type`', { type: {} }],
    ['`data`', { data: undefined }],
    ['`data`', { data: 'é'.repeat(131_072) }],
    ['`owner`', { owner: 1 }],
  ])('is refused with a wrong %s', async (name, more) => {
    await expect(send(more)).rejects.toThrow(`webhooks: ${name}`)
    expect(await all('SELECT * FROM leanto_jobs_messages')).toEqual([])
  })

  it('costs one trip to send to a hundred endpoints, none within a batch, and two to deliver', async () => {
    for (let i = 0; i < 100; i++) await register()
    const message = { type: 'note.created', data: 1 }
    const sending = await costOf(world.base, (scope) => world.hooks.send(scope, message))
    expect(sending).toMatchObject({ trips: 1, statements: 2 })
    expect(await counts()).toEqual({ ready: 100 })
    // Twenty deliveries of two trips each, and the round’s own two.
    const delivering = await costOf(world.base, (scope) => world.work.drain(scope, { limit: 20 }))
    expect(delivering.trips).toBe(42)
  })
})

describe('a delivery that fails', () => {
  it('is tried again with the same id and a new time and signature, and each try is in the log', async () => {
    const { id: endpoint, secret } = await register()
    const statuses = [500, 404, 200]
    world.answer = () => new Response('private words', { status: statuses.shift() ?? 200 })
    const { id } = await send()
    for (let i = 0; i < 3; i++) {
      await world.drain()
      clock.advance(120)
    }
    expect(world.received.map((one) => one.headers['webhook-id'])).toEqual([id, id, id])
    const times = world.received.map((one) => Number(one.headers['webhook-timestamp']))
    expect(times[2]).toBe((times[0] ?? 0) + 240)
    clock.advance(-120)
    expect(verified(secret, world.received[2] as Received)).toMatchObject({ data: { id: 7 } })
    const log = await world.hooks.deliveries(world.scope(), endpoint)
    expect(log.map(({ attempt, status, error }) => [attempt, status, error])).toEqual([
      [3, 200, null],
      [2, 404, 'The receiver answered 404'],
      [1, 500, 'The receiver answered 500'],
    ])
    expect(log[0]).toMatchObject({ message: id, type: 'note.created' })
    // What a receiver writes is kept nowhere: it may be the inside of a network.
    expect(JSON.stringify([log, await stored()])).not.toContain('private words')
    const [last] = log
    expect(
      await world.hooks.deliveries(world.scope(), endpoint, { before: last?.n ?? 0, limit: 1 }),
    ).toHaveLength(1)
  })

  it.each([301, 302, 303, 307, 308])('case 61: does not follow a %d', async (status) => {
    await register()
    world.answer = () =>
      new Response(null, { status, headers: { location: 'http://169.254.169.254/' } })
    await send()
    await world.drain()
    expect(only().url).toBe(url)
    expect((await stored())[0]).toMatchObject({ state: 'waiting' })
  })

  it('waits as long as it is asked to, by seconds or by a date, a day at most', async () => {
    await register()
    const wait = async (status: number, after: string) => {
      await env.DB.prepare('DELETE FROM leanto_jobs_jobs').run()
      world.answer = () => new Response(null, { status, headers: { 'retry-after': after } })
      await send()
      await world.drain()
      return ((await stored())[0]?.due ?? 0) / 1000 - clock.time / 1000
    }
    const between = (found: number, least: number, most: number) => {
      expect(found).toBeGreaterThanOrEqual(least)
      expect(found).toBeLessThanOrEqual(most)
    }
    between(await wait(429, '600'), 600, 660)
    between(await wait(503, new Date(clock.time + 300_000).toUTCString()), 300, 330)
    between(await wait(503, '999999999'), 86_400, 95_040)
    between(await wait(429, '0'), 5, 5.5)
    between(await wait(503, '-5'), 2.5, 5)
    between(await wait(503, 'soon'), 2.5, 5)
    between(await wait(500, '600'), 2.5, 5)
  })

  it('ends with 410: the endpoint gets nothing more until it is enabled', async () => {
    const { id } = await register()
    world.answer = () => new Response(null, { status: 410 })
    await send()
    // Under way when it comes.
    await send()
    await env.DB.prepare(
      `UPDATE leanto_jobs_jobs SET due = due + 1, state = 'waiting' WHERE id = (SELECT max(id) FROM leanto_jobs_jobs)`,
    ).run()
    await world.drain()
    expect(await counts()).toEqual({ dead: 1, waiting: 1 })
    expect(await world.hooks.list(world.scope())).toMatchObject([
      { id, disabled: 'The receiver answered 410 Gone' },
    ])
    clock.advance(1)
    await world.drain()
    await send()
    await world.drain()
    expect(world.received).toHaveLength(1)
    expect(await world.hooks.enable(world.scope(), id)).toBe(true)
    world.answer = () => new Response(null, { status: 200 })
    await send()
    await world.drain()
    expect(world.received).toHaveLength(2)
  })

  it('is one of a connection or of a time that is up, and says no more', async () => {
    const { id } = await register()
    world.answer = () => Promise.reject(new TypeError('connect ECONNREFUSED 10.0.0.7:5432'))
    await send()
    await world.drain()
    world = Object.assign(hooksWorld({ timeout: 0.05 }), {
      answer: ({ init }: Received) =>
        new Promise<never>((_, reject) =>
          init.signal?.addEventListener('abort', () => reject(init.signal?.reason)),
        ),
    })
    await send()
    await world.drain()
    const log = await world.hooks.deliveries(world.scope(), id)
    expect(log.map(({ status, error }) => [status, error])).toEqual([
      [null, 'No answer in 0.05 s'],
      [null, 'The connection failed'],
    ])
    expect(JSON.stringify(await stored())).not.toContain('10.0.0.7')
  })

  it('is a dead letter in the end, and can be sent again', async () => {
    world = hooksWorld({ attempts: 2 })
    const { id: endpoint } = await register()
    world.answer = () => new Response(null, { status: 500 })
    const { id: message } = await send()
    await world.drain()
    clock.advance(60)
    await world.drain()
    expect(await counts()).toEqual({ dead: 1 })
    world.answer = () => new Response(null, { status: 200 })
    await world.hooks.resend(world.scope(), { message, endpoint })
    await world.hooks.resend(world.scope(), { message, endpoint: 'another' })
    await world.drain()
    expect(await counts()).toEqual({ dead: 1, done: 1 })
    expect(world.received.map((one) => one.headers['webhook-id'])).toEqual(Array(3).fill(message))
  })

  it('whose log cannot be written is made again', async () => {
    let broken = true
    const base = makeBase({
      db: (e) =>
        faulty(e.DB as never, (sql) => broken && sql.some((one) => one.includes('_deliveries'))),
    })
    await register()
    await send()
    const failing = hooksWorld({}, base)
    await failing.drain()
    expect(await counts()).toEqual({ waiting: 1 })
    broken = false
    clock.advance(10)
    await failing.drain()
    expect(await counts()).toEqual({ done: 1 })
    expect(new Set(failing.received.map((one) => one.headers['webhook-id'])).size).toBe(1)
  })
})

describe('upkeep', () => {
  it('forgets messages and the log after so many days', async () => {
    world = hooksWorld({ keepFor: 2 })
    await register()
    await send()
    await world.drain()
    const left = async () =>
      (await all('SELECT n FROM leanto_jobs_deliveries')).length +
      (await all('SELECT id FROM leanto_jobs_messages')).length
    const day = 24 * 60 * 60
    for (const [seconds, rows] of [
      [2 * day - 1, 2],
      [1, 0],
    ] as const) {
      clock.advance(seconds)
      await world.work.scheduled?.(world.scope(), clock.time)
      expect(await left()).toBe(rows)
    }
  })
})

it.each([{ timeout: 0 }, { keepFor: -1 }, { fetch: 1 }, { resolve: '' }, { attempts: 0 }])(
  'refuses wrong options: %o',
  (options) => {
    expect(() => webhooks(options as never)).toThrow(TypeError)
  },
)
