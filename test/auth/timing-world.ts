import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import type { Hono } from 'hono'
import { expect } from 'vitest'
import { site } from '../kit/world.ts'

/*
 * Whether two things take the same time, on a machine that is busy with others: medians of many samples, taken in turns, and
 * a bound of the noise that these very samples have. Chance may still exceed it once; what takes longer does at each try.
 */

export interface Asked {
  path: string
  method?: string
  token?: string
  body: object
}

export interface Timed {
  response: Response
  /** In milliseconds. */
  took: number
}

/** Until the answer, as its client sees it; then what comes after is let finish. */
export const timer =
  (app: Pick<Hono, 'fetch'>) =>
  async ({ path, method = 'POST', token, body }: Asked): Promise<Timed> => {
    const ctx = createExecutionContext()
    const request = new Request(`${site}/auth/v1${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        'cf-connecting-ip': '192.0.2.1',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      body: JSON.stringify(body),
    })
    const started = performance.now()
    const response = await app.fetch(request, env as never, ctx as never)
    const took = performance.now() - started
    await waitOnExecutionContext(ctx as never)
    return { response, took }
  }

/** Names and kinds, without what differs from one user to the next. */
const shapeOf = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shapeOf)
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, shapeOf(of)]))
}

const bookmark = 'x-d1-bookmark'
const headersOf = ({ headers }: Response) =>
  [...headers].map(([name, value]) => [name, name === bookmark ? '' : value])

/** The count of commits that a bookmark holds. */
const commitOf = ({ headers }: Response) =>
  Number.parseInt(headers.get(bookmark)?.split('-')[1] as string, 16)

const seen = async ({ response }: Timed) => {
  const body = await response.clone().json()
  return {
    status: response.status,
    headers: headersOf(response),
    // A refusal says the same to the letter.
    body: response.status < 400 ? shapeOf(body) : body,
  }
}

const quantile = (list: readonly number[], part: number) =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length * part)] as number
const spread = (list: readonly number[]) => quantile(list, 0.75) - quantile(list, 0.25)

/**
 * What the medians may differ by: four standard errors of their difference, as from quartiles of a normal distribution, and
 * never less than the clock's one tick.
 */
const noiseOf = (...lists: (readonly number[])[]) => {
  const variance = lists.map((list) => (1.2533 * (spread(list) / 1.349)) ** 2 / list.length)
  return Math.max(4 * Math.sqrt(variance.reduce((sum, one) => sum + one, 0)), 1)
}

const who = ['known', 'unknown'] as const
type Who = (typeof who)[number]

export interface Pair {
  /** Of a request about an account that is there, and of one about none; `i` counts them. */
  known: (i: number) => Asked
  unknown: (i: number) => Asked
  /** What both answer. */
  status: number
  /** How many requests make one sample: workerd's clock ticks in milliseconds. @default 3 */
  rounds?: number
  /** @default 200 */
  samples?: number
  /** @default 3 */
  tries?: number
}

/** Each pair of answers is the same, and D1's bookmark goes on by as much, whosever it is. */
export async function expectSame(
  time: (asked: Asked) => Promise<Timed>,
  { known, unknown, status, rounds = 3, samples = 200, tries = 3 }: Pair,
): Promise<void> {
  let said = ''
  let asked = 0
  for (let attempt = 0; attempt < tries; attempt++) {
    const times: Record<Who, number[]> = { known: [], unknown: [] }
    const advances = new Set<number>()
    let before = commitOf((await time(known(asked++))).response)
    // The first of each are slower: keys are read, statements are new.
    for (let i = -3; i < samples; i++) {
      const sums = { known: 0, unknown: 0 }
      for (let round = 0; round < rounds; round++) {
        const requests = { known: known(asked), unknown: unknown(asked) }
        asked++
        const found: Partial<Record<Who, Timed>> = {}
        // Now the one first, now the other, so that neither gains by the other's work.
        const order = (i + round) % 2 === 0 ? who : who.toReversed()
        for (const which of order) {
          found[which] = await time(requests[which])
          sums[which] += found[which].took
        }
        const { known: a, unknown: b } = found as Record<Who, Timed>
        expect(a.response.status).toBe(status)
        expect(await seen(b)).toEqual(await seen(a))
        for (const which of order) {
          const now = commitOf(found[which]?.response as Response)
          advances.add(now - before)
          before = now
        }
      }
      if (i < 0) continue
      times.known.push(sums.known / rounds)
      times.unknown.push(sums.unknown / rounds)
    }
    expect([times.known.length, times.unknown.length]).toEqual([samples, samples])
    expect([...advances]).toHaveLength(1)
    const [a, b] = [quantile(times.known, 0.5), quantile(times.unknown, 0.5)]
    if (Math.abs(a - b) <= noiseOf(times.known, times.unknown)) return
    said += `${a.toFixed(2)} and ${b.toFixed(2)} ms; `
  }
  expect.fail(`the medians differ at each of ${tries} tries: ${said}`)
}
