import { env } from 'cloudflare:workers'
import { customType, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { data, expose } from 'leanto/data'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeBase, mount } from '../kit/world.ts'
import { full } from './preferences.ts'
import { fresh, people, stored } from './store.ts'

beforeAll(fresh)

describe('the host’s own types', () => {
  const upper = customType<{ data: string; driverData: string }>({
    dataType: () => 'text',
    toDriver: (value) => value.toUpperCase(),
    fromDriver: (value) => value.toLowerCase(),
  })
  const octets = customType<{ data: Uint8Array; driverData: ArrayBuffer }>({
    dataType: () => 'blob',
    toDriver: (value) => Uint8Array.from(value).buffer,
    fromDriver: (value) => [...new Uint8Array(value)] as never,
  })
  const own = sqliteTable('own', {
    id: integer('id').primaryKey(),
    name: upper('name'),
    data: octets('data'),
    made: text('made').$defaultFn(() => 'made here'),
  })
  const ask = mount({
    '/': data(makeBase(), {
      identity: people,
      tables: { own: expose(own, { select: () => true, insert: () => true, update: () => true }) },
    }),
  })
  it('are read and written by their own conversion', async () => {
    await env.DB.prepare(
      'CREATE TABLE IF NOT EXISTS own (id INTEGER PRIMARY KEY, name TEXT, data BLOB, made TEXT)',
    ).run()
    const made = await ask('/own', {
      body: { name: 'abc', data: [1, 2, 255] },
      headers: { prefer: full },
    })
    expect(await made.json()).toEqual([
      { id: 1, name: 'abc', data: [1, 2, 255], made: 'made here' },
    ])
    expect(await stored('SELECT name, hex(data) AS data FROM own')).toEqual([
      { name: 'ABC', data: '0102FF' },
    ])
    expect(await (await ask('/own?select=id&name=eq.aBc')).json()).toEqual([{ id: 1 }])
  })
  it('a value that its conversion cannot take is 22P02', async () => {
    for (const body of [{ name: 5 }, { name: { a: 1 } }, { name: [] }]) {
      const response = await ask('/own', { body })
      const { code } = (await response.json()) as { code: string }
      expect([body, response.status, code]).toEqual([body, 400, '22P02'])
    }
  })
})
