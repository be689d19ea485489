import type { Reported } from 'leanto/email/events'
import { resendEvents } from 'leanto/email/resend'
import { Webhook } from 'standardwebhooks'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { measurer } from '../kit/measure.ts'
import { clock, makeBase, mount } from '../kit/world.ts'
import { fresh, inScope, mail, makeEmail, rows, sent } from './world.ts'

const secret = `whsec_${btoa('a secret of thirty-two characters')}`
const reported: Reported[] = []
const options = {
  webhooks: [resendEvents({ secret })],
  event: (_: unknown, event: Reported) => reported.push(event),
}
const mailer = makeEmail(options)
const ask = mount({ '/email': mailer })

const bounced = (...to: string[]) =>
  JSON.stringify({ type: 'email.bounced', data: { to, bounce: { type: 'Permanent' } } })
const signed = (body: string, id = 'msg_1') => ({
  'svix-id': id,
  'svix-timestamp': String(Math.floor(clock.time / 1000)),
  'svix-signature': new Webhook(secret).sign(id, new Date(clock.time), body),
})
const report = (body: string, headers: Record<string, string> = signed(body)) =>
  ask('/email/webhooks/resend', { body, headers })

const suppressed = () =>
  rows('SELECT address, list, reason FROM leanto_email_suppressions ORDER BY address')

beforeEach(async () => {
  await fresh()
  reported.length = 0
})

describe('a provider’s report', () => {
  it('suppresses the mailbox, and tells the host', async () => {
    const response = await report(bounced('Bob <BOB@example.com>'))
    expect(response.status).toBe(204)
    const complaint = JSON.stringify({
      type: 'email.complained',
      data: { to: ['eve@example.com'] },
    })
    await report(complaint, signed(complaint, 'msg_2'))
    expect(await suppressed()).toEqual([
      { address: 'bob@example.com', list: '', reason: 'bounce' },
      { address: 'eve@example.com', list: '', reason: 'complaint' },
    ])
    expect(reported).toEqual([
      { type: 'bounce', address: 'bob@example.com', provider: 'resend' },
      { type: 'complaint', address: 'eve@example.com', provider: 'resend' },
    ])
    await inScope((scope) => mailer.post(scope, { ...mail, to: 'bob@example.com' }))
    expect(sent).toEqual([])
  })

  it('counts once: replayed, it does not undo what was taken back (case 63)', async () => {
    const body = bounced('bob@example.com')
    const headers = signed(body)
    await report(body, headers)
    await inScope((scope) => mailer.unsuppress(scope, { address: 'bob@example.com' }))
    await Promise.all(Array.from({ length: 5 }, () => report(body, headers)))
    expect(await suppressed()).toEqual([])
    expect(reported).toHaveLength(1)
    clock.advance(301)
    expect((await report(body, headers)).status).toBe(401)
    expect((await report(body, signed(body, 'msg_2'))).status).toBe(204)
    expect(await suppressed()).toHaveLength(1)
  })

  it('that is forged does nothing', async () => {
    const body = bounced('bob@example.com')
    const response = await report(body, { ...signed(body), 'svix-id': 'msg_9' })
    expect(response.status).toBe(401)
    expect(await response.text()).toContain('"bad_signature"')
    expect([await suppressed(), await rows('SELECT * FROM leanto_email_events'), reported]).toEqual(
      [[], [], []],
    )
  })

  it('of what is no address, or of more than a body may hold, does no harm', async () => {
    for (const [i, to] of ['nobody', '', 'a'.repeat(1000), 'a@b.cd\r\nx'].entries())
      expect((await report(bounced(to), signed(bounced(to), `msg_${i}`))).status).toBe(204)
    expect(await suppressed()).toEqual([])
    const long = bounced('x'.repeat(1_100_000))
    expect((await report(long)).status).toBe(413)
  })

  it('whose hook fails was taken all the same', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    const failing = makeEmail({
      ...options,
      event: () => Promise.reject(new Error('no')),
    })
    const body = bounced('bob@example.com')
    const response = await mount({ '/email': failing })('/email/webhooks/resend', {
      body,
      headers: signed(body),
    })
    expect(response.status).toBe(204)
    expect(await suppressed()).toHaveLength(1)
  })

  it('costs one trip', async () => {
    const base = makeBase()
    const body = bounced('bob@example.com')
    const { cost } = await measurer(base, makeEmail({ webhooks: options.webhooks }, base))(
      '/webhooks/resend',
      {
        ...{ body, headers: signed(body), method: 'POST' },
      },
    )
    expect(cost).toMatchObject({ trips: 1, statements: 2, rowsWritten: 3 })
  })
})
