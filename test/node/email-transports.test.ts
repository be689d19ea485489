import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Scope } from 'leanto'
import type { Transport } from 'leanto/email'
import { binding } from 'leanto/email/binding'
import { mailgun } from 'leanto/email/mailgun'
import { postmark } from 'leanto/email/postmark'
import { resend } from 'leanto/email/resend'
import { sendgrid } from 'leanto/email/sendgrid'
import { ses } from 'leanto/email/ses'
import { simpleParser } from 'mailparser'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { outgoing } from '../../src/email/message.ts'

/* Each provider's API as a local server speaks it. */

interface Asked {
  method: string
  url: string
  headers: Record<string, string | undefined>
  body: Buffer
}

let asked: Asked[] = []
let answer: (response: ServerResponse, request: IncomingMessage) => void
let origin = ''

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  asked.push({
    method: request.method ?? '',
    url: request.url ?? '',
    headers: request.headers as Asked['headers'],
    body: Buffer.concat(chunks),
  })
  answer(response, request)
})

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
afterEach(() => {
  asked = []
})

const says =
  (status: number, json: unknown = {}, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(json))

const id = '01900000-0000-7000-8000-000000000001'
const mail = outgoing(
  {
    to: ['Ann, A. <ann@example.com>', 'al@example.com'],
    cc: 'bob@example.com',
    bcc: 'eve@example.com',
    replyTo: 'help@notes.example',
    subject: 'Grüße',
    html: '<p>Hi <img src="cid:logo"></p>',
    attachments: [
      { name: 'logo.png', type: 'image/png', content: new Uint8Array([1, 2, 255]), cid: 'logo' },
      { name: 'a.txt', type: 'text/plain', content: 'abc' },
    ],
    headers: { 'X-Order': '42' },
    tags: ['welcome', 'a_longer_one_than_20_letters'],
    locale: 'de',
  },
  { id, date: 0, from: 'Notes <hi@notes.example>' },
)
const plain = outgoing(
  { to: 'ann@example.com', subject: 'Hi', text: 'Hello' },
  { id, date: 0, from: 'hi@notes.example' },
)

interface Env {
  KEY: string
}
const scope = { env: { KEY: 'the-key' }, waitUntil() {} } as never as Scope<Env>
const key = (env: Env) => env.KEY
const about = { local: false }
const json = () => JSON.parse(asked[0]?.body.toString() ?? '')

const made: Record<string, () => Transport<Env>> = {
  resend: () => resend({ key, origin }),
  postmark: () => postmark({ token: key, origin }),
  sendgrid: () => sendgrid({ key, origin }),
  mailgun: () => mailgun({ key, domain: 'mg.notes.example', origin }),
  ses: () => ses({ region: 'eu-central-1', accessKeyId: 'AKID', secretAccessKey: key, origin }),
}
const send = (name: string, one = mail) =>
  (made[name] as () => Transport<Env>)().send(scope, one, about)

