import type { Cost } from './cost.ts'
import type { KeyValue, Queryable } from './database.ts'

/** What a verb works in: one request, queue message or cron run. */
export interface Scope<Env = unknown> {
  readonly env: Env
  /** The primary: sees every write that came before. Auth, writes and reads that decide a write use it. */
  readonly db: Queryable
  /** The nearest copy that is as new as the bookmark that came with the request. For plain reads. */
  readonly replica: Queryable
  readonly kv: KeyValue
  /**
   * The binding behind `db`, as an identity only: a cache in the isolate's memory is a `WeakMap` keyed by it, so that two
   * tenants' databases never share an entry. Query through `db` and `replica`.
   */
  readonly database: object
  /** Whether this came to a loopback host name: development. */
  readonly local: boolean
  /** The checked `secret` of `bind`. Derive keys from it (`secret.ts`); never use or log it as it is. */
  readonly secret: string
  readonly cost: Cost
  /** The newest D1 bookmark of this scope, once it has queried. */
  bookmark(): string | null
  /** Unix time in milliseconds. */
  now(): number
  /** Lets work go on after the response. A failure in it is logged. */
  waitUntil(work: Promise<unknown>): void
}

/** What a scope is made from: a Hono `Context`, or `{ env, executionCtx }` of a queue or cron handler. */
export interface Source<Env> {
  readonly env: Env
  readonly executionCtx?: { waitUntil(work: Promise<unknown>): void }
  readonly req?: { readonly raw: Request }
}
