import type { Scope } from '../core/scope.ts'
import { type DatabaseRow, databaseId, inDatabase, type Place, placed, rowsOf } from './database.ts'
import { again, asHost, writeKept } from './edit.ts'
import { syncFaults } from './faults.ts'
import { lossesOf } from './left.ts'
import { channelsOf } from './permission.ts'
import { type FullRow, fullColumns } from './read.ts'

const rounds = 5
const documentsAtOnce = 200

/**
 * Compares the channels of who asks with those that they had when they last asked for the feed. What they lost is kept for
 * their devices to be told; what they gained comes again in the feed, as if it had changed. One trip if nothing differs.
 *
 * Gaining costs two rows for each document of the channel, as its place in the feed moves; one that was lost before is
 * edited, because a device has it below a tombstone.
 */
export async function followMembership(scope: Scope, place: Place): Promise<void> {
  const mine = channelsOf(place)
  if (mine === null || place.who.id === null) return
  const now = JSON.stringify([...mine].sort())
  for (let round = 0; round < rounds; round++) {
    const { database, results } = await inDatabase(scope, place, [
      placed(
        scope,
        place,
        `SELECT channels FROM leanto_sync_members WHERE db = ${databaseId} AND who = ?3`,
        [place.who.id],
      ),
    ])
    const before = (results[0]?.results[0] as { channels: string } | undefined)?.channels
    if (before === now) return
    if (await change(scope, place, { database, before, now })) return touchRegained(scope, place)
  }
  throw syncFaults.service_unavailable()
}

interface Changed {
  database: DatabaseRow
  /** `undefined` for who asks the first time: they have nothing yet. */
  before: string | undefined
  now: string
}

const isIn = (list: string) =>
  `EXISTS (SELECT 1 FROM json_each(d.channels) c WHERE c.value IN (SELECT value FROM json_each(${list})))`

/** @returns Whether it was written: not if another request of theirs did the same. */
async function change(
  scope: Scope,
  place: Place,
  { database, before, now }: Changed,
): Promise<boolean> {
  const run = (sql: string, ...more: unknown[]) => scope.db.prepare(sql).bind(database.id, ...more)
  const { id } = place.who
  const old: string[] = before === undefined ? [] : JSON.parse(before)
  const current: string[] = JSON.parse(now)
  const gained = JSON.stringify(current.filter((channel) => !old.includes(channel)))
  const lost = JSON.stringify(old.filter((channel) => !current.includes(channel)))
  const statements = [
    run(
      `SELECT CASE WHEN (SELECT channels FROM leanto_sync_members WHERE db = ?1 AND who = ?2) IS ?3
         THEN 1 ELSE json('stale') END`,
      id,
      before ?? null,
    ),
    ...(before === undefined
      ? []
      : [
          run('UPDATE leanto_sync_databases SET update_seq = update_seq + 1 WHERE id = ?1'),
          run(
            `INSERT INTO leanto_sync_left (db, channel, id, seq, rev)
             SELECT d.db, ?2, d.id, b.update_seq, d.rev FROM leanto_sync_databases b
             CROSS JOIN leanto_sync_documents d ON d.db = b.id
             WHERE b.id = ?1 AND ${isIn('?3')} AND NOT ${isIn('?4')}
             ON CONFLICT (db, channel, id) DO UPDATE SET seq = excluded.seq, rev = excluded.rev`,
            lossesOf(place),
            lost,
            now,
          ),
          run(
            `UPDATE leanto_sync_documents AS d SET seq = s.fresh FROM (
               SELECT d.id, b.update_seq + row_number() OVER (ORDER BY d.seq) fresh FROM leanto_sync_databases b
               CROSS JOIN leanto_sync_documents d ON d.db = b.id WHERE b.id = ?1 AND ${isIn('?2')}) s
             WHERE d.db = ?1 AND d.id = s.id`,
            gained,
          ),
          run(
            `UPDATE leanto_sync_databases SET update_seq = max(update_seq,
               (SELECT max(seq) FROM leanto_sync_documents WHERE db = ?1)) WHERE id = ?1`,
          ),
        ]),
    run(
      `INSERT INTO leanto_sync_members (db, who, channels) VALUES (?1, ?2, ?3)
       ON CONFLICT (db, who) DO UPDATE SET channels = excluded.channels`,
      id,
      now,
    ),
  ]
  try {
    await scope.db.batch(statements)
    return true
  } catch (cause) {
    if (String(cause).includes('malformed JSON')) return false
    throw syncFaults.service_unavailable({ cause })
  }
}

/** Edits, without a change, what someone had lost and sees again. */
async function touchRegained(scope: Scope, place: Place): Promise<void> {
  for (;;) {
    const { database, results } = await inDatabase(scope, place, [
      placed(
        scope,
        place,
        `SELECT ${fullColumns} FROM leanto_sync_left l
         CROSS JOIN leanto_sync_documents d ON d.db = l.db AND d.id = l.id
         WHERE l.db = ${databaseId} AND l.channel = ?3 AND ${isIn('?4')} LIMIT ?5`,
        [lossesOf(place), JSON.stringify([...(channelsOf(place) ?? [])]), documentsAtOnce],
      ),
    ])
    const rows = (results[0]?.results ?? []) as unknown as FullRow[]
    if (rows.length === 0) return
    const living = rows.filter(({ deleted }) => !deleted)
    await writeKept(
      scope,
      asHost(place),
      living.map((row) => again(row, row.id, row.rev)),
    )
    await rowsOf(
      scope,
      scope.db
        .prepare(
          `DELETE FROM leanto_sync_left WHERE db = ?1 AND channel = ?2
         AND id IN (SELECT value FROM json_each(?3))`,
        )
        .bind(database.id, lossesOf(place), JSON.stringify(rows.map(({ id }) => id))),
    )
  }
}
