import { env } from 'cloudflare:workers'
import { PostgrestClient } from '@supabase/postgrest-js'
import { and, eq, or, sql } from 'drizzle-orm'
import {
  blob,
  index,
  integer,
  numeric,
  primaryKey,
  real,
  sqliteTable,
  text,
  unique,
} from 'drizzle-orm/sqlite-core'
import type { Base, Principal } from 'leanto'
import { type DatabaseOf, data, expose, fn } from 'leanto/data'
import * as v from 'valibot'
import { identity } from '../../src/core/identity.ts'
import { type Ask, freshDatabase, makeBase, mount, site } from '../kit/world.ts'

/** The host's tables of these tests. */
const notes = sqliteTable(
  'notes',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    ownerId: text('owner_id').notNull(),
    title: text('title').notNull(),
    body: text('body'),
    done: integer('done', { mode: 'boolean' }).notNull().default(false),
    public: integer('public', { mode: 'boolean' }).notNull().default(false),
    rank: real('rank'),
    meta: text('meta', { mode: 'json' }).$type<{ tags: string[] }>(),
    createdAt: integer('created_at', { mode: 'timestamp_ms' })
      .notNull()
      .default(sql`(unixepoch() * 1000)`),
    secret: text('secret'),
    score: integer('score').notNull().default(0),
  },
  (t) => [
    unique('notes_owner_title').on(t.ownerId, t.title),
    index('notes_created_at').on(t.createdAt),
  ],
)

const kinds = sqliteTable('kinds', {
  id: text('id')
    .primaryKey()
    .$defaultFn(() => crypto.randomUUID()),
  words: text('words'),
  colour: text('colour', { enum: ['red', 'blue'] }),
  short: text('short', { length: 5 }),
  whole: integer('whole'),
  fraction: real('fraction'),
  exact: numeric('exact'),
  amount: numeric('amount', { mode: 'number' }),
  huge: numeric('huge', { mode: 'bigint' }),
  flag: integer('flag', { mode: 'boolean' }),
  seconds: integer('seconds', { mode: 'timestamp' }),
  millis: integer('millis', { mode: 'timestamp_ms' }),
  json: text('json', { mode: 'json' }),
  blobJson: blob('blob_json', { mode: 'json' }),
  bytes: blob('bytes', { mode: 'buffer' }),
  big: blob('big', { mode: 'bigint' }),
  double: integer('double').generatedAlwaysAs(sql`whole * 2`),
  changed: integer('changed').$onUpdate(() => 7),
})

const comments = sqliteTable('comments', {
  id: integer('id').primaryKey(),
  noteId: integer('note_id')
    .notNull()
    .references(() => notes.id),
  text: text('text').notNull(),
})

const closed = sqliteTable('closed', { id: integer('id').primaryKey(), text: text('text') })

/** A key of two columns. */
const scores = sqliteTable(
  'scores',
  {
    player: text('player').notNull(),
    game: text('game').notNull(),
    points: integer('points').default(10),
    stamp: text('stamp')
      .default('new')
      .$onUpdate(() => 'touched'),
  },
  (t) => [primaryKey({ columns: [t.player, t.game] })],
)

/** Nothing but a key. */
export const tags = sqliteTable('tags', { name: text('name').primaryKey() })

/** No key at all. */
const lines = sqliteTable('lines', { text: text('text') })

/** A box into which all may drop, and from which nobody may read. */
const dropbox = sqliteTable('dropbox', {
  id: integer('id').primaryKey(),
  text: text('text'),
})

/** Drafts may be inserted, only open ones changed, and none may become somebody else's. */
const tickets = sqliteTable('tickets', {
  id: text('id').primaryKey(),
  ownerId: text('owner_id').notNull(),
  state: text('state').notNull().default('open'),
  value: integer('value'),
})

/** One whose changes are logged, and whose words are searched. */
const jots = sqliteTable('jots', {
  id: integer('id').primaryKey(),
  ownerId: text('owner_id'),
  text: text('text'),
})

