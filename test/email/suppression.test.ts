import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { clock, mount } from '../kit/world.ts'
import {
  down,
  fresh,
  inScope,
  linkOf,
  mail,
  makeEmail,
  outbox,
  rows,
  sent,
  url,
  world,
} from './world.ts'

const mailer = makeEmail()
const ask = mount({ '/email': mailer })

beforeEach(fresh)

const post = (more = {}) => inScope((scope) => mailer.post(scope, { ...mail, ...more }))

describe('an address that is suppressed', () => {
  it('gets nothing, and the others do', async () => {
    await inScope((scope) =>
      mailer.suppress(scope, { address: 'Bob@Example.com', reason: 'bounce' }),
    )
    await post({
      to: ['ann@example.com', 'bob@example.com'],
      cc: 'BOB@example.com',
      bcc: 'eve@example.com',
    })
    expect(sent).toMatchObject([
      { to: [{ address: 'ann@example.com' }], cc: [], bcc: [{ address: 'eve@example.com' }] },
    ])
    await post({ to: 'bob@example.com', cc: 'ann@example.com' })
    expect(sent).toHaveLength(1)
    expect((await outbox()).map(({ state }) => state).sort()).toEqual(['sent', 'suppressed'])
  })

  it('that became so while its mail waited gets nothing either', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    world.fails = () => down()
    await post()
    world.fails = undefined
    await inScope((scope) => mailer.suppress(scope, { address: 'ann@example.com' }))
    clock.advance(120)
    await inScope((scope) => mailer.deliver(scope))
    expect(sent).toEqual([])
    expect(await outbox()).toMatchObject([{ state: 'suppressed', body: null }])
  })

  it('is known, and can be taken back', async () => {
    await inScope(async (scope) => {
      await mailer.suppress(scope, { address: 'bob@example.com', reason: 'complaint' })
      await mailer.suppress(scope, { address: 'bob@example.com', list: 'news' })
      expect(await mailer.suppressions(scope, 'BOB@example.com')).toMatchObject([
        { address: 'bob@example.com', list: '', reason: 'complaint' },
        { address: 'bob@example.com', list: 'news', reason: 'manual' },
      ])
      expect(await mailer.unsuppress(scope, { address: 'bob@example.com' })).toBe(true)
      expect(await mailer.unsuppress(scope, { address: 'bob@example.com' })).toBe(false)
    })
    await post({ to: 'bob@example.com' })
    expect(sent).toHaveLength(1)
  })
})

describe('unsubscribing by one click (RFC 8058)', () => {
  const link = async (list = 'news') => {
    await post({ unsubscribe: list })
    const headers = sent.at(-1)?.headers ?? {}
    expect(headers['List-Unsubscribe-Post']).toBe('List-Unsubscribe=One-Click')
    const [, address = ''] = headers['List-Unsubscribe']?.match(/^<(.*)>$/) ?? []
    expect(address.startsWith(`${url}/unsubscribe?t=`)).toBe(true)
    expect(address).not.toContain('ann')
    return address.slice(new URL(url).origin.length)
  }
  const click = (path: string) =>
    ask(path, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'List-Unsubscribe=One-Click',
    })

  it('ends that list for that address, and no more', async () => {
    const response = await click(await link())
    expect(response.status).toBe(200)
    await post({ unsubscribe: 'news' })
    await post({ unsubscribe: 'other' })
    await post()
    await post({ unsubscribe: 'news', to: 'bob@example.com' })
    expect(sent.slice(1).map(({ list, to }) => [list, to[0]?.address])).toEqual([
      ['other', 'ann@example.com'],
      [undefined, 'ann@example.com'],
      ['news', 'bob@example.com'],
    ])
    // Again is no harm.
    expect((await click(await link('other'))).status).toBe(200)
    expect((await click(await link('third'))).status).toBe(200)
  })

  it('is asked first by a page that nobody caches (case 66), which what scans links may open', async () => {
    const path = await link()
    for (const method of ['GET', 'HEAD']) expect((await ask(path, { method })).status).toBe(200)
    expect(await rows('SELECT * FROM leanto_email_suppressions')).toEqual([])
    const page = await ask(path)
    expect(page.headers.get('referrer-policy')).toBe('no-referrer')
    expect(page.headers.get('cache-control')).toBe('no-store')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    const text = await page.text()
    expect(text).toContain('ann@example.com')
    expect(text).not.toContain('<script')
  })

  it('needs a link that we have made, and has not been changed', async () => {
    const path = await link()
    const changed = path.slice(0, -3) + (path.endsWith('AAA') ? 'BBB' : 'AAA')
    for (const wrong of [
      '/email/unsubscribe',
      '/email/unsubscribe?t=',
      '/email/unsubscribe?t=x',
      changed,
      `${path}${'A'.repeat(2000)}`,
    ]) {
      const response = await click(wrong)
      expect(response.status).toBe(400)
      expect(await response.text()).toContain('"bad_link"')
    }
    expect(await rows('SELECT * FROM leanto_email_suppressions')).toEqual([])
  })

  it('has a link for the mail’s own text', async () => {
    const made = await inScope((scope) =>
      linkOf(scope, { address: 'Ann@example.com', list: 'news' }),
    )
    await click(made.slice(new URL(url).origin.length))
    expect(await rows('SELECT address, list, reason FROM leanto_email_suppressions')).toEqual([
      { address: 'ann@example.com', list: 'news', reason: 'unsubscribe' },
    ])
  })

  it('is not there without `url`, and mails that need it are refused', async () => {
    const without = makeEmail({ url: undefined as never })
    expect(without.table.map(({ path }) => path)).toEqual(['/send'])
    await expect(
      inScope((scope) => without.send(scope, { ...mail, unsubscribe: 'news' })),
    ).rejects.toMatchObject({ code: 'bad_message' })
  })
})

describe('a recipient’s limit', () => {
  const limited = makeEmail({ limits: { recipient: { max: 2, seconds: 3600 } } })
  const send = (more = {}, options = {}) =>
    inScope((scope) => limited.post(scope, { ...mail, ...more }, options))

  it('holds over all mails, spellings and fields, and nobody of the mail gets it', async () => {
    await send()
    await send({ to: 'bob@example.com', bcc: 'ANN@example.com' })
    await expect(send({ to: ['bob@example.com', 'Ann@Example.com'] })).rejects.toMatchObject({
      ...{ code: 'recipient_limited', status: 429 },
      headers: { 'retry-after': expect.stringMatching(/^\d+$/) },
    })
    expect(sent).toHaveLength(2)
    expect(await outbox()).toHaveLength(2)
    clock.advance(3600)
    await send()
    expect(sent).toHaveLength(3)
  })

  it('is never overrun by parallel ones', async () => {
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => send()))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
    expect(sent).toHaveLength(2)
  })

  it('is not spent by the same mail again', async () => {
    for (let i = 0; i < 5; i++) await send({}, { key: 'k' })
    await send()
    expect(sent).toHaveLength(2)
  })

  it('is known before the caller’s batch is run', async () => {
    await send()
    await send()
    await inScope(async (scope) => {
      const within: never[] = []
      await expect(limited.send(scope, mail, { within })).rejects.toMatchObject({
        code: 'recipient_limited',
      })
      expect(within).toEqual([])
    })
  })

  it('tells nobody whom the app writes to', async () => {
    await send()
    const { results } = await env.DB.prepare('SELECT key FROM leanto_core_limits').all()
    expect(JSON.stringify(results)).not.toContain('ann')
  })
})
