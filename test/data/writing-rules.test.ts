import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { data, expose } from 'leanto/data'
import * as v from 'valibot'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Ask, makeBase, mount } from '../kit/world.ts'
import { alice, bob, people } from './store.ts'
import { call, dump, rows, seed } from './writing-world.ts'

beforeEach(seed)

const full = 'return=representation'

describe('columns that the server sets', () => {
  it('are set at every insert and update, by who asks', async () => {
    const made = await call('/stamped?select=*', {
      token: alice,
      body: { text: 'x' },
      prefer: full,
    })
    expect(made.body).toEqual([
      { id: 3, text: 'x', created_by: 'alice', updated_by: 'alice', tenant: 't-alice' },
    ])
    await call('/stamped?id=eq.3', { method: 'PATCH', token: alice, body: { text: 'y' } })
    expect(await rows('SELECT created_by, updated_by, tenant FROM stamped WHERE id = 3')).toEqual([
      { created_by: 'alice', updated_by: 'alice', tenant: 't-alice' },
    ])
  })

  it('also where an upsert updates', async () => {
    const open = { select: () => true, insert: () => true, update: () => true }
    const table = sqliteTable('stamped', {
      id: integer('id').primaryKey(),
      text: text('text'),
      updatedBy: text('updated_by'),
      tenant: text('tenant').notNull(),
    })
    const ask = mount({
      '/': data(makeBase(), {
        identity: people,
        tables: { stamped: expose(table, { ...open, set: { updatedBy: (who) => who.id } }) },
      }),
    })
    for (const [method, path, prefer] of [
      ['POST', '/stamped', 'resolution=merge-duplicates'],
      ['PUT', '/stamped?id=eq.1', ''],
    ] as const) {
      await ask(path, {
        method,
        token: bob,
        body: { id: 1, text: 'z', tenant: 't' },
        headers: { prefer },
      })
      expect(await rows('SELECT updated_by, tenant FROM stamped WHERE id = 1')).toEqual([
        { updated_by: 'bob', tenant: 't' },
      ])
      await seed()
    }
  })

  it('case 40: are not the client’s to write, in no way of writing', async () => {
    const before = await dump()
    for (const [path, method, body] of [
      ['/stamped', 'POST', { text: 'x', updated_by: 'bob' }],
      ['/stamped', 'POST', [{ text: 'x', tenant: 't-bob' }]],
      ['/stamped?id=eq.1', 'PATCH', { updated_by: 'bob' }],
      ['/stamped?id=eq.1', 'PATCH', { tenant: 't-bob' }],
      ['/stamped?id=eq.1', 'PUT', { id: 1, updated_by: 'bob' }],
      ['/stamped?columns=updated_by', 'POST', {}],
    ] as const) {
      const answer = await call(path, { method, body, token: alice })
      expect([answer.status, answer.body.code]).toEqual([403, '42501'])
    }
    const csv = await call('/stamped', {
      token: alice,
      body: 'text,updated_by\nx,bob',
      headers: { 'content-type': 'text/csv' },
    })
    expect(csv.status).toBe(403)
    expect(await dump()).toBe(before)
  })

  it('are the service’s, and set for it where it leaves them out', async () => {
    const body = { text: 'x', tenant: 't-bob', updated_by: 'import', created_by: 'bob' }
    await call('/stamped', { key: 'secret', body })
    expect(
      await rows('SELECT text, tenant, updated_by, created_by FROM stamped WHERE id = 3'),
    ).toEqual([body])
    await call('/stamped?id=eq.3', {
      method: 'PATCH',
      key: 'secret',
      body: { text: 'y', tenant: 't-bob' },
    })
    expect(await rows('SELECT updated_by FROM stamped WHERE id = 3')).toEqual([
      { updated_by: null },
    ])
  })

  it('are seen by the policies as they will be', async () => {
    // Her policy asks that the row be stamped by her before she changes it.
    const other = await call('/stamped?id=eq.2', {
      method: 'PATCH',
      token: alice,
      body: { text: 'x' },
      prefer: full,
    })
    expect(other.body).toEqual([])
    const own = await call('/stamped?id=eq.1', {
      method: 'PATCH',
      token: alice,
      body: { text: 'x' },
      prefer: full,
    })
    expect(own.body[0]).toMatchObject({ updated_by: 'alice' })
  })
})

/** A schema of a whole row, and one of a part; and one that takes its time. */
const title = v.pipe(v.string(), v.trim(), v.minLength(3, 'too short'))
const whole = v.object({
  id: v.optional(v.number()),
  text: title,
  tags: v.optional(v.array(v.pipe(v.string(), v.maxLength(5, 'tag too long')))),
})
const slow = v.pipeAsync(
  v.objectAsync({
    id: v.optional(v.number()),
    text: v.pipeAsync(
      v.string(),
      v.checkAsync(async (text) => text !== 'taken', 'taken'),
    ),
  }),
  v.transform((row) => ({ ...row, text: row.text.toUpperCase() })),
)
const checked = sqliteTable('plain', { id: integer('id').primaryKey(), text: text('text') })
const tagged = sqliteTable('tagged', {
  id: integer('id').primaryKey(),
  text: text('text'),
  tags: text('tags', { mode: 'json' }),
  score: integer('score'),
})
const open = { select: () => true, insert: () => true, update: () => true, delete: () => true }
const store = data(makeBase(), {
  identity: people,
  tables: {
    tagged: expose(tagged, {
      ...open,
      readOnly: ['score'],
      schema: { insert: whole, update: v.partial(whole) },
    }),
    both: expose(checked, {
      ...open,
      schema: v.object({ id: v.optional(v.number()), text: v.optional(title) }),
    }),
    slow: expose(checked, { ...open, schema: slow }),
    closed: expose(checked, { schema: v.never() as never }),
    strange: expose(checked, {
      ...open,
      schema: v.pipe(
        v.looseObject({}),
        v.transform((row) => ({ ...row, nothing: 1 })),
      ),
    }),
  },
})
const asked = mount({ '/': store })

