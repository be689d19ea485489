import { type Context, Hono } from 'hono'
import { type Base, bookmarkCookie, bookmarkHeader } from './bind.ts'
import { serverTiming } from './cost.ts'
import { Fault } from './fault.ts'
import type { Scope } from './scope.ts'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'COPY'
type Handler = (scope: Scope, c: Context) => Response | Promise<Response>

/** One line of a module's routes: method, path under the mount, what answers. A GET also answers HEAD. */
export type Route = readonly [method: Method, path: string, handler: Handler]

/** A route as a reader or a test sees it. */
export interface RouteEntry {
  readonly method: string
  readonly path: string
}

export interface RouteOptions<Env> {
  base: Base<Env>
  /** Renders a Fault in the module's protocol. */
  render: (fault: Fault, request: Request) => Response
  /** What a bug looks like in the module's protocol: no word about its cause. Status 500. */
  bug: (request: Request) => Response
  /**
   * Whether pages of other origins may send the user's cookies along, which needs a list of `origins`: what a client
   * that always asks for it cannot do without.
   * @default false
   */
  credentials?: boolean
}

/**
 * Makes a module's sub-app of its routes. Around each handler: the scope, faults in the module's protocol, `no-store`
 * and `nosniff` unless the handler says otherwise, the D1 bookmark, CORS for the `origins` of `bind`, and
 * `Server-Timing` with the cost in local development.
 */
export function routesOf<Env>(options: RouteOptions<Env>, routes: readonly Route[]) {
  const app = new Hono<{ Bindings: Env & object }>()
  for (const [method, path, handler] of routes)
    app.on(method, path, (c) => answer(options, c as Context, handler))
  if (options.base.origins.length > 0)
    for (const path of new Set(routes.map(([, path]) => path))) {
      const methods = routes.filter((route) => route[1] === path).map(([method]) => method)
      app.options(path, (c) => preflight(options, c.req.raw, methods))
    }
  const table: RouteEntry[] = app.routes.map(({ method, path }) => ({ method, path }))
  return { routes: app, table: Object.freeze(table) }
}

async function answer<Env>(
  options: RouteOptions<Env>,
  c: Context,
  handler: Handler,
): Promise<Response> {
  const started = Date.now()
  let scope: Scope | undefined
  let response: Response
  try {
    scope = options.base.scope(c)
    response = await handler(scope, c)
  } catch (error) {
    response = failure(options, error, c.req.raw)
  }
  const { headers } = response
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store')
  if (!headers.has('x-content-type-options')) headers.set('x-content-type-options', 'nosniff')
  if (scope) describe(scope, c.req.raw, headers, started)
  allowOrigin(options, c.req.raw, headers)
  return response
}

function failure<Env>(options: RouteOptions<Env>, error: unknown, request: Request): Response {
  if (error instanceof Fault) {
    if (error.status >= 500)
      console.error(`leanto: ${error.code}: ${error.message}`, error.cause ?? '')
    return options.render(error, request)
  }
  console.error('leanto: unexpected error', error)
  return options.bug(request)
}

function describe(scope: Scope, request: Request, headers: Headers, started: number) {
  const bookmark = scope.bookmark()
  if (bookmark) {
    headers.set(bookmarkHeader, bookmark)
    // A page's next plain read must see this write, and not every client can keep a header.
    if (request.method !== 'GET' && request.method !== 'HEAD' && request.headers.has('origin')) {
      const secure = new URL(request.url).protocol === 'https:' ? '; Secure' : ''
      headers.append(
        'set-cookie',
        `${bookmarkCookie}=${bookmark}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax${secure}`,
      )
    }
  }
  if (scope.local) headers.set('server-timing', serverTiming(scope.cost, Date.now() - started))
}

function allowOrigin<Env>(
  { base, credentials }: RouteOptions<Env>,
  request: Request,
  headers: Headers,
): boolean {
  if (base.origins.length === 0) return false
  if (base.origins === '*') {
    headers.set('access-control-allow-origin', '*')
  } else {
    headers.append('vary', 'Origin')
    const origin = request.headers.get('origin')
    if (origin === null || !base.origins.includes(origin)) return false
    headers.set('access-control-allow-origin', origin)
    if (credentials) headers.set('access-control-allow-credentials', 'true')
  }
  headers.set(
    'access-control-expose-headers',
    `content-range, content-location, dpop-nonce, etag, location, next-cursor, preference-applied, retry-after, www-authenticate, x-leanto-why, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-supabase-api-version, ${bookmarkHeader}`,
  )
  return true
}

function preflight<Env>(
  options: RouteOptions<Env>,
  request: Request,
  methods: readonly string[],
): Response {
  const headers = new Headers()
  if (allowOrigin(options, request, headers)) {
    headers.delete('access-control-expose-headers')
    headers.set('access-control-allow-methods', [...methods, 'HEAD'].join(', '))
    const asked = request.headers.get('access-control-request-headers') ?? ''
    if (/^[\w\-, ]*$/.test(asked)) headers.set('access-control-allow-headers', asked)
    headers.set('access-control-max-age', '7200')
  }
  return new Response(null, { status: 204, headers })
}
