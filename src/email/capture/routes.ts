import type { Context } from 'hono'
import { isUuid } from '../../core/id.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { base64 } from '../encode.ts'
import { emailFaults } from '../faults.ts'
import { html } from '../html.ts'
import type { Outgoing } from '../message.ts'
import { fromStored } from '../stored.ts'
import { type Listed, listPage, mailPage, shown } from './pages.ts'

type Handler = (scope: Scope, c: Context) => Promise<Response>

/**
 * Where an attacker's page could reach it, it is not there: by another host name (DNS rebinding), which is not loopback, or
 * from another site, which a browser says.
 */
const locally =
  (handler: Handler): Handler =>
  async (scope, c) => {
    const site = c.req.header('sec-fetch-site') ?? 'none'
    // A link from elsewhere shows the page to its reader alone.
    const opened = c.req.method === 'GET' && c.req.header('sec-fetch-dest') === 'document'
    if (!scope.local || !(site === 'none' || site === 'same-origin' || opened))
      throw emailFaults.not_found()
    return handler(scope, c)
  }

export const captureRoutes: readonly Route[] = [
  ['GET', '/inbox', locally(list)],
  ['POST', '/inbox', locally(empty)],
  ['GET', '/inbox/:id', locally(show)],
  ['GET', '/inbox/:id/html', locally(showHtml)],
  ['GET', '/inbox/:id/attachments/:n', locally(download)],
]

async function list(scope: Scope, c: Context): Promise<Response> {
  const { results } = await scope.db
    .prepare('SELECT id, at, recipients, subject FROM leanto_email_captured ORDER BY id DESC')
    .all<Listed>()
  // For tests of the host's own, in place of parsing a page.
  if (c.req.header('accept')?.includes('application/json'))
    return Response.json({ mails: results }, { status: 200 })
  return listPage(results)
}

async function empty(scope: Scope, c: Context): Promise<Response> {
  await scope.db.batch(
    ['leanto_email_captured', 'leanto_email_captured_parts'].map((table) =>
      scope.db.prepare(`DELETE FROM ${table}`),
    ),
  )
  return new Response(null, { status: 303, headers: { location: c.req.path } })
}

async function find(scope: Scope, c: Context): Promise<Outgoing> {
  const id = c.req.param('id')
  if (!isUuid(id)) throw emailFaults.not_found()
  const { results } = await scope.db
    .prepare(
      `SELECT body, -1 AS part FROM leanto_email_captured WHERE id = ?1
       UNION ALL SELECT body, part FROM leanto_email_captured_parts WHERE id = ?1 ORDER BY part`,
    )
    .bind(id)
    .all<{ body: string }>()
  if (results.length === 0) throw emailFaults.not_found()
  return fromStored(results.map(({ body }) => body).join(''))
}

async function show(scope: Scope, c: Context): Promise<Response> {
  const mail = await find(scope, c)
  if (!c.req.header('accept')?.includes('application/json')) return mailPage(mail, c.req.path)
  const attachments = mail.attachments.map(({ content, ...part }) => ({
    ...part,
    size: content.length,
  }))
  return Response.json({ ...mail, attachments }, { status: 200 })
}

/** Images of the mail go in as data, so that the frame needs nothing of this origin. */
async function showHtml(scope: Scope, c: Context): Promise<Response> {
  const mail = await find(scope, c)
  const { text, attachments } = mail
  const images = new Map(attachments.flatMap((part) => (part.cid ? [[part.cid, part]] : [])))
  const body = (mail.html ?? html`<pre>${text}</pre>`.text).replace(
    /\bcid:([\w.-]{1,100})/g,
    (whole, cid) => {
      const part = images.get(cid)
      return part ? `data:${part.type};base64,${base64(part.content)}` : whole
    },
  )
  return shown(
    `<base target="_blank">${body}`,
    // In a frame or alone: no script, no form, no origin; links open elsewhere.
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data: https: http:; style-src 'unsafe-inline'; font-src https: data:",
  )
}

async function download(scope: Scope, c: Context): Promise<Response> {
  const { attachments } = await find(scope, c)
  const part = attachments[Number(c.req.param('n'))]
  if (!part) throw emailFaults.not_found()
  return new Response(part.content, {
    status: 200,
    headers: {
      // Never as what it says it is: it would run as a page of this origin.
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename*=utf-8''${encodeURIComponent(part.name).replaceAll("'", '%27')}`,
      'content-security-policy': "default-src 'none'; sandbox",
    },
  })
}
