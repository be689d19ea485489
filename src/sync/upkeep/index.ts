import { demand } from '../permission.ts'
import { type Asked, bodyOf } from '../request.ts'
import type { Part } from '../routes.ts'
import { compact, forgetTombstones } from './compact.ts'
import { purge } from './purge.ts'

/**
 * Keeping databases small: `_compact` and `_purge`, and at every cron trigger the tombstones that are older than a
 * database's `tombstones` says. `sync(base, { identity, databases, parts: [upkeep] })`.
 */
export const upkeep: Part = Object.freeze<Part>({
  routes: (inDb) => [
    inDb('POST', '/:db/_purge', postPurge),
    inDb('POST', '/:db/_compact', postCompact),
  ],
  async scheduled(scope, databases) {
    for (const [pattern, { rules }] of databases)
      if (rules.tombstones !== undefined)
        await forgetTombstones(scope, { pattern, age: rules.tombstones * 24 * 60 * 60 * 1000 })
  },
})

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
