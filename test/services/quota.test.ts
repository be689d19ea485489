import { env } from 'cloudflare:workers'
import type { ServiceOptions } from 'leanto/services'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { d1Error, faulty } from '../kit/faulty.ts'
import { clock, type Env, freshDatabase, makeBase } from '../kit/world.ts'
import { client, counters, deepl, gateway, hello, Upstream } from './world.ts'

const noon = Date.parse('2026-06-01T12:00:00Z')

let upstream: Upstream
let ask: ReturnType<typeof client>

const make = (options: Partial<ServiceOptions<Env>> = {}, base = makeBase()) => {
  const module = gateway({ deepl: deepl(upstream, options) }, {}, base)
  ask = client(module, base)
  return module
}

/** Characters: at most those of the texts, in fact what the answer says. */
const metered: Partial<ServiceOptions<Env>> = {
  meter: {
    unit: 'characters',
    most: ({ body }) => (body as typeof hello).text.join('').length,
    used: (_call, { text }) => JSON.parse(text).billed,
  },
  price: { request: 0.1, unit: 0.2 },
}

const answers = (billed?: number) => () => Response.json({ translations: [], billed })

beforeEach(async () => {
  clock.time = noon
  upstream = new Upstream()
  await freshDatabase([make()])
})

const translate = (token = 'ada', text = 'Hello') =>
  ask('/deepl/v2/translate', { body: { text: [text], target_lang: 'DE' }, token })

describe('a quota of requests', () => {
  const one = { quota: { user: { requests: { minute: 2, day: 3 } } } }

  it('is told in each answer, by what has the least left', async () => {
    make(one)
    const { headers } = await translate()
    expect(headers.get('x-ratelimit-limit')).toBe('2')
    expect(headers.get('x-ratelimit-remaining')).toBe('1')
    expect(headers.get('x-ratelimit-reset')).toBe(String(noon / 1000 + 60))
  })

  it('refuses what is over it, before the service is asked, and says when to come back', async () => {
    make(one)
    await translate()
    await translate()
    clock.advance(15)
    const refused = await translate()
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('45')
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0')
    expect(refused.json).toMatchObject({
      code: 'quota_exceeded',
      details: {
        whose: 'user',
        amount: 'requests',
        period: 'minute',
        limit: 2,
        resets_at: '2026-06-01T12:01:00.000Z',
      },
    })
    expect(upstream.seen).toHaveLength(2)
    // What was refused was counted nowhere.
    expect((await counters())['deepl:user:ada:day']?.requests).toBe(2)
    expect((await translate('bob')).status).toBe(200)
  })

  it('begins anew with its window, each by its own', async () => {
    make(one)
    await translate()
    await translate()
    clock.advance(60)
    expect((await translate()).status).toBe(200)
    const refused = await translate()
    expect(refused.json.details.period).toBe('day')
    expect(refused.headers.get('retry-after')).toBe(String(12 * 3600 - 60))
    clock.time = Date.parse('2026-06-02T00:00:00Z')
    expect((await translate()).status).toBe(200)
  })

  it('counts months by the calendar', async () => {
    make({ quota: { user: { requests: { month: 1 } } } })
    clock.time = Date.parse('2026-12-31T23:59:59Z')
    expect((await translate()).status).toBe(200)
    expect((await translate()).headers.get('retry-after')).toBe('1')
    clock.advance(1)
    expect((await translate()).status).toBe(200)
    expect((await translate()).headers.get('retry-after')).toBe(String(31 * 24 * 3600))
  })

  it('is not begun anew by a clock that is behind', async () => {
    make({ quota: { user: { requests: { minute: 2 } } } })
    clock.advance(60)
    await translate()
    clock.advance(-1)
    await translate()
    expect((await translate()).status).toBe(429)
    clock.advance(1)
    expect((await translate()).status).toBe(429)
  })

  it('is of the user, of the organisation and of all', async () => {
    const day = (count: number) => ({ requests: { day: count } })
    make({ quota: { user: day(2), organisation: day(3), app: day(5) } })
    const statuses = async (...tokens: string[]) => {
      const all = []
      for (const token of tokens) all.push((await translate(token)).status)
      return all
    }
    expect(await statuses('ada@acme', 'ada@acme', 'ada@acme')).toEqual([200, 200, 429])
    expect(await statuses('bob@acme', 'bob@acme')).toEqual([200, 429])
    expect(await statuses('eve', 'eve', 'mia')).toEqual([200, 200, 429])
    const { json, headers } = await translate('mia')
    // What all use together is nobody's to know.
    expect(json.details).toBeUndefined()
    expect(headers.get('x-ratelimit-limit')).toBeNull()
    expect(headers.get('retry-after')).toBe(String(12 * 3600))
    expect(await counters()).toEqual({
      'deepl:user:ada:day': { requests: 2, units: 0, micros: 0 },
      'deepl:user:bob:day': { requests: 1, units: 0, micros: 0 },
      'deepl:user:eve:day': { requests: 2, units: 0, micros: 0 },
      'deepl:organisation:acme:day': { requests: 3, units: 0, micros: 0 },
      'deepl:app::day': { requests: 5, units: 0, micros: 0 },
    })
  })

  it('does not bind the secret API key, but the app’s does', async () => {
    make({ quota: { user: { requests: { day: 1 } }, app: { requests: { day: 2 } } } })
    const service = () => ask('/deepl/v2/translate', { body: hello, key: 'secret' })
    expect((await service()).status).toBe(200)
    expect((await service()).status).toBe(200)
    expect((await service()).status).toBe(429)
  })

  it('keeps subjects apart whose names look like another’s key', async () => {
    make({ quota: { user: { requests: { day: 1 } } } })
    expect((await translate('x:day')).status).toBe(200)
    expect((await translate('x')).status).toBe(200)
    expect((await translate("'; DROP TABLE leanto_services_usage; --")).status).toBe(200)
    expect(Object.keys(await counters())).toHaveLength(3)
  })
})

