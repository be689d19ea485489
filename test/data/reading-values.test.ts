import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { client, fresh, get, whole } from './library.ts'
import { alice } from './store.ts'

beforeAll(fresh)

const q = encodeURIComponent

describe('JSON paths', () => {
  it('-> is JSON, ->> is text, called by their last key', async () => {
    expect(
      await get(
        '/books?select=id,meta->lang,meta->>size,tag:meta->tags->>0,meta->tags->1,last:meta->tags->-1',
      ),
    ).toEqual([
      { id: 1, lang: 'en', size: '9', tag: 'a', tags: 'b', last: 'b' },
      { id: 2, lang: 'de', size: '10', tag: null, tags: null, last: null },
      { id: 3, lang: null, size: null, tag: null, tags: null, last: null },
    ])
    expect(await get('/books?select=meta->tags,meta->size,meta&id=eq.1')).toEqual([
      { tags: ['a', 'b'], size: 9, meta: { lang: 'en', size: 9, tags: ['a', 'b'] } },
    ])
  })

  it('filters and orders by them', async () => {
    expect(await get('/books?select=id&meta->>lang=eq.de')).toEqual([{ id: 2 }])
    expect(await get('/books?select=id&meta->>size=eq.9')).toEqual([{ id: 1 }])
    expect(await get('/books?select=id&meta->lang=eq."de"')).toEqual([{ id: 2 }])
    expect(await get('/books?select=id&meta->size=eq.10')).toEqual([{ id: 2 }])
    expect(await get('/books?select=id&or=(meta->>lang.eq.en,meta->size.eq.10)')).toEqual([
      { id: 1 },
      { id: 2 },
    ])
    expect(await get('/books?select=id&meta->>lang=is.null')).toEqual([{ id: 3 }])
    // As numbers, and as text.
    expect(await get('/books?select=id&order=meta->size.desc.nullslast')).toEqual([
      { id: 2 },
      { id: 1 },
      { id: 3 },
    ])
    expect(await get('/books?select=id&order=meta->>size.desc.nullslast')).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ])
    expect(
      await get('/members?select=id,books!author_id(id)&books.meta->>lang=eq.de&id=eq.1'),
    ).toEqual([{ id: 1, books: [{ id: 2 }] }])
  })

  it('JSON null is null as text, and no null as JSON', async () => {
    const secret = { key: 'secret' } as const
    expect(await get('/books?select=id&meta->>lang=is.null&id=eq.4', secret)).toEqual([{ id: 4 }])
    expect(await get('/books?select=id&meta->lang=is.null&id=eq.4', secret)).toEqual([])
  })

  it('47: keys with quotes, dots, dollars and brackets are keys', async () => {
    const odd = { 'a.b': 1, 'a"b': 2, $: 3, 'a[0]': 4, "a'b": 5, 'a\\b': 6, é: 7, '': 8, '#-1': 9 }
    await env.DB.prepare('UPDATE books SET meta = ?1 WHERE id = 3').bind(JSON.stringify(odd)).run()
    for (const [key, value] of Object.entries(odd).filter(([key]) => key !== '')) {
      const quoted = `"${key.replace(/["\\]/g, '\\$&')}"`
      expect([key, await get(`/books?select=v:meta->${q(quoted)}&id=eq.3`)]).toEqual([
        key,
        [{ v: value }],
      ])
      expect([key, await get(`/books?select=id&meta->>${q(quoted)}=eq.${value}`)]).toEqual([
        key,
        [{ id: 3 }],
      ])
    }
    await env.DB.prepare('UPDATE books SET meta = NULL WHERE id = 3').run()
  })

  it('what the host put there that is no JSON has no parts', async () => {
    await env.DB.prepare(`UPDATE books SET meta = '{oops' WHERE id = 3`).run()
    expect(await get('/books?select=id,meta,meta->a&id=eq.3')).toEqual([
      { id: 3, meta: '{oops', a: null },
    ])
    expect(await get('/books?select=id&meta->>a=eq.x&order=meta->b')).toEqual([])
    await env.DB.prepare('UPDATE books SET meta = NULL WHERE id = 3').run()
  })
})

