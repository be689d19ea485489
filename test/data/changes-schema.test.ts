import { env } from 'cloudflare:workers'
import { blob, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { migrate } from 'leanto'
import { changes, data, expose } from 'leanto/data'
import { beforeEach, describe, expect, it } from 'vitest'
import { trigger } from '../../src/data/derived.ts'
import { liveTables } from '../../src/data/live.ts'
import { liveMigration } from '../../src/data/live-ddl.ts'
import { makeBase } from '../kit/world.ts'
import { fresh, head, logged, remigrate, run, scope, store } from './changes-world.ts'
import { people } from './store.ts'

beforeEach(fresh)

const triggersOf = async (table: string) => {
  const { results } = await env.DB.prepare(
    `SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? ORDER BY name`,
  )
    .bind(table)
    .all<{ name: string }>()
  return results.map(({ name }) => name)
}

describe('the triggers', () => {
  it('are three a live table, of the module’s own name', async () => {
    expect(await triggersOf('numbers')).toEqual([
      'leanto_data_live_numbers_delete',
      'leanto_data_live_numbers_insert',
      'leanto_data_live_numbers_update',
    ])
    expect(await triggersOf('quiet_notes')).toEqual([])
  })

  it('are made by the same text each time', () => {
    const texts = () => liveTables(store.tables).map((live) => liveMigration(live).sql.join())
    expect(texts()).toEqual(texts())
    const ids = store.migrations.map(({ id }) => id)
    expect(ids).toEqual([...ids].sort())
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('are all of the form that remote D1 takes: one line, one BEGIN, one END, under 100 KB', () => {
    for (const { sql, derived } of store.migrations)
      for (const statement of derived ? sql : []) {
        expect(statement).not.toMatch(/[\r\n]/)
        const words = statement.replaceAll(/"(?:[^"]|"")*"|'(?:[^']|'')*'/g, '')
        expect(words.match(/\b(?:BEGIN|END|CASE)\b/gi)?.length ?? 0).toBeLessThanOrEqual(2)
        expect(new TextEncoder().encode(statement).length).toBeLessThan(100_000)
      }
  })

  it.each([
    ['a line break', { run: 'SELECT 1\n' }],
    ['a CASE', { run: 'SELECT CASE WHEN 1 THEN 2 END' }],
    ['a line break in a name', { table: 'a\nb' }],
  ])('are refused with %s', (_, part) => {
    const plain = { name: 'leanto_data_live_t', when: 'AFTER INSERT', table: 't', run: 'SELECT 1' }
    expect(trigger({ ...plain, condition: 'new.a > 1' })).toBe(
      'CREATE TRIGGER "leanto_data_live_t" AFTER INSERT ON "t" WHEN new.a > 1 BEGIN SELECT 1; END',
    )
    expect(() => trigger({ ...plain, ...part })).toThrow('in a form that D1 deploys')
  })
})

it('a table whose triggers would be longer than D1 takes is refused', () => {
  const names = Array.from({ length: 90 }, (_, i) => `${'long'.repeat(60)}${i}`)
  const long = sqliteTable('long', {
    id: integer('id').primaryKey(),
    ...Object.fromEntries(names.map((name) => [name, text(name)])),
  })
  const tables = { long: expose(long, { live: { keep: names as never[] } }) }
  expect(() => data(makeBase(), { identity: people, tables })).toThrow('D1 takes SQL of 100 KB')
})

describe('when the host changes its table', () => {
  it('columns that the log does not name come and go', async () => {
    await run(
      'ALTER TABLE scores ADD COLUMN more TEXT',
      `INSERT INTO scores VALUES ('p', 'g', 1, 'm')`,
      'ALTER TABLE scores DROP COLUMN points',
      'ALTER TABLE scores RENAME COLUMN more TO most',
      `UPDATE scores SET most = 'x'`,
    )
    expect(await logged()).toHaveLength(2)
    expect(await remigrate()).toEqual([])
  })

  it('a column that it names cannot be dropped before the trigger is', async () => {
    await expect(run('ALTER TABLE notes DROP COLUMN public')).rejects.toThrow(
      /error in trigger leanto_data_live_notes_\w+ after drop column/,
    )
    await run(
      'DROP TRIGGER leanto_data_live_notes_update',
      'DROP TRIGGER leanto_data_live_notes_delete',
      'ALTER TABLE notes DROP COLUMN public',
    )
  })

  it('a column that it names can be renamed: SQLite renames it in the trigger', async () => {
    await run(
      'ALTER TABLE scores RENAME COLUMN player TO gamer',
      `INSERT INTO scores VALUES ('p', 'g', 1)`,
    )
    expect((await logged())[0]?.key).toEqual({ player: 'p', game: 'g' })
  })

  it('a rebuilt table is logged again once the triggers are, and nothing before is lost', async () => {
    await run(`INSERT INTO numbers VALUES (1, 'x')`)
    await run(
      'CREATE TABLE __new_numbers (id INTEGER PRIMARY KEY, note TEXT, more TEXT)',
      'INSERT INTO __new_numbers (id, note) SELECT id, note FROM numbers',
      'DROP TABLE numbers',
      'ALTER TABLE __new_numbers RENAME TO numbers',
    )
    // The rebuilding itself is no change of a row.
    expect(await head()).toBe(1)
    expect(await remigrate()).toEqual(['data/live_numbers'])
    await run('DELETE FROM numbers')
    expect((await logged()).map(({ operation }) => operation)).toEqual(['insert', 'delete'])
  })
})

describe('when the declaration changes', () => {
  const docs = sqliteTable('docs', {
    id: integer('id').primaryKey(),
    bytes: blob('bytes', { mode: 'buffer' }),
    title: text('title'),
  })
  const stored = (live: Parameters<typeof expose<typeof docs>>[1]['live']) =>
    data(makeBase(), {
      identity: people,
      tables: { docs: expose(docs, { live }), others: expose(docs, {}) },
    })
  const first = stored(true)
  const second = stored({ keep: ['title', 'bytes'] })
  const none = stored(false)

  beforeEach(() => run('CREATE TABLE docs (id INTEGER PRIMARY KEY, bytes BLOB, title TEXT)'))

  it('entries from before are read as they were written', async () => {
    await migrate(env.DB as never, [first])
    await run(`INSERT INTO docs VALUES (1, x'ff', 'a')`, `UPDATE docs SET title = 'b'`)
    await migrate(env.DB as never, [second])
    await run(`UPDATE docs SET title = 'c'`)
    const kept = (await changes(scope(), second, { since: 1 })).changes.map(({ old }) => old)
    expect(kept).toEqual([{ id: 1 }, { id: 1, bytes: '\\xff', title: 'b' }])
    // By a declaration that does not know the columns any more, as they are stored.
    const plain = (await changes(scope(), first, { since: 2 })).changes.map(({ old }) => old)
    expect(plain).toEqual([{ id: 1, bytes: '\\xff', title: 'b' }])
  })

  it('a table that is not live any more is not logged, and not read', async () => {
    await migrate(env.DB as never, [first])
    await run(`INSERT INTO docs VALUES (1, NULL, 'a')`)
    expect(await migrate(env.DB as never, [none])).toEqual(['data/live_docs dropped'])
    await run('DELETE FROM docs')
    expect(await triggersOf('docs')).toEqual([])
    const { last } = await changes(scope(), first, { since: 'now' })
    expect(last).toBe(1)
    await expect(changes(scope(), none, { since: 0 })).rejects.toThrow('no table is live')
  })
})