describe('a quota of units and money', () => {
  it('is reserved before the call, by the most that it can use, and settled after it', async () => {
    make({ ...metered, quota: { user: { units: { day: 10 }, money: { month: 5 } } } })
    let during: Awaited<ReturnType<typeof counters>> = {}
    upstream.answer = async () => {
      during = await counters()
      return answers(3)()
    }
    expect((await translate()).status).toBe(200)
    expect(during).toEqual({
      'deepl:user:ada:day': { requests: 1, units: 5, micros: 1_100_000 },
      'deepl:user:ada:month': { requests: 1, units: 5, micros: 1_100_000 },
    })
    expect(await counters()).toEqual({
      'deepl:user:ada:day': { requests: 1, units: 3, micros: 700_000 },
      'deepl:user:ada:month': { requests: 1, units: 3, micros: 700_000 },
    })
    expect((await translate('ada', '12345678')).json.details).toMatchObject({
      amount: 'units',
      limit: 10,
    })
    expect((await translate('ada', '1234567')).status).toBe(200)
  })

  it('takes money to the millionth, whatever binary fractions make of it', async () => {
    make({ ...metered, quota: { user: { money: { month: 0.3 } } } })
    upstream.answer = answers()
    expect((await translate('ada', '1')).status).toBe(200)
    expect((await counters())['deepl:user:ada:month']?.micros).toBe(300_000)
    expect((await translate('ada', '')).json.details).toMatchObject({ amount: 'money', limit: 0.3 })
  })

  it.each([
    ['no number', answers()],
    ['a negative number', answers(-1)],
  ])('keeps what was reserved if the answer says %s', async (_what, answer) => {
    make({ ...metered, quota: { user: { units: { day: 10 } } } })
    upstream.answer = answer
    await translate()
    expect((await counters())['deepl:user:ada:day']?.units).toBe(5)
  })

  it.each([
    ['throws', () => new Response('no JSON')],
    ['is not asked, for the answer broke off', () => new Response(breaking())],
  ])('keeps what was reserved if `used` %s', async (what, answer) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    make({ ...metered, quota: { user: { units: { day: 10 } } } })
    upstream.answer = answer
    const { status } = await translate()
    expect(status).toBe(what === 'throws' ? 200 : 502)
    expect((await counters())['deepl:user:ada:day']?.units).toBe(5)
    expect(log).toHaveBeenCalled()
    log.mockRestore()
  })

  const breaking = () =>
    new ReadableStream({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode('{"bill'))
        controller.error(new Error('reset'))
      },
    })

  it('adds what was used beyond it, and lets nothing more pass', async () => {
    make({ ...metered, quota: { user: { units: { day: 10 } } } })
    upstream.answer = answers(11)
    await translate()
    expect((await counters())['deepl:user:ada:day']?.units).toBe(11)
    expect((await translate('ada', 'x')).status).toBe(429)
  })

  it.each([
    ['refuses the call', () => new Response('no', { status: 400 })],
    ['fails', () => new Response('', { status: 500 })],
    ['cannot be reached', () => Promise.reject(new Error('refused'))],
  ])('gives all back if the service %s; the request stays counted', async (_what, answer) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    make({ ...metered, quota: { user: { units: { day: 10 } } } })
    upstream.answer = answer
    await translate()
    expect((await counters())['deepl:user:ada:day']).toEqual({ requests: 1, units: 0, micros: 0 })
    log.mockRestore()
  })

  it('keeps all if the service did not answer in time: it may have done it', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    make({ ...metered, timeout: 20, quota: { user: { units: { day: 10 } } } })
    upstream.answer = (request) =>
      new Promise((_, reject) => {
        request.signal.addEventListener('abort', () => reject(new Error('aborted')))
      })
    const { status, json, headers } = await translate()
    expect([status, json.code]).toEqual([504, 'upstream_timeout'])
    expect(headers.get('retry-after')).toBe('5')
    expect((await counters())['deepl:user:ada:day']?.units).toBe(5)
    log.mockRestore()
  })

  it('refuses a meter that does not count', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    for (const most of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      make({ meter: { unit: 'x', most: () => most }, quota: { user: { units: { day: 10 } } } })
      expect((await translate()).status).toBe(500)
    }
    expect(upstream.seen).toEqual([])
    log.mockRestore()
  })

  it('gives back to the window in which it was reserved, and to no other', async () => {
    make({ ...metered, quota: { user: { units: { minute: 10 } } } })
    upstream.answer = async () => {
      upstream.answer = answers(4)
      clock.advance(60)
      await translate('ada', '1234')
      return answers(0)()
    }
    await translate()
    expect((await counters())['deepl:user:ada:minute']?.units).toBe(4)
  })
})

