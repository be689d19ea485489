import { env } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import { sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { data, expose } from 'leanto/data'
import { expect, it } from 'vitest'
import { freshDatabase, makeBase, mount } from '../kit/world.ts'

/* A Worker may have two databases with tables of one name, whose columns are not the same. */

const anyone = {
  principal: async () => ({ id: 'ann', role: 'authenticated' as const, claims: {} }),
}

it('a table is its own, whatever another one of its name has', async () => {
  const one = sqliteTable('things', { id: text().primaryKey(), first: text() })
  const other = sqliteTable('things', { id: text().primaryKey(), second: text() })
  await freshDatabase([])
  await env.DB.prepare('CREATE TABLE things (id TEXT PRIMARY KEY, first TEXT, second TEXT)').run()
  await env.DB.prepare(`INSERT INTO things VALUES ('a', 'ann', 'bob'), ('b', 'bob', 'ann')`).run()
  const [ofOne, ofOther] = [
    data(makeBase(), {
      identity: anyone,
      tables: { things: expose(one, { select: (who) => eq(one.first, who.id) }) },
    }),
    data(makeBase(), {
      identity: anyone,
      tables: { things: expose(other, { select: (who) => eq(other.second, who.id) }) },
    }),
  ]
  const read = async (module: typeof ofOne) =>
    (await mount({ '/rest/v1': module as never })('/rest/v1/things')).json()
  expect(await read(ofOne)).toEqual([{ id: 'a', first: 'ann' }])
  expect(await read(ofOther as never)).toEqual([{ id: 'b', second: 'ann' }])
})
