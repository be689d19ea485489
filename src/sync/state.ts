import { type Attachments, bytesOf, readAttachments } from './attachments.ts'
import type { Incoming } from './document.ts'
import { bad, syncFaults } from './faults.ts'
import { decodeTree, encodeTree, leavesOf, merge, type RevTree, revOf, stem } from './rev-tree.ts'
import { hashOf } from './revision.ts'

/** A document's row, as far as a write needs it. */
export interface DocumentRow {
  seq: number
  id: string
  rev: string
  deleted: number
  size: number
  tree: string
  channels: string | null
  atts: string | null
  /** Only where a rule looks at it. */
  body: string | null
}

/** A revision with what it holds. */
export interface Version {
  rev: string
  deleted: boolean
  body: string
  /** Of the body, in bytes. */
  size: number
  attachments: Attachments | null
  channels: readonly string[] | null
}

/** What one document becomes in memory, while the edits of a request are applied to it one after the other. */
export interface State {
  readonly id: string
  readonly row: DocumentRow | undefined
  readonly tree: RevTree
  /** By revision: what this request brought. */
  readonly brought: Map<string, Version>
  /** By revision: attachments of leaves other than the winner, where a stub may mean them. */
  readonly aside: Map<string, Attachments>
  changed: boolean
}

export const stateOf = (id: string, row: DocumentRow | undefined): State => ({
  id,
  row,
  tree: row ? decodeTree(row.tree) : new Map(),
  brought: new Map(),
  aside: new Map(),
  changed: false,
})

/** The winning revision, `undefined` for a document that does not exist. */
export const winnerOf = ({ tree }: State) => leavesOf(tree)[0]

/**
 * Which revision an interactive edit extends, as CouchDB decides it.
 *
 * @returns `null` for the first revision.
 * @throws {Fault} `conflict` (409).
 */
export function parentOf(state: State, { rev, deleted }: Incoming) {
  const winner = winnerOf(state)
  if (!winner) {
    if (rev) throw syncFaults.conflict()
    return null
  }
  if (winner.deleted) {
    // It is made anew, on top of the tombstone, so that devices which have that take it for newer.
    if (rev || deleted) throw syncFaults.conflict()
    return winner
  }
  const leaf = rev && leavesOf(state.tree).find((one) => revOf(one) === revOf(rev))
  if (!leaf) throw syncFaults.conflict()
  return leaf
}

/** The attachments of what is known here of a document, by which stubs are filled. */
export function attachmentsOf(state: State, rev: string | null): Attachments[] {
  const found = [
    ...(rev !== null ? [state.brought.get(rev)?.attachments ?? state.aside.get(rev)] : []),
    ...(state.row ? [readAttachments(state.row.atts)] : []),
    ...[...state.brought.values()].map(({ attachments }) => attachments),
    ...state.aside.values(),
  ]
  return found.filter((one): one is Attachments => one !== null && one !== undefined)
}

/** Applies an edit that makes its own revision. @param input.parent As `parentOf` says. @returns That revision. */
export async function applyEdit(
  state: State,
  incoming: Incoming,
  {
    parent,
    attachments,
    channels,
  }: {
    parent: ReturnType<typeof parentOf>
    attachments: Attachments | null
    channels: readonly string[] | null
  },
): Promise<string> {
  const hash = await hashOf({
    deleted: incoming.deleted,
    parent,
    body: incoming.body,
    attachments: Object.entries(attachments ?? {}).map(([name, one]) => [
      name,
      one.content_type,
      one.digest,
    ]),
  })
  const pos = (parent?.pos ?? 0) + 1
  const path = { pos, hashes: parent ? [hash, parent.hash] : [hash] }
  if (merge(state.tree, path, incoming.deleted) === 'internal_node') throw syncFaults.conflict()
  const rev = `${pos}-${hash}`
  state.brought.set(rev, {
    rev,
    deleted: incoming.deleted,
    body: incoming.body,
    size: incoming.size,
    attachments,
    channels,
  })
  state.changed = true
  return rev
}

