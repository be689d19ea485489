import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { fresh, makeRpc } from '../data/rpc-world.ts'
import { alice } from '../data/store.ts'
import { measurer } from '../kit/measure.ts'
import { makeBase } from '../kit/world.ts'

const base = makeBase()
const measure = measurer(base, makeRpc(base))

// 1,000 notes more, of ten owners, every other one public, with two comments each.
beforeAll(async () => {
  await fresh()
  const many = 'WITH RECURSIVE n(i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)'
  await env.DB.batch(
    [
      `${many} INSERT INTO notes SELECT i, 'o' || (i % 10), 't' || i, i % 2, i, i, 's' FROM n`,
      `${many} INSERT INTO comments SELECT i * 2, i, 'alice', 'a' FROM n UNION ALL SELECT i * 2 + 1, i, 'bob', 'b' FROM n`,
      'ANALYZE',
    ].map((sql) => env.DB.prepare(sql)),
  )
})

describe('a function that reads', () => {
  it.each([
    // No database at all.
    ['/rpc/add?a=1', 0, 0, 0],
    ['/rpc/fruits', 0, 0, 0],
    ['/rpc/fruits?limit=1', 0, 0, 0],
    // Rows of no table: each once, and the two that are left once more to be sorted.
    ['/rpc/fruits?price=gt.1', 1, 1, 3],
    ['/rpc/fruits?price=gt.1&order=name', 1, 1, 5],
    // Rows by their keys: as many as keys, and two comments each with the end of the index's range.
    ['/rpc/by_ids?ids={103,101,105}&select=id', 1, 1, 6],
    ['/rpc/by_ids?ids={103,101,105}&select=id,comments(words)', 1, 1, 15],
    // A condition with an index: the hundred notes of the owner, each once more to be sorted, and the newest.
    ['/rpc/newest?owner=o3&select=id', 1, 1, 201],
    // Twenty that may be read, and those between them.
    ['/rpc/every?select=id&limit=20', 1, 1, 36],
  ])('%s takes %d trips, %d statements, %d rows', async (path, trips, statements, rowsRead) => {
    const { response, cost } = await measure(path, { token: alice })
    expect([response.status, cost.trips, cost.statements, cost.rowsRead, cost.rowsWritten]).toEqual(
      [200, trips, statements, rowsRead, 0],
    )
  })

  it('counts in the same trip', async () => {
    const { response, cost } = await measure('/rpc/by_ids?ids={103,101}&select=id', {
      headers: { prefer: 'count=exact' },
    })
    expect(response.headers.get('content-range')).toBe('0-1/2')
    expect([cost.trips, cost.statements]).toEqual([1, 2])
  })
})

describe('a function that writes', () => {
  it('takes the handler’s trips, and one to answer', async () => {
    const { response, cost } = await measure('/rpc/write?select=title', {
      body: { title: 'new' },
      token: alice,
    })
    expect([response.status, cost.trips]).toEqual([200, 2])
  })

  it('with a key it takes two more, and a repeat one', async () => {
    const keyed = () =>
      measure('/rpc/write?select=title', {
        body: { title: 'keyed' },
        token: alice,
        headers: { 'idempotency-key': 'k' },
      })
    expect((await keyed()).cost.trips).toBe(4)
    expect((await keyed()).cost.trips).toBe(1)
  })
})
