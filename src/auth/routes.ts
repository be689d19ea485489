import type { Context } from 'hono'
import * as v from 'valibot'
import { readJson } from '../core/body.ts'
import { coreFaults } from '../core/fault.ts'
import { networkOf } from '../core/limit.ts'
import type { Route } from '../core/routes.ts'
import type { Scope } from '../core/scope.ts'
import { validate } from '../core/validate.ts'
import { authFaults } from './faults.ts'
import { algorithm } from './keys.ts'
import type { Caller } from './session.ts'
import type { Settings } from './settings.ts'
import type { SignOutScope } from './sign-out.ts'
import type { Verbs } from './verbs.ts'
import type { Metadata } from './wire.ts'

type Handler = Route[2]

/** What the routes reach. */
interface Doors {
  readonly settings: Settings
  readonly verbs: Verbs
  /** Whose token a request shows. */
  readonly callerOf: (scope: Scope, request: Request) => Promise<Caller>
}

/** Every route, as GoTrue has it. */
export const authRoutes = (doors: Doors): Route[] => [
  ['POST', '/signup', signUp(doors)],
  ['POST', '/token', token(doors)],
  ['GET', '/user', getUser(doors)],
  ['PUT', '/user', updateUser(doors)],
  ['POST', '/logout', signOut(doors)],
  ['GET', '/settings', () => ok(settingsBody(doors.settings))],
  ['GET', '/health', () => ok(health)],
  ['GET', '/.well-known/jwks.json', jwks(doors)],
  ['GET', '/.well-known/openid-configuration', discovery(doors)],
]

const ok = (body: unknown) => Response.json(body, { status: 200 })

const published = (body: unknown) =>
  Response.json(body, { status: 200, headers: { 'cache-control': 'public, max-age=600' } })

const text = v.nullish(v.string())
const isPlain = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const data = v.nullish(v.custom<Metadata>(isPlain, 'must be an object'))

// As GoTrue: fields that are not named are ignored. What a client must never set is simply not here.
const signUpBody = v.object({ email: text, phone: text, password: text, data })
const passwordBody = v.object({ email: text, phone: text, password: text })
const refreshBody = v.object({ refresh_token: text })
const userBody = v.object({
  email: text,
  phone: text,
  password: text,
  data,
  app_metadata: v.optional(v.unknown()),
})

async function body<Schema extends Parameters<typeof validate>[0]>(c: Context, schema: Schema) {
  const json = await readJson(c.req.raw)
  if (!isPlain(json)) throw coreFaults.bad_json({ message: 'Request body must be a JSON object' })
  return validate(schema, json)
}

const refuse = (message: string) => authFaults.validation_failed({ message })

const signUp =
  ({ verbs }: Doors): Handler =>
  async (scope, c) => {
    const { email, phone, password, data } = await body(c, signUpBody)
    if (email && phone)
      throw refuse('Only an email address or phone number should be provided on signup.')
    if (phone) throw authFaults.phone_provider_disabled({ message: 'Phone signups are disabled' })
    if (!email) throw authFaults.anonymous_provider_disabled()
    if (!password) throw refuse('Signup requires a valid password')
    const network = networkOf(c.req.raw)
    return ok(await verbs.signUp(scope, { email, password, data: data ?? {}, network }))
  }

const token =
  (doors: Doors): Handler =>
  (scope, c) => {
    const grant = c.req.query('grant_type')
    if (grant === 'password') return passwordGrant(doors)(scope, c)
    if (grant === 'refresh_token') return refreshGrant(doors)(scope, c)
    throw authFaults.invalid_credentials({ message: 'unsupported_grant_type' })
  }

const passwordGrant =
  ({ verbs }: Doors): Handler =>
  async (scope, c) => {
    const { email, phone, password } = await body(c, passwordBody)
    if (email && phone)
      throw refuse('Only an email address or phone number should be provided on login.')
    if (phone) throw authFaults.phone_provider_disabled()
    if (!email) throw refuse('missing email or phone')
    const network = networkOf(c.req.raw)
    return ok(await verbs.signIn(scope, { email, password: password ?? '', network }))
  }

const refreshGrant =
  ({ verbs }: Doors): Handler =>
  async (scope, c) => {
    const { refresh_token: refreshToken } = await body(c, refreshBody)
    if (!refreshToken) throw refuse('refresh_token required')
    return ok(await verbs.refresh(scope, { refreshToken }))
  }

const getUser =
  ({ verbs, callerOf }: Doors): Handler =>
  async (scope, c) =>
    ok(await verbs.getUser(scope, await callerOf(scope, c.req.raw)))

const updateUser =
  ({ verbs, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const { email, phone, password, data, app_metadata } = await body(c, userBody)
    if (app_metadata != null) throw authFaults.not_admin()
    if (phone) throw authFaults.phone_provider_disabled({ message: 'Phone is not available' })
    return ok(
      await verbs.updateUser(scope, {
        ...caller,
        email: email || undefined,
        password: password ?? undefined,
        data: data ?? undefined,
      }),
    )
  }

const signOutScopes: readonly string[] = ['global', 'local', 'others'] satisfies SignOutScope[]

const signOut =
  ({ verbs, callerOf }: Doors): Handler =>
  async (scope, c) => {
    const caller = await callerOf(scope, c.req.raw)
    const which = c.req.query('scope') || 'global'
    if (!signOutScopes.includes(which)) throw refuse('Unsupported logout scope')
    await verbs.signOut(scope, { ...caller, which: which as SignOutScope })
    return new Response(null, { status: 204 })
  }

const settingsBody = ({ signUp }: Settings) => ({
  external: { anonymous_users: false, email: true, phone: false },
  disable_signup: !signUp,
  // There is no confirmation mail yet.
  mailer_autoconfirm: true,
  phone_autoconfirm: false,
  sms_provider: '',
  saml_enabled: false,
})

const health = { name: 'leanto auth', description: 'Sign-in in your own Worker; speaks GoTrue' }

const jwks =
  ({ settings }: Doors): Handler =>
  async (scope) =>
    published({ keys: await settings.keys.published(scope) })

/** OpenID Connect Discovery 1.0 and RFC 8414, as far as there is something to find. */
const discovery =
  ({ settings }: Doors): Handler =>
  (scope) => {
    const issuer = settings.issuer(scope)
    return published({
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/user`,
      response_types_supported: [],
      grant_types_supported: ['password', 'refresh_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [algorithm],
    })
  }
