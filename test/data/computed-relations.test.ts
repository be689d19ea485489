import { integer, sqliteTable } from 'drizzle-orm/sqlite-core'
import { data, expose, relation } from 'leanto/data'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeBase } from '../kit/world.ts'
import { fresh, get } from './computed-world.ts'
import { alice, bob, people } from './store.ts'

beforeAll(fresh)

describe('computed relations', () => {
  it('to many are lists, with filters, order, limit and count of their own', async () => {
    expect(await get('/authors?select=id,best(id)&order=id')).toEqual([
      { id: 1, best: [{ id: 1 }] },
      { id: 2, best: [{ id: 3 }] },
      { id: 3, best: [{ id: 5 }] },
    ])
    expect(
      await get('/authors?select=id,best(stars,shout)&best.stars=gt.3&best.order=id&order=id'),
    ).toEqual([
      { id: 1, best: [{ stars: 5, shout: 'ONE' }] },
      { id: 2, best: [{ stars: 4, shout: 'THREE' }] },
      { id: 3, best: [] },
    ])
    expect(await get('/authors?select=best(count(),stars.sum())&id=eq.1')).toEqual([
      { best: [{ count: 1, sum: 5 }] },
    ])
    expect(await get('/authors?select=id,best()&best.id=gt.1&best=not.is.null&order=id')).toEqual([
      { id: 2 },
      { id: 3 },
    ])
    expect(await get('/authors?select=id,best!inner(id)&best.stars=eq.4')).toEqual([
      { id: 2, best: [{ id: 3 }] },
    ])
    expect(await get('/authors?select=id,...best(titles:title)&id=eq.1')).toEqual([
      { id: 1, titles: ['one'] },
    ])
  })

  it('to one are objects or null, and can be sorted by', async () => {
    expect(await get('/authors?select=id,first_post(title)&order=id')).toEqual([
      { id: 1, first_post: { title: 'one' } },
      { id: 2, first_post: { title: 'three' } },
      { id: 3, first_post: { title: 'five' } },
    ])
    expect(await get('/authors?select=id,p:first_post(title)&order=p(stars).desc&limit=1')).toEqual(
      [{ id: 1, p: { title: 'one' } }],
    )
    expect(await get('/authors?select=id,...first_post(title)&first_post.stars=lt.4')).toEqual([
      { id: 1, title: null },
      { id: 2, title: null },
      { id: 3, title: 'five' },
    ])
    expect(await get('/authors?select=id&order=best(stars)')).toBe('400 PGRST108')
    expect(await get('/authors?select=id,best(id)&order=best(stars)')).toBe('400 PGRST118')
  })

  it('obey the select policy of the other table, and the caller', async () => {
    const path = '/posts?select=id,siblings(id)&siblings.order=id&id=eq.3'
    // Post 4 has no star: only its owner sees it.
    expect(await get(path)).toEqual([{ id: 3, siblings: [] }])
    expect(await get(path, { token: bob })).toEqual([{ id: 3, siblings: [{ id: 4 }] }])
    expect(await get('/authors?select=own(id)&own.order=id&id=eq.1', { token: alice })).toEqual([
      { own: [{ id: 1 }, { id: 2 }] },
    ])
    expect(await get('/authors?select=own(id)&id=eq.1')).toEqual([{ own: [] }])
    // No policy: closed.
    expect(await get('/authors?select=locked(id)')).toBe('401 42501')
    expect(await get('/authors?select=locked(id)', { token: alice })).toBe('403 42501')
    expect(await get('/authors?select=locked(id)&id=eq.1', { key: 'secret' })).toEqual([
      { locked: [{ id: 1 }] },
    ])
    expect(await get('/authors?select=none(id)&id=eq.1', { key: 'secret' })).toEqual([{ none: [] }])
    expect(await get('/authors?select=first_post(secret)')).toBe('400 42703')
  })

  it('of a table with itself, nested, under whatever name it stands in the statement', async () => {
    expect(
      await get(
        '/posts?select=id,siblings(id,siblings(id,authors(best(id))))&siblings.order=id&id=eq.1',
      ),
    ).toEqual([
      { id: 1, siblings: [{ id: 2, siblings: [{ id: 1, authors: { best: [{ id: 1 }] } }] }] },
    ])
  })

  it('go before a foreign key of the same name, which a hint still reaches', async () => {
    expect(await get('/posts?select=id,authors(first)&id=in.(1,5)&order=id')).toEqual([
      { id: 1, authors: { first: 'Ann' } },
      { id: 5, authors: null },
    ])
    expect(await get('/posts?select=authors!author_id(first)&id=eq.5')).toEqual([
      { authors: { first: 'Cid' } },
    ])
    expect(await get('/posts?select=author_id(first)&id=eq.5')).toEqual([
      { author_id: { first: 'Cid' } },
    ])
  })

  it('are found by their names alone', async () => {
    expect(await get('/authors?select=siblings(id)')).toBe('400 PGRST200')
    expect(await get('/authors?select=best!posts(id)')).toBe('400 PGRST200')
    expect(await get('/authors?select=constructor(id)')).toBe('400 PGRST200')
    // Two foreign keys' worth of relations to posts would be ambiguous; the declared ones are none of them.
    expect(await get('/authors?select=posts(id)&id=eq.3')).toEqual([{ posts: [{ id: 5 }] }])
  })

  it('embed what a write returns', async () => {
    expect(
      await get('/posts?select=id,siblings(id),authors(full_name)&id=eq.2', {
        method: 'PATCH',
        body: { stars: 2 },
        headers: { prefer: 'return=representation' },
      }),
    ).toEqual([{ id: 2, siblings: [{ id: 1 }], authors: { full_name: 'Ann Ash' } }])
  })
})

describe('what cannot be a computed relation', () => {
  const one = sqliteTable('one', { id: integer('id').primaryKey() })
  const two = sqliteTable('two', { id: integer('id').primaryKey() })
  const always = () => true
  const made = (other: object) => () =>
    data(makeBase(), {
      identity: people,
      tables: { one: expose(one, { relations: { x: other as never } }), other: expose(two, {}) },
    })

  it('is refused when it is declared, or when the module is built', () => {
    expect(() => relation({} as never, always)).toThrow('one drizzle table by its name')
    expect(() => relation({ one, two } as never, always)).toThrow('one drizzle table')
    expect(() => relation({ one: 'one' } as never, always)).toThrow('one drizzle table')
    expect(() => relation({ one }, true as never)).toThrow('must be a function')
    expect(made(always)).toThrow('`relations.x`: must be made by relation')
    expect(made(relation({ two }, always))).toThrow('"two" is not the name in `tables`')
    expect(made(relation({ other: one }, always))).toThrow('of the drizzle table one')
    expect(made(relation({ other: two }, always))).not.toThrow()
  })
})
