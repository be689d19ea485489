import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { handlers, type Scope } from 'leanto'
import { type Change, type ChangesInput, changes } from 'leanto/data'
import { beforeEach, describe, expect, it } from 'vitest'
import { keepChanges } from '../../src/data/changes-upkeep.ts'
import { liveTables } from '../../src/data/live.ts'
import { clock, type Env, makeBase } from '../kit/world.ts'
import { fresh, head, makeLive, remigrate, run, scope, store } from './changes-world.ts'
import { store as plain } from './store.ts'

const day = 24 * 60 * 60
const base = makeBase()

beforeEach(fresh)

/** Entries that no write of these tests made: as many as wanted, one second apart, the newest at `newest`. */
const entries = (count: number, { newest = clock.now(), table = 'numbers' } = {}) =>
  run(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
     INSERT INTO leanto_data_changes (at, table_name, operation, key)
     SELECT ${newest} - (${count} - i) * 1000, '${table}', 'insert', json_object('id', i) FROM n`,
  )

const read = (input: Partial<ChangesInput<'numbers' | 'notes'>> = {}) =>
  changes(scope(), store, { since: 0, ...input })
const seqs = async (input: Partial<ChangesInput<'numbers' | 'notes'>> = {}) =>
  (await read(input)).changes.map(({ seq }) => seq)
const kept = async () =>
  (await env.DB.prepare('SELECT seq FROM leanto_data_changes ORDER BY seq').all()).results.map(
    ({ seq }) => seq,
  )
const upkeep = (keepFor?: number) => {
  const { scheduled } = handlers(base, [makeLive(base, keepFor === undefined ? {} : { keepFor })])
  return scheduled({ scheduledTime: clock.now() }, env as Env, createExecutionContext())
}

describe('reading the log', () => {
  it('page by page, to the end and on from there', async () => {
    await entries(250)
    const first = await read()
    expect([first.changes.length, first.last, first.more, first.gap]).toEqual([
      100,
      100,
      true,
      false,
    ])
    const second = await read({ since: first.last, limit: 150 })
    expect([second.changes[0]?.seq, second.last, second.more]).toEqual([101, 250, false])
    const end = { changes: [], last: 250, more: false, gap: false }
    expect(await read({ since: second.last })).toEqual(end)
    await run(`INSERT INTO numbers VALUES (1, 'x')`)
    expect(await seqs({ since: 250 })).toEqual([251])
  })

  it('from now on', async () => {
    expect(await read({ since: 'now' })).toEqual({ changes: [], last: 0, more: false, gap: false })
    await entries(3)
    expect(await read({ since: 'now' })).toEqual({ changes: [], last: 3, more: false, gap: false })
  })

  it('of an empty log', async () => {
    expect(await read()).toEqual({ changes: [], last: 0, more: false, gap: false })
  })

  it('of some tables, past what the others have in between', async () => {
    await entries(3, { table: 'notes' })
    await entries(12_000)
    await entries(2, { table: 'notes' })
    const first = await read({ tables: ['notes'] })
    expect(first.changes.map(({ seq }) => seq)).toEqual([1, 2, 3])
    // As far as one page looks; not the end.
    expect([first.last, first.more]).toEqual([10_000, true])
    const second = await read({ tables: ['notes'], since: first.last })
    expect(second.changes.map(({ seq }) => seq)).toEqual([12_004, 12_005])
    expect([second.last, second.more]).toEqual([12_005, false])
    const bounded = await read({ tables: ['notes'], limit: 2 })
    expect([bounded.changes.length, bounded.last, bounded.more]).toEqual([2, 2, true])
  })

  it('leaves out what is not live any more, and goes past it', async () => {
    await entries(2, { table: 'gone' })
    await entries(1)
    expect(await seqs()).toEqual([3])
    await entries(1, { table: 'gone' })
    expect(await read({ since: 3 })).toEqual({ changes: [], last: 4, more: false, gap: false })
  })

  it.each([
    [{ since: -1 }, '`since`'],
    [{ since: 1.5 }, '`since`'],
    [{ since: '3' as never }, '`since`'],
    [{ since: 0, limit: 0 }, '`limit`'],
    [{ since: 0, limit: 1001 }, '`limit`'],
    [{ since: 0, tables: ['quiet_notes'] as never }, '"quiet_notes" is not live'],
    [{ since: 0, tables: ['constructor'] as never }, '"constructor" is not live'],
    [{ since: 0, tables: [] }, '`tables` is empty'],
  ])('refuses %j', async (input, message) => {
    const cost = { trips: 0 }
    const counted = { ...scope(), cost } as unknown as Scope
    await expect(changes(counted, store, input)).rejects.toThrow(message)
    expect(cost.trips).toBe(0)
  })

  it('knows the names of the tables', async () => {
    // @ts-expect-error: no such table
    await expect(changes(scope(), store, { since: 0, tables: ['nothing'] })).rejects.toThrow()
    const { changes: found } = await changes(scope(), store, { since: 0 })
    found satisfies readonly Change<keyof typeof store.tables>[]
  })

  it('refuses a store in which nothing is live', async () => {
    const { notes: _, ...tables } = plain.tables
    const dead = Object.fromEntries(
      Object.entries(tables).filter(([, { policies }]) => !policies.live),
    )
    await expect(changes(scope(), { tables: dead }, { since: 0 })).rejects.toThrow(
      'no table is live',
    )
  })
})

describe('a gap is told, not skipped', () => {
  it('after a trim, to whoever was behind it, and to nobody else', async () => {
    await entries(10)
    await run('DELETE FROM leanto_data_changes WHERE seq <= 5')
    const gap = { changes: [], last: 10, more: false, gap: true }
    expect(await read({ since: 0 })).toEqual(gap)
    expect(await read({ since: 4 })).toEqual(gap)
    expect(await seqs({ since: 5 })).toEqual([6, 7, 8, 9, 10])
    expect(await read({ since: 4, tables: ['notes'] })).toEqual(gap)
  })

  it('after the database was restored to before what a reader has seen', async () => {
    await entries(3)
    expect(await read({ since: 4 })).toEqual({ changes: [], last: 3, more: false, gap: true })
    expect((await read({ since: 3 })).gap).toBe(false)
  })
})

describe('the upkeep', () => {
  it('trims what is older than seven days, and nothing younger', async () => {
    await entries(5, { newest: clock.now() - 7 * day * 1000 - 1 })
    await entries(5, { newest: clock.now() - 7 * day * 1000 + 4000 })
    await upkeep()
    expect(await kept()).toEqual([6, 7, 8, 9, 10])
    expect((await read({ since: 4 })).gap).toBe(true)
    expect((await read({ since: 5 })).gap).toBe(false)
  })

  it('keeps for as many days as it is told', async () => {
    await entries(2, { newest: clock.now() - 2 * day * 1000 })
    await entries(1)
    await upkeep(3)
    expect(await kept()).toEqual([1, 2, 3])
    await upkeep(0.5)
    expect(await kept()).toEqual([3])
  })

  it('never trims the newest entry, so that no number comes twice', async () => {
    await entries(5, { newest: clock.now() - 30 * day * 1000 })
    await upkeep()
    expect(await kept()).toEqual([5])
    await run('DELETE FROM leanto_data_changes')
    expect(await kept()).toEqual([5])
    await run(`INSERT INTO numbers VALUES (1, 'x')`)
    expect(await kept()).toEqual([5, 6])
    expect(await seqs({ since: 5 })).toEqual([6])
  })

  it('trims from the front only: behind a younger entry nothing goes, however old it says it is', async () => {
    await entries(1)
    await entries(3, { newest: clock.now() - 30 * day * 1000 })
    await upkeep()
    expect(await kept()).toEqual([1, 2, 3, 4])
  })

  it('trims in slices, and goes on at the next run where there is much', async () => {
    await entries(60_000, { newest: clock.now() - 30 * day * 1000 })
    const scope = base.scope({ env: env as Env })
    await keepChanges(scope, { live: liveTables(store.tables), keepFor: 7 })
    expect(scope.cost.statements).toBe(21)
    expect((await kept()).length).toBe(10_000)
    await upkeep()
    expect(await kept()).toEqual([60_000])
  })

  it('reads no further than it must where nothing is old', async () => {
    await entries(20_000)
    const scope = base.scope({ env: env as Env })
    await keepChanges(scope, { live: liveTables(store.tables), keepFor: 7 })
    expect(scope.cost).toMatchObject({ trips: 2, rowsWritten: 0 })
    expect(scope.cost.rowsRead).toBeLessThan(100)
  })

  it('fails, for all to see, when the triggers are gone, and says what to do', async () => {
    await upkeep()
    await run(
      'CREATE TABLE __new_numbers (id INTEGER PRIMARY KEY, note TEXT)',
      'DROP TABLE numbers',
      'ALTER TABLE __new_numbers RENAME TO numbers',
    )
    await entries(1, { newest: clock.now() - 30 * day * 1000 })
    await entries(1)
    const failed = await upkeep().catch((error) => error)
    expect(failed.errors[0].message).toContain('changes of numbers are not logged')
    expect(failed.errors[0].message).toContain('npx leanto rebuild')
    expect(await kept()).toEqual([2])
    expect(await remigrate()).toEqual(['data/live_numbers'])
    await upkeep()
  })
})

describe('the cost of reading', () => {
  const cost = async (input: Partial<ChangesInput<'numbers' | 'notes'>>) => {
    const scope = base.scope({ env: env as Env })
    await changes(scope, store, { since: 0, ...input })
    const { trips, statements, rowsRead, rowsWritten } = scope.cost
    return [trips, statements, rowsRead, rowsWritten]
  }

  it('is one trip, the two ends of the log, and the entries', async () => {
    await entries(2000)
    // To see that nothing follows, SQLite looks at the last entry once more.
    expect(await cost({ since: 2000 })).toEqual([1, 2, 3, 0])
    expect(await cost({ since: 1990 })).toEqual([1, 2, 12, 0])
    expect(await cost({ since: 100 })).toEqual([1, 2, 102, 0])
    expect(await cost({ since: 'now' })).toEqual([1, 1, 2, 0])
    expect(await cost({ since: 100, tables: ['notes'] })).toEqual([1, 2, 1902, 0])
  })

  it('is the same in a long log', async () => {
    await entries(50_000)
    expect(await cost({ since: 49_990 })).toEqual([1, 2, 12, 0])
    expect(await cost({ since: 5, limit: 1 })).toEqual([1, 2, 3, 0])
    expect(await head()).toBe(50_000)
  })
})
