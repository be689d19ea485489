import type { Statement } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import type { FeedFilter, PageInput, Scan } from './changes-input.ts'
import { type DatabaseRow, databaseId, inDatabase, type Place, placed } from './database.ts'
import type { Doc } from './definition.ts'
import { syncFaults } from './faults.ts'
import { leftSql, lossRev, lossText } from './left.ts'
import { channelsOf, seenSql } from './permission.ts'
import { type FullRow, leavesSql } from './read.ts'
import { decodeTree, leavesOf, revOf } from './rev-tree.ts'
import { blobsFor, documentText } from './version.ts'

/** One row of the feed, as text. */
export interface ChangeLine {
  seq: number
  text: string
}

export interface ChangesPage {
  lines: ChangeLine[]
  /** Where to go on from: past what the filter left out. */
  lastSeq: number
  /** What has to be known, too, to go on from there: nothing at the end. */
  scan?: Scan | undefined
  /** How many more there may be: exact where it is 0, and on a first page. */
  pending: number
}

interface ChangeRow extends FullRow {
  leaves: string | null
  /** Whether it is something that who asks sees no more: then `rev` is the last one that they saw. */
  gone: number
}

/** How many rows are read at a time where more may be wanted; with their bodies they have to fit a Worker's memory. */
const step = (input: PageInput): number =>
  input.includeDocs || input.filter?.kind === 'test' ? 500 : 5000

/** How often a filter that matches little may read on in one request. */
const mostSteps = 400

/**
 * A page of the feed. One trip; a filter that is a function reads on until `limit` rows have passed it, or the end: a
 * client takes a page that is shorter for the last.
 *
 * @throws {Fault} `checkpoint_expired` (410).
 */
export async function changesPage(
  scope: Scope,
  place: Place,
  input: PageInput,
): Promise<ChangesPage> {
  const lines: ChangeLine[] = []
  let last: ChangesPage | undefined
  let steps = 0
  for await (const part of changesParts(scope, place, input)) {
    for (const line of part.lines) lines.push(line)
    last = part
    if (++steps >= mostSteps && lines.length > 0) break
  }
  return { ...(last as ChangesPage), lines }
}

/** Reads the feed in parts of a size that fits in memory. */
export async function* changesParts(
  scope: Scope,
  place: Place,
  input: PageInput,
): AsyncGenerator<ChangesPage> {
  let left = input.limit
  let { since, scan } = input
  for (;;) {
    const { ended, ...part } = await readPart(scope, place, { ...input, since, scan, limit: left })
    left -= part.lines.length
    since = part.lastSeq
    scan = part.scan
    const last = ended || left <= 0
    yield part
    if (last) return
  }
}

async function readPart(
  scope: Scope,
  place: Place,
  input: PageInput,
): Promise<ChangesPage & { ended: boolean }> {
  const { filter, descending, limit } = input
  const size = filter?.kind === 'test' ? step(input) : Math.min(limit, step(input))
  const { database, results } = await inDatabase(scope, place, [
    statement(scope, place, input, size),
  ])
  const since = input.since === 'now' ? database.update_seq : input.since
  if (since > 0 && since < database.floor_seq && !descending) throw syncFaults.checkpoint_expired()
  const rows = (results[0]?.results ?? []) as unknown as ChangeRow[]
  const passed = passing(rows, filter, limit)
  const ended = rows.length < size && !passed.cut
  const scan = input.scan && { until: database.update_seq, ...input.scan }
  const lines = await linesOf(scope, database, passed.rows, { ...input, scan })
  const lastRow = passed.cut ? passed.rows.at(-1) : rows.at(-1)
  const lastSeq = descending
    ? (lastRow?.seq ?? since)
    : ended
      ? // Never behind what the client has, whatever it has that from.
        Math.max(since, database.update_seq)
      : (lastRow as ChangeRow).seq
  return {
    lines,
    lastSeq,
    scan: ended ? undefined : scan,
    pending: ended
      ? 0
      : descending
        ? lastSeq - 1
        : ahead(place, database, lastSeq, since ? 0 : rows.length),
    ended,
  }
}

/** How many changes there may be after a sequence: of each document there is one. @param told Of those from the start. */
const ahead = (place: Place, row: DatabaseRow, seq: number, told: number): number =>
  Math.min(
    row.update_seq - seq,
    // How many documents there are is for those who see all of them.
    channelsOf(place) ? Number.POSITIVE_INFINITY : row.doc_count + row.del_count - told,
  )

function passing(rows: readonly ChangeRow[], filter: FeedFilter, limit: number) {
  if (filter?.kind !== 'test') return { rows, cut: false }
  const kept: ChangeRow[] = []
  for (const [i, row] of rows.entries()) {
    if (!row.gone && !filter.test(documentOf(row))) continue
    kept.push(row)
    if (kept.length === limit) return { rows: kept, cut: i < rows.length - 1 }
  }
  return { rows: kept, cut: false }
}

/** A row's document, as functions of the host see it. */
const documentOf = (row: FullRow): Doc => JSON.parse(documentText(row, {}, row)) as Doc

