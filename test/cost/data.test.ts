import { env } from 'cloudflare:workers'
import type { Cost } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { alice, fresh, makeStore } from '../data/store.ts'
import { type Measured, measurer } from '../kit/measure.ts'
import { type Ask, makeBase } from '../kit/world.ts'

const base = makeBase()
const measure = measurer(base, makeStore(base))

beforeEach(async () => {
  await fresh()
  // Enough rows that a scan would show: half alice's, half bob's; a tenth public.
  const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)'
  await env.DB.batch(
    [
      `${many} INSERT INTO notes (id, owner_id, title, public, rank, created_at)
         SELECT i, CASE WHEN i % 2 THEN 'alice' ELSE 'bob' END, 'note ' || i, i % 10 = 0,
           CASE WHEN i % 4 THEN i END, i * 1000 FROM n`,
      `${many} INSERT INTO scores (player, game, points) SELECT 'p' || i, 'g', i FROM n`,
      'CREATE INDEX notes_rank ON notes (rank)',
      'ANALYZE',
    ].map((sql) => env.DB.prepare(sql)),
  )
})

const ask = ({ prefer, ...options }: Ask & { prefer?: string }, path: string): Promise<Measured> =>
  measure(path, {
    token: alice,
    ...options,
    headers: { ...(prefer ? { prefer } : {}), ...options.headers },
  })

async function costs(
  path: string,
  options: Ask & { prefer?: string },
  status: number,
  expected: [trips: number, statements: number, rowsRead: number, rowsWritten: number],
): Promise<Response> {
  const { response, cost } = await ask(options, path)
  const { trips, statements, rowsRead, rowsWritten }: Cost = cost
  expect({ status: response.status, cost: [trips, statements, rowsRead, rowsWritten] }).toEqual({
    status,
    cost: expected,
  })
  return response
}

describe('read', () => {
  it('one by key: 1 trip, 1 row; the same if it may not be read', async () => {
    await costs('/notes?id=eq.501', {}, 200, [1, 1, 1, 0])
    await costs('/notes?id=eq.502', {}, 200, [1, 1, 1, 0])
    const accept = 'application/vnd.pgrst.object+json'
    await costs('/notes?id=eq.501', { headers: { accept } }, 200, [1, 1, 1, 0])
    await costs('/notes?id=eq.502', { headers: { accept } }, 406, [1, 1, 1, 0])
  })

  it('20 by an indexed column: 1 trip, 20 rows, under a policy of two branches', async () => {
    await costs('/notes?owner_id=eq.alice&order=title&limit=20', {}, 200, [1, 1, 20, 0])
    await costs('/scores?order=player,game&limit=20', {}, 200, [1, 1, 20, 0])
    await env.DB.prepare('UPDATE notes SET public = 1').run()
    await costs('/notes?order=created_at.desc&limit=20', {}, 200, [1, 1, 20, 0])
    await costs('/notes?order=id.desc&limit=20', {}, 200, [1, 1, 20, 0])
    await costs(
      '/notes?created_at=lt.1970-01-01T00:05:00Z&order=created_at.desc&limit=20',
      {},
      200,
      [1, 1, 20, 0],
    )
  })

  it('20 by a column that may be null, with the nulls where Postgres has them: the index serves', async () => {
    await env.DB.prepare('UPDATE notes SET public = 1').run()
    for (const order of ['asc', 'desc', 'asc.nullsfirst', 'desc.nullslast'])
      await costs(`/notes?order=rank.${order}&limit=20`, {}, 200, [1, 1, 20, 0])
    await costs('/notes?rank=gt.5&order=rank&limit=20', {}, 200, [1, 1, 20, 0])
  })

  it('500 keys by in.(…): 1 trip, each row once, and the list', async () => {
    const ids = Array.from({ length: 500 }, (_, i) => i * 2 + 1)
    await costs(`/notes?id=in.(${ids})`, {}, 200, [1, 1, 1500, 0])
  })

  it('with count=exact: 1 trip, one statement more, which reads what it counts', async () => {
    const prefer = 'count=exact'
    await costs('/notes?owner_id=eq.alice&order=title&limit=20', { prefer }, 206, [1, 2, 521, 0])
    await costs('/scores?player=eq.p1&game=eq.g', { prefer }, 200, [1, 2, 2, 0])
    // HEAD counts, and reads no row for it.
    await costs('/notes?owner_id=eq.alice', { prefer, method: 'HEAD' }, 200, [1, 1, 501, 0])
  })

  it('what is refused before it is asked: no trip', async () => {
    await costs('/notes?id=eq.x', {}, 400, [0, 0, 0, 0])
    await costs('/notes?nothing=eq.1', {}, 400, [0, 0, 0, 0])
    await costs('/nothing', {}, 404, [0, 0, 0, 0])
    await costs('/closed', {}, 403, [0, 0, 0, 0])
    await costs('/notes', { body: { score: 1 } }, 403, [0, 0, 0, 0])
  })
})

