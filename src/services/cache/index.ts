import type { Cache, Calling, Landing } from '../call.ts'
import { timeoutOf } from '../upstream.ts'
import { makeFlights } from './flights.ts'
import { cacheKey, fromCache, isFresh, isUsable, keep, lookUp, type Stored } from './kept.ts'

/** Answers with status 200 and up to 1 MiB are kept in KV by what was asked: method, path, query, body, passed headers. */
export interface CachedOptions {
  /** How long an answer is fresh. KV keeps nothing for less than 60. */
  seconds: number
  /** How long after that it may still stand in when the service fails. Needs `fallback: 'stale'`. @default 86_400 */
  stale?: number
  /** `shared`: one user's answer is given to all. */
  per: 'shared' | 'user'
}

export type Rule = Required<CachedOptions>

/**
 * Keeps the answers of a service: `service({ …, cache: cached({ seconds: 3600, per: 'shared' }) })`. Calls for the same
 * thing at the same time, in one isolate, are one call.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function cached({ seconds, per, stale = 24 * 60 * 60 }: CachedOptions): Cache {
  if (per !== 'shared' && per !== 'user')
    throw new TypeError("cached: `per` must say whose an answer is: 'shared' or 'user'")
  if (!(seconds >= 60))
    throw new TypeError('cached: `seconds` must be 60 or more: KV keeps nothing for less')
  const rule: Rule = { seconds, per, stale }
  const flights = makeFlights()
  return Object.freeze<Cache>({
    async through(calling, ways) {
      const { scope, service, caller } = calling
      const key = await keyOf(calling, per === 'user' ? caller.user : null)
      const kept = await lookUp(scope, key)
      const timeout = timeoutOf(service)
      const found =
        kept && isFresh(scope, kept, rule) ? kept : await flights.join(scope, key, timeout)
      if (found) return ways.serve(fromCache(scope, found, { rule }))
      const arrive = flights.depart(scope, key, timeout)
      try {
        return await ways.fetch(landing(calling, { rule, key, kept, arrive }))
      } catch (error) {
        arrive(null)
        throw error
      }
    },
  })
}

/** Not by the address alone: whatever is sent on may change the answer. */
const keyOf = <Env>({ name, incoming }: Calling<Env>, user: string | null): Promise<string> =>
  cacheKey(name, [
    user,
    incoming.method,
    incoming.path,
    Object.entries(incoming.query).sort(),
    incoming.body ?? null,
    [...incoming.headers].sort(),
  ])

interface Flown {
  rule: Rule
  key: string
  /** An answer that is not fresh any more. */
  kept: Stored | null
  arrive: (stored: Stored | null) => void
}

const landing = <Env>(
  { scope, service }: Calling<Env>,
  { rule, key, kept, arrive }: Flown,
): Landing => ({
  status: `leanto; fwd=${kept ? 'stale' : 'miss'}`,
  land(answer) {
    if (!answer || forbidsStoring(answer.upstream, rule.per)) return arrive(null)
    const { status, headers, body } = answer
    const stored = { status, headers, body, at: scope.now() }
    arrive(stored)
    const seconds = rule.seconds + (service.fallback === 'stale' ? rule.stale : 0)
    scope.waitUntil(keep(scope, key, stored, seconds))
  },
  stale(because) {
    if (!kept || !isUsable(scope, kept, rule)) throw because
    return fromCache(scope, kept, { rule, because })
  },
})

const forbidsStoring = (headers: Headers, per: Rule['per']): boolean =>
  (per === 'shared' ? /no-store|private/i : /no-store/i).test(headers.get('cache-control') ?? '')
