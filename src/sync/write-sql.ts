import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { databaseId, type Place, placed } from './database.ts'
import type { Plan } from './state.ts'

/**
 * The statements that write what was planned for some documents, each if it still has the sequence that the plan was made
 * for. All in one transaction: (1) winners that are needed yet move aside, (2) the rows, whose `RETURNING` tells which
 * were won, (3) revisions that are kept aside, (4) those that are dropped, (5) channels that were left, (6) the
 * sequence and the counts.
 *
 * @param input.database Its id, if it was read before: in one that was made anew since nothing is written.
 * @param input.room How many bytes the database may have before the write.
 * @returns Also which of them is (2).
 *
 * `FROM … CROSS JOIN` fixes the order of a join: the other way round SQLite reads every document of the database for each.
 */
export function writeStatements(
  scope: Scope,
  place: Place,
  input: { database: number | null; plans: readonly Plan[]; room: number },
): { statements: Statement[]; rowsAt: number } {
  const { database, plans, room } = input
  const run = (sql: string, rows: unknown, ...more: unknown[]) =>
    placed(scope, place, sql, [JSON.stringify(rows), ...more])
  const spills = plans.filter(({ spill }) => spill).map(({ id, prev }) => [id, prev])
  const aside = plans.flatMap(({ id, losers }, i) =>
    losers.map(({ rev, deleted, channels, attachments, body }) => [
      i,
      id,
      rev,
      Number(deleted),
      textOf(channels),
      textOf(attachments),
      body,
    ]),
  )
  const drops = plans.flatMap(({ id, drops }, i) => drops.map((rev) => [i, id, rev]))
  const left = plans.flatMap(({ id, oldChannels, oldRev }, i) =>
    oldChannels === null ? [] : [[i, id, oldChannels, oldRev]],
  )
  const statements = [
    ...(spills.length > 0 ? [run(spillSql, spills)] : []),
    run(rowsSql, plans.map(rowOf), scope.now(), room, database),
    ...(aside.length > 0 ? [run(asideSql, aside)] : []),
    ...(drops.length > 0 ? [run(dropSql, drops)] : []),
    ...(left.length > 0 ? [run(leftSql, left)] : []),
    run(
      countSql,
      plans.map(({ id, countDelta, deletedDelta, oldSize }) => [
        id,
        countDelta,
        deletedDelta,
        oldSize,
      ]),
    ),
  ]
  return { statements, rowsAt: spills.length > 0 ? 1 : 0 }
}

const textOf = (value: unknown): string | null => (value === null ? null : JSON.stringify(value))

const rowOf = ({ id, prev, rev, deleted, size, tree, winner }: Plan) => [
  id,
  prev,
  rev,
  Number(deleted),
  size,
  tree,
  winner ? textOf(winner.channels) : null,
  winner ? textOf(winner.attachments) : null,
  winner?.body ?? null,
]

const spillSql = `
  INSERT OR REPLACE INTO leanto_sync_revisions (db, id, rev, deleted, channels, atts, body)
  SELECT d.db, d.id, d.rev, d.deleted, d.channels, d.atts, d.body
  FROM json_each(?3) p CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = p.value ->> 0
  WHERE d.seq = p.value ->> 1`

/** Of a winner that was not brought: the row that is kept aside, if it is another than before. */
const kept = (column: string) =>
  `(SELECT r.${column} FROM leanto_sync_revisions r
    WHERE r.db = ${databaseId} AND r.id = p.value ->> 0 AND r.rev = p.value ->> 2)`

const rowsSql = `
  INSERT INTO leanto_sync_documents (db, seq, id, rev, deleted, size, at, born, tree, channels, atts, body)
  SELECT b.id, b.update_seq + 1 + p.key, p.value ->> 0, p.value ->> 2, p.value ->> 3,
    coalesce(p.value ->> 4, length(CAST(${kept('body')} AS BLOB)), d.size), ?4, b.update_seq + 1 + p.key,
    p.value ->> 5,
    CASE WHEN p.value ->> 8 IS NOT NULL THEN p.value ->> 6
      WHEN d.rev = p.value ->> 2 THEN d.channels ELSE ${kept('channels')} END,
    CASE WHEN p.value ->> 8 IS NOT NULL THEN p.value ->> 7
      WHEN d.rev = p.value ->> 2 THEN d.atts ELSE ${kept('atts')} END,
    CASE WHEN p.value ->> 8 IS NOT NULL THEN p.value ->> 8
      WHEN d.rev = p.value ->> 2 THEN d.body ELSE ${kept('body')} END
  FROM leanto_sync_databases b CROSS JOIN json_each(?3) p
  LEFT JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = p.value ->> 0
  WHERE b.id = ${databaseId} AND coalesce(d.seq, 0) = p.value ->> 1 AND b.bytes <= ?5 AND b.id = coalesce(?6, b.id)
  ON CONFLICT (db, id) DO UPDATE SET seq = excluded.seq, rev = excluded.rev, deleted = excluded.deleted,
    size = excluded.size, at = excluded.at, tree = excluded.tree, channels = excluded.channels, atts = excluded.atts,
    body = excluded.body
  RETURNING id, seq`

/** Those rows of the request that were won have the sequence that they were given. */
const won = `CROSS JOIN leanto_sync_databases b ON b.id = ${databaseId}
  CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = p.value ->> 1`

const asideSql = `
  INSERT OR REPLACE INTO leanto_sync_revisions (db, id, rev, deleted, channels, atts, body)
  SELECT d.db, d.id, p.value ->> 2, p.value ->> 3, p.value ->> 4, p.value ->> 5, p.value ->> 6
  FROM json_each(?3) p ${won} WHERE d.seq = b.update_seq + 1 + (p.value ->> 0)`

const dropSql = `
  DELETE FROM leanto_sync_revisions WHERE (db, id, rev) IN (
    SELECT d.db, d.id, p.value ->> 2
    FROM json_each(?3) p ${won} WHERE d.seq = b.update_seq + 1 + (p.value ->> 0))`

/** The channels that a document was in and is no more. */
const leftSql = `
  INSERT INTO leanto_sync_left (db, channel, id, seq, rev)
  SELECT d.db, c.value, d.id, d.seq, p.value ->> 3
  FROM json_each(?3) p ${won} CROSS JOIN json_each(p.value ->> 2) c
  WHERE d.seq = b.update_seq + 1 + (p.value ->> 0)
    AND NOT EXISTS (SELECT 1 FROM json_each(coalesce(d.channels, '[]')) n WHERE n.value = c.value)
  ON CONFLICT (db, channel, id) DO UPDATE SET seq = excluded.seq, rev = excluded.rev`

const countSql = `
  UPDATE leanto_sync_databases AS b SET update_seq = b.update_seq + s.planned, doc_count = b.doc_count + s.living,
    del_count = b.del_count + s.dead, bytes = b.bytes + s.grown
  FROM (
    SELECT count(*) won, (SELECT count(*) FROM json_each(?3)) planned, coalesce(sum(p.value ->> 1), 0) living,
      coalesce(sum(p.value ->> 2), 0) dead, coalesce(sum(d.size - (p.value ->> 3)), 0) grown
    FROM json_each(?3) p CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = p.value ->> 0
    WHERE d.seq = (SELECT update_seq FROM leanto_sync_databases WHERE id = ${databaseId}) + 1 + p.key
  ) s
  WHERE b.id = ${databaseId} AND s.won > 0`
