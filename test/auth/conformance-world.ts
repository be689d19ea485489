import { env } from 'cloudflare:workers'
import type { Module } from 'leanto'
import type { AuthOptions } from 'leanto/auth'
import type { Conformance, Row, World } from '../kit/conformance.ts'
import { type Ask, clock, type Env, mount } from '../kit/world.ts'
import { closed } from './closed.ts'
import { locationOf, makeInbox, open } from './inbox.ts'
import { claimsOf, expectStatus, type Json, password } from './world.ts'

/*
 * What `auth` owes with and without its parts: its own routes and faults are the same.
 */

export const mountAt = '/auth/v1'
export const ann = { email: 'ann@example.com', password }
const bob = { email: 'bob@example.com' }
const eve = { email: 'eve@example.com', password }
const phone = '15550100123'
export const unknown = '00000000-0000-7000-8000-000000000000'
const verifier = 'v'.repeat(43)
const challenge = { code_challenge: verifier, code_challenge_method: 'plain' }

export type Options = Partial<AuthOptions<Env>>
export type Make = (options: Options) => Module
export type Meet = (world: World) => Promise<Response>

const inbox = makeInbox()
/** Where messages arrive, and an address counts as proven by its sign-up. */
export const reaching = { mailer: inbox.mailer, sms: inbox.sms, autoconfirm: true } as const
/** The same, but for the proof, which has to be shown. */
const proving = { ...reaching, autoconfirm: false } as const

/** As the clients send it with each request that may want it. */
const solved = { gotrue_meta_security: { captcha_token: 'solved' } }

const post =
  (path: string, body: object, more: Ask = {}): Meet =>
  (world) =>
    world.ask(mountAt + path, { method: 'POST', body: { ...body, ...solved }, ...more })
const get =
  (path: string, more: Ask = {}): Meet =>
  (world) =>
    world.ask(mountAt + path, more)
/** As the owner. */
export const own =
  (path: string, ask: Ask = {}): Meet =>
  (world) =>
    world.ask(mountAt + path, { token: world.tokens.owner, ...ask })
const put = (body: object): Meet => own('/user', { method: 'PUT', body })
export const grant = (kind: string, body: object, more: Ask = {}) =>
  post(`/token?grant_type=${kind}`, body, more)
export const ok = async (response: Promise<Response>): Promise<Json> =>
  expectStatus(await response, 200)

export const idOf = (token = ''): string => claimsOf(token).sub

/** Ann, the owner, has a mailbox, a phone and a password; Bob, the stranger, has come by a code alone. */
export async function prepare(world: World): Promise<void> {
  inbox.clear()
  const session = await ok(post('/signup', ann)(world))
  world.tokens.owner = session.access_token
  world.made.refresh = session.refresh_token
  await ok(put({ phone })(world))
  const shown = { type: 'phone_change', phone, token: inbox.code(phone) }
  const { user } = await ok(post('/verify', shown)(world))
  world.made.identity = user.identities.find(
    ({ provider }: { provider: string }) => provider === 'phone',
  ).identity_id
  await ok(post('/otp', bob)(world))
  const code = { type: 'email', email: bob.email, token: inbox.code(bob.email) }
  const other = await ok(post('/verify', code)(world))
  world.tokens.stranger = other.access_token
  world.made.lone = other.user.identities[0].identity_id
}

/** A link that was just mailed to the owner. */
const mailed = async (world: World, more: object = {}): Promise<string> => {
  await ok(post('/otp', { email: ann.email, ...more })(world))
  return inbox.token(ann.email)
}

export const everyone = (status: number): Row['answers'] => ({
  guest: status,
  owner: status,
  stranger: status,
  service: status,
})
/** A route about whoever asks it, which no API key is. */
export const users = (owner: number, stranger = owner): Row['answers'] => ({
  guest: 401,
  owner,
  stranger,
  service: 401,
})

