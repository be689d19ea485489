import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { full, merge, one } from './preferences.ts'
import { alice, call, client, count, fresh, stored } from './store.ts'

beforeEach(fresh)

describe('upsert', () => {
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
