import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Ask } from '../kit/world.ts'
import { ask, fresh, head, logged, run } from './changes-world.ts'

const alice = 'user-alice'
const one = 'application/vnd.pgrst.object+json'

beforeEach(async () => {
  await fresh()
  for (const table of ['notes', 'quiet_notes'])
    await run(
      `INSERT INTO ${table} (id, owner_id, title) VALUES (1, 'alice', 'a'), (2, 'alice', 'b'), (3, 'bob', 'c')`,
    )
})

type Write = Ask & { path?: string; prefer?: string; accept?: string }

/** The same write of a table that is live and of one that is not. */
async function both({ path = '', prefer, accept, ...write }: Write) {
  const answers = []
  for (const table of ['notes', 'quiet_notes']) {
    const response = await ask(`/rest/v1/${table}${path}`, {
      token: alice,
      ...write,
      headers: { ...(prefer ? { prefer } : {}), ...(accept ? { accept } : {}) },
    })
    const { results } = await env.DB.prepare(`SELECT * FROM ${table} ORDER BY id`).all()
    answers.push({
      status: response.status,
      body: (await response.text()).replaceAll('quiet_notes', 'notes'),
      headers: [...response.headers]
        .filter(([name]) => !name.startsWith('x-d1'))
        .map(([name, value]) => [name, value.replaceAll('quiet_notes', 'notes')]),
      results,
    })
  }
  const [live, plain] = answers
  expect(live).toEqual(plain)
  return { status: live?.status, headers: live?.headers ?? [] }
}

const row = { id: 9, owner_id: 'alice', title: 'new' }
const rows = [row, { ...row, id: 10, title: 'newer' }]
const full = 'return=representation'

describe('a live table answers as one that is not', () => {
  const writes: [name: string, write: Write, status: number, logs: number][] = [
    ['insert', { body: row }, 201, 1],
    ['insert, returned', { body: rows, prefer: full }, 201, 2],
    ['insert, with its key in Location', { body: row, prefer: 'return=headers-only' }, 201, 1],
    ['insert, counted', { body: rows, prefer: 'count=exact' }, 201, 2],
    ['insert of one object', { body: row, prefer: full, accept: one }, 201, 1],
    ['insert of two where one is wanted', { body: rows, prefer: full, accept: one }, 406, 0],
    ['insert of what is there', { body: { ...row, id: 1 } }, 409, 0],
    ['insert that a check refuses', { body: { ...row, title: 'x'.repeat(21) } }, 400, 0],
    ['insert of no rows', { body: [] }, 201, 0],
    [
      'upsert, counted',
      {
        body: [{ ...row, id: 1 }, row],
        path: '?on_conflict=id',
        prefer: 'resolution=ignore-duplicates, count=exact',
      },
      201,
      1,
    ],
    [
      'upsert, merging',
      {
        body: [{ ...row, id: 1, title: 'z' }, row],
        prefer: `resolution=merge-duplicates, count=exact, ${full}`,
      },
      201,
      2,
    ],
    ['update', { method: 'PATCH', path: '?id=eq.1', body: { title: 'z' } }, 204, 1],
    [
      'update of all, counted',
      { method: 'PATCH', path: '?id=gt.0', body: { public: true }, prefer: 'count=exact' },
      204,
      2,
    ],
    [
      'update of none',
      { method: 'PATCH', path: '?id=eq.3', body: { title: 'z' }, prefer: full },
      200,
      0,
    ],
    [
      'update within its bound',
      {
        method: 'PATCH',
        path: '?id=gt.0',
        body: { public: true },
        prefer: 'handling=strict, max-affected=2',
      },
      204,
      2,
    ],
    [
      'update past its bound',
      {
        method: 'PATCH',
        path: '?id=gt.0',
        body: { public: true },
        prefer: 'handling=strict, max-affected=1',
      },
      400,
      0,
    ],
    [
      'update of one object',
      { method: 'PATCH', path: '?id=eq.1', body: { public: true }, prefer: full, accept: one },
      200,
      1,
    ],
    [
      'update of two where one is wanted',
      { method: 'PATCH', path: '?id=gt.0', body: { public: true }, prefer: full, accept: one },
      406,
      0,
    ],
    ['put', { method: 'PUT', path: '?id=eq.1', body: { ...row, id: 1 } }, 204, 1],
    ['delete', { method: 'DELETE', path: '?id=eq.1' }, 204, 1],
    [
      'delete, returned and counted',
      { method: 'DELETE', path: '?id=gt.0', prefer: `${full}, count=exact` },
      200,
      2,
    ],
    [
      'delete within its bound',
      { method: 'DELETE', path: '?id=gt.0', prefer: 'handling=strict, max-affected=2' },
      204,
      2,
    ],
    [
      'delete past its bound',
      { method: 'DELETE', path: '?id=gt.0', prefer: 'handling=strict, max-affected=1' },
      400,
      0,
    ],
    [
      'delete of two where one is wanted',
      { method: 'DELETE', path: '?id=gt.0', prefer: full, accept: one },
      406,
      0,
    ],
  ]

  it.each(writes)('to an %s', async (_, write, status, logs) => {
    const before = await head()
    expect((await both(write)).status).toBe(status)
    expect(await logged(before)).toHaveLength(logs)
  })

  it('also where the host’s triggers write as well', async () => {
    for (const table of ['notes', 'quiet_notes'])
      await run(
        `CREATE TRIGGER host_${table} AFTER UPDATE ON ${table} WHEN new.secret IS NULL BEGIN UPDATE ${table} SET secret = 'touched' WHERE id = new.id; END`,
      )
    const update = { method: 'PATCH', path: '?id=gt.0', body: { public: true } }
    const { headers } = await both({
      ...update,
      prefer: 'count=exact, handling=strict, max-affected=2',
    })
    expect(Object.fromEntries(headers)['content-range']).toBe('0-1/2')
  })
})
