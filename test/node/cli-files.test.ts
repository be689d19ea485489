import { join } from 'node:path'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { bind } from 'leanto'
import { data, type Exposed, expose } from 'leanto/data'
import { describe, expect, it } from 'vitest'
import type { Deriving } from '../../src/cli/derived.ts'
import { changesOf, makesTable } from '../../src/cli/host-sql.ts'
import { writeMigrations } from '../../src/cli/migrations.ts'
import { host, list, read, write } from './cli-world.ts'

const notes = sqliteTable('notes', { id: integer().primaryKey(), ownerId: text('owner_id') })
const tags = sqliteTable('tags', { name: text().primaryKey() })
const base = bind({ db: () => ({}) as never, kv: () => ({}) as never, secret: () => undefined })
const identity = { principal: () => Promise.reject(new Error('not asked')) }

const live = expose(notes, { live: true })
const keeping = expose(notes, { live: { keep: ['ownerId'] } })
const liveTags = expose(tags, { live: true })

/** Writes what a host needs that exposes these tables. @returns The names of the files. */
async function written(tables: Record<string, Exposed>, deriving: Partial<Deriving> = {}) {
  const files = await writeMigrations(
    join(host, 'migrations'),
    [data(base, { identity, tables })],
    { modules: new Set(['data']), ...deriving },
  )
  return files.map(({ name }) => name)
}
const ofNotes = (number = '\\d{4}') =>
  expect.stringMatching(new RegExp(`^${number}_leanto_data_live_notes_[0-9a-f]{8}\\.sql$`))

describe('what follows the host’s tables', () => {
  it('is written after the rest, and not again until it changes; then anew, also when it changes back', async () => {
    write({ 'migrations/0001_notes.sql': '' })
    const first = await written({ notes: live })
    expect(first.slice(0, 2)).toEqual([
      '0002_leanto_core_0001_core.sql',
      '0003_leanto_core_0002_derived.sql',
    ])
    expect(first.at(-2)).toMatch(/_leanto_data_0002_changes\.sql$/)
    expect(first.at(-1)).toEqual(ofNotes())
    expect(await written({ notes: live })).toEqual([])
    const second = await written({ notes: keeping })
    expect(second).toEqual([ofNotes()])
    const third = await written({ notes: live })
    expect(third).toEqual([ofNotes()])
    expect(third[0]?.slice(4)).toBe(first.at(-1)?.slice(4))
    expect(second[0]?.slice(4)).not.toBe(third[0]?.slice(4))
    expect(await written({ notes: live })).toEqual([])
  })

  it('is undone when a table is not live any more, and then can come again', async () => {
    await written({ notes: live, tags: liveTags })
    const dropped = await written({ notes: live })
    expect(dropped).toEqual([expect.stringMatching(/^\d{4}_leanto_data_live_tags_dropped\.sql$/)])
    const sql = read(`migrations/${dropped[0]}`)
    expect(sql.match(/^DROP TRIGGER IF EXISTS "leanto_data_live_tags_\w+";$/gm)).toHaveLength(3)
    expect(sql).not.toContain('live_notes')
    expect(await written({ notes: live })).toEqual([])
    // Also where nothing is live at all.
    expect(await written({})).toEqual([
      expect.stringMatching(/^\d{4}_leanto_data_live_notes_dropped\.sql$/),
    ])
    expect(await written({})).toEqual([])
    expect(await written({ tags: liveTags })).toHaveLength(1)
  })

  it('is left alone where it is not known, and of modules that were not loaded', async () => {
    await written({ notes: live })
    const folder = join(host, 'migrations')
    expect(await writeMigrations(folder, [])).toEqual([])
    expect(await written({}, { modules: new Set(['other']) })).toEqual([])
  })

  it('is nothing where nothing asks for it', async () => {
    const files = await written({ notes: expose(notes, {}) })
    expect(files.filter((file) => /derived|changes|live/.test(file))).toEqual([])
  })

  it('stands on one line a trigger, with one BEGIN and one END: else remote D1 cuts it up', async () => {
    const sql = read(`migrations/${(await written({ notes: keeping })).at(-1)}`)
    const lines = sql.trimEnd().split('\n')
    expect(lines.filter((line) => line.startsWith('CREATE TRIGGER'))).toHaveLength(3)
    for (const line of lines) {
      expect(line).toMatch(
        /^(?:-- .*|DROP TRIGGER .*;|CREATE TRIGGER .* BEGIN .*; END;|INSERT .*;)$/,
      )
      expect(line.match(/\b(?:CASE|BEGIN|END)\b/gi)?.length ?? 0).toBeLessThanOrEqual(2)
    }
    expect(sql).not.toContain('\r')
  })

  it('is written again after the host has rebuilt the table, once', async () => {
    await written({ notes: live })
    const rebuilt = (name: string) =>
      `PRAGMA defer_foreign_keys=ON;--> statement-breakpoint
       CREATE TABLE \`__new_${name}\` (id INTEGER PRIMARY KEY, owner_id TEXT DEFAULT '');--> statement-breakpoint
       INSERT INTO \`__new_${name}\` SELECT * FROM \`${name}\`;--> statement-breakpoint
       DROP TABLE \`${name}\`;--> statement-breakpoint
       ALTER TABLE \`__new_${name}\` RENAME TO \`${name}\`;`
    write({ 'migrations/0090_other.sql': rebuilt('tags') })
    expect(await written({ notes: live })).toEqual([])
    // As drizzle-kit numbers, which counts its own files only.
    write({ 'migrations/0001_rebuilt.sql': rebuilt('notes') })
    expect(await written({ notes: live })).toEqual([ofNotes('0091')])
    expect(await written({ notes: live })).toEqual([])
    write({ 'migrations/0092_by_name.sql': 'DROP TRIGGER "leanto_data_live_notes_update";' })
    expect(await written({ notes: live })).toEqual([ofNotes('0093')])
    write({ 'migrations/0094_comment.sql': '-- DROP TABLE notes\n/* DROP TABLE notes */' })
    expect(await written({ notes: live })).toEqual([])
  })

  it('says what to do where the host drops a column that a trigger names', async () => {
    await written({ notes: keeping })
    write({
      'migrations/0090_drop.sql': 'ALTER TABLE `notes` DROP COLUMN `Owner_ID`;',
      'migrations/0091_drop.sql': 'ALTER TABLE notes DROP body; ALTER TABLE tags DROP owner_id;',
    })
    const before = list()
    const refused: Error = await written({ notes: live }).then(
      () => new Error('was written'),
      (error) => error,
    )
    expect(refused.message).toContain('0090_drop.sql drops the column Owner_ID of notes')
    const advice = refused.message.match(/^ {2}DROP TRIGGER .*;$/gm) ?? []
    expect(advice.map((line) => line.trim())).toEqual([
      'DROP TRIGGER IF EXISTS "leanto_data_live_notes_update";',
      'DROP TRIGGER IF EXISTS "leanto_data_live_notes_delete";',
    ])
    expect(list()).toEqual(before)
    write({ 'migrations/0090_drop.sql': `${advice.join('\n')}\nALTER TABLE notes DROP owner_id;` })
    expect(await written({ notes: live })).toEqual([ofNotes('0092')])
    expect(await written({ notes: live })).toEqual([])
  })

  it('is refused where a file of it was changed', async () => {
    const file = `migrations/${(await written({ notes: live })).at(-1)}`
    write({ [file]: 'DROP TABLE users;' })
    await expect(written({ notes: live })).rejects.toThrow('is not the migration that leanto ships')
  })

  it('comes with a word where nothing makes the table that it stands on', async () => {
    const folder = join(host, 'migrations')
    const modules = [data(base, { identity, tables: { notes: live } })]
    const misses = (await writeMigrations(folder, modules, { modules: new Set() })).at(-1)?.misses
    expect(misses).toBe('notes')
    write({ 'migrations/0001_notes.sql': 'CREATE TABLE notes (id INTEGER PRIMARY KEY)' })
    const again = { modules: new Set<string>(), again: new Set(['notes']) }
    expect((await writeMigrations(folder, modules, again)).at(-1)?.misses).toBeUndefined()
  })

  it('is written anew when asked for, of the tables that were asked for', async () => {
    await written({ notes: live, tags: liveTags })
    const files = await written({ notes: live, tags: liveTags }, { again: new Set(['notes']) })
    expect(files).toEqual([ofNotes()])
    expect(await written({ notes: live, tags: liveTags })).toEqual([])
  })

  it('of two modules is refused if they contradict, and nothing is written then', async () => {
    const modules = [live, keeping].map((notes) => data(base, { identity, tables: { notes } }))
    const deriving = { modules: new Set(['data']) }
    await expect(writeMigrations(join(host, 'migrations'), modules, deriving)).rejects.toThrow(
      'two data modules declare the table notes differently',
    )
    expect(() => list()).toThrow()
  })
})

