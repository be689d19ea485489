import { sql } from 'drizzle-orm'
import { check, index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

const now = sql`(CAST(unixepoch('subsec') * 1000 AS INTEGER))`

/** The app's own table. That leanto serves it is said in backend.ts, not here. */
export const notes = sqliteTable(
  'notes',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    ownerId: text('owner_id').notNull(),
    title: text().notNull().default(''),
    body: text().notNull().default(''),
    pinned: integer({ mode: 'boolean' }).notNull().default(false),
    createdAt: integer('created_at', { mode: 'timestamp_ms' }).notNull().default(now),
    updatedAt: integer('updated_at', { mode: 'timestamp_ms' }).notNull().default(now),
  },
  (table) => [
    index('notes_by_owner').on(table.ownerId, table.updatedAt),
    check('title_length', sql`length(${table.title}) <= 200`),
    check('body_length', sql`length(${table.body}) <= 20000`),
  ],
)
