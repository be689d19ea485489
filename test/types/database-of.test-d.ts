import { createClient } from '@supabase/supabase-js'
import { eq, sql } from 'drizzle-orm'
import {
  blob,
  integer,
  numeric,
  primaryKey,
  real,
  sqliteTable,
  text,
} from 'drizzle-orm/sqlite-core'
import { bind } from 'leanto'
import { type DatabaseOf, data, expose } from 'leanto/data'
import { expectTypeOf } from 'vitest'
import type { Json } from '../../src/data/database-of.ts'

/*
 * Nothing here runs: `tsc -p test` is the test. Columns go by their SQL names, values by their form on the wire.
 */

const things = sqliteTable('things', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  ownerId: text('owner_id').notNull(),
  title: text('title').notNull(),
  body: text('body'),
  done: integer('done', { mode: 'boolean' }).notNull().default(false),
  colour: text('colour', { enum: ['red', 'blue'] }).notNull(),
  shade: text('shade', { enum: ['light', 'dark'] }),
  meta: text('meta', { mode: 'json' }).$type<{ tags: string[] }>(),
  anything: text('anything', { mode: 'json' }),
  rank: real('rank'),
  price: numeric('price'),
  amount: numeric('amount', { mode: 'number' }),
  big: blob('big', { mode: 'bigint' }),
  bytes: blob('bytes', { mode: 'buffer' }),
  at: integer('at', { mode: 'timestamp_ms' }).notNull(),
  madeAt: integer('made_at', { mode: 'timestamp' }).notNull().default(sql`(unixepoch())`),
  slug: text('slug')
    .notNull()
    .$defaultFn(() => 'slug'),
  touched: integer('touched')
    .notNull()
    .$onUpdate(() => 1),
  secret: text('secret').notNull().default(''),
  score: integer('score').notNull().default(0),
  double: integer('double').generatedAlwaysAs(sql`score * 2`),
})
const pairs = sqliteTable(
  'pairs',
  { left: text('left').notNull(), right: text('right').notNull(), value: integer('value') },
  (t) => [primaryKey({ columns: [t.left, t.right] })],
)

type Id = string & { readonly brand: 'id' }
interface Tree {
  at: Date
  leaves?: (Tree | bigint)[]
}
const typedJson = sqliteTable('typed_json', {
  id: text('id').$type<Id>().primaryKey(),
  tree: text('tree', { mode: 'json' }).$type<Tree>().notNull(),
  pair: text('pair', { mode: 'json' }).$type<readonly [Date, 'x' | 1]>(),
  any: text('any', { mode: 'json' }).$type<Json>().notNull(),
  version: integer('version').notNull(),
  changedBy: text('changed_by').notNull(),
})

const store = data(
  bind<{ DB: never }>({ db: (env) => env.DB, kv: () => ({}) as never, secret: () => '' }),
  {
    identity: { principal: async () => ({}) as never },
    tables: {
      things: expose(things, {
        select: (who) => eq(things.ownerId, who.id),
        defaults: { ownerId: (who) => who.id },
        hidden: ['secret'],
        readOnly: ['score'],
      }),
      renamed: expose(pairs, { select: () => true }),
      typed_json: expose(typedJson, { version: 'version', set: { changedBy: (who) => who.id } }),
    },
  },
)
type Database = DatabaseOf<typeof store>
type Things = Database['public']['Tables']['things']
const client = createClient<Database>('https://app.example', 'key')

// Rows: nullable, dates as strings, booleans, enums, $type, any JSON, digits as strings. The hidden column is absent.
expectTypeOf<Things['Row']>().toEqualTypeOf<{
  id: number
  owner_id: string
  title: string
  body: string | null
  done: boolean
  colour: 'red' | 'blue'
  shade: 'light' | 'dark' | null
  meta: { tags: string[] } | null
  anything: Json | null
  rank: number | null
  price: string | null
  amount: number | null
  big: string | null
  bytes: string | null
  at: string
  made_at: string
  slug: string
  touched: number
  score: number
  double: number | null
}>()

