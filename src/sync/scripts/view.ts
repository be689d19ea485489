import type { Scope } from '../../core/scope.ts'
import type { Place } from '../database.ts'
import type { Doc, View } from '../definition.ts'
import type { Stored } from '../stored.ts'
import { type DesignRow, isScript, memberOf, Realms, readDesign, unwrap } from './design.ts'
import type { Realm, Result } from './engine.ts'
import { scriptsFaults } from './faults.ts'

/** How many rows are reduced at once. */
const most = 500

const builtIn = ['_sum', '_count', '_stats'] as const

export const isBuiltIn = (source: string): boolean =>
  /^_(sum|count|stats|approx_count_distinct)$/.test(source.trim())

type Reduce = NonNullable<View['reduce']>

/**
 * The view `<design>/<name>` of a design document, as one of the host's.
 *
 * @throws {Fault} `not_found` (404), `compilation_error` (400).
 */
export async function viewOf(
  scope: Scope,
  place: Place,
  name: string,
): Promise<(View & Stored) | undefined> {
  const slash = name.indexOf('/')
  const { row } = await readDesign(scope, place, name.slice(0, slash))
  const body = JSON.parse(row.body)
  const path = ['views', name.slice(slash + 1)]
  const map = memberOf(body, [...path, 'map'])
  if (typeof map !== 'string' || !isScript(body)) return undefined
  const designs = memberOf(body, ['options', 'include_design']) === true
  const realms = new Realms()
  const compiled = () => realms.compile(row, [...path, 'map'])
  let run: ((doc: Doc) => Result) | undefined
  const reduce = await reduceOf(realms, row, path, memberOf(body, [...path, 'reduce']))
  return {
    version: JSON.stringify([
      map,
      memberOf(body, ['views', 'lib']),
      memberOf(body, [...path, 'reduce']),
      ...(designs ? ['designs'] : []),
    ]),
    designs,
    atOnce: reduce === distinct,
    async ready() {
      const { realm, fn } = await compiled()
      run = (doc) => realm.call('map', fn, JSON.stringify(doc))
    },
    map(doc, emit) {
      if (!run) throw new Error('sync/scripts: a view was asked before it was ready')
      const result = run(doc)
      // As CouchDB does: a document for which `map` throws has no rows.
      if (result.is !== 'value' && result.is !== 'exceeded') return
      for (const [key, value] of rowsIn(unwrap(result))) emit(key, value)
    },
    ...(reduce ? { reduce } : {}),
  }
}

/** Whatever its author has done to arrays, these are pairs. */
function rowsIn(json: string): [unknown, unknown][] {
  const rows: unknown = JSON.parse(json)
  return Array.isArray(rows)
    ? rows.filter((row): row is [unknown, unknown] => Array.isArray(row) && row.length === 2)
    : []
}

async function reduceOf(
  realms: Realms,
  row: DesignRow,
  path: readonly string[],
  source: unknown,
): Promise<Reduce | undefined> {
  if (typeof source !== 'string' || source.trim() === '') return undefined
  const name = source.trim()
  const known = builtIn.find((one) => one === name)
  if (known) return known
  if (name === '_approx_count_distinct') return distinct
  if (name.startsWith('_'))
    throw scriptsFaults.compilation_error({ message: `There is no built-in reduce ${name}` })
  const { realm, fn } = await realms.compile(row, [...path, 'reduce'])
  return reducer(realm, fn)
}

/** Exactly: the rows are all here. */
const distinct: Reduce = (keys) => new Set((keys ?? []).map(([key]) => JSON.stringify(key))).size

/** Reduces rows in parts, and what comes of them again, as CouchDB does along its tree. */
function reducer(realm: Realm, fn: number): Reduce {
  const once = (keys: unknown, values: readonly unknown[], rereduce: boolean): unknown => {
    const [keysText, valuesText] = [JSON.stringify(keys), JSON.stringify(values)]
    const result = realm.call('reduce', fn, keysText, valuesText, String(rereduce))
    // CouchDB has `null` for what throws.
    return result.is === 'value' || result.is === 'exceeded' ? JSON.parse(unwrap(result)) : null
  }
  const whole = (
    keys: readonly [unknown, string][] | null,
    values: readonly unknown[],
    rereduce: boolean,
  ): unknown => {
    if (values.length <= most) return once(keys, values, rereduce)
    const parts: unknown[] = []
    for (let at = 0; at < values.length; at += most)
      parts.push(once(keys?.slice(at, at + most) ?? null, values.slice(at, at + most), rereduce))
    return whole(null, parts, true)
  }
  return whole
}
