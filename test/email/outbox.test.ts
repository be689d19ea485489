import { env } from 'cloudflare:workers'
import type { Statement } from 'leanto'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { d1Error, faulty } from '../kit/faulty.ts'
import { clock, makeBase } from '../kit/world.ts'
import {
  down,
  fresh,
  inScope,
  insertion,
  mail,
  makeEmail,
  outbox,
  rows,
  sent,
  world,
} from './world.ts'

const mailer = makeEmail()
let log: { mock: { calls: unknown[][] } }

beforeEach(async () => {
  await fresh()
  await env.DB.prepare('CREATE TABLE notes (title TEXT)').run()
  vi.restoreAllMocks()
  log = vi.spyOn(console, 'error').mockImplementation(() => {})
})

const logged = () => log.mock.calls.flat().map(String).join('\n')
const cron = () => inScope((scope) => mailer.scheduled?.(scope, 0))
const post = (more = {}, options = {}) =>
  inScope((scope) => mailer.post(scope, { ...mail, ...more }, options))

describe('a mail', () => {
  it('is sent once, after the answer, and what it said is kept no longer', async () => {
    const id = await post({ html: '<p>Hi</p>', bcc: 'bob@example.com' })
    expect(sent).toMatchObject([
      {
        id,
        from: { address: 'hi@notes.example', name: 'Notes' },
        to: [{ address: 'ann@example.com' }],
        bcc: [{ address: 'bob@example.com' }],
        subject: 'Hello',
        text: 'Hi',
        html: '<p>Hi</p>',
      },
    ])
    expect(await outbox()).toMatchObject([
      { id, state: 'sent', attempts: 1, body: null, remote: 'remote-1' },
    ])
    await cron()
    expect(sent).toHaveLength(1)
    expect(await inScope((scope) => mailer.status(scope, id))).toEqual({
      ...{ id, state: 'sent', attempts: 1, error: null, remote: 'remote-1' },
    })
  })

  it('of the `Mailer` port is one', async () => {
    await inScope((scope) => mailer.send(scope, { to: 'a@example.com', subject: 'x', text: 'y' }))
    expect(sent).toHaveLength(1)
  })

  it('that is refused is neither sent nor stored', async () => {
    for (const wrong of [
      { subject: 'a\r\nBcc: x@y.zz' },
      { to: 'nobody' },
      { to: Array(51).fill('a@b.cd') },
      { text: 'x'.repeat(4_000_000) },
    ])
      await expect(post(wrong)).rejects.toMatchObject({ name: 'Fault' })
    await expect(post({}, { key: '' })).rejects.toMatchObject({ code: 'bad_message' })
    expect([await outbox(), sent]).toEqual([[], []])
  })

  it('lies sealed while it waits: no text, subject, address or code', async () => {
    world.fails = () => down()
    await post({ text: 'Your code is 123456' })
    const [row] = await outbox()
    expect(row).toMatchObject({ state: 'queued', attempts: 1, error: 'the provider is down' })
    const all = JSON.stringify(row)
    for (const secret of ['123456', 'Hello', 'ann@', btoa('Your code is 123456').slice(0, 12)])
      expect(all).not.toContain(secret)
    // Case 74.
    expect(logged()).toContain('the provider is down')
    expect(logged()).not.toMatch(/123456|ann@|Hello/)
  })

  it('of 5 MB goes through the outbox and comes out as it was', async () => {
    world.fails = (_, attempt) => (attempt === 1 ? down() : undefined)
    const content = new Uint8Array(3_700_000).map((_, i) => i * 7)
    await post({ attachments: [{ name: 'a.bin', content }] })
    expect((await rows('SELECT * FROM leanto_email_parts')).length).toBeGreaterThan(5)
    clock.advance(120)
    await cron()
    expect(sent).toHaveLength(1)
    expect(sent[0]?.attachments[0]?.content.length).toBe(3_700_000)
    expect(sent[0]?.attachments[0]?.content.subarray(1000, 1010)).toEqual(
      content.subarray(1000, 1010),
    )
    expect(await rows('SELECT * FROM leanto_email_parts')).toEqual([])
  })
})

