import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { alice, bob, call, client, fresh, stored } from './store.ts'
import { askWide } from './wide.ts'

const q = encodeURIComponent
const full = 'return=representation'
const one = { accept: 'application/vnd.pgrst.object+json' }

beforeEach(fresh)

const count = async (table: string) =>
  Number((await stored(`SELECT count(*) AS n FROM ${table}`))[0]?.n)

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

describe('update', () => {
  beforeEach(async () => {
    await env.DB.prepare(
      `INSERT INTO scores (player, game, points) VALUES ('a', 'x', 1), ('a', 'y', 2), ('b', 'x', 3)`,
    ).run()
  })

  it('204, and how many', async () => {
    const { status, text, headers } = await call('/scores?player=eq.a', {
      method: 'PATCH',
      body: { points: 7 },
    })
    expect([status, text, headers.get('content-range')]).toEqual([204, '', '0-1/*'])
    expect(headers.get('content-type')).toBeNull()
    const counted = await call('/scores?player=eq.a', {
      method: 'PATCH',
      body: { points: 8 },
      prefer: 'count=exact',
    })
    expect(counted.headers.get('content-range')).toBe('0-1/2')
    expect(await stored('SELECT points FROM scores ORDER BY player, game')).toEqual([
      { points: 8 },
      { points: 8 },
      { points: 3 },
    ])
  })

  it('returns the new rows, ordered, with $onUpdate', async () => {
    const { status, body } = await call('/scores?select=game,p:points,stamp&order=points.desc', {
      method: 'PATCH',
      body: { points: null },
      prefer: full,
    })
    expect([status, body]).toEqual([
      200,
      [
        { game: 'x', p: null, stamp: 'touched' },
        { game: 'y', p: null, stamp: 'touched' },
        { game: 'x', p: null, stamp: 'touched' },
      ].sort(() => 0),
    ])
  })

  it('of no row: 204, or an empty list', async () => {
    const none = await call('/scores?player=eq.z', { method: 'PATCH', body: { points: 7 } })
    expect([none.status, none.headers.get('content-range')]).toEqual([204, '*/*'])
    const list = await call('/scores?player=eq.z', {
      method: 'PATCH',
      body: { points: 7 },
      prefer: full,
    })
    expect([list.status, list.body]).toEqual([200, []])
  })

  it('by an empty body changes nothing', async () => {
    for (const body of [{}, [], [{}]]) {
      const { status, headers } = await call('/scores', { method: 'PATCH', body })
      expect([status, headers.get('content-range')]).toEqual([204, '*/*'])
      expect((await call('/scores', { method: 'PATCH', body, prefer: full })).body).toEqual([])
      expect((await call('/scores', { method: 'PATCH', body, headers: one })).status).toBe(406)
    }
    expect(await count(`scores WHERE stamp = 'touched'`)).toBe(0)
  })

  it('`columns` says which keys count; those that the body lacks become null', async () => {
    const answer = await call('/scores?player=eq.b&columns=points,stamp', {
      method: 'PATCH',
      body: { points: 5, nonsense: true },
      prefer: full,
    })
    expect(answer.body).toEqual([{ player: 'b', game: 'x', points: 5, stamp: null }])
    expect(
      (await call('/scores?columns=helicopter', { method: 'PATCH', body: { points: 1 } })).body
        .code,
    ).toBe('PGRST204')
  })

  it('refuses several bodies, and a limit', async () => {
    for (const body of [[{ points: 1 }, { points: 2 }], 5, 'x', null, [1]])
      expect(await call('/scores', { method: 'PATCH', body })).toMatchObject({
        status: 400,
        body: { code: 'PGRST102' },
      })
    for (const query of ['limit=1', 'offset=1'])
      expect(
        await call(`/scores?${query}`, { method: 'PATCH', body: { points: 1 } }),
      ).toMatchObject({
        status: 400,
        body: { code: 'PGRST127' },
      })
    expect(await count('scores WHERE points = 1')).toBe(1)
  })

  it('all or none: a row that breaks a constraint undoes the others', async () => {
    expect(await call('/scores', { method: 'PATCH', body: { game: 'x' } })).toMatchObject({
      status: 409,
      body: { code: '23505', message: expect.stringContaining('"scores_pkey"') },
    })
    expect(await count(`scores WHERE game = 'y'`)).toBe(1)
  })

  it('counts its own rows, not those that the host’s triggers write', async () => {
    await env.DB.batch(
      ['UPDATE', 'INSERT', 'DELETE'].map((event) =>
        env.DB.prepare(
          `CREATE TRIGGER on_${event} AFTER ${event} ON scores BEGIN INSERT INTO lines VALUES (1), (2); END`,
        ),
      ),
    )
    const ranges = async (prefer: string) => {
      const of = async (path: string, options: object) => {
        const { status, headers } = await call(path, { ...options, prefer })
        return `${status} ${headers.get('content-range')}`
      }
      const row = { player: 'b', game: 'x', points: 7 }
      const merge = `resolution=merge-duplicates, ${prefer}`
      return [
        await of('/scores?player=eq.b', { method: 'PATCH', body: { points: 7 } }),
        await of('/scores', { body: row, prefer: merge }).catch(String),
        (await call('/scores', { body: row, prefer: merge })).status,
        await of('/scores?player=eq.b', { method: 'DELETE' }),
        await of('/scores', { body: row }),
      ]
    }
    expect(await ranges('count=exact')).toEqual([
      '204 0-0/1',
      '409 null',
      200,
      '204 */1',
      '201 */1',
    ])
    expect(await ranges('return=minimal')).toEqual([
      '204 0-0/*',
      '409 null',
      200,
      '204 */*',
      '201 */*',
    ])
    expect(await ranges(`count=exact, ${full}`)).toEqual([
      '200 0-0/1',
      '409 null',
      200,
      '200 */1',
      '201 */1',
    ])
    expect(await count('lines')).toBe(24)
  })

  it('a trigger that refuses is P0001, without its words', async () => {
    await env.DB.prepare(
      `CREATE TRIGGER no BEFORE UPDATE ON scores BEGIN SELECT RAISE(ABORT, 'table secret_table'); END`,
    ).run()
    const { status, text } = await call('/scores', { method: 'PATCH', body: { points: 7 } })
    expect([status, JSON.parse(text).code]).toEqual([400, 'P0001'])
    expect(text).not.toContain('secret_table')
  })
})

