import { databaseId, inDatabase, placed, rowsOf, runAll } from '../database.ts'
import { isObject } from '../document.ts'
import { bad, syncFaults } from '../faults.ts'
import { channelsOf, demand } from '../permission.ts'
import type { Asked } from '../request.ts'
import { hex } from '../revision.ts'

interface DesignRow {
  id: string
  body: string
  deleted: number
}

/** What the rows of a design document's views, and of its indexes, go by. */
function sourcesOf({ id, body }: DesignRow): string[] {
  const { views } = JSON.parse(body) as { views?: unknown }
  const names = isObject(views) ? Object.keys(views) : []
  return names.flatMap((name) => [`view:${id.slice('_design/'.length)}/${name}`, `${id}/${name}`])
}

const designsSql = `SELECT id, body, deleted FROM leanto_sync_documents WHERE db = ${databaseId}`

/**
 * Drops what is kept of views and indexes that neither a design document nor the host has any more. Two trips.
 *
 * @see https://docs.couchdb.org/en/stable/api/database/compact.html#db-view-cleanup
 */
export async function postCleanup({ scope, place }: Asked): Promise<Response> {
  demand(place, 'admin')
  const { database, results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `${designsSql} AND id >= '_design/' AND id < '_design0' AND deleted = 0`,
      [],
    ),
  ])
  const designs = (results[0]?.results ?? []) as unknown as DesignRow[]
  const kept = JSON.stringify([
    ...designs.flatMap(sourcesOf),
    ...Object.keys(place.definition.rules.views ?? {}).map((name) => `view:${name}`),
  ])
  const gone = 'db = ?1 AND name NOT IN (SELECT value FROM json_each(?2))'
  const run = (sql: string) => scope.db.prepare(sql).bind(database.id, kept)
  await runAll(scope, [
    run(
      `DELETE FROM leanto_sync_rows WHERE view IN (SELECT id FROM leanto_sync_views WHERE ${gone})`,
    ),
    run(`DELETE FROM leanto_sync_views WHERE ${gone}`),
  ])
  return Response.json({ ok: true }, { status: 202 })
}

/**
 * What is kept of a design document's views. Two trips; it reads every row of theirs, for the sizes.
 *
 * @throws {Fault} `not_found` (404), `forbidden` (403) for who does not see all channels.
 * @see https://docs.couchdb.org/en/stable/api/ddoc/common.html#db-design-design-doc-info
 */
export async function readInfo({ scope, place, rest }: Asked): Promise<Response> {
  demand(place, 'read')
  if (channelsOf(place) !== null)
    throw bad('forbidden', 'It counts what is in every channel: you do not see all of them.')
  const name = rest[1] as string
  const { database, results } = await inDatabase(scope, place, [
    placed(scope, place, `${designsSql} AND id = ?3`, [`_design/${name}`]),
  ])
  const design = results[0]?.results[0] as DesignRow | undefined
  if (!design) throw syncFaults.not_found()
  if (design.deleted) throw bad('not_found', 'deleted')
  const { language = 'javascript', views = {} } = JSON.parse(design.body)
  const [kept] = await rowsOf<{ seq: number; size: number }>(
    scope,
    scope.db
      .prepare(
        `SELECT coalesce(min(v.seq), 0) seq, coalesce(sum((SELECT sum(length(r.key) + length(r.value))
           FROM leanto_sync_rows r WHERE r.view = v.id)), 0) size
         FROM leanto_sync_views v WHERE v.db = ?1 AND v.name IN (SELECT value FROM json_each(?2))`,
      )
      .bind(database.id, JSON.stringify(sourcesOf(design))),
  )
  const { seq = 0, size = 0 } = kept ?? {}
  const text = new TextEncoder().encode(JSON.stringify([language, views]))
  const signature = hex(await crypto.subtle.digest('SHA-256', text)).slice(0, 32)
  const pending = database.update_seq - seq
  return Response.json(
    {
      name,
      view_index: {
        updates_pending: { minimum: pending, preferred: pending, total: pending },
        waiting_commit: false,
        waiting_clients: 0,
        updater_running: false,
        update_seq: seq,
        sizes: { file: size, external: size, active: size },
        signature,
        purge_seq: database.purge_seq,
        language,
        compact_running: false,
        collator_versions: [],
      },
    },
    { status: 200 },
  )
}
