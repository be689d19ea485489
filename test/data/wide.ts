import { eq } from 'drizzle-orm'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { data, expose } from 'leanto/data'
import { type Ask, makeBase, mount } from '../kit/world.ts'
import { people } from './store.ts'

const columns = Object.fromEntries(
  Array.from({ length: 99 }, (_, i) => [`c${i}`, text(`c${i}`)] as const),
)
const wide = sqliteTable('wide', { id: integer('id').primaryKey(), ...columns })
const policy = () => eq(wide.id, 1)
const mounted = mount({
  '/': data(makeBase(), {
    identity: people,
    tables: { wide: expose(wide, { select: policy, insert: policy, update: policy }) },
  }),
})

/** Asks a table of 100 columns. */
export async function askWide(options: Ask) {
  const response = await mounted('/wide', {
    ...options,
    headers: { prefer: 'return=representation' },
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown>[] }
}
