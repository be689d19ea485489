import type { Session } from 'leanto/auth'
import { mfa } from 'leanto/auth/mfa'
import { cookies, issuedKeys } from 'leanto/auth/parts'
import { passkeys } from 'leanto/auth/passkeys'
import { wallets } from 'leanto/auth/wallets'
import { beforeEach, describe, expect, it } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { type Ask, clock, freshDatabase } from '../kit/world.ts'
import { makeAuthenticator } from './authenticator.ts'
import { impersonated, makeUsers, service, setRole } from './impersonation-world.ts'
import { makeInbox } from './inbox.ts'
import { challenge, codeOf, enroll, withFactor } from './mfa-world.ts'
import { type Answers, fake, profile } from './oauth-world.ts'
import { creation, newPasskey } from './passkey-world.ts'
import {
  type Asker,
  expectStatus,
  type Json,
  post,
  refresh,
  rows,
  signIn,
  signUp,
} from './world.ts'

/*
 * Case 18, over every route of `auth` with all of its parts: what changes an account is refused to whoever acts for its user.
 * A route that is new is refused by itself, and is in none of these lists until someone has thought about it.
 */

const inbox = makeInbox()
const answers: Answers = {}
const make = () =>
  makeUsers(
    {},
    {
      mailer: inbox.mailer,
      sms: inbox.sms,
      autoconfirm: true,
      anonymous: true,
      with: [
        mfa({ phone: true }),
        passkeys(),
        wallets(),
        cookies(),
        issuedKeys(),
        fake('google', answers),
      ],
    },
  )

interface World {
  ask: Asker
  /** Ann's own session, her second one, and the one by which Ada acts for her. */
  own: Session
  second: Session
  acted: Session
  factor: Json
  passkey: Json
  device: ReturnType<typeof makeAuthenticator>
}

const email = 'ann@example.com'
const phone = '15550100123'

async function prepare(): Promise<World> {
  const { ask, users } = make()
  await freshDatabase([users])
  inbox.clear()
  const first = await signUp(ask, email)
  const token = first.access_token
  await expectStatus(await ask('/auth/v1/user', { method: 'PUT', body: { phone }, token }), 200)
  const shown = { type: 'phone_change', phone, token: inbox.code(phone) }
  const { factor, session: own } = await withFactor(
    ask,
    await expectStatus(await post(ask, '/verify', shown), 200),
  )
  const second = await expectStatus(await signIn(ask, email), 200)
  const device = makeAuthenticator()
  const passkey = await newPasskey({ ask, token: own.access_token, device })
  const { user } = await signUp(ask, 'ada@example.com')
  await expectStatus(await setRole(ask, user.id, 'admin'), 200)
  const ada = await expectStatus(await signIn(ask, 'ada@example.com'), 200)
  // As sure as Ann herself: what is refused is not refused for want of a second factor.
  await rows(`UPDATE leanto_auth_sessions SET aal = 'aal2' WHERE user_id = ?`, user.id)
  const raised = await expectStatus(await refresh(ask, ada.refresh_token), 200)
  const acted = await impersonated(ask, raised, own)
  return { ask, own, second, acted, factor, passkey, device }
}

type Asked = [path: string, ask?: Ask]
interface Row {
  /** What is asked: right in everything but who asks. */
  ask: (world: World) => Asked | Promise<Asked>
  /** What Ann gets for the same. @default 200 */
  own?: number
}

const put = (body: object): Row => ({ ask: () => ['/user', { method: 'PUT', body }] })
const codes = '/factors/recovery-codes'
const covered = async (world: World): Promise<string[]> => {
  const { access_token: token } = world.own
  return (await expectStatus(await post(world.ask, codes, {}, { token }), 200)).codes
}
const sessionOf = ({ access_token }: Session) =>
  JSON.parse(atob(access_token.split('.')[1]?.replaceAll('-', '+').replaceAll('_', '/') ?? ''))
    .session_id

