import type { Mailbox } from '../address.ts'
import { type Html, html, unsafeHtml } from '../html.ts'
import { messageIdOf, moreHeaders, type Outgoing } from '../message.ts'
import { mailboxText } from '../named.ts'

export interface Listed {
  id: string
  at: number
  recipients: string
  subject: string
}

const style = unsafeHtml(`
:root{color-scheme:light dark;font:15px/1.5 system-ui}
body{max-width:60rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #8884}
th,time{white-space:nowrap}
iframe{width:100%;height:28rem;border:1px solid #8884;background:#fff;color-scheme:light}
pre{white-space:pre-wrap}`)

/** The page's only frame is the mail's HTML. */
const policy =
  "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

/** @param referrer What a link tells: nobody, or the app itself. */
export const shown = (
  text: string,
  policy: string,
  referrer: 'no-referrer' | 'same-origin' = 'no-referrer',
): Response =>
  new Response(text, {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'referrer-policy': referrer,
    },
  })

const page = (title: string, body: Html): Response =>
  shown(
    html`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>${style}</style>${body}</html>`.text,
    policy,
    'same-origin',
  )

const time = (at: number): Html => {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')}</time>`
}

export const listPage = (mails: readonly Listed[]): Response =>
  page(
    `Inbox (${mails.length})`,
    html`<h1>Mail that was kept</h1><form method="post"><button>Empty</button></form>
${
  mails.length === 0
    ? html`<p>No mail yet. What this app sends on this machine appears here.</p>`
    : html`<table><thead><tr><th>Subject</th><th>To</th><th>UTC</th></tr></thead><tbody>
${mails.map(
  ({
    id,
    at,
    recipients,
    subject,
  }) => html`<tr><td><a href="inbox/${id}">${subject}</a></td><td>${recipients}</td><td>${time(at)}</td></tr>
`,
)}</tbody></table>`
}`,
  )

const texts = (list: readonly Mailbox[]) => list.map(mailboxText).join(', ')

/** An address that a text holds, as a link; without what ends the sentence. */
const linked = (text: string): Html[] =>
  text
    .split(/(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]}])/)
    .map((part, i) =>
      i % 2 === 1
        ? html`<a href="${part}" target="_blank" rel="noreferrer">${part}</a>`
        : html`${part}`,
    )

/** @param path Of the page, under which its parts are. */
export function mailPage(mail: Outgoing, path: string): Response {
  const headers: [string, string | Html][] = [
    ['From', texts([mail.from])],
    ['To', texts(mail.to)],
    ['Cc', texts(mail.cc)],
    ['Bcc', texts(mail.bcc)],
    ['Reply-To', texts(mail.replyTo)],
    ['Date', time(mail.date)],
    ['Message-ID', messageIdOf(mail)],
    ['Tags', mail.tags.join(', ')],
    ...Object.entries(moreHeaders(mail)),
  ]
  return page(
    mail.subject,
    html`<p><a href="../inbox">All mail</a></p>
<h1>${mail.subject}</h1>
<table>${headers
      .filter(([, value]) => value !== '')
      .map(([name, value]) => html`<tr><th>${name}</th><td>${value}</td></tr>`)}</table>
${
  mail.html !== undefined &&
  html`<h2>HTML</h2>
<iframe title="HTML" sandbox="allow-popups allow-popups-to-escape-sandbox" src="${path}/html"></iframe>`
}
<h2>Text</h2>
<pre>${linked(mail.text)}</pre>
${
  mail.attachments.length > 0 &&
  html`<h2>Attachments</h2>
<ul>${mail.attachments.map(
    ({ name, type, content, cid }, n) =>
      html`<li><a href="${path}/attachments/${n}">${name}</a> (${type}, ${content.length} bytes${cid && `, cid:${cid}`})</li>`,
  )}</ul>`
}`,
  )
}
