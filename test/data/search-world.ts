import { env } from 'cloudflare:workers'
import { PostgrestClient } from '@supabase/postgrest-js'
import { eq, or, sql } from 'drizzle-orm'
import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { type Base, migrate } from 'leanto'
import { computed, type DatabaseOf, data, expose, fn } from 'leanto/data'
import * as v from 'valibot'
import { type Ask, freshDatabase, makeBase, mount, site } from '../kit/world.ts'
import { people } from './store.ts'

const authors = sqliteTable('authors', { id: text('id').primaryKey(), bio: text('bio').notNull() })

const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  ownerId: text('owner_id')
    .notNull()
    .references(() => authors.id),
  public: integer('public', { mode: 'boolean' }).notNull().default(true),
  title: text('title').notNull(),
  body: text('body'),
  secret: text('secret'),
  unsearched: text('unsearched'),
  /** What Postgres would have as a tsvector of several columns. */
  whole: text('whole').generatedAlwaysAs(sql`title || ' ' || coalesce(body, '')`),
})

/** No integer key: rows are found by SQLite's rowid, of which a column has taken one name. */
const pages = sqliteTable(
  'pages',
  {
    book: text('book').notNull(),
    no: text('no').notNull(),
    ownerId: text('owner_id').references(() => authors.id),
    rowid: integer('rowid'),
    words: text('or "der'),
  },
  (t) => [primaryKey({ columns: [t.book, t.no] })],
)

const all = { select: () => true, insert: () => true, update: () => true, delete: () => true }

export const makeSearched = <E>(base: Base<E>) =>
  data(base, {
    identity: people,
    tables: {
      authors: expose(authors, { ...all, search: { columns: ['bio'], config: 'simple' } }),
      posts: expose(posts, {
        ...all,
        select: (who) => or(eq(posts.public, true), eq(posts.ownerId, who.id)),
        hidden: ['secret'],
        search: ['title', 'body', 'secret', 'whole'],
        references: { ownerId: 'authors.id' },
        computed: { shout: computed(text(), sql`upper(${posts.title})`) },
      }),
      // The same table under another name, with less to search.
      titles: expose(posts, { select: () => true, search: ['title'] }),
      pages: expose(pages, {
        ...all,
        select: (who) => or(eq(pages.ownerId, 'ann'), eq(pages.ownerId, who.id)),
        search: ['words'],
        references: { ownerId: 'authors.id' },
      }),
    },
    functions: {
      some: fn(v.object({}), () => ({ where: true, orderBy: [sql`book`], limit: 2 }), {
        returns: 'pages',
        readOnly: true,
        allow: () => true,
      }),
    },
  })

export const hostSql = [
  'CREATE TABLE authors (id TEXT PRIMARY KEY, bio TEXT NOT NULL)',
  `CREATE TABLE posts (id INTEGER PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES authors (id) ON DELETE CASCADE, public INTEGER NOT NULL DEFAULT 1,
     title TEXT NOT NULL UNIQUE, body TEXT, secret TEXT, unsearched TEXT, whole TEXT GENERATED ALWAYS AS (title || ' ' || coalesce(body, '')) VIRTUAL)`,
  `CREATE TABLE pages (book TEXT NOT NULL, no TEXT NOT NULL, owner_id TEXT REFERENCES authors (id) ON DELETE CASCADE, rowid INTEGER, "or ""der" TEXT, PRIMARY KEY (book, no))`,
  'CREATE INDEX posts_owner ON posts (owner_id)',
]

const base = makeBase()
export const store = makeSearched(base)
export const ask = mount({ '/rest/v1': store })
export const remigrate = () => migrate(env.DB as never, [store])

/** Runs the host's own SQL, in one transaction. */
export const run = (...statements: string[]) =>
  env.DB.batch(statements.map((statement) => env.DB.prepare(statement)))

const seed = [
  `INSERT INTO authors (id, bio) VALUES ('ann', 'The running poet'), ('bob', 'runs a café')`,
  `INSERT INTO posts (id, owner_id, public, title, body, secret) VALUES
     (1, 'ann', 1, 'The fat cats', 'sat on mats; a rat ran', 'treasure'),
     (2, 'ann', 1, 'A fat rat', NULL, 'treasure'),
     (3, 'bob', 0, 'Hidden cat', 'nobody sees the rats', NULL),
     (4, 'bob', 1, 'Dogs', 'running dogs, cats and a foo-bar', NULL),
     (5, 'bob', 1, 'Rats, fat', 'ÜBER größe', NULL)`,
  `INSERT INTO pages (book, no, owner_id, "or ""der") VALUES ('a', '1', 'ann', 'fat cats'), ('a', '2', 'bob', 'fat rats'), ('b', '1', 'ann', 'thin rats')`,
]

/** The tables are filled before they are searched, so that their index is filled from what is there. */
export const fresh = () => freshDatabase([store], [...hostSql, ...seed])

/** What a read answers: the first column of each row, or the error. */
export async function found(path: string, asked: Ask = {}): Promise<unknown> {
  const response = await ask(`/rest/v1${path}`, asked)
  const body = (await response.json()) as Record<string, unknown>[] & { code?: string }
  return response.ok ? body.map((row) => Object.values(row)[0]) : `${response.status} ${body.code}`
}

/** The ids that a filter of `posts` finds, for a guest. */
export const ids = (column: string, test: string, asked: Ask = {}) =>
  found(
    `/posts?${new URLSearchParams([
      ['select', 'id'],
      ['order', 'id'],
      [column, test],
    ])}`,
    asked,
  )

/** Row ids that the index itself has, whatever the table says. */
export async function indexed(words: string, table = 'posts'): Promise<unknown[]> {
  const name = `leanto_data_search_${table}`
  const { results } = await env.DB.prepare(
    `SELECT rowid FROM ${name} WHERE ${name} MATCH ? ORDER BY rowid`,
  )
    .bind(`"${words}"`)
    .all<{ rowid: number }>()
  return results.map(({ rowid }) => rowid)
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
