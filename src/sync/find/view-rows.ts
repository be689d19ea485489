import type { QueryResult, Statement } from '../../core/database.ts'
import { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { documentOf } from '../changes.ts'
import { sortKey } from '../collate.ts'
import {
  type DatabaseRow,
  databaseId,
  inDatabase,
  type Place,
  placed,
  rowsOf,
  runAll,
} from '../database.ts'
import type { Doc } from '../definition.ts'
import { syncFaults } from '../faults.ts'
import { type FullRow, fullColumns } from '../read.ts'

/** What a view or an index has of a document. */
export interface Emitted {
  key: unknown
  value: unknown
}

/** A view, or an index of Mango: rows that follow from each document. */
export interface RowSource {
  /** Unique in its database. */
  name: string
  /** Changes when its rows would be others: then all are made anew. */
  version: string
  rows: (doc: Doc) => readonly Emitted[]
  /** Has to be waited for before `rows`. */
  ready?: (() => Promise<void>) | undefined
}

interface ViewState {
  id: number
  version: string
  seq: number
  purge_seq: number
  total: number
}

/** The id of a source's rows, as an SQL expression. `?3` is the source's name. */
export const viewId = `(SELECT id FROM leanto_sync_views WHERE db = ${databaseId} AND name = ?3)`

export interface Viewed {
  database: DatabaseRow
  total: number
  results: QueryResult[]
}

const documentsAtOnce = 500
const rounds = 2000
/** Of a parameter, in bytes. */
const largest = 1_000_000

/**
 * Asks a source's rows, brought up to date before. One trip if nothing changed since they were last asked.
 *
 * @param ask Makes the statements; their `?1`, `?2`, `?3` are the place and the source's name.
 * @param update `false` takes the rows as they are.
 */
export async function askRows(
  scope: Scope,
  place: Place,
  { source, ask, update = true }: { source: RowSource; ask: () => Statement[]; update?: boolean },
): Promise<Viewed> {
  for (let round = 0; round < rounds; round++) {
    const { database, results } = await inDatabase(scope, place, [
      placed(
        scope,
        place,
        `SELECT id, version, seq, purge_seq, total FROM leanto_sync_views WHERE db = ${databaseId} AND name = ?3`,
        [source.name],
      ),
      ...ask(),
    ])
    const state = results[0]?.results[0] as ViewState | undefined
    const same = state?.version === source.version && state.purge_seq === database.purge_seq
    if (state && same && (!update || state.seq >= database.update_seq))
      return { database, total: state.total, results: results.slice(1) }
    if (!state || !same) await begin(scope, database, source)
    else await catchUp(scope, database, state, source)
  }
  throw syncFaults.service_unavailable({ message: 'The view is still being made' })
}

async function begin(scope: Scope, database: DatabaseRow, { name, version }: RowSource) {
  const run = (sql: string, ...more: unknown[]) =>
    scope.db.prepare(sql).bind(database.id, name, ...more)
  await runAll(scope, [
    run(
      `DELETE FROM leanto_sync_rows WHERE view IN
       (SELECT id FROM leanto_sync_views WHERE db = ?1 AND name = ?2)`,
    ),
    run(
      `INSERT INTO leanto_sync_views (db, name, version, seq, purge_seq) VALUES (?1, ?2, ?3, 0, ?4)
       ON CONFLICT (db, name) DO UPDATE SET version = excluded.version, seq = 0, total = 0,
         purge_seq = excluded.purge_seq`,
      version,
      database.purge_seq,
    ),
  ])
}

/** Takes in the next documents. If another request does the same, one of the two does nothing. */
async function catchUp(scope: Scope, database: DatabaseRow, state: ViewState, source: RowSource) {
  await source.ready?.()
  const results = await rowsOf<FullRow>(
    scope,
    scope.db
      .prepare(
        `SELECT ${fullColumns} FROM leanto_sync_documents d WHERE d.db = ?1 AND d.seq > ?2 ORDER BY d.seq LIMIT ?3`,
      )
      .bind(database.id, state.seq, documentsAtOnce),
  )
  const emitted = results.flatMap((row) => (row.deleted ? [] : linesOf(row, source)))
  const last = results.length < documentsAtOnce ? database.update_seq : (results.at(-1)?.seq ?? 0)
  const ids = JSON.stringify(results.map(({ id }) => id))
  const run = (sql: string, ...more: unknown[]) => scope.db.prepare(sql).bind(state.id, ...more)
  const statements = [
    // What another request has done in the meantime makes this one fail, and nothing of it is kept.
    run(
      `SELECT CASE WHEN (SELECT seq FROM leanto_sync_views WHERE id = ?1) = ?2 THEN 1 ELSE json('stale') END`,
      state.seq,
    ),
    run(
      `UPDATE leanto_sync_views SET seq = ?2, total = total + ?4 - (SELECT count(*) FROM json_each(?3) w
         CROSS JOIN leanto_sync_rows r ON r.view = ?1 AND r.id = w.value) WHERE id = ?1`,
      Math.max(last, state.seq),
      ids,
      emitted.length,
    ),
    run(
      'DELETE FROM leanto_sync_rows WHERE view = ?1 AND id IN (SELECT value FROM json_each(?2))',
      ids,
    ),
    ...chunks(emitted).map((rows) =>
      run(
        `INSERT INTO leanto_sync_rows (view, sort, id, n, key, value)
         SELECT ?1, p.value ->> 0, p.value ->> 1, p.value ->> 2, p.value ->> 3, p.value ->> 4 FROM json_each(?2) p`,
        JSON.stringify(rows),
      ),
    ),
  ]
  try {
    await scope.db.batch(statements)
  } catch (cause) {
    if (!String(cause).includes('malformed JSON')) throw syncFaults.service_unavailable({ cause })
  }
}

type Line = [sort: string, id: string, n: number, key: string, value: string]

function linesOf(row: FullRow, source: RowSource): Line[] {
  if (row.id.startsWith('_design/')) return []
  let emitted: readonly Emitted[]
  try {
    emitted = source.rows(documentOf(row))
  } catch (error) {
    // As CouchDB does: a document for which `map` throws has no rows. One that it cannot end with ends the view.
    if (error instanceof Fault) throw error
    return []
  }
  return emitted.map(
    ({ key, value }, n): Line => [
      sortKey(key),
      row.id,
      n,
      JSON.stringify(key ?? null),
      JSON.stringify(value ?? null),
    ],
  )
}

function chunks(lines: readonly Line[]): Line[][] {
  const all: Line[][] = []
  let size = 0
  for (const line of lines) {
    const bytes = line.reduce<number>((sum, part) => sum + String(part).length * 2 + 8, 0)
    if (all.length === 0 || size + bytes > largest) {
      all.push([])
      size = 0
    }
    all.at(-1)?.push(line)
    size += bytes
  }
  return all
}
