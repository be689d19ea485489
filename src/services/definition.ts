import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Principal } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import type { Cache } from './call.ts'
import { checkService } from './check.ts'
import type { Upload } from './incoming.ts'
import type { Count, Counter } from './quota.ts'
import type { Period } from './window.ts'

/** A value, or a function of the bindings that answers it. */
export type Setting<Env> = string | ((env: Env) => string)

/** Where the key goes: into a header, as its whole value, or into a parameter of the query. */
export type Auth<Env> =
  | { header: string; value: (env: Env) => string }
  | { query: string; value: (env: Env) => string }

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One kind of call that may pass. */
export interface Allowed {
  method: Method
  /**
   * As the service calls it, with a whole segment as a parameter: `/v1/models/:id`. What stands for a parameter is
   * 1 to 200 ASCII letters, digits and `-._~:@+=,`, never `.` or `..`.
   */
  path: string
  /** The names of the parameters that may stand in the query; another one is 400. @default [] */
  query?: readonly string[]
  /**
   * What may be in the body. A Standard Schema: JSON, and what the schema answers is what is sent on. `streamed(…)` of
   * `leanto/services/streamed`: bytes, as they come. Without it there must be none.
   */
  body?: StandardSchemaV1 | Streamed
  /** The body's limit in bytes. @default 262_144 */
  bytes?: number
  /** Whether a second try does no more than the first: only then it is tried again. @default true for GET alone */
  safe?: boolean
  /** `false`: never from or into the cache. @default true */
  cache?: boolean
}

/** Made by `streamed(…)` of `leanto/services/streamed`. */
export interface Streamed {
  /** @param limit In bytes. @throws {Fault} `unsupported_content` (415), `too_large` (413). */
  open(request: Request, limit: number): Upload
}

/** A call as meters, caches and fallbacks see it. */
export interface Call {
  readonly method: Method
  /** The real one: `/v1/models/large`. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** What the schema answered; `undefined` for a streamed body and for none. */
  readonly body?: unknown
  /** Of a streamed body, in bytes, as the client says it; `null` if it does not. */
  readonly size: number | null
}

/** An upstream's answer once it is over. */
export interface Answered {
  readonly status: number
  readonly headers: Headers
  /** The whole body; of a stream of events, all of them. */
  readonly text: string
}

/** How a call is counted in the service's own unit: characters, tokens, pages. */
export interface Meter {
  /** What one unit is called: `characters`. */
  unit: string
  /** The most units that the call can use. They are reserved before it; a call that would use more must not be possible. */
  most(call: Call): number
  /** What it did use; the rest is given back. Without it, or if it answers no number, what was reserved stays. */
  used?(call: Call, answer: Answered): number | undefined
}

/** What calls cost, in the currency that you think in. */
export interface Price {
  /** Each call. @default 0 */
  request?: number
  /** Each unit. @default 0 */
  unit?: number
}

/** At most so much in each minute, day (UTC) and calendar month (UTC). */
export type Amounts = { readonly [P in Period]?: number }

export interface Quota {
  requests?: Amounts
  /** Needs a `meter`. */
  units?: Amounts
  /** In the currency of `price`, which it needs. */
  money?: Amounts
}

export interface Quotas {
  /** Of each user; of each network, for guests. The secret API key has none. */
  user?: Quota
  /** Of each organisation, by `organisation` of `services(…)`. Who is in none has none. */
  organisation?: Quota
  /** Of all callers together. */
  app?: Quota
}

/** A cap on money that nobody passes, the secret API key neither. */
export interface Budget {
  /** In the currency of `price`. */
  money: number
  /** @default 'month' */
  per?: 'day' | 'month'
  /** Tells you how far it is spent: `alerts(…)` of `leanto/services/alerts`. @default nobody is told */
  alerts?: Alerts
}

/** Made by `alerts(…)` of `leanto/services/alerts`. */
export interface Alerts {
  /** @param count What stands in the counter of a budget. */
  tell(
    scope: Scope,
    counter: Counter,
    count: Pick<Count, 'micros' | 'start' | 'alerted'>,
  ): Promise<void>
}

/** Another declared service that stands in, by its own rules and quotas. */
export interface Fallback {
  service: string
  /** The same call in the other service's words; `null` if it has none. */
  call(
    call: Call,
  ): { method: Method; path: string; query?: Record<string, string>; body?: unknown } | null
}

export interface ServiceOptions<Env> {
  /** `https://api.example.com`: nothing but scheme and host. `http:` only to a loopback host, in local development. */
  origin: Setting<Env>
  auth?: Auth<Env>
  allow: readonly Allowed[]
  /** Who may. @default whoever is signed in, and the secret API key */
  access?: (who: Principal) => boolean
  /** Names of headers that pass besides `accept`, `accept-language` and `content-type`, `content-language`. */
  headers?: { request?: readonly string[]; answer?: readonly string[] }
  meter?: Meter
  price?: Price
  /** Must be given, or a budget: a paid service without either is an open purse. `'unsafeUnlimited'` says it is meant. */
  quota?: Quotas | 'unsafeUnlimited'
  budget?: Budget
  /** `cached(…)` of `leanto/services/cache`. @default none */
  cache?: Cache
  /** What answers when the service fails: the last answer, another service. @default a 503 that says when to come back */
  fallback?: 'stale' | Fallback
  /** In milliseconds: until the answer begins, and then between two pieces of it. @default 30_000 */
  timeout?: number
  /** How often a safe call is tried again. @default 1 */
  retries?: number
  /** So many failures in a row close the service for so long, in this isolate. @default { failures: 5, seconds: 30 } */
  breaker?: { failures: number; seconds: number } | false
  /** The answer's limit in bytes. @default 10_485_760 */
  answerBytes?: number
  /** Reaches the service. For a service binding, or a test. @default fetch */
  fetch?: (request: Request, env: Env) => Promise<Response>
}

/** A declared service, made by `service(…)`. */
export type Service<Env = never> = Readonly<ServiceOptions<Env>>

/**
 * Declares a service. What is not in `allow` does not exist.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function service<Env>(options: ServiceOptions<Env>): Service<Env> {
  checkService(options)
  return Object.freeze({ ...options })
}
