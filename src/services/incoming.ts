import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Context } from 'hono'
import { readBytes, readJson } from '../core/body.ts'
import { coreFaults } from '../core/fault.ts'
import { validate } from '../core/validate.ts'
import type { Allowed, Call, Service } from './definition.ts'
import { servicesFaults } from './faults.ts'
import { requestHeaders } from './headers.ts'
import { fill, fits } from './path.ts'

/** A call that is one of those that are declared. */
export interface Incoming extends Call {
  readonly allowed: Allowed
  /** Those that are sent on. */
  readonly headers: Headers
  readonly upload: Upload | null
}

/** A body that is streamed on. */
export interface Upload {
  readonly size: number | null
  readonly body: ReadableStream<Uint8Array> | null
  /** Aborts when it turns out to be too long. */
  readonly over: AbortSignal
}

const isSchema = (body: Allowed['body']): body is StandardSchemaV1 =>
  body !== undefined && '~standard' in body

/** @throws {Fault} 400, 405, 413 or 415. */
export function incomingOf<Env>(
  c: Context,
  service: Service<Env>,
  allowed: Allowed,
): Promise<Incoming> {
  const request = c.req.raw
  // Hono answers HEAD by GET, whose whole price would be paid for no body.
  if (request.method !== allowed.method) throw servicesFaults.method_not_allowed()
  const path = fill(allowed.path, (name) => c.req.param(name))
  if (path === null) throw bad('A part of the path is not one that may stand there')
  return read(request, service, { allowed, path })
}

const bad = (message: string) => coreFaults.bad_request({ message })

export interface Made {
  method: Call['method']
  path: string
  query?: Record<string, string>
  body?: unknown
}

/**
 * A call that the app makes itself, by the same rules.
 *
 * @throws {Fault} `bad_request` (400), `too_large` (413).
 * @throws {TypeError} if the service has no such call, or it has a streamed body.
 */
export function incomingFrom<Env>(
  name: string,
  service: Service<Env>,
  { method, path, query, body }: Made,
): Promise<Incoming> {
  const allowed = service.allow.find((one) => one.method === method && fits(one.path, path))
  if (!allowed) throw new TypeError(`services: \`${name}\` does not allow ${method} ${path}`)
  const json = isSchema(allowed.body)
  if (!json && allowed.body)
    throw new TypeError(`services: ${method} ${path} of \`${name}\` cannot be called from code`)
  if (!json && body !== undefined)
    throw new TypeError(`services: ${method} ${path} of \`${name}\` takes no JSON`)
  const url = new URL('https://app.invalid')
  url.search = String(new URLSearchParams(query))
  const headers = { accept: '*/*', 'content-type': 'application/json' }
  const init = { method, headers, ...(json ? { body: JSON.stringify(body ?? null) } : {}) }
  return read(new Request(url, init), service, { allowed, path })
}

async function read<Env>(
  request: Request,
  service: Service<Env>,
  { allowed, path }: { allowed: Allowed; path: string },
): Promise<Incoming> {
  const query = queryOf(new URL(request.url).searchParams, allowed)
  const headers = requestHeaders(request.headers, service.headers?.request)
  const { method, body, bytes = 256 * 1024 } = allowed
  const call = { allowed, method, path, query, headers, size: null, upload: null }
  if (isSchema(body)) {
    const checked = await validate(body, await readJson(request, bytes))
    headers.set('content-type', 'application/json')
    return { ...call, body: checked }
  }
  if (body) {
    const upload = body.open(request, bytes)
    return { ...call, size: upload.size, upload }
  }
  await readBytes(request, 0)
  headers.delete('content-type')
  return call
}

/** @throws {Fault} `bad_request` (400) for a name that is not declared, or that comes twice: services differ on which counts. */
function queryOf(params: URLSearchParams, { query = [] }: Allowed): Record<string, string> {
  const names = [...params.keys()]
  if (names.some((name) => !query.includes(name)))
    throw bad(`The query may have these parameters only: ${query.join(', ') || 'none'}`)
  if (new Set(names).size < names.length) throw bad('A parameter of the query comes twice')
  return Object.fromEntries(params)
}
