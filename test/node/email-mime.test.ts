import fc from 'fast-check'
import { simpleParser } from 'mailparser'
import { describe, expect, it } from 'vitest'
import { html } from '../../src/email/html.ts'
import { type Message, outgoing } from '../../src/email/message.ts'
import { mimeOf } from '../../src/email/mime.ts'

const made = {
  id: '01900000-0000-7000-8000-000000000001',
  date: Date.parse('2026-06-01T12:00:00Z'),
  from: 'Notes <hi@notes.example>',
}
const mime = (message: Partial<Message>) =>
  mimeOf(outgoing({ to: 'ann@example.com', subject: 'Hello', text: 'Hi', ...message }, made))

/** Every line ends by CRLF, is ASCII and has at most 998 characters (RFC 5322, 2.1.1). */
function isOnItsWay(text: string) {
  expect(text).toMatch(/^[\t\r\n -~]*$/)
  expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
  expect(Math.max(...text.split('\r\n').map((line) => line.length))).toBeLessThanOrEqual(998)
}

describe('a mail as it travels, read by mailparser', () => {
  it('has who, whom, what and when', async () => {
    const text = mime({
      to: [
        'Ann Example <ann@example.com>',
        { address: 'bob@example.com', name: 'Bob, "the" Builder' },
      ],
      cc: 'Zoë Ünïcode <zoe@bücher.example>',
      bcc: 'secret@example.com',
      replyTo: 'help@notes.example',
      headers: {
        'X-Order': '42',
        'List-Unsubscribe': `<https://lists.example/?t=${'a'.repeat(500)}>`,
      },
      locale: 'de-AT',
      tags: ['welcome', 'first'],
    })
    isOnItsWay(text)
    expect(text).toContain('<zoe@xn--bcher-kva.example>')
    const mail = await simpleParser(text)
    expect(mail.from?.value).toEqual([{ address: 'hi@notes.example', name: 'Notes' }])
    expect([mail.to].flat().flatMap((to) => to?.value)).toEqual([
      { address: 'ann@example.com', name: 'Ann Example' },
      { address: 'bob@example.com', name: 'Bob, "the" Builder' },
    ])
    expect([mail.cc].flat()[0]?.value).toEqual([
      { address: 'zoe@bücher.example', name: 'Zoë Ünïcode' },
    ])
    expect(mail.replyTo?.value[0]?.address).toBe('help@notes.example')
    expect(mail.subject).toBe('Hello')
    expect(mail.text?.trim()).toBe('Hi')
    expect(mail.date).toEqual(new Date('2026-06-01T12:00:00Z'))
    expect(mail.messageId).toBe(`<${made.id}@notes.example>`)
    expect(mail.headers.get('x-order')).toBe('42')
    // As it is: no encoded word may stand for an address.
    expect(text).toContain(`List-Unsubscribe: <https://lists.example/?t=${'a'.repeat(500)}>\r\n`)
    expect(mail.headers.get('content-language')).toBe('de-AT')
    expect(mail.headers.get('keywords')).toBe('welcome, first')
    expect(text).not.toContain('secret@example.com')
  })

  it('has text, HTML, images in it and files beside it', async () => {
    const png = new Uint8Array([137, 80, 78, 71, 0, 255, 13, 10, 26, 10])
    const text = mime({
      html: html`<p>Look: <img src="cid:logo.1"></p>`,
      attachments: [
        { name: 'logo.png', type: 'image/png', content: png, cid: 'logo.1' },
        { name: 'Rechnung für "Zoë" (1) 50%.pdf', type: 'application/pdf', content: png.buffer },
        { name: 'plain.txt', type: 'text/plain', content: 'grüß\n' },
      ],
    })
    isOnItsWay(text)
    const mail = await simpleParser(text, { skipImageLinks: true })
    expect(mail.text?.trim()).toBe('Hi')
    expect(mail.html).toContain('<p>Look: <img src="cid:logo.1"></p>')
    expect(
      mail.attachments.map(({ filename, contentType, related, cid, content }) => ({
        ...{ filename, contentType, related, cid },
        bytes: [...content].length,
      })),
    ).toEqual([
      { filename: 'logo.png', contentType: 'image/png', related: true, cid: 'logo.1', bytes: 10 },
      {
        filename: 'Rechnung für "Zoë" (1) 50%.pdf',
        contentType: 'application/pdf',
        related: undefined,
        cid: undefined,
        bytes: 10,
      },
      {
        filename: 'plain.txt',
        contentType: 'text/plain',
        related: undefined,
        cid: undefined,
        bytes: 7,
      },
    ])
    expect([...(mail.attachments[0]?.content ?? [])]).toEqual([...png])
  })

  it('keeps dots, `From `, long lines, spaces at ends and what looks like a boundary', async () => {
    for (const body of [
      '.\n..\n.hidden\nFrom here on',
      `a${'b'.repeat(5000)}`,
      'space at the end \nof a line\t\n',
      `--=_${made.id.replaceAll('-', '')}_a--\nstill here`,
      '=?utf-8?B?SGk=?=',
    ]) {
      const text = mime({
        text: body,
        html: html`<p>x</p>`,
        subject: '=?utf-8?B?SGk=?= is no code',
      })
      isOnItsWay(text)
      const mail = await simpleParser(text)
      expect(mail.text?.replace(/\n$/, '')).toBe(body.replace(/\n$/, ''))
      expect(mail.subject).toBe('=?utf-8?B?SGk=?= is no code')
    }
  })

  it('has any text, name and subject as they were written', async () => {
    const line = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 120 })
      .map((text) =>
        text
          .replaceAll(/[\p{C}\u2028\u2029]/gu, '')
          .replaceAll(/\s+/g, ' ')
          .trim(),
      )
      .filter((text) => text !== '')
    await fc.assert(
      fc.asyncProperty(line, line, line, async (subject, name, body) => {
        const text = mime({ subject, to: { address: 'ann@example.com', name }, text: body })
        isOnItsWay(text)
        const mail = await simpleParser(text)
        expect(mail.subject).toBe(subject)
        expect([mail.to].flat()[0]?.value).toEqual([{ address: 'ann@example.com', name }])
        expect(mail.text?.replace(/\n$/, '')).toBe(body)
      }),
      { numRuns: 300 },
    )
  })
})
