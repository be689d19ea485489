import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { ask, fresh, logged, remigrate, run } from './changes-world.ts'

beforeEach(async () => {
  await fresh()
  await run(`INSERT INTO notes (id, owner_id, title, secret) VALUES (1, 'alice', 'a', 's')`)
})

const quiet = async () => (await logged(1)).map((change) => change.quiet)

describe('a change of what clients cannot see (case 69)', () => {
  it('is marked, so that nobody is told of it', async () => {
    await run(`UPDATE notes SET secret = 'other'`, 'UPDATE notes SET secret = NULL')
    expect(await quiet()).toEqual([true, true])
  })

  it('is marked also where the statement names what clients see, without changing it', async () => {
    await run(
      `UPDATE notes SET title = title, owner_id = 'alice', secret = 'other'`,
      `INSERT INTO notes (id, owner_id, title, secret) VALUES (1, 'alice', 'a', 'third')
         ON CONFLICT (id) DO UPDATE SET title = excluded.title, secret = excluded.secret`,
      'UPDATE notes SET title = title',
    )
    await ask('/rest/v1/notes?id=eq.1', {
      method: 'PATCH',
      body: { title: 'a', secret: 'fourth' },
      key: 'secret',
    })
    expect(await quiet()).toEqual([true, true, true, true])
  })

  it.each([
    [`title = 'A'`],
    [`title = 'b', secret = 'other'`],
    ['public = 1'],
    [`owner_id = 'bob'`],
    ['id = 2'],
    [`title = 'a ' `],
    [`title = x'61'`],
  ])('is not marked with %s', async (set) => {
    await run(`UPDATE notes SET ${set}`)
    expect(await quiet()).toEqual([false])
  })

  it('is told by bytes, not by the column’s own collation', async () => {
    await run('DROP TABLE notes', 'DROP TABLE comments')
    await run(
      'CREATE TABLE notes (id INTEGER PRIMARY KEY, owner_id TEXT, title TEXT COLLATE NOCASE, public INTEGER, secret TEXT)',
      'CREATE TABLE comments (id INTEGER PRIMARY KEY, note_id INTEGER, text TEXT)',
    )
    await remigrate()
    await run(
      `INSERT INTO notes VALUES (1, 'alice', 'word', 0, NULL)`,
      `UPDATE notes SET title = 'WORD'`,
    )
    expect((await logged(2)).map((change) => change.quiet)).toEqual([false])
  })

  it('leaves no value of theirs in the log, unless it is to be kept', async () => {
    await run(`UPDATE notes SET secret = 'never logged'`, 'DELETE FROM notes')
    const { results } = await env.DB.prepare('SELECT * FROM leanto_data_changes').all()
    const text = JSON.stringify(results)
    expect(results).toHaveLength(3)
    expect(text).toContain('alice')
    expect(text).not.toContain('never logged')
    expect(text).not.toContain('secret')
    expect(text).not.toContain('title')
  })
})

describe('the log is reached by no client (case 38)', () => {
  it.each(['leanto_data_changes', 'leanto_core_derived', 'sqlite_master'])('%s', async (table) => {
    for (const key of ['secret', 'publishable'] as const) {
      const read = await ask(`/rest/v1/${table}`, { key })
      expect(read.status).toBe(404)
      const write = await ask(`/rest/v1/${table}`, { body: { seq: 1 }, key })
      expect(write.status).toBe(404)
    }
    expect(await logged()).toHaveLength(1)
  })
})

describe('what a policy needs, to tell who could see a row that is gone (case 68)', () => {
  it('is what the row was, not what it has become', async () => {
    await run(
      `UPDATE notes SET owner_id = 'bob', public = 1`,
      `UPDATE notes SET owner_id = 'carol', public = 0`,
      'DELETE FROM notes',
    )
    expect((await logged(1)).map(({ old }) => old)).toEqual([
      { id: 1, owner_id: 'alice', public: false },
      { id: 1, owner_id: 'bob', public: true },
      { id: 1, owner_id: 'carol', public: false },
    ])
  })
})
