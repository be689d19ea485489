import { env } from 'cloudflare:workers'
import { sql } from 'drizzle-orm'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { computed, data, expose } from 'leanto/data'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { makeBase } from '../kit/world.ts'
import { ask, fresh, get } from './computed-world.ts'
import { alice, bob, people } from './store.ts'

describe('computed columns', () => {
  beforeAll(fresh)

  it('are selected by name, and are no part of *', async () => {
    expect(await get('/authors?id=eq.1')).toEqual([
      { id: 1, first: 'Ann', last: 'Ash', born_at: '1970-01-02T00:00:00.000Z' },
    ])
    expect(await get('/authors?select=*,full_name&id=eq.2')).toEqual([
      { id: 2, first: 'Bob', last: null, born_at: null, full_name: 'Bob' },
    ])
    expect(
      await get('/authors?select=n:full_name,born,has_secret,stars,card,card->initial&order=id'),
    ).toEqual([
      {
        n: 'Ann Ash',
        born: '1970-01-02T00:00:00.000Z',
        has_secret: true,
        stars: 7,
        card: { initial: 'A', length: 3 },
        initial: 'A',
      },
      {
        n: 'Bob',
        born: null,
        has_secret: true,
        stars: 4,
        card: { initial: 'B', length: 3 },
        initial: 'B',
      },
      {
        n: 'Cid Cole',
        born: '1970-01-01T00:00:00.000Z',
        has_secret: false,
        stars: 3,
        card: { initial: 'C', length: 3 },
        initial: 'C',
      },
    ])
  })

  it('filter, by the operators of their types', async () => {
    const ids = async (filter: string) =>
      ((await get(`/authors?select=id&${filter}&order=id`)) as { id: number }[]).map(({ id }) => id)
    expect(await ids('full_name=eq.Ann Ash')).toEqual([1])
    expect(await ids('full_name=like.*C*')).toEqual([3])
    expect(await ids('full_name=in.(Bob,"Cid Cole")')).toEqual([2, 3])
    expect(await ids('born=gt.1970-01-01T12:00:00Z')).toEqual([1])
    expect(await ids('born=is.null')).toEqual([2])
    expect(await ids('has_secret=is.false')).toEqual([3])
    expect(await ids('stars=gte.4')).toEqual([1, 2])
    expect(await ids('card->>initial=eq.B')).toEqual([2])
    expect(await ids('or=(full_name.eq.Bob,and(stars.lt.4,has_secret.not.is.true))')).toEqual([
      2, 3,
    ])
    expect(await get('/authors?born=eq.soon')).toBe('400 22007')
    expect(await get('/authors?stars=like.1*')).toBe('404 42883')
  })

  it('sort, page, cast and aggregate', async () => {
    const names = async (query: string) =>
      ((await get(`/authors?select=first&${query}`)) as { first: string }[]).map(
        ({ first }) => first,
      )
    expect(await names('order=stars.desc')).toEqual(['Ann', 'Bob', 'Cid'])
    expect(await names('order=full_name.desc&limit=1')).toEqual(['Cid'])
    expect(await names('order=born.desc')).toEqual(['Bob', 'Ann', 'Cid'])
    expect(await names('order=born.nullslast')).toEqual(['Cid', 'Ann', 'Bob'])
    expect(await get('/authors?select=full_name,stars::text,born::date&id=eq.1')).toEqual([
      { full_name: 'Ann Ash', stars: '7', born: '1970-01-02' },
    ])
    expect(
      await get('/authors?select=stars.sum(),least:stars.min(),has_secret&order=has_secret'),
    ).toEqual([
      { sum: 3, least: 3, has_secret: false },
      { sum: 11, least: 4, has_secret: true },
    ])
    expect(await get('/authors?select=asked_by,count()', { token: alice })).toEqual([
      { asked_by: 'alice', count: 3 },
    ])
    const first = await ask('/rest/v1/authors?select=id&order=stars.desc&limit=2&cursor=')
    expect(await first.json()).toEqual([{ id: 1 }, { id: 2 }])
    const cursor = first.headers.get('next-cursor')
    expect(await get(`/authors?select=id&order=stars.desc&limit=2&cursor=${cursor}`)).toEqual([
      { id: 3 },
    ])
  })

  it('stand in embeds, to any depth, and sort by them', async () => {
    expect(
      await get(
        '/posts?select=shout,w:author_id(full_name,stars)&w.full_name=not.eq.Bob&order=id&stars=gt.1',
      ),
    ).toEqual([
      { shout: 'ONE', w: { full_name: 'Ann Ash', stars: 7 } },
      { shout: 'TWO', w: { full_name: 'Ann Ash', stars: 7 } },
      { shout: 'THREE', w: null },
      { shout: 'FIVE', w: { full_name: 'Cid Cole', stars: 3 } },
    ])
    expect(
      await get(
        '/authors?select=id,posts!author_id(shout)&posts.shout=like.T*&posts.order=shout.desc&order=id',
      ),
    ).toEqual([
      { id: 1, posts: [{ shout: 'TWO' }] },
      { id: 2, posts: [{ shout: 'THREE' }] },
      { id: 3, posts: [] },
    ])
    expect(
      await get('/posts?select=id,...author_id(full_name)&order=author_id(stars).desc,id&limit=2'),
    ).toEqual([
      { id: 1, full_name: 'Ann Ash' },
      { id: 2, full_name: 'Ann Ash' },
    ])
    // `*` of an embed has none of them either.
    expect(await get('/posts?select=author_id(*)&id=eq.3')).toEqual([
      { author_id: { id: 2, first: 'Bob', last: null, born_at: null } },
    ])
  })

  it('may depend on who asks', async () => {
    expect(await get('/authors?select=asked_by&id=eq.1')).toEqual([{ asked_by: null }])
    expect(await get('/authors?select=asked_by&id=eq.1', { token: alice })).toEqual([
      { asked_by: 'alice' },
    ])
    expect(await get('/authors?select=id&asked_by=eq.bob', { token: bob })).toHaveLength(3)
    expect(await get('/posts?select=author_id(asked_by)&id=eq.1', { token: bob })).toEqual([
      { author_id: { asked_by: 'bob' } },
    ])
  })

  it('make no hidden column visible beside themselves (case 35)', async () => {
    expect(await get('/authors?select=secret')).toBe('400 42703')
    expect(await get('/authors?select=id&secret=is.null')).toBe('400 42703')
    expect(await get('/authors?select=nothing')).toBe('400 42703')
    // Names that every object has (case 46).
    for (const name of ['constructor', '__proto__', 'toString'])
      expect(await get(`/authors?select=${name}`)).toBe('400 42703')
  })
})

