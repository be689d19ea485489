import fc from 'fast-check'
import { shared, sync } from 'leanto/sync'
import { beforeEach, describe, expect, it } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { type Ask, clock, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { open, people } from './store.ts'
import type { Json } from './world.ts'

const base = makeBase()
const docs = sync(base, {
  identity: people,
  databases: {
    // All but at once, and after a month.
    brief: shared({ ...open, skipTombstones: 1e-9 }),
    month: shared({ ...open, skipTombstones: 30 }),
    whole: shared(open),
  },
})
const ask = mount({ '/': docs })
const measure = measurer(base, docs)
const answer = async (path: string, options?: Ask): Promise<Json> =>
  (await ask(path, options)).json()

const database = (name: string) => {
  const revs = new Map<string, string>()
  return {
    revs,
    /** Makes, edits or deletes each. */
    async write(changes: Record<string, 'keep' | 'delete'>) {
      const ids = Object.keys(changes).filter((id) => changes[id] === 'keep' || revs.has(id))
      const lines = await answer(`/${name}/_bulk_docs`, {
        body: {
          docs: ids.map((_id) => ({
            _id,
            ...(revs.has(_id) ? { _rev: revs.get(_id) } : {}),
            ...(changes[_id] === 'delete' ? { _deleted: true } : {}),
          })),
        },
      })
      clock.advance(0.001)
      for (const { id, rev } of lines)
        if (changes[id] === 'delete') revs.delete(id)
        else revs.set(id, rev)
    },
  }
}

/** What replicates: it has documents, and goes on from where it was. */
class Device {
  since: number | string = 0
  readonly has = new Map<string, string>()
  /** How many deletions it was told of what it never had. */
  needless = 0

  /** @returns Whether there is more. */
  async read(name: string, limit: number): Promise<boolean> {
    const since = encodeURIComponent(String(this.since))
    const { results, last_seq, pending } = await answer(
      `/${name}/_changes?since=${since}&limit=${limit}`,
    )
    for (const { id, deleted, changes } of results)
      if (!deleted) this.has.set(id, changes[0].rev)
      else if (!this.has.delete(id)) this.needless++
    this.since = last_seq
    return pending > 0
  }
}

const ids = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `d${String(from + i).padStart(4, '0')}`)
const each = (list: string[], what: 'keep' | 'delete') =>
  Object.fromEntries(list.map((id) => [id, what] as const))

beforeEach(() => freshDatabase([docs]))

describe('a database that skips tombstones', () => {
  it.each([
    ['brief', 0],
    ['whole', 80],
  ])('%s tells a new device of %i deletions', async (name, told) => {
    const { write, revs } = database(name)
    await write(each(ids(0, 100), 'keep'))
    await write(each(ids(10, 90), 'delete'))
    const device = new Device()
    while (await device.read(name, 7));
    expect(device.needless).toBe(told)
    expect(device.has).toEqual(revs)
    // Having caught up it goes on as any other.
    expect(device.since).toBe(180)
    await write(each(ids(0, 3), 'delete'))
    await device.read(name, 100)
    expect([device.needless, device.has]).toEqual([told, revs])
  })

  it('tells of a deletion until it is old enough: who was cut off before a checkpoint may have it', async () => {
    const { write } = database('month')
    await write(each(ids(0, 10), 'keep'))
    await write(each(ids(0, 5), 'delete'))
    const told = async () => {
      const device = new Device()
      while (await device.read('month', 3));
      return device.needless
    }
    expect(await told()).toBe(5)
    const day = 24 * 60 * 60
    clock.advance(31 * day)
    try {
      await write(each(ids(5, 6), 'delete'))
      expect(await told()).toBe(1)
    } finally {
      clock.advance(-31 * day)
    }
  })

  it.each([0, -1, Number.NaN, 'x'])('refuses %s days', (days) => {
    expect(() => shared({ skipTombstones: days as number })).toThrow('`skipTombstones` must be')
  })

  it('tells one that has been away nothing of what came and went', async () => {
    const { write, revs } = database('brief')
    await write(each(ids(0, 5), 'keep'))
    const device = new Device()
    await device.read('brief', 100)
    await write(each(ids(3, 50), 'keep'))
    await write(each(ids(4, 50), 'delete'))
    while (await device.read('brief', 10));
    expect([device.needless, device.has]).toEqual([0, revs])
  })

  it('tells of what is deleted while it is read, also to who is slow', async () => {
    const { write, revs } = database('brief')
    await write(each(ids(0, 40), 'keep'))
    const device = new Device()
    await device.read('brief', 20)
    expect(device.since).toBe('20-0-40')
    await write(each(ids(0, 10), 'delete'))
    await write(each(ids(30, 35), 'delete'))
    while (await device.read('brief', 5));
    expect(device.has).toEqual(revs)
  })

  it(
    'leaves every device with what is there, whatever happens while they read',
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.oneof(
              fc.record({
                write: fc.dictionary(
                  fc.nat(30).map((n) => `d${n}`),
                  fc.constantFrom('keep' as const, 'delete' as const),
                  { minKeys: 1 },
                ),
              }),
              fc.record({ read: fc.nat(2), limit: fc.integer({ min: 1, max: 12 }) }),
            ),
            { maxLength: 25, size: 'max' },
          ),
          async (steps) => {
            await freshDatabase([docs])
            const { write, revs } = database('brief')
            const devices = [new Device(), new Device(), new Device()]
            for (const step of steps)
              if ('write' in step) await write(step.write)
              else await devices[step.read]?.read('brief', step.limit)
            for (const device of devices) {
              while (await device.read('brief', 4));
              expect(device.has).toEqual(revs)
            }
          },
        ),
        { numRuns: 40 },
      ),
    120_000,
  )

  it('has the same in every kind of feed', async () => {
    const { write } = database('brief')
    await write(each(ids(0, 8), 'keep'))
    await write(each(ids(0, 4), 'delete'))
    const body = await (await ask('/brief/_changes?feed=continuous&timeout=50')).text()
    const lines = body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ id, last_seq }) => id ?? last_seq)).toEqual([...ids(4, 8), 12])
    const long = await answer('/brief/_changes?feed=longpoll&limit=2&seq_interval=2')
    expect(long.results.map(({ seq }: Json) => seq)).toEqual([null, '6-0-12'])
    expect(long.last_seq).toBe('6-0-12')
    const { results } = await answer('/brief/_changes?descending=true')
    expect(results).toHaveLength(8)
  })

  it.each(['12-g1AAAACheJzLYWBgYM', '"3"', '3-', '3-x-y', '3-0'])(
    'takes %s for its number',
    async (since) => {
      await database('brief').write(each(ids(0, 8), 'keep'))
      const got = await answer(`/brief/_changes?since=${encodeURIComponent(since)}`)
      expect(got.results).toHaveLength(since.startsWith('12') ? 0 : 5)
    },
  )

  it('reads a row for each line, and for each that it leaves out', async () => {
    const { write } = database('brief')
    await write(each(ids(0, 40), 'keep'))
    await write(each(ids(0, 10), 'delete'))
    const { response, cost } = await measure('/brief/_changes')
    expect(((await response.json()) as Json).results).toHaveLength(30)
    expect([cost.trips, cost.rowsRead, cost.rowsWritten]).toEqual([1, 2 + 40, 0])
  })
})
