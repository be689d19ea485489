import type { Scope } from '../../core/scope.ts'
import { escapeHtml } from '../mails.ts'
import type { Settings } from '../settings.ts'
import type { UserRow } from '../wire.ts'
import type { Person } from './person.ts'

/** What whoever sits at the browser is asked. All of it is what someone typed. */
export interface LinkQuestion {
  /** Of the form: used once. */
  readonly token: string
  readonly provider: string
  /** Whom the provider has signed in. */
  readonly identity: string
  /** Whose account it would be linked to, masked. */
  readonly account: string
  /** When that account was made, Unix time in milliseconds. */
  readonly since: number
  /** Where the answer leads. */
  readonly target: string
}

/** Where the form posts to, under the mount. */
export const linkPath = '/callback/link'

export const questionOf = (
  { provider, email, data, subject }: Person,
  user: UserRow,
  { token, target }: { token: string; target: string },
): LinkQuestion => ({
  token,
  provider,
  identity: email ?? (typeof data.name === 'string' && data.name !== '' ? data.name : subject),
  account: accountOf(user),
  since: user.created_at,
  target,
})

/**
 * Enough for its owner to know it, and not enough for anyone else to learn it: the page may be seen by someone who was led
 * here. Both ends of a name are shown, for the attacker picks the account, and would pick one that looks like theirs.
 */
function accountOf({ email, phone }: UserRow): string {
  if (email) {
    const at = email.lastIndexOf('@')
    return masked(email.slice(0, at)) + email.slice(at)
  }
  if (phone) return `•••${phone.slice(-3)}`
  return 'a guest account'
}

const masked = (name: string): string =>
  name.length < 5 ? `${name.slice(0, 1)}•••` : `${name.slice(0, 2)}•••${name.slice(-1)}`

const style = `
:root { color-scheme: light dark; --ground: #f4f3f0; --card: #fff; --ink: #1d1d1b; --soft: #5c5b57; --line: #d9d7d1; --act: #1c4f8c; --on-act: #fff; --mark: #f7edd8; --on-mark: #5a3d00 }
@media (prefers-color-scheme: dark) { :root { --ground: #161615; --card: #222220; --ink: #f0efec; --soft: #b1afa8; --line: #3c3b37; --act: #9cc4f5; --on-act: #0d2036; --mark: #3a2f16; --on-mark: #f5ddaa } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; min-height: 100dvh; padding: 1.5rem 1rem; display: grid; place-items: center; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 27rem; padding: 1.75rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem }
h1 { margin: 0 0 .75rem; font-size: 1.375rem; line-height: 1.25; text-wrap: balance }
p { margin: 0 0 1.25rem }
dl { margin: 0 0 1.25rem; border-top: 1px solid var(--line) }
dl div { padding: .75rem 0; border-bottom: 1px solid var(--line) }
dt { color: var(--soft); font-size: .875rem }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere }
dd small { display: block; color: var(--soft); font-size: .875rem; font-weight: 400 }
.mark { padding: .75rem .875rem; border-radius: .5rem; background: var(--mark); color: var(--on-mark); font-size: .9375rem }
label { display: flex; gap: .625rem; align-items: start; margin: 0 0 1.25rem; padding: .625rem 0; cursor: pointer }
input { flex: none; width: 1.25rem; height: 1.25rem; margin: .125rem 0 0; accent-color: var(--act) }
.acts { display: flex; flex-wrap: wrap; gap: .75rem }
button { flex: 1 1 10rem; min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid var(--line); border-radius: .5rem; background: none; color: inherit; font: inherit; font-weight: 600; cursor: pointer }
button.act { border-color: var(--act); background: var(--act); color: var(--on-act) }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px }
`

/**
 * The question as a page of ours: no script, nothing from elsewhere, in no frame. The answer leads on to where the flow
 * began, which browsers count as part of the form (`form-action`).
 */
export async function linkPage(
  settings: Settings,
  scope: Scope,
  question: LinkQuestion,
): Promise<Response> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style))
  const hash = btoa(String.fromCharCode(...new Uint8Array(digest)))
  const policy = [
    `default-src 'none'`,
    `style-src 'sha256-${hash}'`,
    `form-action 'self' ${sourceOf(question.target)}`.trim(),
    `frame-ancestors 'none'`,
    `base-uri 'none'`,
  ]
  return new Response(htmlOf(settings, scope, question), {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy.join('; '),
      'x-frame-options': 'DENY',
      // Not `no-referrer`: by that the form's own `Origin` would be `null`. The address of this page stays with us.
      'referrer-policy': 'same-origin',
      'cache-control': 'no-store',
    },
  })
}

/** A URL's origin, or its scheme where an app has one of its own; nothing that would be read as more than one. */
function sourceOf(target: string): string {
  const { protocol, origin } = new URL(target)
  const source = /^https?:$/.test(protocol) ? origin : protocol
  return /^[\w.:/[\]+-]+$/.test(source) ? source : ''
}

/** `linkedin_oidc` and `custom:acme` as people call them. */
const labelOf = (provider: string): string =>
  provider.replace(/^custom:|_oidc$/g, '').replace(/^./, (first) => first.toUpperCase())

function htmlOf(settings: Settings, scope: Scope, question: LinkQuestion): string {
  const { token, provider, identity, account, since } = question
  const text = escapeHtml
  const site = text(new URL(settings.site(scope)).host)
  const by = text(labelOf(provider))
  const day = new Date(since).toLocaleDateString('en-GB', { dateStyle: 'long', timeZone: 'UTC' })
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Link ${by} to your account · ${site}</title>
<style>${style}</style>
<main>
<h1>Link ${by} to this account?</h1>
<p>From then on, signing in to ${site} with ${by} opens this account.</p>
<dl>
<div><dt>You have signed in to ${by} as</dt><dd>${text(identity)}</dd></div>
<div><dt>It would be linked to the account</dt><dd>${text(account)} <small>opened on ${day}</small></dd></div>
</dl>
<p class="mark">If someone sent you here, cancel: it may be their account, and what you keep in it would be theirs to read.</p>
<form method="post" action="${text(settings.issuer(scope) + linkPath)}">
<input type="hidden" name="token" value="${text(token)}">
<label><input type="checkbox" name="mine" value="yes" required> <span>I began this myself, and the account is mine.</span></label>
<div class="acts"><button name="answer" value="cancel" formnovalidate>Cancel</button> <button class="act" name="answer" value="link">Link ${by}</button></div>
</form>
</main>
</html>
`
}
