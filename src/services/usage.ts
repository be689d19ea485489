import { coreFaults } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { type Access, type Caller, type Gate, mayUse } from './gate.ts'
import { type Count, type Counter, countersOf, type Metered, moneyOf, read } from './quota.ts'

export interface Left {
  limit: number
  used: number
  left: number
}

export interface UsageLine {
  whose: 'user' | 'organisation' | 'app'
  period: 'minute' | 'day' | 'month'
  /** ISO 8601. */
  resets_at: string
  requests?: Left
  units?: Left
  money?: Left
}

export interface Usage {
  services: Record<string, { unit?: string; limits: UsageLine[] }>
  /** The budget of all services together, for the secret API key. */
  budget?: UsageLine
}

/**
 * What a caller has used and has left. What all callers use together only the secret API key is told. One trip.
 *
 * @throws {Fault} `unauthenticated` (401) for guests who may use nothing.
 */
export async function usageOf<Env>(
  gate: Gate<Env>,
  scope: Scope,
  {
    caller,
    declared,
  }: { caller: Caller; declared: readonly { metered: Metered; access: Access }[] },
): Promise<Usage> {
  const open = declared.filter(({ access }) => mayUse(access, caller.who))
  if (open.length === 0 && caller.who.role === 'anon') throw coreFaults.unauthenticated()
  const told = ({ whose }: Counter) => whose !== 'app' || caller.who.role === 'service'
  const none: Metered = { name: '*' }
  const now = scope.now()
  const perService = open.map(({ metered }) => ({
    metered,
    counters: countersOf(metered, none, caller, now).filter(told),
  }))
  const all = countersOf(none, gate.all, caller, now).filter(told)
  const counts = await read(scope, [...perService.flatMap(({ counters }) => counters), ...all])
  const services = perService.map(({ metered, counters }) => [
    metered.name,
    {
      ...(metered.unit === undefined ? {} : { unit: metered.unit }),
      limits: counters.map((counter) => lineOf(counter, counts)),
    },
  ])
  const [budget] = all.map((counter) => lineOf(counter, counts))
  return { services: Object.fromEntries(services), ...(budget ? { budget } : {}) }
}

function lineOf(counter: Counter, counts: readonly Count[]): UsageLine {
  const count = counts.find(({ key }) => key === counter.key)
  const left = (limit: number | null, used = 0): Left | undefined =>
    limit === null ? undefined : { limit, used, left: Math.max(0, limit - used) }
  const money = left(counter.micros, count?.micros)
  const { requests, units } = {
    requests: left(counter.requests, count?.requests),
    units: left(counter.units, count?.units),
  }
  return {
    whose: counter.whose,
    period: counter.period,
    resets_at: new Date(counter.ends * 1000).toISOString(),
    ...(requests ? { requests } : {}),
    ...(units ? { units } : {}),
    ...(money
      ? {
          money: {
            limit: moneyOf(money.limit),
            used: moneyOf(money.used),
            left: moneyOf(money.left),
          },
        }
      : {}),
  }
}