describe('what is read off the host’s migrations', () => {
  it.each([
    ['DROP TABLE notes', true],
    ['drop table if exists "notes";', true],
    ['DROP TABLE `Notes`', true],
    ['DROP TABLE [notes]', true],
    ['DROP TABLE main.notes', true],
    ['ALTER TABLE x RENAME TO notes', true],
    ['ALTER TABLE x\n  RENAME\tTO "notes"', true],
    ['DROP TABLE notes_archive', false],
    ['DROP TABLE archive_notes', false],
    ['DROP TABLE "notes "', false],
    ['ALTER TABLE notes RENAME TO memos', false],
    ['ALTER TABLE notes RENAME COLUMN a TO notes', false],
    ['-- DROP TABLE notes', false],
  ])('%s', (sql, replaced) => {
    expect(changesOf(sql, 'notes').replaced).toBe(replaced)
  })

  it('columns that are dropped, and what is dropped by name', () => {
    const sql = `ALTER TABLE "no""tes" DROP COLUMN "a""b"; ALTER TABLE [no"tes] DROP c; ALTER TABLE x DROP COLUMN d; DROP TRIGGER IF EXISTS T`
    expect(changesOf(sql, 'no"tes').columns).toEqual(['a"b', 'c'])
    expect([...changesOf(sql, 'no"tes').dropped]).toEqual(['t'])
  })

  it('tables that are made', () => {
    expect(makesTable('create table if not exists `notes` (id)', 'notes')).toBe(true)
    expect(makesTable('ALTER TABLE __new_notes RENAME TO notes', 'notes')).toBe(true)
    expect(makesTable('CREATE TABLE notesx (id)', 'notes')).toBe(false)
  })
})
