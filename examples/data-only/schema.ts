import { sql } from 'drizzle-orm'
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

export const tasks = sqliteTable(
  'tasks',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    ownerId: text('owner_id').notNull(),
    title: text().notNull(),
    done: integer({ mode: 'boolean' }).notNull().default(sql`0`),
  },
  (table) => [index('tasks_by_owner').on(table.ownerId)],
)