/** By the name of a route, and what of it. */
const refused: Record<string, Row> = {
  'PUT /user, password': put({ password: 'another good passphrase' }),
  'PUT /user, email': put({ email: 'eve@example.com' }),
  'PUT /user, phone': put({ phone: '15550100999' }),
  'PUT /user, data': put({ data: { name: 'Eve' } }),
  'PUT /user, nothing': put({}),
  'GET /reauthenticate': { ask: () => ['/reauthenticate'] },
  'POST /logout, the others': { ask: () => ['/logout?scope=others', { method: 'POST' }], own: 204 },
  'DELETE /user/identities/:identity_id': {
    ask: ({ own }) => {
      const identity = own.user.identities.find(({ provider }) => provider === 'phone')
      return [`/user/identities/${identity?.identity_id}`, { method: 'DELETE' }]
    },
  },
  'GET /user/identities/authorize': {
    ask: () => ['/user/identities/authorize?provider=google'],
    own: 303,
  },
  'POST /token, to link an identity': {
    ask: () => {
      answers.it = profile('1', 'eve@example.com')
      const body = { provider: 'google', id_token: 'it', link_identity: true }
      return ['/token?grant_type=id_token', { body }]
    },
  },
  'DELETE /sessions/:session_id': {
    ask: ({ second }) => [`/sessions/${sessionOf(second)}`, { method: 'DELETE' }],
    own: 204,
  },
  'POST /factors': { ask: () => ['/factors', { body: { factor_type: 'totp' } }] },
  'DELETE /factors/:factor_id': {
    ask: ({ factor }) => [`/factors/${factor.id}`, { method: 'DELETE' }],
  },
  'POST /factors/:factor_id/challenge': {
    ask: ({ factor }) => [`/factors/${factor.id}/challenge`, { body: {} }],
  },
  'POST /factors/:factor_id/verify': {
    ask: async ({ ask, own: { access_token: token } }) => {
      const factor = await enroll(ask, token, { friendly_name: 'Second' })
      const { id } = await challenge(ask, token, factor.id)
      const body = { challenge_id: id, code: await codeOf(factor.totp.secret) }
      return [`/factors/${factor.id}/verify`, { body }]
    },
  },
  [`POST ${codes}`]: { ask: () => [codes, { body: {} }] },
  [`DELETE ${codes}`]: {
    ask: async (world) => {
      await covered(world)
      return [codes, { method: 'DELETE' }]
    },
  },
  [`POST ${codes}/verify`]: {
    ask: async (world) => [`${codes}/verify`, { body: { code: (await covered(world))[0] } }],
  },
  [`POST ${codes}/regenerate`]: {
    ask: async (world) => {
      await covered(world)
      return [`${codes}/regenerate`, { body: {} }]
    },
  },
  'POST /passkeys/registration/options': {
    ask: () => ['/passkeys/registration/options', { body: {} }],
  },
  'POST /passkeys/registration/verify': {
    ask: async ({ ask, own }) => {
      const { challenge_id, options } = await creation({ ask, token: own.access_token })
      const credential = await makeAuthenticator().create(options)
      return ['/passkeys/registration/verify', { body: { challenge_id, credential } }]
    },
  },
  'PATCH /passkeys/:passkey_id': {
    ask: ({ passkey }) => [
      `/passkeys/${passkey.id}`,
      { method: 'PATCH', body: { friendly_name: 'Mine' } },
    ],
  },
  'DELETE /passkeys/:passkey_id': {
    ask: ({ passkey }) => [`/passkeys/${passkey.id}`, { method: 'DELETE' }],
    own: 204,
  },
  'POST /admin/users/:user_id/impersonate': {
    ask: ({ own }) => [`/admin/users/${own.user.id}/impersonate`, { body: { reason: 'more' } }],
    own: 403,
  },
  'GET /admin/impersonations': { ask: () => ['/admin/impersonations'], own: 403 },
  'DELETE /admin/impersonations/:impersonation_id': {
    ask: ({ acted }) => [`/admin/impersonations/${sessionOf(acted)}`, { method: 'DELETE' }],
    own: 403,
  },
}

