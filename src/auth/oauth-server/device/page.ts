import type { Scope } from '../../../core/scope.ts'
import { escapeHtml as text } from '../../mails.ts'
import type { Settings } from '../../settings.ts'
import { wordsOf } from '../client.ts'
import { openidScopes, type Server } from '../settings.ts'
import type { DeviceDetails } from './answer.ts'

/** Under the mount. */
export const devicePath = '/oauth/device'

const style = `
:root { color-scheme: light dark; --ground: #f4f3f0; --card: #fff; --ink: #1d1d1b; --soft: #5c5b57; --line: #d9d7d1; --act: #1c4f8c; --on-act: #fff; --mark: #f7edd8; --on-mark: #5a3d00; --bad: #a32118 }
@media (prefers-color-scheme: dark) { :root { --ground: #161615; --card: #222220; --ink: #f0efec; --soft: #b1afa8; --line: #3c3b37; --act: #9cc4f5; --on-act: #0d2036; --mark: #3a2f16; --on-mark: #f5ddaa; --bad: #f3a49c } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; min-height: 100dvh; padding: 1.5rem 1rem; display: grid; place-items: center; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 27rem; padding: 1.75rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem }
h1 { margin: 0 0 .75rem; font-size: 1.375rem; line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere }
p { margin: 0 0 1.25rem }
form { margin: 0 }
dl { margin: 0 0 1.25rem; border-top: 1px solid var(--line) }
dl div { padding: .75rem 0; border-bottom: 1px solid var(--line) }
dt { color: var(--soft); font-size: .875rem }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere }
dd small, label small { display: block; color: var(--soft); font-size: .875rem; font-weight: 400 }
ul { margin: 0; padding: 0 0 0 1.125rem; font-weight: 400 }
.code { font: 600 1.25rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; letter-spacing: .06em }
.mark { padding: .75rem .875rem; border-radius: .5rem; background: var(--mark); color: var(--on-mark); font-size: .9375rem }
.bad { color: var(--bad); font-weight: 600 }
label { display: block; margin: 0 0 .375rem; font-weight: 600 }
input { width: 100%; margin: 0 0 1.25rem; padding: .625rem .75rem; border: 1px solid var(--soft); border-radius: .5rem; background: var(--ground); color: inherit; text-align: center; text-transform: uppercase; font: 600 1.5rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; letter-spacing: .08em }
input[aria-invalid] { border-color: var(--bad) }
.acts { display: flex; flex-wrap: wrap; gap: .75rem }
.act { flex: 1 1 10rem; min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid var(--line); border-radius: .5rem; background: none; color: inherit; font: inherit; font-weight: 600; text-align: center; text-decoration: none; cursor: pointer }
.act.first { border-color: var(--act); background: var(--act); color: var(--on-act) }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px }
`

/** What one page says: no script, nothing from elsewhere, in no frame, so that nobody's answer is clicked through another page. */
interface Page {
  readonly title: string
  readonly main: string
  /** @default 200 */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

async function pageOf(settings: Settings, scope: Scope, page: Page): Promise<Response> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style))
  const hash = btoa(String.fromCharCode(...new Uint8Array(digest)))
  const site = text(new URL(settings.site(scope)).host)
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${page.title} · ${site}</title>
<style>${style}</style>
<main>
${page.main}
</main>
</html>
`
  return new Response(html, {
    status: page.status ?? 200,
    headers: {
      ...page.headers,
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': [
        `default-src 'none'`,
        `style-src 'sha256-${hash}'`,
        `form-action 'self'`,
        `frame-ancestors 'none'`,
        `base-uri 'none'`,
      ].join('; '),
      'x-frame-options': 'DENY',
      // Not `no-referrer`: by that the form's own `Origin` would be `null`. The code in this address stays with us.
      'referrer-policy': 'same-origin',
      'cache-control': 'no-store',
    },
  })
}

const warning = `<p class="mark"><strong>Only go on if the device is in front of you.</strong> If someone sent you a code or a link, close this page: whoever sent it would get into your account.</p>`

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
    main: `<h1>Connect a device</h1>
<p>Your television, console or command line shows a code of 8 letters.</p>
${alert}<form method="post" action="${action(settings, scope)}">
<label for="user_code">Code on the device</label>
<input id="user_code" name="user_code" value="${text(shown.slice(0, 20))}" placeholder="WDJB-MJHT" maxlength="20" required autofocus autocomplete="off" autocapitalize="characters" autocorrect="off" spellcheck="false"${invalid}>
${warning}
<div class="acts"><button class="act first">Continue</button></div>
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
  const { client, user, user_code, place, same_network, requested_at } = details
  const site = text(new URL(settings.site(scope)).host)
  const name = text(client.name)
  const host = URL.parse(client.uri)?.host
  const time = new Date(requested_at).toISOString().slice(11, 16)
  const where = [
    place ? text(place) : 'Unknown place',
    same_network ? 'in the same network as you' : 'not in the same network as you',
  ]
  const may = permissionsOf(server, details).map((one) => `<li>${text(one)}</li>`)
  return pageOf(settings, scope, {
    title: `Connect ${name}`,
    main: `<h1>Let ${name} use your account?</h1>
<p>It asks for your account at ${site}.</p>
<dl>
<div><dt>The device must show</dt><dd class="code">${user_code}</dd></div>
<div><dt>App</dt><dd>${name}${host ? ` <small>${text(host)}</small>` : ''}</dd></div>
<div><dt>It may</dt><dd><ul>${may.join('')}</ul></dd></div>
<div><dt>Your account</dt><dd>${text(user.email || user.id)}</dd></div>
<div><dt>Where the device is</dt><dd>${where[0]} <small>${where[1]}, asked at ${time} UTC</small></dd></div>
</dl>
${warning}
<form method="post" action="${action(settings, scope)}">
<input type="hidden" name="user_code" value="${user_code}">
<div class="acts"><button class="act" name="answer" value="deny">Refuse</button> <button class="act first" name="answer" value="approve">Allow</button></div>
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
    title: text(title),
    main: `<h1>${text(title)}</h1>\n<p role="status">${text(says)}</p>`,
  })
}

/** For whoever is not signed in, or whose session may not answer. @param href Where one signs in, and is led back from. */
export function signInPage(
  { settings }: Server,
  scope: Scope,
  { href }: { href: string | undefined },
): Promise<Response> {
  const link = href
    ? `<div class="acts"><a class="act first" href="${text(href)}">Sign in</a></div>`
    : `<p>Sign in at ${text(new URL(settings.site(scope)).host)}, then open this page again.</p>`
  return pageOf(settings, scope, {
    title: 'Sign in first',
    main: `<h1>Sign in first</h1>\n<p>The device will get into the account that you are signed in to.</p>\n${link}`,
  })
}
