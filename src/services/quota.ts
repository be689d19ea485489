import type { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import type { Budget, Price, Quota, Quotas } from './definition.ts'
import { servicesFaults } from './faults.ts'
import { type Period, periods, windowOf } from './window.ts'

/*
 * Counting. What a call may use at most is reserved by one statement before it, in every counter or in none; what it
 * did not use is given back after it. A call that dies in between has used all that it reserved.
 */

/** What is counted: a service, or `translate`. */
export interface Metered {
  /** `*`: all services together. */
  readonly name: string
  readonly unit?: string
  readonly price?: Price
  readonly quota?: Quotas | 'unsafeUnlimited'
  readonly budget?: Budget
}

/** Who is counted. */
export interface Subjects {
  /** `null` for the secret API key. */
  readonly user: string | null
  readonly organisation: string | null
}

export type Whose = 'user' | 'organisation' | 'app'

/** One counter, and what it may reach; `null` where that is not limited. Money in millionths. */
export interface Counter {
  readonly key: string
  readonly of: Metered
  readonly whose: Whose
  readonly period: Period
  readonly start: number
  readonly ends: number
  readonly requests: number | null
  readonly units: number | null
  readonly micros: number | null
  /** Set if `micros` is the budget's cap. */
  readonly budget?: Budget
}

/** A counter's row. */
export interface Count {
  key: string
  start: number
  ends: number
  requests: number
  units: number
  micros: number
  alerted: number
}

export interface Use {
  units: number
  micros: number
}

export interface Reservation extends Use {
  readonly counters: readonly Counter[]
  readonly counts: readonly Count[]
}

export const nothing: Use = Object.freeze({ units: 0, micros: 0 })

const million = 1_000_000

// Rounded up to a millionth, but for what binary fractions add: 0.1 + 0.2 costs 300,000 and not 300,001.
const microsOf = (money: number): number => Math.ceil(Number((money * million).toFixed(3)))
export const moneyOf = (micros: number): number => micros / million

export const costOf = (price: Price | undefined, units: number): Use => ({
  units,
  micros: microsOf((price?.request ?? 0) + units * (price?.unit ?? 0)),
})

/** Every counter that a call of these people touches, in one fixed order. */
export function countersOf(of: Metered, all: Metered, who: Subjects, now: number): Counter[] {
  const counters: Counter[] = []
  const add = (metered: Metered, whose: Whose, subject: string, quota: Quota, budget?: Budget) => {
    for (const period of periods) {
      const capped = budget && (budget.per ?? 'month') === period ? budget : undefined
      const { requests, units } = {
        requests: quota.requests?.[period] ?? null,
        units: quota.units?.[period] ?? null,
      }
      const money = quota.money?.[period]
      const caps = [money, capped?.money].filter((cap) => cap !== undefined).map(microsOf)
      const micros = caps.length > 0 ? Math.min(...caps) : null
      if (requests === null && units === null && micros === null) continue
      // A subject may hold a colon; what stands before and after it never does.
      const key = `${metered.name}:${whose}:${subject}:${period}`
      const window = windowOf(period, now)
      const row = { key, of: metered, whose, period, ...window, requests, units, micros }
      counters.push(capped ? { ...row, budget: capped } : row)
    }
  }
  const quota = of.quota === 'unsafeUnlimited' ? {} : (of.quota ?? {})
  if (quota.user && who.user !== null) add(of, 'user', who.user, quota.user)
  if (quota.organisation && who.organisation !== null)
    add(of, 'organisation', who.organisation, quota.organisation)
  add(of, 'app', '', quota.app ?? {}, of.budget)
  if (all.budget) add(all, 'app', '', {}, all.budget)
  return counters
}

/*
 * The guard is part of the insertion: D1 runs one statement at a time, so nobody gets between them. A clock that is
 * behind counts in the newer window and does not begin the older one anew.
 */
const reserveSql = `
  INSERT INTO leanto_services_usage AS u (key, start, ends, requests, units, micros)
  SELECT c.value ->> 0, c.value ->> 1, c.value ->> 2, 1, ?2, ?3 FROM json_each(?1) c
  WHERE NOT EXISTS (
    SELECT 1 FROM json_each(?1) l
    LEFT JOIN leanto_services_usage x ON x.key = l.value ->> 0 AND x.start >= l.value ->> 1
    WHERE coalesce(x.requests, 0) + 1 > l.value ->> 3
       OR (?2 > 0 AND coalesce(x.units, 0) + ?2 > l.value ->> 4)
       OR (?3 > 0 AND coalesce(x.micros, 0) + ?3 > l.value ->> 5))
  ON CONFLICT (key) DO UPDATE SET
    requests = excluded.requests + CASE WHEN u.start >= excluded.start THEN u.requests ELSE 0 END,
    units = excluded.units + CASE WHEN u.start >= excluded.start THEN u.units ELSE 0 END,
    micros = excluded.micros + CASE WHEN u.start >= excluded.start THEN u.micros ELSE 0 END,
    alerted = CASE WHEN u.start >= excluded.start THEN u.alerted ELSE 0 END,
    start = max(u.start, excluded.start), ends = max(u.ends, excluded.ends)
  RETURNING key, start, ends, requests, units, micros, alerted`

/**
 * Reserves a request, and what it may use, in every counter at once. One trip; two if it is refused; none if nothing is
 * counted.
 *
 * @returns The reservation, or the counters that are full.
 * @throws {Fault} `service_unavailable` (503) if the database cannot be had: what is not counted is not called.
 */
export async function reserve(
  scope: Scope,
  counters: readonly Counter[],
  use: Use,
): Promise<Reservation | { full: Full[] }> {
  if (counters.length === 0) return { ...use, counters, counts: [] }
  try {
    const lines = counters.map((c) => [c.key, c.start, c.ends, c.requests, c.units, c.micros])
    const { results } = await scope.db
      .prepare(reserveSql)
      .bind(JSON.stringify(lines), use.units, use.micros)
      .all<Count>()
    if (results.length > 0) return { ...use, counters, counts: results }
    return { full: fullOf(counters, await read(scope, counters), use) }
  } catch (cause) {
    throw uncounted(cause)
  }
}

const uncounted = (cause: unknown): Fault =>
  servicesFaults.service_unavailable({ cause, headers: { 'retry-after': '5' } })

/** What stands in counters now; one that has not begun is absent. One trip. */
export async function read(scope: Scope, counters: readonly Counter[]): Promise<Count[]> {
  if (counters.length === 0) return []
  const { results } = await scope.db
    .prepare(
      `SELECT u.* FROM json_each(?1) c JOIN leanto_services_usage u
       ON u.key = c.value ->> 0 AND u.start >= c.value ->> 1`,
    )
    .bind(JSON.stringify(counters.map(({ key, start }) => [key, start])))
    .all<Count>()
  return results
}

/**
 * Gives back what was reserved and not used, or adds what was used beyond it. One trip; none if there is no difference.
 *
 * @returns What stands in the counters then.
 */
export async function settle(
  scope: Scope,
  { counters, counts, ...reserved }: Reservation,
  used: Use,
): Promise<readonly Count[]> {
  const [units, micros] = [used.units - reserved.units, used.micros - reserved.micros]
  if (counters.length === 0 || (units === 0 && micros === 0)) return counts
  // Only in the window in which it was reserved.
  const { results } = await scope.db
    .prepare(
      `UPDATE leanto_services_usage SET units = max(0, units + ?2), micros = max(0, micros + ?3)
       WHERE (key, start) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))
       RETURNING key, start, ends, requests, units, micros, alerted`,
    )
    .bind(JSON.stringify(counts.map(({ key, start }) => [key, start])), units, micros)
    .all<Count>()
  return results
}

/** A counter that has no room for a call. */
export interface Full {
  counter: Counter
  amount: 'requests' | 'units' | 'micros'
  alerted: number
}

function fullOf(counters: readonly Counter[], counts: readonly Count[], use: Use): Full[] {
  const wanted = { requests: 1, ...use }
  return counters.flatMap((counter) => {
    const count = counts.find(({ key }) => key === counter.key)
    return (['requests', 'units', 'micros'] as const)
      .filter((amount) => wanted[amount] > 0)
      .filter((amount) => (count?.[amount] ?? 0) + wanted[amount] > (counter[amount] ?? Infinity))
      .map((amount) => ({ counter, amount, alerted: count?.alerted ?? 0 }))
  })
}

/** The fault of a call that was refused: when to come back is when the last of the full counters begins anew. */
export function refusal(full: readonly Full[], now: number): Fault {
  const wait = (ends: number) => Math.max(1, ends - Math.floor(now / 1000))
  const seconds = Math.max(1, ...full.map(({ counter }) => wait(counter.ends)))
  const headers: Record<string, string> = { 'retry-after': String(seconds) }
  const [budget] = full.filter(({ counter, amount }) => counter.budget && amount === 'micros')
  if (budget) return servicesFaults.budget_exhausted({ headers })
  const [first] = full
  // What all callers use together is nobody's to know.
  if (!first || first.counter.whose === 'app') return servicesFaults.quota_exceeded({ headers })
  const { counter, amount } = first
  const limit = counter[amount] as number
  headers['x-ratelimit-limit'] = String(amount === 'micros' ? moneyOf(limit) : limit)
  headers['x-ratelimit-remaining'] = '0'
  headers['x-ratelimit-reset'] = String(counter.ends)
  return servicesFaults.quota_exceeded({
    headers,
    details: {
      whose: counter.whose,
      amount: amount === 'micros' ? 'money' : amount,
      period: counter.period,
      limit: amount === 'micros' ? moneyOf(limit) : limit,
      resets_at: new Date(counter.ends * 1000).toISOString(),
    },
  })
}

/**
 * `X-RateLimit-Limit`, `-Remaining` and `-Reset` (Unix time in seconds) of the caller's counter with the least left, by
 * requests where any counts them, else by units. Nothing of what all callers use together.
 */
export function rateHeaders({ counters, counts }: Reservation): Record<string, string> {
  const left = (amount: 'requests' | 'units') =>
    counters
      .filter((counter) => counter.whose !== 'app' && counter[amount] !== null)
      .map((counter) => {
        const limit = counter[amount] as number
        const count = counts.find(({ key }) => key === counter.key)
        return { limit, left: Math.max(0, limit - (count?.[amount] ?? 0)), ends: counter.ends }
      })
      .sort((a, b) => a.left / (a.limit || 1) - b.left / (b.limit || 1))
  const tightest = left('requests')[0] ?? left('units')[0]
  if (!tightest) return {}
  return {
    'x-ratelimit-limit': String(tightest.limit),
    'x-ratelimit-remaining': String(tightest.left),
    'x-ratelimit-reset': String(tightest.ends),
  }
}

/** Deletes counters whose window is over, 10,000 at most. For cron. */
export const purge = (scope: Scope) =>
  scope.db
    .prepare(
      `DELETE FROM leanto_services_usage WHERE key IN (
         SELECT key FROM leanto_services_usage WHERE ends <= ? LIMIT 10000)`,
    )
    .bind(Math.floor(scope.now() / 1000))
    .run()
