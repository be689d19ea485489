import { turnstile } from 'leanto/auth/parts'
import { passkeys } from 'leanto/auth/passkeys'
import { beforeEach, describe, expect, it } from 'vitest'
import { site } from '../kit/world.ts'
import { flag, makeAuthenticator } from './authenticator.ts'
import {
  creation,
  expectRefused,
  newPasskey,
  passkeyWorld,
  tryRegistering,
  trySignIn,
  type World,
} from './passkey-world.ts'
import { expectStatus, makeAuth, mountAuth, post } from './world.ts'

/* What the options say of where passkeys are made and shown, and how surely. */

let world: World
beforeEach(async () => {
  world = await passkeyWorld()
})

describe('other places', () => {
  const origins = ['https://shop.example', 'android:apk-key-hash:abc', 'https://x.app.example']

  it('that are listed may make and show passkeys', async () => {
    world = await passkeyWorld({ origins })
    for (const origin of origins) {
      world.device = makeAuthenticator({ origin })
      await newPasskey(world)
      expect((await trySignIn(world)).status).toBe(200)
    }
    expect((await trySignIn(world, { origin: 'https://shop.example.evil' })).status).toBe(400)
    expect(passkeys({ origins }).relatedOrigins).toEqual([origins[0], origins[2]])
  })

  it('may hold a page in a frame', async () => {
    world = await passkeyWorld({ embedders: ['https://shop.example'] })
    const framed = (topOrigin?: string) => ({ more: { crossOrigin: true, topOrigin } })
    await expectStatus(await tryRegistering(world, framed('https://shop.example')), 200)
    expect((await trySignIn(world, framed('https://shop.example'))).status).toBe(200)
    expect((await trySignIn(world, framed('https://evil.example'))).status).toBe(400)
    expect((await trySignIn(world, framed())).status).toBe(400)
    expect((await trySignIn(world)).status).toBe(200)
  })

  it('may be a domain above the site, and no other', async () => {
    world = await passkeyWorld({ rpId: 'example', name: 'Notes' })
    expect((await creation(world)).options.rp).toEqual({ id: 'example', name: 'Notes' })
    await newPasskey(world)
    expect((await trySignIn(world)).status).toBe(200)
    world = await passkeyWorld({ rpId: 'evil.example' })
    const response = await post(world.ask, '/passkeys/authentication/options', {})
    expect((await expectStatus(response, 500)).msg).toContain('rpId')
  })

  it('are not what a request says of its host (case 10)', async () => {
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      origin: 'https://evil.example',
    }
    const response = await post(world.ask, '/passkeys/authentication/options', {}, { headers })
    expect((await expectStatus(response, 200)).options.rpId).toBe(new URL(site).hostname)
  })
})

it('takes a touch where that is enough', async () => {
  world = await passkeyWorld({ userVerification: 'preferred' })
  const { options } = await creation(world)
  expect(options.authenticatorSelection.userVerification).toBe('preferred')
  const flags = flag.present | flag.attested
  await expectStatus(await tryRegistering(world, { flags }), 200)
  expect((await trySignIn(world, { flags: flag.present })).status).toBe(200)
})

it.each([
  [{ rpId: 'https://app.example' }, /rpId/],
  [{ rpId: 'app.example:443' }, /rpId/],
  [{ rpId: '' }, /rpId/],
  [{ name: '' }, /name/],
  [{ origins: ['app.example'] }, /origins/],
  [{ origins: ['https://app.example/'] }, /origins/],
  [{ origins: 'https://app.example' }, /origins/],
  [{ embedders: ['*'] }, /embedders/],
  [{ embedders: true }, /embedders/],
  [{ userVerification: 'discouraged' }, /userVerification/],
  [{ maxPasskeys: 0 }, /maxPasskeys/],
  [{ maxPasskeys: 101 }, /maxPasskeys/],
])('throws for %j when it is made', (options, message) => {
  expect(() => passkeys(options as never)).toThrow(message)
})

it('wants a solved Turnstile before it asks for a passkey, where that is mounted', async () => {
  const widget = turnstile({ secret: 'shh', fetch: async () => Response.json({ success: true }) })
  world = await passkeyWorld({}, { with: [passkeys()] })
  const ask = mountAuth(makeAuth({ with: [passkeys(), widget] }))
  const path = '/passkeys/authentication/options'
  await expectRefused(await post(ask, path, {}), 400, 'captcha_failed')
  const solved = { gotrue_meta_security: { captcha_token: 'solved' } }
  await expectStatus(await post(ask, path, solved), 200)
})
