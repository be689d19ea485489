import { env } from 'cloudflare:workers'
import { blob, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { data, expose } from 'leanto/data'
import * as v from 'valibot'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeBase, mount } from '../kit/world.ts'
import { batch, inFilter, note, type Operation, ref } from './batches.ts'
import { alice, bob, people } from './store.ts'
import { dump, rows, seed } from './writing-world.ts'

beforeEach(seed)

describe('is refused, and nothing is written', () => {
  const behind = (operation: Operation): Operation[] => [note, operation]
  const comment = (value: unknown): Operation => ({
    method: 'POST',
    path: '/comments',
    body: { note_id: value, text: 'x' },
  })
  it.each([
    ['an operation that is not there', behind(comment(ref('z.id'))), 400, 'PT400', 1],
    ['itself', [{ id: 'b', ...comment(ref('b.id')) }], 400, 'PT400', 0],
    ['a later one', [comment(ref('a.id')), note], 400, 'PT400', 0],
    ['no column', behind(comment(ref('a.nothing'))), 400, '42703', 1],
    [
      'case 35: a hidden column',
      behind({ method: 'POST', path: '/plain', body: { text: ref('a.secret') } }),
      400,
      '42703',
      1,
    ],
    [
      'what cannot be read',
      [
        { id: 'b', method: 'POST', path: '/box', body: { text: 'x' } },
        { method: 'POST', path: '/plain', body: { text: ref('b.text') } },
      ],
      403,
      '42501',
      1,
    ],
    ['another type', behind(comment(ref('a.title'))), 400, '42804', 1],
    [
      'another type in a filter',
      behind({ method: 'GET', path: `/plain?text=eq.${inFilter('a.id')}` }),
      404,
      '42883',
      1,
    ],
    [
      'JSON in a filter',
      [
        { id: 'b', method: 'GET', path: '/bytes' },
        { method: 'GET', path: `/bytes?json=eq.${inFilter('b.json')}` },
      ],
      404,
      '42883',
      1,
    ],
    [
      'an operator of another kind',
      behind({ method: 'GET', path: `/notes?title=like.${inFilter('a.title')}` }),
      400,
      'PT400',
      1,
    ],
    ['no form of it', behind(comment(ref('a'))), 400, 'PT400', 1],
    ['no form of an index', behind(comment(ref('a[x].id'))), 400, 'PT400', 1],
    ['a row that is not there', behind(comment(ref('a[1].id'))), 424, 'PT424', 0],
    [
      'a row that no filter found',
      [{ id: 'b', method: 'GET', path: '/notes?id=eq.99' }, comment(ref('b.id'))],
      424,
      'PT424',
      0,
    ],
    [
      'a row that was ignored',
      [
        {
          id: 'b',
          method: 'POST',
          path: '/plain',
          body: { id: 1 },
          headers: { prefer: 'resolution=ignore-duplicates' },
        },
        { method: 'POST', path: '/plain', body: { id: ref('b.id') } },
      ],
      424,
      'PT424',
      0,
    ],
    [
      'a HEAD',
      [{ id: 'b', method: 'HEAD', path: '/notes' }, comment(ref('b.id'))],
      400,
      'PT400',
      1,
    ],
    [
      'groups',
      [{ id: 'b', method: 'GET', path: '/notes?select=count()' }, comment(ref('b.id'))],
      400,
      'PT400',
      1,
    ],
    [
      'a read-only column',
      behind({
        method: 'PATCH',
        path: '/stamped?id=eq.1',
        body: { updated_by: ref('a.owner_id') },
      }),
      403,
      '42501',
      1,
    ],
    [
      'a foreign key that is none',
      [{ id: 'b', method: 'POST', path: '/plain', body: { id: 99 } }, comment(ref('b.id'))],
      409,
      '23503',
      1,
    ],
    [
      'a policy',
      [
        { id: 'b', method: 'POST', path: '/plain', body: { text: 'bob' } },
        { method: 'POST', path: '/notes', body: { title: 'x', owner_id: ref('b.text') } },
      ],
      403,
      '42501',
      1,
    ],
    [
      'a key of a PUT',
      behind({ method: 'PUT', path: '/plain?id=eq.5', body: { id: ref('a.id') } }),
      400,
      '22P02',
      1,
    ],
  ] as [string, Operation[], number, string, number][])(
    '%s',
    async (_, operations, status, code, index) => {
      const before = await dump()
      const answer = await batch(operations)
      expect([answer.status, answer.body.code, answer.body.operation?.index]).toEqual([
        status,
        code,
        index,
      ])
      expect(answer.text).not.toContain('hush')
      expect(await dump()).toBe(before)
    },
  )

  it('case 36: what a stranger may not see he cannot use', async () => {
    const answer = await batch(
      [
        { id: 'b', method: 'GET', path: '/notes?id=eq.1' },
        { method: 'POST', path: '/plain', body: { text: ref('b.title') } },
      ],
      { token: bob },
    )
    expect([answer.status, answer.body.code]).toEqual([424, 'PT424'])
  })
})