async function ask(path: string, options: Ask & { prefer?: string }) {
  const response = await asked(path, {
    token: alice,
    ...options,
    headers: { prefer: options.prefer ?? full, ...options.headers },
  })
  const text = await response.text()
  return {
    status: response.status,
    body: text.startsWith('[') || text.startsWith('{') ? JSON.parse(text) : text,
  }
}

describe('a schema', () => {
  beforeEach(async () => {
    const { env } = await import('cloudflare:workers')
    await env.DB.prepare(
      'CREATE TABLE tagged (id INTEGER PRIMARY KEY, text TEXT, tags TEXT, score INTEGER)',
    ).run()
  })

  it('makes of a row what is written', async () => {
    expect((await ask('/tagged', { body: { text: '  fine  ', tags: ['a'] } })).body).toEqual([
      { id: 1, text: 'fine', tags: ['a'], score: null },
    ])
    expect(
      (await ask('/tagged?id=eq.1', { method: 'PATCH', body: { text: ' also fine ' } })).body[0]
        .text,
    ).toBe('also fine')
    expect((await ask('/slow', { body: { text: 'loud' } })).body[0].text).toBe('LOUD')
    const put = await ask('/tagged?id=eq.1', { method: 'PUT', body: { id: 1, text: ' put ' } })
    expect(put.body[0].text).toBe('put')
  })

  it.each([
    ['/tagged', 'POST', { text: 'x' }, 'text: too short'],
    ['/tagged', 'POST', {}, 'text: '],
    ['/tagged', 'POST', [{ text: 'fine' }, { text: 'x' }], '1.text: too short'],
    ['/tagged', 'POST', { text: 'fine', tags: ['ok', 'too long it is'] }, 'tags.1: tag too long'],
    ['/tagged?id=eq.1', 'PATCH', { text: 'x' }, 'text: too short'],
    ['/tagged?id=eq.1', 'PUT', { id: 1, text: 'x' }, 'text: too short'],
    ['/tagged?id=eq.1', 'PUT', { id: 1 }, 'text: '],
    ['/both?id=eq.1', 'PATCH', { text: 'x' }, 'text: too short'],
    ['/both', 'POST', { text: 'x' }, 'text: too short'],
    ['/slow', 'POST', { text: 'taken' }, 'text: taken'],
    ['/tagged?columns=text', 'POST', [{ tags: ['ok'] }], 'text: '],
    ['/tagged?columns=id,text', 'PATCH', { id: 1 }, 'text: '],
  ])('%s %s %j: %s', async (path, method, body, message) => {
    const before = await dump()
    const answer = await ask(path, { method, body })
    expect([answer.status, answer.body.code]).toEqual([400, '22023'])
    expect(answer.body.message).toContain('is not valid: ')
    expect(answer.body.details).toContain(message)
    const upsert =
      method === 'POST'
        ? await ask(path, { method, body, prefer: 'resolution=merge-duplicates' })
        : answer
    expect(upsert.status).toBe(400)
    expect(await dump()).toBe(before)
  })

  it('tells each row’s issues, and not more than a few', async () => {
    const answer = await ask('/tagged', {
      body: Array.from({ length: 500 }, () => ({ text: 'x' })),
    })
    const lines = answer.body.details.split('\n')
    expect([lines.length, lines[0], lines[19]]).toEqual([
      20,
      '0.text: too short',
      '19.text: too short',
    ])
  })

  it('is asked beside drizzle’s types, and cannot open what is closed', async () => {
    expect((await ask('/both', { body: { id: 1.5, text: 'fine' } })).body.code).toBe('22P02')
    expect((await ask('/tagged', { body: { text: 'fine', score: 1 } })).body.code).toBe('42501')
    // It would drop the column: the client learns all the same that there is none.
    expect((await ask('/tagged', { body: { text: 'fine', nonsense: 1 } })).body.code).toBe(
      'PGRST204',
    )
    expect((await ask('/closed', { body: { text: 'fine' } })).status).toBe(403)
    expect((await ask('/strange', { body: { text: 'fine' } })).body.code).toBe('PGRST204')
  })

  it('sees the columns that count, as they were sent', async () => {
    const answer = await ask('/tagged?columns=text', { body: [{ text: 'fine', nonsense: 1 }] })
    expect(answer.status).toBe(201)
    // Text is what CSV holds.
    const csv = await ask('/both', {
      body: 'id,text\n77,fine',
      headers: { 'content-type': 'text/csv' },
    })
    expect(csv.body).toMatchObject({ code: '22023', details: expect.stringContaining('id: ') })
  })

  it('is asked for the service too: it says what a row is, not who may', async () => {
    const response = await asked('/tagged', { key: 'secret', body: { text: 'x' } })
    expect(response.status).toBe(400)
  })

  it('of 3,000 rows', async () => {
    const answer = await ask('/slow', {
      body: Array.from({ length: 3000 }, (_, i) => ({ text: `${i}` })),
      prefer: 'return=minimal',
    })
    expect(answer.status).toBe(201)
    expect(await rows('SELECT count(*) AS n FROM plain')).toEqual([{ n: 3003 }])
  })
})
