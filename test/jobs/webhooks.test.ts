import { env } from 'cloudflare:workers'
import type { Statement } from 'leanto'
import { changes } from 'leanto/data'
import { webhooks } from 'leanto/jobs/webhooks'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { hostSql as liveSql, store } from '../data/changes-world.ts'
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
  it('comes to its endpoint, signed so that the official library takes it', async () => {
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
    // Case 62: nothing of ours goes along.
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

describe('case 61: where an endpoint is', () => {
  it.each([
    'http://hooks.example/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0177.0.0.1/',
    'https://[::ffff:169.254.169.254]/',
    'https://localhost/',
    'https://user:pass@hooks.example/',
    'https://metadata.google.internal/',
    'javascript:alert(1)',
    '/relative',
    '',
    `https://hooks.example/${'x'.repeat(2000)}`,
    { url: 'https://hooks.example/' },
    ['https://hooks.example/'],
    null,
  ])('%s is refused at registration', async (wrong) => {
    await expect(register({ url: wrong })).rejects.toMatchObject({ code: 'bad_request' })
    expect(await world.hooks.list(world.scope())).toEqual([])
  })

  it('is refused at registration if its name leads inside, or nowhere', async () => {
    for (const addresses of [['127.0.0.1'], ['1.1.1.1', '::1'], [], new Error('no resolver')]) {
      world.addresses = addresses
      await expect(register()).rejects.toMatchObject({ code: 'bad_request' })
    }
  })

  it('is checked again at each delivery: a name that was moved gets nothing', async () => {
    const { id } = await register()
    world.addresses = ['169.254.169.254']
    await send()
    await world.drain()
    expect(world.received).toEqual([])
    expect(await counts()).toEqual({ dead: 1 })
    const [log] = await world.hooks.deliveries(world.scope(), id)
    expect(log).toMatchObject({
      status: null,
      error: 'The address leads to an address that is not public',
    })
    // Moved between two attempts, too.
    world.addresses = ['1.1.1.1']
    world.answer = () => {
      world.addresses = ['10.0.0.1']
      return new Response(null, { status: 500 })
    }
    await send()
    await world.drain()
    clock.advance(10)
    await world.drain()
    expect(world.received).toHaveLength(1)
  })

  it('is tried again later if its name cannot be resolved now', async () => {
    await register()
    for (const addresses of [[], new Error('no resolver')]) {
      world.addresses = addresses
      await send()
    }
    await world.drain()
    expect(world.received).toEqual([])
    expect(await counts()).toEqual({ waiting: 2 })
  })

  it('is checked also if it was written into the table by hand', async () => {
    const { id } = await register()
    await env.DB.prepare(`UPDATE leanto_jobs_endpoints SET url = 'http://127.0.0.1:8080/'`).run()
    await send()
    await world.drain()
    expect(world.received).toEqual([])
    expect((await world.hooks.deliveries(world.scope(), id))[0]?.error).toContain('https://')
  })

  it('asks Cloudflare’s resolver unless told otherwise', async () => {
    const asked: string[] = []
    const answers: Record<string, object> = {
      A: {
        Status: 0,
        Answer: [
          { type: 5, data: 'other.example.' },
          { type: 1, data: '1.1.1.1' },
        ],
      },
      AAAA: { Status: 0, Answer: [{ type: 28, data: 'fd00::1' }] },
    }
    const fetching = vi.spyOn(globalThis, 'fetch').mockImplementation(async (input) => {
      const { searchParams, origin } = new URL(String(input))
      asked.push(`${origin} ${searchParams.get('name')} ${searchParams.get('type')}`)
      return Response.json(answers[searchParams.get('type') ?? ''])
    })
    const hooks = webhooks()
    await expect(hooks.register(world.scope(), { url })).rejects.toMatchObject({
      message: 'url: leads to an address that is not public',
    })
    answers.AAAA = { Status: 0 }
    await hooks.register(world.scope(), { url })
    fetching.mockResolvedValue(new Response(null, { status: 500 }))
    await expect(hooks.register(world.scope(), { url })).rejects.toMatchObject({
      code: 'bad_request',
    })
    fetching.mockRestore()
    const dns = 'https://cloudflare-dns.com hooks.example'
    expect(asked.slice(0, 2).sort()).toEqual([`${dns} A`, `${dns} AAAA`])
  })
})

describe('a secret', () => {
  it('is told once and sealed: nothing that is stored shows it', async () => {
    const { secret } = await register()
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    const rows = JSON.stringify(await all('SELECT * FROM leanto_jobs_endpoints'))
    expect(rows).not.toContain(secret.slice(6))
    expect(JSON.stringify(await world.hooks.list(world.scope()))).not.toContain('secret')
  })

  it('is rotated with an overlap in which both hold, and after which the old one does not', async () => {
    const { id, secret: old } = await register()
    const rotated = await world.hooks.rotate(world.scope(), id, { overlap: 3600 })
    const fresh = rotated?.secret ?? ''
    const deliver = async () => {
      world.received.length = 0
      await send()
      await world.drain()
      return only()
    }
    const during = await deliver()
    expect(during.headers['webhook-signature']?.split(' ')).toHaveLength(2)
    expect(verified(fresh, during)).toBeDefined()
    expect(verified(old, during)).toBeDefined()
    clock.advance(3600)
    const after = await deliver()
    expect(verified(fresh, after)).toBeDefined()
    expect(() => verified(old, after)).toThrow()
    expect(await world.hooks.rotate(world.scope(), 'nothing')).toBeNull()
  })

  it('may be brought along, if it is one', async () => {
    const mine = `whsec_${btoa('0123456789abcdef01234567')}`
    expect((await register({ secret: mine })).secret).toBe(mine)
    for (const secret of ['', 'whsec_', 'secret', `whsec_${btoa('short')}`, 'whsec_!!!', 1])
      await expect(register({ secret })).rejects.toMatchObject({ code: 'bad_request' })
  })

  it('that was sealed for another endpoint opens nothing', async () => {
    const { id } = await register()
    await register()
    await env.DB.prepare(
      `UPDATE leanto_jobs_endpoints SET secret = (SELECT secret FROM leanto_jobs_endpoints WHERE id <> ?1) WHERE id = ?1`,
    )
      .bind(id)
      .run()
    await send()
    await world.drain()
    expect(world.received).toHaveLength(1)
    expect(await counts()).toEqual({ dead: 1, done: 1 })
  })
})

describe('an owner', () => {
  it('case 42: reaches its own endpoints and no others', async () => {
    const { id } = await register({ owner: 'acme' })
    const scope = world.scope()
    const bolt = { owner: 'bolt' }
    expect(await world.hooks.list(scope, bolt)).toEqual([])
    expect(await world.hooks.rotate(scope, id, bolt)).toBeNull()
    expect(await world.hooks.enable(scope, id, bolt)).toBe(false)
    expect(await world.hooks.remove(scope, id, bolt)).toBe(false)
    await send({ owner: 'acme' })
    await world.drain()
    expect(await world.hooks.deliveries(scope, id, bolt)).toEqual([])
    const acme = { owner: 'acme' }
    expect(await world.hooks.deliveries(scope, id, acme)).toHaveLength(1)
    expect(await world.hooks.list(scope, acme)).toHaveLength(1)
    expect(await world.hooks.rotate(scope, id, acme)).not.toBeNull()
    expect(await world.hooks.enable(scope, id, acme)).toBe(true)
    expect(await world.hooks.remove(scope, id, acme)).toBe(true)
  })

  it('who removes an endpoint stops what is under way to it', async () => {
    const { id } = await register()
    await send()
    await world.hooks.remove(world.scope(), id)
    await world.drain()
    expect(world.received).toEqual([])
    expect((await stored())[0]).toMatchObject({ state: 'done', result: '{"status":null}' })
  })
})

describe('following a log of changes', () => {
  const log = { seq: 0, first: 1 }
  const read = async (since: number | 'now') => {
    if (since === 'now') return { changes: [], last: log.seq, more: false, gap: false }
    if (since + 1 < log.first) return { changes: [], last: log.seq, more: false, gap: true }
    const last = Math.min(since + 3, log.seq)
    const changes = Array.from({ length: last - since }, (_, i) => ({ seq: since + 1 + i }))
    return { changes, last, more: last < log.seq, gap: false }
  }
  const message = ({ seq }: { seq: number }) =>
    seq % 5 === 0 ? null : { type: 'note.changed', data: seq }
  const follow = () => world.hooks.follow(world.scope(), { name: 'notes', read, message })

  beforeEach(() => Object.assign(log, { seq: 10, first: 1 }))

  it('begins with what comes from now on, and sends each change once, however many follow', async () => {
    await register()
    expect(await follow()).toEqual({ sent: 0, more: false, gap: false })
    log.seq = 16
    const both = await Promise.all(Array.from({ length: 10 }, follow))
    expect(both.reduce((sum, { sent }) => sum + sent, 0)).toBeGreaterThanOrEqual(3)
    for (let more = true; more; ) ({ more } = await follow())
    await world.drain()
    const numbers = world.received.map((one) => JSON.parse(one.body).data)
    expect(numbers.sort((a, b) => a - b)).toEqual([11, 12, 13, 14, 16])
    expect(await follow()).toEqual({ sent: 0, more: false, gap: false })
  })

  it('says so when changes were lost, and goes on', async () => {
    await register()
    await follow()
    Object.assign(log, { seq: 100, first: 50 })
    expect(await follow()).toEqual({ sent: 0, more: false, gap: true })
    log.seq = 101
    expect(await follow()).toEqual({ sent: 1, more: false, gap: false })
  })
})

describe('following the change log of data', () => {
  it('tells an owner’s endpoints of its rows, whoever wrote them, two statements a page', async () => {
    await freshDatabase([world.work, store], liveSql)
    await register({ owner: 'alice' })
    await register({ owner: 'bob' })
    const scope = world.scope()
    const follow = () =>
      world.hooks.follow(scope, {
        name: 'notes',
        read: (since) => changes(scope, store, { since, tables: ['notes'] }),
        message: ({ operation, key, old }) =>
          old === null
            ? null
            : { type: `note.${operation}`, data: key, owner: String(old.owner_id) },
      })
    await follow()
    await env.DB.batch(
      [
        `INSERT INTO notes (id, owner_id, title) VALUES (1, 'alice', 'a'), (2, 'bob', 'b'), (3, 'eve', 'c')`,
        `UPDATE notes SET title = title || '!'`,
        'DELETE FROM notes WHERE id = 2',
      ].map((sql) => env.DB.prepare(sql)),
    )
    const before = scope.cost.statements
    expect(await follow()).toEqual({ sent: 4, more: false, gap: false })
    // The cursor, the two of the log, the messages, their jobs, and the cursor again.
    expect(scope.cost.statements - before).toBe(6)
    await world.drain()
    const told = world.received.map(({ body }) => JSON.parse(body))
    expect(told.map(({ type, data }) => `${type} ${data.id}`).sort()).toEqual([
      'note.delete 2',
      'note.update 1',
      'note.update 2',
    ])
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
