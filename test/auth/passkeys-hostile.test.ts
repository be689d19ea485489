import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { base64url } from '../../src/core/secret.ts'
import { makeAuthenticator } from './authenticator.ts'
import {
  authenticate,
  creation,
  expectRefused,
  newPasskey,
  passkeyWorld,
  register,
  request,
  tryRegistering,
  trySignIn,
  type World,
} from './passkey-world.ts'
import { count } from './world.ts'

let world: World
beforeEach(async () => {
  world = await passkeyWorld()
})

describe('whatever comes in the place of a credential', () => {
  const never5xx = async (response: Response) => {
    expect(response.status, await response.clone().text()).toBeGreaterThanOrEqual(400)
    expect(response.status).toBeLessThan(500)
  }

  it('is refused as JSON of any shape (case 22)', async () => {
    await newPasskey(world)
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (credential) => {
        const id = crypto.randomUUID()
        await never5xx(await authenticate(world, id, credential))
        await never5xx(await register(world, id, credential))
      }),
      { numRuns: 60 },
    )
  })

  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    // CBOR's own heads, so that lengths and nesting are claimed.
    fc
      .array(
        fc.constantFrom(0x9f, 0xbf, 0x9b, 0xbb, 0x5b, 0x7b, 0x81, 0xa1, 0xff, 0xf9, 0xc0, 0x1b),
        {
          maxLength: 80,
        },
      )
      .map((list) => Uint8Array.from(list)),
  )

  it('is refused as an attestation of any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, async (hostile) => {
        const { challenge_id, options } = await creation(world)
        const response = { attestationObject: base64url(hostile) }
        const credential = await world.device.create(options, { response })
        await never5xx(await register(world, challenge_id, credential))
      }),
      { numRuns: 60 },
    )
  })

  it('is refused as a key of any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, async (cose) => {
        await never5xx(await tryRegistering(world, { cose }))
      }),
      { numRuns: 60 },
    )
    expect(await count('passkeys')).toBe(0)
  })

  it('is refused as data and signature of any bytes', async () => {
    await newPasskey(world)
    await fc.assert(
      fc.asyncProperty(bytes, bytes, async (data, signature) => {
        const { challenge_id, options } = await request(world)
        const response = {
          authenticatorData: base64url(data),
          signature: base64url(signature),
        }
        const credential = await world.device.get(options, { response })
        await never5xx(await authenticate(world, challenge_id, credential))
      }),
      { numRuns: 60 },
    )
  })

  it('is refused with client data of any text', async () => {
    await newPasskey(world)
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (said) => {
        const { challenge_id, options } = await request(world)
        const response = { clientDataJSON: base64url(new TextEncoder().encode(said)) }
        const credential = await world.device.get(options, { response })
        await never5xx(await authenticate(world, challenge_id, credential))
      }),
      { numRuns: 60 },
    )
  })

  it('is refused, and quickly, nested a thousand deep and as long as it claims', async () => {
    for (const hostile of [
      new Uint8Array(100_000).fill(0x81),
      Uint8Array.from([0x9a, 0xff, 0xff, 0xff, 0xff]),
      Uint8Array.from([0xba, 0x7f, 0xff, 0xff, 0xff]),
      Uint8Array.from([0x5b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      Uint8Array.from([0xa2, 0x01, 0x01, 0x01, 0x02]),
    ]) {
      const { challenge_id, options } = await creation(world)
      const response = { attestationObject: base64url(hostile) }
      const credential = await world.device.create(options, { response })
      await expectRefused(
        await register(world, challenge_id, credential),
        400,
        'webauthn_verification_failed',
      )
    }
  })

  it('is refused as an id that is too long, and taken as long as it may be', async () => {
    world.device = makeAuthenticator({ idLength: 1023 })
    await newPasskey(world)
    expect((await trySignIn(world)).status).toBe(200)
    world.device = makeAuthenticator({ idLength: 1024 })
    await expectRefused(await tryRegistering(world), 400, 'webauthn_verification_failed')
  })
})
