import type { Fault } from '../core/fault.ts'

/** A row of `leanto_auth_users`. */
export interface UserRow {
  id: string
  email: string
  password: string | null
  app_metadata: string
  user_metadata: string
  email_confirmed_at: number | null
  last_sign_in_at: number | null
  banned_until: number | null
  created_at: number
  updated_at: number
}

export type Metadata = Record<string, unknown>

/** How a user has proven who they are. */
export interface UserIdentity {
  identity_id: string
  id: string
  user_id: string
  identity_data: Metadata
  provider: string
  last_sign_in_at: string | undefined
  created_at: string
  updated_at: string
  email: string
}

/** A user as GoTrue's REST API shows one. Times are ISO 8601. */
export interface User {
  id: string
  aud: string
  role: string
  email: string
  email_confirmed_at: string | undefined
  phone: string
  confirmed_at: string | undefined
  last_sign_in_at: string | undefined
  app_metadata: Metadata
  user_metadata: Metadata
  identities: UserIdentity[]
  created_at: string
  updated_at: string
  banned_until: string | undefined
  is_anonymous: boolean
}

/** A session as GoTrue's REST API answers one. */
export interface Session {
  access_token: string
  token_type: 'bearer'
  /** In seconds. */
  expires_in: number
  /** Unix time in seconds. */
  expires_at: number
  refresh_token: string
  user: User
}

export const audience = 'authenticated'
export const role = 'authenticated'

const iso = (time: number): string => new Date(time).toISOString()
const maybeIso = (time: number | null): string | undefined =>
  time === null ? undefined : iso(time)

/** Names every field: a column that is added to the table does not leak by itself. */
export function toUser(row: UserRow): User {
  const app = JSON.parse(row.app_metadata) as Metadata
  const confirmed = maybeIso(row.email_confirmed_at)
  return {
    id: row.id,
    aud: audience,
    role,
    email: row.email,
    email_confirmed_at: confirmed,
    phone: '',
    confirmed_at: confirmed,
    last_sign_in_at: maybeIso(row.last_sign_in_at),
    app_metadata: app,
    user_metadata: JSON.parse(row.user_metadata) as Metadata,
    identities: [
      {
        identity_id: row.id,
        id: row.id,
        user_id: row.id,
        identity_data: {
          email: row.email,
          email_verified: row.email_confirmed_at !== null,
          phone_verified: false,
          sub: row.id,
        },
        provider: 'email',
        last_sign_in_at: maybeIso(row.last_sign_in_at),
        created_at: iso(row.created_at),
        updated_at: iso(row.updated_at),
        email: row.email,
      },
    ],
    created_at: iso(row.created_at),
    updated_at: iso(row.updated_at),
    banned_until: maybeIso(row.banned_until),
    is_anonymous: false,
  }
}

const versionHeader = 'x-supabase-api-version'
const firstVersionWithCodes = '2024-01-01'

// Core's faults in GoTrue's words; all others are GoTrue's own, or come from the host's hooks.
const gotrueCodes: Readonly<Record<string, string>> = {
  bad_request: 'validation_failed',
  unsupported_content: 'bad_json',
  too_large: 'validation_failed',
  bad_api_key: 'no_authorization',
  bad_token: 'no_authorization',
  unauthenticated: 'no_authorization',
  rate_limited: 'over_request_rate_limit',
  misconfigured: 'unexpected_failure',
}

/**
 * GoTrue's error body: `{ code: 400, error_code, msg }`, and from API version 2024-01-01 on, which the client asks for
 * and the answer repeats, `{ code: 'invalid_credentials', message }`.
 */
function errorBody(
  request: Request,
  error: { status: number; code: string; message: string; extra?: object; headers?: object },
): Response {
  const { status, code, message, extra } = error
  const asked = request.headers.get(versionHeader) ?? ''
  const coded = /^\d{4}-\d\d-\d\d$/.test(asked) && asked >= firstVersionWithCodes
  const body = coded
    ? { code, message, ...extra }
    : { code: status, error_code: code, msg: message, ...extra }
  const headers = new Headers({ ...error.headers, 'x-sb-error-code': code })
  if (coded) headers.set(versionHeader, firstVersionWithCodes)
  return Response.json(body, { status, headers })
}

export function renderFault(fault: Fault, request: Request): Response {
  const code = gotrueCodes[fault.code] ?? fault.code
  const extra = code === 'weak_password' ? { weak_password: fault.details } : undefined
  const { status, message, headers } = fault
  return errorBody(request, { status, code, message, extra, headers })
}

export const renderBug = (request: Request): Response =>
  errorBody(request, {
    status: 500,
    code: 'unexpected_failure',
    message: 'Unexpected failure, please check server logs for more information',
  })