describe('what fails', () => {
  it('is tried again by cron, later and later, until it is sent, under one id', async () => {
    const ids: string[] = []
    world.fails = ({ id }, attempt) => {
      ids.push(id)
      return attempt < 4 ? down() : undefined
    }
    await post()
    for (const minutes of [1, 2, 4]) {
      clock.advance(minutes * 60 * 0.75)
      const before = ids.length
      await cron()
      expect(ids.length).toBe(before)
      clock.advance(minutes * 60 * 0.5)
      await cron()
      expect(ids.length).toBe(before + 1)
    }
    expect(sent).toHaveLength(1)
    expect(new Set(ids).size).toBe(1)
    expect(await outbox()).toMatchObject([{ state: 'sent', attempts: 4, body: null }])
  })

  it('waits as long as the provider says', async () => {
    world.fails = (_, attempt) =>
      attempt === 1 ? Object.assign(down(), { retryAfter: 3600 }) : undefined
    await post()
    clock.advance(3590)
    await cron()
    expect(sent).toEqual([])
    clock.advance(20)
    await cron()
    expect(sent).toHaveLength(1)
  })

  it('is given up after 10 attempts, told to the host, and can be sent again', async () => {
    const lost: unknown[] = []
    const telling = makeEmail({ after: { failed: (_, one) => lost.push(one) } })
    world.fails = () => down()
    const id = await inScope((scope) => telling.post(scope, mail))
    for (let i = 0; i < 12; i++) {
      clock.advance(5 * 3600)
      await inScope((scope) => telling.scheduled?.(scope, 0))
    }
    expect(await outbox()).toMatchObject([{ state: 'failed', attempts: 10 }])
    expect(lost).toEqual([{ id, error: 'the provider is down' }])
    world.fails = undefined
    expect(await inScope((scope) => mailer.retry(scope, id))).toBe(true)
    expect(await inScope((scope) => mailer.retry(scope, id))).toBe(false)
    expect(await inScope((scope) => mailer.deliver(scope))).toBe(1)
    expect(sent).toMatchObject([{ id, subject: 'Hello' }])
  })

  it('for good is given up at once', async () => {
    world.fails = () => down(true)
    await post()
    expect(await outbox()).toMatchObject([{ state: 'failed', attempts: 1 }])
  })

  it('by a transport’s bug is tried again, and what that throws stays unsaid', async () => {
    world.fails = (one) => new TypeError(`cannot read ${one.text}`)
    await post({ text: 'code 123456' })
    expect(await outbox()).toMatchObject([{ state: 'queued', error: 'TypeError' }])
    expect(logged()).not.toContain('123456')
  })

  it('by a transport that never comes back is let go before its hold ends, and tried again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const hanging = makeEmail({
        transport: { name: 'hanging', send: () => new Promise(() => {}) },
      })
      await inScope(async (scope) => {
        await hanging.post(scope, mail)
        await vi.advanceTimersByTimeAsync(120_000)
      })
    } finally {
      vi.useRealTimers()
    }
    expect(await outbox()).toMatchObject([
      { state: 'queued', error: 'The transport took too long' },
    ])
    clock.advance(120)
    await cron()
    expect(sent).toHaveLength(1)
  })

  it('is sealed under a secret that is no more, and is given up', async () => {
    world.fails = () => down()
    await post()
    clock.advance(120)
    const secret = () => 'another-secret-of-enough-characters-0123456789'
    await inScope((scope) => mailer.deliver(scope), { secret })
    expect(await outbox()).toMatchObject([
      { state: 'failed', error: 'sealed under another secret' },
    ])
  })

  it('while it was being sent, by a Worker that died, is sent by the next once its hold has ended', async () => {
    // Dead before, and dead after the provider took it: the row looks the same.
    const taken = new Promise(() => {})
    const dying = makeEmail({ transport: { name: 'dying', send: () => taken as never } })
    const scope = makeBase().scope({ env: env as never })
    await dying.post(scope, mail)
    await cron()
    expect(sent).toEqual([])
    clock.advance(301)
    await cron()
    await cron()
    expect(sent).toHaveLength(1)
    expect(await outbox()).toMatchObject([{ state: 'sent', attempts: 2 }])
  })

  it('too late, after another has taken over, changes nothing any more', async () => {
    let answer = () => {}
    const slow = makeEmail({
      transport: {
        name: 'slow',
        send: () => new Promise((_, reject) => (answer = () => reject(down(true)))),
      },
    })
    await inScope(async (scope) => {
      await slow.post(scope, mail)
      await vi.waitFor(() => expect(answer).not.toBe(undefined))
      clock.advance(301)
      await cron()
      expect(sent).toHaveLength(1)
      answer()
    })
    expect(await outbox()).toMatchObject([{ state: 'sent', attempts: 2 }])
  })
})

