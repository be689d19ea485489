import { type Attachment, html, type Message, unsafeHtml } from 'leanto/email'
import { describe, expect, it } from 'vitest'
import { mailboxOf } from '../../src/email/address.ts'
import { textOf } from '../../src/email/html.ts'
import { outgoing } from '../../src/email/message.ts'

const made = { id: 'x', date: 0, from: 'Notes <hi@notes.example>' }
const check = (message: Partial<Message>) =>
  outgoing({ to: 'ann@example.com', subject: 'Hello', text: 'Hi', ...message }, made)
const codeOf = (message: Partial<Message>) => {
  try {
    check(message)
    return 'taken'
  } catch (error) {
    return (error as { code: string }).code
  }
}

const breaks = ['\r\n', '\n', '\r', '\0', '\u2028', '\u2029', '\x85', '\x0b', '\x1b', '\ud800']

describe('header injection', () => {
  it.each(breaks.map((char) => [JSON.stringify(char), char]))(
    'by %s is refused, wherever it stands',
    (_, char) => {
      const evil = `x${char}Bcc: eve@example.com`
      const attachment = (more: Partial<Attachment>): Attachment => ({
        name: 'a',
        content: '',
        ...more,
      })
      for (const message of [
        { subject: evil },
        { headers: { 'X-Order': evil } },
        { headers: { [`X${char}Bcc`]: 'eve@example.com' } },
        { to: { address: 'ann@example.com', name: evil } },
        { to: `${evil} <ann@example.com>` },
        { to: `ann@example.com${char}Bcc: eve@example.com` },
        { to: { address: `ann@example.com${char}`, name: '' } },
        { cc: `a${char}b@example.com` },
        { replyTo: `ann@exa${char}mple.com` },
        { from: { address: 'hi@notes.example', name: evil } },
        { locale: `de${char}` },
        { tags: [evil] },
        { unsubscribe: evil },
        { attachments: [attachment({ name: evil })] },
        { attachments: [attachment({ type: `text/plain${char}X: y` })] },
        { attachments: [attachment({ cid: `a${char}` })] },
      ] satisfies Partial<Message>[])
        expect(['bad_message', 'bad_address'], JSON.stringify(message)).toContain(codeOf(message))
    },
  )

  it('no message sets what says who it is from, where it goes or what is in it', () => {
    for (const name of [
      ...[
        'From',
        'to',
        'CC',
        'bcc',
        'Sender',
        'Reply-To',
        'Subject',
        'Date',
        'Message-ID',
        'Return-Path',
      ],
      ...[
        'Content-Type',
        'content-transfer-encoding',
        'MIME-Version',
        'DKIM-Signature',
        'Resent-To',
      ],
      ...['X-SES-SOURCE-ARN', 'X-SMTPAPI: x', '', 'a b', 'ü'],
    ])
      expect(codeOf({ headers: { [name]: 'x' } }), name).toBe('bad_message')
    const own = { 'list-unsubscribe': '<https://lists.example/1>' }
    expect(codeOf({ headers: own })).toBe('taken')
    expect(codeOf({ headers: own, unsubscribe: 'news' })).toBe('bad_message')
    expect(codeOf({ headers: { 'X-Order': '42', 'In-Reply-To': '<a@b.c>' } })).toBe('taken')
  })
})

describe('addresses', () => {
  it.each([
    ...[
      '',
      'ann',
      '@example.com',
      'ann@',
      'a b@example.com',
      'ann@exam ple.com',
      'ann@@example.com',
    ],
    ...[
      'ann@127.1',
      'ann@[127.0.0.1]',
      'ann@example.com:25',
      'ann@example.com/x',
      '"a b"@example.com',
    ],
    ...[
      '.ann@example.com',
      'a..b@example.com',
      'ann.@example.com',
      'ann@-example.com',
      'ann@example..com',
    ],
    ...[
      'ann＠example.com',
      'ännchen@example.com',
      '<script>@example.com',
      'ann@example.com,eve@example.com',
    ],
    ...[
      'Ann <ann@example.com> <eve@example.com>',
      '<<ann@example.com>>',
      'ann@example.com; eve@example.com',
    ],
    ...[`${'a'.repeat(65)}@example.com`, `ann@${'a'.repeat(64)}.com`, `a@${'abc.'.repeat(80)}com`],
  ])('%s is refused', (to) => {
    expect(codeOf({ to })).toBe('bad_address')
  })

  it.each([
    ['ann@example.com', { address: 'ann@example.com' }],
    ['  Ann+Tag@EXAMPLE.com ', { address: 'Ann+Tag@example.com' }],
    ['Ann <ann@example.com>', { address: 'ann@example.com', name: 'Ann' }],
    ['"Ann, \\"A\\"" <ann@example.com>', { address: 'ann@example.com', name: 'Ann, "A"' }],
    ["o'neil@bücher.example", { address: "o'neil@xn--bcher-kva.example" }],
  ])('%s is taken', (to, expected) => {
    expect(mailboxOf(to)).toEqual(expected)
  })

  it('that are no text are refused', () => {
    for (const to of [null, 1, {}, [], [null], { address: 1 }, { address: 'a@b.cd', name: 1 }])
      expect(codeOf({ to: to as never }), JSON.stringify(to)).toBe('bad_address')
  })

  it('are taken up to 50, over all fields, each once', () => {
    const many = (count: number, from = 0) =>
      Array.from({ length: count }, (_, i) => `u${from + i}@example.com`)
    expect(codeOf({ to: many(50) })).toBe('taken')
    expect(codeOf({ to: many(51) })).toBe('too_many_recipients')
    expect(codeOf({ to: many(20), cc: many(20, 20), bcc: many(10, 40) })).toBe('taken')
    expect(codeOf({ to: many(20), cc: many(20, 20), bcc: many(11, 40) })).toBe(
      'too_many_recipients',
    )
    const { to, cc } = check({
      to: ['a@example.com', 'A@EXAMPLE.com'],
      cc: ['a@example.com', 'b@example.com'],
    })
    expect([to, cc]).toEqual([[{ address: 'a@example.com' }], [{ address: 'b@example.com' }]])
  })
})

