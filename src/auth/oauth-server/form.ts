import { readJson, readText } from '../../core/body.ts'
import { Fault } from '../../core/fault.ts'
import type { Route } from '../../core/routes.ts'
import { oauthServerFaults } from './faults.ts'

type Handler = Route[2]

/** Bytes; a request of this protocol is a few parameters. */
const most = 64 * 1024

export const invalidRequest = (message: string) => oauthServerFaults.invalid_request({ message })

/** What may stand in a request more than once (RFC 8707, 2). */
const many: readonly string[] = ['resource']

/** @throws {Fault} `invalid_request` (400) if a parameter is there twice (RFC 6749, 3.1). */
export function once(parameters: URLSearchParams): URLSearchParams {
  const seen = new Set<string>()
  for (const name of parameters.keys()) {
    if (seen.has(name) && !many.includes(name)) throw invalidRequest(`${name} is there twice`)
    seen.add(name)
  }
  return parameters
}

/**
 * Reads a form, or, as GoTrue does, JSON of the same parameters. What is empty counts as not sent (RFC 6749, 3.2).
 *
 * @throws {Fault} `invalid_request` (400), `too_large` (413).
 */
export async function readForm(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type === 'application/json') return fromJson(await readJson(request, most))
  if (type !== 'application/x-www-form-urlencoded')
    throw invalidRequest('The body must be application/x-www-form-urlencoded')
  return once(new URLSearchParams(await readText(request, most)))
}

function fromJson(json: unknown): URLSearchParams {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw invalidRequest('The body must be a JSON object')
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(json))
    for (const one of many.includes(name) && Array.isArray(value) ? value : [value]) {
      if (one === null) continue
      if (typeof one !== 'string') throw invalidRequest(`${name} must be a string`)
      form.append(name, one)
    }
  return form
}

/** A fault in this protocol's body (RFC 6749, 5.2). */
export function errorResponse(fault: Fault): Response {
  const error = Object.hasOwn(oauthServerFaults, fault.code) ? fault.code : wordFor(fault)
  const headers = new Headers({ ...fault.headers, 'x-sb-error-code': fault.code })
  return Response.json(
    { error, error_description: described(fault.message) },
    { status: fault.status, headers },
  )
}

function wordFor({ status }: Fault): string {
  if (status >= 500) return 'server_error'
  return status === 429 ? 'temporarily_unavailable' : 'invalid_request'
}

/** What a description may hold (RFC 6749, 5.2). */
const described = (text: string): string =>
  text
    .replaceAll('’', "'")
    .replaceAll('"', "'")
    .replaceAll(/[^\x20-\x7e]|\\/g, '?')

/** A handler whose faults are answered in this protocol. What is no fault is a bug, as everywhere. */
export const inProtocol =
  (handler: Handler): Handler =>
  async (scope, c) => {
    try {
      return await handler(scope, c)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      if (error.status >= 500)
        console.error(`leanto: ${error.code}: ${error.message}`, error.cause ?? '')
      return errorResponse(error)
    }
  }

/** An answer with a token or a secret in it (RFC 6749, 5.1). */
export const secretly = (body: unknown, status = 200): Response =>
  Response.json(body, { status, headers: { 'cache-control': 'no-store', pragma: 'no-cache' } })
