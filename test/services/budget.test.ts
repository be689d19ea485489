import type { ServiceOptions } from 'leanto/services'
import { alerts, type BudgetReached } from 'leanto/services/alerts'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { clock, type Env, freshDatabase, makeBase } from '../kit/world.ts'
import { client, counters, deepl, gateway, hello, Upstream } from './world.ts'

let upstream: Upstream
let ask: ReturnType<typeof client>
let told: BudgetReached[]
let log: ReturnType<typeof vi.spyOn>

const telling = alerts((_scope, event) => void told.push(event))

const make = (
  options: Partial<ServiceOptions<Env>> = {},
  more: Parameters<typeof gateway>[1] = {},
) => {
  const one = deepl(upstream, {
    price: { request: 1 },
    budget: { money: 10, alerts: telling },
    ...options,
  })
  const base = makeBase()
  const module = gateway({ deepl: one, libre: one }, more, base)
  ask = client(module, base)
  return module
}

beforeEach(async () => {
  clock.time = Date.parse('2026-06-01T12:00:00Z')
  upstream = new Upstream()
  told = []
  log = vi.spyOn(console, 'error').mockImplementation(() => {})
  await freshDatabase([make()])
})
afterEach(() => log.mockRestore())

const translate = (service = 'deepl', token = 'ada') =>
  ask(`/${service}/v2/translate`, { body: hello, token })

const times = async (count: number, service = 'deepl') => {
  const statuses = []
  for (let i = 0; i < count; i++) statuses.push((await translate(service, `u${i}`)).status)
  return statuses
}

describe('a budget', () => {
  it('is a cap that nobody passes, the secret API key neither', async () => {
    make()
    expect(await times(10)).toEqual(Array(10).fill(200))
    const refused = await translate()
    expect([refused.status, refused.json.code]).toEqual([503, 'budget_exhausted'])
    expect(refused.headers.get('retry-after')).toBe(String(29.5 * 24 * 3600))
    // What the app spends is nobody's to know.
    expect(refused.json.details).toBeUndefined()
    expect(refused.headers.get('x-ratelimit-limit')).toBeNull()
    const service = await ask('/deepl/v2/translate', { body: hello, key: 'secret' })
    expect(service.json.code).toBe('budget_exhausted')
    expect(upstream.seen).toHaveLength(10)
  })

  it('tells the host at 50, 80 and 100 percent, each once a window', async () => {
    make()
    await times(4)
    expect(told).toEqual([])
    await times(1)
    const event = { service: 'deepl', budget: 10 }
    expect(told).toEqual([{ ...event, percent: 50, spent: 5 }])
    await times(2)
    expect(told).toHaveLength(1)
    await times(8)
    expect(told.slice(1)).toEqual([
      { ...event, percent: 80, spent: 8 },
      { ...event, percent: 100, spent: 10 },
    ])
    clock.advance(31 * 24 * 3600)
    await times(5)
    expect(told.slice(3)).toEqual([{ ...event, percent: 50, spent: 5 }])
  })

  it('tells each mark once though 100 calls pass it together', async () => {
    make({ budget: { money: 100, alerts: telling } })
    await Promise.all(Array.from({ length: 150 }, (_, i) => translate('deepl', `u${i}`)))
    const percents = told.map(({ percent }) => percent)
    expect(new Set(percents).size).toBe(percents.length)
    expect(percents).toContain(100)
    expect((await counters())['deepl:app::month']?.micros).toBe(100_000_000)
  })

  it('goes by what was spent, not by what was reserved', async () => {
    make({
      price: { unit: 1 },
      meter: { unit: 'characters', most: () => 9, used: () => 1 },
    })
    await times(1)
    expect(told).toEqual([])
  })

  it('is told at 100 percent when a call is refused because of it, whatever is left', async () => {
    make({ price: { request: 4 } })
    expect(await times(3)).toEqual([200, 200, 503])
    expect(told.map(({ percent, spent }) => [percent, spent])).toEqual([
      [80, 8],
      [100, 8],
    ])
    await times(2)
    expect(told).toHaveLength(2)
  })

  it('is told again if the host’s hook threw', async () => {
    let fails = true
    const once = (_scope: unknown, event: BudgetReached) => {
      if (fails) throw new Error('no mail today')
      told.push(event)
    }
    make({ budget: { money: 10, alerts: alerts(once) } })
    await times(5)
    expect(log.mock.calls.flat().map(String).join()).toContain('no mail today')
    fails = false
    await times(1)
    expect(told.map(({ percent }) => percent)).toEqual([50])
  })

  it('may be one of the day', async () => {
    make({ budget: { money: 2, per: 'day' } })
    expect(await times(3)).toEqual([200, 200, 503])
    clock.advance(12 * 3600)
    expect(await times(1)).toEqual([200])
  })

  it('may be one of all services together', async () => {
    make({}, { budget: { money: 5, alerts: telling } })
    expect(await times(3, 'deepl')).toEqual([200, 200, 200])
    expect(await times(3, 'libre')).toEqual([200, 200, 503])
    expect(told.filter(({ service }) => service === null).map(({ percent }) => percent)).toEqual([
      50, 80, 100,
    ])
    expect((await translate()).json.code).toBe('budget_exhausted')
  })

  it('costs no trip but at a mark', async () => {
    make()
    expect((await translate()).cost.trips).toBe(1)
    await times(3)
    expect((await translate()).cost.trips).toBe(2)
    expect((await translate()).cost.trips).toBe(1)
  })
})