describe('parallel calls', () => {
  it('of 1,000 against a quota of 100, exactly 100 pass', async () => {
    make({ quota: { user: { requests: { day: 100 } }, app: { requests: { day: 500 } } } })
    const all = await Promise.all(Array.from({ length: 1000 }, () => translate()))
    const passed = all.filter(({ status }) => status === 200)
    expect(passed).toHaveLength(100)
    expect(all.filter(({ status }) => status === 429)).toHaveLength(900)
    expect(upstream.seen).toHaveLength(100)
    expect(await counters()).toMatchObject({
      'deepl:user:ada:day': { requests: 100 },
      'deepl:app::day': { requests: 100 },
    })
  })

  it('never reserve more than there is, whichever of many limits is the tightest', async () => {
    make({
      ...metered,
      quota: {
        user: { requests: { minute: 50 } },
        organisation: { units: { day: 100 } },
        app: { money: { month: 60 } },
      },
    })
    const spent = { running: 0, most: 0 }
    upstream.answer = async (_request, body) => {
      const { length } = JSON.parse(body).text[0]
      spent.running += length
      spent.most = Math.max(spent.most, spent.running)
      await new Promise((resolve) => setTimeout(resolve, 5))
      // Half of it is given back.
      spent.running -= length - Math.floor(length / 2)
      return answers(Math.floor(length / 2))()
    }
    await Promise.all(
      Array.from({ length: 200 }, (_, i) => translate(`u${i % 7}@acme`, 'x'.repeat(1 + (i % 9)))),
    )
    const { 'deepl:organisation:acme:day': acme } = await counters()
    expect(acme?.units).toBe(spent.running)
    expect(spent.most).toBeLessThanOrEqual(100)
    expect(spent.most).toBeGreaterThan(50)
  })
})