const sending = (path: string, body: object): Row => ({
  route: `POST ${path}`,
  ask: () => ({ path, method: 'POST', body: { ...body, ...solved } }),
  answers: everyone(200),
})
const reading = (path: string): Row => ({
  route: `GET ${path}`,
  ask: () => ({ path }),
  answers: everyone(200),
})

/** The routes that answer the same whatever is mounted. */
export const baseMatrix: readonly Row[] = [
  sending('/signup', eve),
  {
    route: 'POST /token',
    ask: () => ({
      path: '/token?grant_type=password',
      method: 'POST',
      body: { ...ann, ...solved },
    }),
    answers: everyone(200),
  },
  sending('/otp', { email: ann.email }),
  sending('/magiclink', { email: ann.email }),
  sending('/recover', { email: ann.email }),
  sending('/resend', { type: 'signup', email: ann.email }),
  {
    route: 'GET /verify',
    ask: async (world) => ({ path: `/verify?type=magiclink&token=${await mailed(world)}` }),
    answers: everyone(303),
  },
  {
    route: 'POST /verify',
    ask: async (world) => ({
      path: '/verify',
      method: 'POST',
      body: { type: 'magiclink', token_hash: await mailed(world) },
    }),
    answers: everyone(200),
  },
  { ...reading('/user'), answers: users(200) },
  {
    route: 'PUT /user',
    ask: () => ({ path: '/user', method: 'PUT', body: { data: { a: 1 } } }),
    answers: users(200),
  },
  { ...reading('/reauthenticate'), answers: users(200) },
  {
    route: 'POST /logout',
    ask: () => ({ path: '/logout', method: 'POST' }),
    answers: users(204),
  },
  {
    route: 'DELETE /user/identities/:identity_id',
    ask: ({ made }) => ({ path: `/user/identities/${made.identity}`, method: 'DELETE' }),
    answers: users(200, 422),
  },
  ...['/settings', '/health', '/.well-known/jwks.json', '/.well-known/openid-configuration'].map(
    reading,
  ),
  ...closed.map(
    ({ method, path, asked }): Row => ({
      route: `${method} ${path}`,
      ask: () => ({ path: asked, method, ...(method === 'GET' ? {} : { body: solved }) }),
      answers: everyone(404),
    }),
  ),
]

export const baseMigrations = { '0001_accounts': '_yKRSMp2zBzLIOElm8eO7Sd-kmpSY6wCrPj2Y1hlpcU' }

/** The same, after something was done to the tables. */
const after =
  (sql: string, ask: Meet): Meet =>
  async (world) => {
    await env.DB.prepare(sql).run()
    return ask(world)
  }

/** Asks a module with other options, over the same tables. */
export const having =
  (make: Make) =>
  (options: Options, ask: Meet): Meet =>
  (world) =>
    ask({ ...world, ask: mount({ [mountAt]: make(options) }) })

const refreshed: Meet = (world) =>
  grant('refresh_token', { refresh_token: world.made.refresh })(world)

/** The code of a link that was opened, where its flow began with a challenge. */
const opened = async (world: World): Promise<string | null> => {
  await mailed(world, challenge)
  return locationOf(await open(world.ask, inbox.link(ann.email))).searchParams.get('code')
}
const exchange = async (world: World, code_verifier = verifier, seconds = 0) => {
  const auth_code = await opened(world)
  clock.advance(seconds)
  return grant('pkce', { auth_code, code_verifier })(world)
}

const unlink = (world: World, id = unknown, token = world.tokens.owner) =>
  world.ask(`${mountAt}/user/identities/${id}`, { method: 'DELETE', token })

