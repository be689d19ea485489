import type { QueryResult, Statement } from '../core/database.ts'
import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import { databaseId, inDatabase, type Place, placed, runAll } from './database.ts'
import { checkDocId, isObject } from './document.ts'
import { bad, errorOf } from './faults.ts'
import { type LeftRow, leftStatement, lossRev, lossText } from './left.ts'
import { channelsOf } from './permission.ts'
import { columnsFor, type Found, type FullRow, openRevisions, visible } from './read.ts'
import { parseRev } from './revision.ts'
import { blobsFor, documentText, type Show, type VersionRow } from './version.ts'

interface Wanted {
  id: string
  /** `undefined` for every leaf. */
  rev: string | undefined
  since: string[] | undefined
}

type Refused = { id: unknown; rev: unknown; error: string; reason: string }

/** D1's answers are held in memory as a whole: bytes are read for so many documents at once. */
const most = 10_000

/**
 * Revisions of many documents. One trip, one more if a revision is asked for that is not its document's winner, and one
 * for the bytes of attachments.
 *
 * @param body `{ docs: [{ id, rev?, atts_since? }, …] }`
 * @returns `{ results: [{ id, docs: [{ ok } | { error }] }] }`, as text.
 * @see https://docs.couchdb.org/en/stable/api/database/bulk-api.html#db-bulk-get
 */
export async function bulkGet(
  scope: Scope,
  place: Place,
  { body, show, latest }: { body: unknown; show: Show; latest: boolean },
): Promise<string> {
  const asked = parseBody(body)
  const wanted = asked.filter((one): one is Wanted => !('error' in one))
  const ids = [...new Set(wanted.map(({ id }) => id))]
  const { database, results } = await inDatabase(scope, place, [
    documents(scope, place, ids),
    ...(channelsOf(place) === null ? [] : [leftStatement(scope, place, ids)]),
  ])
  const losses = new Map(
    await Promise.all(
      ((results[1]?.results ?? []) as unknown as LeftRow[]).map(
        async (row) =>
          [`${row.id} ${await lossRev(row)}`, await lossText(row, show.revs ?? false)] as const,
      ),
    ),
  )
  const rows = byId(place, results[0])
  const aside = await asideOf(scope, place, database.id, wanted, rows)
  const opened = asked.map((one) => {
    if ('error' in one) return { one, open: [] }
    const row = rows.get(one.id)
    if (!row) return { one, open: [[one.rev ?? 'undefined', undefined] as const] }
    const found: Found = { database, row, aside: aside.get(one.id) ?? new Map() }
    return { one, open: openRevisions(found, { revs: one.rev ? [one.rev] : 'all', latest }), row }
  })
  const shown = opened.flatMap(({ one, open, row }) =>
    open.flatMap(([, version]) =>
      version && row && !('error' in one)
        ? [{ row: version, tree: row.tree, since: one.since }]
        : [],
    ),
  )
  const blobs = await blobsFor(scope, database.id, shown, show)
  const lines = opened.map(({ one, open, row }) => {
    if ('error' in one) return line(one.id, [errorText(one)])
    const mine = one.since ? { ...show, attsSince: one.since } : show
    return line(
      one.id,
      open.map(([rev, version]) =>
        version && row
          ? `{"ok":${documentText(version, mine, row, blobs)}}`
          : (lossOf(losses, one.id, rev) ??
            errorText({ id: one.id, rev, error: 'not_found', reason: 'missing' })),
      ),
    )
  })
  return `{"results":[${lines.join(',')}]}`
}

/** A tombstone that was made for who asks, of what they see no more. */
const lossOf = (
  losses: ReadonlyMap<string, string>,
  id: string,
  rev: string,
): string | undefined => {
  const text = losses.get(`${id} ${rev}`)
  return text && `{"ok":${text}}`
}

const line = (id: unknown, docs: readonly string[]): string =>
  `{"id":${JSON.stringify(id ?? null)},"docs":[${docs.join(',')}]}`

const errorText = ({ id, rev, error, reason }: Refused): string =>
  JSON.stringify({ error: { id: id ?? null, rev: rev ?? null, error, reason } })

function parseBody(body: unknown): (Wanted | Refused)[] {
  if (!isObject(body) || !Array.isArray(body.docs))
    throw bad('bad_request', "Missing JSON list of 'docs'.")
  if (body.docs.length > most) throw bad('too_large', `More than ${most} documents`)
  return body.docs.map((one): Wanted | Refused => {
    const { id, rev, atts_since: since } = isObject(one) ? one : {}
    if (id === undefined) {
      const reason = isObject(one) ? 'document id missed' : 'document must be a JSON object'
      return { id: null, rev: null, error: 'bad_request', reason }
    }
    try {
      if (rev !== undefined) parseRev(rev)
      return {
        id: checkDocId(id),
        rev: rev as string | undefined,
        since: Array.isArray(since) ? since.filter((text) => typeof text === 'string') : undefined,
      }
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault
      return { id, rev, ...errorOf(fault) }
    }
  })
}

const documents = (scope: Scope, place: Place, ids: readonly string[]): Statement => {
  const values: unknown[] = [JSON.stringify(ids)]
  return placed(
    scope,
    place,
    `SELECT ${columnsFor(place, values)} FROM json_each(?3) w
     CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = w.value`,
    values,
  )
}

const byId = (place: Place, result: QueryResult | undefined): Map<string, FullRow> =>
  new Map(
    ((result?.results ?? []) as unknown as FullRow[])
      .filter((row) => visible(place, row))
      .map((row) => [row.id, row] as const),
  )

/**
 * The revisions that are kept aside, of those documents of which more than the winner is wanted.
 *
 * @param rows Are read anew for these, in the same transaction: a write in between moves revisions from one table to the
 * other, and a client takes one that is in neither for a failure of the whole.
 */
async function asideOf(
  scope: Scope,
  place: Place,
  database: number,
  wanted: readonly Wanted[],
  rows: Map<string, FullRow>,
): Promise<Map<string, Map<string, VersionRow>>> {
  const aside = new Map<string, Map<string, VersionRow>>()
  const torn = wanted
    .filter(({ id, rev }) => {
      const row = rows.get(id)
      return row !== undefined && (rev === undefined ? row.tree.includes('\n') : rev !== row.rev)
    })
    .map(({ id }) => id)
  const ids = [...new Set(torn)]
  if (ids.length === 0) return aside
  const [again, found] = await runAll(scope, [
    documents(scope, place, ids),
    scope.db
      .prepare(
        `SELECT r.id, r.rev, r.deleted, r.channels, r.atts, r.body FROM json_each(?2) w
         CROSS JOIN leanto_sync_revisions r ON r.db = ?1 AND r.id = w.value`,
      )
      .bind(database, JSON.stringify(ids)),
  ])
  const fresh = byId(place, again)
  for (const id of ids) {
    const row = fresh.get(id)
    if (row) rows.set(id, row)
    else rows.delete(id)
  }
  for (const row of (found?.results ?? []) as unknown as VersionRow[]) {
    if (!visible(place, row)) continue
    const mine = aside.get(row.id) ?? new Map()
    mine.set(row.rev, row)
    aside.set(row.id, mine)
  }
  return aside
}
