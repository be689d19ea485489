import type { Scope } from '../core/scope.ts'
import { type Attachments, readAttachments, readBlobs, unpack } from './attachments.ts'
import { toBase64 } from './document.ts'
import { decodeTree, leavesOf, pathOf, type RevTree, revOf } from './rev-tree.ts'

/** A revision as a row has it: the winner's from `documents`, another's from `revisions`. */
export interface VersionRow {
  id: string
  rev: string
  deleted: number
  channels: string | null
  atts: string | null
  body: string
}

/** What a document shows beside its own members. */
export interface Show {
  /** `_revisions` */
  revs?: boolean
  /** `_revs_info` */
  revsInfo?: boolean
  /** `_conflicts` */
  conflicts?: boolean
  /** `_deleted_conflicts` */
  deletedConflicts?: boolean
  /** `_local_seq` */
  localSeq?: boolean
  /** Attachments with their bytes in base64, instead of stubs. */
  attachments?: boolean
  /** Only the bytes of those that came after these revisions. */
  attsSince?: readonly string[]
  /** With `attachments`: their bytes are sent beside the document, not in it. */
  follows?: boolean
  /** `encoding` and `encoded_length` of attachments. */
  encodings?: boolean
}

/** What is known of the whole document, for those of its members that tell of it. */
export interface Whole {
  tree: string
  seq: number
  /** Old revisions whose bodies are kept, with whether they are tombstones. */
  available?: ReadonlyMap<string, boolean>
  /** A JSON list of the other leaves that may be named; `null` for all of them. */
  leaves?: string | null
}

export type BlobsByHash = ReadonlyMap<string, Uint8Array>

/**
 * A document as JSON text. The body is copied as it is kept, never parsed: a page of a thousand is then mostly copying.
 *
 * @param blobs Of the attachments whose bytes are shown.
 */
export function documentText(
  row: VersionRow,
  show: Show,
  whole: Whole,
  blobs: BlobsByHash = new Map(),
): string {
  const members = [`"_id":${JSON.stringify(row.id)}`, `"_rev":${JSON.stringify(row.rev)}`]
  if (row.deleted) members.push('"_deleted":true')
  if (row.body !== '{}') members.push(row.body.slice(1, -1))
  if (row.atts !== null) members.push(`"_attachments":${attachmentsText(row, show, whole, blobs)}`)
  if (show.revs) members.push(`"_revisions":${revisionsText(whole.tree, row.rev)}`)
  if (show.revsInfo || show.conflicts || show.deletedConflicts)
    members.push(...treeMembers(row, show, whole))
  if (show.localSeq) members.push(`"_local_seq":${whole.seq}`)
  return `{${members.join(',')}}`
}

function treeMembers(row: VersionRow, show: Show, whole: Whole): string[] {
  const tree = decodeTree(whole.tree)
  const members: string[] = []
  if (show.revsInfo) {
    const info = pathOf(tree, row.rev).map((node) => {
      const rev = revOf(node)
      return {
        rev,
        status: rev === row.rev ? statusOf(row.deleted) : statusOf(whole.available?.get(rev)),
      }
    })
    members.push(`"_revs_info":${JSON.stringify(info)}`)
  }
  const named = typeof whole.leaves === 'string' ? new Set(JSON.parse(whole.leaves)) : null
  const others = leavesOf(tree).filter(
    (leaf) => revOf(leaf) !== row.rev && (named?.has(revOf(leaf)) ?? true),
  )
  const list = (name: string, deleted: boolean) => {
    const revs = others.filter((leaf) => leaf.deleted === deleted).map(revOf)
    if (revs.length > 0) members.push(`"${name}":${JSON.stringify(revs)}`)
  }
  if (show.conflicts) list('_conflicts', false)
  if (show.deletedConflicts) list('_deleted_conflicts', true)
  return members
}

const statusOf = (deleted: number | boolean | undefined): string =>
  deleted === undefined ? 'missing' : deleted ? 'deleted' : 'available'

/** `{ start, ids }` of a revision. Most trees are one line, whose first words are the answer. */
function revisionsText(tree: string, rev: string): string {
  const [pos = '', hash = ''] = splitRev(rev)
  if (!tree.includes('\n')) {
    const space = tree.indexOf(' ')
    if (tree.startsWith(pos) && tree.startsWith(`${hash}`, space + 1))
      return `{"start":${pos},"ids":${JSON.stringify(tree.slice(space + 1).split(' '))}}`
  }
  const ids = pathOf(decodeTree(tree), rev).map((node) => node.hash)
  return JSON.stringify({ start: Number(pos), ids: ids.length > 0 ? ids : [hash] })
}

const splitRev = (rev: string): [string, string] => {
  const dash = rev.indexOf('-')
  return [rev.slice(0, dash), rev.slice(dash + 1)]
}

/** Whether the bytes of an attachment are shown. */
const shown = (show: Show, revpos: number, since: number): boolean =>
  (show.attachments ?? false) && revpos > since

/** The newest of the revisions that a reader has, on the way to this one: what came up to it, it has. */
function since(show: Show, tree: RevTree, rev: string): number {
  if (!show.attsSince || show.attsSince.length === 0) return 0
  const known = new Set(show.attsSince)
  return pathOf(tree, rev).find((node) => known.has(revOf(node)))?.pos ?? 0
}

function attachmentsText(row: VersionRow, show: Show, whole: Whole, blobs: BlobsByHash): string {
  const from = show.attsSince ? since(show, decodeTree(whole.tree), row.rev) : 0
  const entries = Object.entries(readAttachments(row.atts)).map(([name, one]) => {
    const { content_type, revpos, digest, length, encoding, encoded_length } = one
    const bytes = shown(show, revpos, from) ? blobs.get(one.hash) : undefined
    return [
      name,
      {
        content_type,
        revpos,
        digest,
        ...(bytes
          ? show.follows
            ? { length: bytes.length, follows: true }
            : { data: toBase64(bytes) }
          : { length, stub: true }),
        ...(show.encodings && encoding ? { encoding, encoded_length } : {}),
      },
    ]
  })
  return JSON.stringify(Object.fromEntries(entries))
}

/** The attachments whose bytes a document shows, in its order. */
export function shownAttachments(row: VersionRow, show: Show, tree: string, blobs: BlobsByHash) {
  const from = show.attsSince ? since(show, decodeTree(tree), row.rev) : 0
  return Object.entries(readAttachments(row.atts)).flatMap(([name, one]) => {
    const bytes = shown(show, one.revpos, from) ? blobs.get(one.hash) : undefined
    return bytes ? [{ name, type: one.content_type, bytes }] : []
  })
}

/** Reads the bytes that documents are to show, unpacked. One trip, none if there are none. */
export async function blobsFor(
  scope: Scope,
  database: number,
  rows: readonly { row: VersionRow; tree: string; since?: readonly string[] | undefined }[],
  show: Show,
): Promise<BlobsByHash> {
  if (!show.attachments) return new Map()
  const wanted = new Map<string, Attachments[string]>()
  for (const { row, tree, since: own } of rows) {
    if (row.atts === null) continue
    const mine = own ? { ...show, attsSince: own } : show
    const from = mine.attsSince ? since(mine, decodeTree(tree), row.rev) : 0
    for (const one of Object.values(readAttachments(row.atts)))
      if (shown(show, one.revpos, from)) wanted.set(one.hash, one)
  }
  const blobs = await readBlobs(scope, database, [...wanted.keys()])
  for (const [hash, bytes] of blobs)
    blobs.set(hash, await unpack(bytes, wanted.get(hash) as Attachments[string]))
  return blobs
}
