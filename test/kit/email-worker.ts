/* A Worker that sends mail: by a provider's API, by SMTP, or to its own inbox; by itself or by jobs. */
import { Hono } from 'hono'
import { bind, type Statement } from 'leanto'
import { email, html, type Transport } from 'leanto/email'
import { binding, type SendEmailBinding } from 'leanto/email/binding'
import { capture } from 'leanto/email/capture'
import { type ByJobs, byJobs } from 'leanto/email/jobs'
import { resend } from 'leanto/email/resend'
import { smtp } from 'leanto/email/smtp'
import { jobs } from 'leanto/jobs'

interface Env {
  DB: D1Database
  KV: KVNamespace
  EMAIL: SendEmailBinding
  /**
   * Where mail goes: `smtp 127.0.0.1 2525 unsafe-off`, `smtp localhost 465 on ann secret`, `resend http://127.0.0.1:…`, `capture`, `binding`. With `jobs` behind
   * that, by these.
   */
  MAIL: string
}

/** Milliseconds that the clock is ahead. */
let ahead = 0

const base = bind<Env>({
  db: (env) => env.DB as never,
  kv: (env) => env.KV as never,
  secret: () => 'a-secret-that-is-used-by-no-one-but-the-tests-0123456789',
  now: () => Date.now() + ahead,
})

const made: Record<string, (...where: string[]) => Transport<Env>> = {
  smtp: (host = '', port, tls, username, password) =>
    smtp({
      host,
      port: Number(port),
      tls: tls as 'on',
      ...(username && password ? { username, password } : {}),
    }),
  resend: (origin = '') => resend({ key: 'the-key', origin }),
  capture: () => capture(),
  binding: () => binding({ binding: (env) => env.EMAIL }),
}

const delivery: ByJobs = byJobs({ jobs: () => work })
const work = jobs(base, { handlers: {}, eager: true, parts: [delivery] })

const mailers = new Map<string, ReturnType<typeof email<Env>>>()
const mailerOf = ({ MAIL }: Env) => {
  const [kind = '', ...where] = MAIL.split(' ')
  let mailer = mailers.get(MAIL)
  if (!mailer) {
    const transport = (made[kind] as (typeof made)[string])(...where)
    const parts = where.at(-1) === 'jobs' ? [delivery] : []
    mailers.set(
      MAIL,
      (mailer = email(base, { from: 'Notes <hi@notes.example>', transport, parts })),
    )
  }
  return mailer
}

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAYAAADED76LAAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FAAhKDveksOjmAAAAAElFTkSuQmCC'

const app = new Hono<{ Bindings: Env }>()
  .post('/mail', async (c) => {
    const body = await c.req.json()
    await mailerOf(c.env).send(base.scope(c), {
      to: 'ann@example.com',
      subject: 'Hello',
      text: 'Hi',
      ...body,
    })
    return c.body(null, 204)
  })
  .post('/mails/:count', async (c) => {
    const scope = base.scope(c)
    for (let i = 0; i < Number(c.req.param('count')); i++)
      await mailerOf(c.env).send(scope, {
        to: 'ann@example.com',
        subject: `mail ${i}`,
        text: '.\r\n.',
      })
    return c.body(null, 204)
  })
  .post('/within', async (c) => {
    const scope = base.scope(c)
    const batch: Statement[] = [
      scope.db.prepare('INSERT INTO notes (title) VALUES (?)').bind('a note'),
    ]
    await mailerOf(c.env).send(
      scope,
      { to: 'ann@example.com', subject: 'Within', text: 'x' },
      { within: batch },
    )
    await scope.db.batch(batch)
    return c.body(null, 204)
  })
  .post('/rich', async (c) => {
    await mailerOf(c.env).send(base.scope(c), {
      to: ['Ann <ann@example.com>', 'Zoë <zoe@example.com>'],
      cc: 'bob@example.com',
      replyTo: 'help@notes.example',
      subject: 'Your note was shared',
      tags: ['shared'],
      headers: { 'X-Note': '42' },
      html: html`<h1>Your note was shared</h1><p><img src="cid:logo" width="32" height="32"> Ann has read
        <a href="https://notes.example/42">${'Milk & <b>honey</b>'}</a>.</p>
        <script>document.title = 'scripted'; parent.document.title = 'scripted'</script>
        <img src="/never.png" onerror="parent.document.title = 'scripted'">
        <form action="/email/inbox" method="post"><button>Do not press</button></form>`,
      attachments: [
        {
          name: 'logo.png',
          type: 'image/png',
          content: Uint8Array.from(atob(png), (char) => char.charCodeAt(0)),
          cid: 'logo',
        },
        { name: 'note.txt', type: 'text/plain', content: 'Milk' },
      ],
    })
    return c.body(null, 204)
  })
  .post('/cron', async (c) => {
    ahead = Number(c.req.query('ahead') ?? 0)
    const scope = base.scope({ env: c.env, executionCtx: c.executionCtx })
    await mailerOf(c.env).scheduled?.(scope, 0)
    await work.scheduled?.(scope, scope.now())
    return c.body(null, 204)
  })
  .get('/outbox', async (c) => {
    const { results } = await c.env.DB.prepare(
      'SELECT state, error, remote FROM leanto_email_outbox',
    ).all()
    return c.json(results, 200)
  })
  .all('/email/*', (c) =>
    new Hono()
      .route('/email', mailerOf(c.env).routes)
      .fetch(c.req.raw, c.env, c.executionCtx as never),
  )

export default app
