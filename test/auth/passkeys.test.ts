import { beforeEach, describe, expect, it } from 'vitest'
import { clock } from '../kit/world.ts'
import { coseOf, flag, makeAuthenticator } from './authenticator.ts'
import {
  authenticate,
  creation,
  email,
  expectRefused,
  newPasskey,
  passkeyWorld,
  register,
  request,
  tryRegistering,
  trySignIn,
  type World,
} from './passkey-world.ts'
import { claimsOf, count, expectStatus, getUser, type Json, post, rows, signUp } from './world.ts'

let world: World
beforeEach(async () => {
  world = await passkeyWorld()
})

const failed = 'webauthn_verification_failed'

const flows = () => count('flows')
const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/

describe('what a browser is asked', () => {
  it('to make: a discoverable credential of this user, at this domain, without attestation', async () => {
    const { challenge_id, options, expires_at } = await creation(world)
    const { id } = world.session.user
    expect(challenge_id).toMatch(uuid)
    expect(expires_at).toBe(clock.now() / 1000 + 300)
    expect(options).toEqual({
      challenge: expect.stringMatching(/^[\w-]{43}$/),
      rp: { id: 'app.example', name: 'app.example' },
      user: { id: btoa(id).replaceAll('=', ''), name: email, displayName: email },
      pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: 'public-key', alg })),
      timeout: 300_000,
      excludeCredentials: [],
      authenticatorSelection: {
        residentKey: 'required',
        requireResidentKey: true,
        userVerification: 'required',
      },
      attestation: 'none',
    })
    // What the database holds answers no challenge (case 23).
    expect(JSON.stringify(await rows('SELECT * FROM leanto_auth_flows'))).not.toContain(
      options.challenge,
    )
  })

  it('to show: any passkey of this domain', async () => {
    const { challenge_id, options, expires_at } = await request(world)
    expect(challenge_id).toMatch(uuid)
    expect(expires_at).toBe(clock.now() / 1000 + 300)
    expect(options).toEqual({
      challenge: expect.stringMatching(/^[\w-]{43}$/),
      rpId: 'app.example',
      timeout: 300_000,
      userVerification: 'required',
      allowCredentials: [],
    })
  })

  it('not to make the same twice', async () => {
    await newPasskey(world)
    const { options } = await creation(world)
    expect(options.excludeCredentials).toEqual([
      { type: 'public-key', id: world.device.credentials[0]?.id, transports: ['internal'] },
    ])
  })
})

describe.each(['ES256', 'EdDSA', 'RS256'] as const)('a passkey of %s', (kind) => {
  it('signs in', async () => {
    world.device = makeAuthenticator({ kind })
    const made = await newPasskey(world)
    expect(made).toEqual({ id: expect.stringMatching(uuid), created_at: expect.any(String) })
    clock.advance(60)
    const session = await expectStatus(await trySignIn(world), 200)
    expect(session.user).toMatchObject({ id: world.session.user.id, email })
    expect(claimsOf(session.access_token)).toMatchObject({
      aal: 'aal1',
      amr: [{ method: 'passkey', timestamp: clock.now() / 1000 }],
    })
    expect((await getUser(world.ask, session.access_token)).status).toBe(200)
    expect(await flows()).toBe(0)
  })

  it('is made with an attestation of its own', async () => {
    world.device = makeAuthenticator({ kind })
    await expectStatus(await tryRegistering(world, { fmt: 'packed' }), 200)
    await expectStatus(await trySignIn(world), 200)
  })
})