describe('write', () => {
  const rows = (count: number, of = 'b') =>
    Array.from({ length: count }, (_, i) => ({ player: `${of}${i + 1}`, game: 'g', points: 1 }))

  it('insert 1: 1 trip; a row and its three index entries (of which one is AUTOINCREMENT’s)', async () => {
    await costs('/scores', { body: rows(1) }, 201, [1, 1, 1, 2])
    await costs('/notes', { body: { title: 'x' } }, 201, [1, 1, 4, 5])
    const prefer = 'return=representation'
    await costs('/notes', { body: { title: 'y' }, prefer }, 201, [1, 1, 4, 5])
  })

  it('insert 1,000: 1 trip, 1 statement', async () => {
    await costs('/scores', { body: rows(1000) }, 201, [1, 1, 1000, 2000])
    const titles = Array.from({ length: 1000 }, (_, i) => ({ title: `x${i}` }))
    await costs('/notes', { body: titles }, 201, [1, 1, 3001, 4001])
  })

  it('insert of more than one value may hold: 1 trip, a statement per 600,000 characters', async () => {
    const body = Array.from({ length: 30 }, (_, i) => ({ name: `${i}${'x'.repeat(50_000)}` }))
    await costs('/tags', { body }, 201, [1, 3, 30, 60])
  })

  it('a refused insert: 1 trip, nothing written', async () => {
    await costs('/notes', { body: { title: 'x', owner_id: 'bob' } }, 403, [1, 1, 0, 0])
  })

  it('update: 1 trip, also if no row is reached', async () => {
    const options = { method: 'PATCH', body: { body: 'x' } }
    await costs('/notes?id=eq.501', options, 204, [1, 1, 2, 1])
    await costs('/notes?id=eq.502', options, 204, [1, 1, 2, 0])
    // Under a policy of `true` nothing is returned, and a second statement counts.
    await costs(
      '/scores?player=eq.p1&game=eq.g',
      { ...options, body: { points: 5 } },
      204,
      [1, 2, 1, 1],
    )
    const prefer = 'return=representation'
    const accept = 'application/vnd.pgrst.object+json'
    await costs('/notes?id=eq.501', { ...options, prefer, headers: { accept } }, 200, [1, 2, 2, 1])
  })

  it('upsert: 1 trip; more statements find what is there, and count', async () => {
    const prefer = 'resolution=merge-duplicates'
    await costs('/scores', { body: rows(1, 'p'), prefer }, 200, [1, 3, 4, 2])
    await costs('/scores', { body: rows(1, 'n'), prefer }, 201, [1, 3, 2, 2])
    await costs('/scores', { body: rows(1000, 'p'), prefer }, 200, [1, 3, 4000, 2000])
    await costs('/notes', { body: { id: 501, title: 'x' }, prefer }, 200, [1, 2, 9, 4])
    const ignore = 'resolution=ignore-duplicates'
    await costs('/scores', { body: rows(1, 'p'), prefer: ignore }, 201, [1, 1, 1, 0])
    const put = { method: 'PUT', body: { player: 'p1', game: 'g', points: 4 } }
    await costs('/scores?player=eq.p1&game=eq.g', put, 204, [1, 3, 4, 2])
  })

  it('delete: 1 trip', async () => {
    await costs('/scores?player=eq.p1&game=eq.g', { method: 'DELETE' }, 204, [1, 1, 1, 1])
    // The second row read is the look for comments that refer to it.
    await costs('/notes?id=eq.501', { method: 'DELETE' }, 204, [1, 1, 2, 1])
    const prefer = 'handling=strict, max-affected=1'
    await costs('/scores?player=eq.p2&game=eq.g', { method: 'DELETE', prefer }, 204, [1, 2, 1, 1])
  })
})
