import { env } from 'cloudflare:workers'
import { template } from 'leanto/email/templates'
import * as v from 'valibot'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { clock, makeBase, mount, site } from '../kit/world.ts'
import { fresh, makeEmail, outbox, people, sent, shareNote } from './world.ts'

const mailer = makeEmail()
const ask = mount({ '/email': mailer })
const send = (body: unknown, more = {}) => ask('/email/send', { body, token: 'user-ann', ...more })
const note = (text = 'milk', more = {}) => ({
  template: 'share-note',
  params: { note: text },
  ...more,
})

beforeEach(fresh)

describe('POST /send', () => {
  it('sends what is declared, to whom is declared', async () => {
    const response = await send(note('<b>milk</b>', { locale: 'de' }))
    expect(response.status).toBe(202)
    expect(await response.json()).toEqual({ id: sent[0]?.id })
    expect(sent).toMatchObject([
      {
        from: { address: 'hi@notes.example' },
        to: [{ address: 'ann@example.com' }],
        subject: 'Notiz: <b>milk</b>',
        html: '<p>&#60;b&#62;milk&#60;/b&#62;</p>',
      },
    ])
  })

  it('takes neither sender, recipients nor text of a client', async () => {
    const evil = {
      ...{
        to: 'eve@example.com',
        from: 'eve@example.com',
        cc: 'eve@example.com',
        bcc: 'eve@example.com',
      },
      ...{
        subject: 'evil',
        text: 'evil',
        html: 'evil',
        headers: { Bcc: 'eve@example.com' },
        replyTo: 'eve@example.com',
      },
    }
    await send({ ...note(), ...evil })
    await send(note('milk', { params: { note: 'milk', ...evil } }))
    expect(sent).toHaveLength(2)
    expect(JSON.stringify(sent)).not.toMatch(/eve|evil/)
  })

  it('cannot be widened by what a template answers', async () => {
    const wide = template({
      ...shareNote,
      render: () =>
        ({
          subject: 'x',
          text: 'y',
          to: 'eve@example.com',
          cc: 'eve@example.com',
          bcc: ['eve@example.com'],
        }) as never,
    })
    const asking = mount({ '/email': makeEmail({ templates: { wide } }) })
    await asking('/email/send', {
      body: { template: 'wide', params: { note: 'x' } },
      token: 'user-ann',
    })
    expect(sent).toMatchObject([{ to: [{ address: 'ann@example.com' }], cc: [], bcc: [] }])
    vi.spyOn(console, 'error').mockImplementation(() => {})
    const many = template({ ...shareNote, to: () => ['a@example.com', 'b@example.com'] as never })
    const listing = mount({ '/email': makeEmail({ templates: { many } }) })
    const response = await listing('/email/send', {
      body: { template: 'many', params: { note: 'x' } },
      token: 'user-ann',
    })
    expect(response.status).toBe(500)
    expect(sent).toHaveLength(1)
  })

  it('asks the policy, and sends nothing if it says no, nothing, or throws', async () => {
    expect((await send(note(), { token: 'user-bob' })).status).toBe(403)
    expect((await send(note(), { token: undefined })).status).toBe(401)
    vi.spyOn(console, 'error').mockImplementation(() => {})
    for (const policy of [() => undefined, () => 1, () => Promise.reject(new Error('secret'))]) {
      const asking = mount({
        '/email': makeEmail({
          templates: { 'share-note': template({ ...shareNote, policy: policy as never }) },
        }),
      })
      const response = await asking('/email/send', { body: note(), token: 'user-ann' })
      expect([403, 500]).toContain(response.status)
      expect(await response.text()).not.toContain('secret')
    }
    expect([sent, await outbox()]).toEqual([[], []])
  })

  it.each<[string, unknown, number]>([
    ['no JSON', '{', 400],
    ['nothing', 'null', 404],
    ['no template', { params: { note: 'x' } }, 404],
    ['another’s template', { template: 'other', params: {} }, 404],
    ['constructor', { template: 'constructor', params: {} }, 404],
    ['__proto__', { template: '__proto__', params: {} }, 404],
    ['no parameters', { template: 'share-note' }, 400],
    ['wrong parameters', note(1 as never), 400],
    ['long parameters', note('x'.repeat(201)), 400],
    ['a wrong language', note('x', { locale: 'de\r\nBcc: x' }), 400],
    ['a template’s subject that would break a header', note('x\r\nBcc: eve@example.com'), 400],
    ['64 KiB and more', note('x', { more: 'x'.repeat(70_000) }), 413],
  ])('refuses %s', async (_, body, status) => {
    const response = await send(body)
    expect(response.status, await response.clone().text()).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect([sent, await outbox()]).toEqual([[], []])
  })

  it('counts the bytes of a body that says nothing, or nonsense, of its length (case 67)', async () => {
    for (const length of [undefined, '10']) {
      const body = new ReadableStream({
        start(controller) {
          for (let i = 0; i < 20; i++)
            controller.enqueue(new TextEncoder().encode(' '.repeat(8192)))
          controller.close()
        },
      })
      const headers = {
        'content-type': 'application/json',
        authorization: 'Bearer user-ann',
        ...(length ? { 'content-length': length } : {}),
      }
      const request = new Request(`${site}/send`, { method: 'POST', body, headers })
      const response = await mailer.routes.fetch(request, env as never)
      expect(response.status).toBe(413)
    }
  })

  it('refuses what no form can send from another site', async () => {
    const response = await send(JSON.stringify(note()), {
      headers: { 'content-type': 'text/plain' },
    })
    expect(response.status).toBe(415)
  })

  it('holds its quota against 50 at once, for each user', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => send(note())))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 202)).toHaveLength(3)
    expect(statuses.filter((status) => status === 429)).toHaveLength(47)
    expect(
      Number(answers.find(({ status }) => status === 429)?.headers.get('retry-after')),
    ).toBeGreaterThan(0)
    expect(sent).toHaveLength(3)
    // Nor does anything wait for cron.
    expect(await outbox()).toHaveLength(3)
    expect((await send(note(), { token: undefined, key: 'secret' })).status).toBe(202)
    clock.advance(3600)
    expect((await send(note())).status).toBe(202)
  })

  it('sends once for one Idempotency-Key of one user, and spends once', async () => {
    const once = (token: string, key = 'k') =>
      send(note(), { token, headers: { 'idempotency-key': key } })
    const anyone = makeEmail({
      templates: { 'share-note': template({ ...shareNote, policy: () => true }) },
    })
    const open = mount({ '/email': anyone })
    const answers = await Promise.all(Array.from({ length: 10 }, () => once('user-ann')))
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(202))
    expect(sent).toHaveLength(1)
    const ids = await Promise.all(
      answers.map(async (one) => ((await one.json()) as { id: string }).id),
    )
    expect(new Set(ids)).toEqual(new Set([sent[0]?.id]))
    // Another's key of the same name is another key.
    await open('/email/send', {
      body: note(),
      token: 'user-bob',
      headers: { 'idempotency-key': 'k' },
    })
    expect(sent).toHaveLength(2)
    for (const key of ['k2', 'k3']) expect((await once('user-ann', key)).status).toBe(202)
    expect((await once('user-ann', 'k4')).status).toBe(429)
    expect((await once('user-ann', 'k')).status).toBe(202)
    expect((await once('user-ann', 'a b')).status).toBe(400)
  })

  it('counts guests by their network', async () => {
    const open = mount({
      '/email': makeEmail({
        templates: {
          'share-note': template({ ...shareNote, policy: () => true, to: () => 'ann@example.com' }),
        },
      }),
    })
    const from = (network: string) =>
      open('/email/send', {
        body: note(),
        headers: { 'cf-connecting-ip': network, 'x-forwarded-for': String(Math.random()) },
      })
    const statuses = async (network: string) =>
      (await Promise.all([1, 2, 3, 4].map(() => from(network)))).map(({ status }) => status).sort()
    expect(await statuses('2001:db8::1')).toEqual([202, 202, 202, 429])
    expect((await from('2001:db8::2')).status).toBe(429)
    expect((await from('192.0.2.1')).status).toBe(202)
  })

  it('costs one trip before the answer', async () => {
    const base = makeBase()
    const { response, cost } = await measurer(base, makeEmail({}, base))('/send', {
      body: note(),
      token: 'user-ann',
    })
    expect(response.status).toBe(202)
    // The second is behind it.
    expect(cost).toMatchObject({ trips: 2, statements: 4 })
  })
})

