/** What a fault table says of one code. */
export interface FaultSpec {
  /** HTTP status, 400 to 599. */
  readonly status: number
  /** What the client reads. Never holds input that was not checked, SQL or driver text. */
  readonly message: string
}

export interface FaultOptions {
  /** Replaces the table's message where the place knows more. */
  message?: string
  /** Replaces the table's status, where the protocol makes it depend on who asks. */
  status?: number
  /** Safe to show to the client. */
  details?: unknown
  /** What the client can do about it. */
  hint?: string
  /** Response headers, such as `retry-after` or `www-authenticate`. */
  headers?: Record<string, string>
  /** Private: logged, never sent. */
  cause?: unknown
}

/**
 * An error that a client may see. Every module renders it in its own protocol's body. What is thrown and is
 * not a Fault is a bug: it is logged with its cause and leaves as a bare 500.
 */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: string
  readonly status: number
  readonly details: unknown
  readonly hint: string | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(code: string, spec: FaultSpec, options: FaultOptions = {}) {
    super(options.message ?? spec.message, { cause: options.cause })
    this.code = code
    this.status = options.status ?? spec.status
    this.details = options.details
    this.hint = options.hint
    this.headers = options.headers ?? {}
  }
}

export type Faults<Table extends Record<string, readonly [number, string]>> = {
  readonly [Code in keyof Table]: (options?: FaultOptions) => Fault
}

/**
 * Makes a module's table of stable codes: `faults({ not_found: [404, 'Not found'] })`, thrown as
 * `throw table.not_found({ details })`.
 */
export function faults<const Table extends Record<string, readonly [number, string]>>(
  table: Table,
): Faults<Table> {
  const made = Object.entries(table).map(([code, [status, message]]) => [
    code,
    (options?: FaultOptions) => new Fault(code, { status, message }, options),
  ])
  return Object.freeze(Object.fromEntries(made)) as Faults<Table>
}

/** Faults that any module can meet; each renders them in its own protocol. */
export const coreFaults = faults({
  bad_json: [400, 'Request body is not valid JSON'],
  bad_request: [400, 'Request is not valid'],
  unsupported_content: [415, 'Content type is not supported here'],
  too_large: [413, 'Request body is too large'],
  bad_api_key: [401, 'Invalid API key'],
  bad_token: [401, 'Invalid or expired token'],
  unauthenticated: [401, 'Sign in first'],
  insufficient_aal: [401, 'Verify a second factor first'],
  rate_limited: [429, 'Too many requests'],
  misconfigured: [500, 'The server is not configured'],
})

/** A Fault as `application/problem+json` (RFC 9457), for places where no other protocol rules. */
export function problem(fault: Fault): Response {
  const body = {
    type: `urn:leanto:fault:${fault.code}`,
    title: fault.message,
    status: fault.status,
    code: fault.code,
    ...(fault.details === undefined ? {} : { details: fault.details }),
    ...(fault.hint === undefined ? {} : { hint: fault.hint }),
  }
  return Response.json(body, {
    status: fault.status,
    headers: { ...fault.headers, 'content-type': 'application/problem+json' },
  })
}
