import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { beforeEach, describe, expect, it } from 'vitest'
import { freshDatabase, site } from '../kit/world.ts'
import { makeInbox, member, register } from './inbox.ts'
import { makeAuth, mountAuth, password } from './world.ts'

/*
 * Case 55: whoever asks for a message about an address learns nothing of whether it has an account: not by status, headers,
 * the body's shape or the time until the answer. What is sent leaves after the answer and is not in the time.
 */

const samples = 200
const plenty = { max: 1_000_000, seconds: 3600 }
const inbox = makeInbox()
const { mailer, sms } = inbox
// Budgets are spent and never end: without them the statements would be others than in life.
const options = {
  mailer,
  sms,
  limits: { guesses: plenty, signIns: plenty, signUps: plenty, messages: plenty, inbox: plenty },
}
let app = new Hono()
const [ann, pending, moving] = ['ann@example.com', 'pending@example.com', 'moving@example.com']
const phone = '4917012345678'

beforeEach(async () => {
  const users = makeAuth(options)
  await freshDatabase([users])
  inbox.clear()
  app = new Hono().route('/auth/v1', users.routes)
  const ask = mountAuth(users)
  await member(ask, inbox, ann)
  await register(ask, pending)
  await ask('/auth/v1/otp', { body: { phone } })
  const { access_token: token } = await member(ask, inbox, moving)
  await ask('/auth/v1/user', { method: 'PUT', body: { email: 'moved@example.com' }, token })
})

interface Timed {
  response: Response
  took: number
}

/** Until the answer, as its client sees it; then what comes after is let finish. */
async function time(path: string, body: object): Promise<Timed> {
  const ctx = createExecutionContext()
  const request = new Request(`${site}/auth/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'cf-connecting-ip': '192.0.2.1' },
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

const seen = async ({ response }: Timed) => ({
  status: response.status,
  headers: headersOf(response),
  shape: shapeOf(await response.clone().json()),
})

const quantile = (list: readonly number[], part: number) =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length * part)] as number
const spread = (list: readonly number[]) => quantile(list, 0.75) - quantile(list, 0.25)

type Case = [name: string, path: string, known: object, unknown: (i: number) => object]

const someone = (i: number) => `nobody${i}@example.com`
const challenge = { code_challenge: 'c'.repeat(43), code_challenge_method: 's256' }

const cases: Case[] = [
  ['/signup', '/signup', { email: ann, password }, (i) => ({ email: someone(i), password })],
  ['/otp', '/otp', { email: ann }, (i) => ({ email: someone(i) })],
  [
    '/otp that makes nobody, with PKCE',
    '/otp',
    { email: ann, create_user: false, ...challenge },
    (i) => ({ email: someone(i), create_user: false, ...challenge }),
  ],
  [
    '/otp by text message',
    '/otp',
    { phone, create_user: false },
    (i) => ({ phone: `+4917${String(10_000_000 + i)}`, create_user: false }),
  ],
  [
    '/resend, of someone to be confirmed',
    '/resend',
    { type: 'signup', email: pending },
    (i) => ({ type: 'signup', email: someone(i) }),
  ],
  [
    '/resend, of someone who is confirmed',
    '/resend',
    { type: 'signup', email: ann },
    (i) => ({ type: 'signup', email: someone(i) }),
  ],
  [
    '/resend, of a change of address',
    '/resend',
    { type: 'email_change', email: moving },
    (i) => ({ type: 'email_change', email: someone(i) }),
  ],
  ['/recover', '/recover', { email: ann }, (i) => ({ email: someone(i) })],
]

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

describe('a known and an unknown account get the same in the same time (case 55)', () => {
  it.each(cases)(
    'at %s',
    async (_name, path, known, unknown) => {
      // workerd's clock ticks in milliseconds: what is short is summed up for one sample. A hash is long enough.
      const rounds = path === '/signup' ? 1 : 3
      const times: Record<Who, number[]> = { known: [], unknown: [] }
      const advances = new Set<number>()
      let before = commitOf((await time(path, known)).response)
      // The first of each are slower: keys are read, statements are new.
      for (let i = -3; i < samples; i++) {
        const sums = { known: 0, unknown: 0 }
        for (let round = 0; round < rounds; round++) {
          const bodies = { known, unknown: unknown((i + 3) * rounds + round) }
          const found: Partial<Record<Who, Timed>> = {}
          // Now the one first, now the other, so that neither gains by the other's work.
          const order = (i + round) % 2 === 0 ? who : who.toReversed()
          for (const which of order) {
            found[which] = await time(path, bodies[which])
            sums[which] += found[which].took
          }
          const { known: a, unknown: b } = found as Record<Who, Timed>
          expect(a.response.status).toBe(200)
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
      const noise = noiseOf(times.known, times.unknown)
      const [a, b] = [quantile(times.known, 0.5), quantile(times.unknown, 0.5)]
      // Every answer is as many commits after the one before, whosever it is: D1's bookmark tells nothing either.
      expect([...advances]).toHaveLength(1)
      expect(Math.abs(a - b), `${a} and ${b} ms`).toBeLessThanOrEqual(noise)
    },
    60_000,
  )
})
