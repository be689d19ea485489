import { expect, vi } from 'vitest'
import { base64url } from '../../src/core/secret.ts'
import { flag, makeAuthenticator, type Quirks } from './authenticator.ts'
import type { Proof } from './client-proofs.ts'
import { email, fine, signedIn, type World } from './client-world.ts'
import { type Json, password } from './world.ts'

/*
 * The stock client's passkeys, through a browser's interface with the tests' authenticator behind it. The real browser is in
 * test/browser/passkeys.test.ts.
 */

/** What the client gives the browser, as the JSON that it had. */
const json = (value: Json): Json => {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value))
    return base64url(value instanceof ArrayBuffer ? value : new Uint8Array(value.buffer))
  if (Array.isArray(value)) return value.map(json)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, json(held)]))
}

function browser() {
  const device = makeAuthenticator()
  class PublicKeyCredential {
    readonly #json: Json
    constructor(made: Json) {
      this.#json = made
    }
    toJSON() {
      return this.#json
    }
  }
  /** A security key is only touched. */
  const quirks = ({ userVerification }: Json, attested: number): Quirks =>
    userVerification === 'required' ? {} : { flags: flag.present | attested }
  const credentials = {
    create: async ({ publicKey }: Json) =>
      new PublicKeyCredential(
        await device.create(
          json(publicKey),
          quirks(publicKey.authenticatorSelection, flag.attested),
        ),
      ),
    get: async ({ publicKey }: Json) =>
      new PublicKeyCredential(await device.get(json(publicKey), quirks(publicKey, 0))),
  }
  vi.stubGlobal('PublicKeyCredential', PublicKeyCredential)
  vi.stubGlobal('window', { PublicKeyCredential, location: { href: 'https://app.example/' } })
  vi.stubGlobal('document', {})
  vi.stubGlobal('navigator', { credentials })
  return credentials
}

const id = '00000000-0000-7000-8000-000000000000'
const webauthn = { rpId: 'app.example', rpOrigins: ['https://app.example'] }

/** Someone with a passkey, signed in. */
async function keeper(world: World): Promise<Json> {
  await signedIn(world)
  browser()
  return fine(await world.auth.registerPasskey())
}

const sign = async ({ auth }: World) => fine(await auth.signInWithPasskey())

const passkeyProofs: Record<string, Proof> = {
  async registerPasskey(world) {
    expect(await keeper(world)).toMatchObject({ id: expect.any(String) })
    expect(fine(await world.auth.passkey.list())).toHaveLength(1)
  },
  async signInWithPasskey(world) {
    await keeper(world)
    fine(await world.auth.signOut())
    const { session, user } = await sign(world)
    expect(user.email).toBe(email)
    expect(fine(await world.auth.getClaims(session.access_token)).claims.amr).toMatchObject([
      { method: 'passkey' },
    ])
    expect(fine(await world.auth.getUser()).user.email).toBe(email)
    const options = { mediation: 'conditional' } as const
    expect(fine(await world.auth.signInWithPasskey({ options })).user.email).toBe(email)
  },
  async 'passkey.startRegistration'(world) {
    await signedIn(world)
    const started = fine(await world.auth.passkey.startRegistration())
    expect(started).toMatchObject({
      challenge_id: expect.any(String),
      options: { rp: { id: 'app.example' } },
    })
    expect(started.expires_at * 1000).toBeGreaterThan(Date.now())
  },
  async 'passkey.verifyRegistration'(world) {
    await signedIn(world)
    const { passkey } = world.auth
    const device = makeAuthenticator()
    const started = fine(await passkey.startRegistration())
    const credential = await device.create(started.options)
    const input = { challengeId: started.challenge_id, credential }
    fine(await passkey.verifyRegistration(input))
    expect((await passkey.verifyRegistration(input)).error).toMatchObject({
      code: 'webauthn_challenge_not_found',
    })
  },
  async 'passkey.startAuthentication'({ auth }) {
    const started = fine(await auth.passkey.startAuthentication())
    expect(started.options).toMatchObject({ rpId: 'app.example', allowCredentials: [] })
  },
  async 'passkey.verifyAuthentication'(world) {
    await keeper(world)
    const { passkey } = world.auth
    const { challenge_id: challengeId, options } = fine(await passkey.startAuthentication())
    const device = makeAuthenticator()
    await device.create({ ...options, rp: { id: options.rpId }, user: { id: 'x' } })
    const credential = await device.get(options)
    const { error } = await passkey.verifyAuthentication({ challengeId, credential })
    expect(error).toMatchObject({ code: 'webauthn_credential_not_found', status: 400 })
    expect((await sign(world)).user.email).toBe(email)
  },
  async 'passkey.list'(world) {
    const made = await keeper(world)
    expect(fine(await world.auth.passkey.list())).toEqual([made])
  },
  async 'passkey.update'(world) {
    const { id: passkeyId } = await keeper(world)
    const { passkey } = world.auth
    const renamed = fine(await passkey.update({ passkeyId, friendlyName: 'Phone' }))
    expect(renamed).toMatchObject({ id: passkeyId, friendly_name: 'Phone' })
    expect((await passkey.update({ passkeyId: id, friendlyName: 'x' })).error?.status).toBe(404)
  },
  async 'passkey.delete'(world) {
    const { id: passkeyId } = await keeper(world)
    const { passkey } = world.auth
    expect(fine(await passkey.delete({ passkeyId }))).toBeNull()
    expect(fine(await passkey.list())).toEqual([])
    expect((await passkey.delete({ passkeyId })).error?.status).toBe(404)
  },
}

