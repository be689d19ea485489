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
 * Drops the bodies of revisions that are no leaves, and the bytes that no revision has. One trip.
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

const dropBytes = (db: string) =>
  `DELETE FROM leanto_sync_parts WHERE db = ${db} AND hash NOT IN (
     ${attached('documents', db)} UNION ${attached('revisions', db)})`

const compactSql = [
  (db: string) =>
    `DELETE FROM leanto_sync_revisions AS r WHERE r.db = ${db} AND NOT EXISTS (
       SELECT 1 FROM leanto_sync_documents d WHERE d.db = r.db AND d.id = r.id AND d.rev <> r.rev AND ${isLeaf})`,
  dropBytes,
]

/** Drops the bytes that no revision has any more. One trip. */
export async function dropLooseBytes(scope: Scope, database: number, seq: number): Promise<void> {
  await runAll(scope, [
    scope.db.prepare(dropBytes('?1')).bind(database),
    scope.db
      .prepare('UPDATE leanto_sync_databases SET tidied_seq = ?2 WHERE id = ?1')
      .bind(database, seq),
  ])
}

/**
 * Forgets the tombstones of some databases that are older than so many milliseconds, and raises the sequence under which a
 * checkpoint is too old to be told of them. One trip.
 *
 * @param databases Their ids.
 */
export async function forgetTombstones(
  scope: Scope,
  { databases, age }: { databases: readonly number[]; age: number },
): Promise<void> {
  const before = scope.now() - age
  const ids = JSON.stringify(databases)
  const run = (sql: string): Statement => scope.db.prepare(sql).bind(ids, before)
  const old = `json_each(?1) w CROSS JOIN leanto_sync_documents d INDEXED BY leanto_sync_documents_dead
    ON d.db = w.value AND d.deleted = 1 AND d.at < ?2`
  await runAll(scope, [
    run(
      `UPDATE leanto_sync_databases AS b SET floor_seq = max(floor_seq, s.newest), del_count = del_count - s.gone,
         bytes = bytes - s.weight
       FROM (SELECT d.db, max(d.seq) newest, count(*) gone, sum(d.size) weight FROM ${old} GROUP BY d.db) s
       WHERE s.db = b.id`,
    ),
    run(`DELETE FROM leanto_sync_revisions WHERE (db, id) IN (SELECT d.db, d.id FROM ${old})`),
    run(`DELETE FROM leanto_sync_left WHERE (db, id) IN (SELECT d.db, d.id FROM ${old})`),
    run(`DELETE FROM leanto_sync_documents WHERE (db, seq) IN (SELECT d.db, d.seq FROM ${old})`),
  ])
}
