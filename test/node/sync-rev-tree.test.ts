import fc from 'fast-check'
import { collectLeaves, merge as mergeOracle, winningRev } from 'pouchdb-merge'
import { describe, expect, it } from 'vitest'
import {
  decodeTree,
  encodeTree,
  leavesFrom,
  leavesOf,
  merge,
  pathOf,
  prune,
  type RevPath,
  type RevTree,
  revOf,
  stem,
} from '../../src/sync/rev-tree.ts'

/** A history as replicas make it: each revision a child of one before, told by paths that begin anywhere. */
const histories = fc
  .array(
    fc.record({
      parent: fc.nat(),
      deleted: fc.boolean(),
      // How much of its history its sender still knows.
      known: fc.integer({ min: 1, max: 12 }),
      root: fc.boolean(),
    }),
    { minLength: 1, maxLength: 25 },
  )
  .map((edits) => {
    const made: { pos: number; hashes: string[]; deleted: boolean; known: number }[] = []
    for (const [i, { parent, deleted, known, root }] of edits.entries()) {
      const from = root || made.length === 0 ? undefined : made[parent % made.length]
      // Letters of one length, so that their order is that of text.
      const hash = ((i * 7919 + 13) % 9973).toString(16).padStart(4, '0')
      made.push({
        pos: (from?.pos ?? 0) + 1,
        hashes: [hash, ...(from?.hashes ?? [])],
        deleted,
        known,
      })
    }
    return made
  })

type Told = { path: RevPath; deleted: boolean }

/** The histories as paths, in some order. */
const tellings = histories.chain((made) =>
  fc.shuffledSubarray(made, { minLength: 1, maxLength: made.length }).map((some): Told[] =>
    some.map(({ pos, hashes, deleted, known }) => ({
      path: { pos, hashes: hashes.slice(0, known) },
      deleted,
    })),
  ),
)

const build = (told: readonly Told[]): RevTree => {
  const tree: RevTree = new Map()
  for (const { path, deleted } of told) merge(tree, path, deleted)
  return tree
}

/** The same path as PouchDB writes it. */
function oraclePath({ path: { pos, hashes }, deleted }: Told) {
  const nodes = [...hashes].reverse()
  const build = (i: number): unknown[] => [
    nodes[i],
    i === nodes.length - 1
      ? { status: 'available', ...(deleted ? { deleted: true } : {}) }
      : { status: 'missing' },
    i === nodes.length - 1 ? [] : [build(i + 1)],
  ]
  return { pos: pos - hashes.length + 1, ids: build(0) }
}

const runs = { numRuns: 3000 }

describe('the revision tree', () => {
  it('has the leaves and the winner that PouchDB has, for every history told whole', () => {
    const whole = tellings.map((told) => told)
    fc.assert(
      fc.property(whole, (told) => {
        // Where a path has no common revision with the tree, PouchDB keeps two trees; told later, it joins them only at
        // their roots. Whole paths always have their roots.
        const full = told.filter(({ path }) => path.hashes.length === path.pos)
        if (full.length === 0) return
        const tree = build(full)
        let oracle: unknown[] = []
        for (const one of full)
          oracle = mergeOracle(oracle as never, oraclePath(one) as never, 1000).tree
        const leaves = collectLeaves(oracle as never)
          .map(
            ({ rev, opts }: { rev: string; opts: { deleted?: boolean } }) =>
              `${rev}${opts.deleted ? ' deleted' : ''}`,
          )
          .sort()
        expect(
          leavesOf(tree)
            .map((leaf) => `${revOf(leaf)}${leaf.deleted ? ' deleted' : ''}`)
            .sort(),
        ).toEqual(leaves)
        expect(revOf(leavesOf(tree)[0] as never)).toBe(winningRev({ rev_tree: oracle } as never))
      }),
      runs,
    )
  })

  it('is the same in whatever order its paths are told, and however often', () => {
    fc.assert(
      fc.property(tellings, fc.infiniteStream(fc.nat()), (told, order) => {
        const shuffled = [...told, ...told].sort(() => ((order.next().value as number) % 2) - 0.5)
        expect(encodeTree(build(shuffled))).toBe(encodeTree(build(told)))
      }),
      runs,
    )
  })

  it('comes back from its text as it was', () => {
    fc.assert(
      fc.property(tellings, (told) => {
        const tree = build(told)
        const again = decodeTree(encodeTree(tree))
        const parents = (one: RevTree) => [...one].map(([rev, { parent }]) => [rev, parent]).sort()
        expect(parents(again)).toEqual(parents(tree))
        expect(leavesOf(again)).toEqual(leavesOf(tree))
      }),
      runs,
    )
  })

  it('keeps every leaf and the last revisions before it when stemmed', () => {
    fc.assert(
      fc.property(tellings, fc.integer({ min: 1, max: 6 }), (told, limit) => {
        const tree = build(told)
        const before = leavesOf(tree).map((leaf) => pathOf(tree, revOf(leaf)).map(revOf))
        stem(tree, limit)
        const after = leavesOf(tree).map((leaf) => pathOf(tree, revOf(leaf)).map(revOf))
        expect(after.map(([leaf]) => leaf)).toEqual(before.map(([leaf]) => leaf))
        for (const [i, path] of after.entries()) {
          expect(path.length).toBeGreaterThanOrEqual(Math.min(limit, before[i]?.length ?? 0))
          expect(before[i]?.slice(0, path.length)).toEqual(path)
        }
      }),
      runs,
    )
  })

  it('forgets purged leaves and what only they need', () => {
    fc.assert(
      fc.property(tellings, fc.nat(), (told, which) => {
        const tree = build(told)
        const leaves = leavesOf(tree).map(revOf)
        const gone = leaves[which % leaves.length] as string
        const others = leaves.filter((leaf) => leaf !== gone)
        const paths = others.map((leaf) => pathOf(tree, leaf))
        expect(prune(tree, [gone])).toEqual([gone])
        expect(tree.has(gone)).toBe(false)
        expect(others.map((leaf) => pathOf(tree, leaf))).toEqual(paths)
        expect(leavesOf(tree).map(revOf).sort()).toEqual([...others].sort())
      }),
      runs,
    )
  })

  it('finds the newest descendants of a revision', () => {
    const tree = build([
      { path: { pos: 3, hashes: ['c', 'b', 'a'] }, deleted: false },
      { path: { pos: 3, hashes: ['d', 'b', 'a'] }, deleted: true },
      { path: { pos: 2, hashes: ['e', 'a'] }, deleted: false },
    ])
    expect(leavesFrom(tree, '2-b').map(revOf)).toEqual(['3-c', '3-d'])
    expect(leavesFrom(tree, '2-e').map(revOf)).toEqual(['2-e'])
    expect(leavesFrom(tree, '1-x')).toEqual([])
  })
})
