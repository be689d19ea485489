import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Scope } from 'leanto'
import type { Webhook } from 'leanto/email'
import { postmarkEvents } from 'leanto/email/postmark'
import { resendEvents } from 'leanto/email/resend'
import { sendgridEvents } from 'leanto/email/sendgrid'
import { sesEvents } from 'leanto/email/ses'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { selfSigned } from '../kit/certificate.ts'

/* Case 63: a signature over the raw body and its time, compared in constant time; what is old is refused. */

const now = Date.parse('2026-06-01T12:00:00Z')
const scope = { env: {}, now: () => now } as never as Scope
const hook = 'https://notes.example/email/webhooks/x'

const receive = (webhook: Webhook, headers: Record<string, string>, body: string) =>
  webhook.receive(scope, new Request(hook, { method: 'POST', headers, body }), body)
const refused = { name: 'Fault', code: 'bad_signature', status: 401 }

describe('Resend’s', () => {
  const secret = `whsec_${Buffer.from('a secret of thirty-two characters').toString('base64')}`
  const webhook = resendEvents({ secret })
  const bounce = JSON.stringify({
    type: 'email.bounced',
    data: {
      email_id: 're_1',
      to: ['Bob <bob@example.com>'],
      bounce: { type: 'Permanent', subType: 'General' },
    },
  })
  const signed = (body: string, { at = now, by = secret, id = 'msg_1' } = {}) => ({
    'svix-id': id,
    'svix-timestamp': String(Math.floor(at / 1000)),
    'svix-signature': new StandardWebhook(by).sign(id, new Date(at), body),
  })

  it('reports are taken, as the official package signs them', async () => {
    expect(await receive(webhook, signed(bounce), bounce)).toEqual({
      id: 'msg_1',
      events: [{ type: 'bounce', address: 'Bob <bob@example.com>' }],
    })
    const complaint = JSON.stringify({ type: 'email.complained', data: { to: ['a@example.com'] } })
    expect((await receive(webhook, signed(complaint), complaint)).events).toEqual([
      { type: 'complaint', address: 'a@example.com' },
    ])
    for (const other of [
      { type: 'email.bounced', data: { to: ['a@example.com'], bounce: { type: 'Transient' } } },
      { type: 'email.delivered', data: { to: ['a@example.com'] } },
      { type: 'email.bounced' },
      // Which of them it was is not said.
      { type: 'email.bounced', data: { to: ['a@example.com', 'b@example.com'] } },
      { type: 'email.complained', data: { to: ['a@example.com', 'b@example.com'] } },
      {},
    ]) {
      const body = JSON.stringify(other)
      expect((await receive(webhook, signed(body), body)).events).toEqual([])
    }
  })

  it('secret may be rotated: one signature of several is enough', async () => {
    const headers = signed(bounce)
    const other = signed(bounce, { by: `whsec_${btoa('another secret of 32 characters!')}` })
    headers['svix-signature'] = `v1a,abc ${other['svix-signature']} ${headers['svix-signature']}`
    expect((await receive(webhook, headers, bounce)).events).toHaveLength(1)
  })

  it('forgeries are refused', async () => {
    const good = signed(bounce)
    for (const [headers, body] of [
      [{}, bounce],
      [good, `${bounce} `],
      [{ ...good, 'svix-id': 'msg_2' }, bounce],
      [{ ...good, 'svix-timestamp': String(now / 1000 + 1) }, bounce],
      [{ ...good, 'svix-timestamp': 'NaN' }, bounce],
      [{ ...good, 'svix-signature': '' }, bounce],
      [{ ...good, 'svix-signature': good['svix-signature'].replace('v1,', 'v0,') }, bounce],
      [{ ...good, 'svix-signature': 'v1,' }, bounce],
      [signed(bounce, { by: `whsec_${btoa('another secret of 32 characters!')}` }), bounce],
      [signed(bounce, { at: now - 301_000 }), bounce],
      [signed(bounce, { at: now + 301_000 }), bounce],
      [signed('no json'), 'no json'],
    ] as [Record<string, string>, string][])
      await expect(receive(webhook, headers, body), JSON.stringify(headers)).rejects.toMatchObject(
        refused,
      )
  })
})

