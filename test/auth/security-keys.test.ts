import { mfa } from 'leanto/auth/mfa'
import { passkeys } from 'leanto/auth/passkeys'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { flag, makeAuthenticator, type Quirks } from './authenticator.ts'
import { withFactor } from './mfa-world.ts'
import {
  creation,
  email,
  expectRefused,
  passkeyWorld,
  register,
  type World,
} from './passkey-world.ts'
import {
  claimsOf,
  expectStatus,
  type Json,
  makeAuth,
  mountAuth,
  post,
  rows,
  signIn,
  signUp,
} from './world.ts'

/* Security keys as second factors. */

let world: World
beforeEach(async () => {
  world = await passkeyWorld()
})

const webauthn = { rpId: 'app.example', rpOrigins: ['https://app.example'] }
const enroll = async (token = world.token, more: object = {}): Promise<Json> =>
  expectStatus(
    await post(world.ask, '/factors', { factor_type: 'webauthn', ...more }, { token }),
    200,
  )
const challenge = async (id: string, token = world.token): Promise<Json> =>
  expectStatus(await post(world.ask, `/factors/${id}/challenge`, { webauthn }, { token }), 200)
const verify = (id: string, challenge_id: unknown, shown: unknown, token = world.token) =>
  post(world.ask, `/factors/${id}/verify`, { challenge_id, webauthn: shown }, { token })

const publicKey = (challenged: Json) => challenged.webauthn.credential_options.publicKey
const touch = flag.present

/** Both requests, the first time or later. */
async function show(id: string, token = world.token, quirks: Quirks = {}): Promise<Response> {
  const challenged = await challenge(id, token)
  const { type } = challenged.webauthn
  const flags = type === 'create' ? touch | flag.attested : touch
  const credential =
    type === 'create'
      ? await world.device.create(publicKey(challenged), { flags, ...quirks })
      : await world.device.get(publicKey(challenged), { flags, ...quirks })
  return verify(id, challenged.id, { ...webauthn, type, credential_response: credential }, token)
}

const strong = async (): Promise<{ id: string; session: Json }> => {
  const { id } = await enroll()
  const session = await expectStatus(await show(id), 200)
  return { id, session }
}
const fresh = async (): Promise<string> =>
  (await expectStatus(await signIn(world.ask, email), 200)).access_token

describe('a security key', () => {
  it('is enrolled, made by a touch, and raises the session', async () => {
    const factor = await enroll(world.token, { friendly_name: 'Key' })
    expect(factor).toEqual({ id: factor.id, type: 'webauthn', friendly_name: 'Key' })
    const challenged = await challenge(factor.id)
    expect(challenged).toEqual({
      id: expect.any(String),
      type: 'webauthn',
      expires_at: clock.now() / 1000 + 300,
      webauthn: { type: 'create', credential_options: { publicKey: expect.any(Object) } },
    })
    expect(publicKey(challenged)).toMatchObject({
      rp: { id: 'app.example' },
      authenticatorSelection: { residentKey: 'discouraged', userVerification: 'preferred' },
      attestation: 'none',
    })
    const session = await expectStatus(await show(factor.id), 200)
    expect(claimsOf(session.access_token)).toMatchObject({
      aal: 'aal2',
      amr: [{ method: 'mfa/webauthn' }, { method: 'password' }],
    })
    expect(session.user.factors).toEqual([
      expect.objectContaining({ factor_type: 'webauthn', status: 'verified' }),
    ])
    expect(JSON.stringify(session.user)).not.toContain('publicKey')
  })

  it('is asked for by its id at the next sign-in, and no other does', async () => {
    const { id } = await strong()
    const token = await fresh()
    const challenged = await challenge(id, token)
    expect(challenged.webauthn.type).toBe('request')
    expect(publicKey(challenged)).toMatchObject({
      rpId: 'app.example',
      allowCredentials: [{ type: 'public-key', id: world.device.credentials[0]?.id }],
    })
    const { device } = world
    world.device = makeAuthenticator()
    await world.device.create({ challenge: 'x', rp: { id: 'app.example' }, user: { id: 'x' } })
    await expectRefused(await show(id, token), 422, 'mfa_verification_failed')
    world.device = device
    expect(claimsOf((await expectStatus(await show(id, token), 200)).access_token).aal).toBe('aal2')
  })

  it.each([
    ['of another origin', { origin: 'https://evil.example' }],
    ['of another domain', { rpId: 'evil.example' }],
    ['of another challenge', { challenge: 'A'.repeat(43) }],
    ['of the other ceremony', { type: 'webauthn.x' }],
    ['with nobody there', { flags: flag.attested }],
  ])('is refused %s, the first time and later', async (_, quirks) => {
    const { id } = await enroll()
    await expectRefused(await show(id, world.token, quirks), 422, 'mfa_verification_failed')
    await expectStatus(await show(id), 200)
    const again = 'flags' in quirks ? { flags: 0 } : quirks
    await expectRefused(await show(id, await fresh(), again), 422, 'mfa_verification_failed')
  })

  it('is refused once it counts no further', async () => {
    const { id } = await strong()
    await expectStatus(await show(id, await fresh(), { counter: 5 }), 200)
    for (const counter of [0, 4, 5])
      await expectRefused(
        await show(id, await fresh(), { counter }),
        422,
        'mfa_verification_failed',
      )
    await expectStatus(await show(id, await fresh(), { counter: 6 }), 200)
  })

  it('is not made anew by whoever may only use it', async () => {
    const { id } = await strong()
    const token = await fresh()
    const challenged = await challenge(id, token)
    const options = { ...publicKey(challenged), rp: { id: 'app.example' }, user: { id: 'x' } }
    const made = await world.device.create(options)
    const shown = { ...webauthn, type: 'create', credential_response: made }
    await expectRefused(await verify(id, challenged.id, shown, token), 400, 'validation_failed')
  })

  it.each([
    [undefined, 400],
    ['x', 400],
    [{}, 400],
    [{ type: 'create' }, 400],
    [{ type: 'request', credential_response: {} }, 400],
    [{ type: 'create', credential_response: [] }, 400],
    [{ type: 'create', credential_response: { type: 'public-key', id: {}, response: {} } }, 400],
  ])('is no %j (case 22)', async (shown, status) => {
    const { id } = await enroll()
    const challenged = await challenge(id)
    expect((await verify(id, challenged.id, shown)).status).toBe(status)
  })

  it('takes no code, and an app no key', async () => {
    const { id } = await enroll()
    const challenged = await challenge(id)
    const coded = { challenge_id: challenged.id, code: '123456' }
    const path = `/factors/${id}/verify`
    expect((await post(world.ask, path, coded, { token: world.token })).status).toBe(400)
    const body = { factor_type: 'totp' }
    const app = await expectStatus(
      await post(world.ask, '/factors', body, { token: world.token }),
      200,
    )
    const asked = await challenge(app.id)
    const shown = { type: 'create', credential_response: {} }
    expect((await verify(app.id, asked.id, shown)).status).toBe(400)
  })

  it('is no passkey, and a passkey’s challenge is none of its', async () => {
    const { id, session } = await strong()
    const [device] = world.device.credentials
    const place = { ...world, token: session.access_token }
    const { challenge_id, options } = await creation(place)
    const other = await challenge(id, session.access_token)
    const wrong = { ...options, challenge: publicKey(other).challenge }
    const made = await world.device.create(wrong, {}, device)
    await expectRefused(
      await register(place, challenge_id, made),
      400,
      'webauthn_verification_failed',
    )
    expect(await rows('SELECT * FROM leanto_auth_passkeys')).toEqual([])
  })

  it('is excluded where another is made', async () => {
    const { session } = await strong()
    const { id } = await enroll(session.access_token)
    expect(publicKey(await challenge(id, session.access_token)).excludeCredentials).toEqual([
      { type: 'public-key', id: world.device.credentials[0]?.id, transports: ['internal'] },
    ])
  })

  it('is removed, and what it had raised falls', async () => {
    const { id, session } = await strong()
    const token = session.access_token
    const gone = await world.ask(`/auth/v1/factors/${id}`, { method: 'DELETE', token })
    expect(gone.status).toBe(200)
    expect(await rows('SELECT aal FROM leanto_auth_sessions')).toEqual([{ aal: 'aal1' }])
  })

  it('is not enrolled beside a verified factor that was not shown', async () => {
    await withFactor(world.ask, world.session)
    const token = await fresh()
    const body = { factor_type: 'webauthn' }
    await expectRefused(await post(world.ask, '/factors', body, { token }), 403, 'insufficient_aal')
  })
})

