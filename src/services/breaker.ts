import type { Scope } from '../core/scope.ts'

interface Breaker {
  failures: number
  /** Unix time in milliseconds. */
  openUntil: number
}

export interface Breakers {
  /** @returns For how many seconds the service is closed; 0 if it may be asked. */
  closedFor(scope: Scope, service: string): number
  worked(scope: Scope, service: string): void
  failed(scope: Scope, service: string, rule: { failures: number; seconds: number }): void
}

/**
 * Circuit breakers, in this isolate's memory: what they save is the wait for a service that is down, and one that is
 * asked once more by each isolate is no harm. One a database, so that tenants do not close each other's services.
 */
export function makeBreakers(): Breakers {
  const all = new WeakMap<object, Map<string, Breaker>>()
  const of = (scope: Scope): Map<string, Breaker> => {
    let breakers = all.get(scope.database)
    if (!breakers) all.set(scope.database, (breakers = new Map()))
    return breakers
  }
  return {
    closedFor: (scope, service) =>
      Math.max(0, Math.ceil(((of(scope).get(service)?.openUntil ?? 0) - scope.now()) / 1000)),
    worked: (scope, service) => void of(scope).delete(service),
    failed(scope, service, { failures: most, seconds }) {
      const failures = (of(scope).get(service)?.failures ?? 0) + 1
      // Once it was closed, one failure more closes it again.
      const openUntil = failures >= most ? scope.now() + seconds * 1000 : 0
      of(scope).set(service, { failures, openUntil })
    },
  }
}
