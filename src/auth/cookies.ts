import type { MiddlewareHandler } from 'hono'
import { decodeJwt } from 'jose'
import { Fault, problem } from '../core/fault.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { hash } from '../core/secret.ts'
import { authFaults } from './faults.ts'
import { ownFaults, requireOwn } from './own-pages.ts'
import type { AuthPart, Doors } from './part.ts'
import type { Session } from './wire.ts'

export interface CookieOptions {
  /** `lax` also comes along when another site's link leads here. @default 'lax' */
  sameSite?: 'lax' | 'strict'
  /** Seconds that the browser keeps the refresh cookie; the session itself may end before. @default 34560000 (400 days, the most that browsers keep) */
  maxAge?: number
}

// `__Host-`: only over HTTPS, for this host alone, and no subdomain can plant one (RFC 6265bis, 4.1.3.2).
const accessCookie = '__Host-auth-access'
const refreshCookie = '__Host-auth-refresh'

/** The part, and what an app that renders on the server mounts before its pages. */
export interface Cookies extends AuthPart {
  /**
   * Goes on with a session whose access token has ended, before the page is made: one trip then, none otherwise. Whatever
   * comes after it, such as `users.signedIn`, knows the user, and the answer sets the new cookies and is not cached. Parallel
   * loads get the same ones, within the grace of refresh tokens. A session that has ended leaves a guest without cookies.
   *
   * What is no GET must come from the app's own pages: else it is 403 `bad_origin`, as problem+json.
   *
   * @throws {TypeError} if the part is in no `with`.
   */
  readonly renewed: MiddlewareHandler
}

/** RFC 7240: how a page asks for cookies in the place of tokens. */
const preference = /(?:^|,)\s*session\s*=\s*"?cookie"?\s*(?:,|;|$)/i

