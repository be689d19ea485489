import type { Queryable, Statement } from './database.ts'
import { coreFaults, type Fault } from './fault.ts'

/** A budget: at most `max` events in each window of `seconds`. */
export interface Limit {
  max: number
  seconds: number
}

/**
 * The statement that spends one event of a budget and tells how many are spent: one row, `{ spent }`. It goes
 * into the batch of the work that it guards, so that parallel calls never exceed the budget and a batch that
 * fails spends nothing.
 *
 * @param key What the budget belongs to; by `limitKey`, never by a value that the client can rotate.
 * @param now Unix time in milliseconds.
 * @param after Budgets that the same batch has spent before. Past one of them this one stays as it is, and answers no row:
 * what one network is refused takes nothing from what others share. @default none
 */
export function spend(
  db: Queryable,
  key: string,
  limit: Limit,
  now: number,
  after: readonly { readonly key: string; readonly limit: Limit }[] = [],
): Statement {
  const window = Math.floor(now / 1000 / limit.seconds)
  const within = after.map(() => '(SELECT spent FROM leanto_core_limits WHERE key = ?) <= ?')
  // Without any it is `VALUES`, which costs fewer rows.
  const values = within[0]
    ? `SELECT ?, ?, 1, ? WHERE ${within.join(' AND ')}`
    : 'VALUES (?, ?, 1, ?)'
  return db
    .prepare(
      `INSERT INTO leanto_core_limits (key, period, spent, expires_at) ${values}
       ON CONFLICT (key) DO UPDATE SET
         spent = CASE WHEN period = excluded.period THEN spent + 1 ELSE 1 END,
         period = excluded.period, expires_at = excluded.expires_at
       RETURNING spent`,
    )
    .bind(
      key,
      window,
      (window + 1) * limit.seconds,
      ...after.flatMap((one) => [one.key, one.limit.max]),
    )
}

/** Gives one event back: the attempt turned out to be honest. */
export const refund = (db: Queryable, key: string): Statement =>
  db
    .prepare('UPDATE leanto_core_limits SET spent = spent - 1 WHERE key = ? AND spent > 0')
    .bind(key)

/** Deletes budgets whose window has passed, 10,000 at most: whoever guesses makes as many as they like. For cron. */
export const purgeLimits = (db: Queryable, now: number): Statement =>
  db
    .prepare(
      `DELETE FROM leanto_core_limits WHERE key IN (
         SELECT key FROM leanto_core_limits WHERE expires_at <= ? LIMIT 10000)`,
    )
    .bind(Math.floor(now / 1000))

/** @returns The fault if a spent budget was exceeded, with `retry-after` in seconds. */
export function exceeded(spent: unknown, limit: Limit, now: number): Fault | undefined {
  if (typeof spent === 'number' && spent <= limit.max) return undefined
  const wait = limit.seconds - (Math.floor(now / 1000) % limit.seconds)
  return coreFaults.rate_limited({ headers: { 'retry-after': String(wait) } })
}

/**
 * The network that a request came from, as a budget's key: `CF-Connecting-IP`, which Cloudflare sets and a client
 * cannot. IPv6 counts by its /64, which one customer owns whole; v4-mapped addresses count as IPv4.
 *
 * @returns `null` if there is no such header, as in a service binding's call.
 */
export function networkOf(request: Pick<Request, 'headers'>): string | null {
  const address = request.headers.get('cf-connecting-ip')
  if (!address?.includes(':')) return address || null
  // As `URL` writes it: hexadecimal, in lower case, the longest run of zeros as `::`.
  const name = URL.parse(`http://[${address.split('%')[0]}]`)?.hostname.slice(1, -1)
  if (!name) return address
  const [left = [], right = []] = name.split('::').map((half) => (half ? half.split(':') : []))
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  // ::ffff:0:0/96 (RFC 4291, 2.5.5.2).
  if (groups.slice(0, 6).join() === '0,0,0,0,0,ffff')
    return groups
      .slice(6)
      .map((group) => Number.parseInt(group, 16))
      .flatMap((group) => [group >> 8, group & 255])
      .join('.')
  return `${groups.slice(0, 4).join(':')}::/64`
}
