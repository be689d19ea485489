import type { Fault } from '../core/fault.ts'

/** A row of `leanto_auth_users` with its identities, as `userColumns` selects it. */
export interface UserRow {
  id: string
  /** Not proven unless `email_confirmed_at` is set. */
  email: string | null
  phone: string | null
  password: string | null
  app_metadata: string
  user_metadata: string
  email_confirmed_at: number | null
  phone_confirmed_at: number | null
  is_anonymous: number
  invited_at: number | null
  confirmation_sent_at: number | null
  recovery_sent_at: number | null
  email_change: string | null
  email_change_sent_at: number | null
  email_change_half: string | null
  phone_change: string | null
  last_sign_in_at: number | null
  banned_until: number | null
  deleted_at: number | null
  created_at: number
  updated_at: number
  /** JSON list of `IdentityRow`. */
  identities: string
}

/** A row of `leanto_auth_identities`. */
export interface IdentityRow {
  id: string
  provider: string
  subject: string
  email: string | null
  /** The provider's claims. */
  data: Metadata
  last_sign_in_at: number | null
  created_at: number
  updated_at: number
}

/** A user with the session that was read. */
export type SessionRow = UserRow & {
  session_id: string
  session_created_at: number
  not_after: number | null
  aal: string
  /** JSON list of `Amr`. */
  amr: string
  /** The name of the part whose session it is; `null` of the user's own. */
  tag: string | null
}

/** One entry of the claim `amr`. */
export interface Amr {
  method: string
  /** In seconds. */
  timestamp: number
  provider?: string
}

/** What every read of a user `u` selects. In this order the oldest identity comes first. */
export const userColumns = `u.*, (
  SELECT json_group_array(json_object('id', i.id, 'provider', i.provider, 'subject', i.subject,
    'email', i.email, 'data', json(i.data), 'last_sign_in_at', i.last_sign_in_at,
    'created_at', i.created_at, 'updated_at', i.updated_at) ORDER BY i.created_at, i.id)
  FROM leanto_auth_identities i WHERE i.user_id = u.id) AS identities`

/** What every read of a user `u` with a session `s` selects besides `userColumns`. */
export const sessionColumns = `s.id AS session_id, s.created_at AS session_created_at, s.not_after,
  s.aal, s.amr`

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
  email?: string
}

/** A user as GoTrue's REST API shows one. Times are ISO 8601. */
export interface User {
  id: string
  aud: string
  role: string
  /** Empty if there is none. */
  email: string
  email_confirmed_at: string | undefined
  /** Empty if there is none. */
  phone: string
  phone_confirmed_at: string | undefined
  confirmed_at: string | undefined
  confirmation_sent_at: string | undefined
  recovery_sent_at: string | undefined
  invited_at: string | undefined
  /** The address that a change is waiting for. */
  new_email: string | undefined
  email_change_sent_at: string | undefined
  new_phone: string | undefined
  last_sign_in_at: string | undefined
  app_metadata: Metadata
  user_metadata: Metadata
  identities: UserIdentity[]
  created_at: string
  updated_at: string
  banned_until: string | undefined
  deleted_at: string | undefined
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
  const email = maybeIso(row.email_confirmed_at)
  const phone = maybeIso(row.phone_confirmed_at)
  const identities = JSON.parse(row.identities) as IdentityRow[]
  return {
    id: row.id,
    aud: audience,
    role,
    email: row.email ?? '',
    email_confirmed_at: email,
    phone: row.phone ?? '',
    phone_confirmed_at: phone,
    confirmed_at: email ?? phone,
    confirmation_sent_at: maybeIso(row.confirmation_sent_at),
    recovery_sent_at: maybeIso(row.recovery_sent_at),
    invited_at: maybeIso(row.invited_at),
    new_email: row.email_change ?? undefined,
    email_change_sent_at: maybeIso(row.email_change_sent_at),
    new_phone: row.phone_change ?? undefined,
    last_sign_in_at: maybeIso(row.last_sign_in_at),
    app_metadata: JSON.parse(row.app_metadata) as Metadata,
    user_metadata: JSON.parse(row.user_metadata) as Metadata,
    identities: identities.map((identity) => toIdentity(row, identity)),
    created_at: iso(row.created_at),
    updated_at: iso(row.updated_at),
    banned_until: maybeIso(row.banned_until),
    deleted_at: maybeIso(row.deleted_at),
    is_anonymous: row.is_anonymous === 1,
  }
}

/** What a mailbox or a phone says is in the user's row alone, so that it cannot differ from it. */
function toIdentity(user: UserRow, identity: IdentityRow): UserIdentity {
  const { id, provider, subject } = identity
  const own = provider === 'email' || provider === 'phone'
  const email = provider === 'email' ? user.email : identity.email
  return {
    identity_id: id,
    id: subject,
    user_id: user.id,
    identity_data: own
      ? {
          ...identity.data,
          ...(provider === 'email' ? { email: user.email } : { phone: user.phone }),
          email_verified: provider === 'email' && user.email_confirmed_at !== null,
          phone_verified: provider === 'phone' && user.phone_confirmed_at !== null,
          sub: user.id,
        }
      : identity.data,
    provider,
    last_sign_in_at: maybeIso(identity.last_sign_in_at),
    created_at: iso(identity.created_at),
    updated_at: iso(identity.updated_at),
    ...(email === null ? {} : { email }),
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
