import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { full, one } from './preferences.ts'
import { call, client, count, fresh, stored } from './store.ts'

beforeEach(fresh)

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

  it('refuses several bodies, and a limit without an order', async () => {
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
        body: { code: 'PGRST109' },
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

  it('takes no limit without an order', async () => {
    expect((await call('/tags?limit=1', { method: 'DELETE' })).body.code).toBe('PGRST109')
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
