import { env } from 'cloudflare:workers'
import { PostgrestClient } from '@supabase/postgrest-js'
import { and, desc, eq, like, or, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { blob, index, integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { type Base, faults } from 'leanto'
import { computed, type DatabaseOf, data, expose, fn } from 'leanto/data'
import * as v from 'valibot'
import { type Ask, freshDatabase, makeBase, mount, site } from '../kit/world.ts'
import { people } from './store.ts'

/* Notes with comments and seats with a key of two columns, and functions of every kind over them. */

const notes = sqliteTable(
  'notes',
  {
    id: integer('id').primaryKey(),
    ownerId: text('owner_id').notNull(),
    title: text('title').notNull().unique(),
    public: integer('public', { mode: 'boolean' }).notNull().default(false),
    rank: real('rank'),
    at: integer('at', { mode: 'timestamp_ms' }),
    secret: text('secret'),
  },
  (t) => [index('notes_owner').on(t.ownerId)],
)
const comments = sqliteTable(
  'comments',
  {
    id: integer('id').primaryKey(),
    noteId: integer('note_id')
      .notNull()
      .references(() => notes.id),
    author: text('author').notNull(),
    words: text('words').notNull(),
  },
  (t) => [index('comments_note').on(t.noteId)],
)
const seats = sqliteTable(
  'seats',
  { hall: text('hall').notNull(), no: integer('no').notNull(), lat: real('lat'), lon: real('lon') },
  (t) => [primaryKey({ columns: [t.hall, t.no] })],
)
/** No policy at all. */
const vault = sqliteTable('vault', { id: integer('id').primaryKey(), gold: integer('gold') })

const tableSql = [
  `CREATE TABLE notes (id INTEGER PRIMARY KEY, owner_id TEXT NOT NULL, title TEXT NOT NULL UNIQUE, public INTEGER NOT NULL DEFAULT 0,
     rank REAL, at INTEGER, secret TEXT, CHECK (length(title) < 50))`,
  'CREATE INDEX notes_owner ON notes (owner_id)',
  'CREATE TABLE comments (id INTEGER PRIMARY KEY, note_id INTEGER NOT NULL REFERENCES notes (id), author TEXT NOT NULL, words TEXT NOT NULL)',
  'CREATE INDEX comments_note ON comments (note_id)',
  'CREATE TABLE seats (hall TEXT NOT NULL, no INTEGER NOT NULL, lat REAL, lon REAL, PRIMARY KEY (hall, no)) WITHOUT ROWID',
  'CREATE TABLE vault (id INTEGER PRIMARY KEY, gold INTEGER)',
]

const rows = [
  `INSERT INTO notes VALUES (1, 'alice', 'apple', 1, 2.5, 0, 's1'), (2, 'alice', 'avocado', 0, 1, 86400000, 's2'),
     (3, 'bob', 'banana', 1, 3, NULL, 's3'), (4, 'bob', 'blackberry', 0, NULL, 1000, 's4'), (5, 'carol', 'cherry', 1, 3, 2000, 's5')`,
  `INSERT INTO comments VALUES (1, 1, 'bob', 'nice'), (2, 1, 'alice', 'thanks'), (3, 3, 'alice', 'hm'), (4, 4, 'bob', 'mine')`,
  `INSERT INTO seats VALUES ('A', 1, 1, 2), ('A', 2, 3, 4), ('B', 1, 5, 6)`,
  'INSERT INTO vault VALUES (1, 100), (2, 200)',
]

const ownFaults = faults({ too_poor: [402, 'Pay first'] })

/** How often a handler was entered. */
export const entered = { count: 0 }

const nothing = v.object({})
const all = { allow: () => true }
const reads = { ...all, readOnly: true }
const name = v.object({ title: v.string() })

export const makeRpc = <Env>(base: Base<Env>) =>
  data(base, {
    identity: people,
    tables: {
      notes: expose(notes, {
        select: (who) => or(eq(notes.public, true), eq(notes.ownerId, who.id)),
        insert: (who) => eq(notes.ownerId, who.id),
        hidden: ['secret'],
        computed: { shout: computed(text().notNull(), sql`upper(${notes.title})`) },
      }),
      comments: expose(comments, { select: (who) => eq(comments.author, who.id) }),
      seats: expose(seats, { select: () => true, maxRows: 2, point: ['lon', 'lat'] }),
      vault: expose(vault, {}),
    },
    functions: {
      // Values.
      add: fn(
        v.object({ a: v.number(), b: v.optional(v.number(), 1) }),
        (_scope, { a, b }) => a + b,
        reads,
      ),
      hello: fn(v.object({ name: v.string() }), (_scope, args) => `Hello, ${args.name}`, reads),
      echo: fn(v.unknown(), (_scope, args) => args, reads),
      nothing: fn(nothing, () => undefined, reads),
      null: fn(nothing, () => null, reads),
      numbers: fn(nothing, async () => [1, 2, 3, null], reads),
      values: fn(
        nothing,
        () => ({
          date: new Date(0),
          big: 12345678901234567890n,
          bytes: [new Uint8Array([1, 255]), Buffer.from([2]), new Uint8Array([3]).buffer],
          none: null,
          deep: [{ at: new Date(1000) }],
        }),
        reads,
      ),
      me: fn(nothing, (_scope, _args, who) => ({ id: who.id, role: who.role }), reads),
      // Who may.
      closed: fn(nothing, () => 'for service', { readOnly: true }),
      members: fn(nothing, () => 'for members', {
        readOnly: true,
        allow: (who) => who.role === 'authenticated',
      }),
      // Rows of no table.
      fruits: fn(
        nothing,
        () => [
          { id: 1, Name: 'Pear', name: 'p', price: 1.5, ripe: true, tags: ['a'], at: new Date(0) },
          { id: 2, Name: 'Fig', name: 'f', price: 2, ripe: false, tags: [], more: { x: 1 } },
          { id: 3, Name: null, name: 'k', price: 0.5, ripe: true, tags: ['a', 'b'], 'a.b "c"': 1 },
        ],
        reads,
      ),
      typed: fn(
        v.object({ many: v.optional(v.boolean(), true) }),
        (_scope, { many }) =>
          many
            ? [
                { id: 1, at: new Date(0), bytes: Buffer.from([1]), meta: { a: 1 }, secret: 'x' },
                { id: 2, at: null, bytes: null, meta: null, secret: 'y' },
              ]
            : [],
        {
          ...reads,
          returns: {
            id: integer().notNull(),
            at: integer({ mode: 'timestamp_ms' }),
            bytes: blob({ mode: 'buffer' }),
            meta: text({ mode: 'json' }).$type<{ a: number }>(),
          },
        },
      ),
      point: fn(nothing, () => ({ x: 1, y: null }), reads),
      // Rows of a table.
      search: fn(
        v.object({ words: v.string() }),
        (_scope, { words }) => like(notes.title, `%${words}%`),
        { ...reads, returns: 'notes' },
      ),
      every: fn(nothing, () => true, { ...reads, returns: 'notes' }),
      none: fn(nothing, () => null, { ...reads, returns: 'notes' }),
      best: fn(
        v.object({ count: v.optional(v.number()) }),
        (_scope, { count }) => ({
          orderBy: [desc(notes.rank), notes.title],
          ...(count === undefined ? {} : { limit: count }),
        }),
        { ...reads, returns: 'notes' },
      ),
      by_ids: fn(v.object({ ids: v.array(v.number()) }), async (_scope, { ids }) => ids, {
        ...reads,
        returns: 'notes',
      }),
      newest: fn(
        v.object({ owner: v.string() }),
        (_scope, { owner }) => ({ where: eq(notes.ownerId, owner), orderBy: desc(notes.at) }),
        { ...reads, returns: 'notes', single: true },
      ),
      one_of: fn(v.object({ ids: v.array(v.number()) }), (_scope, { ids }) => ids, {
        ...reads,
        returns: 'notes',
        single: true,
      }),
      drafts: fn(nothing, () => eq(notes.public, false), {
        ...reads,
        returns: 'notes',
        unsafeWithoutPolicy: true,
      }),
      gold: fn(nothing, () => true, { ...reads, returns: 'vault' }),
      all_gold: fn(nothing, () => true, { ...reads, returns: 'vault', unsafeWithoutPolicy: true }),
      seated: fn(
        v.object({ keys: v.array(v.object({ hall: v.string(), no: v.number() })) }),
        (_scope, { keys }) => keys,
        { ...reads, returns: 'seats' },
      ),
      hall: fn(
        v.object({ hall: v.string() }),
        (_scope, { hall }) => ({ where: eq(seats.hall, hall), orderBy: desc(seats.no), limit: 5 }),
        { ...reads, returns: 'seats' },
      ),
      by_drizzle: fn(
        nothing,
        async (scope) =>
          drizzle(scope.db as never)
            .select()
            .from(notes)
            .where(eq(notes.ownerId, 'bob')),
        { ...reads, returns: 'notes' },
      ),
      // What writes.
      write: fn(
        name,
        async (scope, { title }, who) => {
          entered.count++
          const statement = scope.db.prepare('INSERT INTO notes (owner_id, title) VALUES (?1, ?2)')
          await scope.db.batch([
            statement.bind(who.id, title),
            statement.bind(who.id, `${title} again`),
          ])
          return and(eq(notes.ownerId, who.id), like(notes.title, `${title}%`))
        },
        { allow: (who) => who.role !== 'anon', returns: 'notes' },
      ),
      by_drizzle_write: fn(
        name,
        async (scope, { title }, who) =>
          drizzle(scope.db as never)
            .insert(notes)
            .values({ ownerId: who.id, title })
            .returning({ id: notes.id, title: notes.title }),
        all,
      ),
      write_while_reading: fn(
        v.object({ sql: v.string() }),
        async (scope, args) => (await scope.db.prepare(args.sql).all()).results,
        reads,
      ),
      write_and_fail: fn(
        name,
        async (scope, { title }) => {
          entered.count++
          await scope.db
            .prepare(`INSERT INTO notes (owner_id, title) VALUES ('x', ?1)`)
            .bind(title)
            .run()
          throw ownFaults.too_poor({ details: 'of coins' })
        },
        all,
      ),
      // What fails.
      poor: fn(
        nothing,
        () => {
          throw ownFaults.too_poor({ details: { needs: 5 }, hint: 'Buy coins.' })
        },
        reads,
      ),
      bug: fn(
        nothing,
        () => {
          throw new Error('SELECT secret FROM notes')
        },
        reads,
      ),
      down: fn(
        nothing,
        () => {
          throw new Error('D1_ERROR: Network connection lost.')
        },
        reads,
      ),
    },
  })

export const store = makeRpc(makeBase())
export const ask = mount({ '/rest/v1': store })

export const fresh = async () => {
  entered.count = 0
  await freshDatabase([store], tableSql)
  await env.DB.batch(rows.map((statement) => env.DB.prepare(statement)))
}

export const client = (token?: string) =>
  new PostgrestClient<DatabaseOf<typeof store>>(`${site}/rest/v1`, {
    headers: token ? { authorization: `Bearer ${token}` } : {},
    fetch: (input, init) => {
      const { pathname, search } = new URL(String(input))
      return ask(pathname + search, {
        method: init?.method,
        headers: Object.fromEntries(new Headers(init?.headers)),
        body: init?.body ?? undefined,
      })
    },
  })

/** An answer's status and JSON. */
export async function call(path: string, options: Ask = {}) {
  const response = await ask(`/rest/v1/rpc${path}`, options)
  const shown = await response.text()
  const { headers, status } = response
  const isJson = headers.get('content-type')?.includes('json') === true && shown !== ''
  return { status, headers, body: (isJson ? JSON.parse(shown) : shown) as never, text: shown }
}

/** The answer's JSON, or its error's code. */
export async function get(path: string, options: Ask = {}): Promise<unknown> {
  const { status, body } = await call(path, options)
  return status < 300 ? body : `${status} ${(body as { code: string }).code}`
}

export const titles = async (path: string, options: Ask = {}) => {
  const found = await get(path, options)
  return Array.isArray(found) ? found.map(({ title }) => title) : found
}