describe('delete', () => {
  beforeEach(async () => {
    await env.DB.prepare(`INSERT INTO tags (name) VALUES ('a'), ('b'), ('c')`).run()
  })

  it('204, counted or returned', async () => {
    const plain = await call('/tags?name=eq.a', { method: 'DELETE' })
    expect([plain.status, plain.text, plain.headers.get('content-range')]).toEqual([204, '', '*/*'])
    const rest = await call('/tags?order=name.desc', {
      method: 'DELETE',
      prefer: `${full}, count=exact`,
    })
    expect([rest.status, rest.body]).toEqual([200, [{ name: 'c' }, { name: 'b' }]])
    expect(rest.headers.get('content-range')).toBe('*/2')
    expect(await count('tags')).toBe(0)
    expect((await call('/tags', { method: 'DELETE', prefer: full })).body).toEqual([])
  })

  it('is 204 whatever else is preferred', async () => {
    const prefer = 'resolution=merge-duplicates, return=headers-only'
    expect((await call('/tags?name=eq.a', { method: 'DELETE', prefer })).status).toBe(204)
  })

  it('takes no limit', async () => {
    expect((await call('/tags?limit=1', { method: 'DELETE' })).body.code).toBe('PGRST127')
    expect(await count('tags')).toBe(3)
  })

  it('supabase-js', async () => {
    const { data, count: counted } = await client()
      .from('tags')
      .delete({ count: 'exact' })
      .in('name', ['a', 'b'])
      .select()
    expect([data, counted]).toEqual([[{ name: 'a' }, { name: 'b' }], 2])
  })
})

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