describe('a message', () => {
  it('needs a subject of one line, and something to say', () => {
    expect(codeOf({ subject: ' ' })).toBe('bad_message')
    expect(codeOf({ subject: 1 as never })).toBe('bad_message')
    expect(codeOf({ subject: 'a'.repeat(999) })).toBe('bad_message')
    expect(codeOf({ text: undefined as never })).toBe('bad_message')
    expect(codeOf({ text: 'a\0b' })).toBe('bad_message')
    expect(codeOf({ html: 1 as never })).toBe('bad_message')
    expect(codeOf({ tags: ['1', '2', '3', '4', '5', '6'] })).toBe('bad_message')
    expect(codeOf({ unsubscribe: 'news', cc: 'bob@example.com' })).toBe('bad_message')
  })

  it('has at most 5 MB as it travels, and 32 attachments', () => {
    const file = (bytes: number): Attachment => ({ name: 'a', content: new Uint8Array(bytes) })
    expect(codeOf({ attachments: [file(3_800_000)] })).toBe('taken')
    expect(codeOf({ attachments: [file(3_830_000)] })).toBe('message_too_large')
    expect(codeOf({ text: 'ü'.repeat(2_000_000) })).toBe('message_too_large')
    expect(codeOf({ attachments: Array.from({ length: 32 }, () => file(1)) })).toBe('taken')
    expect(codeOf({ attachments: Array.from({ length: 33 }, () => file(1)) })).toBe('bad_message')
  })

  it('takes no attachment whose name is a path, or that is a message', () => {
    for (const attachment of [
      { name: '../a', content: '' },
      { name: 'a\\b', content: '' },
      { name: '', content: '' },
      { name: 'a', content: 1 as never },
      { name: 'a', type: 'message/rfc822', content: '' },
      { name: 'a', type: 'multipart/mixed', content: '' },
      { name: 'a', type: 'text/plain; charset=x', content: '' },
    ])
      expect(codeOf({ attachments: [attachment] }), JSON.stringify(attachment)).toBe('bad_message')
  })
})

describe('html', () => {
  it('escapes by default, and keeps what is HTML already', () => {
    const evil = `<img src=x onerror="alert('1')">&\``
    expect(html`<p title="${evil}">${evil}</p>`.text).not.toMatch(/<img|onerror="/)
    expect(html`<p>${evil}</p>`.text).toBe(
      '<p>&#60;img src=x onerror=&#34;alert(&#39;1&#39;)&#34;&#62;&#38;&#96;</p>',
    )
    expect(html`<ul>${['<a>', '<b>'].map((one) => html`<li>${one}</li>`)}</ul>`.text).toBe(
      '<ul><li>&#60;a&#62;</li><li>&#60;b&#62;</li></ul>',
    )
    expect(html`${null}${undefined}${false}${0}${1n}${unsafeHtml('<b>')}`.text).toBe('01<b>')
    // What only looks like ours is text.
    expect(html`${String({ text: '<b>' })}`.text).toBe('[object Object]')
  })

  it('is read as text, with its links', () => {
    expect(
      textOf(`<!doctype html><html><head><title>no</title><style>p{}</style></head><body><!-- no -->
        <h1>Hello &amp; welcome</h1><p>One<br>two&nbsp;&#8364; &lt;b&gt;</p>
        <ul><li>a</li><li>b</li></ul>
        <p><a href="https://notes.example/?a=1&amp;b=2">Open <b>it</b></a> or <a href="javascript:x">not</a></p>
        <header>kept</header><script>no()</script></body></html>`),
    ).toBe(
      'Hello & welcome\n\nOne\ntwo € <b>\n\n- a\n- b\n\nOpen it (https://notes.example/?a=1&b=2) or not\n\nkept',
    )
    expect(check({ text: undefined as never, html: html`<p>Hi ${'<b>'}</p>` })).toMatchObject({
      html: '<p>Hi &#60;b&#62;</p>',
      text: 'Hi <b>',
    })
  })

  it('is read in time that grows with its length alone', () => {
    for (const piece of [
      '<a href="https://x">',
      '<!--',
      '<head',
      '<script>',
      '<li',
      '&#',
      '<p ',
      ' \n',
      '<a href="',
      '<img alt="',
      ' href=""',
    ])
      for (const start of ['', '<a', '<a href="https://x">']) {
        const started = performance.now()
        textOf(start + piece.repeat(200_000 / piece.length))
        expect(performance.now() - started, piece).toBeLessThan(1000)
      }
  })
})
