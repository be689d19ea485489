import type { QueryResult, Statement } from '../../core/database.ts'
import { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
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
import type { Doc, Rules } from '../definition.ts'
import { syncFaults } from '../faults.ts'
import { type FullRow, fullColumns } from '../read.ts'
import { documentText, type Show } from '../version.ts'
import { mend, outdate, staleSql } from './blocks.ts'
import type { Reduce } from './reduce.ts'
import { byTerm } from './term-order.ts'
import { chunks, type Run, runUnlessStale, type ViewState } from './view-state.ts'

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
  /** Whether design documents have rows, too. @default false */
  designs?: boolean | undefined
  /** Has to be waited for before `rows`. */
  ready?: (() => Promise<void>) | undefined
  /** What blocks of its rows are reduced by, if that is kept. @see blocks.ts */
  reduce?: Reduce | undefined
}

export interface Viewed {
  database: DatabaseRow
  total: number
  results: QueryResult[]
}

const documentsAtOnce = 500
const rounds = 2000

export interface Question {
  source: RowSource
  /** Makes the statements; their `?1`, `?2`, `?3` are the place and the source's name. */
  ask: () => Statement[]
  /** `false` takes the rows as they are. @default true */
  update?: boolean
  /** Whether the statements read blocks: then none of them is stale. @default false */
  blocks?: boolean
}

/**
 * Asks a source's rows, brought up to date before. One trip if nothing changed since they were last asked.
 */
export async function askRows(
  scope: Scope,
  place: Place,
  { source, ask, update = true, blocks = false }: Question,
): Promise<Viewed> {
  const { reduce } = source
  for (let round = 0; round < rounds; round++) {
    const { database, results } = await inDatabase(scope, place, [
      placed(
        scope,
        place,
        `SELECT id, version, seq, purge_seq, total FROM leanto_sync_views WHERE db = ${databaseId} AND name = ?3`,
        [source.name],
      ),
      ...(blocks ? [placed(scope, place, staleSql, [source.name])] : []),
      ...ask(),
    ])
    const state = results[0]?.results[0] as ViewState | undefined
    const same = state?.version === source.version && state.purge_seq === database.purge_seq
    if (!state || !same) await begin(scope, database, source)
    else if (update && state.seq < database.update_seq)
      await catchUp(scope, { database, rules: place.definition.rules }, state, source)
    else if (blocks && reduce && results[1]?.results[0]?.stale) await mend(scope, state, reduce)
    else return { database, total: state.total, results: results.slice(blocks ? 2 : 1) }
  }
  throw syncFaults.service_unavailable({ message: 'The view is still being made' })
}

async function begin(scope: Scope, database: DatabaseRow, source: RowSource) {
  const { name, version, reduce } = source
  const run: Run = (sql, ...more) => scope.db.prepare(sql).bind(database.id, name, ...more)
  const drop = (table: string) =>
    run(
      `DELETE FROM leanto_sync_${table} WHERE view IN
       (SELECT id FROM leanto_sync_views WHERE db = ?1 AND name = ?2)`,
    )
  await runAll(scope, [
    drop('rows'),
    ...(reduce ? [drop('reduced')] : []),
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
async function catchUp(
  scope: Scope,
  { database, rules }: { database: DatabaseRow; rules: Rules },
  state: ViewState,
  source: RowSource,
) {
  await source.ready?.()
  const results = await rowsOf<FullRow>(
    scope,
    scope.db
      .prepare(
        `SELECT ${fullColumns} FROM leanto_sync_documents d WHERE d.db = ?1 AND d.seq > ?2 ORDER BY d.seq LIMIT ?3`,
      )
      .bind(database.id, state.seq, documentsAtOnce),
  )
  // As CouchDB has it; but in which channels the others are, a row does not tell.
  const show = rules.channels ? {} : { conflicts: true, deletedConflicts: true }
  const emitted = results.flatMap((row) => (row.deleted ? [] : linesOf(row, source, show)))
  const last = results.length < documentsAtOnce ? database.update_seq : (results.at(-1)?.seq ?? 0)
  const ids = JSON.stringify(results.map(({ id }) => id))
  const run: Run = (sql, ...more) => scope.db.prepare(sql).bind(state.id, ...more)
  const outdated = source.reduce ? [outdate(run, ids)] : []
  await runUnlessStale(scope, state, [
    ...outdated,
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
    ...outdated,
  ])
}

type Line = [sort: string, id: string, n: number, key: string, value: string]

function linesOf(row: FullRow, source: RowSource, show: Show): Line[] {
  if (row.id.startsWith('_design/') && !source.designs) return []
  let emitted: readonly Emitted[]
  try {
    emitted = source.rows(JSON.parse(documentText(row, show, row)))
  } catch (error) {
    // As CouchDB does: a document for which `map` throws has no rows. One that it cannot end with ends the view.
    if (error instanceof Fault) throw error
    return []
  }
  return [...emitted]
    .sort((a, b) => byTerm(a.value, b.value))
    .map(
      ({ key, value }, n): Line => [
        sortKey(key),
        row.id,
        n,
        JSON.stringify(key ?? null),
        JSON.stringify(value ?? null),
      ],
    )
}
