import type { Scope } from '../../core/scope.ts'

/*
 * A sign-in is bound to the browser that began it: half of the flow's id is the `state` that travels through the
 * provider, half is a cookie that only this browser has. Whoever holds one half, holds nothing (case 27).
 *
 * But a page on another origin begins a link by `fetch`, and browsers drop the cookie of its answer. So a link is found by its
 * `state` alone, and what comes back without the cookie links nothing by itself: see `held-link.ts`.
 */

/** Characters of `state`, 132 bits; the rest, 126 bits, is the cookie's. */
const stateLength = 22

export const splitFlow = (id: string) => ({
  state: id.slice(0, stateLength),
  secret: id.slice(stateLength),
})

// Each flow has its own, so that two tabs may sign in at once.
const nameOf = (scope: Scope, state: string) =>
  `${scope.local ? '' : '__Host-'}leanto-oauth-${state.slice(0, 8)}`

const attributes = (scope: Scope, formPost: boolean | undefined) => {
  // A form that another site's page posts carries no `Lax` cookie; `None` must be `Secure`.
  if (formPost) return 'Path=/; HttpOnly; Secure; SameSite=None'
  return `Path=/; HttpOnly; SameSite=Lax${scope.local ? '' : '; Secure'}`
}

/** @param seconds 0 removes it. */
export const flowCookie = (
  scope: Scope,
  { state, secret, formPost }: { state: string; secret: string; formPost?: boolean | undefined },
  seconds: number,
): string => `${nameOf(scope, state)}=${secret}; Max-Age=${seconds}; ${attributes(scope, formPost)}`

/** The cookie's half; `undefined` if this browser did not begin the flow. */
export function flowSecret(scope: Scope, request: Request, state: string): string | undefined {
  const name = nameOf(scope, state)
  const found = (request.headers.get('cookie') ?? '')
    .split(';')
    .map((pair) => pair.trim().split('='))
    .filter(([key]) => key === name)
  const secret = found[0]?.[1] ?? ''
  return found.length === 1 && /^[\w-]{21}$/.test(secret) ? secret : undefined
}

export const isState = (state: string): boolean => /^[\w-]{22}$/.test(state)
