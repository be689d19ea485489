import type { Auth, AuthOptions } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { mfa } from 'leanto/auth/mfa'
import { type PasskeyOptions, passkeys } from 'leanto/auth/passkeys'
import { expect } from 'vitest'
import type { Env } from '../kit/world.ts'
import { type Ask, freshDatabase } from '../kit/world.ts'
import { type Authenticator, makeAuthenticator, type Quirks } from './authenticator.ts'
import { type Asker, expectStatus, type Json, makeAuth, mountAuth, post, signUp } from './world.ts'

export const email = 'ann@example.com'

export interface World {
  users: Auth
  ask: Asker
  session: Json
  token: string
  device: Authenticator
}

const withPasskeys = (options: PasskeyOptions = {}): AuthOptions<Env>['with'] => [
  passkeys(options),
  mfa(),
  admin(),
]

export async function passkeyWorld(
  options: PasskeyOptions = {},
  more: Partial<AuthOptions<Env>> = {},
  base: Parameters<typeof makeAuth>[1] = {},
): Promise<World> {
  const users = makeAuth({ with: withPasskeys(options), ...more }, base)
  await freshDatabase([users])
  const ask = mountAuth(users)
  const session = await signUp(ask, email)
  return { users, ask, session, token: session.access_token, device: makeAuthenticator() }
}

type Place = Pick<World, 'ask'> & { token?: string | undefined }

export const creation = async ({ ask, token }: Place): Promise<Json> =>
  expectStatus(await post(ask, '/passkeys/registration/options', {}, { token }), 200)

export const request = async ({ ask }: Pick<World, 'ask'>): Promise<Json> =>
  expectStatus(await post(ask, '/passkeys/authentication/options', {}), 200)

export const register = (
  { ask, token }: Place,
  challenge_id: unknown,
  credential: unknown,
): Promise<Response> =>
  post(ask, '/passkeys/registration/verify', { challenge_id, credential }, { token })

export const authenticate = (
  { ask }: Pick<World, 'ask'>,
  challenge_id: unknown,
  credential: unknown,
  more: Ask = {},
): Promise<Response> =>
  post(ask, '/passkeys/authentication/verify', { challenge_id, credential }, more)

/** Both requests of a registration. */
export async function tryRegistering(
  world: Place & { device: Authenticator },
  quirks: Quirks = {},
): Promise<Response> {
  const { challenge_id, options } = await creation(world)
  return register(world, challenge_id, await world.device.create(options, quirks))
}

export const newPasskey = async (world: Place & { device: Authenticator }): Promise<Json> =>
  expectStatus(await tryRegistering(world), 200)

/** Both requests of a sign-in. */
export async function trySignIn(
  world: Pick<World, 'ask' | 'device'>,
  quirks: Quirks = {},
): Promise<Response> {
  const { challenge_id, options } = await request(world)
  return authenticate(world, challenge_id, await world.device.get(options, quirks))
}

export async function expectRefused(response: Response, status: number, code: string) {
  const { error_code } = await response.json<Json>()
  expect([response.status, error_code]).toEqual([status, code])
}