/** What only reads, or ends the impersonation itself. */
const open: Record<string, number> = {
  'GET /user': 200,
  'GET /sessions': 200,
  'GET /passkeys': 200,
  // Ann has none.
  [`GET ${codes}`]: 404,
  'POST /logout': 204,
  'POST /impersonation/stop': 204,
}

/** Where the server alone is let in, by its key. */
const serversOwn = `
GET /admin/users
POST /admin/users
GET /admin/users/:user_id
PUT /admin/users/:user_id
DELETE /admin/users/:user_id
POST /admin/users/:user_id/logout
POST /invite
POST /admin/generate_link
GET /admin/audit
GET /admin/users/:user_id/factors
DELETE /admin/users/:user_id/factors/:factor_id
GET /admin/users/:user_id/passkeys
DELETE /admin/users/:user_id/passkeys/:passkey_id
GET /admin/api-keys
POST /admin/api-keys
DELETE /admin/api-keys/:key_id`
  .trim()
  .split('\n')

/** Where nobody asks who calls: what is shown counts alone, be it a password, a code or a signature. */
const nobodys: Record<string, Ask & { at?: string }> = {
  'POST /signup': { body: { email: 'new@example.com', password: 'another good passphrase' } },
  'POST /token': { at: '/token?grant_type=password', body: { email, password: 'wrong' } },
  'POST /otp': { body: { email } },
  'POST /magiclink': { body: { email } },
  'POST /recover': { body: { email } },
  'POST /resend': { body: { type: 'signup', email } },
  'GET /verify': { at: '/verify?type=magiclink&token=x' },
  'POST /verify': { body: { type: 'magiclink', token_hash: 'x' } },
  'GET /settings': {},
  'GET /health': {},
  'GET /.well-known/jwks.json': {},
  'GET /.well-known/openid-configuration': {},
  'GET /authorize': { at: '/authorize?provider=google' },
  'GET /callback': { at: '/callback?code=x&state=x' },
  'POST /callback': { body: {} },
  'POST /callback/link': { body: {} },
  'POST /passkeys/authentication/options': { body: {} },
  'POST /passkeys/authentication/verify': { body: {} },
  'POST /cookie': { headers: { 'sec-fetch-site': 'same-origin' } },
  'DELETE /cookie': { headers: { 'sec-fetch-site': 'same-origin' } },
}

/** What is not mounted here, and so answers nobody. */
const isClosed = (route: string): boolean =>
  /^\w+ \/(sso|oauth|user\/oauth|admin\/(oauth|custom-providers|sso)|\.well-known\/oauth)/.test(
    route,
  )

const routeOf = (name: string): string => name.split(',')[0] as string

/** All that there is of accounts: what is kept of budgets and the log is none of it. */
const stored = async (): Promise<string> => {
  const tables = await rows(
    `SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'leanto_auth_%'
       AND name NOT IN ('leanto_auth_audit', 'leanto_auth_keys') ORDER BY name`,
  )
  return JSON.stringify(
    await Promise.all(tables.map(({ name }) => rows(`SELECT * FROM ${name} ORDER BY 1`))),
  )
}

let world: World
const ask = ([path, asked = {}]: Asked, by?: Session) =>
  world.ask(`/auth/v1${path}`, { ...asked, ...(by ? { token: by.access_token } : {}) })

it('every route of every part is in one of the lists', () => {
  const listed = [
    ...new Set(Object.keys(refused).map(routeOf)),
    ...Object.keys(open),
    ...serversOwn,
    ...Object.keys(nobodys),
  ]
  // Two that are in two: they end sessions, or read an identity's proof, only of some kinds.
  const twice = listed.filter((route, i) => listed.indexOf(route) !== i)
  expect(twice.sort()).toEqual(['POST /logout', 'POST /token'])
  const table = make().users.table.map(({ method, path }) => `${method} ${path}`)
  expect([...new Set(table.filter((route) => !isClosed(route)))].sort()).toEqual(
    [...new Set(listed)].sort(),
  )
})

