import { env } from 'cloudflare:workers'
import { and, eq, exists, inArray, lte, ne, or, type SQL, sql } from 'drizzle-orm'
import { alias, integer, numeric, QueryBuilder, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Principal } from 'leanto'
import { data, expose } from 'leanto/data'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Ask, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { stored } from './store.ts'

const members = sqliteTable('members', { room: integer('room'), person: text('person') })
const messages = sqliteTable('messages', {
  id: integer('id').primaryKey(),
  room: integer('room').notNull(),
  author: text('author').notNull(),
  text: text('text').unique(),
})
/** Amounts up to 10, of one's own team: columns whose values SQL compares other than as texts. */
const budgets = sqliteTable('budgets', {
  id: integer('id').primaryKey(),
  team: integer('team'),
  amount: numeric('amount'),
  double: numeric('double').generatedAlwaysAs(sql`amount * 2`),
})
/** Born as drafts; then free. */
const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  state: text('state').default('draft'),
  text: text('text'),
  visible: integer('visible', { mode: 'boolean' }).notNull().default(true),
  slug: text('slug').$defaultFn(() => sql`lower(hex(randomblob(4)))` as never),
  touched: text('touched')
    .default('never')
    .$onUpdate(() => sql`'at ' || 5` as never),
})
const odd = sqliteTable('odd', { id: integer('id').primaryKey(), text: text('text') })
const secretKey = sqliteTable('secret_key', { id: integer('id').primaryKey(), text: text('text') })

const qb = new QueryBuilder()
const member = (who: Principal) =>
  exists(
    qb
      .select({ one: sql`1` })
      .from(members)
      .where(and(eq(members.room, messages.room), eq(members.person, who.id))),
  )
const others = alias(messages, 'others')
const underQuota = sql`(select count(*) from ${messages} as others where ${others.room} = ${messages.room}) < 4`

const people = {
  principal: async (_: unknown, request: Request): Promise<Principal> => {
    const claims = JSON.parse(request.headers.get('x-claims') ?? '{}')
    return { id: claims.sub ?? null, role: claims.sub ? 'authenticated' : 'anon', claims }
  },
}

let oddPolicy: () => unknown = () => true
const all = { select: () => true, insert: () => true, update: () => true, delete: () => true }
const store = data(makeBase(), {
  identity: people,
  tables: {
    messages: expose(messages, {
      select: member,
      insert: (who) => and(member(who), eq(messages.author, who.id), underQuota),
      update: (who) => and(member(who), eq(messages.author, who.id)),
      delete: (who) => or(eq(messages.author, who.id), inArray(messages.room, [])),
    }),
    budgets: expose(budgets, {
      select: (who) => eq(budgets.team, who.claims.team as number),
      insert: (who) => and(eq(budgets.team, who.claims.team as number), lte(budgets.amount, '10')),
      update: () => lte(budgets.amount, '10'),
    }),
    doubles: expose(budgets, {
      ...all,
      insert: () => lte(budgets.double, '8'),
      update: () => lte(budgets.double, '8'),
    }),
    posts: expose(posts, {
      ...all,
      select: () => eq(posts.visible, true),
      insert: () => eq(posts.state, 'draft'),
    }),
    odd: expose(odd, {
      select: () => oddPolicy() as SQL,
      insert: () => oddPolicy() as SQL,
      update: () => oddPolicy() as SQL,
      delete: () => oddPolicy() as SQL,
    }),
    secret_key: expose(secretKey, { ...all, hidden: ['id'] }),
  },
})
const mounted = mount({ '/': store })
const ask = async (
  path: string,
  { claims, prefer, ...options }: Ask & { claims?: unknown; prefer?: string },
) => {
  const headers: Record<string, string> = { ...(prefer ? { prefer } : {}) }
  if (claims) headers['x-claims'] = JSON.stringify(claims)
  const response = await mounted(path, { ...options, headers })
  const text = await response.text()
  return {
    status: response.status,
    body: text.startsWith('[') || text.startsWith('{') ? JSON.parse(text) : text,
  }
}

