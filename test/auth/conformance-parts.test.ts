import { type Base, Fault } from 'leanto'
import { type AuthPart, auth } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { type MfaOptions, mfa } from 'leanto/auth/mfa'
import { cookies, issuedKeys, sessions, trust, turnstile } from 'leanto/auth/parts'
import { github, google } from 'leanto/auth/providers'
import { conforms, type Row, type World } from '../kit/conformance.ts'
import { type Ask, clock, type Env, makeBase, site, testSecret } from '../kit/world.ts'
import {
  ann,
  baseFaults,
  baseMatrix,
  baseMigrations,
  everyone,
  grant,
  having,
  idOf,
  type Meet,
  mountAt,
  type Options,
  ok,
  own,
  prepare,
  reaching,
  unknown,
  users,
} from './conformance-world.ts'
import { challenge, codeOf, withFactor } from './mfa-world.ts'
import { type Answers, begin, comeBack, fake, profile } from './oauth-world.ts'
import { claimsOf, type Json } from './world.ts'

const client = { clientId: 'app', secret: 'shh' }

const parts = (options: MfaOptions = {}, provider = google(client)): AuthPart[] => [
  mfa({ phone: true, enforce: true, ...options }),
  admin(),
  sessions(),
  cookies(),
  issuedKeys(),
  trust([
    {
      issuer: 'https://old.example/auth/v1',
      secret: testSecret,
      // Not https, so that nobody is asked.
      upstream: { url: 'http://old.example/auth/v1', key: 'publishable' },
    },
  ]),
  turnstile({ secret: 'shh', fetch: async () => Response.json({ success: true }) }),
  provider,
  github(client),
]
// Anew each time: some parts are for one auth.
const make = (base: Base<Env>, options: Options) => auth(base, { site, with: parts(), ...options })
const given = having((options) => make(makeBase(), options))

const service =
  (path: string, body: object): Meet =>
  ({ ask }) =>
    ask(mountAt + path, { key: 'secret', body })

/** Gives the owner a verified factor, and a session that has shown it. */
async function factored(world: World): Promise<Json> {
  const { factor, session } = await withFactor(world.ask, {
    access_token: world.tokens.owner,
  } as never)
  world.tokens.owner = session.access_token
  return factor
}
/** And recovery codes. */
async function covered(world: World): Promise<{ factor: Json; codes: string[] }> {
  const factor = await factored(world)
  const { codes } = await ok(own('/factors/recovery-codes', { body: {} })(world))
  return { factor, codes }
}
const enroll = (world: World, more: object = {}): Promise<Json> =>
  ok(own('/factors', { body: { factor_type: 'totp', ...more } })(world))
const enrollPhone = async (world: World): Promise<Meet> => {
  const { id } = await enroll(world, { factor_type: 'phone', phone: '15550100555' })
  return own(`/factors/${id}/challenge`, { body: {} })
}
/** Challenges a new factor; what to ask then, with the right code if none is given. */
async function challenged(world: World, factor: Json, code?: string) {
  const { id } = await challenge(world.ask, world.tokens.owner as string, factor.id)
  const body = { challenge_id: id, code: code ?? (await codeOf(factor.totp.secret)) }
  return { path: `/factors/${factor.id}/verify`, method: 'POST', body }
}
const verified = async (world: World, code?: string, seconds = 0): Promise<Meet> => {
  const { path, ...asked } = await challenged(world, await enroll(world), code)
  clock.advance(seconds)
  return own(path, asked)
}

const codesPath = '/factors/recovery-codes'
const mfaMatrix: Row[] = [
  {
    route: `GET ${codesPath}`,
    ask: async (world) => {
      await covered(world)
      return { path: codesPath }
    },
    answers: users(200, 404),
  },
  {
    route: `POST ${codesPath}`,
    ask: async (world) => {
      await factored(world)
      return { path: codesPath, method: 'POST', body: {} }
    },
    answers: users(200, 403),
  },
  {
    route: `DELETE ${codesPath}`,
    ask: async (world) => {
      await covered(world)
      return { path: codesPath, method: 'DELETE' }
    },
    answers: users(200, 403),
  },
  {
    route: `POST ${codesPath}/verify`,
    ask: async (world) => {
      const [code] = (await covered(world)).codes
      return { path: `${codesPath}/verify`, method: 'POST', body: { code } }
    },
    answers: users(200, 422),
  },
  {
    route: `POST ${codesPath}/regenerate`,
    ask: async (world) => {
      await covered(world)
      return { path: `${codesPath}/regenerate`, method: 'POST', body: {} }
    },
    answers: users(200, 403),
  },
  {
    route: 'POST /factors',
    ask: () => ({ path: '/factors', method: 'POST', body: { factor_type: 'totp' } }),
    answers: users(200),
  },
  {
    route: 'DELETE /factors/:factor_id',
    ask: async (world) => ({ path: `/factors/${(await factored(world)).id}`, method: 'DELETE' }),
    answers: users(200, 404),
  },
  {
    route: 'POST /factors/:factor_id/challenge',
    ask: async (world) => {
      const { id } = await enroll(world)
      return { path: `/factors/${id}/challenge`, method: 'POST', body: {} }
    },
    answers: users(200, 404),
  },
  {
    route: 'POST /factors/:factor_id/verify',
    ask: async (world) => challenged(world, await enroll(world)),
    answers: users(200, 404),
  },
]

