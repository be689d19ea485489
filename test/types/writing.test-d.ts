import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { bind } from 'leanto'
import { type DatabaseOf, data, expose } from 'leanto/data'
import * as v from 'valibot'
import { expectTypeOf } from 'vitest'

/* Nothing here runs: `tsc -p test` is the test. What the server sets is no client's to write, but is there to be read. */

const notes = sqliteTable('notes', {
  id: integer('id').primaryKey(),
  title: text('title').notNull(),
  updatedBy: text('updated_by').notNull(),
  tenant: text('tenant').notNull(),
  secret: text('secret').notNull(),
  rev: integer('rev').notNull(),
})

const base = bind({ db: () => null as never, kv: () => null as never, secret: () => '' })
const identity = { principal: () => null as never }

const store = data(base, {
  identity,
  tables: {
    notes: expose(notes, {
      set: { updatedBy: (who) => who.id, tenant: (who) => String(who.claims.org) },
      version: 'rev',
      hidden: ['secret'],
      schema: v.object({ title: v.string() }),
    }),
    both: expose(notes, {
      schema: {
        insert: v.object({ title: v.string() }),
        update: v.partial(v.object({ title: v.string() })),
      },
    }),
  },
})

type Tables = DatabaseOf<typeof store>['public']['Tables']

expectTypeOf<Tables['notes']['Row']>().toEqualTypeOf<{
  id: number
  title: string
  updated_by: string
  tenant: string
  rev: number
}>()
expectTypeOf<keyof Tables['notes']['Insert']>().toEqualTypeOf<'id' | 'title'>()
expectTypeOf<Tables['notes']['Update']>().toEqualTypeOf<{ id?: number; title?: string }>()
expectTypeOf<keyof Tables['both']['Update']>().toEqualTypeOf<
  'id' | 'title' | 'updated_by' | 'tenant' | 'secret' | 'rev'
>()

// @ts-expect-error: no column of it
expose(notes, { version: 'nothing' })
// @ts-expect-error: no column of it
expose(notes, { set: { nothing: () => 1 } })
// @ts-expect-error: not what the column holds
expose(notes, { set: { updatedBy: () => 5 } })
// @ts-expect-error: one of the two is missing, and nothing would check updates
expose(notes, { schema: { insert: v.object({}) } })
// @ts-expect-error: no count
data(base, { identity, tables: {}, batch: { operations: '5' } })
