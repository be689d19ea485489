import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { ask, fresh, head, logged, run } from './changes-world.ts'

const alice = 'user-alice'
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  ask(`/rest/v1${path}`, { method: 'POST', body, token: alice, headers })

beforeEach(fresh)

const insert = { operation: 'insert', old: null, quiet: false }

describe('what is logged', () => {
  it('an insert, an update and a delete, by a client', async () => {
    await post('/notes', { id: 1, owner_id: 'alice', title: 'a' })
    const row = '/rest/v1/notes?id=eq.1'
    await ask(row, { method: 'PATCH', body: { title: 'b' }, token: alice })
    await ask(row, { method: 'DELETE', token: alice })
    const before = { id: 1, owner_id: 'alice', public: false }
    expect(await logged()).toEqual([
      { seq: 1, tables: ['notes'], ...insert, key: { id: 1 } },
      { seq: 2, tables: ['notes'], operation: 'update', key: { id: 1 }, old: before, quiet: false },
      { seq: 3, tables: ['notes'], operation: 'delete', key: { id: 1 }, old: before, quiet: false },
    ])
  })

  it('what the host writes by itself, each row of it', async () => {
    await run(
      `INSERT INTO scores VALUES ('p', 'g', 1), ('q', 'g', 2)`,
      'UPDATE scores SET points = points + 1',
      'DELETE FROM scores',
    )
    const entries = await logged()
    expect(entries.map(({ operation, key }) => [operation, key.player])).toEqual([
      ['insert', 'p'],
      ['insert', 'q'],
      ['update', 'p'],
      ['update', 'q'],
      ['delete', 'p'],
      ['delete', 'q'],
    ])
  })

  it('nothing of a table that is not live, nor of what was refused or rolled back', async () => {
    await post('/quiet_notes', { id: 1, owner_id: 'alice', title: 'a' })
    const long = await post('/notes', [
      { id: 1, owner_id: 'alice', title: 'fits' },
      { id: 2, owner_id: 'alice', title: 'x'.repeat(21) },
    ])
    expect(long.status).toBe(400)
    await expect(
      run(`INSERT INTO scores VALUES ('p', 'g', 1)`, 'INSERT INTO scores (player) VALUES (NULL)'),
    ).rejects.toThrow()
    await run('UPDATE scores SET points = 1', 'DELETE FROM scores')
    expect(await logged()).toEqual([])
  })

  it('the old and the new key where the key changes', async () => {
    await run(`INSERT INTO scores VALUES ('p', 'g', 1)`)
    await run(`UPDATE scores SET player = 'q'`)
    expect((await logged(1))[0]).toMatchObject({
      operation: 'update',
      key: { player: 'q', game: 'g' },
      old: { player: 'p', game: 'g' },
    })
  })

  it('an upsert as what it turns out to be, and nothing of a row that it ignores', async () => {
    const merge = { prefer: 'resolution=merge-duplicates' }
    const ignore = { prefer: 'resolution=ignore-duplicates' }
    await post('/scores', { player: 'p', game: 'g', points: 1 }, merge)
    await post('/scores', { player: 'p', game: 'g', points: 2 }, merge)
    await post('/scores', { player: 'p', game: 'g', points: 3 }, ignore)
    await run(`INSERT OR IGNORE INTO scores VALUES ('p', 'g', 9)`)
    await run(
      `INSERT INTO scores VALUES ('p', 'g', 4), ('n', 'g', 5) ON CONFLICT DO UPDATE SET points = excluded.points`,
    )
    const entries = await logged()
    expect(entries.map(({ operation, key }) => [operation, key.player])).toEqual([
      ['insert', 'p'],
      ['update', 'p'],
      ['update', 'p'],
      ['insert', 'n'],
    ])
  })

  it('an update that changes nothing, as Postgres’s replication has it', async () => {
    await run(`INSERT INTO scores VALUES ('p', 'g', 1)`, 'UPDATE scores SET points = 1')
    expect(await logged(1)).toMatchObject([{ operation: 'update', quiet: false }])
  })

  it('what foreign keys do: rows deleted and changed with their parent, before it', async () => {
    await run(
      `INSERT INTO notes (id, owner_id, title) VALUES (1, 'alice', 'a')`,
      `INSERT INTO comments VALUES (10, 1, 'x'), (11, 1, 'y'), (12, NULL, 'z')`,
      'UPDATE notes SET id = 2',
      'DELETE FROM notes',
    )
    const entries = await logged(4)
    expect(entries.map(({ operation, tables, key }) => [operation, tables[0], key.id])).toEqual([
      ['update', 'comments', 10],
      ['update', 'comments', 11],
      ['update', 'notes', 2],
      ['delete', 'comments', 10],
      ['delete', 'comments', 11],
      ['delete', 'notes', 2],
    ])
  })

  it('what the host’s triggers write, and they go on as before', async () => {
    await run(
      `CREATE TRIGGER host_touch AFTER INSERT ON scores BEGIN UPDATE scores SET points = 7 WHERE rowid = new.rowid; END`,
      `CREATE TRIGGER host_copy AFTER DELETE ON scores BEGIN INSERT INTO numbers (note) VALUES (old.player); END`,
      `CREATE TRIGGER host_no BEFORE UPDATE ON comments BEGIN SELECT RAISE(IGNORE); END`,
    )
    await run(`INSERT INTO scores VALUES ('p', 'g', 1)`, 'DELETE FROM scores')
    await run(`INSERT INTO comments VALUES (1, NULL, 'a')`, `UPDATE comments SET text = 'b'`)
    const { results } = await env.DB.prepare('SELECT note FROM numbers').all()
    expect(results).toEqual([{ note: 'p' }])
    const seen = (await logged()).map(({ operation, tables }) => `${operation} ${tables[0]}`)
    expect([...seen].sort()).toEqual(
      [
        'insert scores',
        'update scores',
        'delete scores',
        'insert numbers',
        'insert comments',
      ].sort(),
    )
  })

  it('a row that REPLACE writes, but, as documented, not the one that it pushes out', async () => {
    await run(
      `INSERT INTO notes (id, owner_id, title) VALUES (1, 'alice', 'a'), (2, 'alice', 'b')`,
      `REPLACE INTO notes (id, owner_id, title) VALUES (1, 'bob', 'c')`,
      `INSERT OR REPLACE INTO notes (id, owner_id, title) VALUES (3, 'alice', 'b')`,
    )
    expect(await logged(2)).toEqual([
      { seq: 3, tables: ['notes'], ...insert, key: { id: 1 } },
      { seq: 4, tables: ['notes'], ...insert, key: { id: 3 } },
    ])
    const { results } = await env.DB.prepare('SELECT id FROM notes ORDER BY id').all()
    expect(results).toEqual([{ id: 1 }, { id: 3 }])
  })

  it('every row of a bulk write, in its order', async () => {
    const rows = Array.from({ length: 10_000 }, (_, i) => ({ id: i + 1, note: 'x' }))
    expect((await post('/numbers', rows)).status).toBe(201)
    expect(await head()).toBe(10_000)
    const tail = await logged(9_998)
    expect(tail.map(({ key }) => key.id)).toEqual([9_999, 10_000])
  })
})
