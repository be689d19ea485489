import type { Base } from '../core/bind.ts'
import type { Migration } from '../core/migrate.ts'
import type { Module } from '../core/module.ts'
import type { Identity } from '../core/ports.ts'
import { routesOf } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { trimAnswers } from './answers-upkeep.ts'
import { keepChanges } from './changes-upkeep.ts'
import { computedRelations } from './computed-relations.ts'
import { type Exposed, isCount, resourceOf } from './expose.ts'
import { dataFaults, renderBug, renderFault } from './faults.ts'
import { foreignKeysOf } from './foreign-keys.ts'
import type { CheckedFunctions, Fn } from './function.ts'
import { callables } from './function-callable.ts'
import { type Live, liveTables } from './live.ts'
import { changesMigration, liveMigration } from './live-ddl.ts'
import { dataMigrations } from './migrations.ts'
import { relationsOf } from './relations.ts'
import type { Checked } from './relationships.ts'
import { dataRoutes } from './routes.ts'
import { type Searched, searchedTables } from './search.ts'
import { searchMigrations } from './search-ddl.ts'

export { type Change, type ChangesInput, type ChangesPage, changes } from './changes.ts'
export { type Computed, type ComputedValue, computed } from './computed.ts'
export { type ComputedRelation, relation } from './computed-relations.ts'
export type { DatabaseOf, Json } from './database-of.ts'
export { explainPolicy } from './explain-policy.ts'
export { type Exposed, expose, type Policies, type Policy } from './expose.ts'
export {
  type Fn,
  type Found,
  type FunctionOptions,
  fn,
  type RowFunctionOptions,
  type TableFunctionOptions,
} from './function.ts'
export type { Who } from './who.ts'
export type { Clause, PolicyExplanation, PolicyName, Verdict } from './why.ts'

export interface DataOptions<
  Tables extends Record<string, Exposed>,
  Functions extends Record<string, Fn> = Record<never, never>,
> {
  /** Who asks: `auth`'s users, `jwks(…)`, or anything of that shape. */
  identity: Identity
  /** The tables by their name in the URL. What is not listed is not reachable. */
  tables: Tables & NoInfer<Checked<Tables>>
  /** The functions by their names in the URL: `/rpc/:name`. */
  functions?: Functions & NoInfer<CheckedFunctions<Tables, Functions>>
  /** The largest body, in bytes. @default 10 MiB */
  bodyLimit?: number
  /** Of the tables that are `live`: how many days their changes are kept, at least. @default 7 */
  changes?: { keepFor?: number }
  /** Of requests with an `Idempotency-Key`: how many days their answers are kept. @default 1 */
  answers?: { keepFor?: number }
  /**
   * What one `POST /batch` may hold. D1 runs 1,000 statements an invocation of a Worker, 50 on the free plan; an operation
   * takes one to four.
   * @default { operations: 50, statements: 500 }
   */
  batch?: { operations?: number; statements?: number }
}

export interface Data<
  Tables extends Record<string, Exposed>,
  Functions extends Record<string, Fn> = Record<never, never>,
> extends Module {
  readonly name: 'data'
  readonly tables: Tables
  readonly functions: Functions
}

/**
 * The host's drizzle tables over HTTP, as PostgREST 14 speaks: https://docs.postgrest.org/en/v14/references/api.html.
 * Policies are part of each statement; every read and write is one trip to D1.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function data<
  Env,
  const Tables extends Record<string, Exposed>,
  const Functions extends Record<string, Fn> = Record<never, never>,
>(
  base: Base<Env>,
  {
    identity,
    tables,
    functions = {} as never,
    bodyLimit = 10 * 1024 * 1024,
    changes = {},
    answers = {},
    batch = {},
  }: DataOptions<Tables, Functions>,
): Data<Tables, Functions> {
  if (typeof identity?.principal !== 'function')
    throw new TypeError(
      'data: `identity` must have principal(scope, request): pass auth(…) or jwks(…)',
    )
  if (!isCount(bodyLimit)) throw new TypeError('data: `bodyLimit` must be a number of bytes')
  const { keepFor = 7 } = changes
  for (const [option, days] of Object.entries({ changes: keepFor, answers: answers.keepFor ?? 1 }))
    if (!(Number.isFinite(days) && days > 0))
      throw new TypeError(`data: \`${option}.keepFor\` must be a number of days`)
  const { operations = 50, statements = 500 } = batch
  for (const [option, count] of Object.entries({ operations, statements }))
    if (!isCount(count))
      throw new TypeError(`data: \`batch.${option}\` must be a whole number of at least 1`)
  const resources = new Map(
    Object.entries(tables).map(([name, exposed]) => {
      // Their routes are others.
      if (name === 'batch' || name === 'rpc')
        throw new TypeError(`data: \`tables.${name}\` must have another name: /${name} is a route`)
      if (!exposed?.table || !exposed.policies)
        throw new TypeError(`data: \`tables.${name}\` must be made by expose(table, policies)`)
      return [name, resourceOf(name, exposed)]
    }),
  )
  for (const [name, relations] of relationsOf(resources, foreignKeysOf(tables)))
    resources.get(name)?.relations.push(...relations)
  for (const resource of resources.values())
    resource.relations.push(...computedRelations(resource, resources))
  const { routes, table } = routesOf(
    { base, render: renderFault, bug: renderBug },
    dataRoutes({
      identity,
      resources,
      functions: callables(functions, resources),
      bodyLimit,
      operations,
      statements,
      keepAnswers: Math.ceil((answers.keepFor ?? 1) * 24 * 60 * 60),
    }),
  )
  const live = liveTables(tables)
  return Object.freeze({
    name: 'data',
    routes,
    table,
    migrations: migrationsOf(live, searchedTables(tables)),
    faults: dataFaults,
    tables,
    functions,
    async scheduled(scope: Scope) {
      await trimAnswers(scope)
      if (live.length > 0) await keepChanges(scope, { live, keepFor })
    },
  })
}

/** @see derived.ts for what follows a declaration of `expose`. */
const migrationsOf = (live: readonly Live[], searched: readonly Searched[]): readonly Migration[] =>
  Object.freeze(
    [
      ...dataMigrations,
      ...(live.length > 0 ? [changesMigration] : []),
      ...live.map(liveMigration),
      ...searchMigrations(searched),
    ].sort(byId),
  )

const byId = (a: Migration, b: Migration) => (a.id < b.id ? -1 : 1)
