import { Fault } from '../../core/fault.ts'
import type { Route } from '../../core/routes.ts'
import type { Scope } from '../../core/scope.ts'
import { escapeHtml } from '../mails.ts'
import { requireOwn } from '../own-pages.ts'
import { ownPage } from '../page.ts'
import type { Doors } from '../part.ts'
import { redirectTo } from '../redirect.ts'
import { wordsOf } from './client.ts'
import { decide, type Looked, lookAt } from './decide.ts'
import { invalidRequest, readForm } from './form.ts'
import { consentAddress, ownPath } from './pending.ts'
import { openidScopes, resourcesOf, type Server } from './settings.ts'

/**
 * The consent page, where the host has none of its own: plain HTML for whoever is signed in by cookies. The answer is a form
 * of this page (case 64).
 */
export const consentRoutes = (doors: Doors, server: Server): Route[] =>
  server.consentPage
    ? []
    : [
        ['GET', ownPath, ask(doors, server)],
        ['POST', ownPath, answer(doors, server)],
      ]

const ask =
  ({ callerOf }: Doors, server: Server): Route[2] =>
  async (scope, c) => {
    // A GET also answers HEAD, which makes a request nobody's.
    if (c.req.method === 'HEAD') return new Response(null, { status: 200 })
    const id = new URL(c.req.url).searchParams.get('authorization_id') ?? ''
    return onPage(server, scope, id, async () => {
      const looked = await lookAt(server, scope, { ...(await callerOf(scope, c.req.raw)), id })
      return 'redirect_url' in looked
        ? redirectTo(looked.redirect_url)
        : questionPage(server, scope, looked)
    })
  }

const answer =
  ({ callerOf }: Doors, server: Server): Route[2] =>
  async (scope, c) => {
    const request = c.req.raw
    requireOwn(server.settings, scope, request)
    const form = await readForm(request)
    const id = form.get('authorization_id') ?? ''
    const given = form.get('answer')
    if (given !== 'allow' && given !== 'cancel')
      throw invalidRequest('answer must be allow or cancel')
    return onPage(server, scope, id, async () => {
      const caller = await callerOf(scope, request)
      const approved = given === 'allow'
      return redirectTo((await decide(server, scope, { ...caller, id, approved })).redirect_url)
    })
  }

/** Whoever cannot be asked is told why, on a page, or led to where they sign in. */
async function onPage(
  server: Server,
  scope: Scope,
  id: string,
  work: () => Promise<Response>,
): Promise<Response> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Fault) || error.status >= 500 || error.code === 'bad_origin') throw error
    if (error.code === 'oauth_authorization_not_found') return endedPage(server, scope)
    return signInFirst(server, scope, id)
  }
}

const page = (
  server: Server,
  scope: Scope,
  shown: { title: string; body: string; status: number },
) => ownPage({ ...shown, site: server.settings.site(scope) })

const hostOf = (url: string): string => escapeHtml(new URL(url).host)

const endedPage = (server: Server, scope: Scope) =>
  page(server, scope, {
    title: 'Nothing to answer',
    body: `<h1>There is nothing to answer here</h1>
<p>The request has ended, has been answered, or is another account’s. Go back to the app that you came from and begin again.</p>`,
    status: 404,
  })

function signInFirst(server: Server, scope: Scope, id: string): Response | Promise<Response> {
  const site = server.settings.site(scope)
  // An id of ours and nothing else: what is put into the next page's address came by this one's.
  const back = /^[\w-]{32}$/.test(id) ? consentAddress(server, scope, id) : site
  if (server.signInPage) {
    const to = new URL(server.signInPage, site)
    to.searchParams.set('redirect_to', back)
    return redirectTo(to.href)
  }
  return page(server, scope, {
    title: 'Sign in first',
    body: `<h1>Sign in to ${hostOf(site)} first</h1>
<p>An app asks for your account. Sign in, as you always do, in another tab; then go on here.</p>
<div class="acts"><a class="act" href="${escapeHtml(back)}">I have signed in</a></div>`,
    status: 401,
  })
}

/** Whose address the answer goes to, in words. */
function destination(redirectUri: string): string {
  const { protocol, host, hostname } = new URL(redirectUri)
  if (protocol === 'https:') return escapeHtml(host)
  if (protocol === 'http:') return `an app on this device <small>${escapeHtml(hostname)}</small>`
  return `the app ${escapeHtml(protocol.slice(0, -1))}`
}

/** A name does not push what matters out of sight. */
const shortened = (name: string): string =>
  [...name].length > 60 ? `${[...name].slice(0, 59).join('')}…` : name

function questionPage(server: Server, scope: Scope, looked: Looked): Promise<Response> {
  const { settings, scopes } = server
  const { client, standing, user, redirect_uri: target } = looked
  const site = settings.site(scope)
  // A name is what the client says of itself; where the answer goes is what is known.
  const called = shortened(client.name) || 'An app'
  const name = escapeHtml(called)
  const words = wordsOf(looked.scope)
  const may = words.map(
    (word) => `<li>${escapeHtml(openidScopes[word] ?? scopes[word] ?? word)}</li>`,
  )
  const declared = resourcesOf(server, scope)
  const places = (JSON.parse(standing.resource) as string[]).map((url) => {
    const title = declared.get(url)?.name
    return `<div><dt>Only at</dt><dd>${escapeHtml(title ?? url)}${title ? ` <small>${escapeHtml(url)}</small>` : ''}</dd></div>`
  })
  const body = `<h1>${name} asks for your ${hostOf(site)} account</h1>
<dl>
<div><dt>It could then</dt><dd><ul>${may.join('')}</ul></dd></div>
${places.join('\n')}
<div><dt>You are signed in as</dt><dd>${escapeHtml(user.email || user.id)}</dd></div>
<div><dt>The answer goes to</dt><dd>${destination(target)}</dd></div>
</dl>
${
  standing.registration === 'dynamic'
    ? `<p class="mark">This app has entered itself here, and nobody has checked who it is. Allow it only if you have just begun this, in an app that you trust.</p>`
    : ''
}
<form method="post" action="${escapeHtml(settings.issuer(scope) + ownPath)}">
<input type="hidden" name="authorization_id" value="${escapeHtml(looked.authorization_id)}">
<div class="acts"><button name="answer" value="cancel">Cancel</button> <button class="act" name="answer" value="allow">Allow</button></div>
</form>`
  return ownPage({ title: `${called} asks for your account`, body, site, target })
}
