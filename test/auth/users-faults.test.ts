import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { d1Error, faulty } from '../kit/faulty.ts'
import { freshDatabase } from '../kit/world.ts'
import { type Imported, makeMoving, many, ndjson, readAnswer, send, tables } from './users-world.ts'
import { rows } from './world.ts'

/*
 * Each trip of an import fails once, before it is made or after it was committed with the answer lost. Whatever is stored is
 * whole, what was answered is stored, and going on from there makes everyone, once.
 */

const line = { trips: 0, failAt: 0, mode: true as boolean | 'after' }
const make = () =>
  makeMoving(
    {},
    {
      db: (bound) =>
        faulty(bound.DB as never, () => (++line.trips === line.failAt ? line.mode : false)),
    },
  )
let users = make()
const said: string[] = []
beforeEach(() => {
  users = make()
  said.length = 0
  vi.spyOn(console, 'error').mockImplementation(
    (...values) => void said.push(values.map(String).join(' ')),
  )
})
afterEach(() => void vi.restoreAllMocks())

const totp = { factor_type: 'totp', secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' }
const people = many(250).map((line, i) => ({
  ...line,
  identities: [{ provider: 'email' }, { provider: 'google', subject: `g${i}` }],
  factors: [totp, { factor_type: 'recovery_code', codes: [String(i).padStart(43, 'A')] }],
}))

const run = async (
  from: number,
  query: string,
): Promise<{ status: number; answer?: Imported; text: string }> => {
  const response = await send(users, ndjson(people.slice(from)), `?line=${from + 1}${query}`)
  const text = await response.text()
  const { status } = response
  return status === 200 ? { status, answer: readAnswer(text), text } : { status, text }
}

/** Nobody has anything but all of it. */
const expectWhole = async () =>
  expect(
    await rows(`SELECT u.id FROM leanto_auth_users u WHERE
      2 <> (SELECT count(*) FROM leanto_auth_identities i WHERE i.user_id = u.id)
      OR 2 <> (SELECT count(*) FROM leanto_auth_factors f WHERE f.user_id = u.id)
      OR 1 <> (SELECT count(*) FROM leanto_auth_recovery_codes c JOIN leanto_auth_factors f
        ON f.id = c.factor_id WHERE f.user_id = u.id)`),
  ).toEqual([])

const comparable = async () => {
  const { factors, ...rest } = await tables()
  return { ...rest, factors: factors.map(({ secret: _, ...row }: { secret: string }) => row) }
}

describe.each([
  ['before it', true],
  ['after it is committed', 'after'],
] as const)('a database that fails a trip %s', (_, mode) => {
  it.each([
    ['an import', ''],
    ['an import that updates', '&existing=update'],
  ])('leaves nothing half done in %s', async (_name, query) => {
    Object.assign(line, { trips: 0, failAt: 0 })
    await freshDatabase([users])
    if (query) await run(0, '')
    line.trips = 0
    expect((await run(0, query)).answer?.done).toMatchObject({ lines: 250 })
    const { trips } = line
    expect(trips).toBe(6)
    const whole = await comparable()
    for (let failAt = 1; failAt <= trips; failAt++) {
      Object.assign(line, { trips: 0, failAt: 0 })
      users = make()
      await freshDatabase([users])
      if (query) await run(0, '')
      Object.assign(line, { trips: 0, failAt, mode })
      said.length = 0
      const { status, answer, text } = await run(0, query)
      expect(said.join('\n')).toContain(d1Error)
      expect(text).not.toContain('secret_table')
      await expectWhole()
      // The first batch’s failure has a status of its own; a later one’s is the last line.
      expect(status).toBe(failAt <= 2 ? 500 : 200)
      const last = answer?.lines.at(-1)?.line ?? 0
      if (status === 200) {
        expect(answer?.done).toBeUndefined()
        expect(answer?.error).toMatchObject({ code: 500, error_code: 'unexpected_failure' })
        expect(last).toBe(failAt <= 4 ? 100 : 200)
      } else expect(text).toContain('unexpected_failure')
      const stored = Number((await rows('SELECT count(*) AS n FROM leanto_auth_users'))[0].n)
      expect(stored).toBeGreaterThanOrEqual(last)
      line.failAt = 0
      const rest = await run(last, query)
      expect(rest.answer?.done).toMatchObject({ lines: 250 - last, refused: 0 })
      await expectWhole()
      expect(await comparable()).toEqual(whole)
    }
  })
})
