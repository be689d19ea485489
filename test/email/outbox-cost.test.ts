import { beforeEach, describe, expect, it, vi } from 'vitest'
import { clock } from '../kit/world.ts'
import { down, fresh, inScope, mail, makeEmail, sent, world } from './world.ts'

const mailer = makeEmail()

beforeEach(async () => {
  await fresh()
  vi.restoreAllMocks()
  vi.spyOn(console, 'error').mockImplementation(() => {})
})

describe('what it costs', () => {
  const measured = async (work: (scope: Parameters<typeof mailer.post>[0]) => Promise<unknown>) =>
    inScope(async (scope) => {
      await work(scope)
      const { trips, rowsWritten } = scope.cost
      return { trips, rowsWritten }
    })

  it('one trip to be stored, one more behind the answer', async () => {
    let cost = {}
    await inScope(async (scope) => {
      await mailer.post(scope, mail)
      expect(scope.cost.trips).toBe(1)
      cost = scope.cost
    })
    expect(cost).toMatchObject({ trips: 2, statements: 3, rowsWritten: 4 })
  })

  it('none inside the caller’s batch', async () => {
    expect(await measured((scope) => mailer.post(scope, mail, { within: [] }))).toEqual({
      trips: 0,
      rowsWritten: 0,
    })
  })

  it('three trips for 20 that are due', async () => {
    world.fails = () => down()
    await inScope((scope) =>
      Promise.all(Array.from({ length: 20 }, () => mailer.post(scope, mail))),
    )
    world.fails = undefined
    clock.advance(120)
    // The fourth is the look for more.
    expect(await measured((scope) => mailer.deliver(scope))).toMatchObject({ trips: 4 })
    expect(sent).toHaveLength(20)
  })

  it('two trips at a cron trigger with nothing to do', async () => {
    expect(await measured(async (scope) => mailer.scheduled?.(scope, 0))).toEqual({
      trips: 2,
      rowsWritten: 0,
    })
  })
})