describe('upsert', () => {
  const merge = 'resolution=merge-duplicates'
  const ignore = 'resolution=ignore-duplicates'
  beforeEach(async () => {
    await env.DB.batch([
      env.DB.prepare(
        `INSERT INTO scores (player, game, points) VALUES ('a', 'x', 1), ('b', 'x', 2)`,
      ),
      env.DB.prepare(`INSERT INTO tags (name) VALUES ('a')`),
      env.DB.prepare(
        `INSERT INTO notes (id, owner_id, title, body, score) VALUES (1, 'alice', 'a', 'old', 5)`,
      ),
    ])
  })
  const score = (player: string, points: number) => ({ player, game: 'x', points })

  it('merges: 201 if a row is new, 200 if none is', async () => {
    const mixed = await call('/scores', {
      body: [score('a', 10), score('c', 30)],
      prefer: `${merge}, ${full}, count=exact`,
    })
    expect([mixed.status, mixed.headers.get('content-range')]).toEqual([201, '*/2'])
    expect(mixed.body).toEqual([
      { ...score('a', 10), stamp: 'touched' },
      { ...score('c', 30), stamp: 'new' },
    ])
    expect(mixed.headers.get('preference-applied')).toBe(`${merge}, ${full}, count=exact`)
    const known = await call('/scores', { body: [score('a', 11), score('b', 12)], prefer: merge })
    expect([known.status, known.text]).toEqual([200, ''])
    const fresh = await call('/scores', { body: score('d', 1), prefer: merge })
    expect(fresh.status).toBe(201)
    expect(await stored('SELECT player, points FROM scores ORDER BY player')).toEqual([
      { player: 'a', points: 11 },
      { player: 'b', points: 12 },
      { player: 'c', points: 30 },
      { player: 'd', points: 1 },
    ])
  })

  it('leaves alone what the body does not name', async () => {
    await call('/notes?on_conflict=owner_id,title', {
      token: alice,
      body: { title: 'a', owner_id: 'alice', body: 'new' },
      prefer: merge,
    })
    expect(await stored('SELECT id, body, score, done FROM notes')).toEqual([
      { id: 1, body: 'new', score: 5, done: 0 },
    ])
  })

  it('ignores: only the new rows are written, returned and counted; always 201', async () => {
    const mixed = await call('/scores', {
      body: [score('a', 10), score('c', 30)],
      prefer: `${ignore}, ${full}, count=exact`,
    })
    expect([mixed.status, mixed.headers.get('content-range')]).toEqual([201, '*/1'])
    expect(mixed.body).toEqual([{ ...score('c', 30), stamp: 'new' }])
    const none = await call('/scores', { body: score('a', 10), prefer: `${ignore}, ${full}` })
    expect([none.status, none.body]).toEqual([201, []])
    expect((await stored(`SELECT points FROM scores WHERE player = 'a'`))[0]).toEqual({ points: 1 })
  })

  it('on a unique constraint, by on_conflict', async () => {
    const path = '/notes?on_conflict=owner_id,title&select=id,body'
    const merged = await call(path, {
      token: alice,
      body: [{ title: 'a', body: 'new', owner_id: 'alice' }],
      prefer: `${merge}, ${full}`,
    })
    expect([merged.status, merged.body]).toEqual([200, [{ id: 1, body: 'new' }]])
    const ignored = await call(path, {
      token: alice,
      body: [{ title: 'a' }, { title: 'b' }],
      prefer: `${ignore}, ${full}`,
    })
    expect(ignored.body).toHaveLength(1)
    expect(await count('notes')).toBe(2)
  })

  it('on what is no key of it: 42P10; on no column of it: 42703', async () => {
    const options = { token: alice, body: { title: 'a' }, prefer: merge }
    expect(await call('/notes?on_conflict=title', options)).toMatchObject({
      status: 400,
      body: { code: '42P10' },
    })
    expect((await call('/notes?on_conflict=nothing', options)).body.code).toBe('42703')
    expect((await call('/notes?on_conflict=', options)).body.code).toBe('PGRST100')
    // Without a resolution it has no meaning.
    expect((await call('/tags?on_conflict=nothing', { body: { name: 'z' } })).status).toBe(201)
  })

  it('conflict with another constraint than the named one is a conflict', async () => {
    expect(
      await call('/notes', { token: alice, body: { id: 9, title: 'a' }, prefer: merge }),
    ).toMatchObject({ status: 409, body: { code: '23505' } })
  })

  it('of a table that is nothing but its key, or has none', async () => {
    const names = [{ name: 'a' }, { name: 'b' }]
    const merged = await call('/tags', { body: names, prefer: `${merge}, ${full}` })
    expect([merged.status, merged.body]).toEqual([201, names])
    expect((await call('/tags', { body: names, prefer: merge })).status).toBe(200)
    const ignored = await call('/tags', {
      body: [...names, { name: 'c' }],
      prefer: `${ignore}, ${full}`,
    })
    expect(ignored.body).toEqual([{ name: 'c' }])
    const keyless = await call('/lines', { body: { text: 'a' }, prefer: `${merge}, ${full}` })
    expect([keyless.status, keyless.body]).toEqual([201, [{ text: 'a' }]])
    expect(keyless.headers.get('preference-applied')).toBe(full)
  })

  it('missing=default gives new rows their key', async () => {
    const { status, body } = await call('/notes?columns=id,title&select=id,title', {
      token: alice,
      body: [{ id: 1, title: 'updated' }, { title: 'new' }],
      prefer: `${merge}, missing=default, ${full}`,
    })
    expect([status, body]).toEqual([
      201,
      [
        { id: 1, title: 'updated' },
        { id: 2, title: 'new' },
      ],
    ])
  })

  it('the same key twice in one payload: the last one stays', async () => {
    const { status } = await call('/scores', {
      body: [score('z', 1), score('z', 2)],
      prefer: merge,
    })
    expect(status).toBe(201)
    expect(await stored(`SELECT points FROM scores WHERE player = 'z'`)).toEqual([{ points: 2 }])
  })

  it('2,000 rows, half of them known', async () => {
    const rows = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => score(`p${i + from}`, i))
    await call('/scores', { body: rows(0, 1000) })
    const { status, headers } = await call('/scores', {
      body: rows(0, 2000),
      prefer: `${merge}, count=exact`,
    })
    expect([status, headers.get('content-range'), await count('scores')]).toEqual([
      201,
      '*/2000',
      2002,
    ])
  })

  it('supabase-js', async () => {
    const db = client()
    const { data, status } = await db
      .from('scores')
      .upsert([score('a', 5), score('e', 6)], { onConflict: 'player,game' })
      .select('player,points')
    expect([status, data]).toEqual([
      201,
      [
        { player: 'a', points: 5 },
        { player: 'e', points: 6 },
      ],
    ])
    const ignored = await db
      .from('scores')
      .upsert(score('a', 9), { ignoreDuplicates: true })
      .select()
    expect(ignored.data).toEqual([])
  })
})

