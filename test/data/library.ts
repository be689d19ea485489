import { env } from 'cloudflare:workers'
import { PostgrestClient } from '@supabase/postgrest-js'
import { and, eq, inArray, or, sql } from 'drizzle-orm'
import {
  type AnySQLiteColumn,
  foreignKey,
  index,
  integer,
  primaryKey,
  real,
  sqliteTable,
  text,
} from 'drizzle-orm/sqlite-core'
import type { Base } from 'leanto'
import { type DatabaseOf, data, expose } from 'leanto/data'
import { type Ask, freshDatabase, makeBase, mount, site } from '../kit/world.ts'
import { people } from './store.ts'

/*
 * A library: every kind of relation there is. Books have an author (many to one, twice: an editor as well), a sheet
 * (one to one), loans (one to many), genres (many to many); people have a boss (self).
 */

const members = sqliteTable('members', {
  id: integer('id').primaryKey(),
  name: text('name').notNull(),
  bossId: integer('boss_id').references((): AnySQLiteColumn => members.id),
  born: integer('born', { mode: 'timestamp_ms' }),
  secret: text('secret'),
})

const books = sqliteTable(
  'books',
  {
    id: integer('id').primaryKey(),
    title: text('title').notNull(),
    authorId: integer('author_id')
      .notNull()
      .references(() => members.id),
    editorId: integer('editor_id').references(() => members.id),
    public: integer('public', { mode: 'boolean' }).notNull().default(true),
    price: real('price'),
    pages: integer('pages'),
    meta: text('meta', { mode: 'json' }).$type<{ lang?: string; size?: number; tags?: string[] }>(),
    hiddenMemberId: integer('hidden_member_id'),
  },
  (t) => [
    index('books_author').on(t.authorId),
    index('books_editor').on(t.editorId),
    foreignKey({ columns: [t.hiddenMemberId], foreignColumns: [members.id], name: 'hidden_link' }),
  ],
)

const sheets = sqliteTable('sheets', {
  bookId: integer('book_id')
    .primaryKey()
    .references(() => books.id),
  summary: text('summary'),
})

const loans = sqliteTable(
  'loans',
  {
    id: integer('id').primaryKey(),
    bookId: integer('book_id')
      .notNull()
      .references(() => books.id),
    memberId: integer('member_id')
      .notNull()
      .references(() => members.id),
    owner: text('owner').notNull(),
    days: integer('days').notNull(),
  },
  (t) => [index('loans_book').on(t.bookId), index('loans_member').on(t.memberId)],
)

const genres = sqliteTable('genres', { name: text('name').primaryKey(), rank: integer('rank') })

const bookGenres = sqliteTable(
  'book_genres',
  {
    bookId: integer('book_id')
      .notNull()
      .references(() => books.id),
    genre: text('genre')
      .notNull()
      .references(() => genres.name),
  },
  (t) => [primaryKey({ columns: [t.bookId, t.genre] }), index('book_genres_genre').on(t.genre)],
)

/** A key of two columns, and who refers to it. */
const halls = sqliteTable(
  'halls',
  { house: text('house').notNull(), no: integer('no').notNull(), seats: integer('seats') },
  (t) => [primaryKey({ columns: [t.house, t.no] })],
)

const shelves = sqliteTable(
  'shelves',
  { id: integer('id').primaryKey(), house: text('house'), hallNo: integer('hall_no') },
  (t) => [
    foreignKey({ columns: [t.house, t.hallNo], foreignColumns: [halls.house, halls.no] }),
    index('shelves_hall').on(t.house, t.hallNo),
  ],
)

/** Nobody may read it; the join table of members and genres is closed too. */
const closed = sqliteTable('closed', {
  id: integer('id').primaryKey(),
  bookId: integer('book_id').references(() => books.id),
})

const tastes = sqliteTable(
  'tastes',
  {
    memberId: integer('member_id').references(() => members.id),
    genre: text('genre').references(() => genres.name),
  },
  (t) => [primaryKey({ columns: [t.memberId, t.genre] })],
)

