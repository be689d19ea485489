import { createClient } from '@supabase/supabase-js'
import { eq, gt, sql } from 'drizzle-orm'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { computed, type DatabaseOf, data, expose, relation } from 'leanto/data'
import { expectTypeOf } from 'vitest'
import { base, identity, open } from './relations.ts'

/*
 * Computed columns and relations as supabase-js reads them: `tsc -p test` is the test.
 */

const users = sqliteTable('app_users', {
  id: text('id').primaryKey(),
  first: text('first_name').notNull(),
  last: text('last_name'),
  secret: text('secret'),
})
const notes = sqliteTable('notes', {
  id: integer('id').primaryKey(),
  ownerId: text('owner_id').notNull(),
  title: text('title').notNull(),
})

const store = data(base, {
  identity,
  tables: {
    users: expose(users, {
      ...open,
      hidden: ['secret'],
      computed: {
        full_name: computed(text().notNull(), sql`${users.first} || ' ' || ${users.last}`),
        seen: computed(integer({ mode: 'timestamp_ms' }), sql`null`),
        mine: computed(integer({ mode: 'boolean' }).notNull(), (who) => sql`${who.id} = 'x'`),
        mood: computed(text({ enum: ['up', 'down'] }), sql`'up'`),
        extra: computed(text({ mode: 'json' }).$type<{ at: Date }>(), sql`'{}'`),
      },
      relations: {
        written: relation({ notes }, (user, note) => eq(note.ownerId, user.id), { many: true }),
        newest: relation({ notes }, (user, note) => eq(note.ownerId, user.id)),
      },
    }),
    notes: expose(notes, {
      ...open,
      relations: {
        writer: relation({ users }, (note, user) => eq(user.id, note.ownerId)),
        written: relation({ notes }, (note, other) => gt(other.id, note.id), { many: true }),
      },
    }),
  },
})
type Database = DatabaseOf<typeof store>
type Users = Database['public']['Tables']['users']
const client = createClient<Database>('https://app.example', 'key')

interface Computed {
  full_name: string
  seen: string | null
  mine: boolean
  mood: 'up' | 'down' | null
  extra: { at: string } | null
}
interface Star extends Note {
  writer: Stored | null
}
interface Stored {
  id: string
  first_name: string
  last_name: string | null
}
interface Whole extends Stored, Computed {}
interface Note {
  id: number
  owner_id: string
  title: string
}

expectTypeOf<Users['Row']>().toEqualTypeOf<Whole>()
// Never written.
expectTypeOf<keyof Users['Insert']>().toEqualTypeOf<'id' | 'first_name' | 'last_name'>()
expectTypeOf<keyof Users['Update']>().toEqualTypeOf<'id' | 'first_name' | 'last_name'>()
expectTypeOf<Users['ComputedFields']>().toEqualTypeOf<keyof Computed>()
expectTypeOf<Database['public']['Tables']['notes']['Row']>().toEqualTypeOf<Note>()
expectTypeOf<Database['public']['Tables']['notes']['ComputedFields']>().toEqualTypeOf<never>()

export async function stockClient() {
  // No part of `*`.
  const all = await client.from('users').select()
  expectTypeOf(all.data).toEqualTypeOf<Stored[] | null>()
  const named = await client.from('users').select('id, called:full_name, mine, mood').single()
  expectTypeOf(named.data).toEqualTypeOf<{
    id: string
    called: string
    mine: boolean
    mood: 'up' | 'down' | null
  } | null>()
  await client.from('users').select('id').eq('full_name', 'A B').order('seen')
  // @ts-expect-error: it is a text.
  client.from('users').select('id').eq('full_name', 5)
  // @ts-expect-error: never written.
  client.from('users').insert({ id: 'x', first_name: 'A', full_name: 'A B' })

  // To many is a list, to one an object or null; each by its own name, also where two tables have the same.
  const embedded = await client.from('users').select('id, written(title), newest(id, owner_id)')
  expectTypeOf(embedded.data).toEqualTypeOf<
    | {
        id: string
        written: { title: string }[]
        newest: { id: number; owner_id: string } | null
      }[]
    | null
  >()
  const other = await client.from('notes').select('written(id), w:writer(full_name), ...writer(id)')
  expectTypeOf(other.data?.[0]?.written).toEqualTypeOf<{ id: number }[] | undefined>()
  expectTypeOf(other.data?.[0]?.w).toEqualTypeOf<{ full_name: string } | null | undefined>()
  const star = await client.from('notes').select('*, writer(*)').single()
  expectTypeOf(star.data).toEqualTypeOf<Star | null>()
  const wrong = await client.from('notes').select('newest(id)').single()
  // @ts-expect-error: a relation of another table.
  wrong.data?.newest.id
}

// Both tables are known to the condition.
// @ts-expect-error: no such column of the table.
expose(notes, { relations: { x: relation({ users }, (note, user) => eq(user.id, note.nothing)) } })
// @ts-expect-error: no such column of the other.
expose(notes, { relations: { x: relation({ users }, (note, user) => eq(user.no, note.id)) } })
// @ts-expect-error: no such condition.
relation({ users }, () => 5)
// @ts-expect-error: a type is a drizzle column.
computed('text', sql`1`)
