import { counted, noCost } from './cost.ts'
import type { Database, KeyValue, Queryable, Session } from './database.ts'
import type { Scope, Source } from './scope.ts'
import { checkSecret } from './secret.ts'

export interface BindOptions<Env> {
  /** The D1 database. May pick one per request, for a tenant each. */
  db: (env: Env, source: Source<Env>) => Database
  /** A KV namespace, used as a cache only. */
  kv: (env: Env, source: Source<Env>) => KeyValue
  /** At least 32 characters (`npx leanto secret`). Signing keys are sealed and API keys derived under it. */
  secret: (env: Env, source: Source<Env>) => string | undefined
  /**
   * Web origins, other than the app's own, whose pages may call the modules (CORS), or `'*'` for any. Credentials
   * (cookies) are never allowed across origins; bearer tokens are what crosses.
   * @default [] (none)
   */
  origins?: readonly string[] | '*'
  /** The clock, Unix time in milliseconds. @default Date.now */
  now?: () => number
}

/** What exists: the bindings, reached by functions of `env`. Modules are built on it. */
export interface Base<Env = unknown> {
  readonly origins: readonly string[] | '*'
  /**
   * The scope of a request, the same one each time it is asked for.
   *
   * @param source A Hono `Context`, or `{ env, executionCtx }` in a queue or cron handler.
   * @throws {Fault} `misconfigured` if the secret is missing, short or the development value.
   */
  scope(source: Source<Env>): Scope<Env>
}

/**
 * Says where the bindings are. Nothing is opened or read until a request comes.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function bind<Env>(options: BindOptions<Env>): Base<Env> {
  for (const name of ['db', 'kv', 'secret'] as const)
    if (typeof options?.[name] !== 'function')
      throw new TypeError(
        `bind: \`${name}\` must be a function of env, such as (env) => env.${name.toUpperCase()}`,
      )
  const { origins = [], now = Date.now } = options
  for (const origin of origins === '*' ? [] : origins)
    if (URL.parse(origin)?.origin !== origin)
      throw new TypeError(
        `bind: \`origins\` holds ${JSON.stringify(origin)}; write it as https://app.example`,
      )

  const scopes = new WeakMap<Request, Scope<Env>>()

  const makeScope = (source: Source<Env>): Scope<Env> => {
    const { env } = source
    const request = source.req?.raw
    const local = request !== undefined && isLoopback(new URL(request.url).hostname)
    const secret = checkSecret(options.secret(env, source), local)
    let database: Database | undefined
    const open = () => (database ??= options.db(env, source))
    const sessions = openSessions(open, request)
    return Object.freeze({
      env,
      get db() {
        return sessions.primary()
      },
      get replica() {
        return sessions.replica()
      },
      get kv() {
        return options.kv(env, source)
      },
      get database() {
        return open()
      },
      local,
      // Not enumerable in effect: a scope that is logged or serialised shows no secret.
      get secret() {
        return secret
      },
      cost: sessions.cost,
      bookmark: sessions.bookmark,
      now,
      waitUntil: waitUntil(source),
      toJSON: () => ({ local, cost: sessions.cost }),
    })
  }

  return Object.freeze({
    origins,
    scope(source: Source<Env>): Scope<Env> {
      const request = source.req?.raw
      if (!request) return makeScope(source)
      let scope = scopes.get(request)
      if (!scope) scopes.set(request, (scope = makeScope(source)))
      return scope
    },
  })
}

export const bookmarkHeader = 'x-d1-bookmark'
export const bookmarkCookie = 'd1-bookmark'
const bookmarkShape = /^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$/
const bookmarkInCookie = new RegExp(`(?:^|;\\s*)${bookmarkCookie}=([0-9a-f-]{59})(?:;|$)`)

/** At most two sessions, opened when first used; both are seen by one cost. */
function openSessions(open: () => Database, request: Request | undefined) {
  const cost = noCost()
  const sessions: Session[] = []
  const start = (constraint: string): Queryable => {
    const database = open()
    const session = database.withSession?.(constraint)
    if (session) sessions.push(session)
    return counted(session ?? database, cost)
  }
  let primary: Queryable | undefined
  let replica: Queryable | undefined
  return {
    cost,
    primary: () => (primary ??= start('first-primary')),
    // After a write in this scope, only the primary is sure to have it.
    replica: () =>
      primary ?? (replica ??= start(requestBookmark(request) ?? 'first-unconstrained')),
    // Bookmarks sort as text: the greatest is the newest.
    bookmark: () =>
      sessions
        .map((session) => session.getBookmark())
        .filter((bookmark) => bookmark !== null)
        .sort()
        .at(-1) ?? null,
  }
}

function requestBookmark(request: Request | undefined): string | undefined {
  const header = request?.headers.get(bookmarkHeader)
  if (header) return bookmarkShape.test(header) ? header : undefined
  const cookie = request?.headers.get('cookie')?.match(bookmarkInCookie)?.[1]
  return cookie && bookmarkShape.test(cookie) ? cookie : undefined
}

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' ||
  hostname.endsWith('.localhost') ||
  hostname === '[::1]' ||
  /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname)

function waitUntil(source: Source<unknown>) {
  return (work: Promise<unknown>): void => {
    const settled = work.catch((error) => console.error('leanto: background work failed', error))
    try {
      source.executionCtx?.waitUntil(settled)
    } catch {
      // Hono's `executionCtx` throws where the runtime gave none; the work runs all the same.
    }
  }
}
