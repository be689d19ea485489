import type { Base } from '../core/bind.ts'
import type { Module } from '../core/module.ts'
import type { Identity } from '../core/ports.ts'
import { routesOf } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import type { Place } from './database.ts'
import { type Databases, finder } from './databases.ts'
import type { Written } from './definition.ts'
import { renderBug, renderFault, syncFaults } from './faults.ts'
import { type HostVerbs, hostVerbs } from './host.ts'
import { syncMigrations } from './migrations.ts'
import type { Find } from './request.ts'
import { type Part, syncRoutes } from './routes.ts'
import { watcher as makeWatcher, type Notifier } from './watch.ts'

export type { Databases } from './databases.ts'
export {
  type Definition,
  type Doc,
  type FilterRequest,
  type Limits,
  owned,
  type Rules,
  type SharedRules,
  shared,
  type View,
  type Written,
} from './definition.ts'
export type { At, Change, HostVerbs } from './host.ts'
export { forbidden, unauthorized } from './permission.ts'
export type { Part } from './routes.ts'
export type { Listening, Notifier } from './watch.ts'

export interface SyncOptions {
  /** Who asks: `auth`'s users, `jwks(…)`, or anything of that shape. */
  identity: Identity
  /** What is not named here does not exist: `{ notes: owned(), 'team-*': shared({ … }) }`. */
  databases: Databases
  /** Tells held feeds of changes at once: `notifier(…)`. Without it they ask the database, less and less often. */
  notifier?: Notifier
  /**
   * What else there is, each of `leanto/sync/<name>`: `find` (Mango and views), `upkeep`, `scripts` (JavaScript of design
   * documents).
   * @default []
   */
  parts?: readonly Part[]
}

export interface Sync extends Module, HostVerbs {
  readonly name: 'sync'
}

/**
 * A CouchDB for PouchDB, RxDB and CouchDB itself to replicate with, on D1:
 * https://docs.couchdb.org/en/stable/replication/protocol.html
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function sync<Env>(
  base: Base<Env>,
  { identity, databases, notifier, parts = [] }: SyncOptions,
): Sync {
  if (typeof identity?.principal !== 'function')
    throw new TypeError(
      'sync: `identity` must have principal(scope, request): pass auth(…) or jwks(…)',
    )
  const { find: listed, declared } = finder(databases)
  const scripts = parts.find((part) => part.scripts)?.scripts
  const find: Find = (name) => {
    const found = listed(name)
    return found && scripts ? { ...found, definition: { ...found.definition, scripts } } : found
  }
  const viewed = declared.find(([, { rules }]) => rules.views)
  if (viewed && !parts.some(({ views }) => views))
    throw new TypeError(
      `sync: \`databases.${viewed[0]}\` has views: give \`parts: [find]\`, of 'leanto/sync/find'`,
    )
  const watcher = makeWatcher(notifier)
  const wrote = (scope: Scope, place: Place, written: readonly Written[]) => {
    if (written.length === 0) return
    watcher.wrote(scope, place, Math.max(...written.map(({ seq }) => seq)))
    const after = place.definition.rules.after?.write
    if (after) scope.waitUntil(Promise.resolve().then(() => after(scope, written)))
  }
  const { routes, table } = routesOf(
    { base, render: renderFault, bug: renderBug, credentials: true },
    syncRoutes({
      identity,
      databases: find,
      parts,
      names: declared.map(([name]) => name).filter((name) => !name.endsWith('*')),
      watcher,
      wrote: ({ scope, place }, written) => wrote(scope, place, written),
    }),
  )
  return Object.freeze({
    name: 'sync',
    routes,
    table,
    migrations: [...syncMigrations, ...parts.flatMap(({ migrations = [] }) => migrations)],
    faults: syncFaults,
    async scheduled(scope: Scope) {
      for (const part of parts) await part.scheduled?.(scope, find)
    },
    ...hostVerbs(find, wrote),
  })
}
