import type { Context } from 'hono'
import type { Scope } from '../core/scope.ts'
import { open, seal } from '../core/secret.ts'
import { addressKey, type Mailbox, mailboxOf } from './address.ts'
import { emailFaults } from './faults.ts'
import { html } from './html.ts'
import { checkList, type Outgoing } from './message.ts'
import { page } from './page.ts'
import { suppress } from './suppression.ts'

const purpose = 'email:unsubscribe'

interface Linking<Env> {
  url: (scope: Scope<Env>) => string | undefined
}

/**
 * Where someone unsubscribes from a list, for the mail's own text. It has no expiry (people read old mail) and tells
 * nobody whose it is.
 *
 * @throws {Fault} `bad_message` without `url`.
 */
export async function unsubscribeUrl<Env>(
  { url }: Linking<Env>,
  scope: Scope<Env>,
  { address, list }: { address: Mailbox; list: string },
): Promise<string> {
  checkList(list)
  const mount = url(scope)
  if (!mount) throw emailFaults.bad_message({ message: '`unsubscribe` needs `url` of email(…)' })
  const token = await seal(scope, purpose, JSON.stringify([addressKey(address), list]))
  return `${mount}/unsubscribe?t=${token}`
}

/** RFC 8058, 3.1; RFC 2369, 3.2. */
export async function unsubscribeHeaders<Env>(
  linking: Linking<Env>,
  scope: Scope<Env>,
  { list, to }: Outgoing,
): Promise<Record<string, string>> {
  if (list === undefined) return {}
  const url = await unsubscribeUrl(linking, scope, { address: to[0] ?? mailboxOf(''), list })
  return {
    'List-Unsubscribe': `<${url}>`,
    'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
  }
}

async function readToken(scope: Scope, c: Context): Promise<{ address: string; list: string }> {
  const token = c.req.query('t') ?? ''
  const text = token.length <= 1000 ? await open(scope, purpose, token) : null
  if (text === null) throw emailFaults.bad_link()
  const [address, list] = JSON.parse(text)
  return { address, list }
}

/** Asks. What scans mails follows links, and must not unsubscribe anybody. */
export async function askUnsubscribe(scope: Scope, c: Context): Promise<Response> {
  const { address, list } = await readToken(scope, c)
  return page(
    'Unsubscribe',
    html`<p>Stop sending <strong>${list}</strong> to ${address}?</p>
      <form method="post"><button>Unsubscribe</button></form>`,
  )
}

/** By the page's button, or by the mail program's own (RFC 8058, 3.2: no cookie, no redirect). */
export async function unsubscribe(scope: Scope, c: Context): Promise<Response> {
  const token = await readToken(scope, c)
  await suppress(scope, { ...token, reason: 'unsubscribe' })
  return page(
    'Unsubscribed',
    html`<p>${token.address} gets no more of <strong>${token.list}</strong>.</p>`,
  )
}
