import { env } from 'cloudflare:workers'
import { eq, or } from 'drizzle-orm'
import {
  blob,
  integer,
  numeric,
  primaryKey,
  real,
  sqliteTable,
  text,
  unique,
} from 'drizzle-orm/sqlite-core'
import { type Base, migrate } from 'leanto'
import { type Change, changes, data, expose } from 'leanto/data'
import { type Env, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { people } from './store.ts'

/** Two tables alike, one of which is live: whatever they answer must be the same. */
const noteColumns = () => ({
  id: integer('id').primaryKey(),
  ownerId: text('owner_id').notNull(),
  title: text('title').notNull(),
  public: integer('public', { mode: 'boolean' }).notNull().default(false),
  secret: text('secret'),
})
const notes = sqliteTable('notes', noteColumns(), (t) => [
  unique('notes_owner_title').on(t.ownerId, t.title),
])
const quietNotes = sqliteTable('quiet_notes', noteColumns(), (t) => [
  unique('quiet_notes_owner_title').on(t.ownerId, t.title),
])

const comments = sqliteTable('comments', {
  id: integer('id').primaryKey(),
  noteId: integer('note_id').references(() => notes.id, {
    onDelete: 'cascade',
    onUpdate: 'cascade',
  }),
  text: text('text').notNull(),
})

const scores = sqliteTable(
  'scores',
  { player: text('player').notNull(), game: text('game').notNull(), points: integer('points') },
  (t) => [primaryKey({ columns: [t.game, t.player] })],
)

/** Keys and kept columns of every kind. */
const blobs = sqliteTable('blobs', {
  id: blob('id', { mode: 'buffer' }).primaryKey(),
  big: blob('big', { mode: 'bigint' }),
  json: text('json', { mode: 'json' }),
  at: integer('at', { mode: 'timestamp_ms' }),
  flag: integer('flag', { mode: 'boolean' }),
  fraction: real('fraction'),
  exact: numeric('exact'),
})
const numbers = sqliteTable('numbers', { id: integer('id').primaryKey(), note: text('note') })

/** Nothing about these names is plain. */
export const oddName = `Or"der 'group' BEGIN; END é`
const odd = sqliteTable(oddName, {
  key: text('select ?1 "key"').primaryKey(),
  kept: text(`it's; END`),
  hidden: text('table'),
})

/** As many columns as D1 lets a table have. */
export const wideColumns = Array.from({ length: 99 }, (_, i) => `column_number_${i + 1}`)
const wide = sqliteTable('wide', {
  id: integer('id').primaryKey(),
  ...Object.fromEntries(wideColumns.map((name) => [name, text(name)])),
})

const all = { select: () => true, insert: () => true, update: () => true, delete: () => true }

export const makeLive = <E>(base: Base<E>, more: { keepFor?: number } = {}) =>
  data(base, {
    identity: people,
    changes: more,
    tables: {
      notes: expose(notes, {
        ...all,
        select: (who) => or(eq(notes.public, true), eq(notes.ownerId, who.id)),
        hidden: ['secret'],
        live: { keep: ['ownerId', 'public'] },
      }),
      quiet_notes: expose(quietNotes, {
        ...all,
        select: (who) => or(eq(quietNotes.public, true), eq(quietNotes.ownerId, who.id)),
        hidden: ['secret'],
      }),
      comments: expose(comments, { ...all, live: true }),
      scores: expose(scores, { ...all, live: true }),
      blobs: expose(blobs, {
        ...all,
        live: { keep: ['big', 'json', 'at', 'flag', 'fraction', 'exact'] },
      }),
      numbers: expose(numbers, { ...all, live: true }),
      odd: expose(odd, { ...all, hidden: ['hidden'], live: { keep: ['kept'] } }),
      wide: expose(wide, {
        ...all,
        hidden: ['column_number_99' as never],
        live: { keep: wideColumns as never[] },
      }),
    },
  })

const noteSql = (name: string) =>
  `CREATE TABLE ${name} (id INTEGER PRIMARY KEY, owner_id TEXT NOT NULL, title TEXT NOT NULL, public INTEGER NOT NULL DEFAULT 0,
     secret TEXT, CONSTRAINT ${name}_title CHECK (length(title) <= 20), UNIQUE (owner_id, title))`

export const hostSql = [
  noteSql('notes'),
  noteSql('quiet_notes'),
  `CREATE TABLE comments (id INTEGER PRIMARY KEY, note_id INTEGER REFERENCES notes (id) ON DELETE CASCADE ON UPDATE CASCADE, text TEXT NOT NULL)`,
  'CREATE INDEX comments_note ON comments (note_id)',
  'CREATE TABLE scores (player TEXT NOT NULL, game TEXT NOT NULL, points INTEGER, PRIMARY KEY (game, player))',
  'CREATE TABLE blobs (id BLOB PRIMARY KEY, big BLOB, json TEXT, at INTEGER, flag INTEGER, fraction REAL, exact NUMERIC)',
  'CREATE TABLE numbers (id INTEGER PRIMARY KEY, note TEXT)',
  `CREATE TABLE "Or""der 'group' BEGIN; END é" ("select ?1 ""key""" TEXT PRIMARY KEY, "it's; END" TEXT, "table" TEXT)`,
  `CREATE TABLE wide (id INTEGER PRIMARY KEY, ${wideColumns.map((name) => `${name} TEXT`).join(', ')})`,
]

const base = makeBase()
export const store = makeLive(base)
export const ask = mount({ '/rest/v1': store })
export const fresh = () => freshDatabase([store], hostSql)
export const remigrate = () => migrate(env.DB as never, [store])

export const scope = () => base.scope({ env: env as Env })

/** Runs the host's own SQL, in one transaction. */
export const run = (...statements: string[]) =>
  env.DB.batch(statements.map((statement) => env.DB.prepare(statement)))

/** What has been logged after `since`, without the times. */
export async function logged(since = 0): Promise<Omit<Change, 'at'>[]> {
  const page = await changes(scope(), store, { since, limit: 1000 })
  return page.changes.map(({ at, ...change }) => {
    if (!(at > Date.parse('2024-01-01') && at < Date.parse('2100-01-01')))
      throw new Error(`an entry of ${new Date(at)}`)
    return change
  })
}

export const head = async () => (await changes(scope(), store, { since: 'now' })).last
