import { Fault } from '../../core/fault.ts'

/* What goes over the wire, as RFC 7643 and RFC 7644 have it. */

export const urn = {
  user: 'urn:ietf:params:scim:schemas:core:2.0:User',
  group: 'urn:ietf:params:scim:schemas:core:2.0:Group',
  enterprise: 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User',
  list: 'urn:ietf:params:scim:api:messages:2.0:ListResponse',
  patch: 'urn:ietf:params:scim:api:messages:2.0:PatchOp',
  error: 'urn:ietf:params:scim:api:messages:2.0:Error',
} as const

type ScimType =
  | 'invalidFilter'
  | 'invalidPath'
  | 'invalidSyntax'
  | 'invalidValue'
  | 'mutability'
  | 'noTarget'
  | 'tooMany'
  | 'uniqueness'

/** A refusal in the words of RFC 7644, 3.12. */
export class ScimError extends Error {
  readonly status: number
  readonly scimType: ScimType | undefined

  constructor(status: number, detail: string, scimType?: ScimType) {
    super(detail)
    this.status = status
    this.scimType = scimType
  }
}

export const invalid = (detail: string, type: ScimType = 'invalidValue') =>
  new ScimError(400, detail, type)
export const notFound = () => new ScimError(404, 'Resource not found')

const headers = { 'content-type': 'application/scim+json' }

export const answer = (body: unknown, status = 200, more: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { ...headers, ...more } })

/** @throws what is no refusal: a bug, or a fault of ours. */
export function refusal(error: unknown): Response {
  const known = error instanceof ScimError
  if (!known && !(error instanceof Fault && error.status < 500)) throw error
  const { status, message: detail } = error
  const scimType = known ? error.scimType : undefined
  const body = {
    schemas: [urn.error],
    status: String(status),
    ...(scimType ? { scimType } : {}),
    detail,
  }
  return answer(body, status, status === 401 ? { 'www-authenticate': 'Bearer' } : {})
}

export interface ListInput {
  filter: string | undefined
  /** From 1. */
  startIndex: number
  count: number
}

/** The most that one answer lists. */
export const most = 200

/** RFC 7644, 3.4.2.4: what is less than it may be is read as the least. @throws {ScimError} for what is no number. */
export function readList(query: (name: string) => string | undefined): ListInput {
  const number = (name: string, otherwise: number, least: number) => {
    const text = query(name)
    if (text === undefined || text === '') return otherwise
    if (!/^-?\d{1,9}$/.test(text)) throw invalid(`${name} must be a number`)
    return Math.max(least, Number(text))
  }
  return {
    filter: query('filter') || undefined,
    startIndex: number('startIndex', 1, 1),
    count: Math.min(number('count', 100, 0), most),
  }
}

export const listed = (resources: readonly unknown[], total: number, startIndex: number) => ({
  schemas: [urn.list],
  totalResults: total,
  itemsPerPage: resources.length,
  startIndex,
  Resources: resources,
})

const unsafe: readonly string[] = ['__proto__', 'constructor', 'prototype']

/** @throws {ScimError} for what is no JSON object, or has a name that is none. */
export function plain(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('A JSON object is expected', 'invalidSyntax')
  if (Object.keys(value).some((key) => unsafe.includes(key)))
    throw invalid('An attribute is not allowed', 'invalidPath')
  return value as Record<string, unknown>
}
