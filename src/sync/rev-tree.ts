/*
 * A document's revision tree, as CouchDB has it: https://docs.couchdb.org/en/stable/replication/conflicts.html. Pure.
 *
 * It is kept flat: revision -> node, each node knowing its parent. Merging a path is then the union of its edges, also
 * where one side has forgotten the older part of the path (stemming).
 */

/** One revision: `<pos>-<hash>`. */
export interface RevNode {
  readonly pos: number
  readonly hash: string
  /** The revision that it was made from; `null` if there is none, or it was forgotten. */
  parent: string | null
  deleted: boolean
}

export type RevTree = Map<string, RevNode>

/** A revision and its ancestors, the newest first, as `_revisions` lists them. */
export interface RevPath {
  /** Of the newest. */
  readonly pos: number
  readonly hashes: readonly string[]
}

/** What a path was to a tree: known already, longer than a leaf of it, or a branch of its own. */
export type Merged = 'internal_node' | 'new_leaf' | 'new_branch'

export const revOf = ({ pos, hash }: { pos: number; hash: string }): string => `${pos}-${hash}`

/**
 * Adds a path to a tree, in place.
 *
 * @param deleted Whether its newest revision is a tombstone.
 */
export function merge(tree: RevTree, { pos, hashes }: RevPath, deleted: boolean): Merged {
  const parents = parentsOf(tree)
  const newest = `${pos}-${hashes[0]}`
  const known = tree.has(newest)
  let joined: string | undefined
  for (const [i, hash] of hashes.entries()) {
    const rev = `${pos - i}-${hash}`
    const parent = i + 1 < hashes.length ? `${pos - i - 1}-${hashes[i + 1]}` : null
    const node = tree.get(rev)
    if (!node) tree.set(rev, { pos: pos - i, hash, parent, deleted: i === 0 && deleted })
    else if (node.parent === null) {
      joined ??= rev
      node.parent = parent
    } else {
      joined ??= rev
      // A revision has one history: what the path says beyond is not believed.
      if (node.parent !== parent) break
    }
  }
  if (known) return 'internal_node'
  if (tree.size === hashes.length && joined === undefined) return 'new_leaf'
  return joined !== undefined && !parents.has(joined) ? 'new_leaf' : 'new_branch'
}

const parentsOf = (tree: RevTree): Set<string | null> => {
  const parents = new Set<string | null>()
  for (const { parent } of tree.values()) parents.add(parent)
  return parents
}

/** The leaves, the winner first: living before deleted ones, then the longer history, then the greater hash. */
export function leavesOf(tree: RevTree): RevNode[] {
  const parents = parentsOf(tree)
  const leaves: RevNode[] = []
  for (const [rev, node] of tree) if (!parents.has(rev)) leaves.push(node)
  return leaves.sort(
    (a, b) => Number(a.deleted) - Number(b.deleted) || b.pos - a.pos || (a.hash < b.hash ? 1 : -1),
  )
}

/** A revision's history, the newest first; empty if the tree does not have it. */
export function pathOf(tree: RevTree, rev: string): RevNode[] {
  const path: RevNode[] = []
  for (let at: string | null = rev; at !== null; ) {
    const node = tree.get(at)
    if (!node) break
    path.push(node)
    at = node.parent
  }
  return path
}

/** The leaves that descend from a revision; a leaf descends from itself. */
export function leavesFrom(tree: RevTree, rev: string): RevNode[] {
  return leavesOf(tree).filter((leaf) =>
    pathOf(tree, revOf(leaf)).some((node) => revOf(node) === rev),
  )
}

/** Forgets, in place, what is more than `limit` revisions back from every leaf. @returns What it forgot. */
export function stem(tree: RevTree, limit: number): string[] {
  if (tree.size <= limit) return []
  const kept = new Set<string>()
  for (const leaf of leavesOf(tree))
    for (const node of pathOf(tree, revOf(leaf)).slice(0, limit)) kept.add(revOf(node))
  const forgotten = [...tree.keys()].filter((rev) => !kept.has(rev))
  for (const rev of forgotten) tree.delete(rev)
  for (const node of tree.values())
    if (node.parent !== null && !kept.has(node.parent)) node.parent = null
  return forgotten
}

/** Takes leaves away, in place, and every ancestor that no other leaf needs. @returns Those that were leaves. */
export function prune(tree: RevTree, revs: readonly string[]): string[] {
  const leaves = new Set(leavesOf(tree).map(revOf))
  const gone = revs.filter((rev) => leaves.has(rev))
  const kept = new Set<string>()
  for (const rev of leaves)
    if (!gone.includes(rev)) for (const node of pathOf(tree, rev)) kept.add(revOf(node))
  for (const rev of [...tree.keys()]) if (!kept.has(rev)) tree.delete(rev)
  return gone
}

/**
 * A tree as text: a line for each leaf, the winner first: position, `d` if deleted, then the hashes back to the root
 * or to the first that an earlier line has. Whether an inner revision was a tombstone is nowhere asked, and not kept.
 */
export function encodeTree(tree: RevTree): string {
  const written = new Set<string>()
  return leavesOf(tree)
    .map((leaf) => {
      const line = [`${leaf.pos}${leaf.deleted ? 'd' : ''}`]
      for (const node of pathOf(tree, revOf(leaf))) {
        line.push(node.hash)
        if (written.has(revOf(node))) break
        written.add(revOf(node))
      }
      return line.join(' ')
    })
    .join('\n')
}

export function decodeTree(text: string): RevTree {
  const tree: RevTree = new Map()
  for (const line of text === '' ? [] : text.split('\n')) {
    const [head = '', ...hashes] = line.split(' ')
    merge(tree, { pos: Number.parseInt(head, 10), hashes }, head.endsWith('d'))
  }
  return tree
}