/** The revision that a replicated document brings, with its history. @throws {Fault} `bad_request` (400). */
export function pathOfIncoming({ rev, path }: Incoming) {
  // As in CouchDB: a `_rev` beside it is not looked at.
  if (path && path.hashes.length > 0) return path
  if (!rev)
    throw bad(
      'bad_request',
      'When `new_edits: false`, the document needs `_rev` or `_revisions` specified',
    )
  return { pos: rev.pos, hashes: [rev.hash] }
}

/** Whether a replicated revision is known already, so that nothing of it has to be looked at. */
export const isKnown = (state: State, incoming: Incoming): boolean => {
  const { pos, hashes } = pathOfIncoming(incoming)
  return state.tree.has(`${pos}-${hashes[0]}`)
}

/** Applies a revision that was made elsewhere. It never conflicts: it becomes a branch if it must. */
export function applyReplicated(
  state: State,
  incoming: Incoming,
  attachments: Attachments | null,
  channels: readonly string[] | null,
): string {
  const path = pathOfIncoming(incoming)
  const rev = `${path.pos}-${path.hashes[0]}`
  const before = encodeTree(state.tree)
  const merged = merge(state.tree, path, incoming.deleted)
  if (merged !== 'internal_node') {
    state.brought.set(rev, {
      rev,
      deleted: incoming.deleted,
      body: incoming.body,
      size: incoming.size,
      attachments,
      channels,
    })
    state.changed = true
  } else if (encodeTree(state.tree) !== before) state.changed = true
  return rev
}

/** One document's row to be, and what else has to happen for it. */
export interface Plan {
  id: string
  /** The sequence that it must still have, 0 for none. */
  prev: number
  rev: string
  deleted: boolean
  tree: string
  /** The winner; `null` if it is not among what was brought: then it is the old one, or a leaf that was kept aside. */
  winner: Version | null
  /** The winner before moves aside: it is still a leaf, or is kept. */
  spill: boolean
  /** Brought revisions that did not win, but are leaves or are kept. */
  losers: Version[]
  /** Revisions kept aside that nothing needs any more. */
  drops: string[]
  countDelta: number
  deletedDelta: number
  /** In bytes; `null` if only the row that is kept aside tells. */
  size: number | null
  oldSize: number
  /** The channels of the winner before, as JSON; `null` if there are none. */
  oldChannels: string | null
  oldRev: string | null
}

/** What has to be written for a document, or `null` if nothing changed. */
export function planOf(state: State, revsLimit: number, keepRevisions: boolean): Plan | null {
  if (!state.changed) return null
  const { row, tree, brought } = state
  const leavesBefore = new Set(row ? leavesOf(decodeTree(row.tree)).map(revOf) : [])
  stem(tree, revsLimit)
  const leaves = leavesOf(tree)
  const winner = leaves[0]
  if (!winner) return null
  const leafRevs = new Set(leaves.map(revOf))
  const rev = revOf(winner)
  const version = brought.get(rev) ?? null
  const spill = row !== undefined && rev !== row.rev && (keepRevisions || leafRevs.has(row.rev))
  const losers = [...brought.values()].filter(
    (one) => one.rev !== rev && (keepRevisions || leafRevs.has(one.rev)),
  )
  // What was a leaf aside and is extended now; and the one that has become the winner, whose row is in the other table.
  const drops = [...leavesBefore].filter(
    (leaf) => leaf !== row?.rev && (leaf === rev || !(keepRevisions || leafRevs.has(leaf))),
  )
  const lived = row !== undefined && row.deleted === 0
  const died = row !== undefined && row.deleted === 1
  return {
    id: state.id,
    prev: row?.seq ?? 0,
    rev,
    deleted: winner.deleted,
    tree: encodeTree(tree),
    winner: version,
    spill,
    losers,
    drops,
    countDelta: Number(!winner.deleted) - Number(lived),
    deletedDelta: Number(winner.deleted) - Number(died),
    size: version
      ? version.size + bytesOf(version.attachments ?? {})
      : rev === row?.rev
        ? row.size
        : null,
    oldSize: row?.size ?? 0,
    oldChannels: row?.channels ?? null,
    oldRev: row?.rev ?? null,
  }
}