// Inserts: what has a default of any kind, or may be null, may be left out; read-only and generated ones cannot be.
type Insert = Things['Insert']
expectTypeOf<Pick<Insert, 'title' | 'colour' | 'at'>>().toEqualTypeOf<{
  title: string
  colour: 'red' | 'blue'
  at: string
}>()
const least: Insert = { title: 'a', colour: 'red', at: '2026-01-01' }
const most: Insert = {
  ...least,
  id: 1,
  owner_id: 'x',
  body: null,
  done: true,
  shade: null,
  meta: { tags: [] },
  anything: [1, { a: null }],
  big: '1',
  made_at: '2026-01-01',
  slug: 'x',
  touched: 1,
}
expectTypeOf<keyof Insert & ('score' | 'double' | 'secret')>().toEqualTypeOf<never>()
// @ts-expect-error: title has no default.
const lacking: Insert = { colour: 'red', at: '2026-01-01' }
// @ts-expect-error: title is not nullable.
const nulled: Insert = { ...least, title: null }
// @ts-expect-error: no colour of that name.
const green: Insert = { ...least, colour: 'green' }
// @ts-expect-error: a date is a string on the wire.
const dated: Insert = { ...least, at: new Date() }
// @ts-expect-error: read-only.
const scored: Insert = { ...least, score: 1 }
// @ts-expect-error: generated.
const doubled: Insert = { ...least, double: 1 }
// @ts-expect-error: hidden.
const hidden: Insert = { ...least, secret: 'x' }
// @ts-expect-error: keys are SQL names.
const keyed: Insert = { ...least, ownerId: 'x' }
// @ts-expect-error: not of the $type.
const typed: Insert = { ...least, meta: { tags: 'x' } }

// Updates: all optional, the same columns.
type Update = Things['Update']
expectTypeOf<Update['title']>().toEqualTypeOf<string | undefined>()
expectTypeOf<Update['body']>().toEqualTypeOf<string | null | undefined>()
expectTypeOf<keyof Update>().toEqualTypeOf<Exclude<keyof Things['Row'], 'score' | 'double'>>()

// Table names are those of the URL.
expectTypeOf<keyof Database['public']['Tables']>().toEqualTypeOf<
  'things' | 'renamed' | 'typed_json'
>()

// JSON of a `$type` as it travels, to any depth; a branded text stays one. What the server sets cannot be written.
type Typed = Database['public']['Tables']['typed_json']
interface WireTree {
  at: string
  leaves?: (WireTree | string)[]
}
expectTypeOf<Typed['Row']['id']>().toEqualTypeOf<Id>()
expectTypeOf<Typed['Row']['tree']>().toEqualTypeOf<WireTree>()
expectTypeOf<Typed['Row']['pair']>().toEqualTypeOf<readonly [string, 'x' | 1] | null>()
expectTypeOf<Typed['Row']['any']>().toEqualTypeOf<Json>()
expectTypeOf<keyof Typed['Insert']>().toEqualTypeOf<'id' | 'tree' | 'pair' | 'any'>()
expectTypeOf<keyof Typed['Update']>().toEqualTypeOf<'id' | 'tree' | 'pair' | 'any'>()

export async function stockClient() {
  const all = await client.from('things').select()
  expectTypeOf(all.data).toEqualTypeOf<Things['Row'][] | null>()
  const some = await client.from('things').select('id, at, done, name:title').single()
  expectTypeOf(some.data).toEqualTypeOf<{
    id: number
    at: string
    done: boolean
    name: string
  } | null>()
  const one = await client.from('renamed').select('value').eq('left', 'a').maybeSingle()
  expectTypeOf(one.data).toEqualTypeOf<{ value: number | null } | null>()

  await client.from('things').insert(least)
  await client.from('things').insert([least, most]).select('slug')
  await client.from('things').update({ done: true, body: null }).eq('id', 1)
  await client.from('things').upsert({ ...least, id: 1 }, { onConflict: 'id' })
  await client.from('renamed').upsert({ left: 'a', right: 'b' })

  // @ts-expect-error: no such table.
  client.from('nothing')
  // @ts-expect-error: no such column.
  client.from('things').select().eq('nothing', 1)
  // @ts-expect-error: a number is no title.
  client.from('things').select().eq('title', 5)
  // @ts-expect-error: hidden.
  client.from('things').select().eq('secret', 'x').order('id')
  // @ts-expect-error: read-only.
  client.from('things').update({ score: 1 })
  // @ts-expect-error: generated.
  client.from('things').insert({ ...least, double: 1 })
  // @ts-expect-error: no default.
  client.from('renamed').insert({ left: 'a' })
  const wrong = await client.from('things').select('id, secret').single()
  // @ts-expect-error: a hidden column is no column of the answer.
  wrong.data?.secret.length
}

export type Unused = [
  typeof lacking,
  typeof nulled,
  typeof green,
  typeof dated,
  typeof scored,
  typeof doubled,
  typeof hidden,
  typeof keyed,
  typeof typed,
]