/** How each fault of `auth` itself is met. */
export function baseFaults(make: Make): Conformance['faults'] {
  const given = having(make)
  const choosing =
    (more: object): Meet =>
    async (world) => {
      // A session is young for a day.
      clock.advance(86_400)
      world.tokens.owner = (await ok(refreshed(world))).access_token
      const body = { password: 'another good passphrase', ...more }
      return given({ ...reaching, reauthentication: true }, put(body))(world)
    }
  const unproven = (address: object): Meet =>
    given(proving, async (world) => {
      await ok(post('/signup', { ...address, password })(world))
      return grant('password', { ...address, password })(world)
    })

  return {
    anonymous_provider_disabled: post('/signup', {}),
    bad_code_verifier: (world) => exchange(world, 'w'.repeat(43)),
    bad_jwt: get('/user', { token: 'no.such.token' }),
    // Someone changes the same user each time first: played by a trigger that lets no update through.
    conflict: after(
      'CREATE TRIGGER rival BEFORE UPDATE ON leanto_auth_users BEGIN SELECT RAISE(IGNORE); END',
      put({ data: { a: 1 } }),
    ),
    // Of a provider that is not mounted any more: its address is somebody else's by now.
    email_conflict_identity_not_deletable: async (world) => {
      const id = idOf(world.tokens.owner)
      const data = JSON.stringify({ email_verified: true })
      await env.DB.prepare(
        `INSERT INTO leanto_auth_identities (id, provider, subject, user_id, email, data, created_at, updated_at)
         VALUES (?, 'gone', '1', ?, ?, ?, 1, 1)`,
      )
        .bind(unknown, id, bob.email, data)
        .run()
      return unlink(world, id)
    },
    email_exists: given({ anonymous: true }, async (world) => {
      const { access_token: token } = await ok(post('/signup', {})(world))
      return put({ email: ann.email })({ ...world, tokens: { owner: token } })
    }),
    email_not_confirmed: unproven({ email: eve.email }),
    email_provider_disabled: given({}, post('/otp', { email: ann.email })),
    feature_disabled: get('/oauth/authorize'),
    flow_state_expired: (world) => exchange(world, verifier, 301),
    flow_state_not_found: grant('pkce', { auth_code: unknown, code_verifier: verifier }),
    identity_not_found: (world) => unlink(world),
    invalid_credentials: grant('password', { ...ann, password: 'wrong' }),
    no_authorization: get('/user'),
    not_admin: put({ app_metadata: { admin: true } }),
    otp_expired: post('/verify', { type: 'email', token_hash: 'x' }),
    passkey_disabled: get('/passkeys'),
    phone_not_confirmed: unproven({ phone: '15550100999' }),
    phone_provider_disabled: given({}, post('/signup', { phone, password })),
    reauthentication_needed: choosing({}),
    reauthentication_not_valid: choosing({ nonce: '000000' }),
    refresh_token_already_used: async (world) => {
      await ok(refreshed(world))
      clock.advance(60)
      return refreshed(world)
    },
    refresh_token_not_found: grant('refresh_token', { refresh_token: 'x' }),
    same_password: put({ password }),
    current_password_invalid: put({ password: `${password}!`, current_password: 'wrong guess' }),
    current_password_required: given(
      { password: { requireCurrent: true } },
      put({ password: `${password}!` }),
    ),
    saml_provider_disabled: post('/sso', { domain: 'example.com' }),
    session_expired: async (world) => {
      clock.advance(91 * 86_400)
      return refreshed(world)
    },
    session_not_found: after('DELETE FROM leanto_auth_sessions', own('/user')),
    signup_disabled: given({ signUp: false }, post('/signup', ann)),
    single_identity_not_deletable: (world) => unlink(world, world.made.lone, world.tokens.stranger),
    user_already_exists: post('/signup', ann),
    user_banned: after('UPDATE leanto_auth_users SET banned_until = 9e15', grant('password', ann)),
    user_not_found: after('DELETE FROM leanto_auth_users', own('/user')),
    validation_failed: grant('password', { email: ['a'] }),
    weak_password: post('/signup', { ...eve, password: 'short' }),
    web3_provider_disabled: grant('web3', {}),
  }
}
