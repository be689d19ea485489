import { expect } from 'vitest'
import { flag, makeAuthenticator } from './authenticator.ts'
import { aside, email, type Row, token, type World } from './fault-world.ts'
import { authenticate, creation, newPasskey, register, request } from './passkey-world.ts'
import { ethereum } from './wallets-world.ts'
import { count, expectStatus, type Json, post, signIn } from './world.ts'

const place = (world: World) => ({
  ask: world.ask,
  token: world.session.access_token,
  device: world.made.device,
})
const prepare = async (world: World) => {
  world.made = { device: makeAuthenticator() }
}
const prepareOne = async (world: World) => {
  await prepare(world)
  world.made.passkey = await newPasskey(place(world))
}
const own = (world: World) => `/auth/v1/passkeys/${world.made.passkey.id}`
const theirs = (world: World, rest = '') =>
  world.ask(`/auth/v1/admin/users/${world.session.user.id}/passkeys${rest}`, {
    key: 'secret',
    method: rest ? 'DELETE' : 'GET',
  })

/** As a browser does after a failure: from the beginning. */
const registering = async (world: World) => {
  const { challenge_id, options } = await aside(() => creation(place(world)))
  return register(place(world), challenge_id, await world.made.device.create(options))
}
const signingIn = async (world: World) => {
  const { challenge_id, options } = await aside(() => request(world))
  return authenticate(world, challenge_id, await world.made.device.get(options))
}

const keyed = async (world: World) => {
  await prepare(world)
  const body = { factor_type: 'webauthn' }
  world.made.factor = await expectStatus(await post(world.ask, '/factors', body, token(world)), 200)
}
const showing = async (world: World) => {
  const { device, factor } = world.made
  const path = `/factors/${factor.id}`
  const challenged: Json = await aside(async () =>
    expectStatus(await post(world.ask, `${path}/challenge`, {}, token(world)), 200),
  )
  const { type, credential_options } = challenged.webauthn
  const options = credential_options.publicKey
  const credential_response =
    type === 'create'
      ? await device.create(options, { flags: flag.present | flag.attested })
      : await device.get(options, { flags: flag.present })
  const body = { challenge_id: challenged.id, webauthn: { type, credential_response } }
  return post(world.ask, `${path}/verify`, body, token(world))
}

/** A message is good once: a wallet signs another after a failure. */
const byWallet = ({ ask, made }: World) =>
  post(ask, '/token?grant_type=web3', made.wallet.show({ nonce: `nonce${++made.nonce}0000` }))

export const passkeyRows: Row[] = [
  {
    name: 'POST /token, web3',
    prepare: async (world) => {
      world.made = { wallet: ethereum(), nonce: 0 }
    },
    call: byWallet,
  },
  {
    name: 'POST /passkeys/registration/options',
    prepare,
    call: (world) => post(world.ask, '/passkeys/registration/options', {}, token(world)),
  },
  {
    name: 'POST /passkeys/registration/verify',
    prepare,
    call: registering,
    end: async () => expect(await count('passkeys')).toBeGreaterThan(0),
  },
  {
    name: 'POST /passkeys/authentication/options',
    call: ({ ask }) => post(ask, '/passkeys/authentication/options', {}),
  },
  { name: 'POST /passkeys/authentication/verify', prepare: prepareOne, call: signingIn },
  { name: 'GET /passkeys', call: (world) => world.ask('/auth/v1/passkeys', token(world)) },
  {
    name: 'PATCH /passkeys/:id',
    prepare: prepareOne,
    call: (world) =>
      world.ask(own(world), {
        method: 'PATCH',
        body: { friendly_name: 'Phone' },
        ...token(world),
      }),
  },
  {
    name: 'DELETE /passkeys/:id',
    prepare: prepareOne,
    call: (world) => world.ask(own(world), { method: 'DELETE', ...token(world) }),
    answers: [204, 404],
  },
  { name: 'GET /admin/users/:id/passkeys', prepare: prepareOne, call: (world) => theirs(world) },
  {
    name: 'DELETE /admin/users/:id/passkeys/:id',
    prepare: prepareOne,
    call: (world) => theirs(world, `/${world.made.passkey.id}`),
    answers: [204, 404],
  },
  {
    name: 'POST /factors/:id/challenge, a security key',
    prepare: keyed,
    call: (world) =>
      post(world.ask, `/factors/${world.made.factor.id}/challenge`, {}, token(world)),
  },
  {
    name: 'POST /factors/:id/verify, a security key, the first time',
    prepare: keyed,
    call: showing,
  },
  {
    name: 'POST /factors/:id/verify, a security key',
    prepare: async (world) => {
      await keyed(world)
      await expectStatus(await showing(world), 200)
      world.session = await expectStatus(await signIn(world.ask, email), 200)
    },
    call: showing,
  },
]