/** For the server alone. */
const server = (route: string, ask: Row['ask'], status = 200): Row => ({
  route,
  ask,
  answers: { guest: 401, owner: 403, stranger: 403, service: status },
})
const ofAnn =
  (path = '', more: Ask = {}): Row['ask'] =>
  ({ tokens }) => ({ path: `/admin/users/${idOf(tokens.owner)}${path}`, ...more })
const sent = (path: string, body: object) => () => ({ path, method: 'POST', body })

const adminMatrix: Row[] = [
  server('GET /admin/users', () => ({ path: '/admin/users' })),
  server('POST /admin/users', sent('/admin/users', { email: 'eve@example.com' })),
  server('GET /admin/users/:user_id', ofAnn()),
  server(
    'PUT /admin/users/:user_id',
    ofAnn('', { method: 'PUT', body: { app_metadata: { plan: 'gold' } } }),
  ),
  server('DELETE /admin/users/:user_id', ofAnn('', { method: 'DELETE' })),
  server('POST /admin/users/:user_id/logout', ofAnn('/logout', { method: 'POST' }), 204),
  server('POST /invite', sent('/invite', { email: 'eve@example.com' })),
  server(
    'POST /admin/generate_link',
    sent('/admin/generate_link', { type: 'recovery', email: ann.email }),
  ),
  server('GET /admin/audit', () => ({ path: '/admin/audit' })),
  server('GET /admin/users/:user_id/factors', ofAnn('/factors')),
  server('DELETE /admin/users/:user_id/factors/:factor_id', async (world) => {
    const { id } = await factored(world)
    return ofAnn(`/factors/${id}`, { method: 'DELETE' })(world)
  }),
  server('GET /admin/api-keys', () => ({ path: '/admin/api-keys' })),
  server('POST /admin/api-keys', sent('/admin/api-keys', { type: 'secret', name: 'cron' })),
  server('DELETE /admin/api-keys/:key_id', async (world) => {
    const body = { type: 'publishable', name: 'page' }
    const { id } = await ok(service('/admin/api-keys', body)(world))
    return { path: `/admin/api-keys/${id}`, method: 'DELETE' }
  }),
]

/** By the cookie alone, whatever else is shown. */
const byCookie = (method: string, status: number): Row => ({
  route: `${method} /cookie`,
  ask: ({ made }) => ({
    path: '/cookie',
    method,
    headers: { cookie: `__Host-auth-refresh=${made.refresh}`, 'sec-fetch-site': 'same-origin' },
  }),
  answers: everyone(status),
})

const partsMatrix: Row[] = [
  { route: 'GET /sessions', ask: () => ({ path: '/sessions' }), answers: users(200) },
  {
    route: 'DELETE /sessions/:session_id',
    ask: ({ tokens }) => ({
      path: `/sessions/${claimsOf(tokens.owner as string).session_id}`,
      method: 'DELETE',
    }),
    answers: users(204, 404),
  },
  byCookie('POST', 200),
  byCookie('DELETE', 204),
  {
    route: 'GET /authorize',
    ask: () => ({ path: '/authorize?provider=google' }),
    answers: everyone(303),
  },
  {
    route: 'GET /user/identities/authorize',
    ask: () => ({ path: '/user/identities/authorize?provider=google' }),
    answers: users(303),
  },
  // Whatever comes back, a browser is led on.
  { route: 'GET /callback', ask: () => ({ path: '/callback' }), answers: everyone(303) },
  {
    route: 'POST /callback',
    ask: () => ({
      path: '/callback',
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'state=x',
    }),
    answers: everyone(303),
  },
  {
    route: 'POST /callback/link',
    ask: () => ({
      path: '/callback/link',
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': 'same-origin',
      },
      body: 'token=x&answer=link',
    }),
    answers: everyone(303),
  },
]

/** What a browser is told that is led back with an error. */
const told = (url: URL | string): Response =>
  Response.json({ code: new URL(url).searchParams.get('error_code') }, { status: 400 })
const calledBack =
  (query: string): Meet =>
  async ({ ask }) =>
    told((await ask(`${mountAt}/callback${query}`)).headers.get('location') ?? '')

const answers: Answers = {
  ann: profile('1', ann.email),
  claimed: profile('2', 'eve@example.com', false),
}
/** With a provider that answers as it is told. */
const arriving = (ask: Meet) =>
  given({ ...reaching, with: parts({}, fake('google', answers)) }, ask)
