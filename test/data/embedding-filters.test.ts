import { beforeAll, describe, expect, it } from 'vitest'
import { fresh, get, whole } from './library.ts'
import { alice } from './store.ts'

beforeAll(fresh)

describe('filters on embeds', () => {
  it('bound the embed, not the rows', async () => {
    expect(await get('/books?select=id,genres(name)&genres.name=eq.drama')).toEqual([
      { id: 1, genres: [{ name: 'drama' }] },
      { id: 2, genres: [{ name: 'drama' }] },
      { id: 3, genres: [] },
    ])
    expect(await get('/books?select=id,author:author_id(name)&author.name=eq.Bob')).toEqual([
      { id: 1, author: null },
      { id: 2, author: null },
      { id: 3, author: { name: 'Bob' } },
    ])
    expect(
      await get(
        '/members?select=id,books!author_id(id,sheets(summary))&books.or=(id.eq.1,pages.gt.200)&books.sheets.summary=like.*a&id=lte.2',
      ),
    ).toEqual([
      {
        id: 1,
        books: [
          { id: 1, sheets: { summary: 'about a' } },
          { id: 2, sheets: null },
        ],
      },
      { id: 2, books: [{ id: 3, sheets: null }] },
    ])
  })

  it('of one table twice: a filter is of the one that is called so', async () => {
    const twice = '/members?select=all:books!author_id(id),books!author_id(id)&id=eq.1'
    expect(await get(`${twice}&books.id=eq.1`)).toEqual([
      { all: [{ id: 1 }, { id: 2 }], books: [{ id: 1 }] },
    ])
    expect(await get(`${twice}&all.id=eq.2`)).toEqual([
      { all: [{ id: 2 }], books: [{ id: 1 }, { id: 2 }] },
    ])
    expect(await get('/members?select=a:books!author_id(id)&books.id=eq.1&id=eq.1')).toEqual([
      { a: [{ id: 1 }] },
    ])
  })

  it('!inner bounds the rows too, at every level, and the count', async () => {
    expect(await get('/books?select=id,genres!inner(name)&genres.name=eq.crime')).toEqual([
      { id: 1, genres: [{ name: 'crime' }] },
    ])
    expect(await get('/members?select=id,books!author_id!inner(id,genres!inner(name))')).toEqual([
      {
        id: 1,
        books: [
          { id: 1, genres: [{ name: 'crime' }, { name: 'drama' }] },
          { id: 2, genres: [{ name: 'drama' }] },
        ],
      },
    ])
    const { headers, status } = await whole(
      '/books?select=id,genres!inner(name)&genres.name=eq.drama&limit=1',
      { headers: { prefer: 'count=exact' } },
    )
    expect([status, headers.get('content-range')]).toEqual([206, '0-0/2'])
  })

  it('!inner heeds the policy of the other table', async () => {
    const path = '/books?select=id,loans!inner(id)&order=id'
    expect(await get(path)).toEqual([])
    expect(await get(path, { token: alice })).toEqual([
      { id: 1, loans: [{ id: 1 }, { id: 5 }] },
      { id: 2, loans: [{ id: 3 }] },
      { id: 4, loans: [{ id: 4 }] },
    ])
  })

  it('an empty embed filters and shows nothing', async () => {
    expect(await get('/books?select=id,genres!inner()&genres.name=eq.crime')).toEqual([{ id: 1 }])
  })

  it('a null test of an embed is a join, or an anti-join, also within or', async () => {
    expect(await get('/books?select=id,genres()&genres=is.null')).toEqual([{ id: 3 }])
    expect(await get('/books?select=id,genres()&genres=not.is.null')).toEqual([
      { id: 1 },
      { id: 2 },
    ])
    expect(
      await get(
        '/books?select=id,g:genres(),sheets()&g.name=eq.crime&or=(g.not.is.null,sheets.not.is.null)',
      ),
    ).toEqual([{ id: 1 }, { id: 3 }])
    expect(await get('/books?select=id,editor:editor_id()&not.or=(editor.is.null)')).toEqual([
      { id: 1 },
      { id: 3 },
    ])
  })

  it('what is not embedded cannot be filtered: PGRST108', async () => {
    const { body } = await whole('/books?select=id&genres.name=eq.crime')
    expect(body).toEqual({
      code: 'PGRST108',
      message: "'genres' is not an embedded resource in this request",
      details: null,
      hint: "Verify that 'genres' is included in the 'select' query parameter.",
    })
    expect(await get('/books?select=id,genres(name)&genres.books.id=eq.1')).toBe('400 PGRST108')
    expect(await get('/books?select=id&genres.limit=1')).toBe('400 PGRST108')
    expect(await get('/books?select=id&order=author(name)')).toBe('400 PGRST108')
  })
})