describe('Postmark’s', () => {
  const webhook = postmarkEvents({ username: 'postmark', password: 'a password' })
  const headers = { authorization: `Basic ${btoa('postmark:a password')}` }

  it('reports are taken with the name and password of their address', async () => {
    const answer = async (body: object) =>
      (await receive(webhook, headers, JSON.stringify(body))).events
    expect(
      await answer({ RecordType: 'Bounce', Type: 'HardBounce', ID: 42, Email: 'bob@example.com' }),
    ).toEqual([{ type: 'bounce', address: 'bob@example.com' }])
    expect(await answer({ RecordType: 'SpamComplaint', ID: 43, Email: 'bob@example.com' })).toEqual(
      [{ type: 'complaint', address: 'bob@example.com' }],
    )
    expect(
      await answer({
        RecordType: 'SubscriptionChange',
        MessageID: 'm',
        Recipient: 'a@example.com',
        SuppressSending: true,
        SuppressionReason: 'HardBounce',
      }),
    ).toEqual([{ type: 'bounce', address: 'a@example.com' }])
    expect(
      await answer({ RecordType: 'Bounce', Type: 'SoftBounce', Email: 'bob@example.com' }),
    ).toEqual([])
    expect(await answer({ RecordType: 'Delivery', Recipient: 'bob@example.com' })).toEqual([])
    const idOf = async (body: object) => (await receive(webhook, headers, JSON.stringify(body))).id
    const one = { RecordType: 'Bounce', ID: 42, Email: 'bob@example.com' }
    expect(await idOf(one)).toBe(await idOf({ ...one, Details: 'x' }))
    expect(await idOf(one)).not.toBe(await idOf({ ...one, ID: 43 }))
    const nameless = { RecordType: 'Bounce', Email: 'a@b.cd' }
    expect(await idOf(nameless)).not.toBe(await idOf({ ...nameless, Email: 'c@b.cd' }))
  })

  it.each([
    {},
    { authorization: '' },
    { authorization: 'Basic' },
    { authorization: `Basic ${btoa('postmark:')}` },
    { authorization: `Basic ${btoa('postmark:a passwor')}` },
    { authorization: `Bearer ${btoa('postmark:a password')}` },
  ])('others’ are refused: %o', async (wrong) => {
    await expect(receive(webhook, wrong as never, '{"RecordType":"Bounce"}')).rejects.toMatchObject(
      refused,
    )
  })
})

describe('SendGrid’s', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  const webhook = sendgridEvents({ publicKey: spki })
  const events = JSON.stringify([
    { event: 'bounce', type: 'bounce', email: 'bob@example.com', sg_event_id: '1' },
    { event: 'bounce', type: 'blocked', email: 'busy@example.com' },
    { event: 'spamreport', email: 'eve@example.com' },
    { event: 'delivered', email: 'ann@example.com' },
    null,
  ])
  const signed = (body: string, { at = now, key = privateKey as KeyObject } = {}) => {
    const timestamp = String(Math.floor(at / 1000))
    return {
      'x-twilio-email-event-webhook-timestamp': timestamp,
      'x-twilio-email-event-webhook-signature': createSign('sha256')
        .update(timestamp + body)
        .sign(key, 'base64'),
    }
  }

  it('reports are taken, whatever the lengths of a signature’s numbers', async () => {
    // One in 128 has a number of 31 bytes or less.
    for (let i = 0; i < 400; i++) {
      const body = events + ' '.repeat(i)
      expect((await receive(webhook, signed(body), body)).events).toEqual([
        { type: 'bounce', address: 'bob@example.com' },
        { type: 'complaint', address: 'eve@example.com' },
      ])
    }
  })

  it('forgeries are refused', async () => {
    const good = signed(events)
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const signature = 'x-twilio-email-event-webhook-signature'
    for (const [headers, body] of [
      [{}, events],
      [good, `${events} `],
      [{ ...good, 'x-twilio-email-event-webhook-timestamp': String(now / 1000 + 1) }, events],
      [{ ...good, [signature]: '' }, events],
      [{ ...good, [signature]: '!!!' }, events],
      [{ ...good, [signature]: btoa('\x30\xff\xff') }, events],
      // Both numbers 0 (CVE-2022-21449).
      [{ ...good, [signature]: btoa('\x30\x06\x02\x01\x00\x02\x01\x00') }, events],
      [{ ...good, [signature]: btoa('\x30\x00') }, events],
      [signed(events, { key: other }), events],
      [signed(events, { at: now - 86_401_000 }), events],
      [signed(events, { at: now + 301_000 }), events],
    ] as [Record<string, string>, string][])
      await expect(receive(webhook, headers, body), JSON.stringify(headers)).rejects.toMatchObject(
        refused,
      )
  })
})

