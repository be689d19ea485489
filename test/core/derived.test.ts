import { env } from 'cloudflare:workers'
import { type Migrated, migrate } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { derivedMigration, derivedOf, slugOf } from '../../src/core/derived.ts'
import { freshDatabase } from '../kit/world.ts'

const names = async (like = 'leanto_x_%') => {
  const { results } = await env.DB.prepare(
    'SELECT name FROM sqlite_master WHERE name LIKE ? ORDER BY name',
  )
    .bind(like)
    .all<{ name: string }>()
  return results.map(({ name }) => name)
}

/** A trigger that counts, in a way that the test can tell apart. */
const counting = (table: string, step: number, ...parts: string[]) =>
  derivedMigration('count', {
    table,
    makes: parts.map((part) => ({ type: 'trigger', name: `leanto_x_count_${table}_${part}` })),
    sql: parts.map(
      (part) =>
        `CREATE TRIGGER leanto_x_count_${table}_${part} AFTER ${part} ON ${table} BEGIN UPDATE leanto_x_counts SET n = n + ${step}; END`,
    ),
  })
const counts = {
  id: '0001_counts',
  sql: [
    'CREATE TABLE IF NOT EXISTS leanto_x_counts (n INTEGER)',
    'INSERT INTO leanto_x_counts SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM leanto_x_counts)',
  ],
}
const x = (...migrations: Migrated['migrations']): Migrated => ({
  name: 'x',
  migrations: [counts, ...migrations],
})
const apply = (...modules: Migrated[]) => migrate(env.DB as never, modules)
const counted = async () => (await env.DB.prepare('SELECT n FROM leanto_x_counts').first('n')) ?? 0
const write = () => env.DB.prepare('INSERT INTO notes DEFAULT VALUES').run()

beforeEach(() =>
  freshDatabase([], ['CREATE TABLE notes (id INTEGER PRIMARY KEY)', 'CREATE TABLE tags (id)']),
)

describe('migrations that follow a declaration', () => {
  it('are applied once, after what lasts, and again when they change: also back to what they were', async () => {
    const one = counting('notes', 1, 'INSERT')
    const ten = counting('notes', 10, 'INSERT')
    expect(one.id).toBe('count_notes')
    expect(await apply(x(one))).toEqual(['core/0002_derived', 'x/0001_counts', 'x/count_notes'])
    expect(await apply(x(one))).toEqual([])
    await write()
    expect(await apply(x(ten))).toEqual(['x/count_notes'])
    await write()
    expect(await apply(x(one))).toEqual(['x/count_notes'])
    await write()
    expect(await counted()).toBe(12)
    expect(await apply(x(one))).toEqual([])
  })

  it('are undone once nothing declares them, and then can come again', async () => {
    const notes = counting('notes', 1, 'INSERT', 'DELETE')
    await apply(x(notes, counting('tags', 1, 'INSERT')))
    expect(await apply(x(notes))).toEqual(['x/count_tags dropped'])
    expect(await apply(x())).toEqual(['x/count_notes dropped'])
    expect(await names()).toEqual(['leanto_x_counts'])
    expect(await apply(x())).toEqual([])
    await write()
    expect(await counted()).toBe(0)
    expect(await apply(x(notes))).toEqual(['x/count_notes'])
  })

  it('drop what an earlier form made and this one does not', async () => {
    await apply(x(counting('notes', 1, 'INSERT', 'DELETE')))
    await apply(x(counting('notes', 1, 'INSERT')))
    expect(await names()).toEqual(['leanto_x_count_notes_INSERT', 'leanto_x_counts'])
  })

  it('leave those of modules that were not given alone', async () => {
    await apply(x(counting('notes', 1, 'INSERT')))
    expect(await apply({ name: 'y', migrations: [] })).toEqual([])
    expect(await names()).toContain('leanto_x_count_notes_INSERT')
  })

  it('are applied again when the host has rebuilt its table, which drops the triggers', async () => {
    const notes = counting('notes', 1, 'INSERT')
    await apply(x(notes))
    await env.DB.batch(
      [
        'CREATE TABLE __new_notes (id INTEGER PRIMARY KEY, title TEXT)',
        'INSERT INTO __new_notes (id) SELECT id FROM notes',
        'DROP TABLE notes',
        'ALTER TABLE __new_notes RENAME TO notes',
      ].map((sql) => env.DB.prepare(sql)),
    )
    await write()
    expect(await counted()).toBe(0)
    expect(await apply(x(notes))).toEqual(['x/count_notes'])
    await write()
    expect(await counted()).toBe(1)
  })

  it('say which table of the host is missing, and apply nothing of themselves then', async () => {
    const missing = derivedMigration('count', {
      table: 'missing',
      makes: [{ type: 'table', name: 'leanto_x_count_missing' }],
      sql: ['CREATE TABLE leanto_x_count_missing (a)'],
    })
    await expect(apply(x(missing))).rejects.toThrow(
      'x/count_missing needs the table missing, which is not there: apply your own migrations first',
    )
    expect(await names()).toEqual(['leanto_x_counts'])
    await env.DB.prepare('CREATE TABLE Missing (a)').run()
    expect(await apply(x(missing))).toEqual(['x/count_missing'])
  })

  it('leave nothing behind of one that fails, and the one before it in force', async () => {
    await apply(x(counting('notes', 1, 'INSERT')))
    const broken = derivedMigration('count', {
      table: 'notes',
      makes: [{ type: 'trigger', name: 'leanto_x_count_notes_INSERT' }],
      sql: ['CREATE TRIGGER nonsense'],
    })
    await expect(apply(x(broken))).rejects.toThrow()
    await write()
    expect(await counted()).toBe(1)
    expect(await apply(x(counting('notes', 1, 'INSERT')))).toEqual([])
  })

  it('of two modules of one name are one if they agree, and are refused if not', () => {
    const one = counting('notes', 1, 'INSERT')
    expect([...derivedOf([x(one), x(counting('notes', 1, 'INSERT'))]).keys()]).toEqual([
      'x/count_notes',
    ])
    expect(() => derivedOf([x(one), x(counting('notes', 2, 'INSERT'))])).toThrow(
      'two x modules declare the table notes differently',
    )
  })

  it('are not there for modules that have none', async () => {
    expect(await apply({ name: 'y', migrations: [] })).toEqual([])
    expect(await names('leanto_core_derived')).toEqual([])
  })
})

describe('the name of a table in other names', () => {
  it('is its own where that is plain, whatever its case', () => {
    expect(slugOf('notes')).toBe('notes')
    expect(slugOf('Order_Items2')).toBe('order_items2')
  })

  it('is safe in a file name and in SQL, and of no two tables the same', () => {
    const odd = [
      ...['order items', 'order-items', 'order.items', "it's", '"', '../x', 'é', 'É', '註', '記'],
      ...['', 'x'.repeat(61), `${'x'.repeat(61)}y`, 'a\nb', 'order-items-00000000'],
    ]
    const slugs = odd.map(slugOf)
    for (const slug of slugs) expect(slug).toMatch(/^[a-z0-9_-]{9,60}$/)
    expect(new Set(slugs).size).toBe(odd.length)
    expect(slugOf('Order Items')).toBe(slugOf('order items'))
  })
})