const full = 'return=representation'
const merge = 'resolution=merge-duplicates'
const ann = { sub: 'ann' }
const cy = { sub: 'cy' }

afterEach(() => vi.restoreAllMocks())
beforeEach(() =>
  freshDatabase(
    [store],
    [
      'CREATE TABLE members (room INTEGER, person TEXT)',
      'CREATE TABLE messages (id INTEGER PRIMARY KEY, room INTEGER NOT NULL, author TEXT NOT NULL, text TEXT UNIQUE)',
      'CREATE TABLE budgets (id INTEGER PRIMARY KEY, team INTEGER, amount NUMERIC, double NUMERIC AS (amount * 2))',
      `CREATE TABLE posts (id INTEGER PRIMARY KEY, state TEXT DEFAULT 'draft', text TEXT, visible INTEGER NOT NULL
         DEFAULT 1, slug TEXT, touched TEXT DEFAULT 'never')`,
      'CREATE TABLE odd (id INTEGER PRIMARY KEY, text TEXT)',
      'CREATE TABLE secret_key (id INTEGER PRIMARY KEY, text TEXT)',
      `INSERT INTO members VALUES (1, 'ann'), (1, 'ben'), (2, 'ben'), (2, 'cy')`,
      `INSERT INTO messages VALUES (1, 1, 'ann', 'hi'), (2, 1, 'ben', 'ho'), (3, 2, 'ben', 'secret')`,
      `INSERT INTO budgets (id, team, amount) VALUES (1, 5, 3), (2, 6, 3)`,
      `INSERT INTO odd VALUES (1, 'x')`,
    ],
  ),
)

describe('policies that look into other tables and their own', () => {
  it('read', async () => {
    const ids = async (claims: unknown) =>
      (await ask('/messages?select=id&order=id', { claims })).body.map(
        (row: { id: number }) => row.id,
      )
    expect(await ids(ann)).toEqual([1, 2])
    expect(await ids(cy)).toEqual([3])
    expect(await ids(undefined)).toEqual([])
  })

  it('insert: the new row is asked, as it will be', async () => {
    const say = (claims: object, room: number, text: string, more = {}) =>
      ask('/messages', { claims, body: { room, author: 'ann', text, ...more }, prefer: full })
    expect(await say(ann, 1, 'one')).toMatchObject({
      status: 201,
      body: [{ room: 1, text: 'one' }],
    })
    expect((await say(ann, 2, 'in')).status).toBe(403)
    expect((await say(cy, 1, 'in', { author: 'cy' })).status).toBe(403)
    expect((await say(cy, 2, 'as ann')).status).toBe(403)
    // Unique, and unreadable: what is refused does not tell.
    expect((await say(ann, 2, 'secret')).body.code).toBe('42501')
    expect(await stored('SELECT count(*) AS n FROM messages')).toEqual([{ n: 4 }])
  })

  it('insert: a quota holds, also within one payload', async () => {
    const rows = (...texts: string[]) => texts.map((text) => ({ room: 1, author: 'ann', text }))
    for (const prefer of ['', full])
      expect(
        (await ask('/messages', { claims: ann, body: rows('a', 'b', 'c'), prefer })).status,
      ).toBe(403)
    expect(await stored('SELECT count(*) AS n FROM messages')).toEqual([{ n: 3 }])
    expect((await ask('/messages', { claims: ann, body: rows('a') })).status).toBe(201)
    expect((await ask('/messages', { claims: ann, body: rows('b') })).status).toBe(403)
  })

  it('update: old row and new row', async () => {
    const patch = (claims: object, id: number, body: object) =>
      ask(`/messages?id=eq.${id}`, { method: 'PATCH', claims, body, prefer: full })
    expect((await patch(ann, 1, { text: 'changed' })).body).toMatchObject([{ text: 'changed' }])
    expect((await patch(ann, 2, { text: 'x' })).body).toEqual([])
    expect((await patch(ann, 3, { text: 'x' })).body).toEqual([])
    // Into a room that she is not in.
    expect((await patch(ann, 1, { room: 2 })).status).toBe(403)
    expect((await patch({ sub: 'ben' }, 2, { room: 2 })).body).toMatchObject([{ room: 2 }])
  })

  it('upsert', async () => {
    const put = (claims: { sub: string }, id: number, room = 1) =>
      ask('/messages', {
        claims,
        body: { id, room, author: claims.sub, text: `by ${claims.sub}` },
        prefer: `${merge}, ${full}`,
      })
    expect((await put(ann, 1)).status).toBe(200)
    expect((await put(ann, 2)).status).toBe(403)
    expect((await put(ann, 3)).status).toBe(403)
    expect((await put(ann, 1, 2)).status).toBe(403)
    expect((await put({ sub: 'ben' }, 3, 2)).status).toBe(200)
  })

  it('delete', async () => {
    expect(
      (await ask('/messages', { method: 'DELETE', claims: ann, prefer: full })).body,
    ).toMatchObject([{ id: 1 }])
    expect(await stored('SELECT id FROM messages')).toEqual([{ id: 2 }, { id: 3 }])
  })
})

