import { env } from 'cloudflare:workers'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { migrate } from 'leanto'
import { data, expose } from 'leanto/data'
import { beforeEach, describe, expect, it } from 'vitest'
import { freshDatabase, makeBase } from '../kit/world.ts'
import { ask, found, fresh, ids, indexed, remigrate, run, store } from './search-world.ts'
import { people, stored } from './store.ts'

beforeEach(fresh)

describe('the index has what the table has', () => {
  it('from the first: what was there before is in it', async () => {
    expect(await indexed('cat')).toEqual([1, 3, 4])
    expect(await indexed('rat', 'pages')).toEqual([2, 3])
  })

  it('through a client’s writes', async () => {
    const token = 'user-bob'
    const write = async (path: string, method: string, body?: unknown, prefer = '') =>
      (await ask(`/rest/v1${path}`, { method, body, token, headers: { prefer } })).status
    const row = { id: 9, owner_id: 'bob', title: 'new zebra' }
    expect(await write('/posts', 'POST', row)).toBe(201)
    expect(await ids('title', 'fts.zebra')).toEqual([9])
    expect(await write('/posts?id=eq.9', 'PATCH', { title: 'an okapi' })).toBe(204)
    expect([await indexed('zebra'), await indexed('okapi')]).toEqual([[], [9]])
    const upsert = 'resolution=merge-duplicates'
    expect(await write('/posts', 'POST', [{ ...row, title: 'lynx' }], upsert)).toBe(200)
    expect([await indexed('okapi'), await indexed('lynx')]).toEqual([[], [9]])
    expect(await write('/posts?id=eq.9', 'PATCH', { title: 'no' }, 'tx=rollback')).toBe(204)
    expect(await indexed('lynx')).toEqual([9])
    expect(await write('/posts?id=eq.9', 'DELETE')).toBe(204)
    expect(await indexed('lynx')).toEqual([])
  })

  it('through the host’s own SQL, whatever its way with conflicts', async () => {
    const insert = (verb: string, id: number, title: string) =>
      run(`${verb} INTO posts (id, owner_id, title) VALUES (${id}, 'ann', '${title}')`)
    await insert('INSERT OR IGNORE', 1, 'ignored')
    expect(await indexed('ignored')).toEqual([])
    // Rows that REPLACE takes away are deleted without a trigger: one of the same id, one of the same title.
    await insert('INSERT OR REPLACE', 1, 'replacing')
    expect([await indexed('replacing'), await ids('title', 'fts.cat')]).toEqual([[1], []])
    await insert('REPLACE', 7, 'Dogs')
    expect(await ids('title', 'fts.dog')).toEqual([7])
    // Their ids come again, also where the host's own way with conflicts goes before a trigger's.
    await insert('INSERT OR IGNORE', 4, 'in its place')
    expect(await ids('title', 'fts.dog')).toEqual([7])
    await run(`UPDATE OR REPLACE posts SET id = 2 WHERE id = 7`)
    expect([await indexed('dog'), await ids('title', 'fts.rat')]).toEqual([[2], [5]])
    await run(`UPDATE posts SET title = title || '', unsearched = 'x'`)
    await run(`UPDATE posts SET title = 'RATS, FAT' WHERE id = 5`)
    expect(await ids('title', 'phfts.rats fat')).toEqual([5])
    await run(`DELETE FROM authors WHERE id = 'bob'`)
    expect(await indexed('rat')).toEqual([])
  })

  it('through a key that changes, without an integer key too', async () => {
    await run('UPDATE posts SET id = id + 100')
    expect(await ids('title', 'fts.cat')).toEqual([101])
    await run(`UPDATE pages SET no = 'x', "or ""der" = 'yaks' WHERE book = 'b'`)
    const name = encodeURIComponent('"or \\"der"')
    expect(await found(`/pages?select=no&${name}=fts.yak`)).toEqual(['x'])
  })

  it('and nothing that a column may hold fails the write', async () => {
    await run(
      `UPDATE posts SET body = x'00ff', title = 12.5 WHERE id = 1`,
      `UPDATE posts SET body = char(0) || 'cat' WHERE id = 2`,
      `UPDATE posts SET body = '' WHERE id = 4`,
    )
    expect(await ids('title', 'phfts.12 5')).toEqual([1])
    expect(await ids('body', 'fts.dog')).toEqual([])
    await run('UPDATE posts SET body = NULL', 'DELETE FROM posts')
    expect(await indexed('rat')).toEqual([])
  })
})

