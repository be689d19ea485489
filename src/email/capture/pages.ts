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
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin-top:2rem}
header{display:flex;gap:1rem;align-items:center;justify-content:space-between}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #8884;overflow-wrap:anywhere}
th{white-space:nowrap;font-weight:600}
iframe{width:100%;height:28rem;border:1px solid #8886;border-radius:4px;background:#fff;color-scheme:light}
pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:1rem;border:1px solid #8886;border-radius:4px}
button{font:inherit}
time{white-space:nowrap}`)

/** The page's only frame is the mail's HTML. */
const policy =
  "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

const page = (title: string, body: Html): Response =>
  new Response(
    html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>${style}</style></head><body>${body}</body></html>`.text,
    {
      status: 200,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': policy,
        'referrer-policy': 'same-origin',
      },
    },
  )

const time = (at: number): Html => {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')}</time>`
}

export const listPage = (mails: readonly Listed[]): Response =>
  page(
    `Inbox (${mails.length})`,
    html`<header><h1>Mail that was kept</h1>
<form method="post"><button>Empty</button></form></header>
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
    html`<p><a href="../inbox">All mail</a> · <a href="${path}/raw">Source</a></p>
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
