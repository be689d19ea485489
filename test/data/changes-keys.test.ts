import { env } from 'cloudflare:workers'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { migrate } from 'leanto'
import { changes, data, expose } from 'leanto/data'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeBase } from '../kit/world.ts'
import { ask, fresh, logged, oddName, run, scope, wideColumns } from './changes-world.ts'
import { people } from './store.ts'

beforeEach(fresh)

const oddSql = `"${oddName.replaceAll('"', '""')}"`
const oddKey = 'select ?1 "key"'
const oddKeySql = `"${oddKey.replaceAll('"', '""')}"`

describe('the key and what is kept, as they stand in the log', () => {
  it('are of all columns of a key, in the key’s order', async () => {
    await run(`INSERT INTO scores VALUES ('p "1"', 'g\\', 1)`, 'DELETE FROM scores')
    const [, gone] = await logged()
    expect(JSON.stringify(gone?.key)).toBe('{"game":"g\\\\","player":"p \\"1\\""}')
  })

  it('find the row again, as clients would', async () => {
    await run(
      `INSERT INTO scores VALUES ('ümläut, (x).y', '註 "q" \\', 1)`,
      `INSERT INTO blobs (id) VALUES (x'00ff10')`,
      `INSERT INTO ${oddSql} (${oddKeySql}) VALUES ('k')`,
    )
    for (const { key, tables } of await logged()) {
      const query = Object.entries(key).map(
        ([column, value]) =>
          `${encodeURIComponent(column.includes(' ') ? `"${column.replaceAll('"', '\\"')}"` : column)}=eq.${encodeURIComponent(String(value))}`,
      )
      const response = await ask(`/rest/v1/${tables[0]}?${query.join('&')}`, { key: 'secret' })
      const text = await response.text()
      expect(response.status, text).toBe(200)
      expect(JSON.parse(text), text).toHaveLength(1)
    }
  })

  it('are written as on the wire, whatever the kind of column', async () => {
    await run(
      `INSERT INTO blobs VALUES (x'00ff10', cast('12345678901234567890' as blob), '{"a":[1]}', 1700000000123, 1, 0.30000000000000004, '1e400'),
         (x'', NULL, NULL, NULL, NULL, NULL, NULL)`,
      'DELETE FROM blobs',
    )
    const [full, empty] = await logged(2)
    expect(full?.old).toEqual({
      id: '\\x00ff10',
      big: '12345678901234567890',
      json: { a: [1] },
      at: '2023-11-14T22:13:20.123Z',
      flag: true,
      fraction: 0.30000000000000004,
      exact: 'Infinity',
    })
    expect(empty?.key).toEqual({ id: '\\x' })
    expect(empty?.old).toMatchObject({ big: null, json: null, at: null, flag: null, exact: null })
  })

  it('never fail the host’s write, whatever it put where', async () => {
    await run(
      `INSERT INTO blobs VALUES ('text', 1, x'ff', 'yesterday', 'maybe', x'00', 'words')`,
      `INSERT INTO blobs VALUES (1.5, 'no number', '{', x'00', 7, 'x', x'01')`,
      `INSERT INTO blobs VALUES (NULL, NULL, NULL, NULL, NULL, 9e999, NULL)`,
      `UPDATE blobs SET id = id || 'x', flag = x'f0'`,
      'DELETE FROM blobs',
    )
    const entries = await logged()
    expect(entries).toHaveLength(9)
    expect(() => JSON.stringify(entries)).not.toThrow()
  })

  it('are exact where a number of JavaScript is not', async () => {
    const numbers = [
      '9007199254740991',
      '9007199254740993',
      '-9223372036854775808',
      '9223372036854775807',
    ]
    await run(...numbers.map((number) => `INSERT INTO numbers VALUES (${number}, 'x')`))
    expect((await logged()).map(({ key }) => key.id)).toEqual([
      9007199254740991,
      ...numbers.slice(1),
    ])
  })

  it('are of columns and tables of any name', async () => {
    await run(
      `INSERT INTO ${oddSql} VALUES ('a', 'b', 'c')`,
      `UPDATE ${oddSql} SET "it's; END" = 'B'`,
      `UPDATE ${oddSql} SET "table" = 'C'`,
      `DELETE FROM ${oddSql}`,
    )
    const shared = { tables: ['odd'], key: { [oddKey]: 'a' } }
    expect(await logged()).toEqual([
      { seq: 1, ...shared, operation: 'insert', old: null, quiet: false },
      {
        seq: 2,
        ...shared,
        operation: 'update',
        old: { [oddKey]: 'a', "it's; END": 'b' },
        quiet: false,
      },
      {
        seq: 3,
        ...shared,
        operation: 'update',
        old: { [oddKey]: 'a', "it's; END": 'B' },
        quiet: true,
      },
      {
        seq: 4,
        ...shared,
        operation: 'delete',
        old: { [oddKey]: 'a', "it's; END": 'B' },
        quiet: false,
      },
    ])
  })

  it('are of as many columns as a table may have', async () => {
    const [last, before] = [wideColumns.at(-1), wideColumns.at(-2)]
    await run(
      `INSERT INTO wide (id, ${before}) VALUES (1, 'x')`,
      `UPDATE wide SET ${last} = 'hidden'`,
      `UPDATE wide SET ${before} = 'X'`,
      'DELETE FROM wide',
    )
    const [, quiet, loud, gone] = await logged()
    expect([quiet?.quiet, loud?.quiet]).toEqual([true, false])
    expect(Object.keys(gone?.old ?? {})).toEqual(['id', ...wideColumns])
    expect(gone?.old).toMatchObject({ id: 1, [`${before}`]: 'X', [`${last}`]: 'hidden' })
  })
})

