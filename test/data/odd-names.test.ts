import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { data, expose } from 'leanto/data'
import { beforeEach, expect, it } from 'vitest'
import { freshDatabase, makeBase, mount } from '../kit/world.ts'
import { people } from './store.ts'

/* Names that the host may give, and headers cannot hold as they are. */

const words = sqliteTable('wörter 表', {
  id: integer('№ "x"').primaryKey(),
  text: text('söme text'),
})
const all = { select: () => true, insert: () => true, update: () => true, delete: () => true }
const store = data(makeBase(), {
  identity: people,
  tables: { 'wörter 表': expose(words, all), 'a"b\'c': expose(words, all) },
})
const ask = mount({ '/r': store })

beforeEach(() =>
  freshDatabase(
    [store],
    [`CREATE TABLE "wörter 表" ("№ ""x""" INTEGER PRIMARY KEY, "söme text" TEXT)`],
  ),
)

it.each(['wörter 表', 'a"b\'c'])('the table %s is read and written', async (name) => {
  const path = `/r/${encodeURIComponent(name)}`
  const body = { '№ "x"': 5, 'söme text': 'x' }
  const made = await ask(path, { body, headers: { prefer: 'return=headers-only' } })
  expect(made.status).toBe(201)
  const location = made.headers.get('location') as string
  const found = await ask(`/r${location}`)
  expect([found.status, await found.json()]).toEqual([200, [body]])
  expect(decodeURIComponent(found.headers.get('content-location') as string)).toBe(
    decodeURIComponent(location),
  )
  const column = encodeURIComponent('"söme text"')
  const changed = await ask(`${path}?${column}=eq.x&select=${column}`, {
    method: 'PATCH',
    body: { 'söme text': 'y' },
    headers: { prefer: 'return=representation' },
  })
  expect(await changed.json()).toEqual([{ 'söme text': 'y' }])
  const batch = await ask('/r/batch', {
    body: { operations: [{ method: 'GET', path: `/${encodeURIComponent(name)}` }] },
  })
  expect([batch.status, await batch.text()]).toEqual([200, expect.stringContaining('"y"')])
  expect((await ask('/r/', {})).status).toBe(200)
  const wrong = await ask(`${path}?${encodeURIComponent('nö')}=eq.1`)
  expect(wrong.status).toBe(400)
})
