import { env } from 'cloudflare:workers'
import { PostgrestClient } from '@supabase/postgrest-js'
import { and, eq, or, sql } from 'drizzle-orm'
import {
  blob,
  check,
  integer,
  primaryKey,
  real,
  sqliteTable,
  text,
  unique,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core'
import type { Base } from 'leanto'
import { data, expose } from 'leanto/data'
import { type Ask, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { type Answer, people } from './store.ts'

/** One table for each way in which a row may be known, and some with rules. */
export const notes = sqliteTable(
  'notes',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    ownerId: text('owner_id').notNull(),
    title: text('title').notNull(),
    rank: real('rank'),
    public: integer('public', { mode: 'boolean' }).notNull().default(false),
    secret: text('secret'),
  },
  (t) => [unique('notes_owner_title').on(t.ownerId, t.title)],
)
const comments = sqliteTable('comments', {
  id: integer('id').primaryKey(),
  noteId: integer('note_id')
    .notNull()
    .references(() => notes.id),
  text: text('text').notNull(),
})
const plain = sqliteTable('plain', { id: integer('id').primaryKey(), text: text('text') })
const made = sqliteTable('made', {
  id: text('id').primaryKey().default(sql`(lower(hex(randomblob(8))))`),
  text: text('text'),
})
const madeHere = sqliteTable('made_here', {
  id: text('id').primaryKey().default(sql`(lower(hex(randomblob(8))))`),
  text: text('text'),
})
const keyless = sqliteTable('keyless', { text: text('text'), n: integer('n') })
const pairs = sqliteTable(
  'pairs',
  { a: text('a').notNull(), b: integer('b').notNull(), v: text('v') },
  (t) => [primaryKey({ columns: [t.a, t.b] })],
)
const bytes = sqliteTable('bytes', {
  id: blob('id', { mode: 'buffer' }).primaryKey(),
  data: blob('data', { mode: 'buffer' }),
  json: text('json', { mode: 'json' }),
  at: integer('at', { mode: 'timestamp_ms' }),
  big: blob('big', { mode: 'bigint' }),
})
const rowids = sqliteTable('rowids', { rowid: text('rowid'), text: text('text') })
const versioned = sqliteTable('versioned', {
  id: integer('id').primaryKey(),
  ownerId: text('owner_id').notNull(),
  text: text('text'),
  rev: integer('rev').notNull(),
})
const timed = sqliteTable('timed', {
  id: text('id').primaryKey(),
  text: text('text'),
  changedAt: integer('changed_at', { mode: 'timestamp_ms' }).notNull(),
})
const stamped = sqliteTable('stamped', {
  id: integer('id').primaryKey(),
  text: text('text'),
  createdBy: text('created_by'),
  updatedBy: text('updated_by'),
  tenant: text('tenant').notNull(),
})
const limits = sqliteTable(
  'limits',
  {
    id: integer('id').primaryKey(),
    n: integer('n'),
    code: text('code'),
    hidden: text('hidden'),
    parent: integer('parent'),
  },
  (t) => [
    check('limits_positive', sql`${t.n} > 0`),
    check('limits_hidden_short', sql`length(${t.hidden}) < 5`),
    uniqueIndex('limits_code').on(sql`lower(${t.code})`),
  ],
)

const hostSql = [
  `CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, owner_id TEXT NOT NULL, title TEXT NOT NULL, rank REAL,
     public INTEGER NOT NULL DEFAULT 0, secret TEXT, UNIQUE (owner_id, title))`,
  'CREATE TABLE comments (id INTEGER PRIMARY KEY, note_id INTEGER NOT NULL REFERENCES notes (id), text TEXT NOT NULL)',
  'CREATE TABLE plain (id INTEGER PRIMARY KEY, text TEXT)',
  'CREATE TABLE made (id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(8)))), text TEXT)',
  'CREATE TABLE made_here (id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(8)))), text TEXT) WITHOUT ROWID',
  'CREATE TABLE keyless (text TEXT, n INTEGER)',
  'CREATE TABLE pairs (a TEXT NOT NULL, b INTEGER NOT NULL, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID',
  'CREATE TABLE bytes (id BLOB PRIMARY KEY, data BLOB, json TEXT, at INTEGER, big BLOB)',
  'CREATE TABLE rowids (rowid TEXT, text TEXT)',
  'CREATE TABLE versioned (id INTEGER PRIMARY KEY, owner_id TEXT NOT NULL, text TEXT, rev INTEGER NOT NULL)',
  'CREATE TABLE timed (id TEXT PRIMARY KEY, text TEXT, changed_at INTEGER NOT NULL)',
  'CREATE TABLE stamped (id INTEGER PRIMARY KEY, text TEXT, created_by TEXT, updated_by TEXT, tenant TEXT NOT NULL)',
  `CREATE TABLE limits (id INTEGER PRIMARY KEY, n INTEGER CONSTRAINT limits_positive CHECK (n > 0), code TEXT, hidden TEXT,
     parent INTEGER REFERENCES limits (id), CONSTRAINT limits_hidden_short CHECK (length(hidden) < 5))`,
  'CREATE UNIQUE INDEX limits_code ON limits (lower(code))',
]

const open = { select: () => true, insert: () => true, update: () => true, delete: () => true }

export const makeWorld = <Env>(base: Base<Env>) =>
  data(base, {
    identity: people,
    tables: {
      notes: expose(notes, {
        select: (who) => or(eq(notes.public, true), eq(notes.ownerId, who.id)),
        insert: (who) => eq(notes.ownerId, who.id),
        update: (who) => eq(notes.ownerId, who.id),
        delete: (who) => eq(notes.ownerId, who.id),
        defaults: { ownerId: (who) => who.id },
        hidden: ['secret'],
      }),
      comments: expose(comments, open),
      plain: expose(plain, open),
      made: expose(made, open),
      made_here: expose(madeHere, open),
      keyless: expose(keyless, open),
      pairs: expose(pairs, open),
      bytes: expose(bytes, open),
      rowids: expose(rowids, open),
      box: expose(plain, { insert: () => true }),
      versioned: expose(versioned, {
        select: () => true,
        insert: (who) => eq(versioned.ownerId, who.id),
        update: (who) => eq(versioned.ownerId, who.id),
        delete: (who) => eq(versioned.ownerId, who.id),
        defaults: { ownerId: (who) => who.id },
        version: 'rev',
      }),
      timed: expose(timed, { ...open, version: 'changedAt' }),
      stamped: expose(stamped, {
        select: (who) => eq(stamped.tenant, sql`'t-' || ${who.id}`),
        insert: (who) =>
          and(eq(stamped.tenant, sql`'t-' || ${who.id}`), eq(stamped.updatedBy, who.id)),
        update: (who) => eq(stamped.updatedBy, who.id),
        delete: () => true,
        defaults: { createdBy: (who) => who.id },
        readOnly: ['createdBy'],
        set: { updatedBy: (who) => who.id, tenant: (who) => sql`'t-' || ${who.id}` },
      }),
      limits: expose(limits, { ...open, hidden: ['hidden'] }),
    },
  })

const base = makeBase()
export const world = makeWorld(base)
const ask = mount({ '/rest/v1': world })

/** Some rows of each table: of alice, of bob, public ones. */
const seedSql = [
  `INSERT INTO notes (id, owner_id, title, rank, public, secret) VALUES
     (1, 'alice', 'a', 0.1, 0, 'hush'), (2, 'alice', 'b', 0.30000000000000004, 1, 'hush'), (3, 'bob', 'c', 3, 0, 'hush'),
     (4, 'alice', 'd', NULL, 0, 'hush')`,
  `INSERT INTO comments (id, note_id, text) VALUES (1, 1, 'it''s'), (2, 1, 'zwei "x"'), (3, 3, 'drei')`,
  `INSERT INTO plain (id, text) VALUES (1, 'one'), (2, 'two'), (7, 'seven')`,
  `INSERT INTO made (id, text) VALUES ('k1', 'one'), ('k2', 'two')`,
  `INSERT INTO made_here (id, text) VALUES ('k1', 'one'), ('k2', 'two')`,
  `INSERT INTO keyless (text, n) VALUES ('one', 1), ('two', 2), ('two', 2)`,
  `INSERT INTO pairs (a, b, v) VALUES ('x', 1, 'one'), ('x', 2, 'two'), ('y', 1, 'three')`,
  `INSERT INTO bytes (id, data, json, at, big) VALUES (x'00ff', x'01', '{"a":[1,"it''s"]}', 1500, CAST('12345678901234567890' AS BLOB)), (x'01', NULL, NULL, NULL, NULL)`,
  `INSERT INTO rowids (rowid, text) VALUES ('a', 'one'), ('b', 'two')`,
  `INSERT INTO versioned (id, owner_id, text, rev) VALUES (1, 'alice', 'one', 5), (2, 'alice', 'two', 6), (3, 'bob', 'his', 7)`,
  `INSERT INTO timed (id, text, changed_at) VALUES ('a', 'one', 1000), ('b', 'two', 99999999999999)`,
  `INSERT INTO stamped (id, text, created_by, updated_by, tenant) VALUES (1, 'one', 'alice', 'alice', 't-alice'), (2, 'two', 'bob', 'bob', 't-bob')`,
  `INSERT INTO limits (id, n, code, hidden, parent) VALUES (1, 1, 'A', 'h', NULL)`,
]

const schemaNow = async () =>
  JSON.stringify(
    await rows(
      `SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY name`,
    ),
  )
let schemaThen = ''

/** The tables and rows of these tests: emptied and filled again, or, if anything else was done to them, made anew. */
export const seed = async () => {
  const intact = schemaThen !== '' && (await schemaNow()) === schemaThen
  if (!intact) await freshDatabase([world], hostSql)
  const tables = hostSql.flatMap((text) => text.match(/^CREATE TABLE (\w+)/)?.[1] ?? []).reverse()
  const emptying = ['leanto_data_answers', 'sqlite_sequence', ...tables].map(
    (name) => `DELETE FROM ${name}`,
  )
  await env.DB.batch([...emptying, ...seedSql].map((text) => env.DB.prepare(text)))
  if (!intact) schemaThen = await schemaNow()
}

/** Asks under the mount and reads the whole answer. */
export async function call(
  path: string,
  { prefer, headers, ...rest }: Ask & { prefer?: string | undefined } = {},
): Promise<Answer> {
  const response = await ask(`/rest/v1${path}`, {
    ...rest,
    headers: { ...(prefer ? { prefer } : {}), ...headers },
  })
  const text = await response.text()
  const json = response.headers.get('content-type')?.includes('json') && text !== ''
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: json ? JSON.parse(text) : text,
  }
}

/** The stock client, speaking to the mounted module. */
export const client = (token?: string) =>
  new PostgrestClient('https://app.example/rest/v1', {
    headers: token ? { authorization: `Bearer ${token}` } : {},
    fetch: (input, init) => {
      const { pathname, search } = new URL(String(input))
      const headers = Object.fromEntries(new Headers(init?.headers))
      return ask(pathname + search, {
        headers,
        ...(init?.method ? { method: init.method } : {}),
        ...(init?.body ? { body: init.body } : {}),
      })
    },
  })

/** Everything that is in the database, as it is stored: each table's rows, the tables' SQL, and the counters. */
export async function dump(): Promise<string> {
  const tables = await rows(
    `SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY type, name`,
  )
  const contents = []
  for (const { name, sql: text } of tables)
    if (String(text).startsWith('CREATE TABLE'))
      contents.push([name, text, await rows(`SELECT * FROM "${name}"`)])
  return JSON.stringify(contents)
}

export async function rows(text: string): Promise<Record<string, unknown>[]> {
  return (await env.DB.prepare(text).all()).results as never
}