export const librarySql = [
  `CREATE TABLE members (id INTEGER PRIMARY KEY, name TEXT NOT NULL, boss_id INTEGER REFERENCES members (id), born INTEGER, secret TEXT)`,
  'CREATE INDEX members_boss ON members (boss_id)',
  `CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT NOT NULL, author_id INTEGER NOT NULL REFERENCES members (id),
     editor_id INTEGER REFERENCES members (id), public INTEGER NOT NULL DEFAULT 1, price REAL, pages INTEGER, meta TEXT, hidden_member_id INTEGER REFERENCES members (id))`,
  'CREATE INDEX books_author ON books (author_id)',
  'CREATE INDEX books_editor ON books (editor_id)',
  'CREATE TABLE sheets (book_id INTEGER PRIMARY KEY REFERENCES books (id), summary TEXT)',
  `CREATE TABLE loans (id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES books (id), member_id INTEGER NOT NULL REFERENCES members (id),
     owner TEXT NOT NULL, days INTEGER NOT NULL)`,
  'CREATE INDEX loans_book ON loans (book_id)',
  'CREATE INDEX loans_member ON loans (member_id)',
  'CREATE TABLE genres (name TEXT PRIMARY KEY, rank INTEGER)',
  `CREATE TABLE book_genres (book_id INTEGER NOT NULL REFERENCES books (id), genre TEXT NOT NULL REFERENCES genres (name), PRIMARY KEY (book_id, genre))`,
  'CREATE INDEX book_genres_genre ON book_genres (genre)',
  'CREATE TABLE halls (house TEXT NOT NULL, no INTEGER NOT NULL, seats INTEGER, PRIMARY KEY (house, no))',
  'CREATE TABLE shelves (id INTEGER PRIMARY KEY, house TEXT, hall_no INTEGER, FOREIGN KEY (house, hall_no) REFERENCES halls (house, no))',
  'CREATE INDEX shelves_hall ON shelves (house, hall_no)',
  'CREATE TABLE closed (id INTEGER PRIMARY KEY, book_id INTEGER REFERENCES books (id))',
  'CREATE TABLE tastes (member_id INTEGER REFERENCES members (id), genre TEXT REFERENCES genres (name), PRIMARY KEY (member_id, genre))',
]

const books1 = [
  `INSERT INTO members VALUES (1, 'Ann', NULL, 0, 'x'), (2, 'Bob', 1, 86400000, 'y'), (3, 'Cid', 1, NULL, 'z'), (4, 'Dot', 2, NULL, NULL)`,
  `INSERT INTO books VALUES (1, 'Alpha', 1, 2, 1, 10.5, 100, '{"lang":"en","size":9,"tags":["a","b"]}', 3),
     (2, 'Beta', 1, NULL, 1, 20, 250, '{"lang":"de","size":10}', NULL), (3, 'Gamma', 2, 1, 1, NULL, 250, NULL, NULL),
     (4, 'Secret', 3, 1, 0, 5, 10, '{"lang":null}', NULL)`,
  `INSERT INTO sheets VALUES (1, 'about a'), (3, 'about g'), (4, 'hush')`,
  `INSERT INTO loans VALUES (1, 1, 2, 'alice', 7), (2, 1, 3, 'bob', 14), (3, 2, 3, 'alice', 3), (4, 4, 4, 'alice', 1), (5, 1, 4, 'alice', 21)`,
  `INSERT INTO genres VALUES ('crime', 2), ('drama', 1), ('verse', NULL)`,
  `INSERT INTO book_genres VALUES (1, 'crime'), (1, 'drama'), (2, 'drama'), (4, 'verse')`,
  `INSERT INTO halls VALUES ('N', 1, 30), ('N', 2, NULL)`,
  `INSERT INTO shelves VALUES (1, 'N', 1), (2, 'N', 1), (3, 'N', 2), (4, NULL, NULL), (5, 'N', NULL)`,
  'INSERT INTO closed VALUES (1, 1)',
  `INSERT INTO tastes VALUES (1, 'crime')`,
]

const everyone = { select: () => true, insert: () => true, update: () => true, delete: () => true }

export const makeLibrary = <Env>(base: Base<Env>) =>
  data(base, {
    identity: people,
    tables: {
      members: expose(members, { ...everyone, hidden: ['secret'] }),
      books: expose(books, {
        ...everyone,
        // A policy that asks another table.
        select: (who) =>
          or(
            eq(books.public, true),
            inArray(books.id, sql`(select book_id from loans where owner = ${who.id})`),
          ),
        hidden: ['hiddenMemberId'],
      }),
      sheets: expose(sheets, everyone),
      loans: expose(loans, { ...everyone, select: (who) => eq(loans.owner, who.id), maxRows: 50 }),
      genres: expose(genres, everyone),
      book_genres: expose(bookGenres, everyone),
      halls: expose(halls, everyone),
      shelves: expose(shelves, everyone),
      closed: expose(closed, {}),
      tastes: expose(tastes, {}),
      /** The same table under another name and policy. */
      short_books: expose(books, {
        select: () => and(sql`${books.pages} < 200`, eq(books.public, true)),
      }),
    },
  })

export const library = makeLibrary(makeBase())
export const ask = mount({ '/rest/v1': library })
export const fresh = async () => {
  await freshDatabase([library], librarySql)
  await env.DB.batch(books1.map((statement) => env.DB.prepare(statement)))
}

export const client = (token?: string) =>
  new PostgrestClient<DatabaseOf<typeof library>>(`${site}/rest/v1`, {
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

/** The answer's JSON, or its error's code. */
export async function get(path: string, options: Ask = {}) {
  const response = await ask(`/rest/v1${path}`, options)
  const body = (await response.json()) as unknown
  return response.ok ? body : `${response.status} ${(body as { code: string }).code}`
}

export const whole = async (path: string, options: Ask = {}) => {
  const response = await ask(`/rest/v1${path}`, options)
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as never,
  }
}
