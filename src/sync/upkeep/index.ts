import type { Scope } from '../../core/scope.ts'
import { rowsOf } from '../database.ts'
import { demand } from '../permission.ts'
import { getDocument } from '../read.ts'
import { type Asked, bodyOf, demandJson, type Find } from '../request.ts'
import { revsDiff } from '../revs-diff.ts'
import type { Part } from '../routes.ts'
import { compact, dropLooseBytes, forgetTombstones } from './compact.ts'
import { purge } from './purge.ts'
import { serverRoutes } from './server.ts'

/**
 * Keeping databases small: `_compact` and `_purge`, with `_missing_revs`, `_dbs_info` and `_active_tasks`; and once a day, at a cron trigger, tombstones that are older than a
 * database's `tombstones` says are forgotten, and the bytes of attachments that no document has any more. `sync(base, { identity, databases, parts: [upkeep] })`.
 */
export const upkeep: Part = Object.freeze<Part>({
  server: serverRoutes,
  routes: (inDb) => [
    inDb('POST', '/:db/_purge', postPurge),
    inDb('POST', '/:db/_compact', postCompact),
    inDb('POST', '/:db/_compact/:ddoc', postCompactViews),
    inDb('POST', '/:db/_missing_revs', postMissingRevs),
  ],
  async scheduled(scope, find) {
    if (await isDue(scope)) await tidy(scope, find)
  },
})

const day = 24 * 60 * 60 * 1000
/** How many databases one run looks through for bytes that are loose. */
const mostTidied = 20

/** Whether a day has gone since it last ran; if so it counts as run. One trip. */
async function isDue(scope: Scope): Promise<boolean> {
  const claimed = await rowsOf(
    scope,
    scope.db
      .prepare(
        `INSERT INTO leanto_sync_upkeep (id, at) VALUES (1, ?1)
         ON CONFLICT (id) DO UPDATE SET at = excluded.at WHERE at <= excluded.at - ?2 RETURNING id`,
      )
      .bind(scope.now(), day),
  )
  return claimed.length > 0
}

async function tidy(scope: Scope, find: Find): Promise<void> {
  const databases = await rowsOf<{ id: number; name: string; update_seq: number; loose: number }>(
    scope,
    scope.db.prepare(
      `SELECT id, name, update_seq, update_seq > tidied_seq
         AND EXISTS (SELECT 1 FROM leanto_sync_parts p WHERE p.db = b.id) loose
       FROM leanto_sync_databases b`,
    ),
  )
  const byAge = Map.groupBy(databases, ({ name }) => find(name)?.definition.rules.tombstones)
  for (const [days, some] of byAge)
    if (days !== undefined)
      await forgetTombstones(scope, { databases: some.map(({ id }) => id), age: days * day })
  for (const { id, update_seq } of databases.filter(({ loose }) => loose).slice(0, mostTidied))
    await dropLooseBytes(scope, id, update_seq)
}

async function postPurge({ scope, place, ...asked }: Asked): Promise<Response> {
  demand(place, 'admin')
  const body = await bodyOf({ scope, place, ...asked })
  return Response.json(await purge(scope, place, body), { status: 201 })
}

/** As `_revs_diff`, in CouchDB's older words. One trip. */
async function postMissingRevs(asked: Asked): Promise<Response> {
  const { scope, place } = asked
  demand(place, 'read')
  const diff = await revsDiff(scope, place, await bodyOf(asked))
  const missing = Object.entries(diff).map(([id, { missing: revs }]) => [id, revs])
  return Response.json({ missing_revs: Object.fromEntries(missing) }, { status: 200 })
}

/** There is nothing to do: a view keeps no row but those that it has. @throws {Fault} `not_found` (404). */
async function postCompactViews(asked: Asked): Promise<Response> {
  const { scope, place, rest } = asked
  demand(place, 'admin')
  demandJson(asked)
  await getDocument(scope, place, { id: `_design/${rest[1]}`, show: {} })
  return Response.json({ ok: true }, { status: 202 })
}

async function postCompact(asked: Asked): Promise<Response> {
  const { scope, place } = asked
  demand(place, 'admin')
  demandJson(asked)
  await compact(scope, place)
  return Response.json({ ok: true }, { status: 202 })
}