describe('what cannot be live is refused when it is built', () => {
  const lines = sqliteTable('lines', { text: text('text') })
  const notes = sqliteTable('notes', { id: integer('id').primaryKey(), text: text('text') })
  const log = sqliteTable('leanto_data_changes', { seq: integer('seq').primaryKey() })

  it.each([
    [
      'a table without a key',
      () => expose(lines, { live: true }),
      'expose(lines): `live` needs a primary key',
    ],
    [
      'the log itself',
      () => expose(log, { live: true }),
      'cannot log the tables of the data module',
    ],
    [
      'a column that is none',
      () => expose(notes, { live: { keep: ['nothing' as 'id'] } }),
      '`live` names "nothing"',
    ],
    [
      'nonsense',
      () => expose(notes, { live: 'yes' as never }),
      'must be true or { keep: [columns] }',
    ],
    ['null', () => expose(notes, { live: null as never }), 'must be true or { keep: [columns] }'],
    [
      'a list that is none',
      () => expose(notes, { live: { keep: 'text' as never } }),
      'must be a list',
    ],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })

  it('but not a table that is not live', () => {
    expect(() => expose(lines, { live: false })).not.toThrow()
  })

  it('a number of days that is none', () => {
    for (const keepFor of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '7' as never])
      expect(() =>
        data(makeBase(), { identity: people, tables: {}, changes: { keepFor } }),
      ).toThrow('`changes.keepFor` must be a number of days')
  })
})

describe('a table that is exposed twice', () => {
  const notes = sqliteTable('notes', {
    id: integer('id').primaryKey(),
    ownerId: text('owner_id'),
    secret: text('secret'),
  })
  const twice = data(makeBase(), {
    identity: people,
    tables: {
      notes: expose(notes, { hidden: ['secret'], live: true }),
      all_notes: expose(notes, { live: { keep: ['ownerId'] } }),
      others: expose(notes, {}),
    },
  })

  it('is logged once, under both names, with what both keep, and hides only what both hide', async () => {
    await migrate(env.DB as never, [twice])
    await run(
      `INSERT INTO notes (id, owner_id, title) VALUES (1, 'alice', 'a')`,
      `UPDATE notes SET secret = 'x'`,
    )
    const { changes: found } = await changes(scope(), twice, { since: 0 })
    expect(found).toHaveLength(2)
    expect(found[1]).toMatchObject({
      tables: ['notes', 'all_notes'],
      old: { id: 1, owner_id: 'alice' },
      quiet: false,
    })
    await expect(changes(scope(), twice, { since: 0, tables: ['others'] })).rejects.toThrow(
      '"others" is not live',
    )
    const both = await changes(scope(), twice, { since: 0, tables: ['all_notes', 'notes'] })
    expect(both.changes).toHaveLength(2)
  })
})
