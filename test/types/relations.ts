import { createClient } from '@supabase/supabase-js'
import { integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { bind } from 'leanto'
import { type DatabaseOf, data, expose, type Json } from 'leanto/data'

/* A schema with every kind of relation, for the type tests. Nothing here runs. */

const users = sqliteTable('users', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  bossId: text('boss_id'),
  score: real('score'),
  secret: text('secret'),
})

/** One-to-one by its primary key. */
const profiles = sqliteTable('profiles', { id: text('id').primaryKey(), bio: text('bio') })

/** One-to-one by a unique column. */
const badges = sqliteTable('badges', {
  no: integer('no').primaryKey(),
  holderId: text('holder_id').notNull().unique(),
})

/** Two ways to users, and a third one that is hidden. */
const notes = sqliteTable('app_notes', {
  id: integer('id').primaryKey(),
  ownerId: text('owner_id').notNull(),
  editorId: text('editor_id'),
  title: text('title').notNull(),
  rank: real('rank'),
  meta: text('meta', { mode: 'json' }).$type<{ tags: string[]; size: { w: number } }>(),
  anything: text('anything', { mode: 'json' }),
  secretId: text('secret_id'),
})

const comments = sqliteTable('comments', {
  id: integer('id').primaryKey(),
  noteId: integer('note_id').notNull(),
  authorId: text('author_id'),
  text: text('text').notNull(),
})

const tags = sqliteTable('tags', {
  id: integer('id').primaryKey(),
  label: text('label').notNull(),
})

/** Joins notes and tags, many to many. */
const noteTags = sqliteTable(
  'note_tags',
  { noteId: integer('note_id').notNull(), tagId: integer('tag_id').notNull() },
  (t) => [primaryKey({ columns: [t.noteId, t.tagId] })],
)

const seats = sqliteTable(
  'seats',
  {
    hall: text('hall').notNull(),
    no: integer('seat_no').notNull(),
    soft: integer('soft', { mode: 'boolean' }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.hall, t.no] })],
)

/** By a key of two columns. */
const bookings = sqliteTable('bookings', {
  id: integer('id').primaryKey(),
  hall: text('hall').notNull(),
  seat: integer('seat').notNull(),
})

export const base = bind<{ DB: never }>({
  db: (env) => env.DB,
  kv: () => ({}) as never,
  secret: () => '',
})
export const identity = { principal: async () => ({}) as never }
export const open = { select: () => true }
export const tables = { users, profiles, badges, notes, comments, tags, noteTags, seats, bookings }

const store = data(base, {
  identity,
  tables: {
    users: expose(users, { ...open, hidden: ['secret'], references: { bossId: 'users.id' } }),
    profiles: expose(profiles, { ...open, references: { id: 'users.id' } }),
    badges: expose(badges, { ...open, references: { holderId: { to: 'users.id', unique: true } } }),
    notes: expose(notes, {
      ...open,
      hidden: ['secretId'],
      references: {
        ownerId: 'users.id',
        notes_editor: { columns: ['editorId'], to: ['users.id'] },
        secretId: 'users.id',
      },
    }),
    comments: expose(comments, {
      ...open,
      references: { noteId: 'notes.id', authorId: 'users.id' },
    }),
    tags: expose(tags, open),
    note_tags: expose(noteTags, { ...open, references: { noteId: 'notes.id', tagId: 'tags.id' } }),
    seats: expose(seats, open),
    bookings: expose(bookings, {
      ...open,
      references: { bookings_seat: { columns: ['hall', 'seat'], to: ['seats.hall', 'seats.no'] } },
    }),
  },
})

export type Database = DatabaseOf<typeof store>
export const client = createClient<Database>('https://app.example', 'key')

/** What a query's rows are, as a value that is never there. */
export declare const rowOf: <Row>(query: PromiseLike<{ data: Row[] | null }>) => Row

/** Whether there is `any` somewhere in a type. `Json` has no end. */
export type HasAny<T> = 0 extends 1 & T
  ? true
  : Json extends T
    ? false
    : T extends readonly (infer Item)[]
      ? HasAny<Item>
      : T extends object
        ? true extends { [K in keyof T]: HasAny<T[K]> }[keyof T]
          ? true
          : false
        : false
