import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fresh, logged, run } from './changes-world.ts'

/** Whatever a host may write, of rows so few that they meet. */
const id = fc.integer({ min: 1, max: 4 })
const word = fc.constantFrom('a', 'b', 'c')
const parent = fc.oneof(id, fc.constant('NULL'))
const statement = fc.oneof(
  fc
    .tuple(id, word)
    .map(([i, w]) => `INSERT INTO notes (id, owner_id, title) VALUES (${i}, 'o', '${w}')`),
  fc
    .tuple(id, word)
    .map(
      ([i, w]) => `INSERT OR IGNORE INTO notes (id, owner_id, title) VALUES (${i}, 'o', '${w}')`,
    ),
  fc
    .tuple(id, word)
    .map(
      ([i, w]) =>
        `INSERT INTO notes (id, owner_id, title) VALUES (${i}, 'o', '${w}'), (${i} + 1, 'p', '${w}') ON CONFLICT (id) DO UPDATE SET title = excluded.title`,
    ),
  fc.tuple(id, id).map(([i, j]) => `UPDATE notes SET id = ${i} WHERE id = ${j}`),
  id.map((i) => `UPDATE notes SET id = id + 10 WHERE id > ${i}`),
  word.map((w) => `UPDATE OR IGNORE notes SET title = '${w}'`),
  id.map((i) => `DELETE FROM notes WHERE id = ${i}`),
  fc.constant('DELETE FROM notes'),
  fc.tuple(id, parent).map(([i, p]) => `INSERT INTO comments VALUES (${i}, ${p}, 'x')`),
  fc.tuple(id, parent).map(([i, p]) => `UPDATE comments SET note_id = ${p} WHERE id >= ${i}`),
  id.map((i) => `DELETE FROM comments WHERE id = ${i}`),
)

it('whoever replays the log has the rows that are there, whatever was written', async () => {
  await fresh()
  await run(
    `CREATE TRIGGER host_copy AFTER INSERT ON notes BEGIN INSERT OR IGNORE INTO comments VALUES (new.id + 20, new.id, 'copy'); END`,
  )
  const replayed = { notes: new Map<unknown, unknown>(), comments: new Map<unknown, unknown>() }
  let last = 0
  const property = fc.asyncProperty(
    // Batches: what fails takes all of its own back.
    fc.array(fc.array(statement, { minLength: 1, maxLength: 3 }), { maxLength: 8 }),
    async (batches) => {
      for (const batch of batches) await run(...batch).catch(() => {})
      const entries = await logged(last)
      for (const { seq, tables, operation, key, old } of entries) {
        expect(seq).toBe(last + 1)
        last = seq
        const rows = replayed[tables[0] as 'notes' | 'comments']
        // What it says was there, was there; and what is new was not.
        expect(rows.has(old?.id)).toBe(operation !== 'insert')
        rows.delete(old?.id)
        if (operation === 'delete') continue
        expect(rows.has(key.id)).toBe(false)
        rows.set(key.id, old)
      }
      for (const table of ['notes', 'comments'] as const) {
        const { results } = await env.DB.prepare(`SELECT id FROM ${table}`).all<{ id: number }>()
        expect([...replayed[table].keys()].sort()).toEqual(results.map((row) => row.id).sort())
      }
    },
  )
  await fc.assert(property, { numRuns: 100, seed: 4, endOnFailure: true })
  expect(last).toBeGreaterThan(250)
})