describe('computed columns and writes', () => {
  beforeEach(fresh)

  it('are returned with what was written', async () => {
    const prefer = { prefer: 'return=representation' }
    expect(
      await get('/authors?select=full_name,stars', {
        body: { id: 9, first: 'Dot', last: 'Day' },
        headers: prefer,
      }),
    ).toEqual([{ full_name: 'Dot Day', stars: null }])
    expect(
      await get('/authors?select=full_name,initials&full_name=eq.Bob', {
        method: 'PATCH',
        body: { first: 'Rob' },
        headers: prefer,
      }),
    ).toEqual([{ full_name: 'Rob', initials: 'R' }])
    expect(
      await get('/posts?select=shout,author_id(full_name)&shout=eq.FOUR', {
        method: 'DELETE',
        headers: prefer,
        key: 'secret',
      }),
    ).toEqual([{ shout: 'FOUR', author_id: { full_name: 'Rob' } }])
    expect(
      await get('/posts?select=shout&order=shout', {
        method: 'PATCH',
        body: { stars: 1 },
        headers: { prefer: 'return=representation, tx=rollback' },
      }),
    ).toEqual([{ shout: 'FIVE' }, { shout: 'ONE' }, { shout: 'THREE' }, { shout: 'TWO' }])
  })

  it('are returned as well where the rows are read again within the transaction', async () => {
    const kept = async (path: string, method: string, body?: unknown, more = '') => {
      const headers = { prefer: `return=representation, tx=rollback${more}` }
      return get(path, { method, body, headers, token: alice })
    }
    expect(
      await kept('/authors?select=full_name,asked_by,best(id)', 'POST', { first: 'Eve' }),
    ).toEqual([{ full_name: 'Eve', asked_by: 'alice', best: [] }])
    expect(
      await kept(
        '/authors?select=full_name,best(id)',
        'POST',
        [
          { id: 2, first: 'Rob' },
          { id: 7, first: 'Eve' },
        ],
        ', resolution=merge-duplicates',
      ),
    ).toEqual([
      { full_name: 'Rob', best: [{ id: 3 }] },
      { full_name: 'Eve', best: [] },
    ])
    expect(
      await kept('/posts?id=eq.5&select=shout,authors!author_id(full_name)', 'DELETE'),
    ).toEqual([{ shout: 'FIVE', authors: { full_name: 'Cid Cole' } }])
    const batch = await get('/batch', {
      body: {
        operations: [
          {
            method: 'PATCH',
            path: '/authors?id=eq.2&select=full_name',
            body: { last: 'Bee' },
            headers: { prefer: 'return=representation' },
          },
          { method: 'GET', path: '/authors?full_name=eq.Bob%20Bee&select=id,first_post(shout)' },
        ],
      },
    })
    expect(batch).toMatchObject({
      results: [
        { body: [{ full_name: 'Bob Bee' }] },
        { body: [{ id: 2, first_post: { shout: 'THREE' } }] },
      ],
    })
  })

  it('are never written', async () => {
    const body = { id: 9, first: 'Eve', full_name: 'Not Eve' }
    expect(await get('/authors', { body })).toBe('400 PGRST204')
    expect(await get('/authors', { body, key: 'secret' })).toBe('400 PGRST204')
    expect(
      await get('/authors?id=eq.1', { method: 'PATCH', body: { full_name: 'x' }, key: 'secret' }),
    ).toBe('400 PGRST204')
    expect(await get('/authors?columns=full_name', { body: { full_name: 'x' } })).toBe(
      '400 PGRST204',
    )
    expect(
      await get('/authors?on_conflict=full_name', {
        body: { first: 'x' },
        headers: { prefer: 'resolution=merge-duplicates' },
      }),
    ).toBe('400 42703')
    const { results } = await env.DB.prepare('SELECT count(*) AS n FROM authors').all()
    expect(results).toEqual([{ n: 3 }])
  })
})

describe('what cannot be a computed column', () => {
  const table = sqliteTable('t', { id: integer('id').primaryKey(), secret: text('secret_text') })
  const one = sql`1`
  const made = (columns: object) => () => expose(table, { computed: columns as never })

  it('is refused when it is declared', () => {
    expect(() => computed('text' as never, one)).toThrow('must be a drizzle column')
    expect(() => computed(text(), '1' as never)).toThrow('must be sql')
    expect(made({ x: one })).toThrow('`computed.x` must be made by computed')
    expect(made({ id: computed(text(), one) })).toThrow('`computed.id` has the name of a column')
    expect(made({ secret_text: computed(text(), one) })).toThrow('has the name of a column')
    expect(made({ x: computed(text('y'), one) })).toThrow('without a name')
    const shared = text()
    expect(made({ x: computed(shared, one), y: computed(shared, one) })).toThrow('of its own')
    const many = Object.fromEntries(
      Array.from({ length: 99 }, (_, i) => [`c${i}`, computed(text(), one)]),
    )
    expect(made(many)).toThrow('more than 100 columns')
    expect(() =>
      data(makeBase(), { identity: people, tables: { t: expose(table, { computed: {} }) } }),
    ).not.toThrow()
  })
})
