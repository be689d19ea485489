import type { Scope } from '../../core/scope.ts'
import type { Stored } from './kept.ts'

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
