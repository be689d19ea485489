import { createClient } from '@supabase/supabase-js'
import { desc, eq, gt, sql } from 'drizzle-orm'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Scope } from 'leanto'
import { computed, type DatabaseOf, data, expose, fn, type Json } from 'leanto/data'
import * as v from 'valibot'
import { expectTypeOf } from 'vitest'
import { base, identity, open } from './relations.ts'

/*
 * Functions of `/rpc`, by the schemas and handlers that declare them: `tsc -p test` is the test.
 */

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name').notNull() })
const notes = sqliteTable('notes', {
  id: integer('id').primaryKey(),
  ownerId: text('owner_id').notNull(),
  title: text('title').notNull(),
  at: integer('at', { mode: 'timestamp_ms' }),
  secret: text('secret'),
})

const tables = {
  users: expose(users, open),
  notes: expose(notes, {
    ...open,
    hidden: ['secret'],
    references: { ownerId: 'users.id' },
    computed: { shout: computed(text().notNull(), sql`upper(${notes.title})`) },
  }),
}

const words = v.object({ words: v.string() })

const store = data(base, {
  identity,
  tables,
  functions: {
    add: fn(
      v.object({ a: v.number(), b: v.optional(v.number()) }),
      (_scope, { a, b = 0 }) => a + b,
    ),
    now: fn(v.object({}), () => new Date()),
    find: fn(words, async (_scope, args) => {
      expectTypeOf(args).toEqualTypeOf<{ words: string }>()
      return [{ id: 1, at: new Date(), big: null as bigint | null }]
    }),
    anything: fn(v.object({ of: v.array(v.string()) }), (): unknown => 1),
    // What is sent is the schema's input, what the handler sees its output.
    read: fn(
      v.object({ count: v.pipe(v.string(), v.transform(Number)) }),
      (_scope, { count }) => count * 2,
    ),
    silent: fn(v.object({}), async () => {}),
    // Rows of a table.
    found: fn(words, (_scope, { words }, who) => gt(notes.title, `${words}${who.id}`), {
      returns: 'notes',
      readOnly: true,
      allow: (who) => who.role === 'authenticated',
    }),
    newest: fn(
      v.object({}),
      () => ({ where: eq(notes.ownerId, 'x'), orderBy: [desc(notes.at)], limit: 1 }),
      { returns: 'notes', single: true },
    ),
    picked: fn(v.object({}), async () => [1, 2], { returns: 'notes', unsafeWithoutPolicy: true }),
    // Rows of declared columns.
    hits: fn(v.object({}), async () => [{ id: 1, at: new Date(), kind: 'a' as const }], {
      returns: {
        id: integer().notNull(),
        at: integer({ mode: 'timestamp_ms' }),
        kind: text({ enum: ['a', 'b'] }).notNull(),
      },
    }),
    hit: fn(v.object({}), () => ({ id: 1 }), { returns: { id: integer().notNull() } }),
    // The host's own bindings.
    bound: fn(v.object({}), (scope: Scope<{ DB: never }>) => scope.env.DB),
  },
})
const client = createClient<DatabaseOf<typeof store>>('https://app.example', 'key')

interface Note {
  id: number
  owner_id: string
  title: string
  at: string | null
}

export async function stockClient() {
  const sum = await client.rpc('add', { a: 1 })
  expectTypeOf(sum.data).toEqualTypeOf<number | null>()
  const now = await client.rpc('now')
  expectTypeOf(now.data).toEqualTypeOf<string | null>()
  const found = await client.rpc('find', { words: 'x' })
  expectTypeOf(found.data).toEqualTypeOf<{ id: number; at: string; big: string | null }[] | null>()
  const some = await client.rpc('find', { words: 'x' }).select('id, when:at').eq('id', 1)
  expectTypeOf(some.data).toEqualTypeOf<{ id: number; when: string }[] | null>()
  const read = await client.rpc('anything', { of: ['x'] }, { get: true })
  expectTypeOf(read.data).toEqualTypeOf<Json | null>()
  await client.rpc('read', { count: '5' })
  const silent = await client.rpc('silent')
  expectTypeOf(silent.data).not.toBeAny()

  // Rows of a table: without what is computed unless it is named, and with what is embedded.
  const rows = await client.rpc('found', { words: 'x' })
  expectTypeOf(rows.data).toEqualTypeOf<Note[] | null>()
  const shown = await client
    .rpc('found', { words: 'x' }, { get: true, count: 'exact' })
    .select('id, shout, users(name)')
    .eq('title', 'x')
    .order('at')
  expectTypeOf(shown.data).toEqualTypeOf<
    { id: number; shout: string; users: { name: string } }[] | null
  >()
  const single = await client.rpc('found', { words: 'x' }).select('title').single()
  expectTypeOf(single.data).toEqualTypeOf<{ title: string } | null>()
  const newest = await client.rpc('newest')
  expectTypeOf(newest.data).toEqualTypeOf<Note | null>()
  const named = await client.rpc('newest').select('id')
  expectTypeOf(named.data).toEqualTypeOf<{ id: number } | null>()

  const hits = await client.rpc('hits')
  expectTypeOf(hits.data).toEqualTypeOf<
    { id: number; at: string | null; kind: 'a' | 'b' }[] | null
  >()
  const hit = await client.rpc('hit').select('id')
  expectTypeOf(hit.data).toEqualTypeOf<{ id: number } | null>()

  // @ts-expect-error: no such function.
  client.rpc('nothing')
  // @ts-expect-error: a is missing.
  client.rpc('add', { b: 1 })
  // @ts-expect-error: a number.
  client.rpc('add', { a: 'x' })
  // @ts-expect-error: takes none.
  client.rpc('now', { a: 1 })
  // @ts-expect-error: the schema's input.
  client.rpc('read', { count: 5 })
  // @ts-expect-error: no such column.
  client.rpc('find', { words: 'x' }).select('id').eq('nothing', 1)
  // @ts-expect-error: hidden.
  client.rpc('found', { words: 'x' }).eq('secret', 'x').order('id')
  const wrong = await client.rpc('found', { words: 'x' }).select('id, secret').single()
  // @ts-expect-error: hidden.
  wrong.data?.secret.length
}

const astray = { astray: fn(v.object({}), () => true, { returns: 'nothing' }) }
// @ts-expect-error: no table of that name.
data(base, { identity, tables, functions: astray })
// @ts-expect-error: a row is no list of keys, and no condition.
fn(v.object({}), () => 'x', { returns: 'notes' })
// @ts-expect-error: of another type than declared.
fn(v.object({}), () => [{ id: 'x' }], { returns: { id: integer() } })
// @ts-expect-error: a row lacks a column.
fn(v.object({}), () => [{}], { returns: { id: integer() } })
// @ts-expect-error: no Standard Schema.
fn({}, () => 1)
// @ts-expect-error: args are those of the schema.
fn(words, (_scope, { word }) => word)
