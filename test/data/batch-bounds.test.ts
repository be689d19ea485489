import { data, expose } from 'leanto/data'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { makeBase, mount } from '../kit/world.ts'
import { batch, type Operation } from './batches.ts'
import { alice, people } from './store.ts'
import { dump, makeWorld, notes, rows, seed } from './writing-world.ts'

beforeEach(seed)

describe('cases 49 and 54: the bounds of a batch', () => {
  const inserts = (count: number): Operation[] =>
    Array.from({ length: count }, (_, i) => ({
      method: 'POST',
      path: '/plain',
      body: { text: `${i}` },
    }))

  it('operations, before any of them is looked at', async () => {
    expect((await batch(inserts(50))).status).toBe(200)
    const before = await dump()
    const many = await batch(inserts(51))
    expect([many.status, many.body]).toMatchObject([
      400,
      { code: 'PT400', message: 'operations must hold 1 to 50 operations' },
    ])
    const huge = await batch([...inserts(20_000), { method: 'nonsense', path: '' }])
    expect(huge.body.message).toContain('1 to 50')
    expect(await dump()).toBe(before)
  })

  const small = mount({
    '/': data(makeBase(), {
      identity: people,
      tables: { notes: expose(notes, { insert: () => true }) },
      batch: { operations: 3, statements: 2 },
      bodyLimit: 1000,
    }),
  })
  const send = (operations: Operation[]) => small('/batch', { token: alice, body: { operations } })
  const insert = (title: string): Operation => ({
    method: 'POST',
    path: '/notes',
    body: { title, owner_id: 'alice' },
  })

  it('statements, before any of them is run', async () => {
    expect((await send([insert('x'), insert('y')])).status).toBe(200)
    const refused = await send([insert('v'), insert('w'), insert('z')])
    expect([refused.status, await refused.json()]).toMatchObject([400, { code: '54000' }])
    expect(await rows(`SELECT count(*) AS n FROM notes`)).toEqual([{ n: 6 }])
  })

  it('case 67: the body', async () => {
    const refused = await send([insert('x'.repeat(2000))])
    expect([refused.status, await refused.json()]).toMatchObject([413, { code: 'PT413' }])
  })

  it('are whole numbers, and no table takes the route’s name', () => {
    const make = (options: object) => () =>
      data(makeBase(), {
        identity: people,
        tables: { notes: expose(notes, {}) },
        ...options,
      } as never)
    for (const batch of [
      { operations: 0 },
      { operations: 1.5 },
      { statements: -1 },
      { statements: '5' },
    ])
      expect(make({ batch })).toThrow('must be a whole number')
    for (const name of ['batch', 'rpc'])
      expect(make({ tables: { [name]: expose(notes, {}) } })).toThrow(
        `\`tables.${name}\` must have another name`,
      )
    for (const answers of [{ keepFor: 0 }, { keepFor: Number.NaN }, { keepFor: '1' }])
      expect(make({ answers })).toThrow('`answers.keepFor` must be a number of days')
  })
})

it('a database that cannot be reached is 503, and of no operation', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const base = makeBase({
    db: () =>
      ({
        prepare: () => ({ bind: () => ({}) }),
        batch: () => Promise.reject(new Error('D1_ERROR: Network connection lost.')),
      }) as never,
  })
  const asked = mount({ '/': makeWorld(base) })
  const response = await asked('/batch', {
    token: alice,
    body: {
      operations: [
        { method: 'POST', path: '/plain', body: {} },
        { method: 'POST', path: '/plain', body: {} },
      ],
    },
  })
  expect([response.status, await response.json()]).toEqual([
    503,
    { code: 'PGRST001', message: 'Could not reach the database', details: null, hint: null },
  ])
  log.mockRestore()
})
