import { emailFaults } from './faults.ts'

/** A mailbox, with the name that is shown for it. */
export interface Mailbox {
  readonly address: string
  readonly name?: string
}

/** As it is written: `ann@example.com`, `Ann <ann@example.com>`, or a mailbox. */
export type Recipient = string | Mailbox

const local = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
// The last label starts with a letter: `user@127.1` is no mailbox.
const domain = new RegExp(`^(?:${label}\\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

/** What may not stand in a header or an SMTP command: controls, line ends of any kind, lone surrogates (ASVS 1.3.11). */
export const breaksHeader = (text: string): boolean =>
  /[\p{Cc}\u2028\u2029]/u.test(text) || !text.isWellFormed()

/**
 * Reads a recipient. The name before the `@` is kept as it is, the domain becomes ASCII (IDNA, UTS 46). Quoted names,
 * comments, routes and address literals (RFC 5321, 4.1.2) are refused: no mailbox needs them, and attacks do.
 *
 * @throws {Fault} `bad_address` (400).
 */
export function mailboxOf(recipient: Recipient): Mailbox {
  if (typeof recipient === 'string') {
    const parts = recipient.length <= 1000 ? recipient.match(/^([^<>]*)<([^<>]*)>\s*$/) : null
    return parts
      ? mailbox(parts[2] as string, unquoted((parts[1] as string).trim()))
      : mailbox(recipient.trim(), '')
  }
  if (typeof recipient?.address !== 'string') throw emailFaults.bad_address()
  return mailbox(recipient.address, recipient.name ?? '')
}

const unquoted = (name: string): string =>
  /^".*"$/.test(name) ? name.slice(1, -1).replaceAll(/\\(.)/g, '$1') : name

function mailbox(address: string, name: string): Mailbox {
  if (typeof name !== 'string' || name.length > 200 || breaksHeader(name))
    throw emailFaults.bad_address({ message: 'The name of an e-mail address is not valid' })
  const at = address.lastIndexOf('@')
  const mailboxName = address.slice(0, Math.max(at, 0))
  const host = asciiDomain(address.slice(at + 1))
  if (
    address.length > 254 ||
    mailboxName.length > 64 ||
    !local.test(mailboxName) ||
    !host ||
    host.length > 253 ||
    !domain.test(host)
  )
    throw emailFaults.bad_address()
  return { address: `${mailboxName}@${host}`, ...(name ? { name } : {}) }
}

function asciiDomain(host: string): string | undefined {
  // A URL trims and drops what is invisible; and what it reads as port, path, user or escape is no part of a domain.
  if (/[\p{C}\s/?#:@\\[\]%]/u.test(host)) return undefined
  return URL.parse(`http://${host}`)?.hostname
}

/** By what an address is counted and suppressed: no spelling of a mailbox dodges either. */
export const addressKey = ({ address }: Mailbox): string => address.toLowerCase()

export const domainOf = ({ address }: Mailbox): string =>
  address.slice(address.lastIndexOf('@') + 1)
