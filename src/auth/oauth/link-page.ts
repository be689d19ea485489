import type { Scope } from '../../core/scope.ts'
import { escapeHtml } from '../mails.ts'
import { ownPage } from '../page.ts'
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

/** The question as a page. The answer leads on to where the flow began. */
export const linkPage = (
  settings: Settings,
  scope: Scope,
  question: LinkQuestion,
): Promise<Response> =>
  ownPage({
    ...htmlOf(settings, scope, question),
    site: settings.site(scope),
    target: question.target,
  })

/** `linkedin_oidc` and `custom:acme` as people call them. */
const labelOf = (provider: string): string =>
  provider.replace(/^custom:|_oidc$/g, '').replace(/^./, (first) => first.toUpperCase())

function htmlOf(settings: Settings, scope: Scope, question: LinkQuestion) {
  const { token, provider, identity, account, since } = question
  const text = escapeHtml
  const site = text(new URL(settings.site(scope)).host)
  const by = text(labelOf(provider))
  const day = new Date(since).toLocaleDateString('en-GB', { dateStyle: 'long', timeZone: 'UTC' })
  const body = `<h1>Link ${by} to this account?</h1>
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
</form>`
  return { title: `Link ${labelOf(provider)} to your account`, body }
}
