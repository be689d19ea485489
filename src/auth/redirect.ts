import type { Scope } from '../core/scope.ts'
import type { Settings } from './settings.ts'

/** Schemes that run or read something instead of leading somewhere. */
const unsafeScheme = /^(?:javascript|data|vbscript|blob|file|about|filesystem|view-source):/

/**
 * Reads where a client wants to be led: an absolute URL without user, control characters or backslashes, which browsers
 * and servers read differently (case 24).
 */
function parse(redirectTo: string): URL | null {
  if (redirectTo.length > 2048 || /[\p{C}\s\\]/u.test(redirectTo)) return null
  if (!/^[a-z][a-z\d+.-]*:\/\//i.test(redirectTo)) return null
  const url = URL.parse(redirectTo)
  if (!url) return null
  if (url.username !== '' || url.password !== '' || unsafeScheme.test(url.protocol)) return null
  // `https:///x` and `https://%2f%2fx`: what was written as path or escape has become a host.
  return /^[a-z][a-z\d+.-]*:\/\/[^/?#%]*(?:[/?#]|$)/i.test(redirectTo) ? url : null
}

/** The pattern as an expression over a URL without its fragment. `*` stops at `.` and `/`, `**` does not, as in GoTrue. */
function expressionOf(pattern: string): RegExp {
  const source = pattern
    .split(/(\*\*|\*)/)
    .map((piece) => {
      if (piece === '**') return '.*'
      if (piece === '*') return '[^./]*'
      return piece.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    })
    .join('')
  return new RegExp(`^${source}$`)
}

/**
 * Makes the check of `redirects`.
 *
 * @throws {TypeError} if an entry is no absolute URL, or has `**` before its path, where it would match any host.
 */
export function allowList(redirects: readonly string[]): (url: URL) => boolean {
  const expressions = redirects.map((pattern) => {
    const origin = pattern.match(/^([a-z][a-z\d+.-]*:\/\/[^/?#]*)/i)?.[1]
    if (!origin || /[\p{C}\s\\@]/u.test(pattern) || unsafeScheme.test(pattern.toLowerCase()))
      throw new TypeError(
        `auth: \`redirects\` holds ${JSON.stringify(pattern)}; write it as https://app.example/welcome`,
      )
    if (origin.includes('**') || /:\/\/\*$/.test(origin))
      throw new TypeError(
        `auth: \`redirects\` holds ${JSON.stringify(pattern)}, which matches any host; use * for one label of it`,
      )
    // A URL without a path has the path `/`.
    return expressionOf(pattern === origin && /^https?:/i.test(origin) ? `${pattern}/` : pattern)
  })
  return (url) => {
    const text = url.href.slice(0, url.href.length - url.hash.length)
    return expressions.some((expression) => expression.test(text))
  }
}

/**
 * Where to lead a browser: where the client asked for if that is on `site` or in `redirects`, else to `site`.
 *
 * @returns An absolute URL.
 */
export function checkRedirect(
  settings: Settings,
  scope: Scope,
  redirectTo: string | null | undefined,
): string {
  const site = settings.site(scope)
  const url = redirectTo ? parse(redirectTo) : null
  if (!url) return site
  return url.origin === site || settings.allows(url) ? url.href : site
}

/** A 303: what follows is a GET, and no later page learns the link's token from `Referer`. */
export const redirectTo = (url: string): Response =>
  new Response(null, {
    status: 303,
    headers: { location: url, 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' },
  })

/** A URL with parameters in its query or its fragment, each escaped; what the URL had there before stays or goes. */
export function withParameters(
  url: string,
  parameters: Readonly<Record<string, string | number>>,
  where: 'query' | 'fragment',
): string {
  const made = new URL(url)
  const search = new URLSearchParams(
    Object.entries(parameters).map(([name, value]) => [name, String(value)]),
  )
  if (where === 'fragment') made.hash = search.toString()
  else for (const [name, value] of search) made.searchParams.set(name, value)
  return made.href
}