describe('at once', () => {
  it('one challenge raises one session (case 19)', async () => {
    const { id } = await strong()
    const token = await fresh()
    const challenged = await challenge(id, token)
    const credential = await world.device.get(publicKey(challenged), { flags: touch })
    const shown = { ...webauthn, type: 'request', credential_response: credential }
    const responses = await Promise.all(
      Array.from({ length: 50 }, () => verify(id, challenged.id, shown, token)),
    )
    expect(responses.filter(({ ok }) => ok)).toHaveLength(1)
    expect(responses.filter(({ status }) => status >= 500)).toEqual([])
  })

  it('one factor is made of one key, with however many challenges', async () => {
    const { id } = await enroll()
    const asked = await Promise.all(Array.from({ length: 8 }, () => challenge(id)))
    const shown = await Promise.all(
      asked.map((one) => world.device.create(publicKey(one), { flags: touch | flag.attested })),
    )
    const responses = await Promise.all(
      asked.map((one, i) =>
        verify(id, one.id, { ...webauthn, type: 'create', credential_response: shown[i] }),
      ),
    )
    const won = responses.findIndex(({ ok }) => ok)
    expect(responses.filter(({ ok }) => ok)).toHaveLength(1)
    const [{ secret }] = await rows('SELECT secret FROM leanto_auth_factors')
    expect(JSON.parse(secret).credentialId).toBe(shown[won]?.id)
  })
})

describe('without one of the parts', () => {
  it('passkeys alone have no factors', async () => {
    const users = makeAuth({ with: [passkeys()] })
    await freshDatabase([users])
    const ask = mountAuth(users)
    const { access_token: token } = await signUp(ask, email)
    expect((await post(ask, '/factors', { factor_type: 'webauthn' }, { token })).status).toBe(404)
    const device = makeAuthenticator()
    const { challenge_id, options } = await creation({ ask, token })
    const made = await device.create(options)
    await expectStatus(await register({ ask, token }, challenge_id, made), 200)
    const asked = { key: 'secret' } as const
    const { id } = (await expectStatus(await ask('/auth/v1/user', { token }), 200)) as Json
    const theirs = await ask(`/auth/v1/admin/users/${id}/passkeys`, asked)
    await expectRefused(theirs, 404, 'passkey_disabled')
  })

  it('a key of before is refused, not taken', async () => {
    const { id } = await strong()
    const token = await fresh()
    const challenged = await challenge(id, token)
    const ask = mountAuth(makeAuth({ with: [mfa()] }))
    const asked = await post(ask, `/factors/${id}/challenge`, {}, { token })
    await expectRefused(asked, 422, 'mfa_webauthn_verify_not_enabled')
    const body = { challenge_id: challenged.id, code: '123456' }
    const shown = await post(ask, `/factors/${id}/verify`, body, { token })
    await expectRefused(shown, 422, 'mfa_webauthn_verify_not_enabled')
  })
})
