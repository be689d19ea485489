import { join } from 'node:path'
import { beforeEach, expect, it } from 'vitest'
import { d1, host, installAll, leanto, list, read, write } from './cli-world.ts'

const config = {
  'package.json': '{ "name": "host", "type": "module", "sideEffects": false }',
  'wrangler.jsonc': `{
    "name": "host", "main": "src/worker.ts", "compatibility_date": "2026-10-01",
    "d1_databases": [
      { "binding": "DB", "database_name": "host", "database_id": "local" },
      { "binding": "COPY", "database_name": "copy", "database_id": "copy" }
    ]
  }`,
}
const backend = (search: string) => `
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { bind, type Identity } from 'leanto'
import { data, expose } from 'leanto/data'

const identity: Identity = { principal: async () => ({ id: null, role: 'anon', claims: {} }) }
const base = bind<{ DB: never }>({ db: (env) => env.DB, kv: (env) => env.DB, secret: () => undefined })
const notes = sqliteTable('notes', { id: integer().primaryKey(), title: text(), body: text() })
const tags = sqliteTable('tags', { name: text().primaryKey() })
export const store = data(base, { identity, tables: {
  notes: expose(notes, { ${search} }), tags: expose(tags, { live: true }),
} })`

const worker = `import { Hono } from 'hono'
import { store } from './backend.ts'
export default new Hono().route('/rest/v1', store.routes)`

beforeEach(() => {
  installAll()
  write({
    ...config,
    'src/worker.ts': worker,
    'src/backend.ts': backend(`search: ['title', 'body']`),
    'migrations/0001_notes.sql': `CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
      CREATE TABLE tags (name TEXT PRIMARY KEY);
      INSERT INTO notes VALUES (1, 'the first cat', 'a body');`,
  })
})

const ran = (...args: string[]): string => {
  const { stdout, stderr, status } = leanto(args)
  expect([stderr, status]).toEqual(['', 0])
  return stdout
}
const searches = () => list().filter((file) => file.includes('_leanto_data_search_notes_'))
const execute = (sql: string, database = 'DB'): Record<string, unknown>[] =>
  JSON.parse(d1('execute', database, '--json', '--command', sql)).at(-1).results
const found = (words: string, database = 'DB') =>
  execute(
    `SELECT rowid AS id FROM leanto_data_search_notes WHERE leanto_data_search_notes MATCH '${words}' ORDER BY rowid`,
    database,
  ).map(({ id }) => id)

it('a search is a migration that follows the table: filled, kept, made anew, dropped', () => {
  ran('migrations')
  expect(searches()).toHaveLength(1)
  d1('migrations', 'apply', 'DB')
  execute(
    `INSERT INTO notes VALUES (2, 'another; cat', 'END'); UPDATE notes SET body = 'dogs' WHERE id = 1`,
  )
  expect([found('cat'), found('dog'), found('end')]).toEqual([[1, 2], [1], [2]])
  execute('DELETE FROM notes WHERE id = 2')
  expect(found('cat')).toEqual([1])

  expect(ran('migrations')).toContain('has every migration')
  ran('rebuild', 'notes')
  expect(searches()).toHaveLength(2)
  expect(list().filter((file) => file.includes('_live_'))).toHaveLength(1)
  // A table that is rebuilt has lost its triggers; a column that goes is in the way as long as one names it.
  write({
    'migrations/0020_rebuilt.sql': `CREATE TABLE __new_notes (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
      INSERT INTO __new_notes SELECT * FROM notes; DROP TABLE notes; ALTER TABLE __new_notes RENAME TO notes;
      INSERT INTO notes VALUES (3, 'a third cat', NULL);`,
  })
  ran('migrations')
  expect(searches()).toHaveLength(3)
  d1('migrations', 'apply', 'DB')
  expect(found('cat')).toEqual([1, 3])

  write({
    'src/backend.ts': backend(`search: ['title']`),
    'migrations/0030_drop.sql': 'ALTER TABLE notes DROP COLUMN body;',
  })
  const { stderr, status } = leanto(['migrations'])
  expect([status, stderr]).toEqual([
    1,
    expect.stringContaining('DROP TRIGGER IF EXISTS "leanto_data_search_notes_update";'),
  ])
  const drops = stderr.match(/DROP TRIGGER.*;/g)?.join('\n')
  write({ 'migrations/0030_drop.sql': `${drops}\nALTER TABLE notes DROP COLUMN body;` })
  ran('migrations')
  d1('migrations', 'apply', 'DB')
  execute(`INSERT INTO notes VALUES (4, 'fourth cat')`)
  expect(found('cat')).toEqual([1, 3, 4])

  write({ 'src/backend.ts': backend('') })
  ran('migrations')
  d1('migrations', 'apply', 'DB')
  expect(execute(`SELECT name FROM sqlite_master WHERE name LIKE '%search%'`)).toEqual([])
  execute(`INSERT INTO notes VALUES (5, 'fifth cat')`)
}, 240_000)

it('npx leanto search drops it for an export, and makes it again, also of the copy', () => {
  ran('migrations')
  d1('migrations', 'apply', 'DB')
  const exported = () => d1('export', 'DB', '--output', join(host, 'copy.sql'))
  expect(exported).toThrow(/virtual table/i)
  const file = (sql: string, database = 'DB') => {
    write({ 'search.sql': sql })
    d1('execute', database, '--file', join(host, 'search.sql'))
  }
  file(ran('search', 'drop'))
  exported()
  expect(read('copy.sql')).not.toMatch(/VIRTUAL|TRIGGER "leanto_data_search/)
  execute(`INSERT INTO notes VALUES (2, 'meanwhile a cat', NULL)`)
  file(ran('search', 'make', 'notes'))
  expect(found('cat')).toEqual([1, 2])

  d1('execute', 'COPY', '--file', join(host, 'copy.sql'))
  file(ran('search', 'make'), 'COPY')
  expect(found('cat', 'COPY')).toEqual([1])
  execute(`UPDATE notes SET title = 'a dog'`, 'COPY')
  expect([found('cat', 'COPY'), found('dog', 'COPY')]).toEqual([[], [1]])
}, 240_000)

it('and says what it cannot', () => {
  const refused = (...args: string[]) => {
    const { stderr, status } = leanto(args)
    return [status, stderr.split('\n')[0]]
  }
  expect(refused('search', 'make', 'tags')).toEqual([
    2,
    'Nothing follows a table tags. Tables: notes.',
  ])
  expect(refused('search')).toEqual([2, 'Not a command: search.'])
  expect(refused('search', 'nothing')).toEqual([2, 'Not a command: search nothing.'])
  write({ 'src/backend.ts': backend('') })
  expect(refused('search', 'drop')).toEqual([1, 'No table is searched.'])
})
