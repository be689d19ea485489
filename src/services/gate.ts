import { coreFaults } from '../core/fault.ts'
import { networkOf } from '../core/limit.ts'
import type { Identity, Principal } from '../core/ports.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import type { Breakers } from './breaker.ts'
import type { Alerts, Service } from './definition.ts'
import { servicesFaults } from './faults.ts'
import {
  type Counter,
  countersOf,
  type Metered,
  type Reservation,
  refusal,
  reserve,
  type Subjects,
  settle,
  type Use,
} from './quota.ts'

/** What all calls of one module go through. */
export interface Gate<Env> {
  readonly identity: Identity
  readonly services: Readonly<Record<string, Service<Env>>>
  /** The budget of all services together. */
  readonly all: Metered
  readonly organisation: (who: Principal) => string | null | undefined
  readonly breakers: Breakers
  /** Every service and part that counts. */
  readonly counted: readonly Counted[]
}

export interface Counted {
  readonly metered: Metered
  readonly access: Access
}

/** Who calls, and whose counters that touches. */
export interface Caller extends Subjects {
  readonly who: Principal
}

export type Access = ((who: Principal) => boolean) | undefined

export const mayUse = (access: Access, who: Principal): boolean =>
  access ? access(who) : who.role !== 'anon'

/** @throws {Fault} 401, or 403 for who is signed in. */
export function demandAccess(access: Access, who: Principal) {
  if (mayUse(access, who)) return
  throw who.role === 'anon' ? coreFaults.unauthenticated() : servicesFaults.forbidden()
}

/** The app itself. */
export const host: Principal = Object.freeze({
  id: null as unknown as string,
  role: 'service',
  claims: Object.freeze({}),
})

/** @param network The address of who is not signed in, who would otherwise all share one quota. */
export function callerOf<Env>(gate: Gate<Env>, who: Principal, network: string | null): Caller {
  if (who.role === 'service') return { who, user: null, organisation: null }
  // No id of a user begins like this: it would be a guest's.
  const user = who.role === 'anon' ? `guest ${network ?? ''}` : who.id
  return { who, user, organisation: gate.organisation(who) ?? null }
}

/**
 * Whether another site has a browser ask by the user's cookies, which a link to a GET can. Here a GET costs money too.
 */
const isForeign = ({ headers }: Request): boolean =>
  headers.has('cookie') &&
  !headers.has('authorization') &&
  !headers.has('apikey') &&
  /^(?:cross|same)-site$/.test(headers.get('sec-fetch-site') ?? '')

/** @throws {Fault} 401, as `identity` says; `forbidden` (403) for another site's doing. */
export async function askedBy<Env>(gate: Gate<Env>, scope: Scope, request: Request) {
  if (isForeign(request))
    throw servicesFaults.forbidden({ message: 'Not by a link or page of another site' })
  return callerOf(gate, await gate.identity.principal(scope, request), networkOf(request))
}

/** @throws {Fault} `quota_exceeded` (429), `budget_exhausted` (503). */
export async function spendUse<Env>(
  gate: Gate<Env>,
  scope: Scope,
  { metered, caller, use }: { metered: Metered; caller: Caller; use: Use },
): Promise<Reservation> {
  const counters = countersOf(metered, gate.all, caller, scope.now())
  const reserved = await reserve(scope, counters, use)
  if (!('full' in reserved)) return reserved
  const alert = async () => {
    // Refused is 100 percent, whatever is left.
    for (const { counter, amount, alerted } of reserved.full)
      if (amount === 'micros')
        await tell(scope, counter, { start: counter.start, micros: Infinity, alerted })
  }
  scope.waitUntil(alert())
  throw refusal(reserved.full, scope.now())
}

/** Once it is known what a call used; in the background. */
export function settleUse(scope: Scope, reservation: Reservation, used: Use) {
  const work = async () => {
    for (const count of await settle(scope, reservation, used)) {
      const counter = reservation.counters.find(({ key }) => key === count.key)
      if (counter) await tell(scope, counter, count)
    }
  }
  scope.waitUntil(work())
}

const tell = (scope: Scope, counter: Counter, count: Parameters<Alerts['tell']>[2]) =>
  counter.budget?.alerts?.tell(scope, counter, count)

/** What a host adds to the module: `translate(…)` of `leanto/services/translate`, `usage()` of `leanto/services/usage`. */
export interface Part {
  /** Its path under the mount. */
  readonly name: string
  /** What it counts, if it does. */
  readonly metered?: Metered
  readonly access?: Access
  routes<Env>(gate: Gate<Env>): readonly Route[]
}
