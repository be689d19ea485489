import { env } from 'cloudflare:workers'
import { and, between, eq, or, sql } from 'drizzle-orm'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { apiKeys } from 'leanto'
import { data, explainPolicy, expose } from 'leanto/data'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { clausesOf } from '../../src/data/clauses.ts'
import { sql as fragment, render } from '../../src/data/sql.ts'
import { type Ask, freshDatabase, makeBase, mount, testSecret } from '../kit/world.ts'
import { alice, bob, people } from './store.ts'

const pages = sqliteTable('pages', {
  id: integer('id').primaryKey(),
  paper: integer('paper').references(() => papers.id),
})

const papers = sqliteTable('papers', {
  id: integer('id').primaryKey(),
  owner: text('owner').notNull(),
  state: text('state').notNull().default('draft'),
  pages: integer('pages').notNull().default(1),
})

const base = makeBase()
const store = data(base, {
  identity: people,
  tables: {
    papers: expose(papers, {
      select: (who) => or(eq(papers.state, 'open'), eq(papers.owner, who.id)),
      insert: (who) => and(eq(papers.owner, who.id), between(papers.pages, 1, 10)),
      update: (who) => and(eq(papers.owner, who.id), eq(papers.state, 'draft')),
      delete: (who) => eq(papers.owner, who.id),
      defaults: { owner: (who) => who.id },
    }),
    shut: expose(papers, { select: () => true }),
    pages: expose(pages, { select: () => true }),
  },
})

const scope = base.scope({ env } as never)
const local = mount({ '/r': store }, 'http://localhost:8787')
const remote = mount({ '/r': store })

beforeAll(() =>
  freshDatabase(
    [store],
    [
      `CREATE TABLE papers (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'draft', pages INTEGER NOT NULL DEFAULT 1)`,
      'CREATE TABLE pages (id INTEGER PRIMARY KEY, paper INTEGER REFERENCES papers (id))',
    ],
  ),
)

beforeEach(() =>
  env.DB.batch(
    [
      'DELETE FROM papers',
      `INSERT INTO papers VALUES (1, 'alice', 'draft', 1), (2, 'alice', 'open', 2), (3, 'bob', 'draft', 3)`,
    ].map((statement) => env.DB.prepare(statement)),
  ),
)

const why = async (path: string, options: Ask = {}) => {
  const response = await local(`/r${path}`, options)
  await response.text()
  return response.headers.get('x-leanto-why')
}

describe('x-leanto-why', () => {
  it('tells an empty answer from a hidden one', async () => {
    expect(await why('/papers?id=eq.9', { token: alice })).toBe('no row matches the filters')
    expect(await why('/papers?id=eq.3', { token: alice })).toBe(
      '1 row matches the filters; select refuses 1: "papers"."state" = ? (1) or "papers"."owner" = ? (1)',
    )
    expect(await why('/papers?state=eq.draft')).toBe(
      '2 rows match the filters; select refuses 2: "papers"."state" = ? (2) or "papers"."owner" = ? (2)',
    )
    const single = { accept: 'application/vnd.pgrst.object+json' }
    expect(await why('/papers?id=eq.3', { token: alice, headers: single })).toContain(
      'select refuses 1',
    )
    expect(await why('/papers?id=eq.1', { token: alice })).toBeNull()
  })

  it('knows of embeds, and of pages', async () => {
    const inner = '/papers?select=id,sheets:pages!inner(id)'
    expect(await why(inner, { token: alice })).toBe('no row matches the filters')
    const anti = '/papers?select=id,sheets:pages()&id=eq.3&sheets=is.null'
    expect(await why(anti, { token: alice })).toContain('1 row matches the filters; select refuses')
    expect(await why('/papers?select=id,sheets:pages()&sheets=not.is.null')).toBe(
      'no row matches the filters',
    )
    expect(await why('/papers?id=lt.3&offset=5', { token: alice })).toBe(
      '2 rows match the filters; none is on this page',
    )
    expect(await why('/papers?limit=0', { token: alice })).toMatch(
      /^3 rows match the filters; select refuses 1: .*; none is on this page$/,
    )
    const single = { accept: 'application/vnd.pgrst.object+json' }
    expect(await why('/papers?id=lt.3', { token: alice, headers: single })).toBeNull()
    expect((await local(`/r${anti}`, { token: alice, headers: single })).status).toBe(406)
    expect((await local(`/r${anti}`, { token: alice })).status).toBe(200)
  })

  it('tells what an update or delete did not reach', async () => {
    const patch = { method: 'PATCH', body: { pages: 5 } }
    expect(await why('/papers?id=eq.2', { ...patch, token: alice })).toBe(
      '1 row matches the filters; update refuses 1: "papers"."state" = ? (1)',
    )
    expect(await why('/papers?id=eq.1', { ...patch, token: bob })).toBe(
      '1 row matches the filters; select refuses 1: "papers"."state" = ? (1) or "papers"."owner" = ? (1); update refuses 1: "papers"."owner" = ? (1)',
    )
    expect(
      await why('/papers?id=eq.2', {
        method: 'DELETE',
        token: bob,
        headers: { prefer: 'return=representation' },
      }),
    ).toContain('delete refuses 1')
    expect(await why('/papers?id=eq.1', { ...patch, token: alice })).toBeNull()
  })

  it('tells which part refuses a new row', async () => {
    expect(await why('/papers', { body: { pages: 11 }, token: alice })).toBe(
      'insert refuses 1: "papers"."pages" between ? and ? (1)',
    )
    expect(
      await why('/papers', { body: [{ owner: 'bob' }, { owner: 'alice' }], token: alice }),
    ).toBe('insert refuses 1: "papers"."owner" = ? (1)')
    expect(
      await why('/papers?id=eq.1', { method: 'PATCH', body: { state: 'open' }, token: alice }),
    ).toBe('update refuses 1 as changed: "papers"."state" = ? (1)')
  })

  it('tells that there is no policy', async () => {
    expect(await why('/shut', { body: { id: 9 }, token: alice })).toBe(
      'insert: the table has no such policy, so it is closed',
    )
  })

  it('is for development, and for who shows the secret key: never for anyone else', async () => {
    const { secret, publishable } = await apiKeys(testSecret)
    const ask = async (headers: Record<string, string>) =>
      (await remote('/r/papers?id=eq.3', { token: alice, headers })).headers.get('x-leanto-why')
    expect(await ask({})).toBeNull()
    expect(await ask({ apikey: publishable })).toBeNull()
    expect(await ask({ apikey: secret })).toContain('select refuses 1')
  })
})

