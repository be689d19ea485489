import { env } from 'cloudflare:workers'
import { beforeEach, expect, it } from 'vitest'
import { alice } from '../data/store.ts'
import { makeWorld, seed } from '../data/writing-world.ts'
import { measurer } from '../kit/measure.ts'
import { type Ask, makeBase } from '../kit/world.ts'

const base = makeBase()
const measure = measurer(base, makeWorld(base))

beforeEach(async () => {
  await seed()
  // Enough rows that a scan would show.
  const many = 'WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 1099)'
  await env.DB.batch(
    [
      `${many} INSERT INTO plain (id, text) SELECT i, 't' || i FROM n`,
      `${many} INSERT INTO pairs (a, b, v) SELECT 'p' || i, i, 'v' FROM n`,
      `${many} INSERT INTO versioned (id, owner_id, text, rev) SELECT i, 'alice', 't', 1 FROM n`,
    ].map((sql) => env.DB.prepare(sql)),
  )
})

const full = 'return=representation'

async function costs(
  path: string,
  { prefer, headers, ...options }: Ask & { prefer?: string },
  status: number,
  expected: [trips: number, statements: number, rowsRead: number, rowsWritten: number],
) {
  const { response, cost } = await measure(path, {
    token: alice,
    ...options,
    headers: { ...(prefer ? { prefer } : {}), ...headers },
  })
  const { trips, statements, rowsRead, rowsWritten } = cost
  expect({ status: response.status, cost: [trips, statements, rowsRead, rowsWritten] }).toEqual({
    status,
    cost: expected,
  })
  return response
}

const key = (text: string) => ({ 'idempotency-key': text })

it('tx=rollback: 1 trip; D1 says nothing of the rows of a batch that failed', async () => {
  const prefer = `${full}, tx=rollback`
  await costs('/plain', { body: { text: 'x' }, prefer }, 201, [1, 4, 0, 0])
  await costs(
    '/plain?id=eq.500',
    { method: 'PATCH', body: { text: 'x' }, prefer },
    200,
    [1, 4, 0, 0],
  )
  await costs('/plain?id=eq.500', { method: 'DELETE', prefer }, 200, [1, 4, 0, 0])
  const many = Array.from({ length: 1000 }, (_, i) => ({ text: `${i}` }))
  await costs('/plain', { body: many, prefer }, 201, [1, 4, 0, 0])
})

it('Idempotency-Key: 1 trip, and 2 for a repeat; no row of the table is read that the write does not read', async () => {
  const insert = { body: { text: 'x' }, prefer: full, headers: key('a') }
  await costs('/plain', insert, 201, [1, 6, 9, 6])
  await costs('/plain', insert, 201, [2, 7, 2, 0])
  const update = { method: 'PATCH', body: { text: 'x' }, prefer: full, headers: key('b') }
  await costs('/plain?id=eq.500', update, 200, [1, 6, 12, 6])
  await costs('/plain?id=eq.500', update, 200, [2, 7, 3, 0])
  await costs('/plain?id=eq.501', { method: 'DELETE', headers: key('c') }, 204, [1, 6, 5, 6])
  const upsert = {
    body: { a: 'p500', b: 500, v: 'x' },
    prefer: `${full}, resolution=merge-duplicates`,
    headers: key('d'),
  }
  await costs('/pairs', upsert, 200, [1, 6, 12, 6])
})

it('If-Match: 1 trip; of what is not as it says, nothing is written', async () => {
  const patch = (tag: string) => ({
    method: 'PATCH',
    body: { text: 'x' },
    headers: { 'if-match': tag },
  })
  await costs('/versioned?id=eq.500', patch('"1"'), 204, [1, 2, 3, 1])
  await costs('/versioned?id=eq.500', patch('"1"'), 412, [1, 2, 0, 0])
  const remove = { method: 'DELETE', headers: { 'if-match': '"1"' } }
  await costs('/versioned?id=eq.501', remove, 204, [1, 2, 3, 1])
  const put = { method: 'PUT', body: { id: 502, text: 'x' }, headers: { 'if-match': '"1"' } }
  await costs('/versioned?id=eq.502', put, 204, [1, 3, 10, 1])
  await costs('/versioned?id=eq.502&select=text', {}, 200, [1, 1, 1, 0])
})

it('a window: 1 trip; as many rows are read as the window has, and once more to write them', async () => {
  const limited = { method: 'PATCH', body: { text: 'x' } }
  await costs('/plain?order=id.desc&limit=10', limited, 204, [1, 2, 50, 10])
  // That a table has no rowids is learned once, by a failed trip.
  await measure('/pairs?order=a,b&limit=0', { token: alice, method: 'DELETE' })
  await costs('/pairs?order=a,b&limit=5', { method: 'DELETE' }, 204, [1, 1, 20, 5])
})

it('a batch of 50 operations: 1 trip, a statement each', async () => {
  const operations = Array.from({ length: 50 }, (_, i) => ({
    method: 'POST',
    path: '/plain?select=id',
    headers: { prefer: full },
    body: { text: `${i}` },
  }))
  await costs('/batch', { body: { operations } }, 200, [1, 50, 150, 50])
  const mixed = operations.map((operation, i) =>
    i % 2 ? operation : { method: 'GET', path: `/plain?id=eq.${500 + i}` },
  )
  await costs('/batch', { body: { operations: mixed } }, 200, [1, 50, 100, 25])
  // Each is captured, and nothing is told but by the error.
  await costs('/batch', { body: { operations }, prefer: 'tx=rollback' }, 200, [1, 151, 0, 0])
})

it('a batch with references: 1 trip; only what is referred to is captured, and taken away again', async () => {
  const operations = [
    { id: 'a', method: 'POST', path: '/notes', body: { title: 'x' } },
    ...Array.from({ length: 10 }, (_, i) => ({
      method: 'POST',
      path: '/comments',
      body: { note_id: { $ref: 'a.id' }, text: `${i}` },
    })),
  ]
  await costs('/batch', { body: { operations } }, 200, [1, 15, 44, 17])
})

it('a batch that fails: 1 trip where the operation is known, and the logarithm of its length to find it', async () => {
  const operations = (bad: object) => [
    ...Array.from({ length: 49 }, (_, i) => ({
      method: 'POST',
      path: '/plain',
      body: { text: `${i}` },
    })),
    bad,
  ]
  const denied = { method: 'POST', path: '/notes', body: { title: 'x', owner_id: 'bob' } }
  await costs('/batch', { body: { operations: operations(denied) } }, 403, [1, 50, 0, 0])
  const twice = { method: 'POST', path: '/plain', body: { id: 1 } }
  await costs('/batch', { body: { operations: operations(twice) } }, 409, [8, 355, 0, 0])
  const wrong = { method: 'POST', path: '/plain', body: { id: 'x' } }
  await costs('/batch', { body: { operations: operations(wrong) } }, 400, [0, 0, 0, 0])
})

it('what is refused before it is asked: no trip', async () => {
  await costs('/plain?limit=1', { method: 'DELETE' }, 400, [0, 0, 0, 0])
  await costs('/versioned?id=eq.1', { method: 'PATCH', body: { rev: 5 } }, 400, [0, 0, 0, 0])
  await costs('/plain', { body: {}, headers: key(' ') }, 400, [0, 0, 0, 0])
  await costs('/plain', { body: {}, headers: { 'if-match': '*' } }, 400, [0, 0, 0, 0])
  await costs('/batch', { body: { operations: [] } }, 400, [0, 0, 0, 0])
})
