import { env } from 'cloudflare:workers'
import { and, eq, gte, ne, sql } from 'drizzle-orm'
import { type AnySQLiteColumn, index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Base } from 'leanto'
import { computed, data, expose, relation } from 'leanto/data'
import { type Ask, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { people } from './store.ts'

/* People who write posts, with columns and relations that no table holds. */

const authors = sqliteTable('authors', {
  id: integer('id').primaryKey(),
  first: text('first').notNull(),
  last: text('last'),
  bornAt: integer('born_at', { mode: 'timestamp_ms' }),
  secret: text('secret'),
})

const posts = sqliteTable(
  'posts',
  {
    id: integer('id').primaryKey(),
    authorId: integer('author_id')
      .notNull()
      .references(() => authors.id),
    parentId: integer('parent_id').references((): AnySQLiteColumn => posts.id),
    owner: text('owner').notNull(),
    title: text('title').notNull(),
    stars: integer('stars').notNull().default(0),
  },
  (t) => [index('posts_author').on(t.authorId)],
)

const closed = sqliteTable('closed', { id: integer('id').primaryKey() })

const tables = [
  'CREATE TABLE authors (id INTEGER PRIMARY KEY, first TEXT NOT NULL, last TEXT, born_at INTEGER, secret TEXT)',
  `CREATE TABLE posts (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES authors (id), parent_id INTEGER REFERENCES posts (id),
     owner TEXT NOT NULL, title TEXT NOT NULL, stars INTEGER NOT NULL DEFAULT 0)`,
  'CREATE INDEX posts_author ON posts (author_id)',
  'CREATE TABLE closed (id INTEGER PRIMARY KEY)',
]

const rows = [
  `INSERT INTO authors VALUES (1, 'Ann', 'Ash', 86400000, 'x'), (2, 'Bob', NULL, NULL, 'y'), (3, 'Cid', 'Cole', 0, NULL)`,
  `INSERT INTO posts VALUES (1, 1, NULL, 'alice', 'one', 5), (2, 1, 1, 'alice', 'two', 2), (3, 2, 1, 'bob', 'three', 4),
     (4, 2, NULL, 'bob', 'four', 0), (5, 3, 3, 'alice', 'five', 3)`,
  'INSERT INTO closed VALUES (1)',
]

const everyone = { select: () => true, insert: () => true, update: () => true, delete: () => true }

export const makeComputed = <Env>(base: Base<Env>) =>
  data(base, {
    identity: people,
    tables: {
      authors: expose(authors, {
        ...everyone,
        hidden: ['secret'],
        computed: {
          full_name: computed(
            text().notNull(),
            sql`${authors.first} || coalesce(' ' || ${authors.last}, '')`,
          ),
          born: computed(integer({ mode: 'timestamp_ms' }), sql`${authors.bornAt}`),
          has_secret: computed(
            integer({ mode: 'boolean' }).notNull(),
            sql`${authors.secret} is not null`,
          ),
          // Over another table, whatever its policy says: the host wrote it so.
          stars: computed(
            integer(),
            sql`(select sum(${posts.stars}) from ${posts} where ${posts.authorId} = ${authors.id})`,
          ),
          card: computed(
            text({ mode: 'json' }),
            sql`json_object('initial', substr(${authors.first}, 1, 1), 'length', length(${authors.first}))`,
          ),
          initials: computed(text().notNull(), sql`substr(${authors.first}, 1, 1)`),
          asked_by: computed(text(), (who) => sql`${who.id}`),
        },
        relations: {
          best: relation(
            { posts },
            (author, post) => and(eq(post.authorId, author.id), gte(post.stars, 3)),
            { many: true },
          ),
          first_post: relation({ posts }, (author, post) =>
            and(
              eq(post.authorId, author.id),
              sql`${post.id} = (select min(p.id) from posts p where p.author_id = ${author.id})`,
            ),
          ),
          own: relation(
            { posts },
            (author, post, who) => and(eq(post.authorId, author.id), eq(post.owner, who.id)),
            { many: true },
          ),
          locked: relation({ closed }, () => true, { many: true }),
          none: relation({ posts }, () => undefined, { many: true }),
        },
      }),
      posts: expose(posts, {
        ...everyone,
        select: (who) => sql`(${posts.owner} = ${who.id} or ${posts.stars} > 0)`,
        computed: { shout: computed(text().notNull(), sql`upper(${posts.title})`) },
        relations: {
          // In the place of the relation by foreign key.
          authors: relation({ authors }, (post, author) =>
            and(eq(author.id, post.authorId), ne(author.first, 'Cid')),
          ),
          siblings: relation(
            { posts },
            (post, other) => and(eq(other.authorId, post.authorId), ne(other.id, post.id)),
            { many: true },
          ),
        },
      }),
      closed: expose(closed, {}),
    },
  })

const module = makeComputed(makeBase())
export const ask = mount({ '/rest/v1': module })

export const fresh = async () => {
  await freshDatabase([module], tables)
  await env.DB.batch(rows.map((statement) => env.DB.prepare(statement)))
}

/** The answer's JSON, or its error's code. */
export async function get(path: string, options: Ask = {}): Promise<unknown> {
  const response = await ask(`/rest/v1${path}`, options)
  const text = await response.text()
  const body: unknown = text === '' ? null : JSON.parse(text)
  return response.ok ? body : `${response.status} ${(body as { code: string }).code}`
}
