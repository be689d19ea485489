import {
  addressKey,
  breaksHeader,
  domainOf,
  type Mailbox,
  mailboxOf,
  type Recipient,
} from './address.ts'
import { emailFaults } from './faults.ts'
import { Html, textOf } from './html.ts'

/** What a template answers. A template is a function: `(facts: { name: string }): Content => ({ … })`. */
export interface Content {
  subject: string
  /** @default what `html` says, without its markup */
  text?: string
  html?: string | Html
}

export interface Attachment {
  /** The file's name. */
  name: string
  /** Media type. @default 'application/octet-stream' */
  type?: string
  content: string | ArrayBuffer | Uint8Array
  /** Makes it an image of the HTML part, which shows it by `<img src="cid:…">`: letters, digits, `.`, `_` and `-`. */
  cid?: string
}

/** A mail as the host's code writes it. A `Mail` of the `Mailer` port is one. */
export interface Message extends Content {
  to: Recipient | readonly Recipient[]
  cc?: Recipient | readonly Recipient[]
  bcc?: Recipient | readonly Recipient[]
  replyTo?: Recipient | readonly Recipient[]
  /** @default the module's `from` */
  from?: Recipient
  attachments?: readonly Attachment[]
  /** More headers. Those that say who it is from and to, what is in it and how it travelled are not among them. */
  headers?: Readonly<Record<string, string>>
  /** The language of the text (BCP 47), sent as `Content-Language`. */
  locale?: string
  /** At most 5 words of letters, digits, `_` and `-`, by which the provider groups what it reports. */
  tags?: readonly string[]
  /**
   * The name of the list that it belongs to, from which its one recipient can unsubscribe by one click (RFC 8058).
   * Who has done so gets no more of that list.
   */
  unsubscribe?: string
}

export interface Part {
  readonly name: string
  readonly type: string
  readonly content: Uint8Array<ArrayBuffer>
  readonly cid?: string
}

/** A mail that was checked: what a transport sends. */
export interface Outgoing {
  readonly id: string
  /** Unix time in milliseconds. */
  readonly date: number
  readonly from: Mailbox
  readonly to: readonly Mailbox[]
  readonly cc: readonly Mailbox[]
  readonly bcc: readonly Mailbox[]
  readonly replyTo: readonly Mailbox[]
  readonly subject: string
  readonly text: string
  readonly html?: string
  readonly attachments: readonly Part[]
  readonly headers: Readonly<Record<string, string>>
  readonly locale?: string
  readonly tags: readonly string[]
  /** The list that it belongs to. */
  readonly list?: string
}

const mostRecipients = 50
// As many as Cloudflare's binding takes.
const mostAttachments = 32
/** In bytes, as it travels: files and text grow by base64. */
const mostBytes = 5 * 1024 * 1024

/** What the message's other fields say, or a transport does. */
const ownHeader =
  /^(?:from|to|cc|bcc|sender|reply-to|subject|date|message-id|mime-version|keywords|return-path|received|delivered-to|content-.*|resent-.*|dkim-.*|arc-.*|authentication-results|x-sg-.*|x-pm-.*|x-mailgun-.*|x-ses-.*)$/i

const bad = (message: string) => emailFaults.bad_message({ message })

/**
 * Checks a message and completes it.
 *
 * @throws {Fault} `bad_message`, `bad_address`, `too_many_recipients` (400), `message_too_large` (413).
 */
export function outgoing(
  message: Message,
  made: { id: string; date: number; from: Recipient },
): Outgoing {
  const { subject, tags = [], locale, unsubscribe } = message
  if (typeof subject !== 'string' || subject.trim() === '') throw bad('A message needs a subject')
  if (subject.length > 998 || breaksHeader(subject))
    throw bad('The subject must be one line of at most 998 characters')
  const seen = new Set<string>()
  const recipients = (option: Message['cc']) => unique(listOf(option), seen)
  const to = recipients(message.to)
  const cc = recipients(message.cc)
  const bcc = recipients(message.bcc)
  if (to.length === 0) throw emailFaults.bad_address({ message: 'A message needs a recipient' })
  const html = message.html instanceof Html ? message.html.text : message.html
  const text = message.text ?? (typeof html === 'string' ? textOf(html) : undefined)
  if (typeof text !== 'string' || !(html === undefined || typeof html === 'string'))
    throw bad('A message needs `text` or `html`, as text')
  if (!text.isWellFormed() || html?.isWellFormed() === false || `${text}${html}`.includes('\0'))
    throw bad('The text of a message must be Unicode text')
  if (locale !== undefined && !/^[a-z]{2,8}(?:-[a-z\d]{1,8}){0,4}$/i.test(locale))
    throw bad('`locale` must be a language tag, such as de-AT')
  if (tags.length > 5 || !tags.every((tag) => /^[\w-]{1,64}$/.test(tag)))
    throw bad('`tags` are at most 5 words of letters, digits, _ and -')
  if ((message.attachments ?? []).length > mostAttachments)
    throw bad(`A message has at most ${mostAttachments} attachments`)
  if (unsubscribe !== undefined) checkList(unsubscribe, seen.size)
  const mail: Outgoing = {
    id: made.id,
    date: made.date,
    from: mailboxOf(message.from ?? made.from),
    to,
    cc,
    bcc,
    replyTo: unique(listOf(message.replyTo), new Set()),
    subject,
    text,
    ...(html === undefined ? {} : { html }),
    attachments: (message.attachments ?? []).map(partOf),
    headers: headersOf(message.headers, unsubscribe !== undefined),
    ...(locale === undefined ? {} : { locale }),
    tags: [...tags],
    ...(unsubscribe === undefined ? {} : { list: unsubscribe }),
  }
  if (sizeOf(mail) > mostBytes) throw emailFaults.message_too_large()
  return mail
}

