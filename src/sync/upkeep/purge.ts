import type { Scope } from '../../core/scope.ts'
import {
  type DatabaseRow,
  databaseId,
  inDatabase,
  type Place,
  placed,
  runAll,
} from '../database.ts'
import { isObject } from '../document.ts'
import { bad, syncFaults } from '../faults.ts'
import { decodeTree, encodeTree, leavesOf, prune, revOf } from '../rev-tree.ts'
import { parseRev } from '../revision.ts'
import type { DocumentRow } from '../state.ts'

/** As CouchDB has it: `max_document_id_number`, `max_revisions_number`. */
const mostIds = 100
const mostRevs = 1000
const rounds = 20

/**
 * Forgets leaves, as if they had never been: nothing tells devices of it.
 *
 * @param body `{ <id>: [<rev>, …] }`
 * @returns What was forgotten, by id.
 * @throws {Fault} `bad_request` (400).
 * @see https://docs.couchdb.org/en/stable/api/database/misc.html#db-purge
 */
export async function purge(
  scope: Scope,
  place: Place,
  body: unknown,
): Promise<{ purge_seq: null; purged: Record<string, string[]> }> {
  const asked = parseAsked(body)
  const purged: [string, string[]][] = []
  for (const [id, revs] of asked) {
    purged.push([id, await purgeOne(scope, place, id, revs)])
  }
  // As CouchDB has it since it is a cluster.
  return { purge_seq: null, purged: Object.fromEntries(purged) }
}

function parseAsked(body: unknown): [string, string[]][] {
  if (!isObject(body)) throw bad('bad_request', 'Request body must be a JSON object')
  const asked = Object.entries(body)
  if (asked.length > mostIds) throw bad('bad_request', 'Exceeded maximum number of documents.')
  for (const [, revs] of asked) {
    if (!Array.isArray(revs)) throw bad('bad_request', 'Invalid list of revisions')
    for (const rev of revs) parseRev(rev)
  }
  if (asked.reduce((sum, [, revs]) => sum + (revs as string[]).length, 0) > mostRevs)
    throw bad('bad_request', 'Exceeded maximum number of revisions.')
  return asked as [string, string[]][]
}

type Row = Pick<DocumentRow, 'seq' | 'rev' | 'deleted' | 'size' | 'tree'>

async function purgeOne(
  scope: Scope,
  place: Place,
  id: string,
  revs: readonly string[],
): Promise<string[]> {
  for (let round = 0; round < rounds; round++) {
    const { database, results } = await inDatabase(scope, place, [
      placed(
        scope,
        place,
        `SELECT seq, rev, deleted, size, tree FROM leanto_sync_documents WHERE db = ${databaseId} AND id = ?3`,
        [id],
      ),
    ])
    const row = results[0]?.results[0] as Row | undefined
    if (!row) return []
    const tree = decodeTree(row.tree)
    const gone = prune(tree, revs)
    if (gone.length === 0) return []
    const winner = leavesOf(tree)[0]
    const statements = winner
      ? keep(scope, database, { id, row, gone, tree: encodeTree(tree), winner })
      : forget(scope, database, { id, row })
    const written = await runAll(scope, statements)
    if ((written.at(-1)?.results.length ?? 0) > 0) return gone
  }
  throw syncFaults.conflict()
}

/** Each only if the document still has its sequence: the last one's answer tells. */
function forget(scope: Scope, database: DatabaseRow, { id, row }: { id: string; row: Row }) {
  const run = (sql: string, ...more: unknown[]) =>
    scope.db.prepare(sql).bind(database.id, id, row.seq, ...more)
  return [
    ...['revisions', 'left'].map((table) =>
      run(`DELETE FROM leanto_sync_${table} WHERE db = ?1 AND id = ?2 AND ${still}`),
    ),
    run(countSql, row.deleted ? 0 : -1, row.deleted ? -1 : 0, -row.size),
    run('DELETE FROM leanto_sync_documents WHERE db = ?1 AND id = ?2 AND seq = ?3 RETURNING id'),
  ]
}

/** Whether the document has the sequence that it was read with. */
const still =
  'EXISTS (SELECT 1 FROM leanto_sync_documents d WHERE d.db = ?1 AND d.id = ?2 AND d.seq = ?3)'

const countSql = `UPDATE leanto_sync_databases SET purge_seq = purge_seq + 1, update_seq = update_seq + 1,
     doc_count = doc_count + ?4, del_count = del_count + ?5, bytes = bytes + ?6
   WHERE id = ?1 AND ${still}`

interface Kept {
  id: string
  row: Row
  gone: readonly string[]
  tree: string
  winner: { pos: number; hash: string; deleted: boolean }
}

function keep(scope: Scope, database: DatabaseRow, { id, row, gone, tree, winner }: Kept) {
  const rev = revOf(winner)
  const run = (sql: string, ...more: unknown[]) =>
    scope.db.prepare(sql).bind(database.id, id, row.seq, ...more)
  const drops = JSON.stringify([...gone, rev])
  // A winner that was kept aside comes into the document's row.
  const columns = ['body', 'atts', 'channels'].map(
    (name) =>
      `${name} = CASE WHEN rev = ?4 THEN ${name} ELSE (SELECT r.${name} FROM leanto_sync_revisions r
         WHERE r.db = ?1 AND r.id = ?2 AND r.rev = ?4) END`,
  )
  return [
    run(
      countSql,
      Number(!winner.deleted) - Number(!row.deleted),
      Number(winner.deleted) - row.deleted,
      0,
    ),
    run(
      `UPDATE leanto_sync_documents SET ${columns.join(', ')}, rev = ?4, deleted = ?5, tree = ?6
       WHERE db = ?1 AND id = ?2 AND seq = ?3`,
      rev,
      Number(winner.deleted),
      tree,
    ),
    run(
      `DELETE FROM leanto_sync_revisions WHERE db = ?1 AND id = ?2 AND ${still}
       AND rev IN (SELECT value FROM json_each(?4))`,
      drops,
    ),
    run(
      `UPDATE leanto_sync_documents SET seq = (SELECT update_seq FROM leanto_sync_databases WHERE id = ?1)
       WHERE db = ?1 AND id = ?2 AND seq = ?3 RETURNING id`,
    ),
  ]
}
