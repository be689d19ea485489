import type { QueryResult, Statement } from '../core/database.ts'
import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import type { Definition } from './definition.ts'
import { bad, syncFaults } from './faults.ts'
import { randomId } from './revision.ts'

/** A database as a request names it, with who asks and what they may do. Not yet looked up. */
export interface Place {
  readonly name: string
  /** `''` for a shared one. */
  readonly owner: string
  readonly who: Principal
  readonly definition: Definition
  /** Whether it is made by whatever asks for it first: its client never has to. */
  readonly lazy: boolean
}

/** A database's row. */
export interface DatabaseRow {
  readonly id: number
  readonly name: string
  readonly owner: string
  readonly uuid: string
  readonly update_seq: number
  readonly doc_count: number
  readonly del_count: number
  readonly bytes: number
  readonly purge_seq: number
  readonly floor_seq: number
  readonly revs_limit: number | null
  readonly security: string | null
  readonly created_at: number
}

const databaseName = /^[a-z][a-z0-9_$()+/-]*$/

export const isName = (name: string): boolean => databaseName.test(name) && name.length <= 238

/** @throws {Fault} `illegal_database_name` (400). */
export function checkName(name: string): void {
  if (!isName(name))
    throw bad(
      'illegal_database_name',
      `Name: '${name.slice(0, 238)}'. Only lowercase characters (a-z), digits (0-9), and any of the characters _, $, (, ), +, -, and / are allowed. Must begin with a letter.`,
    )
}

export const noDatabase = () => bad('not_found', 'Database does not exist.')

/** The id of a place's database, as an SQL expression over the parameters `?1` (name) and `?2` (owner). */
export const databaseId = '(SELECT id FROM leanto_sync_databases WHERE name = ?1 AND owner = ?2)'

/** A statement whose `?1` and `?2` are the place, for `databaseId`; `values` follow from `?3` on. */
export const placed = (scope: Scope, place: Place, sql: string, values: unknown[]): Statement =>
  scope.db.prepare(sql).bind(place.name, place.owner, ...values)

/** Runs statements in one trip. @throws {Fault} `service_unavailable` (503) if D1 fails. */
export async function runAll(scope: Scope, statements: Statement[]): Promise<QueryResult[]> {
  try {
    return await scope.db.batch(statements)
  } catch (cause) {
    throw syncFaults.service_unavailable({ cause })
  }
}

/** Runs one statement. @returns Its rows. @throws {Fault} `service_unavailable` (503) if D1 fails. */
export async function rowsOf<Row>(scope: Scope, statement: Statement): Promise<Row[]> {
  const [result] = await runAll(scope, [statement])
  return (result?.results ?? []) as Row[]
}

/**
 * Looks a database up and runs statements, all in one trip.
 *
 * @throws {Fault} `not_found` (404) "Database does not exist."
 */
export async function inDatabase(
  scope: Scope,
  place: Place,
  statements: Statement[],
): Promise<{ database: DatabaseRow; results: QueryResult[] }> {
  const find = placed(
    scope,
    place,
    'SELECT * FROM leanto_sync_databases WHERE name = ?1 AND owner = ?2',
    [],
  )
  const [found, ...results] = await runAll(scope, [find, ...statements])
  const database = found?.results[0] as DatabaseRow | undefined
  if (database) return { database, results }
  if (!place.lazy) throw noDatabase()
  await createDatabase(scope, place)
  return inDatabase(scope, place, statements)
}

/** @returns Whether it was made now. */
export async function createDatabase(scope: Scope, place: Place): Promise<boolean> {
  const statement = placed(
    scope,
    place,
    `INSERT INTO leanto_sync_databases (name, owner, uuid, created_at) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (name, owner) DO NOTHING RETURNING id`,
    [randomId(), scope.now()],
  )
  const [made] = await runAll(scope, [statement])
  return made?.results.length === 1
}

/** Deletes a database with all that is in it. @throws {Fault} `not_found` (404). */
export async function deleteDatabase(scope: Scope, place: Place): Promise<void> {
  const tables = ['documents', 'revisions', 'locals', 'parts', 'views', 'left', 'members']
  const results = await runAll(scope, [
    placed(
      scope,
      place,
      `DELETE FROM leanto_sync_rows WHERE view IN (SELECT id FROM leanto_sync_views WHERE db = ${databaseId})`,
      [],
    ),
    ...tables.map((table) =>
      placed(scope, place, `DELETE FROM leanto_sync_${table} WHERE db = ${databaseId}`, []),
    ),
    placed(
      scope,
      place,
      'DELETE FROM leanto_sync_databases WHERE name = ?1 AND owner = ?2 RETURNING id',
      [],
    ),
  ])
  if (results.at(-1)?.results.length === 0) throw noDatabase()
}

/** https://docs.couchdb.org/en/stable/api/database/common.html#get--db */
export function describe(row: DatabaseRow) {
  return {
    db_name: row.name,
    purge_seq: row.purge_seq,
    update_seq: row.update_seq,
    sizes: { file: row.bytes, external: row.bytes, active: row.bytes },
    props: {},
    doc_del_count: row.del_count,
    doc_count: row.doc_count,
    disk_format_version: 8,
    compact_running: false,
    cluster: { q: 1, n: 1, w: 1, r: 1 },
    // CouchDB's clients take a change of it as another database of the same name.
    instance_start_time: String(row.created_at),
    uuid: row.uuid,
  }
}

/** What `_security` holds until it is set. Who may do what is the host's to say; this is kept for clients that show it. */
export const securityOf = (row: DatabaseRow): unknown =>
  row.security === null
    ? { admins: { names: [], roles: [] }, members: { names: [], roles: [] } }
    : JSON.parse(row.security)

/** @throws {Fault} `not_found` (404). */
export async function setOption(
  scope: Scope,
  place: Place,
  option: 'revs_limit' | 'security',
  value: unknown,
): Promise<void> {
  const statement = placed(
    scope,
    place,
    `UPDATE leanto_sync_databases SET ${option} = ?3 WHERE name = ?1 AND owner = ?2 RETURNING id`,
    [value],
  )
  const { results } = await inDatabase(scope, place, [statement])
  if (results[0]?.results.length === 0) throw noDatabase()
}