const listOf = (option: Message['cc']): readonly Recipient[] =>
  option === undefined ? [] : Array.isArray(option) ? option : [option as Recipient]

/** Each mailbox once in all: some providers refuse a message that names one twice. */
function unique(recipients: readonly Recipient[], seen: Set<string>): Mailbox[] {
  // Counted before they are read, so that a list of a million is no work.
  if (seen.size + recipients.length > mostRecipients) throw emailFaults.too_many_recipients()
  return recipients.map(mailboxOf).filter((mailbox) => {
    const key = addressKey(mailbox)
    return !seen.has(key) && seen.add(key)
  })
}

export function checkList(list: string, recipients = 1): void {
  if (!/^[\w-]{1,64}$/.test(list))
    throw bad('`unsubscribe` is the name of a list: letters, digits, _ and -')
  if (recipients !== 1) throw bad('A message with `unsubscribe` has one recipient')
}

function headersOf(headers: Message['headers'] = {}, ofList: boolean): Record<string, string> {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[A-Za-z\d-]{1,76}$/.test(name)) throw bad('The name of a header is not valid')
    if (ownHeader.test(name) || (ofList && /^list-unsubscribe/i.test(name)))
      throw bad(`The header ${name} is not free to set`)
    if (typeof value !== 'string' || value.length > 998 || breaksHeader(value))
      throw bad(`The header ${name} must be one line of at most 998 characters`)
  }
  return { ...headers }
}

function partOf({ name, type = 'application/octet-stream', content, cid }: Attachment): Part {
  if (
    typeof name !== 'string' ||
    !name ||
    name.length > 200 ||
    breaksHeader(name) ||
    /[\\/]/.test(name)
  )
    throw bad('The name of an attachment is not valid')
  if (!/^[\w.+-]{1,64}\/[\w.+-]{1,100}$/.test(type))
    throw bad('The type of an attachment is not valid')
  if (/^(?:multipart|message)\//i.test(type)) throw bad('An attachment is no message or multipart')
  if (cid !== undefined && !/^[\w.-]{1,100}$/.test(cid)) throw bad('`cid` is not valid')
  return { name, type, content: bytesOf(content), ...(cid === undefined ? {} : { cid }) }
}

function bytesOf(content: Attachment['content']): Uint8Array<ArrayBuffer> {
  if (typeof content === 'string') return new TextEncoder().encode(content)
  if (content instanceof ArrayBuffer) return new Uint8Array(content)
  if (content instanceof Uint8Array) return content as Uint8Array<ArrayBuffer>
  throw bad('The content of an attachment must be text or bytes')
}

/** At most what the MIME message will be: base64 in lines of 76 is 78 bytes for 57; headers are small. */
function sizeOf({ text, html = '', attachments, headers, subject }: Outgoing): number {
  const bytes = (words: string) => new TextEncoder().encode(words).length
  const contents = attachments.reduce((sum, { content }) => sum + content.length, 0)
  const named = [subject, ...Object.values(headers)].reduce((sum, value) => sum + bytes(value), 0)
  return (
    Math.ceil(((bytes(text) + bytes(html) + contents) * 78) / 57) +
    named * 2 +
    8192 +
    attachments.length * 1024
  )
}

/** The one id under which receivers know it again, however often it is delivered (RFC 5322, 3.6.4). */
export const messageIdOf = ({ id, from }: Outgoing): string => `<${id}@${domainOf(from)}>`

export const everyRecipient = ({ to, cc, bcc }: Outgoing): readonly Mailbox[] => [
  ...to,
  ...cc,
  ...bcc,
]

/** The headers that all transports add, those of the message last. */
export const moreHeaders = ({ locale, headers }: Outgoing): Record<string, string> => ({
  ...(locale ? { 'Content-Language': locale } : {}),
  ...headers,
})
