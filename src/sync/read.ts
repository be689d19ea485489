import type { Scope } from '../core/scope.ts'
import { type DatabaseRow, databaseId, inDatabase, type Place, placed } from './database.ts'
import { bad, syncFaults } from './faults.ts'
import { channelsOf, seenSql, sees } from './permission.ts'
import { decodeTree, leavesFrom, leavesOf, revOf } from './rev-tree.ts'
import { blobsFor, documentText, type Show, shownAttachments, type VersionRow } from './version.ts'

/** A document's row, whole: its winner and its tree. */
export interface FullRow extends VersionRow {
  seq: number
  tree: string
  /** A JSON list of the other leaves that who asks may see; `null` for all of them. */
  leaves?: string | null
}

/** One of the answers to a read of several revisions: the document's text, or the revision that is not here. */
export type OpenRevision =
  | { rev: string; text: string; attached: Attached[] }
  | { rev: string; text: null }

/** An attachment that is sent beside its document. */
export interface Attached {
  name: string
  type: string
  bytes: Uint8Array
}

export const fullColumns = 'd.id, d.rev, d.deleted, d.channels, d.atts, d.body, d.seq, d.tree'

/**
 * `fullColumns` with those leaves, besides the winner, that who asks may see: one that they may not must not be named, as
 * they could not fetch it.
 *
 * @param values Takes the parameter that it needs.
 */
export const columnsFor = (place: Place, values: unknown[]): string =>
  `${fullColumns}, ${leavesSql(place, values)} leaves`

export const leavesSql = (place: Place, values: unknown[]): string =>
  channelsOf(place) === null
    ? 'NULL'
    : `CASE WHEN instr(d.tree, char(10)) > 0 THEN (SELECT json_group_array(r.rev) FROM leanto_sync_revisions r
        WHERE r.db = d.db AND r.id = d.id AND ${seenSql(place, values, 'r.channels')}) END`

/** A document with its revisions that are kept aside. */
export interface Found {
  database: DatabaseRow
  row: FullRow
  /** By revision. Without bodies where only their names were asked for. */
  aside: ReadonlyMap<string, VersionRow>
}

/**
 * Reads a document, and if asked its revisions that are kept aside. One trip.
 *
 * @param aside `names` is enough for `_revs_info`.
 * @throws {Fault} `not_found` (404) "missing", also for who may not see it.
 */
async function find(
  scope: Scope,
  place: Place,
  { id, aside }: { id: string; aside?: 'names' | 'whole' | undefined },
): Promise<Found> {
  const values: unknown[] = [id]
  const columns = aside === 'names' ? `id, rev, deleted, channels, NULL atts, '{}' body` : '*'
  const { database, results } = await inDatabase(scope, place, [
    placed(
      scope,
      place,
      `SELECT ${columnsFor(place, values)} FROM leanto_sync_documents d WHERE d.db = ${databaseId} AND d.id = ?3`,
      values,
    ),
    ...(aside
      ? [
          placed(
            scope,
            place,
            `SELECT ${columns} FROM leanto_sync_revisions WHERE db = ${databaseId} AND id = ?3`,
            [id],
          ),
        ]
      : []),
  ])
  const row = results[0]?.results[0] as unknown as FullRow | undefined
  if (!row || !visible(place, row)) throw syncFaults.not_found()
  const rows = (results[1]?.results ?? []) as unknown as VersionRow[]
  return {
    database,
    row,
    aside: new Map(rows.filter((one) => visible(place, one)).map((one) => [one.rev, one] as const)),
  }
}

/** Whether who asks may see a version. */
export const visible = (place: Place, { channels }: { channels: string | null }): boolean =>
  sees(channelsOf(place), channels === null ? null : (JSON.parse(channels) as string[]))

const available = ({ row, aside }: Found): Map<string, boolean> =>
  new Map([
    ...[...aside.values()].map((one) => [one.rev, one.deleted === 1] as const),
    [row.rev, row.deleted === 1] as const,
  ])

export interface GetInput {
  id: string
  rev?: string | undefined
  /** Instead of a revision that was edited since, its newest descendant. */
  latest?: boolean
  show: Show
}

/**
 * One document.
 *
 * @returns Its text and revision.
 * @throws {Fault} `not_found` (404): "missing", "deleted".
 */
export async function getDocument(
  scope: Scope,
  place: Place,
  { id, rev, latest = false, show }: GetInput,
): Promise<{
  text: string
  rev: string
  version: VersionRow
  database: DatabaseRow
  attached: Attached[]
}> {
  const aside = rev === undefined ? (show.revsInfo ? 'names' : undefined) : 'whole'
  const found = await find(scope, place, { id, aside })
  const { row } = found
  if (rev === undefined && row.deleted) throw bad('not_found', 'deleted')
  const version = rev === undefined ? row : versionOf(found, rev, latest)
  if (!version) throw syncFaults.not_found()
  const whole = { ...row, available: available(found) }
  const blobs = await blobsFor(scope, found.database.id, [{ row: version, tree: row.tree }], show)
  return {
    text: documentText(version, show, whole, blobs),
    rev: version.rev,
    version,
    database: found.database,
    attached: show.follows ? shownAttachments(version, show, row.tree, blobs) : [],
  }
}

function versionOf({ row, aside }: Found, rev: string, latest: boolean): VersionRow | undefined {
  const wanted = latest ? (leavesFrom(decodeTree(row.tree), rev).map(revOf)[0] ?? rev) : rev
  return wanted === row.rev ? row : aside.get(wanted)
}

/** Which revisions a read of several means. */
export interface OpenInput {
  revs: readonly string[] | 'all'
  latest: boolean
}

/** The revisions that are meant, each with its row or `undefined` if it is not here. */
export function openRevisions(
  found: Found,
  { revs, latest }: OpenInput,
): [string, VersionRow | undefined][] {
  const { row, aside } = found
  const of = (rev: string) => (rev === row.rev ? row : aside.get(rev))
  const tree = decodeTree(row.tree)
  const wanted =
    revs === 'all'
      ? leavesOf(tree).map(revOf).filter(of)
      : latest
        ? revs.flatMap((rev) => {
            const leaves = leavesFrom(tree, rev).map(revOf).filter(of)
            return leaves.length > 0 ? leaves : [rev]
          })
        : revs
  return [...new Set(wanted)].map((rev) => [rev, of(rev)])
}

/** Several revisions of one document: `open_revs`. One trip, one more for the bytes of attachments. */
export async function getRevisions(
  scope: Scope,
  place: Place,
  { id, show, ...input }: OpenInput & { id: string; show: Show },
): Promise<{ revisions: OpenRevision[]; found: Found | null }> {
  let found: Found
  try {
    found = await find(scope, place, { id, aside: 'whole' })
  } catch (fault) {
    if (input.revs === 'all' || (fault as { status?: number }).status !== 404) throw fault
    if ((fault as Error).message !== 'missing') throw fault
    return { revisions: input.revs.map((rev) => ({ rev, text: null })), found: null }
  }
  const open = openRevisions(found, input)
  const { tree } = found.row
  const rows = open.flatMap(([, row]) => (row ? [{ row, tree }] : []))
  const blobs = await blobsFor(scope, found.database.id, rows, show)
  const whole = { ...found.row, available: available(found) }
  const revisions = open.map(
    ([rev, row]): OpenRevision =>
      row
        ? {
            rev,
            text: documentText(row, show, whole, blobs),
            attached: show.follows ? shownAttachments(row, show, tree, blobs) : [],
          }
        : { rev, text: null },
  )
  return { revisions, found }
}
