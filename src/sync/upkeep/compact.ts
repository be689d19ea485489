import type { Statement } from '../../core/database.ts'
import type { Scope } from '../../core/scope.ts'
import { databaseId, inDatabase, type Place, placed, runAll } from '../database.ts'

/** Whether a revision `r` is a leaf of its document `d`: whether a line of the tree begins with it. */
const isLeaf = `(
  instr(char(10) || replace(d.tree, char(10), ' ' || char(10)) || ' ', char(10) || substr(r.rev, 1, instr(r.rev, '-') - 1)
    || ' ' || substr(r.rev, instr(r.rev, '-') + 1) || ' ') > 0
  OR instr(char(10) || replace(d.tree, char(10), ' ' || char(10)) || ' ', char(10) || substr(r.rev, 1, instr(r.rev, '-') - 1)
    || 'd ' || substr(r.rev, instr(r.rev, '-') + 1) || ' ') > 0)`

/**
 * Drops the bodies of revisions that are no leaves, and the bytes that no revision has. One trip after the database's.
 *
 * @throws {Fault} `not_found` (404).
 * @see https://docs.couchdb.org/en/stable/api/database/compact.html
 */
export async function compact(scope: Scope, place: Place): Promise<void> {
  await inDatabase(
    scope,
    place,
    compactSql.map((sql) => placed(scope, place, sql(databaseId), [])),
  )
}

const attached = (table: string, db: string) =>
  `SELECT a.value ->> 'hash' FROM leanto_sync_${table} t, json_each(t.atts) a WHERE t.db = ${db} AND t.atts IS NOT NULL`

const compactSql = [
  (db: string) =>
    `DELETE FROM leanto_sync_revisions AS r WHERE r.db = ${db} AND NOT EXISTS (
       SELECT 1 FROM leanto_sync_documents d WHERE d.db = r.db AND d.id = r.id AND d.rev <> r.rev AND ${isLeaf})`,
  (db: string) =>
    `DELETE FROM leanto_sync_parts WHERE db = ${db} AND hash NOT IN (
       ${attached('documents', db)} UNION ${attached('revisions', db)})`,
]

/**
 * Forgets tombstones that are older than so many milliseconds, in every database of a name, and raises the sequence under
 * which a checkpoint is too old to be told of them. One trip.
 */
export async function forgetTombstones(
  scope: Scope,
  { pattern, age }: { pattern: string; age: number },
): Promise<void> {
  const before = scope.now() - age
  const old = `d.db = b.id AND d.deleted = 1 AND d.at < ?2`
  const run = (sql: string): Statement => scope.db.prepare(sql).bind(pattern, before)
  await runAll(scope, [
    run(
      `UPDATE leanto_sync_databases AS b SET floor_seq = max(floor_seq, s.newest), del_count = del_count - s.gone,
         bytes = bytes - s.weight
       FROM (SELECT d.db, max(d.seq) newest, count(*) gone, sum(d.size) weight FROM leanto_sync_documents d
         WHERE d.deleted = 1 AND d.at < ?2 GROUP BY d.db) s
       WHERE s.db = b.id AND b.name GLOB ?1`,
    ),
    run(
      `DELETE FROM leanto_sync_revisions AS r WHERE EXISTS (SELECT 1 FROM leanto_sync_databases b
         CROSS JOIN leanto_sync_documents d ON d.id = r.id AND ${old} WHERE b.id = r.db AND b.name GLOB ?1)`,
    ),
    run(
      `DELETE FROM leanto_sync_documents AS d WHERE EXISTS (
         SELECT 1 FROM leanto_sync_databases b WHERE ${old} AND b.name GLOB ?1)`,
    ),
  ])
}