describe('casts', () => {
  it.each([
    ['id::text', '1'],
    ['price::text', '10.5'],
    ['price::int', 11],
    ['pages::float8', 100],
    ['pages::text', '100'],
    ['public::text', 'true'],
    ['public::int', 1],
    ['id::bool', true],
    ['title::text', 'Alpha'],
    ['meta->>size::int', 9],
    ['meta->size::int', 9],
    ['meta->>size::numeric', 9],
    ['meta->tags::text', '["a","b"]'],
    ['meta::text', '{"lang":"en","size":9,"tags":["a","b"]}'],
    ['editor_id::varchar', '2'],
  ])('%s', async (select, value) => {
    expect(await get(`/books?select=v:${q(select)}&id=eq.1`)).toEqual([{ v: value }])
  })

  it('of a date, and of null', async () => {
    expect(await get('/members?select=t:born::text,d:born::date&id=in.(2,3)')).toEqual([
      { t: '1970-01-02T00:00:00.000Z', d: '1970-01-02' },
      { t: null, d: null },
    ])
  })

  it('of what is none is refused, not made zero', async () => {
    for (const cast of [
      'title::int',
      'title::numeric',
      'title::bool',
      'title::json',
      'title::date',
    ])
      expect([cast, await get(`/books?select=${cast}&id=eq.1`)]).toEqual([cast, '400 22P02'])
    for (const cast of ['id::json', 'born::int', 'id::date'])
      expect([cast, await get(`/members?select=${cast}`)]).toEqual([cast, '400 42846'])
    expect(await get('/books?select=id::uuid')).toBe('400 42704')
    expect(await get('/books?select=id::point')).toBe('400 42704')
  })
})

describe('aggregates', () => {
  it('of all rows', async () => {
    expect(await get('/books?select=count()')).toEqual([{ count: 3 }])
    expect(
      await get(
        '/books?select=count(),n:price.count(),pages.sum(),avg:price.avg(),max:title.max(),min:pages.min()',
      ),
    ).toEqual([{ count: 3, n: 2, sum: 600, avg: 15.25, max: 'Gamma', min: 100 }])
    expect(await get('/books?select=count(),pages.sum()&id=eq.99')).toEqual([
      { count: 0, sum: null },
    ])
  })

  it('grouped by the other columns', async () => {
    expect(await get('/books?select=pages,count()&order=pages')).toEqual([
      { pages: 100, count: 1 },
      { pages: 250, count: 2 },
    ])
    expect(
      await get('/books?select=author_id,total:pages.sum()::text&order=author_id.desc'),
    ).toEqual([
      { author_id: 2, total: '250' },
      { author_id: 1, total: '350' },
    ])
    expect(
      await get('/books?select=lang:meta->>lang,count()&order=meta->>lang.nullsfirst'),
    ).toEqual([
      { lang: null, count: 1 },
      { lang: 'de', count: 1 },
      { lang: 'en', count: 1 },
    ])
    expect(await get('/books?select=size:meta->>size::int.max()')).toEqual([{ size: 10 }])
  })

  it('in an embed', async () => {
    expect(await get('/books?select=id,loans(count())', { token: alice })).toEqual([
      { id: 1, loans: [{ count: 2 }] },
      { id: 2, loans: [{ count: 1 }] },
      { id: 3, loans: [{ count: 0 }] },
      { id: 4, loans: [{ count: 1 }] },
    ])
    expect(
      await get('/members?select=id,books!author_id(pages,count())&id=eq.1&books.order=pages.desc'),
    ).toEqual([
      {
        id: 1,
        books: [
          { pages: 250, count: 1 },
          { pages: 100, count: 1 },
        ],
      },
    ])
  })

  it('count without parentheses, as Supabase’s pages teach it, where no column is called so', async () => {
    expect(await get('/books?select=id,genres(count)')).toEqual([
      { id: 1, genres: [{ count: 2 }] },
      { id: 2, genres: [{ count: 1 }] },
      { id: 3, genres: [{ count: 0 }] },
    ])
    expect(await get('/books?select=count')).toEqual([{ count: 3 }])
    expect(await get('/books?select=n:count::text&id=gt.1')).toEqual([{ n: '2' }])
    expect(await get('/books?select=id,c:genres(count)&c.name=eq.crime&id=lt.3')).toEqual([
      { id: 1, c: [{ count: 1 }] },
      { id: 2, c: [{ count: 0 }] },
    ])
    expect(await get('/books?select=id,loans(count)&id=eq.1', { token: alice })).toEqual([
      { id: 1, loans: [{ count: 2 }] },
    ])
    expect(await get('/books?select=id&count=eq.3')).toBe('400 42703')
    expect(await get('/books?select=count->a')).toBe('400 42703')
    expect(await get('/books?select=count.sum()')).toBe('400 42703')
    const { data } = await client(alice).from('books').select('title, genres(count)').eq('id', 1)
    expect(data).toEqual([{ title: 'Alpha', genres: [{ count: 2 }] }])
  })

  it('through a spread, grouped by what is spread', async () => {
    expect(await get('/books?select=...author_id(name),pages.sum()&order=author_id(name)')).toEqual(
      [
        { name: 'Ann', sum: 350 },
        { name: 'Bob', sum: 250 },
      ],
    )
    expect(await get('/books?select=author_id,...sheets(summary.count())&order=author_id')).toEqual(
      [
        { author_id: 1, count: 1 },
        { author_id: 2, count: 1 },
      ],
    )
    expect(await get('/books?select=id,...genres(count())')).toBe('400 PGRST127')
  })

  it('with an embed beside', async () => {
    expect(await get('/books?select=author:author_id(name),count()')).toEqual(
      expect.arrayContaining([
        { author: { name: 'Ann' }, count: 2 },
        { author: { name: 'Bob' }, count: 1 },
      ]),
    )
  })

  it('counts groups', async () => {
    const { headers } = await whole('/books?select=pages,count()&limit=1', {
      headers: { prefer: 'count=exact' },
    })
    expect(headers.get('content-range')).toBe('0-0/2')
  })

  it('refuses what has no meaning', async () => {
    expect(await get('/books?select=title.sum()')).toBe('404 42883')
    expect(await get('/books?select=meta.max()')).toBe('404 42883')
    expect(await get('/books?select=public.avg()')).toBe('404 42883')
    expect(await get('/books?select=pages,count()&order=title')).toBe('400 42803')
    expect(await get('/books?select=pages.median()')).toBe('400 PGRST100')
  })

  it('a sum that is too large is an error, not a wrong number', async () => {
    await env.DB.prepare('UPDATE loans SET days = 9223372036854775807 WHERE id IN (1, 5)').run()
    expect(await get('/loans?select=days.sum()', { token: alice })).toBe('400 22003')
    await fresh()
  })
})