it('every import of auth is mounted here or in impersonation-parts, or has no routes', () => {
  const mounted = ['admin', 'impersonation', 'mfa', 'parts', 'passkeys', 'wallets']
  const inParts = [
    'custom-providers',
    'moving',
    'oauth-server',
    'oauth-server/device',
    'oauth-server/dpop',
    'organizations',
    'scim',
  ]
  const routeless = ['passwords', 'providers']
  const imports = Object.keys(packageJson.exports).flatMap(
    (path) => path.match(/^\.\/auth\/(.+)$/)?.[1] ?? [],
  )
  expect(imports.sort()).toEqual([...mounted, ...inParts, ...routeless].sort())
})

describe('whoever acts for a user', () => {
  beforeEach(async () => {
    world = await prepare()
    clock.advance(30)
  })

  it.each(Object.entries(refused))('is refused %s, which the user is not', async (_, row) => {
    const asked = await row.ask(world)
    const before = await stored()
    const mails = inbox.mails.length + inbox.texts.length
    const response = await ask(asked, world.acted)
    expect(response.status).toBe(403)
    expect(response.headers.get('x-sb-error-code')).toBe('no_authorization')
    expect(await response.json()).toMatchObject({ msg: expect.stringMatching(/acts for/) })
    expect(response.headers.get('set-cookie')).toBe(null)
    expect(await stored()).toBe(before)
    expect(inbox.mails.length + inbox.texts.length).toBe(mails)
    const own = await ask(asked, world.own)
    expect(own.status, await own.clone().text()).toBe(row.own ?? 200)
    expect(own.headers.get('x-sb-error-code')).not.toBe('no_authorization')
  })

  it.each(Object.entries(open))('may %s', async (route, status) => {
    const [method = '', path = ''] = route.split(' ')
    const before = await stored()
    expect((await ask([path, { method }], world.acted)).status).toBe(status)
    if (method === 'GET') expect(await stored()).toBe(before)
    // Ann's own sessions go on in any case.
    expect((await ask(['/user'], world.own)).status).toBe(200)
    expect((await ask(['/user'], world.second)).status).toBe(200)
  })

  it.each(serversOwn)('is not the server at %s', async (route) => {
    const [method = '', pattern = ''] = route.split(' ')
    const path = pattern
      .replace(':user_id', world.own.user.id)
      .replace(':factor_id', world.factor.id)
      .replace(':passkey_id', world.passkey.id)
      .replace(':key_id', crypto.randomUUID())
    const before = await stored()
    const asked: Asked = [path, { method, ...(method === 'GET' ? {} : { body: {} }) }]
    const response = await ask(asked, world.acted)
    expect(response.status).toBe(403)
    expect(response.headers.get('x-sb-error-code')).toBe('not_admin')
    expect(await stored()).toBe(before)
    // It is there, and lets the server in.
    expect([401, 403]).not.toContain(
      (await world.ask(`/auth/v1${path}`, { ...asked[1], ...service })).status,
    )
  })

  it.each(Object.entries(nobodys))('is nobody in particular at %s', async (route, asked) => {
    const [method = '', path = ''] = route.split(' ')
    const { at = path, ...more } = asked
    const of = () => rows('SELECT * FROM leanto_auth_users WHERE email = ?', email)
    const response = await ask([at, { method, ...more }], world.acted)
    const found = (await of())[0]
    world = await prepare()
    const guest = await ask([at, { method, ...more }])
    expect(response.status, await response.text()).toBe(guest.status)
    const names = (row: Json) => Object.keys(row).filter((name) => row[name] === null)
    expect(names(found)).toEqual(names((await of())[0]))
  })
})
