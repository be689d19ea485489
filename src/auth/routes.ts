import * as v from 'valibot'
import { networkOf } from '../core/limit.ts'
import type { Route } from '../core/routes.ts'
import { discovery, health, jwks, settingsBody } from './about.ts'
import { body, clientOf, data, grantOf, ok, refuse, text } from './body.ts'
import { authFaults } from './faults.ts'
import { closedGrants, identityRoutes } from './identity-routes.ts'
import { otp, recover, resend, verifyGet, verifyPost } from './message-routes.ts'
import type { Doors } from './part.ts'
import { readChallenge } from './pkce.ts'
import type { SignOutScope } from './sign-out.ts'

type Handler = Route[2]

/** Every route of the base, as GoTrue has it; the parts add theirs. */
export const authRoutes = (doors: Doors): Route[] => [
  ['POST', '/signup', signUp(doors)],
  ['POST', '/token', token(doors)],
  ['POST', '/otp', otp(doors, 'otp')],
  ['POST', '/magiclink', otp(doors, 'magiclink')],
  ['POST', '/recover', recover(doors)],
  ['POST', '/resend', resend(doors)],
  ['GET', '/verify', verifyGet(doors)],
  ['POST', '/verify', verifyPost(doors)],
  ['GET', '/user', getUser(doors)],
  ['PUT', '/user', updateUser(doors)],
  ['GET', '/reauthenticate', reauthenticate(doors)],
  ['POST', '/logout', signOut(doors)],
  ...identityRoutes(doors),
  ['GET', '/settings', () => ok(settingsBody(doors.settings))],
  ['GET', '/health', () => ok(health)],
  ['GET', '/.well-known/jwks.json', jwks(doors)],
  ['GET', '/.well-known/openid-configuration', discovery(doors)],
]

const challenge = { code_challenge: text, code_challenge_method: text }
const signUpBody = v.object({ email: text, phone: text, password: text, data, ...challenge })
const passwordBody = v.object({ email: text, phone: text, password: text })
const refreshBody = v.object({ refresh_token: text })
const exchangeBody = v.object({ auth_code: text, code_verifier: text })
const userBody = v.object({
  email: text,
  phone: text,
  password: text,
  current_password: text,
  nonce: text,
  data,
  app_metadata: v.optional(v.unknown()),
  ...challenge,
})

const signUp =
  ({ settings, verbs, reply }: Doors): Handler =>
  async (scope, c) => {
    const { email, phone, password, data, ...pkce } = await body(c, signUpBody)
    const origin = { network: networkOf(c.req.raw), client: clientOf(c.req.raw) }
    if (email && phone)
      throw refuse('Only an email address or phone number should be provided on signup.')
    if (phone && !settings.sms)
      throw authFaults.phone_provider_disabled({ message: 'Phone signups are disabled' })
    if (!email && !phone) {
      const session = await verbs.signInAnonymously(scope, { data: data ?? {}, ...origin })
      return reply(scope, c.req.raw, session)
    }
    if (!password) throw refuse('Signup requires a valid password')
    const made = await verbs.signUp(scope, {
      ...(phone ? { phone } : { email: email ?? '' }),
      password,
      data: data ?? {},
      redirectTo: c.req.query('redirect_to'),
      challenge: readChallenge(pkce.code_challenge, pkce.code_challenge_method),
      ...origin,
    })
    return 'access_token' in made ? reply(scope, c.req.raw, made) : ok(made)
  }

const token =
  (doors: Doors): Handler =>
  (scope, c) => {
    const grant = grantOf(c.req.raw)
    const granted = Object.hasOwn(grants, grant) ? grants[grant] : undefined
    if (granted) return granted(doors)(scope, c)
    const more = doors.settings.parts.find(({ grants }) => grants && Object.hasOwn(grants, grant))
    if (more) return more.grants?.[grant]?.(doors)(scope, c) as Response | Promise<Response>
    const closed = Object.hasOwn(closedGrants, grant) ? closedGrants[grant] : undefined
    if (closed) return closed(doors)(scope, c)
    throw authFaults.invalid_credentials({ message: 'unsupported_grant_type' })
  }