describe('PUT', () => {
  beforeEach(async () => {
    await env.DB.prepare(`INSERT INTO scores (player, game, points) VALUES ('a', 'x', 1)`).run()
  })
  const put = (query: string, body: unknown, prefer = '', headers = {}) =>
    call(`/scores?${query}`, { method: 'PUT', body, prefer, headers })

  it('makes a row, or replaces what it names of one', async () => {
    const made = await put('player=eq.n&game=eq.x', { player: 'n', game: 'x', points: 3 }, full)
    expect([made.status, made.body]).toEqual([
      201,
      [{ player: 'n', game: 'x', points: 3, stamp: 'new' }],
    ])
    expect(made.headers.get('content-range')).toBeNull()
    const changed = await put(
      'player=eq.n&game=eq.x',
      [{ player: 'n', game: 'x', points: 4 }],
      full,
    )
    expect([changed.status, changed.body[0].points]).toEqual([200, 4])
    const silent = await put('player=eq.a&game=eq.x', { player: 'a', game: 'x', points: 9 })
    expect([silent.status, silent.text]).toEqual([204, ''])
    const object = await put('player=eq.a&game=eq.x', { player: 'a', game: 'x' }, full, one)
    expect(object.body).toMatchObject({ player: 'a', points: 9 })
    const tag = await call('/tags?name=eq.t', { method: 'PUT', body: { name: 't' }, prefer: full })
    expect([tag.status, tag.body]).toEqual([201, [{ name: 't' }]])
  })

  it.each([
    ['limit=1&player=eq.a&game=eq.x', 'PGRST114', 400],
    ['offset=1&player=eq.a&game=eq.x', 'PGRST114', 400],
    ['', 'PGRST105', 405],
    ['player=eq.a', 'PGRST105', 405],
    ['player=eq.a&game=eq.x&points=eq.1', 'PGRST105', 405],
    ['player=eq.a&game=neq.x', 'PGRST105', 405],
    ['player=eq.a&game=not.eq.x', 'PGRST105', 405],
    ['player=eq.a&game=in.(x)', 'PGRST105', 405],
    ['and=(player.eq.a,game.eq.x)', 'PGRST105', 405],
    ['player=eq.a&player=eq.b&game=eq.x', 'PGRST105', 405],
    ['player=eq.a&game=eq.y', 'PGRST115', 400],
    ['player=eq.b&game=eq.x', 'PGRST115', 400],
  ])('%s is %s', async (query, code, status) => {
    const answer = await put(query, { player: 'a', game: 'x', points: 9 })
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(await stored('SELECT player, points FROM scores')).toEqual([{ player: 'a', points: 1 }])
  })

  it('needs a key, and one row', async () => {
    expect((await call('/lines?text=eq.a', { method: 'PUT', body: { text: 'a' } })).status).toBe(
      405,
    )
    const rows = [
      { player: 'a', game: 'x' },
      { player: 'b', game: 'x' },
    ]
    expect((await put('player=eq.a&game=eq.x', rows)).body.code).toBe('PGRST102')
    expect((await put('player=eq.a&game=eq.x', { points: 1 })).body.code).toBe('PGRST115')
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
