import { beforeEach, describe, expect, it } from 'vitest'
import { hostSql, makeSearched } from '../data/search-world.ts'
import { measurer } from '../kit/measure.ts'
import { type Ask, freshDatabase, makeBase } from '../kit/world.ts'

const base = makeBase()
const store = makeSearched(base)
const measure = measurer(base, store)

beforeEach(async () => {
  // A thousand posts: one in a hundred has the word, half of those are seen by nobody but bob.
  const many = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)'
  await freshDatabase(
    [store],
    [
      ...hostSql,
      `INSERT INTO authors (id, bio) VALUES ('ann', ''), ('bob', '')`,
      `${many} INSERT INTO posts (id, owner_id, public, title, body)
         SELECT i, iif(i % 2, 'ann', 'bob'), i % 200 > 0, 'post ' || i || iif(i % 100, '', ' zebra'), 'some words' FROM n`,
      `${many} INSERT INTO pages (book, no, owner_id, "or ""der") SELECT 'b', i, 'ann', 'page ' || i FROM n`,
    ],
  )
})

async function costs(
  path: string,
  ask: Ask,
  expected: [trips: number, statements: number, rowsRead: number, rowsWritten: number],
) {
  const { response, cost } = await measure(path, ask)
  expect(response.ok, await response.clone().text()).toBe(true)
  expect([cost.trips, cost.statements, cost.rowsRead, cost.rowsWritten]).toEqual(expected)
  return response
}

const words = encodeURIComponent('"or \\"der"')

describe('a search', () => {
  it('is one trip, and reads for each row found its place in the index, in the list, and the row', async () => {
    await costs('/posts?title=fts.zebra', {}, [1, 1, 30, 0])
    await costs('/posts?title=fts.nothing', {}, [1, 1, 1, 0])
    await costs('/posts?title=fts.the', {}, [1, 1, 0, 0])
    await costs('/posts?title=wfts.zebra -500', {}, [1, 1, 27, 0])
    await costs('/posts?title=fts.zebra&owner_id=eq.ann', {}, [1, 1, 20, 0])
    await costs('/posts?title=fts.zebra', { token: 'user-bob' }, [1, 1, 30, 0])
    await costs('/posts?title=fts.zebra&order=id.desc&limit=2', {}, [1, 1, 18, 0])
    await costs(`/pages?${words}=fts.500`, {}, [1, 1, 3, 0])
    const prefer = 'count=exact'
    await costs('/posts?title=fts.zebra', { headers: { prefer } }, [1, 2, 60, 0])
  })

  it('of a word that every row has reads the index of them all', async () => {
    await costs('/posts?title=fts.post&limit=10', {}, [1, 1, 1020, 0])
  })

  it('negated passes the rows in their order', async () => {
    await costs('/posts?title=not.fts.zebra&limit=10', {}, [1, 1, 30, 0])
    await costs('/posts?title=wfts.-zebra&limit=10', {}, [1, 1, 30, 0])
  })

  it('of an embed is a part of the same statement', async () => {
    await costs('/authors?select=id,posts(id)&posts.title=fts.zebra', {}, [1, 1, 51, 0])
    await costs(`/authors?select=id,pages(no)&pages.${words}=fts.500`, {}, [1, 1, 9, 0])
  })

  it('ordered by rank is one statement as well, and looks each word up for each row', async () => {
    const ranked = 'title=fts.zebra|500&order=title.rank.desc'
    await costs(`/posts?${ranked}`, {}, [1, 1, 51, 0])
    await costs(`/posts?${ranked}&limit=1`, {}, [1, 1, 51, 0])
  })

  it('that is refused is none', async () => {
    for (const query of ['title=fts.a b', 'unsearched=fts.a', 'secret=fts.a', 'title=fts(x).a']) {
      const { response, cost } = await measure(`/posts?${query}`, {})
      expect([response.ok, cost.trips]).toEqual([false, 0])
    }
  })
})

describe('a write', () => {
  const row = (id: number) => ({ id, owner_id: 'ann', title: `new ${id}`, body: 'some more words' })
  it('is one trip as before; the index takes one row for each', async () => {
    await costs('/posts', { body: row(2000) }, [1, 1, 3, 4])
    const rows = Array.from({ length: 100 }, (_, i) => row(3000 + i))
    await costs('/posts', { body: rows }, [1, 1, 300, 400])
    await costs('/posts?id=eq.1', { method: 'PATCH', body: { title: 'other' } }, [1, 1, 2, 3])
    await costs('/posts?id=eq.1', { method: 'DELETE' }, [1, 1, 1, 2])
  })

  it('that changes nothing that is searched leaves it alone', async () => {
    const change = { unsearched: 'x', title: 'post 1' }
    await costs('/posts?id=eq.1', { method: 'PATCH', body: change }, [1, 1, 2, 2])
  })
})
