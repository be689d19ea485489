import type { Scope } from '../../core/scope.ts'
import { type DatabaseRow, databaseId, inDatabase, type Place, placed } from '../database.ts'
import { isObject } from '../document.ts'
import { bad, syncFaults } from '../faults.ts'
import { type Engine, makeEngine, type Realm, type Result } from './engine.ts'
import { scriptsFaults } from './faults.ts'

/** A design document as it is kept. */
export interface DesignRow {
  id: string
  body: string
}

/** Reads a design document, also for who may not: they only meet what it does. @throws {Fault} `not_found` (404). */
export async function readDesign(
  scope: Scope,
  place: Place,
  name: string,
): Promise<{ database: DatabaseRow; row: DesignRow }> {
  const { database, results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT id, body, deleted FROM leanto_sync_documents WHERE db = ${databaseId} AND id = ?3`,
      [`_design/${name}`],
    ),
  ])
  const row = results[0]?.results[0] as (DesignRow & { deleted: number }) | undefined
  if (!row) throw syncFaults.not_found()
  if (row.deleted) throw bad('not_found', 'deleted')
  return { database, row }
}

/** A member of a member, of what may be anything. */
export function memberOf(value: unknown, path: readonly string[]): unknown {
  let at = value
  for (const step of path) {
    if (!isObject(at) || !Object.hasOwn(at, step)) return undefined
    at = at[step]
  }
  return at
}

/** Whether this is JavaScript, or does not say what it is. */
export const isScript = (body: unknown): boolean =>
  ['javascript', undefined].includes(memberOf(body, ['language']) as string | undefined)

/** Where the functions of design documents are run: one interpreter for all, each with a realm of its own. */
export class Realms {
  #engine: Engine | undefined
  readonly #realms = new Map<string, Realm>()
  readonly #functions = new Map<string, number>()

  /** The realm of a design document. Made when it is first needed. */
  async of({ id, body }: DesignRow): Promise<Realm> {
    if (!this.#engine || this.#engine.broken()) {
      this.#engine = await makeEngine()
      this.#realms.clear()
      this.#functions.clear()
    }
    const realm = this.#realms.get(id) ?? this.#engine.realm(body)
    this.#realms.set(id, realm)
    return realm
  }

  /** Whether all that was run is too much for one request. */
  get spent(): boolean {
    return this.#engine?.spent() ?? false
  }

  /**
   * Compiles a function once.
   *
   * @throws {Fault} `compilation_error` (400).
   */
  async compile(design: DesignRow, path: readonly string[]): Promise<{ realm: Realm; fn: number }> {
    const realm = await this.of(design)
    const key = JSON.stringify([design.id, path])
    const known = this.#functions.get(key)
    if (known !== undefined) return { realm, fn: known }
    const result = realm.call('compile', JSON.stringify(path))
    if (result.is !== 'value')
      throw scriptsFaults.compilation_error({ message: `${told(path)} failed: ${result.message}` })
    const fn = Number(result.json)
    this.#functions.set(key, fn)
    return { realm, fn }
  }
}

/** What CouchDB calls a function when it does not compile. */
const told = ([kind = '', name = '', part = '']: readonly string[]): string =>
  kind === 'views'
    ? `Compilation of the ${part} function in the '${name}' view`
    : `Compilation of ${[kind, name].filter(Boolean).join('.')}`

/** The value of a result, as JSON. @throws {Fault} of what else it may be. */
export function unwrap(result: Result): string {
  switch (result.is) {
    case 'value':
      return result.json
    case 'forbidden':
    case 'unauthorized':
      throw bad(result.is, result.message)
    case 'error':
      throw scriptsFaults.unnamed_error({ message: result.message })
    case 'exceeded':
      throw scriptsFaults.os_process_error()
  }
}
