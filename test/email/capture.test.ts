import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { migrate } from 'leanto'
import { html, type Message } from 'leanto/email'
import { capture } from 'leanto/email/capture'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { type Ask, asker, clock, makeBase } from '../kit/world.ts'
import { fresh, inScope, mail, makeEmail, outbox, rows, sent, transport } from './world.ts'

const mailer = makeEmail({ transport: capture({ otherwise: transport }) })
const base = makeBase()

let message: Partial<Message> = {}
const app = new Hono().route('/email', mailer.routes).post('/mail', async (c) => {
  await mailer.send(base.scope(c as never), { ...mail, ...message })
  return c.body(null, 204)
})
const here = asker(app, 'http://localhost:8787')
const send = (ask = here, more: Partial<Message> = {}) => {
  message = more
  return ask('/mail', { method: 'POST' })
}
const json = async (path: string) =>
  (await here(path, { headers: { accept: 'application/json' } })).json() as Promise<never>
const list = async () =>
  ((await json('/email/inbox')) as { mails: { id: string; subject: string; recipients: string }[] })
    .mails
const newest = async () => `/email/inbox/${(await list())[0]?.id}`

beforeEach(async () => {
  await fresh()
  await migrate(env.DB as never, [mailer])
})

const evil = `<script>alert(1)</script>"'>`

