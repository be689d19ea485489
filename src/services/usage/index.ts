import { coreFaults } from '../../core/fault.ts'
import type { Principal } from '../../core/ports.ts'
import type { Scope } from '../../core/scope.ts'
import { askedBy, type Caller, callerOf, type Gate, host, mayUse, type Part } from '../gate.ts'
import { type Count, type Counter, countersOf, type Metered, moneyOf, read } from '../quota.ts'

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

/** What `usage()` makes: a part of `services(…)`. */
export interface UsagePart extends Part {
  /** What someone has used and has left, as `GET /usage` tells it. One trip. @param who Without it, what the app has. */
  of(scope: Scope, who?: Principal): Promise<Usage>
}

/**
 * `GET /usage`: what a caller has used and has left. What all callers use together only the secret API key is told. A part
 * of `services`: `services(base, { …, parts: [usage()] })`. One trip.
 */
export function usage(): UsagePart {
  let mounted: Gate<unknown> | undefined
  return Object.freeze<UsagePart>({
    name: 'usage',
    routes(gate) {
      mounted = gate as never
      return [
        [
          'GET',
          '/usage',
          async (scope, c) =>
            Response.json(await usageOf(gate, scope, await askedBy(gate, scope, c.req.raw))),
        ],
      ]
    },
    async of(scope, who = host) {
      if (!mounted) throw new TypeError('usage: it is not among `parts` of services(…)')
      return usageOf(mounted, scope, callerOf(mounted, who, null))
    },
  })
}

/** @throws {Fault} `unauthenticated` (401) for guests who may use nothing. */
async function usageOf<Env>(gate: Gate<Env>, scope: Scope, caller: Caller): Promise<Usage> {
  const open = gate.counted.filter(({ access }) => mayUse(access, caller.who))
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
