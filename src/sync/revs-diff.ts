import type { Scope } from '../core/scope.ts'
import { databaseId, inDatabase, type Place, placed } from './database.ts'
import { isObject } from './document.ts'
import { bad } from './faults.ts'
import { type LeftRow, leftStatement, lossRev } from './left.ts'
import { channelsOf, sees } from './permission.ts'
import { decodeTree, leavesOf, revOf } from './rev-tree.ts'
import { parseRev } from './revision.ts'

export type RevsDiff = Record<string, { missing: string[]; possible_ancestors?: string[] }>

/**
 * Which of the given revisions are not here. One trip.
 *
 * @param body `{ <id>: [<rev>, …] }`
 * @returns Ids of which all are here are left out.
 * @throws {Fault} `bad_request` (400).
 * @see https://docs.couchdb.org/en/stable/api/database/misc.html#db-revs-diff
 */
export async function revsDiff(scope: Scope, place: Place, body: unknown): Promise<RevsDiff> {
  const asked = parseAsked(body)
  const mine = channelsOf(place)
  const { results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT d.id, d.tree, d.channels FROM json_each(?3) w
       CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = w.value`,
      [JSON.stringify(asked.map(([id]) => id))],
    ),
    ...(mine === null
      ? []
      : [
          leftStatement(
            scope,
            place,
            asked.map(([id]) => id),
          ),
        ]),
  ])
  const rows = (results[0]?.results ?? []) as {
    id: string
    tree: string
    channels: string | null
  }[]
  const trees = new Map(
    rows
      // What someone may not see is as unknown to them as what is not there.
      .filter(({ channels }) => sees(mine, channels === null ? null : JSON.parse(channels)))
      .map(({ id, tree }) => [id, tree]),
  )
  // What a device was told to remove, it is not asked for.
  const told = new Set(
    await Promise.all(
      ((results[1]?.results ?? []) as unknown as LeftRow[]).map(
        async (row) => `${row.id} ${await lossRev(row)}`,
      ),
    ),
  )
  const diff: [string, RevsDiff[string]][] = []
  for (const [id, revs] of asked) {
    const tree = decodeTree(trees.get(id) ?? '')
    const missing = revs.filter((rev) => !tree.has(rev) && !told.has(`${id} ${rev}`))
    if (missing.length === 0) continue
    const newest = Math.max(...missing.map((rev) => parseRev(rev).pos))
    const ancestors = leavesOf(tree)
      .filter(({ pos }) => pos < newest)
      .map(revOf)
    diff.push([id, { missing, ...(ancestors.length > 0 ? { possible_ancestors: ancestors } : {}) }])
  }
  return Object.fromEntries(diff)
}

function parseAsked(body: unknown): [string, string[]][] {
  if (!isObject(body)) throw bad('bad_request', 'Request body must be a JSON object')
  return Object.entries(body).map(([id, revs]) => {
    if (!Array.isArray(revs)) throw bad('bad_request', 'Revisions must be a JSON array')
    for (const rev of revs) parseRev(rev)
    return [id, revs as string[]]
  })
}
