import { beforeAll, describe, expect, it } from 'vitest'
import { client, fresh, get, whole } from './library.ts'
import { alice, bob } from './store.ts'

beforeAll(fresh)

describe('embedding by foreign keys', () => {
  it('many to one is an object, or null', async () => {
    expect(await get('/books?select=title,members!author_id(name)&id=in.(1,3)')).toEqual([
      { title: 'Alpha', members: { name: 'Ann' } },
      { title: 'Gamma', members: { name: 'Bob' } },
    ])
    expect(await get('/books?select=id,editor:editor_id(name)')).toEqual([
      { id: 1, editor: { name: 'Bob' } },
      { id: 2, editor: null },
      { id: 3, editor: { name: 'Ann' } },
    ])
  })

  it('one to many is a list, bounded by the policy of the other table', async () => {
    const path = '/books?select=id,loans(id,days)&order=id'
    expect(await get(path)).toEqual([1, 2, 3].map((id) => ({ id, loans: [] })))
    expect(await get(path, { token: bob })).toEqual([
      { id: 1, loans: [{ id: 2, days: 14 }] },
      { id: 2, loans: [] },
      { id: 3, loans: [] },
    ])
    expect(await get(path, { token: alice })).toEqual([
      {
        id: 1,
        loans: [
          { id: 1, days: 7 },
          { id: 5, days: 21 },
        ],
      },
      { id: 2, loans: [{ id: 3, days: 3 }] },
      { id: 3, loans: [] },
      { id: 4, loans: [{ id: 4, days: 1 }] },
    ])
    expect(((await get(path, { key: 'secret' })) as unknown[])[0]).toMatchObject({
      loans: [{ id: 1 }, { id: 2 }, { id: 5 }],
    })
  })

  it('one to one is an object both ways', async () => {
    expect(await get('/books?select=id,sheets(summary)&id=lt.3')).toEqual([
      { id: 1, sheets: { summary: 'about a' } },
      { id: 2, sheets: null },
    ])
    // The sheet of a book that is not public: its book does not show.
    expect(await get('/sheets?select=summary,books(title)&order=book_id')).toEqual([
      { summary: 'about a', books: { title: 'Alpha' } },
      { summary: 'about g', books: { title: 'Gamma' } },
      { summary: 'hush', books: null },
    ])
  })

  it('many to many goes through the join table', async () => {
    expect(await get('/books?select=id,genres(name)&genres.order=name')).toEqual([
      { id: 1, genres: [{ name: 'crime' }, { name: 'drama' }] },
      { id: 2, genres: [{ name: 'drama' }] },
      { id: 3, genres: [] },
    ])
    expect(await get('/genres?select=name,books(title)&order=name&books.order=id')).toEqual([
      { name: 'crime', books: [{ title: 'Alpha' }] },
      { name: 'drama', books: [{ title: 'Alpha' }, { title: 'Beta' }] },
      { name: 'verse', books: [] },
    ])
    expect(await get('/books?select=genres!book_genres(name)&id=eq.2')).toEqual([
      { genres: [{ name: 'drama' }] },
    ])
  })

  it('a table refers to itself', async () => {
    expect(await get('/members?select=name,boss:boss_id(name)&order=id')).toEqual([
      { name: 'Ann', boss: null },
      { name: 'Bob', boss: { name: 'Ann' } },
      { name: 'Cid', boss: { name: 'Ann' } },
      { name: 'Dot', boss: { name: 'Bob' } },
    ])
    expect(
      await get('/members?select=name,team:members(name,team:members!boss_id(name))&id=eq.1'),
    ).toEqual([
      {
        name: 'Ann',
        team: [
          { name: 'Bob', team: [{ name: 'Dot' }] },
          { name: 'Cid', team: [] },
        ],
      },
    ])
  })

  it('keys of two columns', async () => {
    expect(await get('/shelves?select=id,halls(seats)&order=id')).toEqual([
      { id: 1, halls: { seats: 30 } },
      { id: 2, halls: { seats: 30 } },
      { id: 3, halls: { seats: null } },
      { id: 4, halls: null },
      { id: 5, halls: null },
    ])
    expect(await get('/halls?select=no,shelves(id)&order=no')).toEqual([
      { no: 1, shelves: [{ id: 1 }, { id: 2 }] },
      { no: 2, shelves: [{ id: 3 }] },
    ])
  })

  it('nests, renames, and types what is inside', async () => {
    expect(
      await get(
        '/loans?select=days,book:books(name:title,public,meta,writer:author_id(name,born,boss:boss_id(name)))&id=eq.1',
        { token: alice },
      ),
    ).toEqual([
      {
        days: 7,
        book: {
          name: 'Alpha',
          public: true,
          meta: { lang: 'en', size: 9, tags: ['a', 'b'] },
          writer: { name: 'Ann', born: '1970-01-01T00:00:00.000Z', boss: null },
        },
      },
    ])
  })

  it('the same table under another name has its own policy', async () => {
    expect(await get('/members?select=id,short_books!author_id(title)&id=in.(1,2)')).toEqual([
      { id: 1, short_books: [{ title: 'Alpha' }] },
      { id: 2, short_books: [] },
    ])
  })

  it('* is every visible column, of embeds too', async () => {
    const [book] = (await get('/books?select=*,author:author_id(*)&id=eq.1')) as never[]
    expect(book).toEqual({
      id: 1,
      title: 'Alpha',
      author_id: 1,
      editor_id: 2,
      public: true,
      price: 10.5,
      pages: 100,
      meta: { lang: 'en', size: 9, tags: ['a', 'b'] },
      author: { id: 1, name: 'Ann', boss_id: null, born: '1970-01-01T00:00:00.000Z' },
    })
  })
})