describe('a policy finds a new row as it will find it in the table', () => {
  it('numbers compare as numbers, also against texts', async () => {
    const insert = async (amount: unknown, team: unknown = '5') =>
      (await ask('/budgets', { claims: { sub: 'a', team }, body: { team: 5, amount } })).status
    expect(await insert('9')).toBe(201)
    expect(await insert(9)).toBe(201)
    expect(await insert('100')).toBe(403)
    expect(await insert(10.5)).toBe(403)
    expect(await insert('9', 5)).toBe(201)
    expect(await insert('9', 6)).toBe(403)
    const patch = async (amount: unknown) =>
      (
        await ask('/budgets?id=eq.1', {
          method: 'PATCH',
          claims: { sub: 'a', team: '5' },
          body: { amount },
        })
      ).status
    expect(await patch('9')).toBe(204)
    expect(await patch('100')).toBe(403)
    expect(await patch(100)).toBe(403)
    expect(await stored('SELECT amount FROM budgets WHERE id = 1')).toEqual([{ amount: 9 }])
    const upsert = async (amount: unknown) =>
      (
        await ask('/budgets', {
          claims: { sub: 'a', team: '5' },
          body: { id: 1, team: 5, amount },
          prefer: merge,
        })
      ).status
    expect([await upsert('10.0'), await upsert('9'), await upsert('100')]).toEqual([200, 200, 403])
  })

  it('generated columns are those of the new row', async () => {
    const claims = { sub: 'a' }
    expect((await ask('/doubles', { claims, body: { amount: 4 } })).status).toBe(201)
    expect((await ask('/doubles', { claims, body: { amount: 5 } })).status).toBe(403)
    const patch = async (amount: number) =>
      (await ask('/doubles?id=eq.1', { method: 'PATCH', claims, body: { amount } })).status
    expect([await patch(4), await patch(4.5)]).toEqual([204, 403])
    const body = { id: 1, amount: 50 }
    expect((await ask('/doubles', { claims, body, prefer: merge })).status).toBe(403)
  })

  it('an update must not make a row unreadable; an insert may, if nothing comes back', async () => {
    await ask('/posts', { body: { id: 1, text: 'a' } })
    expect(
      (await ask('/posts?id=eq.1', { method: 'PATCH', body: { visible: false } })).status,
    ).toBe(401)
    expect((await ask('/posts', { body: { visible: false }, prefer: full })).status).toBe(401)
    expect((await ask('/posts', { body: { visible: false } })).status).toBe(201)
    expect(await stored('SELECT visible FROM posts ORDER BY id')).toEqual([
      { visible: 1 },
      { visible: 0 },
    ])
  })

  it('a row that exists need not pass the insert policy once more', async () => {
    await env.DB.prepare(`INSERT INTO posts (id, state, text) VALUES (1, 'published', 'old')`).run()
    const upsert = (body: object) => ask('/posts', { body, prefer: `${merge}, ${full}` })
    expect(await upsert({ id: 1, text: 'new' })).toMatchObject({
      status: 200,
      body: [{ state: 'published', text: 'new' }],
    })
    expect((await upsert({ id: 2, state: 'published' })).status).toBe(401)
  })
})

