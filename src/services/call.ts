import { coreFaults, Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import type { Service } from './definition.ts'
import { servicesFaults } from './faults.ts'
import { type Caller, type Gate, mayUse, settleUse, spendUse } from './gate.ts'
import { answerHeaders } from './headers.ts'
import { type Incoming, incomingFrom } from './incoming.ts'
import { costOf, type Metered, nothing, type Reservation, rateHeaders, type Use } from './quota.ts'
import { ahead, pass } from './stream.ts'
import { type Reached, reach, timeoutOf } from './upstream.ts'

/** One call of one service on its way. */
export interface Calling<Env> {
  gate: Gate<Env>
  scope: Scope
  name: string
  service: Service<Env>
  caller: Caller
  incoming: Incoming
  /** Set for calls that a fallback makes: it has none of its own. */
  standingIn?: boolean
}

/** What of a service is counted. */
export const meteredOf = <Env>(name: string, service: Service<Env>): Metered => {
  const { meter, price, quota, budget } = service
  return {
    name,
    ...(meter && { unit: meter.unit }),
    ...(price && { price }),
    ...(quota && { quota }),
    ...(budget && { budget }),
  }
}

/** How the answers of a service are kept: made by `cached(…)` of `leanto/services/cache`. */
export interface Cache {
  through<Env>(calling: Calling<Env>, ways: Ways): Promise<Response>
}

/** How a cache gets an answer. */
export interface Ways {
  /** Calls the service. */
  fetch(landing: Landing): Promise<Response>
  /** Counts a request that uses nothing more. @returns The answer, with what is left. */
  serve(answer: Response): Promise<Response>
}

/** Where a cache waits for an answer. */
export interface Landing {
  /** Its `Cache-Status` (RFC 9211). */
  readonly status: string
  /** The whole of an answer that may be kept; `null` if nothing came. */
  land(answer: Landed | null): void
  /** What is kept, in the place of a failure. @throws {Fault} the failure, if nothing is. */
  stale(because: Fault): Response
}

interface Landed {
  status: number
  /** Those that the client gets. */
  headers: [string, string][]
  body: string
  /** Those that the service sent. */
  upstream: Headers
}

/** The most that is kept of one answer, in bytes. */
const storedBytes = 1024 * 1024

/**
 * Calls a service: from the cache, along with someone who asks the same, or by itself. One trip from the cache; else one
 * to reserve and, where the use is known only afterwards, one to settle.
 *
 * @throws {Fault} every one of `servicesFaults`.
 */
export async function callService<Env>(calling: Calling<Env>): Promise<Response> {
  const { service, incoming } = calling
  return service.cache && incoming.allowed.cache !== false && !incoming.upload
    ? service.cache.through(calling, {
        fetch: (landing) => lead(calling, landing),
        async serve(answer) {
          const reservation = await spendNothing(calling)
          settleUse(calling.scope, reservation, nothing)
          return withRates(answer, reservation)
        },
      })
    : lead(calling)
}

const spendNothing = <Env>({ gate, scope, name, service, caller }: Calling<Env>) =>
  spendUse(gate, scope, { metered: meteredOf(name, service), caller, use: nothing })

async function lead<Env>(calling: Calling<Env>, landing?: Landing): Promise<Response> {
  const { gate, scope, name, service, caller } = calling
  const metered = meteredOf(name, service)
  const closed = service.breaker === false ? 0 : gate.breakers.closedFor(scope, name)
  if (closed > 0) {
    await spendNothing(calling)
    const headers = { 'retry-after': String(closed) }
    return fallBack(calling, landing, servicesFaults.service_unavailable({ headers }))
  }
  const most = costOf(service.price, service.meter ? mostOf(calling) : 0)
  const reservation = await spendUse(gate, scope, { metered, caller, use: most })
  let reached: Reached
  try {
    reached = await reachFor(calling)
  } catch (error) {
    const code = error instanceof Fault ? error.code : ''
    // What was sent and not answered in time may have been done, and is paid for.
    settleUse(scope, reservation, code === 'upstream_timeout' ? most : nothing)
    // A body that the client streams fails as the client likes: nobody closes a service for others by that.
    if (!calling.incoming.upload || code === 'service_unavailable') failed(calling, code)
    if (!(error instanceof Fault) || !(failures.has(code) || code === 'upstream_refused'))
      throw error
    return fallBack(calling, landing, error)
  }
  gate.breakers.worked(scope, name)
  try {
    return withRates(await deliver(calling, landing, reached, reservation), reservation)
  } catch (cause) {
    // It began to answer, and may be paid for it.
    failed(calling, 'upstream_failed')
    const headers = { 'retry-after': '5' }
    return fallBack(calling, landing, servicesFaults.upstream_failed({ cause, headers }))
  }
}

function failed<Env>({ gate, scope, name, service }: Calling<Env>, code: string) {
  const { breaker = { failures: 5, seconds: 30 } } = service
  if (breaker && failures.has(code)) gate.breakers.failed(scope, name, breaker)
}

const failures = new Set(['upstream_failed', 'upstream_timeout', 'service_unavailable'])

function mostOf<Env>({ name, service, incoming }: Calling<Env>): number {
  const most = Math.ceil(service.meter?.most(incoming) ?? 0)
  if (Number.isSafeInteger(most) && most >= 0) return most
  throw new TypeError(`services: \`meter.most\` of ${name} must answer a number, 0 or more`)
}

async function reachFor<Env>({ scope, name, service, incoming }: Calling<Env>): Promise<Reached> {
  const { allowed, body, upload } = incoming
  const outgoing = {
    method: incoming.method,
    path: incoming.path,
    query: incoming.query,
    headers: new Headers(incoming.headers),
    body: upload?.body ?? (body === undefined ? null : JSON.stringify(body)),
    safe: !upload && (allowed.safe ?? allowed.method === 'GET'),
    ...(upload ? { signal: upload.over } : {}),
  }
  try {
    return await reach(scope, service, outgoing, name)
  } catch (error) {
    // That the client sent too much is not the service's failure.
    throw upload?.over.aborted ? coreFaults.too_large({ cause: error }) : error
  }
}

async function deliver<Env>(
  { scope, name, service, incoming }: Calling<Env>,
  landing: Landing | undefined,
  { response, secrets }: Reached,
  reservation: Reservation,
): Promise<Response> {
  const { status } = response
  const { meter } = service
  const headers = answerHeaders(response.headers, service.headers?.answer, secrets)
  const kept = [...headers]
  if (landing) headers.set('cache-status', landing.status)

  const finish = (whole: Uint8Array | null) => {
    const text = whole && textOf(whole)
    settleUse(scope, reservation, usedOf(text))
    const storable = status === 200 && text !== null
    landing?.land(
      storable ? { status, headers: kept, body: text, upstream: response.headers } : null,
    )
  }
  const usedOf = (text: string | null): Use => {
    // A call that the service calls wrong is not paid for.
    if (status >= 400) return nothing
    if (!meter?.used || text === null) return reservation
    try {
      const used = meter.used(incoming, { status, headers: response.headers, text })
      if (used !== undefined && used >= 0) return costOf(service.price, Math.ceil(used))
    } catch (error) {
      console.error(`leanto: services: \`meter.used\` of ${name} failed`, error)
    }
    return reservation
  }

  const waits = status < 400 && (landing || meter?.used) !== undefined
  const body = response.body as ReadableStream<Uint8Array> | null
  if (!waits || !body) finish(waits ? new Uint8Array() : null)
  if (!body) return new Response(null, { status, headers })
  const passed = pass(body, {
    limit: service.answerBytes ?? 10 * 1024 * 1024,
    hide: secrets,
    keep: storedBytes,
    idle: timeoutOf(service),
    ended: waits ? once(finish) : () => {},
  })
  const streamed = !waits || /^text\/event-stream/i.test(headers.get('content-type') ?? '')
  return new Response(streamed ? passed : await ahead(passed, storedBytes), { status, headers })
}

function once<T>(work: (value: T) => void): (value: T) => void {
  let done = false
  return (value) => {
    if (done) return
    done = true
    work(value)
  }
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}

/** @throws the fault itself if nothing stands in. */
async function fallBack<Env>(
  { gate, scope, name, service, caller, incoming, standingIn }: Calling<Env>,
  landing: Landing | undefined,
  fault: Fault,
): Promise<Response> {
  landing?.land(null)
  const { fallback } = service
  if (!fallback || standingIn) throw fault
  console.error(`leanto: services: ${name} failed: ${fault.code}`, fault.cause ?? '')
  if (fallback === 'stale') {
    if (landing) return landing.stale(fault)
    throw fault
  }
  const made = fallback.call(incoming)
  const other = gate.services[fallback.service]
  if (!made || !other || !mayUse(other.access, caller.who)) throw fault
  const response = await callService({
    gate,
    scope,
    name: fallback.service,
    service: other,
    caller,
    incoming: await incomingFrom(fallback.service, other, made),
    standingIn: true,
  })
  response.headers.set('x-leanto-service', fallback.service)
  return response
}

/** An answer that tells how much is left. */
function withRates(response: Response, reservation: Reservation): Response {
  for (const [name, value] of Object.entries(rateHeaders(reservation)))
    response.headers.set(name, value)
  return response
}
