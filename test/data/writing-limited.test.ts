import { beforeEach, describe, expect, it } from 'vitest'
import { alice, bob } from './store.ts'
import { call, rows, seed } from './writing-world.ts'

beforeEach(seed)

const full = 'return=representation'
const texts = async (table: string, column = 'text') =>
  (await rows(`SELECT ${column} AS v FROM ${table} ORDER BY rowid`)).map(({ v }) => v)

describe('update and delete with a window', () => {
  it.each([
    ['/plain?order=id.desc&limit=1', [7]],
    ['/plain?order=id&limit=2', [1, 2]],
    ['/plain?order=id&limit=1&offset=1', [2]],
    ['/plain?order=text.desc&limit=1', [2]],
    ['/plain?order=id&offset=2', [7]],
    ['/plain?order=id&limit=0', []],
    ['/plain?order=id&limit=5&offset=9', []],
    ['/plain?id=gt.1&order=id&limit=1', [2]],
    ['/plain?or=(id.eq.7,id.eq.1)&order=id.desc&limit=1', [7]],
  ])('%s reaches %j', async (path, expected) => {
    const updated = await call(path, {
      method: 'PATCH',
      token: alice,
      body: { text: 'new' },
      prefer: `${full}, count=exact`,
    })
    expect(updated.body.map(({ id }: { id: number }) => id)).toEqual(
      path.includes('desc') ? expected : [...expected].sort(),
    )
    expect(updated.headers.get('content-range')).toMatch(new RegExp(`/${expected.length}$`))
    expect(await rows(`SELECT id FROM plain WHERE text = 'new' ORDER BY id`)).toEqual(
      [...expected].sort().map((id) => ({ id })),
    )
    await seed()
    const deleted = await call(path, { method: 'DELETE', token: alice, prefer: full })
    expect(deleted.body.map(({ id }: { id: number }) => id)).toEqual(expected)
    expect(await rows('SELECT id FROM plain ORDER BY id')).toEqual(
      [1, 2, 7].filter((id) => !expected.includes(id)).map((id) => ({ id })),
    )
  })

  it('of a key of two columns, in a table without rowids; and without a key', async () => {
    await call('/pairs?order=b.desc,a&limit=1', { method: 'DELETE', token: alice })
    expect(await rows('SELECT v FROM pairs ORDER BY v')).toEqual([{ v: 'one' }, { v: 'three' }])
    // Two rows that are alike: one of them.
    await call('/keyless?text=eq.two&order=n&limit=1', { method: 'DELETE', token: alice })
    expect(await texts('keyless')).toEqual(['one', 'two'])
  })

  it('reaches the rows that a read with the same window shows, also where the order holds rows for equal', async () => {
    for (const query of [
      'order=text.desc&limit=1',
      'order=text&limit=2&offset=1',
      'order=n.desc,text&limit=2',
    ]) {
      const shown = await call(`/keyless?${query}`, { token: alice })
      await call(`/keyless?${query}`, { method: 'PATCH', token: alice, body: { n: 9 } })
      const reached = await rows('SELECT text, rowid AS r FROM keyless WHERE n = 9 ORDER BY rowid')
      expect(reached.map(({ text }) => text).sort()).toEqual(
        shown.body.map(({ text }: { text: string }) => text).sort(),
      )
      await seed()
    }
  })

  it('by a column of a related row', async () => {
    const path = '/comments?select=id,notes(title)&order=notes(title).nullsfirst&limit=1'
    const answer = await call(path, { method: 'DELETE', token: alice, prefer: full })
    // The note of the third one is bob's: for alice it is none.
    expect(answer.body).toEqual([{ id: 3, notes: null }])
    expect(await rows('SELECT id FROM comments ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }])
  })

  it('counts only the rows that the caller may read and write', async () => {
    await call('/notes?order=id&limit=2', { method: 'PATCH', token: bob, body: { rank: 77 } })
    expect(await rows('SELECT id FROM notes WHERE rank = 77')).toEqual([{ id: 3 }])
    const guest = await call('/notes?order=id&limit=1', { method: 'DELETE', prefer: full })
    expect(guest.body).toEqual([])
  })

  it.each([
    ['/plain?limit=1', 400, 'PGRST109'],
    ['/plain?offset=1', 400, 'PGRST109'],
    ['/plain?limit=0', 400, 'PGRST109'],
    ['/plain?limit=-1&order=id', 416, 'PGRST103'],
    ['/plain?limit=x&order=id', 400, 'PGRST100'],
    ['/notes?order=secret&limit=1', 400, '42703'],
    ['/rowids?order=text&limit=1', 400, 'PGRST127'],
  ])('%s is %i %s', async (path, status, code) => {
    const before = await rows('SELECT * FROM plain')
    for (const method of ['PATCH', 'DELETE']) {
      const answer = await call(path, {
        method,
        token: alice,
        ...(method === 'PATCH' ? { body: { text: 'x' } } : {}),
      })
      expect([answer.status, answer.body.code]).toEqual([status, code])
      if (code === 'PGRST109')
        expect(answer.body).toMatchObject({
          message: "A 'limit' was applied without an explicit 'order'",
          hint: "Apply an 'order' using unique column(s)",
        })
    }
    expect(await rows('SELECT * FROM plain')).toEqual(before)
  })

  it('max-affected holds for what the window reaches', async () => {
    const prefer = 'handling=strict, max-affected=1'
    expect(
      (await call('/plain?order=id&limit=1', { method: 'DELETE', token: alice, prefer })).status,
    ).toBe(204)
    const more = await call('/plain?order=id&limit=2', { method: 'DELETE', token: alice, prefer })
    expect([more.status, more.body.code]).toEqual([400, 'PGRST124'])
    expect(await texts('plain')).toEqual(['two', 'seven'])
  })
})

describe('what a write returns', () => {
  it('embeds, and leaves out what an inner embed has no row for', async () => {
    const answer = await call('/notes?select=id,comments!inner(text)&order=id', {
      method: 'PATCH',
      token: alice,
      body: { rank: 5 },
      prefer: `${full}, count=exact`,
    })
    expect(answer.body).toEqual([{ id: 1, comments: [{ text: "it's" }, { text: 'zwei "x"' }] }])
    expect(answer.headers.get('content-range')).toBe('0-2/3')
    expect(await rows('SELECT count(*) AS n FROM notes WHERE rank = 5')).toEqual([{ n: 3 }])
  })

  it('is sorted by a column of a related row', async () => {
    const answer = await call(
      '/comments?select=id,notes(title)&order=notes(title).desc.nullslast,id.desc',
      {
        method: 'PATCH',
        token: alice,
        body: { text: 'x' },
        prefer: full,
      },
    )
    expect(answer.body).toEqual([
      { id: 2, notes: { title: 'a' } },
      { id: 1, notes: { title: 'a' } },
      { id: 3, notes: null },
    ])
  })

  it('is no aggregate', async () => {
    const answer = await call('/plain?select=count()', {
      body: { text: 'x' },
      token: alice,
      prefer: full,
    })
    expect([answer.status, answer.body.code]).toEqual([400, 'PGRST127'])
    expect(await rows('SELECT count(*) AS n FROM plain')).toEqual([{ n: 3 }])
  })
})