describe('what cannot be embedded', () => {
  it('two ways need a hint: PGRST201 lists them', async () => {
    const { status, body } = await whole('/books?select=members(name)')
    expect({ status, body }).toEqual({
      status: 300,
      body: {
        code: 'PGRST201',
        message:
          "Could not embed because more than one relationship was found for 'books' and 'members'",
        details: [
          {
            cardinality: 'many-to-one',
            embedding: 'books with members',
            relationship: 'books_author_id_fkey using books(author_id) and members(id)',
          },
          {
            cardinality: 'many-to-one',
            embedding: 'books with members',
            relationship: 'books_editor_id_fkey using books(editor_id) and members(id)',
          },
        ],
        hint: "Try changing 'members' to one of the following: 'members!books_author_id_fkey', 'members!books_editor_id_fkey'. Find the desired relationship in the 'details' key.",
      },
    })
    expect(await get('/books?select=members!books_editor_id_fkey(name)&id=eq.1')).toEqual([
      { members: { name: 'Bob' } },
    ])
    expect(await get('/books?select=books_editor_id_fkey(name)&id=eq.1')).toEqual([
      { books_editor_id_fkey: { name: 'Bob' } },
    ])
  })

  it('no relation is PGRST200, with what was searched', async () => {
    const { status, body } = await whole('/books?select=halls(*)')
    expect({ status, body }).toEqual({
      status: 400,
      body: {
        code: 'PGRST200',
        message: "Could not find a relationship between 'books' and 'halls' in the schema cache",
        details:
          "Searched for a foreign key relationship between 'books' and 'halls' in the schema 'public', but no matches were found.",
        hint: null,
      },
    })
    expect(await get('/books?select=members!nonesuch(*)')).toBe('400 PGRST200')
    expect(await get('/books?select=constructor(*)')).toBe('400 PGRST200')
    expect(await get('/books?select=nonesuch(*)')).toBe('400 PGRST200')
  })

  it('35: a hidden column makes no relation, for any but service', async () => {
    expect(await get('/books?select=hidden_link(name)&id=eq.1')).toBe('400 PGRST200')
    expect(await get('/books?select=members!hidden_link(name)&id=eq.1')).toBe('400 PGRST200')
    expect(await get('/books?select=hidden_member_id(name)&id=eq.1')).toBe('400 PGRST200')
    expect(await get('/books?select=members!hidden_link(name)&id=eq.1', { key: 'secret' })).toEqual(
      [{ members: { name: 'Cid' } }],
    )
  })

  it('35, 38: hidden columns and closed tables are closed inside too', async () => {
    expect(await get('/books?select=author:author_id(secret)')).toBe('400 42703')
    expect(await get('/books?select=author:author_id(name)&author.secret=eq.x')).toBe('400 42703')
    expect(await get('/books?select=author:author_id(name)&author.order=secret')).toBe('400 42703')
    expect(await get('/books?select=author:author_id(name)&order=author(secret)')).toBe('400 42703')
    expect(await get('/books?select=author:author_id(secret.max())')).toBe('400 42703')
    expect(await get('/books?select=...author_id(secret)')).toBe('400 42703')
    expect(await get('/books?select=id,closed(id)')).toBe('401 42501')
    expect(await get('/books?select=id,closed(id)', { token: alice })).toBe('403 42501')
    // Its join table is closed: there is no way through it.
    expect(await get('/members?select=id,genres(name)')).toBe('400 PGRST200')
    expect(await get('/members?select=id,genres(name)&id=eq.1', { key: 'secret' })).toEqual([
      { id: 1, genres: [{ name: 'crime' }] },
    ])
  })

  it('49: depth and breadth end', async () => {
    const nested = (levels: number): string =>
      levels === 0 ? 'id' : `id,members!boss_id(${nested(levels - 1)})`
    expect(await get(`/members?select=${nested(6)}&id=eq.1`)).toBeInstanceOf(Array)
    expect(await get(`/members?select=${nested(9)}`)).toBe('400 PGRST100')
    const wide = Array.from({ length: 201 }, (_, i) => `a${i}:id`).join()
    expect(await get(`/members?select=${wide}`)).toBe('400 PGRST100')
  })
})

describe('the stock client', () => {
  it('embeds with types', async () => {
    const { data, error } = await client(alice)
      .from('books')
      .select('title, loans(days), genres(name)')
      .eq('id', 1)
      .order('days', { referencedTable: 'loans', ascending: false })
      .limit(1, { referencedTable: 'loans' })
      .single()
    expect(error).toBeNull()
    expect(data).toEqual({
      title: 'Alpha',
      loans: [{ days: 21 }],
      genres: [{ name: 'crime' }, { name: 'drama' }],
    })
  })
})