it('knows whose fault it is that there is no sender', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  const asking = mount({ '/email': makeEmail({ from: () => 'nobody', identity: () => people }) })
  const response = await asking('/email/send', { body: note(), token: 'user-ann' })
  expect([response.status, await response.text()]).toEqual([
    500,
    expect.stringContaining('"misconfigured"'),
  ])
  log.mockRestore()
})

describe('is there', () => {
  it('for declared templates alone', () => {
    expect(
      makeEmail({ templates: undefined as never }).table.map(({ path }) => path),
    ).not.toContain('/send')
    expect(makeEmail().table.map(({ path }) => path)).toContain('/send')
  })

  it.each([
    [{ identity: undefined as never }, 'identity'],
    [{ templates: { Bad: shareNote } }, 'templates.Bad'],
    [{ templates: { a: { ...shareNote, policy: undefined as never } } }, 'needs `policy`'],
    [{ templates: { a: { ...shareNote, quota: undefined as never } } }, 'needs `quota`'],
    [{ templates: { a: { ...shareNote, params: v.string as never } } }, 'needs `params`'],
    [{ from: '' }, 'from'],
    [{ from: 'nobody' }, 'from'],
    [{ transport: {} as never }, 'transport'],
    [{ url: 'notes.example/email' }, 'url'],
    [{ webhooks: [{ provider: 'a/b', receive: () => ({}) as never }] }, 'webhooks'],
    [{ limits: { recipient: { max: 0, seconds: 1 } } }, 'limits.recipient'],
    [{ from: () => 'x' as never, identity: {} as never }, 'identity'],
  ])('only with options that make sense: %o', (options, says) => {
    expect(() => makeEmail(options)).toThrow(says)
  })
})
