import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { databaseId, type Place, placed } from './database.ts'
import { channelsOf, seenSql } from './permission.ts'
import { decodeTree, pathOf } from './rev-tree.ts'
import { hex, parseRev } from './revision.ts'

/*
 * What someone saw and sees no more, because it left their channels or they did, has to go from their devices. The feed
 * tells them so by a tombstone that is made for them: a child of the last revision that they could see. It is in no
 * revision tree here, is known when a device offers it, and is the same whenever it is made.
 */

/** That a document left a channel, or a person's sight, with the last revision that was seen there. */
export interface LeftRow {
  id: string
  seq: number
  rev: string
  tree: string
}

/** Under which a person's own losses are kept, beside the channels. No channel of the host begins so. */
export const lossesOf = ({ who }: Place): string => `\u0001${who.id ?? ''}`

/** The condition that a row `l` of what left is of who asks, and that they do not see its document `d` now. */
export function leftSql(place: Place, values: unknown[]): string {
  const mine = [...(channelsOf(place) ?? []), lossesOf(place)]
  values.push(JSON.stringify(mine))
  const channels = `?${values.length + 2}`
  return `l.channel IN (SELECT value FROM json_each(${channels})) AND NOT ${seenSql(place, values)}`
}

/** Reads what left who asks, of some documents. */
export function leftStatement(scope: Scope, place: Place, ids: readonly string[]): Statement {
  const values: unknown[] = [JSON.stringify(ids)]
  const left = leftSql(place, values)
  return placed(
    scope,
    place,
    `SELECT l.id, l.seq, l.rev, d.tree FROM json_each(?3) w
     CROSS JOIN leanto_sync_left l ON l.db = ${databaseId} AND l.id = w.value
     CROSS JOIN leanto_sync_documents d ON d.db = l.db AND d.id = l.id WHERE ${left}`,
    values,
  )
}

/** The revision of the tombstone that is made for who lost a document. */
export async function lossRev({ id, rev }: Pick<LeftRow, 'id' | 'rev'>): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(['left', id, rev]))
  const hash = hex(await crypto.subtle.digest('SHA-256', bytes)).slice(0, 32)
  return `${parseRev(rev).pos + 1}-${hash}`
}

/** That tombstone, with the history that its reader knows, as text. */
export async function lossText(row: LeftRow, revs: boolean): Promise<string> {
  const rev = await lossRev(row)
  const { pos, hash } = parseRev(rev)
  const before = pathOf(decodeTree(row.tree), row.rev).map((node) => node.hash)
  const ids = [hash, ...(before.length > 0 ? before : [parseRev(row.rev).hash])]
  return JSON.stringify({
    _id: row.id,
    _rev: rev,
    _deleted: true,
    ...(revs ? { _revisions: { start: pos, ids } } : {}),
  })
}
