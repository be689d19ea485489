import type { Scope } from '../../core/scope.ts'
import { databaseId, inDatabase, type Place, placed, runAll } from '../database.ts'
import { isObject } from '../document.ts'
import { demand } from '../permission.ts'
import type { Asked } from '../request.ts'
import { type DesignRow, memberOf } from './design.ts'

/**
 * Drops what is kept of views that neither a design document nor the host has any more. Two trips.
 *
 * @see https://docs.couchdb.org/en/stable/api/database/compact.html#db-view-cleanup
 */
export async function postCleanup({ scope, place }: Asked): Promise<Response> {
  demand(place, 'admin')
  await cleanUp(scope, place)
  return Response.json({ ok: true }, { status: 202 })
}

async function cleanUp(scope: Scope, place: Place): Promise<void> {
  const { database, results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT id, body FROM leanto_sync_documents WHERE db = ${databaseId} AND id >= '_design/' AND id < '_design0'
       AND deleted = 0`,
      [],
    ),
  ])
  const stored = ((results[0]?.results ?? []) as unknown as DesignRow[]).flatMap(({ id, body }) => {
    const views = memberOf(JSON.parse(body), ['views'])
    return isObject(views)
      ? Object.keys(views).map((view) => `${id.slice('_design/'.length)}/${view}`)
      : []
  })
  const names = [...stored, ...Object.keys(place.definition.rules.views ?? {})]
  const kept = JSON.stringify(names.map((name) => `view:${name}`))
  const gone = `db = ?1 AND name LIKE 'view:%' AND name NOT IN (SELECT value FROM json_each(?2))`
  const run = (sql: string) => scope.db.prepare(sql).bind(database.id, kept)
  await runAll(scope, [
    run(
      `DELETE FROM leanto_sync_rows WHERE view IN (SELECT id FROM leanto_sync_views WHERE ${gone})`,
    ),
    run(`DELETE FROM leanto_sync_views WHERE ${gone}`),
  ])
}
