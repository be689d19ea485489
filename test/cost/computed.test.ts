import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { fresh, makeComputed } from '../data/computed-world.ts'
import { measurer } from '../kit/measure.ts'
import { makeBase } from '../kit/world.ts'

const base = makeBase()
const measure = measurer(base, makeComputed(base))

// 100 authors more, with ten posts each, of zero to nine stars.
beforeAll(async () => {
  await fresh()
  const many = (from: number, to: number) =>
    `WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to})`
  await env.DB.batch(
    [
      `${many(101, 200)} INSERT INTO authors SELECT i, 'f' || i, NULL, i, NULL FROM n`,
      `${many(1001, 2000)} INSERT INTO posts SELECT i, 101 + (i - 1001) / 10, NULL, 'bob', 't' || i, i % 10 FROM n`,
      'ANALYZE',
    ].map((sql) => env.DB.prepare(sql)),
  )
})

describe('computed columns and relations: one trip, and no row that is not asked for', () => {
  const authors = '/authors?id=gt.100&limit=20&select=id'
  const posts = '/posts?id=gt.1001&limit=20&select=id'
  it.each([
    [authors, 20],
    [`${authors},full_name`, 20],
    // A sum over ten posts each, by their index, and the end of its range.
    [`${authors},stars`, 240],
    // Ten posts each, of which some are shown.
    [`${authors},best(id)`, 240],
    [`${authors},best!inner()`, 80],
    // The author of each post; what is computed of him by another table only where it is asked for.
    [`${posts},author_id(first)`, 42],
    [`${posts},author_id(full_name)`, 42],
    [`${posts},author_id(stars)`, 262],
    [`${posts},authors(first)`, 42],
  ])('%s reads %d rows', async (path, rowsRead) => {
    const { response, cost } = await measure(path, {})
    expect([response.status, cost.trips, cost.statements, cost.rowsRead]).toEqual([
      200,
      1,
      1,
      rowsRead,
    ])
  })
})
