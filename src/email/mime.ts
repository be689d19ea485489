import type { Mailbox } from './address.ts'
import { base64, base64Text } from './encode.ts'
import { messageIdOf, moreHeaders, type Outgoing, type Part } from './message.ts'

/*
 * A mail as it travels (RFC 5322, 2045 to 2047, 2183, 2231): ASCII in lines of at most 998, ended by CRLF, so that no
 * server has to know 8BITMIME or SMTPUTF8. Bodies are base64 where they are not plain ASCII in short lines.
 */

const crlf = '\r\n'

/** @returns The message, without `Bcc`: those are named in the envelope alone. */
export function mimeOf(mail: Outgoing): string {
  const { id, from, to, cc, replyTo, subject, tags, date } = mail
  const header: [string, string][] = [
    ['Date', new Date(date).toUTCString().replace('GMT', '+0000')],
    ['Message-ID', messageIdOf(mail)],
    ['From', mailboxes([from])],
    ['To', mailboxes(to)],
    ['Cc', mailboxes(cc)],
    ['Reply-To', mailboxes(replyTo)],
    ['Subject', words(subject, 9)],
    ['Keywords', tags.join(`,${crlf} `)],
    ...Object.entries(moreHeaders(mail)).map(([name, value]): [string, string] => [
      name,
      words(value, name.length + 2),
    ]),
    ['MIME-Version', '1.0'],
  ]
  // One that says nothing is left out.
  const head = header.map(([name, value]) => value && `${name}: ${value}${crlf}`).join('')
  return head + bodyOf(mail, `=_${id.replaceAll('-', '')}`)
}

/** Files around images around the alternatives: what mail programs expect (RFC 2046, 5.1; RFC 2387). */
function bodyOf({ text, html, attachments }: Outgoing, boundary: string): string {
  const inline = html === undefined ? [] : attachments.filter(({ cid }) => cid !== undefined)
  const files = attachments.filter((part) => !inline.includes(part))
  let body = textPart('plain', text)
  if (html !== undefined) {
    const markup = textPart('html', html)
    body = multipart('alternative', `${boundary}_a`, [
      body,
      inline.length > 0
        ? multipart('related; type="text/html"', `${boundary}_r`, [markup, ...inline.map(filePart)])
        : markup,
    ])
  }
  return files.length > 0
    ? multipart('mixed', `${boundary}_m`, [body, ...files.map(filePart)])
    : body
}

// No part can hold a boundary: it has `=_`, which neither base64 nor an id has, and plain text that has it becomes base64.
const multipart = (type: string, boundary: string, parts: readonly string[]): string =>
  [
    `Content-Type: multipart/${type};${crlf} boundary="${boundary}"${crlf}`,
    ...parts.map((part) => `--${boundary}${crlf}${part}`),
    `--${boundary}--${crlf}`,
  ].join(crlf)

function textPart(type: string, text: string): string {
  const lines = text.replaceAll(/\r\n?|\n/g, crlf)
  const plain = /^[\t\r\n -~]*$/.test(lines) && !/[^\r\n]{900}/.test(lines) && !lines.includes('=_')
  // A space at the end of a line is lost on some ways, and `From ` at its start is changed.
  const safe = plain && !/[ \t](?:\r|$)|^From /m.test(lines)
  return part(
    `text/${type}; charset=utf-8`,
    safe ? lines : base64Text(lines),
    safe ? '7bit' : 'base64',
  )
}

const filePart = ({ name, type, content, cid }: Part): string =>
  part(
    `${type}${crlf}Content-Disposition: ${cid === undefined ? 'attachment' : 'inline'};${crlf} ${fileName(name)}${
      cid === undefined ? '' : `${crlf}Content-ID: <${cid}>`
    }`,
    base64(content),
  )

const part = (type: string, body: string, encoding = 'base64'): string =>
  [
    `Content-Type: ${type}`,
    `Content-Transfer-Encoding: ${encoding}`,
    '',
    encoding === 'base64' ? folded(body) : body,
    '',
  ].join(crlf)

/** RFC 2231 where the name is more than plain ASCII, in pieces so that no line is too long. */
function fileName(name: string): string {
  if (/^[\w .,()+-]{1,60}$/.test(name)) return `filename="${name}"`
  const encoded = encodeURIComponent(name).replace(
    /['()*!]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  const pieces = encoded.match(/(?:%..|[^%]){1,20}/g) ?? []
  return pieces
    .map((piece, i) => `filename*${i}*=${i === 0 ? "utf-8''" : ''}${piece}`)
    .join(`;${crlf} `)
}

const folded = (text: string): string => text.match(/.{1,76}/g)?.join(crlf) ?? ''

/** For a header: `Ann <ann@example.com>, …`. */
const mailboxes = (list: readonly Mailbox[]): string => list.map(mailboxText).join(`,${crlf} `)

function mailboxText({ address, name }: Mailbox): string {
  if (!name) return address
  if (/^[ -~]{1,60}$/.test(name) && !name.includes('=?'))
    return `"${name.replaceAll(/["\\]/g, '\\$&')}" <${address}>`
  return `${encodedWords(name)}${crlf} <${address}>`
}

/** Text in a header: as it is where it is short and plain, else in encoded words (RFC 2047). */
const words = (text: string, before: number): string =>
  /^[ -~]*$/.test(text) &&
  !text.includes('=?') &&
  text === text.trim() &&
  text.length + before <= 900
    ? text
    : encodedWords(text)

/** At most 75 characters each, and none may end within a character. */
function encodedWords(text: string): string {
  const pieces: string[] = []
  let piece = ''
  for (const char of text) {
    if (new TextEncoder().encode(piece + char).length > 42) {
      pieces.push(piece)
      piece = ''
    }
    piece += char
  }
  pieces.push(piece)
  return pieces.map((part) => `=?utf-8?B?${base64Text(part)}?=`).join(`${crlf} `)
}
