import type { Scope } from '../../core/scope.ts'
import { databaseId, inDatabase, type Place, placed, rowsOf } from '../database.ts'
import { seenSql } from '../permission.ts'
import { type FullRow, fullColumns, visible } from '../read.ts'
import { decodeTree, leavesOf, revOf } from '../rev-tree.ts'
import { blobsFor, documentText, type Show, type VersionRow } from '../version.ts'

const rowsAtOnce = 500

/**
 * Streams all living documents with their histories, as lines of JSON: `{ db_name, update_seq }`, a document each, then
 * `{ last_seq }`. A new device writes them with `new_edits: false`, and goes on by the feed from `last_seq`.
 *
 * @throws {Fault} `not_found` (404).
 */
export async function snapshot(
  scope: Scope,
  place: Place,
  { attachments }: { attachments: boolean },
): Promise<Response> {
  const show: Show = { revs: true, attachments }
  const first = await part(scope, place, 0)
  const encoder = new TextEncoder()
  const { database } = first
  async function* lines() {
    yield `${JSON.stringify({ db_name: database.name, update_seq: database.update_seq })}\n`
    for (let rows = first; rows.rows.length > 0; ) {
      const all = await withLeaves(scope, place, database.id, rows.rows)
      const blobs = await blobsFor(scope, database.id, all, show)
      yield all.map(({ row, whole }) => `${documentText(row, show, whole, blobs)}\n`).join('')
      if (rows.rows.length < rowsAtOnce) break
      rows = await part(scope, place, rows.rows.at(-1)?.seq ?? 0)
    }
    // That of the beginning: what changed since comes again, in the feed.
    yield `${JSON.stringify({ last_seq: database.update_seq })}\n`
  }
  const text = lines()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await text.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
  })
  return new Response(body, { status: 200, headers: { 'content-type': 'application/x-ndjson' } })
}

async function part(scope: Scope, place: Place, after: number) {
  const values: unknown[] = [after, rowsAtOnce]
  const seen = seenSql(place, values)
  const { database, results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT ${fullColumns} FROM leanto_sync_documents d
       WHERE d.db = ${databaseId} AND d.seq > ?3 AND d.deleted = 0 AND ${seen} ORDER BY d.seq LIMIT ?4`,
      values,
    ),
  ])
  return { database, rows: (results[0]?.results ?? []) as unknown as FullRow[] }
}

/** Documents in conflict, with those of their leaves that live. */
async function withLeaves(scope: Scope, place: Place, database: number, rows: readonly FullRow[]) {
  const torn = new Map(rows.filter(({ tree }) => tree.includes('\n')).map((row) => [row.id, row]))
  const all = rows.map((row) => ({ row: row as VersionRow, whole: row, tree: row.tree }))
  if (torn.size === 0) return all
  const results = await rowsOf<VersionRow>(
    scope,
    scope.db
      .prepare(
        `SELECT r.* FROM json_each(?2) w CROSS JOIN leanto_sync_revisions r ON r.db = ?1 AND r.id = w.value
       WHERE r.deleted = 0`,
      )
      .bind(database, JSON.stringify([...torn.keys()])),
  )
  for (const row of results) {
    const whole = torn.get(row.id) as FullRow
    const leaves = leavesOf(decodeTree(whole.tree)).map(revOf)
    if (row.rev === whole.rev || !leaves.includes(row.rev) || !visible(place, row)) continue
    all.push({ row, whole, tree: whole.tree })
  }
  return all
}