describe('explainPolicy', () => {
  const as = (id: string) => ({ id, role: 'authenticated', claims: {} }) as const

  it('asks a policy of a row that need not be there', async () => {
    const row = { owner: 'alice', state: 'open', pages: 1 }
    expect(await explainPolicy(scope, store, as('alice'), 'papers', 'update', row)).toEqual({
      allowed: false,
      policies: [
        {
          policy: 'select',
          fails: 0,
          joined: 'or',
          clauses: [
            { sql: '"papers"."state" = ?', fails: 0 },
            { sql: '"papers"."owner" = ?', fails: 0 },
          ],
        },
        {
          policy: 'update',
          fails: 1,
          joined: 'and',
          clauses: [
            { sql: '"papers"."owner" = ?', fails: 0 },
            { sql: '"papers"."state" = ?', fails: 1 },
          ],
        },
      ],
    })
    const allowed = async (id: string, operation: 'select' | 'insert' | 'delete') =>
      (await explainPolicy(scope, store, as(id), 'papers', operation, row)).allowed
    expect(await allowed('alice', 'insert')).toBe(true)
    expect(await allowed('bob', 'insert')).toBe(false)
    expect(await allowed('bob', 'select')).toBe(true)
    expect(await allowed('bob', 'delete')).toBe(false)
    expect((await explainPolicy(scope, store, as('alice'), 'shut', 'insert', row)).allowed).toBe(
      false,
    )
    expect(await env.DB.prepare('SELECT count(*) AS n FROM papers').first('n')).toBe(3)
  })
})

describe('clauses', () => {
  it.each([
    ['a = 1', 'and', ['a = 1']],
    ['(a = 1 and b = 2)', 'and', ['a = 1', 'b = 2']],
    ['((a = 1) or (b = 2 and c = 3))', 'or', ['(a = 1)', '(b = 2 and c = 3)']],
    ['a between 1 and 2 and b = 3', 'and', ['a between 1 and 2', 'b = 3']],
    [`a = ' and ' or "x or y" = 1`, 'or', [`a = ' and '`, '"x or y" = 1']],
    [
      'case when a and b then 1 else 0 end or c',
      'or',
      ['case when a and b then 1 else 0 end', 'c'],
    ],
    ['(a) and (b)', 'and', ['(a)', '(b)']],
    ['a in (select b from c where d and e)', 'and', ['a in (select b from c where d and e)']],
  ] as const)('%s', (text, joined, clauses) => {
    const found = clausesOf(fragment.raw(text))
    expect([found.joined, found.clauses.map((clause) => render(clause).text)]).toEqual([
      joined,
      clauses,
    ])
  })

  it('keeps values', () => {
    const condition = fragment`(${sql`${papers.owner} = ${'x'}`} and ${papers.pages} > ${5})`
    expect(clausesOf(condition).clauses.map(render)).toEqual([
      { text: '"papers"."owner" = ?1', values: ['x'] },
      { text: '"papers"."pages" > ?1', values: [5] },
    ])
  })
})