export const hostSql = [
  `CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, owner_id TEXT NOT NULL, title TEXT NOT NULL, body TEXT,
     done INTEGER NOT NULL DEFAULT 0, public INTEGER NOT NULL DEFAULT 0, rank REAL, meta TEXT,
     created_at INTEGER NOT NULL DEFAULT (unixepoch() * 1000), secret TEXT, score INTEGER NOT NULL DEFAULT 0,
     CONSTRAINT notes_title_short CHECK (length(title) <= 200), UNIQUE (owner_id, title))`,
  `CREATE TABLE kinds (id TEXT PRIMARY KEY, words TEXT, colour TEXT, short TEXT, whole INTEGER, fraction REAL,
     exact NUMERIC, amount NUMERIC, huge NUMERIC, flag INTEGER, seconds INTEGER, millis INTEGER, json TEXT, blob_json BLOB, bytes BLOB, big BLOB,
     "double" INTEGER GENERATED ALWAYS AS (whole * 2) VIRTUAL, changed INTEGER)`,
  'CREATE TABLE comments (id INTEGER PRIMARY KEY, note_id INTEGER NOT NULL REFERENCES notes (id), text TEXT NOT NULL)',
  'CREATE INDEX notes_created_at ON notes (created_at)',
  `CREATE TABLE scores (player TEXT NOT NULL, game TEXT NOT NULL, points INTEGER DEFAULT 10, stamp TEXT DEFAULT 'new',
     PRIMARY KEY (player, game))`,
  'CREATE TABLE tags (name TEXT PRIMARY KEY)',
  'CREATE TABLE lines (text TEXT)',
  'CREATE TABLE closed (id INTEGER PRIMARY KEY, text TEXT)',
  'CREATE TABLE dropbox (id INTEGER PRIMARY KEY, text TEXT)',
  'CREATE TABLE jots (id INTEGER PRIMARY KEY, owner_id TEXT, text TEXT)',
  `CREATE TABLE tickets (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open', value INTEGER)`,
]

/** Anyone whose token is `user-<id>`: the data module takes any identity of the port's shape. */
export const people = identity(async (_scope, token): Promise<Principal> => {
  if (!token.startsWith('user-')) {
    const { Fault } = await import('leanto')
    throw new Fault('bad_token', { status: 401, message: 'Invalid token' })
  }
  return { id: token.slice(5), role: 'authenticated', claims: {} }
})

const everyone = { select: () => true, insert: () => true, update: () => true, delete: () => true }

export const makeStore = <Env>(base: Base<Env>) =>
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
        readOnly: ['score'],
      }),
      kinds: expose(kinds, everyone),
      comments: expose(comments, everyone),
      scores: expose(scores, everyone),
      tags: expose(tags, everyone),
      lines: expose(lines, everyone),
      closed: expose(closed, {}),
      dropbox: expose(dropbox, { insert: () => true }),
      jots: expose(jots, { ...everyone, live: { keep: ['ownerId'] }, search: ['text'] }),
      tickets: expose(tickets, {
        select: () => true,
        insert: (who) => eq(tickets.ownerId, who.id),
        update: (who) => and(eq(tickets.ownerId, who.id), eq(tickets.state, 'open')),
        maxRows: 3,
      }),
    },
    functions: {
      mine: fn(v.object({}), () => true, {
        returns: 'notes',
        readOnly: true,
        allow: (who) => who.role === 'authenticated',
      }),
      double: fn(v.object({ n: v.number() }), (_scope, { n }) => n * 2, { allow: () => true }),
      zero: fn(v.object({}), () => 0, { allow: () => true, readOnly: true }),
    },
  })

export const store = makeStore(makeBase())
export const ask = mount({ '/rest/v1': store })
export const fresh = () => freshDatabase([store], hostSql)

export const alice = 'user-alice'
export const bob = 'user-bob'

/** The stock client, speaking to the mounted module. */
export const client = (token?: string) =>
  new PostgrestClient<DatabaseOf<typeof store>>(`${site}/rest/v1`, {
    headers: token ? { authorization: `Bearer ${token}` } : {},
    fetch: (input, init) => {
      const { pathname, search } = new URL(String(input))
      const headers = Object.fromEntries(new Headers(init?.headers))
      return ask(pathname + search, {
        method: init?.method,
        headers,
        body: init?.body ?? undefined,
      })
    },
  })

export interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON came; the test says what it expects.
  body: any
  headers: Headers
  text: string
}

/** Asks under the mount and reads the whole answer. */
export async function call(path: string, options: Ask & { prefer?: string } = {}): Promise<Answer> {
  const { prefer, headers, ...rest } = options
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

/** What is really in the database. */
export async function stored(
  sql: string,
  ...values: unknown[]
): Promise<Record<string, unknown>[]> {
  const statement = env.DB.prepare(sql)
  return (await (values.length > 0 ? statement.bind(...values) : statement).all()).results as never
}

/** How many rows are really there. */
export const count = async (table: string) =>
  Number((await stored(`SELECT count(*) AS n FROM ${table}`))[0]?.n)