describe('insertion order', () => {
  it('holds without an order, also where an index covers what is asked', async () => {
    await env.DB.batch(
      [
        `INSERT INTO genres VALUES ('zzz', 1), ('aaa', 2), ('mmm', 3)`,
        `INSERT INTO book_genres VALUES (3, 'zzz'), (3, 'aaa'), (3, 'mmm')`,
      ].map((sql) => env.DB.prepare(sql)),
    )
    expect(await get('/genres?select=name')).toEqual(
      ['crime', 'drama', 'verse', 'zzz', 'aaa', 'mmm'].map((name) => ({ name })),
    )
    expect(await get('/genres?select=name&limit=2&offset=3')).toEqual([
      { name: 'zzz' },
      { name: 'aaa' },
    ])
    expect(await get('/books?select=genres(name)&id=eq.3')).toBeInstanceOf(Array)
    await fresh()
  })

  it('and among equals', async () => {
    expect(await get('/books?select=id&order=pages')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
    expect(await get('/books?select=id&order=pages&limit=1&offset=1')).toEqual([{ id: 2 }])
    expect(await get('/books?select=id&order=pages&limit=1&offset=2')).toEqual([{ id: 3 }])
  })

  it('tables without rowid are read all the same', async () => {
    await env.DB.batch(
      [
        'PRAGMA defer_foreign_keys = on',
        'DROP TABLE halls',
        'CREATE TABLE halls (house TEXT NOT NULL, no INTEGER NOT NULL, seats INTEGER, PRIMARY KEY (house, no)) WITHOUT ROWID',
        `INSERT INTO halls VALUES ('N', 2, 5), ('N', 1, 6)`,
      ].map((sql) => env.DB.prepare(sql)),
    )
    expect(await get('/halls?select=no')).toEqual([{ no: 1 }, { no: 2 }])
    expect(await get('/halls?select=no&order=seats')).toEqual([{ no: 2 }, { no: 1 }])
    await fresh()
  })
})