describe('a schema and a reference', () => {
  const open = { select: () => true, insert: () => true, update: () => true }
  const parents = sqliteTable('parents', {
    id: integer('id').primaryKey(),
    name: text('name'),
    code: text('code'),
  })
  const children = sqliteTable('children', {
    id: integer('id').primaryKey(),
    parent: integer('parent'),
    name: text('name'),
    data: blob('data', { mode: 'buffer' }),
  })
  const child = v.object({
    id: v.optional(v.number()),
    parent: v.pipe(v.number(), v.minValue(1)),
    name: v.optional(v.pipe(v.string(), v.maxLength(3, 'too long'), v.toUpperCase())),
  })
  const store = data(makeBase(), {
    identity: people,
    tables: {
      parents: expose(parents, open),
      children: expose(children, { ...open, schema: child }),
    },
  })
  const ask = mount({ '/': store })
  const send = async (operations: Operation[]) => {
    const response = await ask('/batch', { token: alice, body: { operations } })
    return { status: response.status, body: (await response.json()) as Record<string, never> }
  }
  const parent = (body: object): Operation => ({ id: 'p', method: 'POST', path: '/parents', body })
  beforeEach(async () => {
    await env.DB.batch(
      [
        'CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT, code TEXT)',
        'CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER, name TEXT, data BLOB)',
        `INSERT INTO parents (id, name) VALUES (1, 'much too long')`,
      ].map((sql) => env.DB.prepare(sql)),
    )
  })

  it('a key that the database counts may be used; a value that the request holds is checked', async () => {
    const done = await send([
      parent({ name: 'abc' }),
      { method: 'POST', path: '/children', body: { parent: ref('p.id'), name: ref('p.name') } },
    ])
    expect(done.status).toBe(200)
    expect(await rows('SELECT parent, name FROM children')).toEqual([{ parent: 2, name: 'abc' }])
    const long = await send([
      parent({ name: 'too long it is' }),
      { method: 'POST', path: '/children', body: { parent: 1, name: ref('p.name') } },
    ])
    expect([long.status, long.body]).toMatchObject([
      400,
      { code: '22023', details: 'name: too long', operation: { index: 1 } },
    ])
    const negative = await send([
      parent({ id: -5 }),
      { method: 'POST', path: '/children', body: { parent: ref('p.id') } },
    ])
    expect(negative.body).toMatchObject({ code: '22023' })
  })

  it('a value that nobody knows beforehand is refused: the schema might', async () => {
    for (const source of [
      { id: 'p', method: 'GET', path: '/parents?id=eq.1' },
      { id: 'p', method: 'PATCH', path: '/parents?id=eq.1', body: { code: 'x' } },
      parent({ code: 'x' }),
    ])
      for (const method of ['POST', 'PATCH']) {
        const answer = await send([
          source,
          { method, path: '/children', body: { parent: 1, name: ref('p.name') } },
        ])
        expect([answer.status, answer.body]).toMatchObject([
          400,
          { code: 'PGRST127', operation: { index: 1 } },
        ])
      }
    expect(await rows('SELECT * FROM children')).toEqual([])
  })
})
