import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { alice } from './store.ts'
import { call, dump, rows, seed } from './writing-world.ts'

beforeEach(seed)

const write = (path: string, body: unknown, options = {}) =>
  call(path, { token: alice, body, ...options })

describe('a broken constraint has Postgres’s code and its name, and no SQL', () => {
  it.each([
    [
      '/notes',
      { title: 'a' },
      409,
      '23505',
      'duplicate key value violates unique constraint "notes_owner_title"',
    ],
    [
      '/plain',
      { id: 1 },
      409,
      '23505',
      'duplicate key value violates unique constraint "plain_pkey"',
    ],
    [
      '/pairs',
      { a: 'x', b: 1 },
      409,
      '23505',
      'duplicate key value violates unique constraint "pairs_pkey"',
    ],
    [
      '/limits',
      { n: 1, code: 'a' },
      409,
      '23505',
      'duplicate key value violates unique constraint "limits_code"',
    ],
    [
      '/limits',
      { n: 0 },
      400,
      '23514',
      'new row for relation "limits" violates check constraint "limits_positive"',
    ],
    [
      '/comments',
      { note_id: 99, text: 'x' },
      409,
      '23503',
      'insert or update on table "comments" violates foreign key constraint "comments_note_id_fkey"',
    ],
    [
      '/comments',
      { note_id: null, text: 'x' },
      400,
      '23502',
      'null value in column "note_id" of relation "comments" violates not-null constraint',
    ],
  ])('%s %j is %i %s', async (path, body, status, code, message) => {
    const before = await dump()
    const answer = await write(path, body)
    expect([answer.status, answer.body.code, answer.body.message]).toEqual([status, code, message])
    expect(answer.text).not.toMatch(/SQLITE|D1_|failed|length\(/)
    expect(await dump()).toBe(before)
  })

  it('an update names it as an insert does, where it can be no other', async () => {
    const updated = await write('/comments?id=eq.1', { note_id: 99 }, { method: 'PATCH' })
    expect(updated.body.message).toContain('"comments_note_id_fkey"')
    // The key of a note may be what the comments refer to, or what it refers to itself.
    const moved = await write('/notes?id=eq.1', { id: 50 }, { method: 'PATCH' })
    expect(moved.body).toMatchObject({
      code: '23503',
      message: 'insert or update on table "notes" violates foreign key constraint',
    })
    const removed = await call('/notes?id=eq.1', { method: 'DELETE', token: alice })
    expect([removed.status, removed.body.message]).toEqual([
      409,
      'update or delete on table "notes" violates foreign key constraint',
    ])
  })

  it('case 35: what it names is not hidden', async () => {
    const wrong = { id: 1, n: 1, hidden: 'too long' }
    // The service may know.
    const service = await call('/limits?id=eq.1', { method: 'PATCH', key: 'secret', body: wrong })
    expect(service.body.message).toContain('"limits_hidden_short"')
    await env.DB.prepare(
      `CREATE TRIGGER fill AFTER INSERT ON limits WHEN new.n = 7 BEGIN UPDATE limits SET hidden = 'too long' WHERE id = new.id; END`,
    ).run()
    await env.DB.prepare(
      'CREATE UNIQUE INDEX limits_hidden_one ON limits (substr(hidden, 1, 1))',
    ).run()
    await env.DB.prepare(
      `CREATE TRIGGER again AFTER INSERT ON limits WHEN new.n = 8 BEGIN UPDATE limits SET hidden = 'h' WHERE id = new.id; END`,
    ).run()
    const check = await write('/limits', { n: 7 })
    expect([check.body.code, check.body.message]).toEqual([
      '23514',
      'new row for relation "limits" violates check constraint',
    ])
    const index = await write('/limits', { n: 8 })
    expect([index.body.code, index.body.message]).toEqual([
      '23505',
      'duplicate key value violates unique constraint',
    ])
    for (const answer of [check, index]) expect(answer.text).not.toContain('hidden')
  })

  it('what a trigger breaks in another table is not told of', async () => {
    await env.DB.prepare(
      `CREATE TRIGGER t AFTER INSERT ON plain BEGIN INSERT INTO pairs (a, b) VALUES ('x', 1); END`,
    ).run()
    const answer = await write('/plain', { text: 'x' })
    expect([answer.status, answer.body.code]).toEqual([409, '23505'])
    expect(answer.text).not.toMatch(/pairs|"a"/)
  })

  it('a STRICT table’s types are types', async () => {
    await env.DB.prepare('DROP TABLE plain').run()
    await env.DB.prepare('CREATE TABLE plain (id INTEGER PRIMARY KEY, text INTEGER) STRICT').run()
    const answer = await write('/plain', { text: 'no number' })
    expect([answer.status, answer.body.code]).toEqual([400, '22P02'])
    expect(await rows('SELECT * FROM plain')).toEqual([])
  })
})