const read = (request: Request, name: string): string | null => {
  for (const pair of (request.headers.get('cookie') ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim() || null
  }
  return null
}

const asks = (request: Request): boolean => preference.test(request.headers.get('prefer') ?? '')

/** A browser that was signed in by cookies; whoever shows a token in the header is not. */
const byCookie = (request: Request): boolean =>
  !request.headers.has('authorization') && read(request, accessCookie) !== null

/** A session that goes on by new tokens, as after a second factor, stays where it is. */
const raised = (request: Request): boolean =>
  byCookie(request) && /\/factors\/|\/organizations\/active$/.test(new URL(request.url).pathname)

const safe = (method: string): boolean => ['GET', 'HEAD', 'OPTIONS'].includes(method)

/** GETs that do something: they send a code, or begin to link an account. */
const acting: readonly string[] = ['/reauthenticate', '/user/identities/authorize']

/**
 * Sessions in cookies, for apps that render on the server: beside bearer tokens, which work as ever. A page asks with
 * `Prefer: session=cookie` at any route that answers a session; the tokens then come in `__Host-` cookies that no script
 * can read, and not in the body. `POST /cookie` refreshes them, `DELETE /cookie` signs out.
 *
 * Whatever a cookie does, and not only reads, must come from the app's own pages: `Sec-Fetch-Site`, or `Origin` where a
 * browser does not send it. Elsewhere it is 403 `bad_origin`.
 *
 * `renewed` does what `POST /cookie` does, for pages that the server makes: see `Cookies`.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function cookies(options: CookieOptions = {}): Cookies {
  const { sameSite = 'lax', maxAge = 34_560_000 } = options
  if (sameSite !== 'lax' && sameSite !== 'strict')
    throw new TypeError('cookies: `sameSite` must be lax or strict')
  if (!Number.isSafeInteger(maxAge) || maxAge < 60 || maxAge > 34_560_000)
    throw new TypeError('cookies: `maxAge` must be seconds from 60 to 34560000')
  const attributes = `; Path=/; HttpOnly; Secure; SameSite=${sameSite === 'lax' ? 'Lax' : 'Strict'}`
  const write = (headers: Headers, session: Session | null) => {
    const set = (name: string, value: string, age: number) =>
      headers.append('set-cookie', `${name}=${value}; Max-Age=${age}${attributes}`)
    set(accessCookie, session?.access_token ?? '', session ? session.expires_in : 0)
    set(refreshCookie, session?.refresh_token ?? '', session ? maxAge : 0)
  }
  let mounted: Doors | undefined
  const mustBeOwn = (scope: Scope, request: Request) => {
    if (!mounted) throw ownFaults.bad_origin()
    requireOwn(mounted.settings, scope, request)
  }
  // By the request itself, so that it is there as long as the request is, and for no other.
  const fresh = new WeakMap<Request, string | null>()
  const answer = (response: Response, session: Session): Response => {
    const { access_token, refresh_token, ...rest } = session
    // A redirect carries its tokens in its address: those are for whoever asked for them there.
    if (response.status !== 200) return response
    const made = Response.json({ ...rest, token_type: 'cookie' }, { status: 200 })
    write(made.headers, session)
    made.headers.set('preference-applied', 'session=cookie')
    return made
  }

  return {
    name: 'cookies',
    faults: ownFaults,
    routes(doors): Route[] {
      if (mounted) throw new TypeError('cookies: one part is for one auth')
      mounted = doors
      return [
        ['POST', '/cookie', renew(doors, answer, write)],
        ['DELETE', '/cookie', end(write)],
      ]
    },
    guard(scope, request, { method, path }) {
      const cookie = byCookie(request)
      if (path === '/cookie' || asks(request)) mustBeOwn(scope, request)
      else if (cookie && (!safe(method) || acting.includes(path))) mustBeOwn(scope, request)
    },
    credential(scope, request) {
      const token = fresh.has(request) ? fresh.get(request) : read(request, accessCookie)
      if (!token) return null
      if (!safe(request.method)) mustBeOwn(scope, request)
      return token
    },
    reply: (_, request, session, response) =>
      asks(request) || raised(request) ? answer(response, session) : response,
    async renewed(c, next) {
      if (!mounted) throw new TypeError('cookies: must be listed in the `with` of auth first')
      const request = c.req.raw
      const refreshToken = read(request, refreshCookie)
      const scope = mounted.scopeOf(c)
      if (!refreshToken || request.headers.has('authorization') || isGood(scope, request))
        return next()
      let session: Session | null = null
      try {
        if (!safe(request.method)) mustBeOwn(scope, request)
        session = await mounted.verbs.refresh(scope, { refreshToken })
      } catch (error) {
        // A failure of ours ends no session, and another site's form nothing at all.
        if (!(error instanceof Fault)) throw error
        if (error.status >= 500 || error.code === 'bad_origin') return problem(error)
      }
      fresh.set(request, session?.access_token ?? null)
      await next()
      // Whoever has just signed in or out has the last word.
      if (c.res.headers.getSetCookie().some((cookie) => cookie.startsWith(refreshCookie))) return
      const headers = new Headers()
      write(headers, session)
      for (const cookie of headers.getSetCookie()) c.header('set-cookie', cookie, { append: true })
      c.header('cache-control', 'no-store')
    },
  }
}

/** Whether the access token has not ended. Not whether it is ours: that is asked by whoever takes it. */
function isGood(scope: Scope, request: Request): boolean {
  const token = read(request, accessCookie)
  try {
    return token !== null && Number(decodeJwt(token).exp) * 1000 > scope.now()
  } catch {
    return false
  }
}

const renew =
  (
    { verbs }: Doors,
    answer: (response: Response, session: Session) => Response,
    write: (headers: Headers, session: null) => void,
  ): Route[2] =>
  async (scope, c) => {
    const refreshToken = read(c.req.raw, refreshCookie)
    if (!refreshToken) throw authFaults.refresh_token_not_found()
    try {
      return answer(new Response(), await verbs.refresh(scope, { refreshToken }))
    } catch (error) {
      // Of no use any more: the browser need not keep asking. A failure of ours leaves them.
      if (!(error instanceof Fault) || error.status >= 500) throw error
      const headers = new Headers()
      write(headers, null)
      throw withCookies(error, headers)
    }
  }

/** A Fault's headers are a record, and `set-cookie` may not be joined: the one that counts goes. */
const withCookies = (fault: Fault, headers: Headers): Fault =>
  new Fault(fault.code, fault, {
    ...fault,
    headers: { ...fault.headers, 'set-cookie': headers.getSetCookie()[1] ?? '' },
  })

const end =
  (write: (headers: Headers, session: null) => void): Route[2] =>
  async (scope, c) => {
    const refreshToken = read(c.req.raw, refreshCookie)
    // By this cookie, for the other one is over after an hour, and signed out is signed out.
    if (refreshToken)
      await scope.db
        .prepare(
          `DELETE FROM leanto_auth_sessions WHERE id = (
             SELECT session_id FROM leanto_auth_refresh_tokens WHERE hash = ?)`,
        )
        .bind(await hash(refreshToken))
        .run()
    const response = new Response(null, { status: 204 })
    write(response.headers, null)
    return response
  }
