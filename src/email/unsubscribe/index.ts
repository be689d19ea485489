import type { Context } from 'hono'
import { coreFaults } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { open, seal } from '../../core/secret.ts'
import { addressKey, type Mailbox, mailboxOf } from '../address.ts'
import { emailFaults } from '../faults.ts'
import { html } from '../html.ts'
import { checkList } from '../message.ts'
import type { Part } from '../part.ts'
import { suppress } from '../suppression.ts'
import { checkSetting, type Setting } from '../transport.ts'
import { page } from './page.ts'

const purpose = 'email:unsubscribe'

export interface UnsubscribingOptions<Env> {
  /** Where the module's routes are for the public, such as `https://notes.example/email`. */
  url: Setting<Env>
}

export interface Unsubscribing<Env> extends Part {
  /**
   * Where someone unsubscribes from a list, for the mail's own text. It has no expiry (people read old mail) and tells
   * nobody whose it is.
   *
   * @throws {Fault} `bad_address`; `bad_message` if the list has no proper name.
   */
  link(scope: Scope<Env>, who: { address: string; list: string }): Promise<string>
}

/**
 * Unsubscribing by one click (RFC 8058): the headers of mails with `unsubscribe`, and `/unsubscribe`. A part of `email`:
 * `email(base, { …, parts: [unsubscribing({ url: 'https://notes.example/email' })] })`.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function unsubscribing<Env>({ url }: UnsubscribingOptions<Env>): Unsubscribing<Env> {
  checkSetting('unsubscribing: `url`', url, "'https://notes.example/email'")
  if (typeof url === 'string' && mountFrom(url) === undefined)
    throw new TypeError(
      'unsubscribing: `url` must be where the routes are, such as https://notes.example/email',
    )
  const linkTo = async (scope: Scope<Env>, address: Mailbox, list: string) => {
    checkList(list)
    const mount = mountFrom(typeof url === 'function' ? (url(scope.env) ?? '') : url)
    if (mount === undefined)
      throw coreFaults.misconfigured({
        message: 'unsubscribing: `url` is no address of the routes',
      })
    const token = await seal(scope, purpose, JSON.stringify([addressKey(address), list]))
    return `${mount}/unsubscribe?t=${token}`
  }
  return Object.freeze<Unsubscribing<Env>>({
    link: (scope, { address, list }) => linkTo(scope, mailboxOf(address), list),
    routes: () => [
      ['GET', '/unsubscribe', ask],
      ['POST', '/unsubscribe', unsubscribe],
    ],
    // RFC 8058, 3.1; RFC 2369, 3.2.
    async listed(scope, { list = '', to }) {
      const link = await linkTo(scope as Scope<Env>, to[0] as Mailbox, list)
      return {
        'List-Unsubscribe': `<${link}>`,
        'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
      }
    },
  })
}

/** Without a slash at its end. */
function mountFrom(url: string): string | undefined {
  const parsed = URL.parse(url)
  const usable =
    parsed &&
    /^https?:$/.test(parsed.protocol) &&
    !parsed.search &&
    !parsed.hash &&
    !parsed.username
  return usable ? url.replace(/\/+$/, '') : undefined
}

async function readToken(scope: Scope, c: Context): Promise<{ address: string; list: string }> {
  const token = c.req.query('t') ?? ''
  const text = token.length <= 1000 ? await open(scope, purpose, token) : null
  if (text === null) throw emailFaults.bad_link()
  const [address, list] = JSON.parse(text)
  return { address, list }
}

/** Asks. What scans mails follows links, and must not unsubscribe anybody. */
async function ask(scope: Scope, c: Context): Promise<Response> {
  const { address, list } = await readToken(scope, c)
  return page(
    'Unsubscribe',
    html`<p>Stop sending <strong>${list}</strong> to ${address}?</p>
      <form method="post"><button>Unsubscribe</button></form>`,
  )
}

/** By the page's button, or by the mail program's own (RFC 8058, 3.2: no cookie, no redirect). */
async function unsubscribe(scope: Scope, c: Context): Promise<Response> {
  const token = await readToken(scope, c)
  await suppress(scope, { ...token, reason: 'unsubscribe' })
  return page(
    'Unsubscribed',
    html`<p>${token.address} gets no more of <strong>${token.list}</strong>.</p>`,
  )
}
