import type { Base } from '../core/bind.ts'
import type { Module } from '../core/module.ts'
import type { Identity, Principal } from '../core/ports.ts'
import { type Route, routesOf } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { makeBreakers } from './breaker.ts'
import { callService, meteredOf } from './call.ts'
import { checkBudget } from './check.ts'
import type { Budget, Service } from './definition.ts'
import { renderBug, renderFault, servicesFaults } from './faults.ts'
import { askedBy, callerOf, demandAccess, type Gate, host, type Part } from './gate.ts'
import { incomingFrom, incomingOf, type Made } from './incoming.ts'
import { servicesMigrations } from './migrations.ts'
import { purge } from './quota.ts'

export type { Cache } from './call.ts'
export {
  type Allowed,
  type Amounts,
  type Answered,
  type Auth,
  type Budget,
  type Call,
  type Fallback,
  type Meter,
  type Price,
  type Quota,
  type Quotas,
  type Service,
  type ServiceOptions,
  service,
} from './definition.ts'
export type { Part } from './gate.ts'

export interface ServicesOptions<Env> {
  /** Who asks: `auth`'s users, `jwks(…)`, or anything of that shape. */
  identity: Identity
  /** By the first part of their paths: `{ deepl: service({ … }) }` is called at `/services/deepl/…`. @default {} */
  services?: Readonly<Record<string, Service<Env>>>
  /** Which organisation someone calls for, whose quota is then used too. @default the one that is active in their session */
  organisation?: (who: Principal) => string | null | undefined
  /** The cap on what all services together may cost. */
  budget?: Budget
  /** What is ready made: `translate(…)` of `leanto/services/translate`. @default [] */
  parts?: readonly Part[]
}

export interface Services extends Module {
  readonly name: 'services'
  /**
   * Calls a service for someone, by all the rules but `access`, from the host's own code.
   *
   * @param input.who Whose quota is used. @default the app's alone
   * @throws {Fault} as the routes answer them.
   * @throws {TypeError} if there is no such service, or it allows no such call, or that has a streamed body.
   */
  call(scope: Scope, input: Made & { service: string; who?: Principal }): Promise<Response>
}

/**
 * A gateway to services that cost money: a client calls them by its own sign-in, the key is added here and never leaves,
 * and nobody uses more than their quota.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function services<Env>(base: Base<Env>, options: ServicesOptions<Env>): Services {
  const {
    identity,
    services: declared = {},
    organisation = ({ org }) => org?.id,
    budget,
    parts = [],
  } = options
  check(options)
  const names = Object.entries(declared)
  const gate: Gate<Env> = {
    identity,
    services: declared,
    all: { name: '*', ...(budget ? { budget } : {}) },
    organisation,
    breakers: makeBreakers(),
    counted: [
      ...names.map(([name, one]) => ({ metered: meteredOf(name, one), access: one.access })),
      ...parts.flatMap(({ metered, access }) => (metered ? [{ metered, access }] : [])),
    ],
  }
  const { routes, table } = routesOf({ base, render: renderFault, bug: renderBug }, [
    ...parts.flatMap((part) => part.routes(gate)),
    ...names.flatMap(([name, one]) => routesFor(gate, name, one)),
  ])
  return Object.freeze({
    name: 'services',
    routes,
    table,
    migrations: servicesMigrations,
    faults: servicesFaults,
    async scheduled(scope: Scope) {
      await purge(scope)
    },
    async call(
      scope: Scope,
      { service: name, who = host, ...made }: Made & { service: string; who?: Principal },
    ) {
      const one = Object.hasOwn(declared, name) ? declared[name] : undefined
      if (!one) throw new TypeError(`services: there is no service \`${name}\``)
      const incoming = await incomingFrom(name, one, made)
      const caller = callerOf(gate, who, null)
      return callService({ gate, scope, name, service: one, caller, incoming })
    },
  })
}

/** One route for each call that is declared: what is not, is the host's own 404. */
function routesFor<Env>(gate: Gate<Env>, name: string, service: Service<Env>): Route[] {
  return service.allow.map((allowed) => [
    allowed.method,
    `/${name}${allowed.path}`,
    async (scope, c) => {
      const caller = await askedBy(gate, scope, c.req.raw)
      demandAccess(service.access, caller.who)
      const incoming = await incomingOf(c, service, allowed)
      return callService({ gate, scope, name, service, caller, incoming })
    },
  ])
}

function check<Env>({
  identity,
  services: declared = {},
  budget,
  parts = [],
}: ServicesOptions<Env>) {
  const wrong = (what: string): never => {
    throw new TypeError(`services: ${what}`)
  }
  if (typeof identity?.principal !== 'function')
    wrong('`identity` must have principal(scope, request): pass auth(…) or jwks(…)')
  const taken = parts.map(({ name }) => name)
  for (const [name, { fallback, allow }] of Object.entries(declared)) {
    if (!/^[a-z][a-z0-9-]{0,39}$/.test(name) || taken.includes(name))
      wrong(
        `\`services.${name}\` cannot be called so: lower-case letters, digits and -${taken.length > 0 ? `, not ${taken}` : ''}`,
      )
    if (!Array.isArray(allow)) wrong(`\`services.${name}\` must be made by service(…)`)
    if (typeof fallback === 'object' && !Object.hasOwn(declared, fallback.service))
      wrong(`\`services.${name}.fallback\` names a service that is not there: ${fallback.service}`)
  }
  checkBudget(budget, 'of each service')
}