const passwordGrant =
  ({ settings, verbs, reply }: Doors): Handler =>
  async (scope, c) => {
    const { email, phone, password } = await body(c, passwordBody)
    if (email && phone)
      throw refuse('Only an email address or phone number should be provided on login.')
    if (phone && !settings.sms) throw authFaults.phone_provider_disabled()
    if (!email && !phone) throw refuse('missing email or phone')
    const session = await verbs.signIn(scope, {
      ...(phone ? { phone } : { email: email ?? '' }),
      password: password ?? '',
      network: networkOf(c.req.raw),
      client: clientOf(c.req.raw),
    })
    return reply(scope, c.req.raw, session)
  }

const refreshGrant =
  ({ verbs, reply }: Doors): Handler =>
  async (scope, c) => {
    const { refresh_token: refreshToken } = await body(c, refreshBody)
    if (!refreshToken) throw refuse('refresh_token required')
    const network = networkOf(c.req.raw)
    return reply(scope, c.req.raw, await verbs.refresh(scope, { refreshToken, network }))
  }

const pkceGrant =
  ({ verbs, reply }: Doors): Handler =>
  async (scope, c) => {
    const { auth_code, code_verifier } = await body(c, exchangeBody)
    const session = await verbs.exchangeCode(scope, {
      authCode: auth_code ?? '',
      codeVerifier: code_verifier ?? '',
      client: clientOf(c.req.raw),
      network: networkOf(c.req.raw),
    })
    return reply(scope, c.req.raw, session)
  }

const grants: Readonly<Record<string, (doors: Doors) => Handler>> = {
  password: passwordGrant,
  refresh_token: refreshGrant,
  pkce: pkceGrant,
}

const getUser =
  ({ verbs, callerOf }: Doors): Handler =>
  async (scope, c) =>
    ok(await verbs.getUser(scope, await callerOf(scope, c.req.raw, { acted: true })))

const updateUser =
  ({ verbs, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const { email, phone, password, current_password, nonce, data, app_metadata, ...pkce } =
      await body(c, userBody)
    if (app_metadata != null) throw authFaults.not_admin()
    return ok(
      await verbs.updateUser(scope, {
        ...caller,
        email: email || undefined,
        phone: phone || undefined,
        password: password ?? undefined,
        currentPassword: current_password || undefined,
        nonce: nonce || undefined,
        data: data ?? undefined,
        redirectTo: c.req.query('redirect_to'),
        challenge: readChallenge(pkce.code_challenge, pkce.code_challenge_method),
        network: networkOf(c.req.raw),
      }),
    )
  }

const reauthenticate =
  ({ verbs, callerOf }: Doors): Handler =>
  async (scope, c) => {
    // A GET also answers HEAD, which must send nothing.
    if (c.req.method !== 'GET') return ok({})
    const caller = await callerOf(scope, c.req.raw)
    await verbs.reauthenticate(scope, { ...caller, network: networkOf(c.req.raw) })
    return ok({})
  }

const signOutScopes: readonly string[] = ['global', 'local', 'others'] satisfies SignOutScope[]

const signOut =
  ({ verbs, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const asked = c.req.query('scope') || 'global'
    if (!signOutScopes.includes(asked)) throw refuse('Unsupported logout scope')
    const caller = await callerOf(scope, c.req.raw, { acted: asked !== 'others' })
    // Clients sign out everywhere unless told otherwise. Who acts for a user ends that, and none of the user's sessions.
    const which = caller.act === undefined ? (asked as SignOutScope) : 'local'
    await verbs.signOut(scope, { ...caller, which, network: networkOf(c.req.raw) })
    return new Response(null, { status: 204 })
  }
