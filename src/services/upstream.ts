import { coreFaults, Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import type { Auth, ServiceOptions } from './definition.ts'
import { servicesFaults } from './faults.ts'
import { hideIn } from './hide.ts'
import { originOf } from './origin.ts'

/** The part of a service that reaching it needs. */
export type Target<Env> = Pick<
  ServiceOptions<Env>,
  'origin' | 'auth' | 'fetch' | 'timeout' | 'retries'
>

export interface Outgoing {
  method: string
  path: string
  query: Readonly<Record<string, string>>
  headers: Headers
  body: string | ReadableStream<Uint8Array> | null
  /** Whether it may be sent again. */
  safe: boolean
  /** Gives up; what is thrown then is `upstream_failed`. */
  signal?: AbortSignal
}

export interface Reached {
  response: Response
  /** What must not be in the answer. */
  secrets: readonly string[]
}

export const timeoutOf = ({ timeout = 30_000 }: { timeout?: number }): number => timeout

/**
 * Sends a request to a service, with its key.
 *
 * @throws {Fault} `upstream_timeout`, `upstream_failed`, `upstream_refused`, `service_unavailable`; `misconfigured`
 * without a key.
 */
export async function reach<Env>(
  scope: Scope,
  target: Target<Env>,
  { safe, ...outgoing }: Outgoing,
  what: string,
): Promise<Reached> {
  const origin = originOf(scope, target.origin, what)
  const url = new URL(origin + outgoing.path)
  for (const [name, value] of Object.entries(outgoing.query)) url.searchParams.set(name, value)
  const secrets = addKey(scope, target.auth, { url, headers: outgoing.headers, what })
  // The path begins with a slash and was made of checked segments; this is the wall behind that.
  if (url.origin !== origin) throw new Error(`services: ${what} would leave ${origin}`)

  const retries = safe ? (target.retries ?? 1) : 0
  for (let tries = 0; ; tries++) {
    try {
      const response = await send(scope, target, { url, outgoing, secrets })
      return { response: judge(response), secrets }
    } catch (error) {
      const again = tries < retries && error instanceof Fault && error.code === 'upstream_failed'
      if (!again) throw error
      await wait(100 * 2 ** tries * (1 + Math.random()))
    }
  }
}

const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

function addKey<Env>(
  scope: Scope,
  auth: Auth<Env> | undefined,
  { url, headers, what }: { url: URL; headers: Headers; what: string },
): string[] {
  if (!auth) return []
  const given: unknown = auth.value(scope.env as Env)
  // A secret that was put in through a pipe ends with a line.
  const value = typeof given === 'string' ? given.trim() : ''
  // `Bearer` alone, or `Bearer undefined`, is no key either. Nor is what no header can hold, which would be logged.
  if (!/^[\x20-\x7e]+$/.test(value) || /(?:^Bearer|(?:^| )(?:undefined|null))$/i.test(value))
    throw coreFaults.misconfigured({ message: `services: the key of ${what} is missing` })
  if ('header' in auth) headers.set(auth.header, value)
  else url.searchParams.set(auth.query, value)
  return [value, value.split(' ').at(-1) as string, encodeURIComponent(value)]
}

async function send<Env>(
  scope: Scope,
  target: Target<Env>,
  { url, outgoing, secrets }: { url: URL; outgoing: Omit<Outgoing, 'safe'>; secrets: string[] },
): Promise<Response> {
  const { method, headers, body, signal } = outgoing
  const abort = new AbortController()
  let late = false
  const timer = setTimeout(() => {
    late = true
    abort.abort()
  }, timeoutOf(target))
  const init = {
    method,
    headers,
    body,
    redirect: 'manual' as const,
    signal: signal ? AbortSignal.any([signal, abort.signal]) : abort.signal,
    // Node's fetch streams a body only if told so.
    duplex: 'half',
  }
  try {
    const request = new Request(url, init)
    return await (target.fetch ? target.fetch(request, scope.env as Env) : fetch(request))
  } catch (error) {
    // What cannot be reached may be named with its whole address, and that may hold the key.
    const cause = hideIn(String(error), secrets)
    if (late) throw servicesFaults.upstream_timeout({ cause, headers: soon })
    throw servicesFaults.upstream_failed({ cause, headers: soon })
  } finally {
    clearTimeout(timer)
  }
}

/** What of an upstream's answers is the client's: successes, and what is wrong with the call itself. */
function judge(response: Response): Response {
  const { status } = response
  if ((status >= 200 && status < 300) || (status >= 400 && status < 500 && !ours.has(status)))
    return response
  response.body?.cancel().catch(() => {})
  const cause = `answered ${status}`
  if (status === 429 || status === 503 || status === 402)
    throw servicesFaults.service_unavailable({
      cause,
      headers: { 'retry-after': retryAfter(response.headers) },
    })
  // To the client a 401 would say that its own sign-in is bad.
  if (ours.has(status)) throw servicesFaults.upstream_refused({ cause })
  // A redirect too: the origin was declared, where it leads to was not.
  throw servicesFaults.upstream_failed({ cause, headers: soon })
}

const soon = { 'retry-after': '5' }

/** About the app's own standing with the service. */
const ours = new Set([401, 402, 403, 407, 429])

/** Seconds, from seconds or an HTTP date (RFC 9110, 10.2.3); within a day. */
function retryAfter(headers: Headers): string {
  const value = headers.get('retry-after') ?? ''
  const seconds = /^\d{1,9}$/.test(value)
    ? Number(value)
    : Math.ceil((Date.parse(value) - Date.now()) / 1000)
  return String(Math.min(Math.max(seconds || 30, 1), 86_400))
}