describe('what each provider is asked', () => {
  it('Resend, with the mail’s id as idempotency key', async () => {
    answer = says(200, { id: 're_1' })
    expect(await send('resend')).toEqual({ id: 're_1' })
    expect(asked[0]).toMatchObject({ method: 'POST', url: '/emails' })
    expect(asked[0]?.headers).toMatchObject({
      authorization: 'Bearer the-key',
      'idempotency-key': id,
    })
    expect(json()).toEqual({
      from: '"Notes" <hi@notes.example>',
      to: ['"Ann, A." <ann@example.com>', 'al@example.com'],
      cc: ['bob@example.com'],
      bcc: ['eve@example.com'],
      reply_to: ['help@notes.example'],
      subject: 'Grüße',
      text: 'Hi',
      html: '<p>Hi <img src="cid:logo"></p>',
      headers: { 'Message-ID': `<${id}@notes.example>`, 'Content-Language': 'de', 'X-Order': '42' },
      tags: [
        { name: 'welcome', value: '1' },
        { name: 'a_longer_one_than_20_letters', value: '1' },
      ],
      attachments: [
        { filename: 'logo.png', content: 'AQL/', content_type: 'image/png', content_id: 'logo' },
        { filename: 'a.txt', content: 'YWJj', content_type: 'text/plain' },
      ],
    })
  })

  it('Postmark', async () => {
    answer = says(200, { MessageID: 'pm-1', ErrorCode: 0, Message: 'OK' })
    expect(await send('postmark')).toEqual({ id: 'pm-1' })
    expect(asked[0]).toMatchObject({ method: 'POST', url: '/email' })
    expect(asked[0]?.headers['x-postmark-server-token']).toBe('the-key')
    expect(json()).toEqual({
      From: '"Notes" <hi@notes.example>',
      To: '"Ann, A." <ann@example.com>, al@example.com',
      Cc: 'bob@example.com',
      Bcc: 'eve@example.com',
      ReplyTo: 'help@notes.example',
      Subject: 'Grüße',
      TextBody: 'Hi',
      HtmlBody: '<p>Hi <img src="cid:logo"></p>',
      Headers: [
        { Name: 'Message-ID', Value: `<${id}@notes.example>` },
        { Name: 'X-PM-KeepID', Value: 'true' },
        { Name: 'Content-Language', Value: 'de' },
        { Name: 'X-Order', Value: '42' },
      ],
      Tag: 'welcome',
      Metadata: { tag2: 'a_longer_one_than_20_letters' },
      MessageStream: 'outbound',
      Attachments: [
        { Name: 'logo.png', Content: 'AQL/', ContentType: 'image/png', ContentID: 'cid:logo' },
        { Name: 'a.txt', Content: 'YWJj', ContentType: 'text/plain' },
      ],
    })
  })

  it('SendGrid, which takes no empty lists', async () => {
    answer = (response) => response.writeHead(202, { 'x-message-id': 'sg-1' }).end()
    expect(await send('sendgrid')).toEqual({ id: 'sg-1' })
    expect(asked[0]).toMatchObject({ method: 'POST', url: '/v3/mail/send' })
    expect(asked[0]?.headers.authorization).toBe('Bearer the-key')
    expect(json()).toEqual({
      personalizations: [
        {
          to: [{ email: 'ann@example.com', name: 'Ann, A.' }, { email: 'al@example.com' }],
          cc: [{ email: 'bob@example.com' }],
          bcc: [{ email: 'eve@example.com' }],
        },
      ],
      from: { email: 'hi@notes.example', name: 'Notes' },
      reply_to_list: [{ email: 'help@notes.example' }],
      subject: 'Grüße',
      content: [
        { type: 'text/plain', value: 'Hi' },
        { type: 'text/html', value: '<p>Hi <img src="cid:logo"></p>' },
      ],
      headers: { 'Message-ID': `<${id}@notes.example>`, 'Content-Language': 'de', 'X-Order': '42' },
      categories: ['welcome', 'a_longer_one_than_20_letters'],
      attachments: [
        {
          filename: 'logo.png',
          content: 'AQL/',
          type: 'image/png',
          disposition: 'inline',
          content_id: 'logo',
        },
        { filename: 'a.txt', content: 'YWJj', type: 'text/plain', disposition: 'attachment' },
      ],
    })
    asked = []
    await send('sendgrid', plain)
    expect(json()).toEqual({
      personalizations: [{ to: [{ email: 'ann@example.com' }] }],
      from: { email: 'hi@notes.example' },
      subject: 'Hi',
      content: [{ type: 'text/plain', value: 'Hello' }],
      headers: { 'Message-ID': `<${id}@notes.example>` },
    })
  })

  it('Mailgun, as a form with the MIME message', async () => {
    answer = says(200, { id: '<mg-1@mg.notes.example>', message: 'Queued' })
    expect(await send('mailgun')).toEqual({ id: '<mg-1@mg.notes.example>' })
    expect(asked[0]).toMatchObject({ method: 'POST', url: '/v3/mg.notes.example/messages.mime' })
    expect(asked[0]?.headers.authorization).toBe(`Basic ${btoa('api:the-key')}`)
    const form = await new Response(asked[0]?.body as never, {
      headers: { 'content-type': asked[0]?.headers['content-type'] ?? '' },
    }).formData()
    expect(form.getAll('to')).toEqual([
      'ann@example.com',
      'al@example.com',
      'bob@example.com',
      'eve@example.com',
    ])
    expect(form.getAll('o:tag')).toEqual(['welcome', 'a_longer_one_than_20_letters'])
    const parsed = await simpleParser(await (form.get('message') as File).text())
    expect(parsed).toMatchObject({ subject: 'Grüße', messageId: `<${id}@notes.example>` })
    expect(parsed.attachments.map(({ filename }) => filename)).toEqual(['logo.png', 'a.txt'])
  })

  it('Amazon SES, signed, with the MIME message and the envelope', async () => {
    answer = says(200, { MessageId: 'ses-1' })
    expect(await send('ses')).toEqual({ id: 'ses-1' })
    expect(asked[0]).toMatchObject({ method: 'POST', url: '/v2/email/outbound-emails' })
    expect(asked[0]?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/eu-central-1\/ses\/aws4_request, SignedHeaders=/,
    )
    const { Content, ...rest } = json()
    expect(rest).toEqual({
      FromEmailAddress: 'hi@notes.example',
      Destination: {
        ToAddresses: ['ann@example.com', 'al@example.com', 'bob@example.com', 'eve@example.com'],
      },
      EmailTags: [
        { Name: 'welcome', Value: '1' },
        { Name: 'a_longer_one_than_20_letters', Value: '1' },
      ],
    })
    const raw = atob(Content.Raw.Data)
    expect(raw).not.toContain('eve@example.com')
    expect((await simpleParser(raw)).subject).toBe('Grüße')
  })

  it('Cloudflare’s binding', async () => {
    const sent: unknown[] = []
    const bound = {
      send: async (message: never) => {
        sent.push(message)
        return { messageId: 'cf-1' }
      },
    }
    expect(await binding({ binding: () => bound }).send(scope, mail, about)).toEqual({ id: 'cf-1' })
    expect(sent).toEqual([
      {
        from: { email: 'hi@notes.example', name: 'Notes' },
        to: [{ email: 'ann@example.com', name: 'Ann, A.' }, 'al@example.com'],
        cc: ['bob@example.com'],
        bcc: ['eve@example.com'],
        replyTo: 'help@notes.example',
        subject: 'Grüße',
        text: 'Hi',
        html: '<p>Hi <img src="cid:logo"></p>',
        headers: { 'X-Order': '42' },
        attachments: [
          {
            filename: 'logo.png',
            type: 'image/png',
            content: new Uint8Array([1, 2, 255]),
            disposition: 'inline',
            contentId: 'logo',
          },
          {
            filename: 'a.txt',
            type: 'text/plain',
            content: new Uint8Array([97, 98, 99]),
            disposition: 'attachment',
          },
        ],
      },
    ])
  })
})