it('a default that the database has and drizzle does not know of is checked once it is there', async () => {
  await env.DB.batch([
    env.DB.prepare('DROP TABLE posts'),
    env.DB.prepare(
      `CREATE TABLE posts (id INTEGER PRIMARY KEY, state TEXT DEFAULT 'published', text TEXT, visible INTEGER NOT NULL
         DEFAULT 1, slug TEXT, touched TEXT)`,
    ),
  ])
  for (const prefer of ['', full])
    expect((await ask('/posts', { body: { text: 'x' }, prefer })).body.code).toBe('42501')
  expect(await stored('SELECT * FROM posts')).toEqual([])
})

it('defaults may be SQL', async () => {
  const made = await ask('/posts?columns=text,slug', {
    body: [{ text: 'a' }, { text: 'b', slug: 'given' }],
    prefer: `${full}, missing=default`,
  })
  expect(made.body).toMatchObject([
    { slug: expect.stringMatching(/^[0-9a-f]{8}$/), touched: 'never' },
    { slug: 'given', touched: 'never' },
  ])
  const patched = await ask('/posts?id=eq.1', {
    method: 'PATCH',
    body: { text: 'c' },
    prefer: full,
  })
  expect(patched.body).toMatchObject([{ text: 'c', touched: 'at 5' }])
  const body = { id: 2, text: 'd' }
  const upserted = await ask('/posts', { body, prefer: `${merge}, ${full}` })
  expect(upserted.body).toMatchObject([{ text: 'd', slug: 'given', touched: 'at 5' }])
})

describe('what a policy may say', () => {
  const outcome = async (policy: () => unknown) => {
    oddPolicy = policy
    const read = await ask('/odd', {})
    const write = await ask('/odd', { body: { text: 'new' } })
    const change = await ask('/odd', { method: 'PATCH', body: { text: 'changed' } })
    await ask('/odd', { method: 'DELETE' })
    const left = (await stored('SELECT text FROM odd')).map((row) => row.text)
    return [read.status === 200 ? read.body.length : read.status, write.status, change.status, left]
  }
  it('true is all', async () => {
    expect(await outcome(() => true)).toEqual([1, 201, 204, []])
  })
  it.each([
    ['false', () => false],
    ['undefined', () => undefined],
    ['null', () => null],
    ['an empty and()', () => and()],
    ['an empty list', () => inArray(odd.id, [])],
    ['a claim that is not there', () => eq(odd.text, undefined as never)],
    ['sql null', () => sql`null`],
    ['never', () => ne(odd.id, odd.id)],
  ])('%s is none', async (_, policy) => {
    expect(await outcome(policy)).toEqual([0, 401, 204, ['x']])
  })
  it.each<[string, () => unknown]>([
    [
      'one that throws',
      () => {
        throw new Error('SELECT secret FROM host')
      },
    ],
    ['a promise', () => Promise.resolve(true)],
  ])('%s is a bug, and closed', async (_, policy) => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    expect(await outcome(policy)).toEqual([500, 500, 500, ['x']])
    expect(logged).toHaveBeenCalledTimes(4)
    expect((await ask('/odd', {})).body).toEqual({
      code: 'XX000',
      message: 'Internal server error',
      details: null,
      hint: null,
    })
  })
})

it('a hidden key is no key for clients', async () => {
  const put = (name: string) =>
    ask(`/secret_key?${name}=eq.1`, { method: 'PUT', body: { text: 'x' } })
  expect((await put('id')).body).toEqual((await put('nothing')).body)
  const made = await ask('/secret_key', { body: { text: 'x' }, prefer: 'return=headers-only' })
  expect(made.status).toBe(201)
  expect((await ask('/secret_key', { body: {}, prefer: full })).body).toEqual([{ text: null }])
})