describe('Amazon SES’s, by SNS', () => {
  const { key, certificate: real } = selfSigned('sns.amazonaws.com', 'rsa')
  const topic = 'arn:aws:sns:eu-central-1:123456789012:mail'
  const certificate = `https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-${'0a'.repeat(16)}.pem`
  const confirm = 'https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=abc'
  let pem = real
  let fetched: string[] = []
  let status = 200
  const webhook = sesEvents({
    topic,
    fetch: async (url, init) => {
      fetched.push(url)
      expect(init.redirect).toBe('manual')
      return new Response(url === certificate ? pem : '<ok/>', { status })
    },
  })

  const order: Record<string, string[]> = {
    Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
    SubscriptionConfirmation: [
      'Message',
      'MessageId',
      'SubscribeURL',
      'Timestamp',
      'Token',
      'TopicArn',
      'Type',
    ],
  }
  const message = (message: unknown, more: Record<string, string> = {}) => ({
    Type: 'Notification',
    MessageId: 'sns-1',
    TopicArn: topic,
    Message: JSON.stringify(message),
    Timestamp: new Date(now).toISOString(),
    SignatureVersion: '2',
    SigningCertURL: certificate,
    ...more,
  })
  const signed = (one: Record<string, string>, algorithm = 'RSA-SHA256') => {
    const text = (order[one.Type ?? ''] ?? [])
      .filter((name) => one[name] !== undefined)
      .map((name) => `${name}\n${one[name]}\n`)
      .join('')
    return { ...one, Signature: createSign(algorithm).update(text).sign(key, 'base64') }
  }
  const take = (one: object) => {
    fetched = []
    status = 200
    return receive(webhook, { 'content-type': 'text/plain' }, JSON.stringify(one))
  }
  const bounce = {
    notificationType: 'Bounce',
    bounce: { bounceType: 'Permanent', bouncedRecipients: [{ emailAddress: 'bob@example.com' }] },
  }

  it('reports are taken', async () => {
    expect(await take(signed(message(bounce)))).toEqual({
      id: 'sns-1',
      events: [{ type: 'bounce', address: 'bob@example.com' }],
    })
    expect(fetched).toEqual([certificate])
    const complaint = {
      eventType: 'Complaint',
      complaint: { complainedRecipients: [{ emailAddress: 'a@example.com' }] },
    }
    expect((await take(signed(message(complaint, { Subject: 'x' })))).events).toEqual([
      { type: 'complaint', address: 'a@example.com' },
    ])
    const either = {
      eventType: 'Complaint',
      complaint: {
        complainedRecipients: [
          { emailAddress: 'a@example.com' },
          { emailAddress: 'b@example.com' },
        ],
      },
    }
    expect((await take(signed(message(either)))).events).toEqual([])
    const passing = { ...bounce, bounce: { ...bounce.bounce, bounceType: 'Transient' } }
    expect((await take(signed(message(passing)))).events).toEqual([])
  })

  it('subscription is confirmed, once it is known to be of our topic', async () => {
    const asking = message('', {
      Type: 'SubscriptionConfirmation',
      Token: 'abc',
      SubscribeURL: confirm,
    })
    expect(await take(signed(asking))).toEqual({ id: 'sns-1', events: [] })
    expect(fetched).toEqual([certificate, confirm])
    for (const SubscribeURL of [
      'http://169.254.169.254/',
      'https://sns.eu-central-1.amazonaws.com.evil.example/',
      'https://sns.eu-central-1.amazonaws.com@evil.example/',
    ]) {
      await expect(take(signed({ ...asking, SubscribeURL }))).rejects.toMatchObject(refused)
      expect(fetched).toEqual([certificate])
    }
  })

  it('forgeries are refused, and no address of theirs is asked (case 61)', async () => {
    const good = message(bounce)
    for (const SigningCertURL of [
      ...[
        'https://evil.example/SimpleNotificationService-0a.pem',
        'http://169.254.169.254/latest/meta-data/',
        '',
      ],
      `https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-${'0a'.repeat(16)}.pem`,
      `https://sns.eu-central-1.amazonaws.com@evil.example/SimpleNotificationService-${'0a'.repeat(16)}.pem`,
      `https://sns.us-east-1.amazonaws.com/SimpleNotificationService-${'0a'.repeat(16)}.pem`,
      `http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-${'0a'.repeat(16)}.pem`,
      'https://sns.eu-central-1.amazonaws.com/evil.pem',
    ]) {
      await expect(take(signed({ ...good, SigningCertURL }))).rejects.toMatchObject(refused)
      expect(fetched).toEqual([])
    }
    for (const wrong of [
      signed({ ...good, TopicArn: 'arn:aws:sns:eu-central-1:999999999999:mail' }),
      signed({ ...good, Type: 'UnsubscribeConfirmation' }),
      { ...signed(good, 'RSA-SHA1'), SignatureVersion: '1' },
      signed({ ...good, SignatureVersion: '1' }),
      null,
      [],
    ]) {
      await expect(take(wrong as never)).rejects.toMatchObject(refused)
      expect(fetched).toEqual([])
    }
    for (const wrong of [
      { ...signed(good), Message: JSON.stringify({ ...bounce, x: 1 }) },
      { ...signed(good), Signature: '' },
      { ...signed(good), MessageId: 'sns-2' },
      signed(good, 'RSA-SHA1'),
      signed({ ...good, Timestamp: new Date(now - 86_401_000).toISOString() }),
      signed({ ...good, Timestamp: 'never' }),
    ])
      await expect(take(wrong)).rejects.toMatchObject(refused)
  })

  it('without a certificate nothing counts', async () => {
    for (const broken of [
      '',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      real.slice(0, 400),
    ]) {
      pem = broken
      await expect(take(signed(message(bounce)))).rejects.toMatchObject(refused)
    }
    pem = real
    const down = receive(webhook, {}, JSON.stringify(signed(message(bounce))))
    await down
    status = 503
    await expect(receive(webhook, {}, JSON.stringify(signed(message(bounce))))).rejects.toThrow(
      '503',
    )
  })

  it('topic must be one', () => {
    expect(() => sesEvents({ topic: 'mail' })).toThrow('topic')
    expect(() => sesEvents({} as never)).toThrow('topic')
  })
})