function statement(scope: Scope, place: Place, input: PageInput, size: number): Statement {
  const { filter, since, scan, descending, includeDocs } = input
  const values: unknown[] = []
  const at = (value: unknown) => `?${values.push(value) + 2}`
  const needsBody = includeDocs || filter?.kind === 'test'
  const members = channelsOf(place) !== null
  const columns = `d.id, d.rev, d.deleted, d.channels, d.seq, d.tree, ${leavesSql(place, values)} leaves, 0 gone,
    ${needsBody ? 'd.atts, d.body' : "NULL atts, '{}' body"}`
  const from =
    filter?.kind === 'ids'
      ? `json_each(${at(JSON.stringify([...new Set(filter.ids)]))}) w
         CROSS JOIN leanto_sync_documents d ON d.db = ${databaseId} AND d.id = w.value`
      : 'leanto_sync_documents d'
  const conditions = [
    ...(filter?.kind === 'ids' ? [] : [`d.db = ${databaseId}`]),
    // What is read on of a descending feed goes down from where it was.
    since === 'now' ? 'false' : `d.seq ${descending && since > 0 ? '<' : '>'} ${at(since)}`,
    ...(filter?.kind === 'design' ? ["d.id >= '_design/' AND d.id < '_design0'"] : []),
    seenSql(place, values),
    ...(scan
      ? [
          `(d.deleted = 0 OR d.born <= ${at(scan.base)} OR d.seq > ${at(scan.until ?? 2 ** 53)} OR d.at > ${at(scan.after)})`,
        ]
      : []),
  ]
  return placed(
    scope,
    place,
    `SELECT ${columns} FROM ${from} WHERE ${conditions.join(' AND ')}
     ${members && since !== 'now' && !descending ? `UNION ALL ${goneSql(place, input, values)}` : ''}
     ORDER BY seq ${descending ? 'DESC' : ''} LIMIT ${at(size)}`,
    values,
  )
}

/** What who asks saw and sees no more: what came after their checkpoint they never had. @see left.ts */
function goneSql(place: Place, { since, filter }: PageInput, values: unknown[]): string {
  const at = (value: unknown) => `?${values.push(value) + 2}`
  const ids =
    filter?.kind === 'ids'
      ? `AND l.id IN (SELECT value FROM json_each(${at(JSON.stringify(filter.ids))}))`
      : ''
  return `SELECT l.id, l.rev, 1, NULL, max(l.seq) seq, d.tree, NULL, 1, NULL, '{}' FROM leanto_sync_left l
    CROSS JOIN leanto_sync_documents d ON d.db = l.db AND d.id = l.id
    WHERE l.db = ${databaseId} AND l.seq > ${at(since)} AND d.born <= ${at(since)} ${ids} AND ${leftSql(place, values)} GROUP BY l.id`
}

/** A sequence as JSON. Some clients go on from the last row, which may be before what was left out at the end. */
export const seqText = (seq: number, scan: Scan | undefined): string =>
  scan && seq < Number(scan.until) ? `"${seq}-${scan.base}-${scan.until}"` : String(seq)

async function linesOf(
  scope: Scope,
  database: DatabaseRow,
  rows: readonly ChangeRow[],
  { includeDocs, allLeaves, show, scan }: PageInput,
): Promise<ChangeLine[]> {
  const shown = includeDocs ? rows.map((row) => ({ row, tree: row.tree })) : []
  const blobs = await blobsFor(scope, database.id, shown, show)
  return Promise.all(
    rows.map(async (row) => {
      if (row.gone) return goneLine(row, includeDocs, scan)
      const revs = allLeaves ? leavesNamed(row) : [row.rev]
      const changes = revs.map((rev) => `{"rev":${JSON.stringify(rev)}}`).join(',')
      const deleted = row.deleted ? ',"deleted":true' : ''
      const doc = includeDocs ? `,"doc":${documentText(row, show, row, blobs)}` : ''
      return {
        seq: row.seq,
        text: `{"seq":${seqText(row.seq, scan)},"id":${JSON.stringify(row.id)},"changes":[${changes}]${deleted}${doc}}`,
      }
    }),
  )
}

async function goneLine(
  row: ChangeRow,
  includeDocs: boolean,
  scan: Scan | undefined,
): Promise<ChangeLine> {
  const rev = JSON.stringify(await lossRev(row))
  const doc = includeDocs ? `,"doc":${await lossText(row, false)}` : ''
  const id = JSON.stringify(row.id)
  return {
    seq: row.seq,
    text: `{"seq":${seqText(row.seq, scan)},"id":${id},"changes":[{"rev":${rev}}],"deleted":true${doc}}`,
  }
}

function leavesNamed(row: ChangeRow): string[] {
  if (!row.tree.includes('\n')) return [row.rev]
  const all = leavesOf(decodeTree(row.tree)).map(revOf)
  if (row.leaves === null) return all
  const seen = new Set(JSON.parse(row.leaves) as string[])
  return all.filter((rev) => rev === row.rev || seen.has(rev))
}