describe('windows of embeds', () => {
  it('order, limit and offset are each embed’s own', async () => {
    const loans = (rest: string) =>
      get(`/books?select=loans(id)&id=eq.1&${rest}`, { key: 'secret' })
    expect(await loans('loans.order=days.desc')).toEqual([
      { loans: [{ id: 5 }, { id: 2 }, { id: 1 }] },
    ])
    expect(await loans('loans.order=days.desc&loans.limit=1')).toEqual([{ loans: [{ id: 5 }] }])
    expect(await loans('loans.order=days&loans.offset=1')).toEqual([
      { loans: [{ id: 2 }, { id: 5 }] },
    ])
    expect(await loans('loans.limit=0')).toEqual([{ loans: [] }])
    expect(await loans('loans.limit=1&loans.limit=2')).toBe('400 PGRST100')
    expect(await loans('loans.limit=x')).toBe('400 PGRST100')
  })

  it('nested ones by their path', async () => {
    expect(
      await get(
        '/members?select=id,w:books!author_id(id,genres(name))&id=eq.1&w.genres.order=name.desc&w.genres.limit=1&w.order=id.desc',
      ),
    ).toEqual([
      {
        id: 1,
        w: [
          { id: 2, genres: [{ name: 'drama' }] },
          { id: 1, genres: [{ name: 'drama' }] },
        ],
      },
    ])
  })

  it('rows are ordered by a column of their one related row', async () => {
    expect(
      await get('/books?select=id,author:author_id(name)&order=author(name).desc,id'),
    ).toMatchObject([{ id: 3 }, { id: 1 }, { id: 2 }])
    expect(
      await get('/books?select=id,editor:editor_id(name)&order=editor(name).nullsfirst'),
    ).toMatchObject([{ id: 2 }, { id: 3 }, { id: 1 }])
    expect(
      await get('/books?select=id,...author_id(name)&order=author_id(name).desc'),
    ).toMatchObject([{ id: 3, name: 'Bob' }, { id: 2 }, { id: 1 }])
  })

  it('not by one of many: PGRST118', async () => {
    const { status, body } = await whole('/books?select=id,genres(name)&order=genres(name)')
    expect([status, body]).toEqual([
      400,
      {
        code: 'PGRST118',
        message: "A related order on 'genres' is not possible",
        details: "'books' and 'genres' do not form a many-to-one or one-to-one relationship",
        hint: null,
      },
    ])
  })
})

describe('spreads', () => {
  it('of one row stand in the row, as null without it', async () => {
    expect(await get('/books?select=id,...editor_id(editor:name,id2:id)')).toEqual([
      { id: 1, editor: 'Bob', id2: 2 },
      { id: 2, editor: null, id2: null },
      { id: 3, editor: 'Ann', id2: 1 },
    ])
    expect(
      await get(
        '/loans?select=days,...books(title,...author_id(author:name),genres(name))&id=in.(1,4)',
        {
          key: 'secret',
        },
      ),
    ).toEqual([
      { days: 7, title: 'Alpha', author: 'Ann', genres: [{ name: 'crime' }, { name: 'drama' }] },
      { days: 1, title: 'Secret', author: 'Cid', genres: [{ name: 'verse' }] },
    ])
  })

  it('of many rows are lists', async () => {
    expect(await get('/books?select=id,...genres(genre:name,rank)&genres.order=rank')).toEqual([
      { id: 1, genre: ['drama', 'crime'], rank: [1, 2] },
      { id: 2, genre: ['drama'], rank: [1] },
      { id: 3, genre: [], rank: [] },
    ])
  })

  it('an alias, a filter and !inner work as elsewhere', async () => {
    expect(await get('/books?select=id,...author_id!inner(name)&author_id.name=eq.Bob')).toEqual([
      { id: 3, name: 'Bob' },
    ])
  })
})