describe.each(Object.keys(made))('%s', (name) => {
  const fails = () => expect(send(name)).rejects

  it.each([400, 404, 413, 422])(
    'gives up at %i, with the provider’s words and no key',
    async (status) => {
      answer = says(status, {
        message: 'not\nso',
        Message: 'not\nso',
        errors: [{ message: 'not\nso' }],
      })
      const error = await send(name).catch((thrown) => thrown)
      expect(error).toMatchObject({ name: 'Undelivered', final: true })
      expect(error.message).toContain(`${status}: not so`)
      expect(error.message).not.toContain('the-key')
      expect(asked).toHaveLength(1)
    },
  )

  it.each([401, 403, 408, 409, 429, 500, 502, 503])('tries again later at %i', async (status) => {
    answer = says(status, {}, { 'retry-after': '7' })
    await fails().toMatchObject({ name: 'Undelivered', final: false, retryAfter: 7 })
    expect(asked).toHaveLength(1)
  })

  it('follows no redirect, to where its key would go with it', async () => {
    answer = (response) => response.writeHead(307, { location: `${origin}/elsewhere` }).end()
    await fails().toMatchObject({ final: false })
    answer = (response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/latest/' }).end()
    await fails().toMatchObject({ final: false })
    expect(asked.map(({ url }) => url)).not.toContain('/elsewhere')
    expect(asked).toHaveLength(2)
  })

  it('tries again later when the connection is cut', async () => {
    answer = (response) => response.destroy()
    await fails().toMatchObject({ final: false })
    answer = (response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"id":')
      setTimeout(() => response.destroy(), 20)
    }
    await fails().toMatchObject({ final: false })
  })

  it('takes an answer that is no JSON, or endless, for what its status says', async () => {
    answer = (response) => response.writeHead(200).end('<html>')
    await send(name)
    answer = (response) => {
      response.writeHead(200)
      const more = () => {
        if (!response.destroyed) response.write('x'.repeat(65_536), () => setImmediate(more))
      }
      more()
    }
    await send(name)
  })

  it('tries again later without its key', async () => {
    answer = says(200)
    const keyless = { ...scope, env: {} } as never
    const by = (made[name] as () => Transport<Env>)()
    await expect(by.send(keyless, mail, about)).rejects.toMatchObject({ final: false })
    expect(asked).toEqual([])
  })
})

it('waits 15 seconds for an answer, and for SES, whose request is signed, no longer', async () => {
  answer = () => {}
  const started = Date.now()
  await Promise.all(
    ['resend', 'ses'].map((name) => expect(send(name)).rejects.toMatchObject({ final: false })),
  )
  expect(Date.now() - started).toBeGreaterThan(14_000)
  expect(Date.now() - started).toBeLessThan(20_000)
})

describe('the binding', () => {
  const throwing = (code: string) =>
    binding<Env>({
      binding: () => ({ send: () => Promise.reject(Object.assign(new Error('no'), { code })) }),
    })

  it.each([
    ['E_VALIDATION_ERROR', true],
    ['E_RECIPIENT_SUPPRESSED', true],
    ['E_RATE_LIMIT_EXCEEDED', false],
    ['E_SENDER_NOT_VERIFIED', false],
    ['', false],
  ])('%s: final %s', async (code, final) => {
    await expect(throwing(code).send(scope, mail, about)).rejects.toMatchObject({
      name: 'Undelivered',
      final,
    })
  })

  it('tries again later where it is not bound', async () => {
    const none = binding<Env>({ binding: () => undefined })
    await expect(none.send(scope, mail, about)).rejects.toMatchObject({ final: false })
  })
})

it('options that are wrong are refused when a transport is made', () => {
  expect(() => resend({} as never)).toThrow('resend: `key`')
  expect(() => resend({ key: '' })).toThrow('resend: `key`')
  expect(() => resend({ key, origin: 'http://api.example' })).toThrow('https:')
  expect(() => resend({ key, origin: 'https://user@api.example' })).toThrow('https:')
  expect(() => postmark({} as never)).toThrow('postmark: `token`')
  expect(() => sendgrid({} as never)).toThrow('sendgrid: `key`')
  expect(() => mailgun({ key } as never)).toThrow('mailgun: `domain`')
  expect(() => ses({ region: 'x', accessKeyId: 'a', secretAccessKey: 'b' })).toThrow('region')
  expect(() => binding({} as never)).toThrow('binding: `binding`')
})
