import { expect } from 'vitest'
import { site } from '../kit/world.ts'
import { deviceGrant } from './device-world.ts'
import { makeProver, type Prover } from './dpop-world.ts'
import { againOr } from './fault-steps.ts'
import { aside, type Row, token, type World } from './fault-world.ts'
import { credentials, formed, makeClient, submit } from './oauth-server-world.ts'
import { count, expectStatus, type Json, rows } from './world.ts'

let key: Prover

const prepare = async (world: World) => {
  key = await makeProver()
  const grant_types = [deviceGrant, 'refresh_token']
  world.made = {
    client: await makeClient(world.ask, { grant_types, token_endpoint_auth_method: 'none' }),
  }
}
const beginning = ({ ask, made }: World) =>
  submit(ask, 'device_authorization', { client_id: made.client.client_id, scope: 'openid notes' })
const begin = async (world: World) => {
  Object.assign(world.made, await expectStatus(await beginning(world), 200))
}
const asUser = (world: World, path: string, body: object) =>
  world.ask(`/auth/v1/oauth/device/${path}`, { body, ...token(world) })
const claiming = (world: World) => asUser(world, 'claim', { user_code: world.made.user_code })
const answering = (action: string) => (world: World) =>
  asUser(world, 'consent', { user_code: world.made.user_code, action })
const typing = (answer?: string) => (world: World) =>
  world.ask('/auth/v1/oauth/device', {
    method: 'POST',
    body: String(
      new URLSearchParams({ user_code: world.made.user_code, ...(answer ? { answer } : {}) }),
    ),
    headers: { ...formed, origin: site },
    ...token(world),
  })
const polling = ({ ask, made }: World) =>
  submit(ask, 'token', {
    grant_type: deviceGrant,
    device_code: made.device_code,
    ...credentials(made.client),
  })

const prepareBegun = async (world: World) => {
  await prepare(world)
  await begin(world)
}
const prepareClaimed = async (world: World) => {
  await prepareBegun(world)
  await expectStatus(await claiming(world), 200)
}
const approved = async (world: World) => {
  await begin(world)
  await expectStatus(await claiming(world), 200)
  await expectStatus(await answering('approve')(world), 200)
}
const prepareApproved = async (world: World) => {
  await prepare(world)
  await approved(world)
}
/** A device whose answer was lost begins anew. */
const anew = async (world: World) => {
  await aside(() => approved(world))
  return polling(world)
}

const bound = async ({ ask, made }: World, fields: object): Promise<Response> => {
  const dpop = await key.prove('POST', `${site}/auth/v1/oauth/token`)
  const all = { ...credentials(made.client), ...fields }
  return submit(ask, 'token', all as never, { headers: { ...formed, dpop } })
}
const prepareBound = async (world: World) => {
  await prepareApproved(world)
  const { device_code } = world.made
  const fields = { grant_type: deviceGrant, device_code }
  world.made.tokens = (await expectStatus(await bound(world, fields), 200)) as Json
}

const decided = (decision: string) => async () => {
  expect(await rows('SELECT decision FROM leanto_auth_oauth_devices')).toEqual([{ decision }])
  expect(await count('oauth_consents')).toBe(decision === 'approved' ? 1 : 0)
}
/** No attempt was lost by a failure of ours (case 20). */
const nothingSpent = async () =>
  expect(
    await rows(`SELECT key FROM leanto_core_limits WHERE key LIKE 'auth:device%' AND spent > 0`),
  ).toEqual([])

export const deviceRows: Row[] = [
  { name: 'POST /oauth/device_authorization', prepare, call: beginning },
  {
    name: 'GET /oauth/device',
    call: (world) => world.ask('/auth/v1/oauth/device', token(world)),
  },
  { name: 'POST /oauth/device', prepare: prepareBegun, call: typing(), end: nothingSpent },
  {
    name: 'POST /oauth/device, allowed',
    prepare: prepareClaimed,
    call: typing('approve'),
    answers: [200, 404],
    end: decided('approved'),
  },
  {
    name: 'POST /oauth/device/claim',
    prepare: prepareBegun,
    call: claiming,
    end: nothingSpent,
  },
  {
    name: 'POST /oauth/device/consent',
    prepare: prepareClaimed,
    call: answering('approve'),
    answers: [200, 404],
    end: async (world) => {
      await decided('approved')()
      await expectStatus(await polling(world), 200)
    },
  },
  {
    name: 'POST /oauth/device/consent, denied',
    prepare: prepareClaimed,
    call: answering('deny'),
    answers: [200, 404],
    end: decided('denied'),
  },
  {
    name: 'POST /oauth/token, a device',
    prepare: prepareApproved,
    call: polling,
    retry: againOr(polling, anew),
  },
  {
    name: 'POST /oauth/token, a key',
    prepare: prepareBound,
    call: (world) =>
      bound(world, {
        grant_type: 'refresh_token',
        refresh_token: world.made.tokens.refresh_token,
      }),
  },
  {
    name: 'GET /oauth/userinfo, a key',
    prepare: prepareBound,
    call: async ({ ask, made }) => {
      const { access_token } = made.tokens
      const dpop = await key.prove('GET', `${site}/auth/v1/oauth/userinfo`, access_token)
      return ask('/auth/v1/oauth/userinfo', {
        headers: { authorization: `DPoP ${access_token}`, dpop },
      })
    },
  },
]
