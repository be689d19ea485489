import type { Context } from 'hono'
import * as v from 'valibot'
import { Fault } from '../core/fault.ts'
import { networkOf } from '../core/limit.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { body, clientOf, data, ok, refuse, text } from './body.ts'
import type { ResendType } from './otp.ts'
import type { Doors } from './part.ts'
import { readChallenge } from './pkce.ts'
import { checkRedirect, redirectTo, withParameters } from './redirect.ts'
import { halfway, isVerifyType, type Verify } from './verify.ts'
import type { Session } from './wire.ts'

type Handler = Route[2]

const challenge = { code_challenge: text, code_challenge_method: text }
const otpBody = v.object({
  email: text,
  phone: text,
  channel: text,
  create_user: v.nullish(v.boolean()),
  data,
  ...challenge,
})
const recoverBody = v.object({ email: text, ...challenge })
const resendBody = v.object({ type: text, email: text, phone: text, ...challenge })
const verifyBody = v.object({
  type: text,
  token: text,
  token_hash: text,
  email: text,
  phone: text,
  redirect_to: text,
})

/** What every request for a message says. */
const askedBy = (
  c: Context,
  pkce: { code_challenge?: string | null; code_challenge_method?: string | null },
) => ({
  redirectTo: c.req.query('redirect_to'),
  challenge: readChallenge(pkce.code_challenge, pkce.code_challenge_method),
  network: networkOf(c.req.raw),
})

export const otp =
  ({ verbs }: Doors, path: 'otp' | 'magiclink'): Handler =>
  async (scope, c) => {
    const { email, phone, channel, create_user, data, ...pkce } = await body(c, otpBody)
    if (path === 'magiclink' && !email) throw refuse('Password recovery requires an email')
    if (phone && channel && channel !== 'sms')
      throw refuse('Invalid channel, supported values are sms')
    await verbs.sendOtp(scope, {
      email: email ?? undefined,
      phone: path === 'otp' ? (phone ?? undefined) : undefined,
      createUser: create_user ?? true,
      data: data ?? {},
      ...askedBy(c, pkce),
    })
    return ok({})
  }

export const recover =
  ({ verbs }: Doors): Handler =>
  async (scope, c) => {
    const { email, ...pkce } = await body(c, recoverBody)
    if (!email) throw refuse('Password recovery requires an email')
    await verbs.recover(scope, { email, ...askedBy(c, pkce) })
    return ok({})
  }

const resendTypes: readonly string[] = [
  'signup',
  'email_change',
  'sms',
  'phone_change',
] satisfies ResendType[]

export const resend =
  ({ verbs }: Doors): Handler =>
  async (scope, c) => {
    const { type, email, phone, ...pkce } = await body(c, resendBody)
    if (!type || !resendTypes.includes(type))
      throw refuse('Missing one of these types: signup, email_change, sms, phone_change')
    await verbs.resend(scope, {
      type: type as ResendType,
      email: email ?? undefined,
      phone: phone ?? undefined,
      ...askedBy(c, pkce),
    })
    return ok({})
  }

export const verifyPost =
  ({ verbs, reply }: Doors): Handler =>
  async (scope, c) => {
    const { type, token, token_hash, email, phone } = await body(c, verifyBody)
    if (!type) throw refuse('Verify requires a verification type')
    if (!isVerifyType(type)) throw refuse('Unsupported verification type')
    if (!token && !token_hash) throw refuse('Verify requires a token or a token hash')
    if (token_hash && (email || phone || token))
      throw refuse('Only the token_hash and type should be provided')
    if (token && Boolean(email) === Boolean(phone))
      throw refuse('Only an email address or phone number should be provided on verify')
    const session = await verbs.verify(scope, {
      type,
      ...(token_hash ? { tokenHash: token_hash } : {}),
      ...(phone ? { phone } : {}),
      ...(email ? { email } : {}),
      ...(token ? { token } : {}),
      network: networkOf(c.req.raw),
      client: clientOf(c.req.raw),
    })
    return session ? reply(scope, c.req.raw, session) : ok({ msg: halfway, code: '200' })
  }

/** What GoTrue calls an OAuth error, by status. */
const oauthErrors: Readonly<Record<number, string>> = {
  400: 'invalid_request',
  401: 'unauthorized_client',
  403: 'access_denied',
  500: 'server_error',
  503: 'temporarily_unavailable',
}

export const verifyGet =
  (doors: Doors): Handler =>
  async (scope, c) => {
    // What scans mails asks by HEAD first, and must not use the link up.
    if (c.req.method !== 'GET') return new Response(null, { status: 200 })
    const tokenHash = c.req.query('token') || c.req.query('token_hash')
    const type = c.req.query('type')
    if (!tokenHash) throw refuse('Verify requires a token or a token hash')
    if (!type) throw refuse('Verify requires a verification type')
    const to = checkRedirect(doors.settings, scope, c.req.query('redirect_to'))
    const pkce = tokenHash.startsWith('pkce_')
    try {
      if (!isVerifyType(type)) throw refuse('Unsupported verification type')
      const { raw } = c.req
      const input = { type, tokenHash, network: networkOf(raw), client: clientOf(raw) }
      return pkce
        ? await byCode(doors, scope, input, to)
        : await bySession(doors, scope, raw, input, to)
    } catch (error) {
      if (!(error instanceof Fault) || error.status >= 500) throw error
      return redirectTo(withError(to, error, pkce))
    }
  }

type Link = Verify & { tokenHash: string }

async function byCode({ verbs }: Doors, scope: Scope, input: Link, to: string) {
  const code = await verbs.verifyForCode(scope, input)
  return redirectTo(withParameters(to, code ? { code } : { message: halfway }, 'query'))
}

async function bySession(
  { verbs, reply }: Doors,
  scope: Scope,
  request: Request,
  input: Link,
  to: string,
) {
  const session = await verbs.verify(scope, input)
  if (!session) return redirectTo(withParameters(to, { message: halfway }, 'fragment'))
  const parameters = { ...fragmentOf(session), type: input.type }
  return reply(scope, request, session, redirectTo(withParameters(to, parameters, 'fragment')))
}

/** A session as the implicit flow hands it to the page: in the fragment, which no server sees. */
export const fragmentOf = (session: Session) => ({
  access_token: session.access_token,
  expires_at: session.expires_at,
  expires_in: session.expires_in,
  refresh_token: session.refresh_token,
  token_type: session.token_type,
})

/** Where to lead a browser with an error: in the fragment, and for a flow with PKCE in the query as well. */
function withError(to: string, fault: Fault, pkce: boolean): string {
  const code = fault.code
  const description =
    code === 'otp_expired' ? 'Email link is invalid or has expired' : fault.message
  const parameters = {
    error: oauthErrors[fault.status] ?? 'access_denied',
    error_code: code,
    error_description: description,
  }
  const url = withParameters(to, parameters, 'fragment')
  return pkce ? withParameters(url, parameters, 'query') : url
}
