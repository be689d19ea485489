import { beforeEach, describe, expect, it } from 'vitest'
import { fresh, makeLive, run } from '../data/changes-world.ts'
import { measurer } from '../kit/measure.ts'
import { type Ask, makeBase } from '../kit/world.ts'

const base = makeBase()
const measure = measurer(base, makeLive(base))

beforeEach(async () => {
  await fresh()
  for (const table of ['notes', 'quiet_notes'])
    await run(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
       INSERT INTO ${table} (id, owner_id, title) SELECT i, 'alice', 'note ' || i FROM n`,
    )
})

/** What the same write costs more of a live table than of one that is not: nothing but rows written and read. */
async function more(path: string, ask: Ask) {
  const [live, plain] = [
    await measure(`/notes${path}`, { token: 'user-alice', ...ask }),
    await measure(`/quiet_notes${path}`, { token: 'user-alice', ...ask }),
  ]
  expect(live.response.status).toBe(plain.response.status)
  expect(live.response.ok).toBe(true)
  expect([live.cost.trips, live.cost.statements]).toEqual([plain.cost.trips, plain.cost.statements])
  return live.cost.rowsWritten - plain.cost.rowsWritten
}

const notes = (count: number, from = 2000) =>
  Array.from({ length: count }, (_, i) => ({
    id: from + i,
    owner_id: 'alice',
    title: `note ${from + i}`,
  }))

describe('what the change log costs', () => {
  it('one row written for each row that is inserted', async () => {
    expect(await more('', { body: notes(1) })).toBe(1)
    expect(await more('', { body: notes(500, 3000) })).toBe(500)
  })

  it('one for each that is updated, by an upsert too, and none for one that is not', async () => {
    expect(await more('?id=eq.1', { method: 'PATCH', body: { public: true } })).toBe(1)
    expect(await more('?id=lte.100', { method: 'PATCH', body: { public: true } })).toBe(100)
    expect(await more('?id=eq.5000', { method: 'PATCH', body: { public: true } })).toBe(0)
    const prefer = 'resolution=merge-duplicates'
    expect(await more('', { body: notes(10, 996), headers: { prefer } })).toBe(10)
    const ignore = 'resolution=ignore-duplicates'
    expect(await more('', { body: notes(10, 996), headers: { prefer: ignore } })).toBe(0)
  })

  it('one for each that is deleted', async () => {
    expect(await more('?id=eq.1', { method: 'DELETE' })).toBe(1)
    expect(await more('?id=lte.101', { method: 'DELETE' })).toBe(100)
  })

  it('nothing for a write that is refused', async () => {
    const { response, cost } = await measure('/notes', {
      token: 'user-alice',
      body: { id: 1, owner_id: 'alice', title: 'there already' },
    })
    expect([response.status, cost.rowsWritten]).toEqual([409, 0])
  })
})
