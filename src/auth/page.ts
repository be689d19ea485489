import { escapeHtml } from './mails.ts'

/** A page of ours, before it is one. */
export interface OwnPage {
  /** Plain text. */
  readonly title: string
  /** What stands in `<main>`, escaped. */
  readonly body: string
  /** The app's origin. */
  readonly site: string
  /** Where a form's answer may lead on to, besides here. @default nowhere */
  readonly target?: string | undefined
  /** @default 200 */
  readonly status?: number
}

const style = `
:root { color-scheme: light dark; --ground: #f4f3f0; --card: #fff; --ink: #1d1d1b; --soft: #5c5b57; --line: #d9d7d1; --act: #1c4f8c; --on-act: #fff; --mark: #f7edd8; --on-mark: #5a3d00 }
@media (prefers-color-scheme: dark) { :root { --ground: #161615; --card: #222220; --ink: #f0efec; --soft: #b1afa8; --line: #3c3b37; --act: #9cc4f5; --on-act: #0d2036; --mark: #3a2f16; --on-mark: #f5ddaa } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; min-height: 100dvh; padding: 1.5rem 1rem; display: grid; place-items: center; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 27rem; padding: 1.75rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem }
h1 { margin: 0 0 .75rem; font-size: 1.375rem; line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere }
p { margin: 0 0 1.25rem }
dl { margin: 0 0 1.25rem; border-top: 1px solid var(--line) }
dl div { padding: .75rem 0; border-bottom: 1px solid var(--line) }
dt { color: var(--soft); font-size: .875rem }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere }
dd ul { margin: 0; padding: 0 0 0 1.125rem }
dd li { padding: .125rem 0 }
dd small { display: block; color: var(--soft); font-size: .875rem; font-weight: 400 }
.mark { padding: .75rem .875rem; border-radius: .5rem; background: var(--mark); color: var(--on-mark); font-size: .9375rem }
label { display: flex; gap: .625rem; align-items: start; margin: 0 0 1.25rem; padding: .625rem 0; cursor: pointer }
input { flex: none; width: 1.25rem; height: 1.25rem; margin: .125rem 0 0; accent-color: var(--act) }
.acts { display: flex; flex-wrap: wrap; gap: .75rem }
button, .act { flex: 1 1 10rem; min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid var(--line); border-radius: .5rem; background: none; color: inherit; font: inherit; font-weight: 600; cursor: pointer; text-align: center; text-decoration: none }
.act { border-color: var(--act); background: var(--act); color: var(--on-act) }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px }
`

/**
 * A page of ours: no script, nothing from elsewhere, in no frame. Where the answer to its form leads is something that browsers
 * count as part of the form (`form-action`).
 */
export async function ownPage(page: OwnPage): Promise<Response> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style))
  const hash = btoa(String.fromCharCode(...new Uint8Array(digest)))
  const policy = [
    `default-src 'none'`,
    `style-src 'sha256-${hash}'`,
    `form-action 'self' ${page.target === undefined ? '' : sourceOf(page.target)}`.trim(),
    `frame-ancestors 'none'`,
    `base-uri 'none'`,
  ]
  return new Response(htmlOf(page), {
    status: page.status ?? 200,
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

const htmlOf = ({ title, body, site }: OwnPage): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)} · ${escapeHtml(new URL(site).host)}</title>
<style>${style}</style>
<main>
${body}
</main>
</html>
`
