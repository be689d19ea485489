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
  readonly stream: ReadableStream<Uint8Array> | null
}

const defaultBytes = 256 * 1024

const isSchema = (body: Allowed['body']): body is StandardSchemaV1 =>
  body !== undefined && '~standard' in body

/** @throws {Fault} 400, 405, 413 or 415. */
export async function incomingOf<Env>(
  c: Context,
  service: Service<Env>,
  allowed: Allowed,
): Promise<Incoming> {
  const request = c.req.raw
  // Hono answers HEAD by GET, whose whole price would be paid for no body.
  if (request.method !== allowed.method) throw servicesFaults.method_not_allowed()
  const path = fill(allowed.path, (name) => c.req.param(name))
  if (path === null)
    throw coreFaults.bad_request({ message: 'A part of the path is not one that may stand there' })
  const query = queryOf(new URL(request.url).searchParams, allowed)
  const headers = requestHeaders(request.headers, service.headers?.request)
  const common = { allowed, method: allowed.method, path, query, headers }
  const { body, bytes = defaultBytes } = allowed
  if (isSchema(body)) {
    const checked = await validate(body, await readJson(request, bytes))
    headers.set('content-type', 'application/json')
    return { ...common, body: checked, size: null, stream: null }
  }
  if (!body) {
    await readBytes(request, 0)
    headers.delete('content-type')
    return { ...common, size: null, stream: null }
  }
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  if (!body.types.includes(type)) throw coreFaults.unsupported_content()
  const said = request.headers.get('content-length')
  const size = said !== null && /^\d{1,15}$/.test(said) ? Number(said) : null
  if (size !== null && size > bytes) throw coreFaults.too_large()
  return { ...common, size, stream: request.body as ReadableStream<Uint8Array> | null }
}

export const bytesOf = ({ bytes = defaultBytes }: Allowed): number => bytes

/** @throws {Fault} `bad_request` (400) for a name that is not declared, or that comes twice: services differ on which counts. */
function queryOf(params: URLSearchParams, { query = [] }: Allowed): Record<string, string> {
  const names = [...params.keys()]
  if (names.some((name) => !query.includes(name)))
    throw coreFaults.bad_request({
      message: `The query may have these parameters only: ${query.join(', ') || 'none'}`,
    })
  if (new Set(names).size < names.length)
    throw coreFaults.bad_request({ message: 'A parameter of the query comes twice' })
  return Object.fromEntries(params)
}

export interface Made {
  method: Call['method']
  path: string
  query?: Record<string, string>
  body?: unknown
}

/**
 * A call that the app makes itself, by the same rules.
 *
 * @throws {Fault} `bad_request` (400).
 * @throws {TypeError} if the service has no such call.
 */
export async function incomingFrom<Env>(
  name: string,
  service: Service<Env>,
  { method, path, query = {}, body }: Made,
): Promise<Incoming> {
  const allowed = service.allow.find((one) => one.method === method && fits(one.path, path))
  if (!allowed) throw new TypeError(`services: \`${name}\` does not allow ${method} ${path}`)
  const headers = new Headers({ accept: '*/*' })
  const params = queryOf(new URLSearchParams(query), allowed)
  const common = { allowed, method, path, query: params, headers, size: null, stream: null }
  if (!isSchema(allowed.body)) {
    if (body !== undefined)
      throw new TypeError(`services: ${method} ${path} of \`${name}\` takes no JSON`)
    return common
  }
  headers.set('content-type', 'application/json')
  return { ...common, body: await validate(allowed.body, body) }
}
