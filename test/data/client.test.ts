import * as postgrest from '@supabase/postgrest-js'
import { beforeEach, describe, expect, it } from 'vitest'
import { fresh, client as typed } from './library.ts'
import { alice } from './store.ts'

/*
 * Every public method of the stock client, by its prototypes: a method that a newer client has and this list lacks fails
 * the test.
 */

// The methods are the subject here, not their types.
// biome-ignore lint/suspicious/noExplicitAny: as above.
const client = (token = alice) => typed(token) as any

beforeEach(fresh)

/** The ids that a read finds. */
// biome-ignore lint/suspicious/noExplicitAny: as above.
const ids = async (build: (table: any) => any, table = 'books') => {
  const { data, error } = await build(client().from(table).select('id'))
  expect(error).toBeNull()
  return data.map(({ id }: { id: number }) => id)
}

// biome-ignore lint/suspicious/noExplicitAny: as above.
const refused = async (build: (table: any) => any) => {
  const { data, error } = await build(client().from('books').select('id'))
  expect(data).toBeNull()
  return error.code
}

const proofs: Record<string, Record<string, () => Promise<unknown>>> = {
  PostgrestFilterBuilder: {
    eq: async () => expect(await ids((t) => t.eq('title', 'Beta'))).toEqual([2]),
    neq: async () => expect(await ids((t) => t.neq('id', 2))).toEqual([1, 3, 4]),
    gt: async () => expect(await ids((t) => t.gt('pages', 100))).toEqual([2, 3]),
    gte: async () => expect(await ids((t) => t.gte('pages', 100))).toEqual([1, 2, 3]),
    lt: async () => expect(await ids((t) => t.lt('price', 10.5))).toEqual([4]),
    lte: async () => expect(await ids((t) => t.lte('price', 10.5))).toEqual([1, 4]),
    like: async () => expect(await ids((t) => t.like('title', '%a'))).toEqual([1, 2, 3]),
    likeAllOf: async () =>
      expect(await ids((t) => t.likeAllOf('title', ['%a', 'A%']))).toEqual([1]),
    likeAnyOf: async () =>
      expect(await ids((t) => t.likeAnyOf('title', ['B%', 'G%']))).toEqual([2, 3]),
    ilike: async () => expect(await ids((t) => t.ilike('title', 'a%'))).toEqual([1]),
    ilikeAllOf: async () =>
      expect(await ids((t) => t.ilikeAllOf('title', ['a%', '%A']))).toEqual([1]),
    ilikeAnyOf: async () =>
      expect(await ids((t) => t.ilikeAnyOf('title', ['b%', 'g%']))).toEqual([2, 3]),
    regexMatch: async () =>
      expect(await ids((t) => t.regexMatch('title', '^[AB]'))).toEqual([1, 2]),
    regexIMatch: async () =>
      expect(await ids((t) => t.regexIMatch('title', '^[ab]'))).toEqual([1, 2]),
    is: async () => expect(await ids((t) => t.is('price', null))).toEqual([3]),
    isDistinct: async () => expect(await ids((t) => t.isDistinct('price', 5))).toEqual([1, 2, 3]),
    in: async () => expect(await ids((t) => t.in('id', [1, 4]))).toEqual([1, 4]),
    notIn: async () => expect(await ids((t) => t.notIn('id', [1, 4]))).toEqual([2, 3]),
    contains: async () => {
      expect(await ids((t) => t.contains('meta', { lang: 'de' }))).toEqual([2])
      expect(await ids((t) => t.contains('meta->tags', JSON.stringify(['b'])))).toEqual([1])
    },
    containedBy: async () =>
      expect(await ids((t) => t.containedBy('meta', { lang: 'de', size: 10, more: 1 }))).toEqual([
        2,
      ]),
    overlaps: async () =>
      expect(await ids((t) => t.overlaps('meta->tags', ['x', 'b']))).toEqual([1]),
    // There are no range types here: the protocol's own error.
    rangeGt: async () => expect(await refused((t) => t.rangeGt('price', '[1,2]'))).toBe('42883'),
    rangeGte: async () => expect(await refused((t) => t.rangeGte('price', '[1,2]'))).toBe('42883'),
    rangeLt: async () => expect(await refused((t) => t.rangeLt('price', '[1,2]'))).toBe('42883'),
    rangeLte: async () => expect(await refused((t) => t.rangeLte('price', '[1,2]'))).toBe('42883'),
    rangeAdjacent: async () =>
      expect(await refused((t) => t.rangeAdjacent('price', '[1,2]'))).toBe('42883'),
    // Proven in search.test.ts, on a table that declares what is searched.
    textSearch: async () => expect(await refused((t) => t.textSearch('title', 'x'))).toMatch(/^42/),
    match: async () => expect(await ids((t) => t.match({ author_id: 1, pages: 250 }))).toEqual([2]),
    not: async () => expect(await ids((t) => t.not('price', 'is', null))).toEqual([1, 2, 4]),
    or: async () => {
      expect(await ids((t) => t.or('id.eq.1,and(pages.eq.250,price.not.is.null)'))).toEqual([1, 2])
      const { data } = await client()
        .from('books')
        .select('id, loans(id)')
        .or('days.eq.7,days.eq.21', { referencedTable: 'loans' })
        .eq('id', 1)
      expect(data).toEqual([{ id: 1, loans: [{ id: 1 }, { id: 5 }] }])
    },
    filter: async () => expect(await ids((t) => t.filter('id', 'in', '(2,3)'))).toEqual([2, 3]),
    throwOnError: async () => {
      await expect(
        client().from('books').select('nothing').eq('id', 1).throwOnError(),
      ).rejects.toMatchObject({
        code: '42703',
      })
    },
  },
  PostgrestTransformBuilder: {
    select: async () => {
      const { data } = await client().from('genres').insert({ name: 'epic' }).select('name, rank')
      expect(data).toEqual([{ name: 'epic', rank: null }])
    },
    order: async () => {
      expect(await ids((t) => t.order('pages', { ascending: false }).order('id'))).toEqual([
        2, 3, 1, 4,
      ])
      expect(await ids((t) => t.order('price', { nullsFirst: true }))).toEqual([3, 4, 1, 2])
    },
    limit: async () => expect(await ids((t) => t.limit(2))).toEqual([1, 2]),
    range: async () => expect(await ids((t) => t.range(1, 2))).toEqual([2, 3]),
    abortSignal: async () => {
      const { error } = await client()
        .from('books')
        .select('id')
        .abortSignal(new AbortController().signal)
      expect(error).toBeNull()
    },
    single: async () => {
      const { data } = await client().from('books').select('id').eq('id', 1).single()
      expect(data).toEqual({ id: 1 })
      const { error, status } = await client().from('books').select('id').single()
      expect([status, error.code, error.details]).toEqual([
        406,
        'PGRST116',
        'The result contains 4 rows',
      ])
    },
    maybeSingle: async () => {
      const { data, error } = await client().from('books').select('id').eq('id', 99).maybeSingle()
      expect([data, error]).toEqual([null, null])
    },
    csv: async () => {
      const { data } = await client()
        .from('books')
        .select('id,title,...author_id(name)')
        .lt('id', 3)
        .csv()
      expect(data).toBe('id,title,name\n1,Alpha,Ann\n2,Beta,Ann')
    },
    geojson: async () => {
      // The table declares no point; one that does is in geojson.test.ts.
      const { error } = await client().from('books').select().geojson()
      expect(error.code).toBe('PGRST107')
    },
    explain: async () => {
      // For development and service alone: explain.test.ts.
      const { error } = await client().from('books').select().explain()
      expect(error.code).toBe('PGRST107')
    },
    rollback: async () => {
      const { data } = await client().from('genres').insert({ name: 'epic' }).select().rollback()
      expect(data).toEqual([{ name: 'epic', rank: null }])
      expect((await client().from('genres').select('name')).data).toHaveLength(3)
    },
    returns: async () => expect(await ids((t) => t.returns())).toHaveLength(4),
    maxAffected: async () => {
      const { error } = await client()
        .from('genres')
        .update({ rank: 1 })
        .gt('name', '')
        .maxAffected(2)
      expect([error.code, error.details]).toEqual(['PGRST124', 'The query affects 3 rows'])
      expect((await client().from('genres').select('rank')).data).toEqual([
        { rank: 2 },
        { rank: 1 },
        { rank: null },
      ])
    },
    throwOnError: async () => {
      await expect(
        client().from('books').select('nothing').limit(1).throwOnError(),
      ).rejects.toMatchObject({ code: '42703' })
    },
  },
  PostgrestQueryBuilder: {
    select: async () => {
      const { data, count } = await client().from('books').select('id', { count: 'exact' }).limit(1)
      expect([data, count]).toEqual([[{ id: 1 }], 4])
      const head = await client().from('books').select('*', { count: 'planned', head: true })
      expect([head.data, head.count]).toEqual([null, 4])
    },
    insert: async () => {
      const { status, error } = await client()
        .from('genres')
        .insert([{ name: 'a' }, { name: 'b', rank: 1 }])
      expect([status, error]).toEqual([201, null])
      const { data } = await client()
        .from('genres')
        .insert([{ name: 'c' }], { defaultToNull: false, count: 'exact' })
        .select('*, books(id)')
      expect(data).toEqual([{ name: 'c', rank: null, books: [] }])
    },
    upsert: async () => {
      const { data } = await client()
        .from('genres')
        .upsert(
          [
            { name: 'crime', rank: 8 },
            { name: 'new', rank: 9 },
          ],
          { onConflict: 'name' },
        )
        .select()
        .order('rank')
      expect(data).toEqual([
        { name: 'crime', rank: 8 },
        { name: 'new', rank: 9 },
      ])
      const ignored = await client()
        .from('genres')
        .upsert({ name: 'crime', rank: 1 }, { ignoreDuplicates: true })
        .select()
      expect(ignored.data).toEqual([])
    },
    update: async () => {
      const { data, count } = await client()
        .from('books')
        .update({ title: 'New', meta: { lang: 'fr' } }, { count: 'exact' })
        .eq('id', 1)
        .select('title, meta->>lang, author:author_id(name)')
      expect([data, count]).toEqual([[{ title: 'New', lang: 'fr', author: { name: 'Ann' } }], 1])
    },
    delete: async () => {
      const { data, count } = await client()
        .from('book_genres')
        .delete({ count: 'exact' })
        .eq('book_id', 1)
        .select('genre, genres(rank)')
        .order('genre')
      expect([data, count]).toEqual([
        [
          { genre: 'crime', genres: { rank: 2 } },
          { genre: 'drama', genres: { rank: 1 } },
        ],
        2,
      ])
    },
    // What the other methods are made of.
    cloneRequestState: async () => {
      const table = client().from('books')
      const [one, two] = await Promise.all([
        table.select('id').eq('id', 1),
        table.select('id').eq('id', 2),
      ])
      expect([one.data, two.data]).toEqual([[{ id: 1 }], [{ id: 2 }]])
    },
  },
  PostgrestBuilder: {
    throwOnError: async () => proofs.PostgrestFilterBuilder?.throwOnError?.(),
    stripNulls: async () => {
      const { data } = await client()
        .from('books')
        .select('id, price, editor_id, meta')
        .eq('id', 3)
        .stripNulls()
      expect(data).toEqual([{ id: 3, editor_id: 1 }])
    },
    setHeader: async () => {
      const { count } = await client()
        .from('books')
        .select('id')
        .setHeader('Prefer', 'count=exact')
        .limit(0)
      expect(count).toBe(4)
    },
    retry: async () => expect(await ids((t) => t.retry(false))).toHaveLength(4),
    // `await` is then; what comes is processed and typed.
    // biome-ignore lint/suspicious/noThenProperty: the name of the method that is proven.
    then: async () => expect(await ids((t) => t)).toHaveLength(4),
    processResponse: async () => expect(await ids((t) => t)).toHaveLength(4),
    returns: async () => expect(await ids((t) => t.returns())).toHaveLength(4),
    overrideTypes: async () => expect(await ids((t) => t.overrideTypes())).toHaveLength(4),
  },
  PostgrestClient: {
    from: async () => expect(await ids((t) => t)).toHaveLength(4),
    schema: async () => {
      const { data } = await client().schema('public').from('books').select('id').eq('id', 1)
      expect(data).toEqual([{ id: 1 }])
      const { error } = await client().schema('private').from('books').select('id')
      expect(error.code).toBe('PGRST106')
    },
    // Proven in rpc.test.ts.
    rpc: async () => expect((await client().rpc('nothing')).error.code).toBe('PGRST202'),
    getOpenApiSpec: async () => {
      const { data } = await client().getOpenApiSpec()
      expect(data).toHaveProperty(['paths', '/books', 'get'])
    },
    decorateFetch: async () => expect(await ids((t) => t)).toHaveLength(4),
  },
  PostgrestError: {
    toJSON: async () => {
      const { error } = await client().from('books').select('nothing')
      expect(new postgrest.PostgrestError(error).toJSON()).toMatchObject({
        code: '42703',
        message: 'column books.nothing does not exist',
      })
    },
  },
}

describe('the stock client', () => {
  for (const [name, exported] of Object.entries(postgrest)) {
    if (typeof exported !== 'function' || !exported.prototype) continue
    const methods = Object.getOwnPropertyNames(exported.prototype).filter(
      (m) => m !== 'constructor',
    )
    describe(name, () => {
      it('has no method that is not here', () => {
        expect(Object.keys(proofs[name] ?? {}).sort()).toEqual(methods.sort())
      })
      for (const [method, prove] of Object.entries(proofs[name] ?? {}))
        it(method, async () => void (await prove()))
    })
  }
})