const idToken = (id_token: string, more: object = {}, asked: Ask = {}) =>
  grant('id_token', { provider: 'google', id_token, ...more }, asked)

const mfaFaults: Record<string, Meet> = {
  insufficient_aal: async (world) => {
    await factored(world)
    world.tokens.owner = (await ok(grant('password', ann)(world))).access_token
    return own('/factors', { body: { factor_type: 'totp' } })(world)
  },
  mfa_challenge_expired: async (world) => (await verified(world, undefined, 301))(world),
  mfa_factor_name_conflict: async (world) => {
    await enroll(world, { friendly_name: 'mine' })
    return own('/factors', { body: { factor_type: 'totp', friendly_name: 'mine' } })(world)
  },
  mfa_factor_not_found: own(`/factors/${unknown}/challenge`, { body: {} }),
  mfa_phone_enroll_not_enabled: given({}, own('/factors', { body: { factor_type: 'phone' } })),
  // Phones were factors once.
  mfa_phone_verify_not_enabled: async (world) => given({}, await enrollPhone(world))(world),
  mfa_recovery_codes_locked: async (world) => {
    const guess = own(`${codesPath}/verify`, { body: { code: 'wrong' } })
    for (let i = 0; i < 10; i++) await guess(world)
    return guess(world)
  },
  mfa_recovery_codes_sole_factor: async (world) => {
    const { factor } = await covered(world)
    return own(`/factors/${factor.id}`, { method: 'DELETE' })(world)
  },
  mfa_verification_failed: async (world) => (await verified(world, 'wrong'))(world),
  // It is for the host's hook alone to say so.
  mfa_verification_rejected: async (world) => {
    const verify = () => {
      throw new Fault('mfa_verification_rejected', { status: 403, message: 'No more' })
    }
    const options = { ...reaching, with: parts({ before: { verify } }) }
    return given(options, await verified(world))(world)
  },
  mfa_verified_factor_exists: async (world) => {
    await covered(world)
    return own(codesPath, { body: {} })(world)
  },
  mfa_webauthn_verify_not_enabled: own(`/factors/${unknown}/verify`, { body: { webauthn: {} } }),
  mfa_webauthn_enroll_not_enabled: own('/factors', { body: { factor_type: 'webauthn' } }),
  over_sms_send_rate_limit: async (world) => {
    const ask = await enrollPhone(world)
    await ok(ask(world))
    return ask(world)
  },
  sms_send_failed: async (world) => {
    const sms = () => Promise.reject(new Error('no signal'))
    return given({ ...reaching, sms }, await enrollPhone(world))(world)
  },
  too_many_enrolled_mfa_factors: async (world) => {
    for (let i = 0; i < 10; i++) await enroll(world)
    return own('/factors', { body: { factor_type: 'totp' } })(world)
  },
}

const partsFaults: Record<string, Meet> = {
  bad_oauth_callback: calledBack(''),
  bad_oauth_state: calledBack('?code=x&state=x'),
  bad_origin: ({ ask }) => ask(`${mountAt}/cookie`, { method: 'POST' }),
  captcha_failed: ({ ask }) => ask(`${mountAt}/signup`, { body: ann }),
  identity_already_exists: arriving(async (world) => {
    const link = idToken('ann', { link_identity: true }, { token: world.tokens.owner as string })
    await ok(link(world))
    return link(world)
  }),
  phone_exists: service('/admin/users', { phone: '15550100123' }),
  // GitHub has no ID tokens.
  provider_disabled: grant('id_token', { provider: 'github', id_token: 'x' }),
  provider_email_needs_verification: arriving(idToken('claimed')),
  unexpected_failure: arriving(async ({ ask }) =>
    told(await comeBack(ask, await begin(ask, 'provider=google'), 'unknown')),
  ),
  upstream_unavailable: grant('refresh_token', { refresh_token: 'abc123def456' }),
}

conforms('auth', {
  make: (base) => make(base, reaching),
  mount: mountAt,
  migrations: {
    ...baseMigrations,
    '0002_factors': 'rY1uOTlAZmz4fgcZ6ai-2stXent0T2bJ9s9Mr6ghq68',
    '0003_audit': 'cWTgo9bd_DEmR3QXNooXz-JYtyMObZCR2xOvvLEf0vs',
    '0004_api_keys': 'l2pTGacOcWigjQKBJ72OktxFN6soWJIfltJxD4kfZR0',
    '0005_endings': 'Xss1-LLHYRRo5Sd339z2qCnNrZiXg5Yrye5uATEdfLc',
  },
  prepare,
  matrix: [...baseMatrix, ...mfaMatrix, ...adminMatrix, ...partsMatrix],
  faults: {
    ...baseFaults((options) => make(makeBase(), options)),
    ...mfaFaults,
    ...partsFaults,
  },
})
