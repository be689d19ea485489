import type { Statement } from './database.ts'
import type { Scope } from './scope.ts'

/** Someone's place in an organisation. */
export interface Membership {
  /** The organisation's id. */
  readonly id: string
  readonly role: string
  /** Ids of its teams that they are in. */
  readonly teams: readonly string[]
}

/** Who asks. Made by an `Identity`, read by policies and by the host's handlers. */
export interface Principal {
  /**
   * The subject: a user's id. For a guest it is `null` at run time, although typed as a string so that a policy can
   * compare it as it is: in SQL `owner_id = NULL` is never true, so what a guest does not own stays closed.
   */
  readonly id: string
  /** `anon` has shown nothing, `authenticated` a valid token, `service` the secret API key. */
  readonly role: 'anon' | 'authenticated' | 'service'
  /** The verified token's claims; empty for `anon` and `service`. */
  readonly claims: Readonly<Record<string, unknown>>
  /** Their organisations, where the identity knows of any, as `auth` with `organizations()` does. */
  readonly orgs?: readonly Membership[]
  /** The one of them that their session is for. */
  readonly org?: Membership
}

/** Says who sent a request. */
export interface Identity {
  /** @throws {Fault} 401 if what the request shows is not valid. A request that shows nothing is a guest. */
  principal(scope: Scope, request: Request): Promise<Principal>
}

/** A mail that is ready to leave. */
export interface Mail {
  to: string
  subject: string
  text: string
  html?: string
}

/** Sends mail. */
export interface Mailer {
  send(scope: Scope, mail: Mail): Promise<void>
}

/** How a job is enqueued. */
export interface EnqueueOptions {
  /** When it may run first: a `Date` or Unix milliseconds. @default now */
  at?: Date | number
  /**
   * At most one job of this name and key at a time: until it has ended, enqueuing it again finds it and makes none. Up to
   * 512 characters.
   */
  key?: string
  /** The key holds for as long as the job is kept after its end, too. @default false */
  once?: boolean
  /** Higher goes first among what is ready. @default 0 */
  priority?: number
  /** The `id` of the principal who may read and cancel it. @default nobody but the service */
  owner?: string | null
  /** How often it is tried. @default as its handler says */
  attempts?: number
  /**
   * The statements of a batch that the caller runs with `scope.db.batch(…)`: the job's are added to them, so that it is
   * enqueued if and only if the rest is written. No trip is made.
   */
  within?: Statement[]
}

/** Has work done later, at least once. */
export interface Enqueue {
  enqueue(
    scope: Scope,
    name: string,
    payload: unknown,
    options?: EnqueueOptions,
  ): Promise<{ id: string }>
  /** Has jobs run soon, once the batch that they were enqueued `within` was run. */
  wake?(scope: Scope, ids: readonly string[]): void
}

/**
 * What a job's handler throws to say what comes of its failure: an error with this name. `wait` is in seconds until the
 * next attempt, `null` for none.
 */
export interface JobFailed extends Error {
  readonly name: 'JobFailure'
  readonly wait: number | null
}