describe('when the database fails', () => {
  const failing = (fails: (sql: string[]) => boolean | 'after') =>
    makeBase({ db: (e) => faulty(e.DB as never, fails) })

  it.each([true, 'after'] as const)('before the call (%s): nothing is called', async (how) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    make(
      {},
      failing(([sql]) => (sql?.includes('INSERT') ? how : false)),
    )
    const { status, json, text, headers } = await translate()
    expect([status, json.code]).toEqual([503, 'service_unavailable'])
    expect(headers.get('retry-after')).toBe('5')
    expect(text).not.toContain('D1')
    expect(log.mock.calls.flat().map(String).join()).toContain(d1Error)
    expect(upstream.seen).toEqual([])
    log.mockRestore()
  })

  it('after it: the answer is given, and all that was reserved stays used', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const base = failing(([sql]) => sql?.startsWith('UPDATE') ?? false)
    make({ ...metered, quota: { user: { units: { day: 10 } } } }, base)
    upstream.answer = answers(1)
    expect((await translate()).status).toBe(200)
    expect((await counters())['deepl:user:ada:day']?.units).toBe(5)
    expect(log.mock.calls.flat().map(String).join()).toContain(d1Error)
    log.mockRestore()
  })
})

describe('what a call costs', () => {
  const costOf = async (options: Partial<ServiceOptions<Env>>) => {
    const base = makeBase()
    make(options, base)
    const { cost } = await translate()
    return cost
  }

  it('is one trip where its use is known before', async () => {
    const quota = { user: { requests: { minute: 5 } } }
    // A row and its entry in the index of ends.
    expect(await costOf({ quota })).toMatchObject({ trips: 1, statements: 1, rowsWritten: 2 })
  })

  it('is two where it is known after', async () => {
    upstream.answer = answers(1)
    const quota = { user: { units: { day: 100 } }, app: { money: { month: 100 } } }
    expect(await costOf({ ...metered, quota })).toMatchObject({ trips: 2, statements: 2 })
  })

  it('is two where it is refused', async () => {
    const quota = { user: { requests: { minute: 0 } } }
    expect(await costOf({ quota })).toMatchObject({ trips: 2, rowsWritten: 0 })
  })

  it('is none where nothing is counted', async () => {
    expect(await costOf({ quota: 'unsafeUnlimited' })).toMatchObject({ trips: 0 })
  })

  it('reads and writes the same however large the table is', async () => {
    upstream.answer = answers(1)
    const quota = { user: { units: { day: 100 } }, app: { money: { month: 100 } } }
    const wanted = { trips: 2, statements: 2, rowsRead: 22, rowsWritten: 6 }
    await costOf({ ...metered, quota })
    expect(await costOf({ ...metered, quota })).toEqual(wanted)
    await env.DB.prepare(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
       INSERT INTO leanto_services_usage (key, start, ends, requests, units, micros)
       SELECT 'deepl:user:v' || i || ':day', 0, 0, 1, 1, 1 FROM n`,
    ).run()
    expect(await costOf({ ...metered, quota })).toEqual(wanted)
  })
})
