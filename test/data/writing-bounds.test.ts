import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { full, one } from './preferences.ts'
import { call, client, count, fresh, stored } from './store.ts'
import { askWide } from './wide.ts'

beforeEach(fresh)

describe('bulk of any size', () => {
  it('5,000 rows, with a unique key each', async () => {
    const rows = Array.from({ length: 5000 }, (_, i) => ({ player: `p${i}`, game: 'g', points: i }))
    const { status, headers } = await call('/scores', { body: rows, prefer: 'count=exact' })
    expect([status, headers.get('content-range')]).toEqual([201, '*/5000'])
    expect(await stored('SELECT count(*) AS n, sum(points) AS s FROM scores')).toEqual([
      { n: 5000, s: 12497500 },
    ])
  })

  const heavy = (last: string) => [
    ...Array.from({ length: 40 }, (_, i) => ({ name: `${i}-${'ü'.repeat(60_000)}` })),
    { name: last },
  ]

  it('over 2 MB, which is more than D1 takes as one value', async () => {
    const { status, body } = await call('/tags?select=name', { body: heavy('last'), prefer: full })
    expect([status, body.length, body[40]]).toEqual([201, 41, { name: 'last' }])
    expect(await count('tags')).toBe(41)
  })

  it('is all or nothing, also over several statements', async () => {
    await call('/tags', { body: { name: 'last' } })
    expect(await call('/tags', { body: heavy('last') })).toMatchObject({
      status: 409,
      body: { code: '23505' },
    })
    expect(await count('tags')).toBe(1)
    const rows = Array.from({ length: 3000 }, (_, i) => ({
      player: `${i}`,
      game: i < 2999 ? 'g' : null,
    }))
    expect((await call('/scores', { body: rows })).status).toBe(400)
    expect(await count('scores')).toBe(0)
  })

  it('one value that D1 cannot take is 54000', async () => {
    expect(await call('/tags', { body: { name: 'x'.repeat(3_000_000) } })).toMatchObject({
      status: 400,
      body: { code: '54000' },
    })
  })

  it('a payload of several statements is not bounded by max-affected', async () => {
    const prefer = 'handling=strict, max-affected=50'
    expect(await call('/tags', { body: heavy('last'), prefer })).toMatchObject({
      status: 400,
      body: { code: '54000' },
    })
    expect(await count('tags')).toBe(0)
  })

  it('a table may have 100 columns, and one request may write and return them all', async () => {
    // Each value is in the statement twice, as what is set and as what the policy sees.
    const columns = Object.fromEntries(Object.entries(wideRow).map(([key]) => [key, `${key} new`]))
    await env.DB.prepare(wideSql).run()
    await askWide({ body: { id: 1, ...wideRow } })
    const { status, body } = await askWide({ method: 'PATCH', body: columns })
    expect([status, body[0]]).toEqual([200, { id: 1, ...columns }])
  })
})

const wideRow = Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`c${i}`, `${i}`]))
const wideSql = `CREATE TABLE wide (id INTEGER PRIMARY KEY, ${Object.keys(wideRow).join(' TEXT, ')} TEXT)`

describe('one object, or nothing is written', () => {
  beforeEach(async () => {
    await env.DB.prepare(`INSERT INTO tags (name) VALUES ('a'), ('b')`).run()
  })
  it.each(['return=representation', 'return=minimal', ''])('%s', async (prefer) => {
    for (const [path, options, rows] of [
      ['/tags', { body: [{ name: 'c' }, { name: 'd' }] }, 2],
      ['/tags', { body: [] }, 0],
      ['/tags?name=in.(a,b)', { method: 'PATCH', body: { name: 'z' } }, undefined],
      ['/scores?player=eq.x', { method: 'PATCH', body: { points: 1 } }, 0],
      ['/tags', { method: 'DELETE' }, 2],
      ['/tags?name=eq.z', { method: 'DELETE' }, 0],
      ['/tags', { body: { name: 'a' }, resolve: true }, 0],
    ] as const) {
      const resolution = 'resolve' in options ? ', resolution=ignore-duplicates' : ''
      const answer = await call(path, { ...options, prefer: prefer + resolution, headers: one })
      expect(await stored('SELECT name FROM tags ORDER BY name')).toEqual([
        { name: 'a' },
        { name: 'b' },
      ])
      if (rows !== undefined)
        expect(answer).toMatchObject({
          status: 406,
          body: { code: 'PGRST116', details: `The result contains ${rows} rows` },
        })
    }
  })

  it('one row is fine', async () => {
    const made = await call('/tags', { body: [{ name: 'c' }], prefer: full, headers: one })
    expect([made.status, made.body]).toEqual([201, { name: 'c' }])
    const minimal = await call('/tags', { body: { name: 'd' }, headers: one })
    expect([minimal.status, minimal.text]).toEqual([201, ''])
    const patched = await call('/tags?name=eq.c', {
      method: 'PATCH',
      body: { name: 'e' },
      prefer: full,
      headers: one,
    })
    expect([patched.status, patched.body]).toEqual([200, { name: 'e' }])
    const gone = await call('/tags?name=eq.e', { method: 'DELETE', prefer: full, headers: one })
    expect([gone.status, gone.body]).toEqual([200, { name: 'e' }])
    const { error } = await client().from('tags').delete().neq('name', '').select().single()
    expect(error?.code).toBe('PGRST116')
    expect(await count('tags')).toBe(3)
  })
})

describe('max-affected', () => {
  beforeEach(async () => {
    await env.DB.prepare(`INSERT INTO tags (name) VALUES ('a'), ('b'), ('c')`).run()
  })
  it('under handling=strict, more rows undo the write', async () => {
    const prefer = 'handling=strict, max-affected=2'
    const answer = await call('/tags', { method: 'DELETE', prefer })
    expect(answer).toMatchObject({
      status: 400,
      body: {
        code: 'PGRST124',
        message: 'Query result exceeds max-affected preference constraint',
        details: 'The query affects 3 rows',
      },
    })
    expect(await count('tags')).toBe(3)
    const fine = await call('/tags?name=neq.a', { method: 'DELETE', prefer })
    expect(fine.status).toBe(204)
    expect(fine.headers.get('preference-applied')).toBe('handling=strict, max-affected=2')
    const insert = await call('/tags', {
      body: [{ name: '1' }, { name: '2' }, { name: '3' }],
      prefer,
    })
    expect([insert.body.code, await count('tags')]).toEqual(['PGRST124', 1])
  })
  it('is ignored under handling=lenient', async () => {
    expect((await call('/tags', { method: 'DELETE', prefer: 'max-affected=1' })).status).toBe(204)
  })
  it('supabase-js', async () => {
    const { error } = await client().from('tags').delete().neq('name', '').maxAffected(1)
    expect(error?.code).toBe('PGRST124')
  })
})
