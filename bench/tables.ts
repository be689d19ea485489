import { relations, sql } from 'drizzle-orm'
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

export const users = sqliteTable('users', {
  id: integer('id').primaryKey(),
  name: text('name').notNull(),
})

export const notes = sqliteTable(
  'notes',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    ownerId: text('owner_id').notNull(),
    title: text('title').notNull(),
    body: text('body'),
    done: integer('done', { mode: 'boolean' }).notNull().default(false),
    createdAt: integer('created_at', { mode: 'timestamp_ms' })
      .notNull()
      .default(sql`(unixepoch() * 1000)`),
  },
  (t) => [index('notes_owner').on(t.ownerId, t.createdAt)],
)

export const comments = sqliteTable(
  'comments',
  {
    id: integer('id').primaryKey(),
    noteId: integer('note_id')
      .notNull()
      .references(() => notes.id),
    authorId: integer('author_id')
      .notNull()
      .references(() => users.id),
    text: text('text').notNull(),
  },
  (t) => [index('comments_note').on(t.noteId)],
)

export const notesRelations = relations(notes, ({ many }) => ({ comments: many(comments) }))
export const commentsRelations = relations(comments, ({ one }) => ({
  note: one(notes, { fields: [comments.noteId], references: [notes.id] }),
  author: one(users, { fields: [comments.authorId], references: [users.id] }),
}))

export interface Env {
  DB: D1Database
  KV: KVNamespace
  SECRET: string
  /** The public key, a JWK as JSON, by which both workers verify the same tokens. */
  JWK: string
}

export const issuer = 'https://issuer.example'
export const audience = 'bench'
