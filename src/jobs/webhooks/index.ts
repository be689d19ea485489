import * as v from 'valibot'
import { type Resolve, resolveOverHttps } from '../../core/address.ts'
import type { Statement } from '../../core/database.ts'
import { uuidv7 } from '../../core/id.ts'
import type { Scope } from '../../core/scope.ts'
import { type Backoff, job } from '../handler.ts'
import type { Part } from '../index.ts'
import { type DeliverySettings, deliverTo } from './delivery.ts'
import * as endpoints from './endpoints.ts'
import { type Followed, type FollowInput, follow } from './follow.ts'
import { type Delivery, listDeliveries, upkeepOf } from './log.ts'
import { webhooksMigrations } from './migrations.ts'
import { deliver, type Message, messageStatements } from './send.ts'

export type { Endpoint, RegisterInput } from './endpoints.ts'
export type { Followed, FollowInput } from './follow.ts'
export type { Delivery } from './log.ts'
export type { Message } from './send.ts'

export interface WebhooksOptions {
  /** How often a delivery is tried. @default 10, which with the default backoff takes about a day and a half */
  attempts?: number
  /** @default { first: 5, factor: 4, max: 43200 } */
  backoff?: Backoff | ((attempt: number) => number)
  /** Seconds that a receiver has to answer. @default 15 */
  timeout?: number
  /** How many days messages and the log are kept. @default 30 */
  keepFor?: number
  /** The addresses of a name, asked at registration and before each delivery. @default Cloudflare's resolver, over HTTPS */
  resolve?: Resolve
  /** Which addresses are called without any check, as with `http:` or on loopback. For development and tests. @default none */
  unsafeAllow?: (url: URL) => boolean
  /** @default fetch */
  fetch?: (url: string, init: RequestInit) => Promise<Response>
}

/** Only this owner's endpoints. @default anyone's */
interface Whose {
  owner?: string
}

export interface Webhooks extends Part {
  /**
   * Adds an endpoint. Its secret is told here and never again. One trip, and its name is resolved.
   *
   * @throws {Fault} `bad_request` (400) if the address is not public, or an input is wrong.
   */
  register(scope: Scope, input: endpoints.RegisterInput): Promise<{ id: string; secret: string }>
  list(scope: Scope, whose?: Whose): Promise<endpoints.Endpoint[]>
  /**
   * Gives an endpoint a new secret; the old one signs too for `overlap` seconds. `null` if there is none.
   *
   * @param options.overlap @default 86400
   */
  rotate(
    scope: Scope,
    id: string,
    options?: Whose & { overlap?: number },
  ): Promise<{ secret: string } | null>
  /** Sends again to an endpoint that answered 410. Whether there is one. */
  enable(scope: Scope, id: string, whose?: Whose): Promise<boolean>
  /** Whether there was one. What is under way to it is not delivered any more. */
  remove(scope: Scope, id: string, whose?: Whose): Promise<boolean>
  /**
   * Sends a message to all endpoints that are to get it. One trip; with `within` none, and the caller's batch carries it.
   *
   * @throws {TypeError} if the type or the data is wrong.
   */
  send(scope: Scope, message: Message & { within?: Statement[] }): Promise<{ id: string }>
  /** Delivers a message to an endpoint once more, if both are there. One trip. */
  resend(scope: Scope, which: { message: string; endpoint: string }): Promise<void>
  /** What was tried at an endpoint, newest first. */
  deliveries(
    scope: Scope,
    endpoint: string,
    options?: Whose & { before?: number; limit?: number },
  ): Promise<Delivery[]>
  /** Sends what a log of changes has since the last call, such as that of `data`: each change once. */
  follow<Change>(scope: Scope, input: FollowInput<Change>): Promise<Followed>
}

/**
 * Outgoing webhooks, signed as Standard Webhooks says, delivered as jobs: `jobs(base, { handlers, parts: [hooks] })`.
 *
 * @see https://www.standardwebhooks.com
 * @throws {TypeError} if an option is wrong.
 */
export function webhooks({
  attempts = 10,
  backoff = { first: 5, factor: 4, max: 12 * 60 * 60 },
  timeout = 15,
  keepFor = 30,
  resolve = resolveOverHttps,
  unsafeAllow = () => false,
  fetch: call = (url, init) => fetch(url, init),
}: WebhooksOptions = {}): Webhooks {
  for (const [option, value] of Object.entries({ timeout, keepFor }))
    if (!(Number.isFinite(value) && value > 0))
      throw new TypeError(`webhooks: \`${option}\` must be a number above 0`)
  for (const [option, value] of Object.entries({ resolve, unsafeAllow, fetch: call }))
    if (typeof value !== 'function')
      throw new TypeError(`webhooks: \`${option}\` must be a function`)
  const settings: DeliverySettings = { resolve, unsafeAllow, fetch: call, timeout }
  return Object.freeze<Webhooks>({
    handlers: {
      [deliver]: job({
        payload: v.object({ message: v.string(), endpoint: v.string() }),
        attempts,
        backoff,
        timeout: timeout + 30,
        run: (scope: Scope, payload, job) => deliverTo(scope, settings, { ...payload, job }),
      }),
    },
    migrations: webhooksMigrations,
    upkeep: (scope) => upkeepOf(scope, keepFor * 24 * 60 * 60 * 1000),
    register: (scope, input) => endpoints.register(scope, settings, input),
    list: (scope, whose = {}) => endpoints.list(scope, whose),
    rotate: (scope, id, { overlap = 24 * 60 * 60, ...whose } = {}) =>
      endpoints.rotate(scope, { id, overlap, ...whose }),
    enable: (scope, id, whose) => endpoints.enable(scope, { id, ...whose }),
    remove: (scope, id, whose) => endpoints.remove(scope, { id, ...whose }),
    async send(scope, { within, ...message }) {
      const { ids, statements } = messageStatements(scope, [message], { attempts })
      if (within) within.push(...statements)
      else await scope.db.batch(statements)
      return { id: ids[0] as string }
    },
    async resend(scope, { message, endpoint }) {
      const now = scope.now()
      await scope.db
        .prepare(
          `INSERT INTO leanto_jobs_jobs (id, name, payload, state, priority, due, scheduled_at, attempts, once, created_at)
           SELECT ?1, '${deliver}', json_object('message', m.id, 'endpoint', e.id), 'ready', 0, ?4, ?4, ?5, 0, ?4
           FROM leanto_jobs_endpoints e JOIN leanto_jobs_messages m ON m.id = ?2 AND m.owner_id IS e.owner_id WHERE e.id = ?3`,
        )
        .bind(uuidv7(now), message, endpoint, now, attempts)
        .run()
    },
    deliveries: (scope, endpoint, options = {}) => listDeliveries(scope, { endpoint, ...options }),
    follow: (scope, input) => follow(scope, input, attempts),
  })
}