describe('many', () => {
  it('are drained 100 a run, and by two at once no one twice', async () => {
    world.fails = () => down()
    await inScope((scope) =>
      Promise.all(
        Array.from({ length: 130 }, (_, i) => mailer.post(scope, { ...mail, subject: `${i}` })),
      ),
    )
    world.fails = undefined
    clock.advance(120)
    await Promise.all([cron(), cron()])
    await cron()
    expect(sent).toHaveLength(130)
    expect(new Set(sent.map(({ subject }) => subject)).size).toBe(130)
  })

  it('with one key, 50 at once, are one', async () => {
    const ids = await inScope((scope) =>
      Promise.all(Array.from({ length: 50 }, () => mailer.post(scope, mail, { key: 'order-1' }))),
    )
    expect(sent).toHaveLength(1)
    expect(new Set(ids)).toEqual(new Set([sent[0]?.id]))
    await post({}, { key: 'order-2' })
    expect(sent).toHaveLength(2)
  })

  it('are forgotten in time, and their keys with them', async () => {
    await post({}, { key: 'k' })
    world.fails = () => down(true)
    await post()
    clock.advance(7 * 86_400 + 1)
    await cron()
    expect(await outbox()).toMatchObject([{ state: 'failed' }])
    clock.advance(23 * 86_400)
    await cron()
    expect(await outbox()).toEqual([])
    world.fails = undefined
    expect(await post({}, { key: 'k' })).toBe(sent.at(-1)?.id)
  })
})

describe('within the caller’s batch', () => {
  const run = (commits: boolean, options = {}) =>
    inScope(async (scope) => {
      const batch: Statement[] = [insertion(scope, 'a note')]
      const id = await mailer.post(scope, mail, { ...options, within: batch })
      expect(sent).toEqual([])
      if (!commits) batch.push(scope.db.prepare(`SELECT json('no')`))
      const done = scope.db.batch(batch)
      await (commits ? done : expect(done).rejects.toThrow())
      return id
    })

  it('it is sent if that commits', async () => {
    const id = await run(true)
    expect(await rows('SELECT title FROM notes')).toEqual([{ title: 'a note' }])
    expect(sent).toMatchObject([{ id }])
    expect(await outbox()).toMatchObject([{ state: 'sent' }])
  })

  it('and never if it does not', async () => {
    await run(false)
    await cron()
    expect([await rows('SELECT * FROM notes'), await outbox(), sent]).toEqual([[], [], []])
  })

  // What nobody waits for may meet an emptied database.
  const dropped = (work: Promise<unknown>) => void work.catch(() => {})

  it('by cron, if the Worker dies in between', async () => {
    const scope = makeBase().scope({ env: env as never })
    const batch = [insertion(scope, 'a note')]
    await mailer.send({ ...scope, db: scope.db, waitUntil: dropped } as never, mail, {
      within: batch,
    })
    await scope.db.batch(batch)
    await cron()
    expect(sent).toHaveLength(1)
  })

  it('at once, by whoever is in a hurry', async () => {
    await inScope(async (scope) => {
      const batch: Statement[] = []
      await mailer.send(scope, mail, { within: batch })
      await scope.db.batch(batch)
      expect(await mailer.deliver(scope)).toBe(1)
      expect(sent).toHaveLength(1)
    })
    expect(sent).toHaveLength(1)
  })
})

describe('when the database fails', () => {
  const failing = (fails: (sql: string[]) => boolean | 'after') => ({
    db: () => faulty(env.DB as never, fails) as never,
  })
  const enqueues = (sql: string[]) =>
    sql.some((one) => one.includes('INSERT INTO leanto_email_outbox'))
  const finishes = (sql: string[]) =>
    sql.some((one) => one.includes(`UPDATE leanto_email_outbox SET state`))

  it('on the way in, the sender knows, and nothing is sent', async () => {
    await expect(inScope((scope) => mailer.post(scope, mail), failing(enqueues))).rejects.toThrow(
      d1Error,
    )
    await cron()
    expect([sent, await outbox()]).toEqual([[], []])
  })

  it('on the way in, after it was written, it is sent once its hold has ended', async () => {
    const lost = failing((sql) => enqueues(sql) && 'after')
    await expect(inScope((scope) => mailer.post(scope, mail), lost)).rejects.toThrow(d1Error)
    clock.advance(301)
    await cron()
    expect(sent).toHaveLength(1)
  })

  it('once it was sent, it is sent once more, under the same id, and never lost', async () => {
    await inScope((scope) => mailer.post(scope, mail), failing(finishes))
    expect(sent).toHaveLength(1)
    clock.advance(301)
    await cron()
    await cron()
    expect(sent.map(({ id }) => id)).toEqual([sent[0]?.id, sent[0]?.id])
    expect(await outbox()).toMatchObject([{ state: 'sent', attempts: 2 }])
  })

  it('after that was written down, it is not sent again', async () => {
    await inScope(
      (scope) => mailer.post(scope, mail),
      failing((sql) => finishes(sql) && 'after'),
    )
    clock.advance(301)
    await cron()
    expect(sent).toHaveLength(1)
  })
})
