import { html, raw } from 'hono/html'
import type { Mailer, Scope } from 'leanto'

/** A `Mailer` that sends nothing and keeps the last 50 mails, to be read at /mail. A deployed app passes one that sends. */
export const keptMail: Mailer = {
  async send(scope, mail) {
    await scope.db.batch([
      scope.db
        .prepare('INSERT INTO mails ("to", subject, text, html) VALUES (?, ?, ?, ?)')
        .bind(mail.to, mail.subject, mail.text, mail.html ?? null),
      scope.db.prepare(
        'DELETE FROM mails WHERE id NOT IN (SELECT id FROM mails ORDER BY id DESC LIMIT 50)',
      ),
    ])
  },
}

interface KeptMail {
  to: string
  subject: string
  text: string
  html: string | null
  created_at: number
}

export async function mailPage(scope: Scope) {
  const { results } = await scope.db
    .prepare('SELECT "to", subject, text, html, created_at FROM mails ORDER BY id DESC')
    .all<KeptMail>()
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Captured mail</title>
    <link rel="icon" href="/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/style.css">
  </head>
  <body class="mailbox">
    <header class="bar">
      <a class="brand" href="/">Notes</a>
    </header>
    <main>
      <h1>Captured mail</h1>
      <p class="aside">What the app would have sent. Shown on this machine only; the last 50 are kept.</p>
      ${results.length === 0 ? html`<p class="empty">No mail yet. Change a password, and its notice arrives here.</p>` : results.map(oneMail)}
    </main>
  </body>
</html>`
}

function oneMail(mail: KeptMail) {
  const time = new Date(mail.created_at).toISOString()
  // An empty sandbox: the mail's HTML runs no script, submits nothing and leads nowhere.
  const rich = mail.html
    ? html`<details><summary>As HTML</summary><iframe sandbox="" title="${mail.subject}" srcdoc="${mail.html}"></iframe></details>`
    : raw('')
  return html`<article class="mail">
        <h2>${mail.subject}</h2>
        <p class="aside">To ${mail.to}, <time datetime="${time}">${time.slice(0, 16).replace('T', ' ')} UTC</time></p>
        <pre>${mail.text}</pre>
        ${rich}
      </article>`
}
