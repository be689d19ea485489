import { apiKeys } from 'leanto'
import type { AuthOptions } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { type OAuthServerOptions, oauthServer } from 'leanto/auth/oauth-server'
import { type DeviceOptions, devices } from 'leanto/auth/oauth-server/device'
import { type DpopOptions, dpop } from 'leanto/auth/oauth-server/dpop'
import { cookies } from 'leanto/auth/parts'
import { type Env, freshDatabase, type makeBase, site, testSecret } from '../kit/world.ts'
import {
  type Asker,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  password,
  signUp,
} from './world.ts'

export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
export const own = { 'sec-fetch-site': 'same-origin' }

export interface Setup {
  devices?: DeviceOptions
  dpop?: DpopOptions
  server?: OAuthServerOptions
  auth?: Partial<AuthOptions<Env>>
  base?: Parameters<typeof makeBase>[0]
}

export const scopes = { notes: 'Read and change your notes' }

export const makeUsers = (setup: Setup = {}) =>
  makeAuth(
    {
      ...setup.auth,
      with: [
        oauthServer({ scopes, with: [devices(setup.devices), dpop(setup.dpop)], ...setup.server }),
        admin(),
        cookies(),
        ...(setup.auth?.with ?? []),
      ],
    },
    setup.base,
  )

/** A form, as the protocol's clients send it. */
export const formTo = (
  ask: Asker,
  path: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
) =>
  ask(`/auth/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: String(new URLSearchParams(form)),
  })

export async function makeClient(ask: Asker, metadata: object = {}): Promise<Json> {
  const { secret } = await apiKeys(testSecret)
  return expectStatus(
    await ask('/auth/v1/admin/oauth/clients', {
      headers: { apikey: secret },
      body: {
        client_name: 'Big Screen',
        client_uri: 'https://screen.example/about',
        grant_types: [deviceGrant, 'refresh_token'],
        token_endpoint_auth_method: 'none',
        ...metadata,
      },
    }),
    201,
  )
}

/** A device, its client, and someone who is signed in elsewhere. */
export async function makeWorld(setup: Setup = {}) {
  const users = makeUsers(setup)
  await freshDatabase([users])
  const ask = mountAuth(users)
  const client = await makeClient(ask)
  const session = await signUp(ask, 'ann@example.com')
  return worldOf({ users, ask, client, session })
}

interface Made {
  users: ReturnType<typeof makeUsers>
  ask: Asker
  client: Json
  session: Json
}

export function worldOf({ users, ask, client, session }: Made) {
  const begin = async (form: Record<string, string> = {}, headers = {}): Promise<Json> =>
    expectStatus(
      await formTo(
        ask,
        '/oauth/device_authorization',
        { client_id: client.client_id, scope: 'openid email notes', ...form },
        headers,
      ),
      200,
    )
  const poll = (device_code: string, form: Record<string, string> = {}, headers = {}) =>
    formTo(
      ask,
      '/oauth/token',
      { grant_type: deviceGrant, client_id: client.client_id, device_code, ...form },
      headers,
    )
  const claim = (user_code: string, token: string | undefined = session.access_token, more = {}) =>
    ask('/auth/v1/oauth/device/claim', { body: { user_code }, token, ...more })
  const consent = (
    user_code: string,
    action = 'approve',
    token: string | undefined = session.access_token,
  ) => ask('/auth/v1/oauth/device/consent', { body: { user_code, action }, token })
  /** All that a user does. */
  const approve = async (user_code: string) => {
    await expectStatus(await claim(user_code), 200)
    await expectStatus(await consent(user_code), 200)
  }
  /** The tokens of a device, from the start. */
  const connect = async (form: Record<string, string> = {}, headers = {}): Promise<Json> => {
    const { device_code, user_code } = await begin()
    await approve(user_code)
    return expectStatus(await poll(device_code, form, headers), 200)
  }
  return { users, ask, client, session, begin, poll, claim, consent, approve, connect }
}

export type DeviceWorld = Awaited<ReturnType<typeof makeWorld>>

/** Signs up, into cookies. */
export async function browser(ask: Asker, email: string): Promise<{ cookie: string }> {
  const response = await ask('/auth/v1/signup', {
    headers: { ...own, prefer: 'session=cookie' },
    body: { email, password },
  })
  await expectStatus(response.clone(), 200)
  const pairs = response.headers.getSetCookie().map((one) => one.split(';')[0])
  return { cookie: pairs.join('; ') }
}

/** What a page's form is sent as. */
export const submit = (ask: Asker, form: Record<string, string>, headers: Record<string, string>) =>
  formTo(ask, '/oauth/device', form, { ...own, origin: site, ...headers })
