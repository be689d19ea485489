import type { Scope } from '../../../core/scope.ts'
import { escapeHtml as text } from '../../mails.ts'
import { type OwnPage, ownPage } from '../../page.ts'
import type { Settings } from '../../settings.ts'
import { wordsOf } from '../client.ts'
import { openidScopes, type Server } from '../settings.ts'
import type { DeviceDetails } from './answer.ts'

/** Under the mount. */
export const devicePath = '/oauth/device'

/** Besides what all our pages have: the code, as it is shown and as it is typed. */
const style = `
.code { font: 600 1.25rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; letter-spacing: .06em }
.bad { color: var(--bad); font-weight: 600 }
:root { --bad: #a32118 }
@media (prefers-color-scheme: dark) { :root { --bad: #f3a49c } }
.field { display: block; margin: 0 0 .375rem; padding: 0; font-weight: 600 }
input.typed { width: 100%; height: auto; margin: 0 0 1.25rem; padding: .625rem .75rem; border: 1px solid var(--soft); border-radius: .5rem; background: var(--ground); color: inherit; text-align: center; text-transform: uppercase; font: 600 1.5rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; letter-spacing: .08em }
input.typed::placeholder { color: var(--soft); opacity: .55 }
input[aria-invalid] { border-color: var(--bad) }
`

type Page = Omit<OwnPage, 'site' | 'style'>

const pageOf = (settings: Settings, scope: Scope, page: Page): Promise<Response> =>
  ownPage({ ...page, site: settings.site(scope), style })

const warning = `<p class="mark"><strong>Only go on if the device is in front of you.</strong> If someone sent you a code or a link, close this page: whoever sent it would get into your account.</p>`

const unknownApp = `<p>This app has entered itself here, and nobody has checked who it is.</p>\n`

const action = (settings: Settings, scope: Scope) => text(settings.issuer(scope) + devicePath)

/** Where the code is entered. @param shown What was typed, or stands in the address; it is put into the field and not used. */
export function enterPage(
  { settings }: Server,
  scope: Scope,
  {
    shown = '',
    wrong,
    ...page
  }: { shown?: string; wrong?: string } & Pick<Page, 'status' | 'headers'>,
): Promise<Response> {
  const alert = wrong ? `<p class="bad" id="wrong" role="alert">${text(wrong)}</p>\n` : ''
  const invalid = wrong ? ' aria-invalid="true" aria-describedby="wrong"' : ''
  return pageOf(settings, scope, {
    ...page,
    title: 'Connect a device',
    body: `<h1>Connect a device</h1>
<p>Your television, console or command line shows a code of 8 letters.</p>
${alert}<form method="post" action="${action(settings, scope)}">
<label class="field" for="user_code">Code on the device</label>
<input class="typed" id="user_code" name="user_code" value="${text(shown.slice(0, 20))}" placeholder="WDJB-MJHT" maxlength="20" required autofocus autocomplete="off" autocapitalize="characters" autocorrect="off" spellcheck="false"${invalid}>
${warning}
<div class="acts"><button class="act">Continue</button></div>
</form>`,
  })
}

/** What the host's scopes let a client do, in its own words. */
const permissionsOf = ({ scopes }: Server, { scope, resource }: DeviceDetails): string[] => [
  ...wordsOf(scope).map((word) => scopes[word] ?? openidScopes[word] ?? word),
  ...resource.map((one) => `Use it at ${one}`),
]

/** The question, before anything is given. */
export function confirmPage(
  server: Server,
  scope: Scope,
  details: DeviceDetails,
): Promise<Response> {
  const { settings } = server
  const { client, registration, user, user_code, place, same_network, requested_at } = details
  const site = text(new URL(settings.site(scope)).host)
  // A name is what the client says of itself.
  const called = client.name || 'An app'
  const name = text(called)
  const host = URL.parse(client.uri)?.host
  const time = new Date(requested_at).toISOString().slice(11, 16)
  const where = [
    place ? text(place) : 'Unknown place',
    same_network ? 'in the same network as you' : 'not in the same network as you',
  ]
  const may = permissionsOf(server, details).map((one) => `<li>${text(one)}</li>`)
  return pageOf(settings, scope, {
    title: `Connect ${called}`,
    body: `<h1>Let ${name} use your account?</h1>
<p>A device asks for your account at ${site}.</p>
<dl>
<div><dt>The device must show</dt><dd class="code">${user_code}</dd></div>
<div><dt>App</dt><dd>${name}${host ? ` <small>${text(host)}</small>` : ''}</dd></div>
<div><dt>It may</dt><dd><ul>${may.join('')}</ul></dd></div>
<div><dt>Your account</dt><dd>${text(user.email || user.id)}</dd></div>
<div><dt>Where the device is</dt><dd>${where[0]} <small>${where[1]}, asked at ${time} UTC</small></dd></div>
</dl>
${registration === 'dynamic' ? unknownApp : ''}${warning}
<form method="post" action="${action(settings, scope)}">
<input type="hidden" name="user_code" value="${user_code}">
<div class="acts"><button name="answer" value="deny">Refuse</button> <button class="act" name="answer" value="approve">Allow</button></div>
</form>`,
  })
}

/** After the answer. */
export function answeredPage(
  { settings }: Server,
  scope: Scope,
  { name, approved }: { name: string; approved: boolean },
): Promise<Response> {
  const [title, says] = approved
    ? [
        `${name} is connected`,
        'Go back to the device: it goes on by itself. You can close this page.',
      ]
    : ['Nothing was connected', `${name} was told that you refused. You can close this page.`]
  return pageOf(settings, scope, {
    title,
    body: `<h1>${text(title)}</h1>\n<p role="status">${text(says)}</p>`,
  })
}

/** For whoever is not signed in, where the host says of no page where one does. @param back This page's address. */
export function signInPage(
  { settings }: Server,
  scope: Scope,
  { back }: { back: string },
): Promise<Response> {
  const site = text(new URL(settings.site(scope)).host)
  return pageOf(settings, scope, {
    title: 'Sign in first',
    body: `<h1>Sign in to ${site} first</h1>
<p>A device asks for your account. Sign in, as you always do, in another tab; then go on here.</p>
<div class="acts"><a class="act" href="${text(back)}">I have signed in</a></div>`,
    status: 401,
  })
}
