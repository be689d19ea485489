import type { Base } from 'leanto'
import { auth } from 'leanto/auth'
import { passkeys } from 'leanto/auth/passkeys'
import { conforms, type Row, type World } from '../kit/conformance.ts'
import { clock, type Env, makeBase, site } from '../kit/world.ts'
import { makeAuthenticator } from './authenticator.ts'
import {
  baseFaults,
  baseMatrix,
  baseMigrations,
  everyone,
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
import type { Json } from './world.ts'

const make = (base: Base<Env>, options: Options) =>
  auth(base, { site, with: [passkeys({ maxPasskeys: 2 })], ...options })

const device = makeAuthenticator()
const path = '/passkeys'

const creation = (world: World): Promise<Json> =>
  ok(own(`${path}/registration/options`, { body: {} })(world))
const request = ({ ask }: World): Promise<Json> =>
  ok(ask(`${mountAt}${path}/authentication/options`, { body: {} }))

/** What the owner's registration is completed by. */
async function made(world: World, again?: (typeof device.credentials)[0]) {
  const { challenge_id, options } = await creation(world)
  return { challenge_id, credential: await device.create(options, {}, again) }
}
/** A passkey of the owner. */
async function kept(world: World): Promise<Json> {
  device.credentials.length = 0
  return ok(own(`${path}/registration/verify`, { body: await made(world) })(world))
}
async function shown(world: World, quirks: object = {}) {
  await kept(world)
  const { challenge_id, options } = await request(world)
  return { challenge_id, credential: await device.get(options, quirks) }
}

const matrix: Row[] = [
  {
    route: `POST ${path}/registration/options`,
    ask: () => ({ path: `${path}/registration/options`, method: 'POST', body: {} }),
    answers: users(200),
  },
  {
    route: `POST ${path}/registration/verify`,
    ask: async (world) => ({
      path: `${path}/registration/verify`,
      method: 'POST',
      body: await made(world),
    }),
    answers: users(200, 400),
  },
  {
    route: `POST ${path}/authentication/options`,
    ask: () => ({ path: `${path}/authentication/options`, method: 'POST', body: {} }),
    answers: everyone(200),
  },
  {
    route: `POST ${path}/authentication/verify`,
    ask: async (world) => ({
      path: `${path}/authentication/verify`,
      method: 'POST',
      body: await shown(world),
    }),
    answers: everyone(200),
  },
  { route: `GET ${path}`, ask: () => ({ path }), answers: users(200) },
  {
    route: `PATCH ${path}/:passkey_id`,
    ask: async (world) => ({
      path: `${path}/${(await kept(world)).id}`,
      method: 'PATCH',
      body: { friendly_name: 'Phone' },
    }),
    answers: users(200, 404),
  },
  {
    route: `DELETE ${path}/:passkey_id`,
    ask: async (world) => ({ path: `${path}/${(await kept(world)).id}`, method: 'DELETE' }),
    answers: users(204, 404),
  },
]
const ours = new Set(matrix.map(({ route }) => route))

const verify = (world: World, body: object) => own(`${path}/registration/verify`, { body })(world)
const signIn = ({ ask }: World, body: object) =>
  ask(`${mountAt}${path}/authentication/verify`, { body })

const faults: Record<string, Meet> = {
  // Where the part `admin` is not mounted.
  passkey_disabled: ({ ask }) => ask(`${mountAt}/admin/users/${unknown}/passkeys`),
  too_many_passkeys: async (world) => {
    for (let i = 0; i < 2; i++) await kept(world)
    return own(`${path}/registration/options`, { body: {} })(world)
  },
  webauthn_challenge_expired: async (world) => {
    const body = await made(world)
    clock.advance(300)
    return verify(world, body)
  },
  webauthn_challenge_not_found: async (world) => {
    const body = await made(world)
    await ok(verify(world, body))
    return verify(world, body)
  },
  webauthn_credential_exists: async (world) => {
    await kept(world)
    return verify(world, await made(world, device.credentials[0]))
  },
  webauthn_credential_not_found: async (world) => {
    const body = await shown(world)
    const { id } = (await ok(own(path)(world)))[0]
    await own(`${path}/${id}`, { method: 'DELETE' })(world)
    return signIn(world, body)
  },
  webauthn_verification_failed: async (world) =>
    signIn(world, await shown(world, { origin: 'https://evil.example' })),
}

conforms('auth', {
  make: (base) => make(base, reaching),
  mount: mountAt,
  migrations: { ...baseMigrations, '0006_passkeys': 'kiaTtlc7XcK0-X4IBQdKD_kt7Oe5jDHKPLKRDrF637g' },
  prepare,
  matrix: [
    ...baseMatrix.filter(({ route }) => !ours.has(route)),
    ...matrix,
    {
      route: 'GET /authorize',
      ask: () => ({ path: '/authorize?provider=google' }),
      answers: everyone(400),
    },
    {
      route: 'GET /user/identities/authorize',
      ask: () => ({ path: '/user/identities/authorize?provider=google' }),
      answers: users(400),
    },
  ],
  faults: { ...baseFaults((options) => make(makeBase(), options)), ...faults },
})