describe('a registration is refused', () => {
  const { present, verified, eligible, backedUp, attested, extended } = flag
  it.each([
    ['of another origin', { origin: 'https://evil.example' }],
    ['of the same host without TLS', { origin: 'http://app.example' }],
    ['of another port', { origin: 'https://app.example:8443' }],
    ['of a subdomain that is not listed', { origin: 'https://x.app.example' }],
    ['of another domain', { rpId: 'example' }],
    ['of the other ceremony', { type: 'webauthn.get' }],
    ['of another challenge', { challenge: 'A'.repeat(43) }],
    ['in a frame', { more: { crossOrigin: true } }],
    ['in a frame of another page', { more: { topOrigin: 'https://evil.example' } }],
    ['with a word for whether it is in a frame', { more: { crossOrigin: 'no' } }],
    ['with nobody there', { flags: verified | attested }],
    ['with a touch alone', { flags: present | attested }],
    ['with a copy of what has none', { flags: present | verified | backedUp | attested }],
    ['without a credential', { flags: present | verified | eligible }],
    ['with extensions that are missing', { flags: present | verified | attested | extended }],
    ['with bytes to spare', { trailing: [0] }],
    [
      'with extensions that are no map',
      { flags: present | verified | attested | extended, trailing: [1] },
    ],
    ['with a key that is none', { cose: new Uint8Array([0xa0]) }],
    ['with a statement for none', { statement: new Map([['sig', new Uint8Array(8)]]) }],
    ['with a wrong attestation of its own', { fmt: 'packed', sign: (s: Uint8Array) => s.fill(1) }],
    ['under another id', { json: { id: 'AAAA', rawId: 'AAAA' } }],
    ['under two ids', { json: { rawId: 'AAAA' } }],
  ] as const)('%s', async (_, quirks) => {
    await expectRefused(await tryRegistering(world, quirks as never), 400, failed)
    expect(await count('passkeys')).toBe(0)
  })

  it('with a point beside the curve', async () => {
    const other = makeAuthenticator()
    await other.create((await creation(world)).options)
    const cose = await coseOf(other.credentials[0] as never)
    cose[cose.length - 1] = (cose.at(-1) as number) ^ 1
    await expectRefused(await tryRegistering(world, { cose }), 400, failed)
  })

  it('and its challenge is used up, whatever was wrong', async () => {
    const { challenge_id, options } = await creation(world)
    const wrong = await world.device.create(options, { origin: 'https://evil.example' })
    await expectRefused(await register(world, challenge_id, wrong), 400, failed)
    const right = await world.device.create(options)
    const again = await register(world, challenge_id, right)
    await expectRefused(again, 400, 'webauthn_challenge_not_found')
  })

  it('and taken with extensions that are a map', async () => {
    const flags = present | verified | attested | extended
    await expectStatus(await tryRegistering(world, { flags, trailing: [0xa0] }), 200)
  })
})

