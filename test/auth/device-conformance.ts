import { devices } from 'leanto/auth/oauth-server/device'
import { dpop } from 'leanto/auth/oauth-server/dpop'
import type { Row, World } from '../kit/conformance.ts'
import { clock, site } from '../kit/world.ts'
import { type Meet, own, users } from './conformance-world.ts'
import { deviceGrant } from './device-world.ts'
import { makeProver } from './dpop-world.ts'
import { formed, makeClient, submit } from './oauth-server-world.ts'
import { expectStatus, type Json } from './world.ts'

/* What the OAuth server owes with its extensions mounted. */

export const extensions = () => [devices({ attempts: { max: 2, seconds: 300 } }), dpop()]

const metadata = { grant_types: [deviceGrant], token_endpoint_auth_method: 'none' }

const begun = async ({ ask }: World): Promise<Json> => {
  const { client_id } = await makeClient(ask, metadata)
  const made = await submit(ask, 'device_authorization', { client_id })
  return { client_id, ...(await expectStatus(made, 200)) }
}
/** As the owner: what waits for their session. */
const claimed = async (world: World): Promise<Json> => {
  const made = await begun(world)
  await expectStatus(await claim(made)(world), 200)
  return made
}
const claim = ({ user_code }: Json) => own('/oauth/device/claim', { body: { user_code } })
const answer = ({ user_code }: Json, action: string) =>
  own('/oauth/device/consent', { body: { user_code, action } })

const typed = async (world: World, fields: Record<string, string> = {}) => ({
  path: '/oauth/device',
  method: 'POST',
  body: new URLSearchParams({ user_code: (await begun(world)).user_code, ...fields }).toString(),
  headers: { ...formed, origin: site },
})

export const deviceMatrix: readonly Row[] = [
  {
    route: 'POST /oauth/device_authorization',
    ask: async ({ ask }) => ({
      path: '/oauth/device_authorization',
      method: 'POST',
      body: `client_id=${(await makeClient(ask, metadata)).client_id}`,
      headers: formed,
    }),
    answers: { guest: 200, owner: 200, stranger: 200, service: 200 },
  },
  { route: 'GET /oauth/device', ask: () => ({ path: '/oauth/device' }), answers: users(200) },
  { route: 'POST /oauth/device', ask: (world) => typed(world), answers: users(200) },
  {
    route: 'POST /oauth/device',
    // The owner's alone, who has not entered it yet.
    ask: (world) => typed(world, { answer: 'approve' }),
    answers: users(404),
  },
  {
    route: 'POST /oauth/device/claim',
    ask: async (world) => ({
      path: '/oauth/device/claim',
      method: 'POST',
      body: { user_code: (await begun(world)).user_code },
    }),
    answers: users(200),
  },
  {
    route: 'POST /oauth/device/claim',
    ask: async (world) => ({
      path: '/oauth/device/claim',
      method: 'POST',
      body: { user_code: (await claimed(world)).user_code },
    }),
    answers: users(200, 404),
  },
  {
    route: 'POST /oauth/device/consent',
    ask: async (world) => ({
      path: '/oauth/device/consent',
      method: 'POST',
      body: { user_code: (await claimed(world)).user_code, action: 'approve' },
    }),
    answers: users(200, 404),
  },
]

const poll = ({ ask }: World, { client_id, device_code }: Json, headers = {}) =>
  submit(ask, 'token', { grant_type: deviceGrant, client_id, device_code }, { headers })

export const deviceMet: Record<string, Meet> = {
  access_denied: async (world) => {
    const made = await claimed(world)
    await answer(made, 'deny')(world)
    return poll(world, made)
  },
  authorization_pending: async (world) => poll(world, await begun(world)),
  bad_origin: ({ ask }) => submit(ask, 'device', { user_code: 'x' }),
  expired_token: async (world) => {
    const made = await begun(world)
    clock.advance(600)
    return poll(world, made)
  },
  invalid_dpop_proof: async (world) => poll(world, await begun(world), { dpop: 'x' }),
  oauth_device_not_found: own('/oauth/device/claim', { body: { user_code: 'BBBB-BBBB' } }),
  slow_down: async (world) => {
    const made = await begun(world)
    await poll(world, made)
    return poll(world, made)
  },
}

/** Where a proof must have a nonce. */
export const withNonce = dpop({ nonce: true })
export const nonceMet: Meet = async ({ ask }) => {
  const { client_id } = await makeClient(ask, metadata)
  const { prove } = await makeProver()
  const headers = { dpop: await prove('POST', `${site}/auth/v1/oauth/token`) }
  return submit(ask, 'token', { grant_type: deviceGrant, client_id, device_code: 'x' }, { headers })
}
