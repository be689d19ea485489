import type { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { hash } from '../core/secret.ts'
import type { Cache } from './definition.ts'

/** An answer as it is kept. Texts only: what another request has read may be shared, its streams may not. */
export interface Stored {
  status: number
  headers: [string, string][]
  body: string
  /** Unix time in milliseconds. */
  at: number
}

/** The most that is kept of one answer, in bytes. */
export const storedBytes = 1024 * 1024

/** The key is a hash of all that may change the answer. No text of a client is in it (KV-key escapes). */
export const cacheKey = async (service: string, parts: readonly unknown[]): Promise<string> =>
  `leanto:services:${service}:${await hash(JSON.stringify(parts))}`

export async function lookUp(scope: Scope, key: string): Promise<Stored | null> {
  try {
    const text = await scope.kv.get(key)
    return text === null ? null : (JSON.parse(text) as Stored)
  } catch (error) {
    console.error('leanto: services: the cache cannot be read', error)
    return null
  }
}

export async function keep(scope: Scope, key: string, stored: Stored, cache: Cache, stale: number) {
  const expirationTtl = Math.max(60, cache.seconds + stale)
  await scope.kv.put(key, JSON.stringify(stored), { expirationTtl })
}

const ageOf = (scope: Scope, { at }: Stored): number => Math.floor((scope.now() - at) / 1000)

export const isFresh = (scope: Scope, stored: Stored, { seconds }: Cache): boolean =>
  ageOf(scope, stored) < seconds

/** Whether it may stand in for a service that fails. */
export const isUsable = (scope: Scope, stored: Stored, { seconds, stale = defaultStale }: Cache) =>
  ageOf(scope, stored) < seconds + stale

/** In seconds. */
export const defaultStale = 24 * 60 * 60

/** A kept answer, with its age and `Cache-Status` (RFC 9211). */
export function fromCache(
  scope: Scope,
  stored: Stored,
  { cache, because }: { cache: Cache; because?: Fault },
): Response {
  const headers = new Headers(stored.headers)
  const age = ageOf(scope, stored)
  headers.set('age', String(age))
  const why = because ? `; detail=${because.code}` : ''
  headers.set('cache-status', `leanto; hit; ttl=${cache.seconds - age}${why}`)
  return new Response(stored.body, { status: stored.status, headers })
}

export interface Flights {
  /** The answer that someone is already waiting for; `null` if nobody is, or nothing came of it. */
  join(scope: Scope, key: string, milliseconds: number): Promise<Stored | null>
  /** @returns What ends it. */
  depart(scope: Scope, key: string, milliseconds: number): (stored: Stored | null) => void
}

/**
 * Requests for the same thing at the same time, in this isolate: one goes out, the others wait for what it brings. One
 * set a database, as tenants have other keys.
 */
export function makeFlights(): Flights {
  const all = new WeakMap<object, Map<string, { until: number; landed: Promise<Stored | null> }>>()
  const of = (scope: Scope) => {
    let flights = all.get(scope.database)
    if (!flights) all.set(scope.database, (flights = new Map()))
    return flights
  }
  return {
    async join(scope, key, milliseconds) {
      const flight = of(scope).get(key)
      // The request that went out may have been cancelled: then nothing ever lands.
      if (!flight || flight.until < scope.now()) return null
      let timer: ReturnType<typeof setTimeout> | undefined
      const late = new Promise<null>((resolve) => {
        timer = setTimeout(resolve, milliseconds, null)
      })
      const stored = await Promise.race([flight.landed, late])
      clearTimeout(timer)
      return stored
    },
    depart(scope, key, milliseconds) {
      const flights = of(scope)
      const { promise, resolve } = Promise.withResolvers<Stored | null>()
      const flight = { until: scope.now() + milliseconds, landed: promise }
      flights.set(key, flight)
      return (stored) => {
        if (flights.get(key) === flight) flights.delete(key)
        resolve(stored)
      }
    },
  }
}