describe('a sign-in is refused', () => {
  beforeEach(async () => {
    await newPasskey(world)
  })
  const { present, verified, eligible, backedUp } = flag

  it.each([
    ['of another origin', { origin: 'https://evil.example' }],
    ['of a look-alike', { origin: 'https://app.example.evil.example' }],
    ['of another domain', { rpId: 'evil.example' }],
    ['of the other ceremony', { type: 'webauthn.create' }],
    ['of another challenge', { challenge: 'A'.repeat(43) }],
    ['in a frame', { more: { crossOrigin: true } }],
    ['with nobody there', { flags: verified | eligible }],
    ['with a touch alone', { flags: present | eligible }],
    ['by what may be copied now and could not be', { flags: present | verified }],
    ['with bytes to spare', { trailing: [0] }],
    ['with a wrong signature', { sign: (s: Uint8Array) => s.fill(2, 10, 20) }],
    ['with no signature', { sign: () => new Uint8Array() }],
    ['of nobody', { response: { userHandle: null } }],
    ['of another user', { response: { userHandle: btoa('x').replaceAll('=', '') } }],
    ['with a user that is no text', { response: { userHandle: 5 } }],
  ] as const)('%s', async (_, quirks) => {
    const sessions = await count('sessions')
    await expectRefused(await trySignIn(world, quirks as never), 400, failed)
    expect(await count('sessions')).toBe(sessions)
    expect((await trySignIn(world)).status).toBe(200)
  })

  it('by a passkey that nobody has', async () => {
    const other = makeAuthenticator()
    await other.create((await creation(world)).options)
    await expectRefused(
      await trySignIn({ ...world, device: other }),
      400,
      'webauthn_credential_not_found',
    )
  })

  it('by one whose key another has', async () => {
    const mine = world.device.credentials[0] as Json
    const other = makeAuthenticator()
    await other.create((await creation(world)).options)
    Object.assign(other.credentials[0] as object, { id: mine.id, userHandle: mine.userHandle })
    await expectRefused(await trySignIn({ ...world, device: other }), 400, failed)
  })

  it('by one that counts, once it counts no further', async () => {
    expect((await trySignIn(world, { counter: 7 })).status).toBe(200)
    for (const counter of [0, 6, 7])
      await expectRefused(await trySignIn(world, { counter }), 400, failed)
    expect((await trySignIn(world, { counter: 8 })).status).toBe(200)
    expect(await rows('SELECT counter FROM leanto_auth_passkeys')).toEqual([{ counter: 8 }])
  })

  it('after five minutes, and then it is said', async () => {
    const { challenge_id, options } = await request(world)
    const credential = await world.device.get(options)
    clock.advance(300)
    await expectRefused(
      await authenticate(world, challenge_id, credential),
      400,
      'webauthn_challenge_expired',
    )
  })

  it('of a user who is banned, deleted or not proven', async () => {
    const { id } = world.session.user
    const run = (set: string) => rows(`UPDATE leanto_auth_users SET ${set} WHERE id = ?`, id)
    await run('banned_until = 9e15')
    await expectRefused(await trySignIn(world), 403, 'user_banned')
    await run('banned_until = NULL, email_confirmed_at = NULL')
    await expectRefused(await trySignIn(world), 403, 'email_not_confirmed')
    await run(`email_confirmed_at = 1, phone = '15550100123'`)
    await expectRefused(await trySignIn(world), 403, 'phone_not_confirmed')
    await run('phone = NULL, deleted_at = 1')
    await expectRefused(await trySignIn(world), 400, 'webauthn_credential_not_found')
  })

  it('but not by a passkey that is copied since: it is kept that it is', async () => {
    await rows('UPDATE leanto_auth_passkeys SET backed_up = 0')
    const flags = present | verified | eligible | backedUp
    expect((await trySignIn(world, { flags })).status).toBe(200)
    clock.advance(1)
    expect(await rows('SELECT backup_eligible, backed_up FROM leanto_auth_passkeys')).toEqual([
      { backup_eligible: 1, backed_up: 1 },
    ])
    expect((await trySignIn(world, { flags: present | verified | eligible })).status).toBe(200)
    expect(await rows('SELECT backed_up FROM leanto_auth_passkeys')).toEqual([{ backed_up: 0 }])
  })
})

describe('a challenge', () => {
  it('of one ceremony is none of the other', async () => {
    await newPasskey(world)
    const made = await creation(world)
    const asked = await request(world)
    const notFound = 'webauthn_challenge_not_found'
    const shown = await world.device.get({ ...asked.options, challenge: made.options.challenge })
    await expectRefused(await authenticate(world, made.challenge_id, shown), 400, notFound)
    const { challenge } = asked.options
    const created = await world.device.create({ ...made.options, challenge })
    await expectRefused(await register(world, asked.challenge_id, created), 400, notFound)
  })

  it('of one user, or one session, is none of another', async () => {
    const { challenge_id, options } = await creation(world)
    const credential = await world.device.create(options)
    const eve = await signUp(world.ask, 'eve@example.com')
    const as = (token: string) => register({ ...world, token }, challenge_id, credential)
    await expectRefused(await as(eve.access_token), 400, 'webauthn_challenge_not_found')
    expect(await flows()).toBe(1)
    const body = { email, password: 'correct horse battery staple' }
    const again = await expectStatus(await post(world.ask, '/token?grant_type=password', body), 200)
    await expectRefused(await as(again.access_token), 400, 'webauthn_challenge_not_found')
  })

  it.each([undefined, null, '', 5, [], {}, 'x', '00000000-0000-7000-8000-00000000000'])(
    'is a UUID, not %j (case 22)',
    async (id) => {
      await newPasskey(world)
      const { options } = await request(world)
      const credential = await world.device.get(options)
      expect((await authenticate(world, id, credential)).status).toBe(400)
      expect((await register(world, id, credential)).status).toBe(400)
    },
  )
})
