import { beforeEach, describe, expect, it } from 'vitest'
import { faulty } from '../kit/faulty.ts'
import { freshDatabase } from '../kit/world.ts'
import {
  bring,
  makeMoving,
  many,
  ndjson,
  readAnswer,
  results,
  send,
  tables,
  user,
} from './users-world.ts'
import { type Asker, count, mountAuth } from './world.ts'

let users = makeMoving()
let ask: Asker = mountAuth(users)
beforeEach(async () => {
  users = makeMoving()
  ask = mountAuth(users)
  await freshDatabase([users])
})

describe('a run that is cut off', () => {
  /** Reads the answer up to so many batches, and then goes away. */
  async function readUntil(response: Response, batches: number): Promise<string> {
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    let text = ''
    for (let i = 0; i < batches; i++) {
      const { done, value } = await reader.read()
      if (done) break
      text += new TextDecoder().decode(value)
    }
    await reader.cancel()
    return text
  }

  it('at any batch goes on from the last line that was answered, and loses and doubles nothing', async () => {
    const lines = many(450)
    const whole = await (async () => {
      await bring(ask, lines)
      return tables()
    })()
    for (const batches of [0, 1, 2, 3, 4]) {
      await freshDatabase([users])
      const seen = readAnswer(await readUntil(await send(users, ndjson(lines)), batches))
      const last = seen.lines.at(-1)?.line ?? 0
      expect(last).toBe(batches * 100)
      // One batch more may be stored: what it was is not known to whoever went away.
      expect(await count('users')).toBeGreaterThanOrEqual(last)
      expect(await count('users')).toBeLessThanOrEqual(Math.min(450, last + 100))
      const rest = readAnswer(
        await (await send(users, ndjson(lines.slice(last)), `?line=${last + 1}`)).text(),
      )
      expect(rest.lines.map(({ line }) => line)).toEqual(
        Array.from({ length: 450 - last }, (_, i) => last + 1 + i),
      )
      expect(rest.done).toMatchObject({ lines: 450 - last, refused: 0, updated: 0 })
      expect(await tables()).toEqual(whole)
    }
  })

  it('in the middle of a line, or of a batch, has stored whole batches alone', async () => {
    const text = ndjson(many(350))
    const cuts = [0, 1, 0.2, 0.5, 0.9].map((part) => Math.floor(text.length * part))
    for (const cut of [...cuts, text.indexOf('\n') + 1, text.length - 1]) {
      await freshDatabase([users])
      const bytes = new TextEncoder().encode(text.slice(0, cut))
      let sent = false
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (!sent && bytes.length > 0) controller.enqueue(bytes)
          else controller.error(new Error('the connection is gone'))
          sent = true
        },
      })
      const response = await send(users, body)
      const answer = response.status === 200 ? readAnswer(await response.text()) : undefined
      const stored = Math.floor((text.slice(0, cut).split('\n').length - 1) / 100) * 100
      expect(await count('users')).toBe(stored)
      expect(await count('identities')).toBe(stored)
      if (answer) {
        expect(answer.lines).toHaveLength(stored)
        expect(answer.done).toBeUndefined()
        expect(answer.error).toMatchObject({ error_code: 'validation_failed' })
      } else expect(response.status).toBe(400)
      expect((await bring(ask, many(350))).done).toMatchObject({
        created: 350 - stored,
        exists: stored,
      })
      expect(await count('users')).toBe(350)
    }
  })

  it('of 20 at once, each user is made once (cases 19 and 21)', async () => {
    const lines = many(120)
    const all = await Promise.all(Array.from({ length: 20 }, () => bring(ask, lines)))
    const made = all.flatMap(({ lines }) => lines.filter(({ result }) => result === 'created'))
    expect(new Set(made.map(({ line }) => line)).size).toBe(120)
    expect(made).toHaveLength(120)
    expect(all.flatMap(results).filter((result) => result !== 'created')).toEqual(
      Array.from({ length: 19 * 120 }, () => 'exists'),
    )
    expect([await count('users'), await count('identities')]).toEqual([120, 120])
  })

  it('finds the one whose key is not theirs, among a hundred', async () => {
    const taken = {
      factor_type: 'phone',
      id: '5b1c2b1e-9d0a-4c55-8f0e-2f3f1d6f7a10',
      phone: '15550001111',
    }
    await bring(ask, [user(1000, { factors: [taken] })])
    const lines = many(100).map((line, i) => (i === 62 ? { ...line, factors: [taken] } : line))
    const answer = await bring(ask, lines)
    expect(results(answer)).toEqual(lines.map((_, i) => (i === 62 ? 'conflict' : 'created')))
    expect([await count('users'), await count('identities'), await count('factors')]).toEqual([
      100, 100, 1,
    ])
  })

  it('refuses who came second between the look and the write', async () => {
    let trips = 0
    const racing = makeMoving(
      {},
      {
        db: (bound) =>
          faulty(bound.DB as never, async () => {
            // The write of the first batch: by now someone has signed up by the address, and someone else has the line's id.
            if (++trips !== 2) return false
            await bring(ask, [
              { foreign_id: 'first', email: 'user7@example.com' },
              user(9, { email: 'nine@example.com' }),
            ])
            return false
          }),
      },
    )
    const answer = readAnswer(await (await send(racing, ndjson(many(100)))).text())
    expect(results(answer)).toEqual(
      many(100).map((_, i) => (i === 6 ? 'email_exists' : i === 8 ? 'exists' : 'created')),
    )
    expect([await count('users'), await count('identities')]).toEqual([100, 100])
  })
})
