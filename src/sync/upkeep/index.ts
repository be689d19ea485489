import type { Scope } from '../../core/scope.ts'
import { rowsOf } from '../database.ts'
import { demand } from '../permission.ts'
import { type Asked, bodyOf, type Find } from '../request.ts'
import type { Part } from '../routes.ts'
import { compact, dropLooseBytes, forgetTombstones } from './compact.ts'
import { purge } from './purge.ts'

/**
 * Keeping databases small: `_compact` and `_purge`; and once a day, at a cron trigger, tombstones that are older than a
 * database's `tombstones` says are forgotten, and the bytes of attachments that no document has any more. `sync(base, { identity, databases, parts: [upkeep] })`.
 */
export const upkeep: Part = Object.freeze<Part>({
  routes: (inDb) => [
    inDb('POST', '/:db/_purge', postPurge),
    inDb('POST', '/:db/_compact', postCompact),
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

async function postCompact({ scope, place }: Asked): Promise<Response> {
  demand(place, 'admin')
  await compact(scope, place)
  return Response.json({ ok: true }, { status: 202 })
}
