import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { librarySql, makeLibrary } from '../data/library.ts'
import { alice } from '../data/store.ts'
import { measurer } from '../kit/measure.ts'
import { freshDatabase, makeBase } from '../kit/world.ts'

const base = makeBase()
const library = makeLibrary(base)
const measure = measurer(base, library)

// 1,000 books by 100 members, two loans each, alice's and bob's by turns; two genres each of 20.
beforeAll(async () => {
  await freshDatabase([library], librarySql)
  const many = (count: number) =>
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`
  await env.DB.batch(
    [
      `${many(100)} INSERT INTO members SELECT i, 'm' || i, CASE WHEN i > 10 THEN i % 10 + 1 END, NULL, NULL FROM n`,
      `${many(1000)} INSERT INTO books SELECT i, 'b' || i, i % 100 + 1, NULL, 1, i, i, NULL, NULL FROM n`,
      `${many(1000)} INSERT INTO sheets SELECT i, 's' || i FROM n WHERE i % 2`,
      `${many(2000)} INSERT INTO loans SELECT i, (i + 1) / 2, i % 100 + 1, CASE WHEN i % 2 THEN 'alice' ELSE 'bob' END, i FROM n`,
      `${many(20)} INSERT INTO genres SELECT 'g' || i, i FROM n`,
      `${many(1000)} INSERT INTO book_genres SELECT i, 'g' || (i % 20 + 1) FROM n UNION ALL SELECT i, 'g' || ((i + 7) % 20 + 1) FROM n`,
      'ANALYZE',
    ].map((sql) => env.DB.prepare(sql)),
  )
})

describe('embeds: one trip, and the rows that the foreign keys’ indexes lead to', () => {
  it.each([
    // 20 books.
    ['/books?select=id&limit=20', 20],
    // And an author each.
    ['/books?select=id,author:author_id(name)&limit=20', 40],
    // And a look for the sheet of each.
    ['/books?select=id,sheets(summary)&limit=20', 40],
    // And two loans each, of which one is alice's, and the end of the index's range.
    ['/books?select=id,loans(days)&limit=20', 80],
    // Three levels: books, their loans, and for alice's the member.
    ['/books?select=id,loans(days,members(name))&limit=20', 100],
    // Two join rows, their range's end, and two genres each.
    ['/books?select=id,genres(rank)&limit=20', 120],
    // The other way: 100 entries of the join table's index and its end, 100 of its rows, 100 books.
    ['/genres?select=name,books(id)&limit=1', 302],
    // Ten books an author.
    ['/members?select=id,books!author_id(id)&id=eq.5', 12],
    ['/members?select=id,books!author_id(count())&id=eq.5', 12],
  ])('%s reads %d rows', async (path, rowsRead) => {
    const { response, cost } = await measure(path, { token: alice })
    expect([response.status, cost.trips, cost.statements, cost.rowsRead]).toEqual([
      200,
      1,
      1,
      rowsRead,
    ])
  })

  it('an inner join, an anti-join and a related order stay within their plan', async () => {
    const rows = async (path: string) => {
      const { response, cost } = await measure(path, { token: alice })
      expect([response.status, cost.trips]).toEqual([200, 1])
      return cost.rowsRead
    }
    // 39 books, a look for the sheet of each, and 20 sheets.
    expect(await rows('/books?select=id,sheets!inner(summary)&limit=20')).toBe(98)
    expect(await rows('/books?select=id,sheets()&sheets=is.null&limit=20')).toBe(80)
    // To be sorted, all books and authors must be seen; and an author once more for what comes among the first.
    expect(await rows('/books?select=id,a:author_id(name)&order=a(name)&limit=20')).toBe(3069)
  })

  it('a cursor reads no row that it skips', async () => {
    const page = async (cursor: string) => {
      const { response, cost } = await measure(`/books?select=id&limit=20&cursor=${cursor}`, {})
      return { rows: cost.rowsRead, next: response.headers.get('next-cursor') ?? '' }
    }
    let { rows, next } = await page('')
    for (let i = 0; i < 5; i++) {
      expect(rows).toBe(20)
      ;({ rows, next } = await page(next))
    }
  })
})