describe('in local development', () => {
  it('mail is kept and read, and not sent', async () => {
    await send(here, {
      cc: 'bob@example.com',
      bcc: 'eve@example.com',
      subject: evil,
      tags: ['a', 'b'],
      headers: { 'X-Order': '<b>' },
    })
    expect(sent).toEqual([])
    expect(await list()).toMatchObject([
      { subject: evil, recipients: 'ann@example.com, bob@example.com, eve@example.com' },
    ])
    expect(await outbox()).toMatchObject([{ state: 'sent', local: 1 }])
    const page = await here(await newest())
    const text = await page.text()
    for (const part of [
      'ann@example.com',
      'bob@example.com',
      'eve@example.com',
      'a, b',
      'X-Order',
      '&#60;b&#62;',
      'Hi',
    ])
      expect(text).toContain(part)
    for (const path of ['/email/inbox', await newest()]) {
      const answer = await here(path)
      expect(await answer.text()).not.toContain('<script')
      expect(answer.headers.get('content-security-policy')).toMatch(
        /default-src 'none'.*frame-ancestors 'none'/,
      )
      expect(answer.headers.get('cache-control')).toBe('no-store')
    }
  })

  it('its HTML is a page without scripts, forms and origin, its images within it', async () => {
    await send(here, {
      html: html`<img src="cid:logo"><img src="cid:other"><a href="https://notes.example">x</a>`,
      attachments: [
        { name: 'logo.png', type: 'image/png', content: new Uint8Array([1, 2, 255]), cid: 'logo' },
      ],
    })
    const answer = await here(`${await newest()}/html`)
    expect(await answer.text()).toBe(
      '<base target="_blank"><img src="data:image/png;base64,AQL/"><img src="cid:other"><a href="https://notes.example">x</a>',
    )
    const policy = answer.headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(
      /^sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'/,
    )
    expect(policy).not.toMatch(/allow-scripts|allow-same-origin|allow-forms|script-src/)
    expect(await (await here(await newest())).text()).toContain(
      'sandbox="allow-popups allow-popups-to-escape-sandbox" src="/email/inbox/',
    )
  })

  it('attachments are downloads, never pages; links of the text are links', async () => {
    const name = `a'b"c ü.html`
    await send(here, {
      text: `See (https://notes.example/?a=1&b=2). And ${evil} javascript:alert(1)`,
      attachments: [{ name, type: 'text/html', content: '<script>alert(1)</script>' }],
    })
    const path = await newest()
    const file = await here(`${path}/attachments/0`)
    expect(file.headers.get('content-type')).toBe('application/octet-stream')
    expect(file.headers.get('x-content-type-options')).toBe('nosniff')
    expect(file.headers.get('content-disposition')).toBe(
      `attachment; filename*=utf-8''a%27b%22c%20%C3%BC.html`,
    )
    expect(await file.text()).toBe('<script>alert(1)</script>')
    for (const n of ['1', '-1', 'x', '__proto__', 'length'])
      expect((await here(`${path}/attachments/${n}`)).status).toBe(404)
    const text = await (await here(path)).text()
    expect(text).toContain(
      '<a href="https://notes.example/?a=1&#38;b=2" target="_blank" rel="noreferrer">',
    )
    expect(text).not.toMatch(/href="javascript|<script/)
  })

  it('of 5 MB is kept as it is', async () => {
    const content = new Uint8Array(3_700_000).map((_, i) => i * 7)
    await send(here, { attachments: [{ name: 'a.bin', content }] })
    const bytes = new Uint8Array(
      await (await here(`${await newest()}/attachments/0`)).arrayBuffer(),
    )
    expect(bytes.length).toBe(3_700_000)
    expect(bytes.subarray(3_000_000, 3_000_010)).toEqual(content.subarray(3_000_000, 3_000_010))
  })

  it('the last 200 are kept, until they are emptied', async () => {
    for (let i = 0; i < 203; i++) {
      clock.advance(1)
      await send(here, { subject: `mail ${i}` })
    }
    const kept = await list()
    expect([kept.length, kept[0]?.subject, kept.at(-1)?.subject]).toEqual([
      200,
      'mail 202',
      'mail 3',
    ])
    const answer = await here('/email/inbox', {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin' },
    })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/email/inbox'])
    expect(await list()).toEqual([])
    expect(await (await here('/email/inbox')).text()).toContain('No mail yet')
  })

  it('is not read or emptied by another site', async () => {
    await send()
    const path = await newest()
    const from = (site: string, more: Record<string, string> = {}) => ({
      'sec-fetch-site': site,
      ...more,
    })
    const asked: [string, Ask, number][] = [
      [
        '/email/inbox',
        { headers: from('cross-site', { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }) },
        404,
      ],
      [path, { headers: from('same-site', { 'sec-fetch-dest': 'iframe' }) }, 404],
      [`${path}/html`, { headers: from('cross-site', { 'sec-fetch-dest': 'image' }) }, 404],
      [
        '/email/inbox',
        { method: 'POST', headers: from('cross-site', { 'sec-fetch-dest': 'document' }) },
        404,
      ],
      // By a link.
      ['/email/inbox', { headers: from('cross-site', { 'sec-fetch-dest': 'document' }) }, 200],
      ['/email/inbox', { headers: from('same-origin') }, 200],
    ]
    for (const [to, ask, status] of asked)
      expect((await here(to, ask)).status, JSON.stringify(ask)).toBe(status)
    expect(await list()).toHaveLength(1)
  })

  it('wrong addresses of mails are not found', async () => {
    for (const path of ['x', `${crypto.randomUUID()}`, "' OR 1=1 --"])
      for (const part of ['', '/html', '/attachments/0'])
        expect((await here(`/email/inbox/${encodeURIComponent(path)}${part}`)).status).toBe(404)
  })
})

describe('elsewhere', () => {
  const there = asker(app)

  it('no method, and no part of a mail, is there (case 60)', async () => {
    const ways: Record<string, string>[] = [
      {},
      { range: 'bytes=0-1' },
      { accept: 'application/json' },
    ]
    await send(here, { attachments: [{ name: 'a.svg', type: 'image/svg+xml', content: '<svg/>' }] })
    const path = await newest()
    for (const part of ['', '/html', '/attachments/0'])
      for (const method of ['GET', 'HEAD'])
        for (const headers of ways) {
          expect((await there(path + part, { method, headers })).status).toBe(404)
          const shown = await here(path + part, { method, headers })
          expect(shown.status).toBe(200)
          expect(shown.headers.get('x-content-type-options')).toBe('nosniff')
          if (part) expect(shown.headers.get('content-security-policy')).toContain('sandbox')
        }
  })

  it('mail goes by what it is given, and there is no page', async () => {
    await send(there)
    expect(sent).toHaveLength(1)
    expect(await rows('SELECT * FROM leanto_email_captured')).toEqual([])
    for (const origin of [
      'https://app.example',
      'http://localhost.evil.example',
      'http://10.0.0.1:8787',
    ]) {
      const answer = await asker(app, origin)('/email/inbox')
      expect(answer.status).toBe(404)
      expect(await answer.text()).toContain('"not_found"')
    }
  })

  it('without that, it stays in the outbox', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    const alone = makeEmail({ transport: capture() })
    await inScope((scope) => alone.send(scope, mail))
    expect(await outbox()).toMatchObject([
      { state: 'queued', error: expect.stringContaining('otherwise') },
    ])
    expect(await rows('SELECT * FROM leanto_email_captured')).toEqual([])
  })

  it('a mail of local development that cron sends is kept all the same', async () => {
    const within: never[] = []
    const scope = makeBase().scope({ env: env as never })
    const developing = Object.create(scope, {
      local: { value: true },
      // What nobody waits for may meet an emptied database.
      waitUntil: { value: (work: Promise<unknown>) => void work.catch(() => {}) },
    })
    await mailer.post(developing, mail, { within })
    await scope.db.batch(within)
    await inScope((cron) => mailer.scheduled?.(cron, 0))
    expect(sent).toEqual([])
    expect(await rows('SELECT id FROM leanto_email_captured')).toHaveLength(1)
  })
})

it('takes nothing but a transport for `otherwise`', () => {
  expect(() => capture({ otherwise: {} as never })).toThrow('otherwise')
})
