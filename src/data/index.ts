import type { Base } from '../core/bind.ts'
import type { Module } from '../core/module.ts'
import type { Identity } from '../core/ports.ts'
import { routesOf } from '../core/routes.ts'
import { type Exposed, isCount, resourceOf } from './expose.ts'
import { dataFaults, renderBug, renderFault } from './faults.ts'
import { foreignKeysOf } from './foreign-keys.ts'
import { relationsOf } from './relations.ts'
import type { Checked } from './relationships.ts'
import { dataRoutes } from './routes.ts'

export type { DatabaseOf, Json } from './database-of.ts'
export { type Exposed, expose, type Policies, type Policy } from './expose.ts'

export interface DataOptions<Tables extends Record<string, Exposed>> {
  /** Who asks: `auth`'s users, `jwks(…)`, or anything of that shape. */
  identity: Identity
  /** The tables by their name in the URL. What is not listed is not reachable. */
  tables: Tables & NoInfer<Checked<Tables>>
  /** The largest body, in bytes. @default 10 MiB */
  bodyLimit?: number
}

export interface Data<Tables extends Record<string, Exposed>> extends Module {
  readonly name: 'data'
  readonly tables: Tables
}

/**
 * The host's drizzle tables over HTTP, as PostgREST 14 speaks: https://docs.postgrest.org/en/v14/references/api.html.
 * Policies are part of each statement; every read and write is one trip to D1.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function data<Env, const Tables extends Record<string, Exposed>>(
  base: Base<Env>,
  { identity, tables, bodyLimit = 10 * 1024 * 1024 }: DataOptions<Tables>,
): Data<Tables> {
  if (typeof identity?.principal !== 'function')
    throw new TypeError(
      'data: `identity` must have principal(scope, request): pass auth(…) or jwks(…)',
    )
  if (!isCount(bodyLimit)) throw new TypeError('data: `bodyLimit` must be a number of bytes')
  const resources = new Map(
    Object.entries(tables).map(([name, exposed]) => {
      if (!exposed?.table || !exposed.policies)
        throw new TypeError(`data: \`tables.${name}\` must be made by expose(table, policies)`)
      return [name, resourceOf(name, exposed)]
    }),
  )
  for (const [name, relations] of relationsOf(resources, foreignKeysOf(tables)))
    resources.get(name)?.relations.push(...relations)
  const { routes, table } = routesOf(
    { base, render: renderFault, bug: renderBug },
    dataRoutes({ identity, resources, bodyLimit }),
  )
  return Object.freeze({
    name: 'data',
    routes,
    table,
    migrations: Object.freeze([]),
    faults: dataFaults,
    tables,
  })
}