const register = async ({ auth }: World): Promise<Json> =>
  fine(await auth.mfa.webauthn.register({ friendlyName: 'Key', webauthn }))

const level = async ({ auth }: World) =>
  fine(await auth.mfa.getAuthenticatorAssuranceLevel()).currentLevel

/** Challenged in two steps, as an app may that asks its own questions in between. */
async function challenged(world: World, factorId: string): Promise<Json> {
  return fine(await world.auth.mfa.webauthn.challenge({ factorId, webauthn }))
}

const securityKeyProofs: Record<string, Proof> = {
  async 'mfa.webauthn.enroll'(world) {
    await signedIn(world)
    const factor = fine(await world.auth.mfa.webauthn.enroll({ friendlyName: 'Key' }))
    expect(factor).toMatchObject({ type: 'webauthn', friendly_name: 'Key' })
  },
  async 'mfa.webauthn.register'(world) {
    await signedIn(world)
    browser()
    const { user } = await register(world)
    expect(user.factors).toMatchObject([
      { factor_type: 'webauthn', friendly_name: 'Key', status: 'verified' },
    ])
    expect(await level(world)).toBe('aal2')
  },
  async 'mfa.webauthn.challenge'(world) {
    await signedIn(world)
    browser()
    const { id: factorId } = fine(await world.auth.mfa.webauthn.enroll({ friendlyName: 'Key' }))
    expect((await challenged(world, factorId)).webauthn.type).toBe('create')
  },
  async 'mfa.webauthn.verify'(world) {
    await signedIn(world)
    browser()
    const { webauthn: keys } = world.auth.mfa
    const { id: factorId } = fine(await keys.enroll({ friendlyName: 'Key' }))
    const { challengeId, webauthn: shown } = await challenged(world, factorId)
    const input = { factorId, challengeId, webauthn: { ...webauthn, ...shown } }
    fine(await keys.verify(input))
    expect(await level(world)).toBe('aal2')
    expect((await keys.verify(input)).error?.code).toBeTruthy()
  },
  async 'mfa.webauthn.authenticate'(world) {
    await signedIn(world)
    browser()
    const { user } = await register(world)
    fine(await world.auth.signInWithPassword({ email, password }))
    expect(await level(world)).toBe('aal1')
    const factorId = user.factors[0].id
    fine(await world.auth.mfa.webauthn.authenticate({ factorId, webauthn }))
    expect(await level(world)).toBe('aal2')
  },
}

export const webauthnProofs: Record<string, Proof> = { ...passkeyProofs, ...securityKeyProofs }

/** Of `GoTrueAdminApi`. */
export const adminPasskeyProofs: Record<string, Proof> = {
  async 'passkey.listPasskeys'(world) {
    const made = await keeper(world)
    const userId = fine(await world.auth.getUser()).user.id
    expect(fine(await world.admin.passkey.listPasskeys({ userId }))).toEqual([made])
    const { error } = await world.admin.passkey.listPasskeys({ userId: id })
    expect(error?.code).toBe('user_not_found')
  },
  async 'passkey.deletePasskey'(world) {
    const { id: passkeyId } = await keeper(world)
    const userId = fine(await world.auth.getUser()).user.id
    fine(await world.admin.passkey.deletePasskey({ userId, passkeyId }))
    expect(fine(await world.auth.passkey.list())).toEqual([])
  },
}
