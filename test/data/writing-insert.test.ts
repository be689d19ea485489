import { beforeEach, describe, expect, it } from 'vitest'
import { full, one } from './preferences.ts'
import { alice, bob, call, client, count, fresh, stored } from './store.ts'

const q = encodeURIComponent

beforeEach(fresh)

describe('insert', () => {
  it('one: 201, no body, no location', async () => {
    const { status, text, headers } = await call('/notes', {
      token: alice,
      body: { title: 'a', done: true, meta: { tags: ['x'] }, rank: 2.5 },
    })
    expect([status, text]).toEqual([201, ''])
    expect(headers.get('content-range')).toBe('*/*')
    expect(headers.get('content-type')).toBeNull()
    expect(headers.get('location')).toBeNull()
    expect(await stored('SELECT id, owner_id, title, done, public, rank, meta FROM notes')).toEqual(
      [
        {
          id: 1,
          owner_id: 'alice',
          title: 'a',
          done: 1,
          public: 0,
          rank: 2.5,
          meta: '{"tags":["x"]}',
        },
      ],
    )
  })

  it('returns what was written: defaults of who asks, of drizzle, of SQL, and generated columns', async () => {
    const note = await call('/notes', { token: alice, body: { title: 'a' }, prefer: full })
    expect(note.status).toBe(201)
    expect(note.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(note.headers.get('preference-applied')).toBe(full)
    expect(note.body).toEqual([
      {
        id: 1,
        owner_id: 'alice',
        title: 'a',
        body: null,
        done: false,
        public: false,
        rank: null,
        meta: null,
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/),
        score: 0,
      },
    ])
    const kind = await call('/kinds?select=id,whole,double,changed', {
      body: { whole: 21 },
      prefer: full,
    })
    expect(kind.body).toEqual([
      { id: expect.stringMatching(/^[0-9a-f-]{36}$/), whole: 21, double: 42, changed: 7 },
    ])
    const score = await call('/scores', { body: { player: 'a', game: 'x' }, prefer: full })
    expect(score.body).toEqual([{ player: 'a', game: 'x', points: 10, stamp: 'new' }])
  })

  it('select shapes what comes back; without representation it is not looked at', async () => {
    const { body } = await call('/notes?select=name:title', {
      token: alice,
      body: { title: 'a' },
      prefer: full,
    })
    expect(body).toEqual([{ name: 'a' }])
    const ignored = await call('/notes?select=nothing', { token: alice, body: { title: 'b' } })
    expect(ignored.status).toBe(201)
    const empty = await call('/notes?select=', {
      token: alice,
      body: { title: 'c' },
      prefer: full,
      headers: one,
    })
    expect([empty.status, empty.body]).toEqual([201, {}])
  })

  it('headers-only: the key, as a filter that finds the row', async () => {
    const location = async (path: string, body: unknown, prefer = 'return=headers-only') => {
      const { status, headers, text } = await call(path, { token: alice, body, prefer })
      expect([status, text]).toEqual([201, ''])
      return headers.get('location')
    }
    expect(await location('/notes', { title: 'a' })).toBe('/notes?id=eq.1')
    const tag = await location('/tags', { name: 'Rock & R+ll, 100%' })
    expect(tag).toBe('/tags?name=eq.Rock%20%26%20R%2Bll%2C%20100%25')
    expect((await call(tag ?? '')).body).toEqual([{ name: 'Rock & R+ll, 100%' }])
    expect(await location('/scores', { player: 'a', game: 'b=c' })).toBe(
      '/scores?player=eq.a&game=eq.b%3Dc',
    )
    expect(await location('/tags', { name: null })).toBe('/tags?name=is.null')
    expect(await location('/lines', { text: 'x' })).toBeNull()
    expect(await location('/tags', [{ name: '1' }, { name: '2' }])).toBeNull()
    expect(await location('/tags', { name: '3' }, full.replace(full, 'return=minimal'))).toBeNull()
  })

  it('bulk, in order, counted', async () => {
    const { status, body, headers } = await call('/tags', {
      body: [{ name: 'c' }, { name: 'a' }, { name: 'b' }],
      prefer: `${full}, count=exact`,
    })
    expect([status, body]).toEqual([201, [{ name: 'c' }, { name: 'a' }, { name: 'b' }]])
    expect(headers.get('content-range')).toBe('*/3')
    expect(headers.get('preference-applied')).toBe(`${full}, count=exact`)
  })

  it('nothing: 201 and no rows', async () => {
    const { status, body, headers } = await call('/tags', {
      body: [],
      prefer: `${full}, count=exact`,
    })
    expect([status, body, headers.get('content-range')]).toEqual([201, [], '*/0'])
    expect((await call('/tags', { body: [], prefer: 'resolution=merge-duplicates' })).status).toBe(
      200,
    )
  })

  it('rows of defaults alone, any number of them in one statement', async () => {
    expect(await call('/scores', { body: {} })).toMatchObject({
      status: 400,
      body: { code: '23502' },
    })
    const made = await call('/lines', { body: [{}, {}], prefer: full })
    expect([made.status, made.body]).toEqual([201, [{ text: null }, { text: null }]])
    expect((await call('/dropbox', { body: {}, token: alice })).status).toBe(201)
    expect((await call('/kinds', { body: [{}, {}] })).status).toBe(201)
    expect((await call('/lines', { body: Array.from({ length: 3000 }, () => ({})) })).status).toBe(
      201,
    )
    expect([await count('lines'), await count('kinds'), await count('dropbox')]).toEqual([
      3002, 2, 1,
    ])
  })

  it('unlike keys: refused, unless `columns` says which count', async () => {
    const rows = [
      { player: 'a', game: 'x', points: 1 },
      { player: 'b', game: 'x' },
    ]
    for (const body of [rows, [...rows].reverse(), [rows[0], 5], [rows[0], [rows[1]]]])
      expect((await call('/scores', { body })).body).toMatchObject({ code: 'PGRST102' })
    expect((await call('/scores', { body: rows })).body.message).toBe('All object keys must match')
    expect(await count('scores')).toBe(0)
    const nulls = await call('/scores?columns=player,game,points', { body: rows, prefer: full })
    expect(nulls.body.map((row: { points: number }) => row.points)).toEqual([1, null])
    await call('/scores', { method: 'DELETE' })
    const defaults = await call('/scores?columns="player","game",points,stamp', {
      body: rows,
      prefer: `${full}, missing=default`,
    })
    expect(defaults.body).toEqual([
      { player: 'a', game: 'x', points: 1, stamp: 'new' },
      { player: 'b', game: 'x', points: 10, stamp: 'new' },
    ])
    expect(defaults.headers.get('preference-applied')).toBe(`${full}, missing=default`)
  })

  it('`columns` leaves the body’s other keys out, known or not', async () => {
    const { body } = await call('/scores?columns=player,game', {
      body: { player: 'a', game: 'x', points: 99, nonsense: 1 },
      prefer: full,
    })
    expect(body).toEqual([{ player: 'a', game: 'x', points: 10, stamp: 'new' }])
    expect(await call('/scores?columns=player,nothing', { body: { player: 'a' } })).toMatchObject({
      status: 400,
      body: { code: 'PGRST204' },
    })
  })

  it('missing=default takes $defaultFn and `defaults` as well', async () => {
    const kinds = await call('/kinds?columns=id,words&select=id,words', {
      body: [{ words: 'a' }, { id: 'given', words: 'b' }],
      prefer: `${full}, missing=default`,
    })
    expect(kinds.body).toEqual([
      { id: expect.stringMatching(/^[0-9a-f-]{36}$/), words: 'a' },
      { id: 'given', words: 'b' },
    ])
    const notes = await call('/notes?columns=owner_id,title,done&select=owner_id,done', {
      token: alice,
      body: [{ title: 'a' }, { title: 'b', owner_id: 'alice', done: true }],
      prefer: `${full}, missing=default`,
    })
    expect(notes.body).toEqual([
      { owner_id: 'alice', done: false },
      { owner_id: 'alice', done: true },
    ])
  })

  it('supabase-js: insert, bulk, select, defaultToNull', async () => {
    const db = client(alice)
    expect((await db.from('notes').insert({ title: 'a' })).status).toBe(201)
    const { data, error } = await db
      .from('notes')
      .insert([{ title: 'c' }, { title: 'b', rank: 1 }], { defaultToNull: false })
      .select('title, rank, done')
      .order('title')
    expect(error).toBeNull()
    expect(data).toEqual([
      { title: 'b', rank: 1, done: false },
      { title: 'c', rank: null, done: false },
    ])
    const single = await db.from('notes').insert({ title: 'd' }).select().single()
    expect(single.data).toMatchObject({ title: 'd', owner_id: 'alice' })
  })

  it('constraints: 23505, 23502, 23503, 23514, and nothing written', async () => {
    await call('/notes', { token: alice, body: { title: 'a' } })
    expect(await call('/notes', { token: alice, body: { title: 'a' } })).toMatchObject({
      status: 409,
      body: {
        code: '23505',
        message: 'duplicate key value violates unique constraint "notes_owner_title"',
        details: 'Key (owner_id, title) already exists.',
        hint: null,
      },
    })
    expect(await call('/notes', { token: alice, body: { id: 1, title: 'b' } })).toMatchObject({
      status: 409,
      body: { code: '23505', message: expect.stringContaining('"notes_pkey"') },
    })
    expect(await call('/notes', { token: alice, body: { title: null } })).toMatchObject({
      status: 400,
      body: {
        code: '23502',
        message: 'null value in column "title" of relation "notes" violates not-null constraint',
      },
    })
    expect(await call('/notes', { token: alice, body: { title: 'x'.repeat(201) } })).toMatchObject({
      status: 400,
      body: {
        code: '23514',
        message: 'new row for relation "notes" violates check constraint "notes_title_short"',
      },
    })
    expect(await call('/comments', { body: { note_id: 99, text: 'a' } })).toMatchObject({
      status: 409,
      body: { code: '23503' },
    })
    await call('/comments', { body: { note_id: 1, text: 'a' } })
    expect(await call('/notes?id=eq.1', { method: 'DELETE', token: alice })).toMatchObject({
      status: 409,
      body: {
        code: '23503',
        message: expect.stringContaining('update or delete on table "notes"'),
      },
    })
    expect([await count('notes'), await count('comments')]).toEqual([1, 1])
  })

  it('a body names only columns that exist and are written by clients', async () => {
    for (const [body, code, status] of [
      [{ name: 'x', nothing: 1 }, 'PGRST204', 400],
      [{ '': 1 }, 'PGRST204', 400],
    ] as const)
      expect(await call('/tags', { body })).toMatchObject({ status, body: { code } })
    expect(await call('/kinds', { body: { double: 4 } })).toMatchObject({
      status: 400,
      body: { code: '428C9' },
    })
    expect((await call('/tags', { body: { nothing: 1 } })).body.message).toBe(
      "Could not find the 'nothing' column of 'tags' in the schema cache",
    )
  })
})

describe('who may', () => {
  it('a service key passes, and writes for anyone', async () => {
    const { status, body } = await call('/notes', {
      key: 'secret',
      body: { owner_id: 'bob', title: 'for you', secret: 's', score: 9 },
      prefer: full,
    })
    expect([status, body[0]]).toEqual([201, expect.objectContaining({ secret: 's', score: 9 })])
    expect((await call('/notes', { token: bob })).body).toHaveLength(1)
    expect(
      (await call(`/notes?title=eq.${q('for you')}`, { key: 'secret', method: 'DELETE' })).status,
    ).toBe(204)
  })
})