describe('its migration', () => {
  it('is derived: run once, and again for what went missing', async () => {
    expect(await remigrate()).toEqual([])
    await run(
      'DROP TRIGGER leanto_data_search_posts_update',
      `UPDATE posts SET title = 'elk' WHERE id = 1`,
    )
    expect(await indexed('elk')).toEqual([])
    expect(await remigrate()).toEqual(['data/search_posts'])
    expect(await indexed('elk')).toEqual([1])
    await run('DROP TABLE leanto_data_search_pages')
    const gone = await ask('/rest/v1/pages?%22or%20%5C%22der%22=fts.a1')
    expect([gone.status, await gone.text()]).toEqual([
      500,
      expect.stringContaining('npx leanto migrations'),
    ])
    expect(await remigrate()).toEqual(['data/search_pages'])
    // One that is older than the declaration.
    await run(
      'DROP TABLE leanto_data_search_posts',
      'CREATE VIRTUAL TABLE leanto_data_search_posts USING fts5(title)',
    )
    for (const path of ['/posts?whole=fts.a1', '/authors?select=posts(id)&posts.whole=fts.a1']) {
      const old = await ask(`/rest/v1${path}`)
      expect([old.status, await old.text()]).toEqual([
        500,
        expect.stringContaining('npx leanto migrations'),
      ])
    }
  })

  it('and leaves nothing once no table is searched', async () => {
    const plain = { ...store, migrations: store.migrations.filter(({ derived }) => !derived) }
    expect((await migrate(env.DB as never, [plain])).sort()).toEqual(
      ['authors', 'pages', 'posts'].map((table) => `data/search_${table} dropped`),
    )
    expect(
      await stored(`SELECT name FROM sqlite_master WHERE name LIKE 'leanto_data_search%'`),
    ).toEqual([])
    await run(`UPDATE posts SET title = 'x' WHERE id = 1`)
  })
})

describe('two databases that differ in what is hidden', () => {
  const queries = ['cat', 'rat', 'hidden | zebra', '!zebra', '!(fat | cat)', 'treasure', 'h:*']
  // The bookmark counts every write.
  const told = ({ headers }: Response) => [...headers].filter(([name]) => name !== 'x-d1-bookmark')
  const answers = async () => {
    const all = []
    for (const query of queries)
      for (const column of ['title', 'body', 'whole', 'secret'])
        for (const path of [
          `/posts?${column}=fts.${query}`,
          `/posts?${column}=not.fts.${query}&limit=2`,
          `/authors?select=id,posts(id)&posts.${column}=fts.${query}`,
        ]) {
          const headers = { prefer: 'count=exact' }
          const response = await ask(`/rest/v1${encodeURI(path)}`, { headers })
          all.push([path, response.status, told(response), await response.text()])
        }
    return all
  }
  it('answer the same', async () => {
    const before = await answers()
    await run(
      `UPDATE posts SET title = 'zebra zebra', body = 'fat cat rat' WHERE public = 0`,
      `UPDATE posts SET secret = 'cat rat zebra' WHERE id <> 2`,
      `INSERT INTO posts (owner_id, public, title, body) VALUES ('bob', 0, 'cat cat', 'treasure'), ('bob', 0, 'rat', 'hidden')`,
    )
    expect(await answers()).toEqual(before)
  })
})

describe('what cannot be searched is refused when it is declared', () => {
  const notes = sqliteTable('notes', {
    id: integer('id').primaryKey(),
    title: text('title'),
    json: text('json', { mode: 'json' }),
    rank: text('Rank'),
  })
  const keyless = sqliteTable('keyless', { title: text('title') })
  const own = sqliteTable('leanto_data_x', { id: text('id').primaryKey() })

  it.each([
    [notes, [], 'must be a list of column keys'],
    [notes, 'title', 'must be a list of column keys'],
    [notes, true, 'must be a list of column keys'],
    [notes, null, 'must be a list of column keys'],
    [notes, ['nothing'], 'names "nothing", which is no column key of it'],
    [notes, ['toString'], 'names "toString", which is no column key of it'],
    [notes, ['id'], 'names id, which is no text'],
    [notes, ['json'], 'names json, which is no text'],
    [notes, ['rank'], 'FTS5 takes no column of the name Rank'],
    [notes, { columns: ['title'], config: 'german' }, `takes the config 'english' or 'simple'`],
    [keyless, ['title'], 'needs a primary key'],
    [own, ['id'], 'cannot be of the tables of the data module itself'],
  ])('%#', (table, search, why) => {
    expect(() => expose(table as typeof notes, { search: search as never })).toThrow(
      new RegExp(`^expose\\(\\w+\\): \`search\` .*${why.replaceAll(/[()[\]]/g, '.')}`),
    )
  })

  it('as are two configs of one table, and names that meet', async () => {
    const make = (tables: Parameters<typeof data>[1]['tables']) =>
      data(makeBase(), { identity: people, tables: tables as Record<string, never> })
    const search = ['title'] as const
    expect(() =>
      make({
        a: expose(notes, { search }),
        b: expose(notes, { search: { columns: search, config: 'simple' } }),
      }),
    ).toThrow('`search` of notes is declared with two configs')
    const other = sqliteTable('notes_data', {
      id: integer('id').primaryKey(),
      title: text('title'),
    })
    expect(() => make({ a: expose(notes, { search }), b: expose(other, { search }) })).toThrow(
      'cannot be of both tables notes and notes_data',
    )
    const both = make({ a: expose(notes, { search }), b: expose(notes, { search: ['title'] }) })
    await freshDatabase([both], ['CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT)'])
  })
})