describe('GET /usage', () => {
  const quota = {
    user: { requests: { minute: 5, day: 20 }, money: { month: 7 } },
    organisation: { requests: { month: 100 } },
    app: { requests: { day: 1000 } },
  }

  it('tells a user what they have and their organisation has, and no more', async () => {
    make({ quota })
    await translate('deepl', 'ada@acme')
    await translate('deepl', 'bob@acme')
    const { status, json, cost } = await ask('/usage', { token: 'ada@acme' })
    expect(status).toBe(200)
    expect(cost.trips).toBe(1)
    expect(Object.keys(json)).toEqual(['services'])
    expect(json.services.deepl).toEqual({
      limits: [
        {
          whose: 'user',
          period: 'minute',
          resets_at: '2026-06-01T12:01:00.000Z',
          requests: { limit: 5, used: 1, left: 4 },
        },
        {
          whose: 'user',
          period: 'day',
          resets_at: '2026-06-02T00:00:00.000Z',
          requests: { limit: 20, used: 1, left: 19 },
        },
        {
          whose: 'user',
          period: 'month',
          resets_at: '2026-07-01T00:00:00.000Z',
          money: { limit: 7, used: 1, left: 6 },
        },
        {
          whose: 'organisation',
          period: 'month',
          resets_at: '2026-07-01T00:00:00.000Z',
          requests: { limit: 100, used: 2, left: 98 },
        },
      ],
    })
    expect(json.services.libre.limits[0].requests).toEqual({ limit: 5, used: 0, left: 5 })
  })

  it('tells the secret API key what all use together, and the budgets', async () => {
    make({ quota }, { budget: { money: 50 } })
    await translate('deepl', 'ada@acme')
    const { json } = await ask('/usage', { key: 'secret' })
    expect(json.services.deepl.limits.map((line: { whose: string }) => line.whose)).toEqual([
      'app',
      'app',
    ])
    expect(json.services.deepl.limits[1].money).toEqual({ limit: 10, used: 1, left: 9 })
    expect(json.budget.money).toEqual({ limit: 50, used: 1, left: 49 })
  })

  it('tells a window that is over as not begun', async () => {
    make({ quota })
    await translate()
    clock.advance(60)
    const { json } = await ask('/usage', { token: 'ada' })
    expect(json.services.deepl.limits[0].requests.used).toBe(0)
    expect(json.services.deepl.limits[1].requests.used).toBe(1)
  })

  it('tells only of services that the caller may use; guests of none', async () => {
    make({ quota, access: ({ id }) => id === 'ada' })
    expect((await ask('/usage', { token: 'bob' })).json).toEqual({ services: {} })
    expect((await ask('/usage')).status).toBe(401)
  })
})
