import { env } from 'cloudflare:workers'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { trust } from 'leanto/auth/parts'
import { describe, expect, it } from 'vitest'
import { clock, freshDatabase, makeBase, site } from '../kit/world.ts'
import {
  type Asker,
  expectStatus,
  getUser,
  type Json,
  makeAuth,
  mountAuth,
  rows,
  signUp,
} from './world.ts'

type Options = Parameters<typeof makeAuth>[0]
let users = makeAuth()
let ask: Asker
const setUp = async (options: Options) => {
  users = makeAuth(options)
  ask = mountAuth(users)
  await freshDatabase([users])
}
const code = async (response: Response, status: number) =>
  (await expectStatus(response, status)).error_code
const unknown = '00000000-0000-7000-8000-000000000000'

describe('trusted issuers', () => {
  const issuer = 'https://old.supabase.co/auth/v1'
  const secret = 'the-jwt-secret-of-the-project-that-is-left'
  const claims = (sub: string) => ({ sub, role: 'authenticated', session_id: crypto.randomUUID() })
  const sign = (key: CryptoKey | Uint8Array, alg: string, more: object = {}, header: object = {}) =>
    new SignJWT({ ...claims(unknown), ...more })
      .setProtectedHeader({ alg, ...header })
      .setIssuer((more as Json).iss ?? issuer)
      .setAudience((more as Json).aud ?? 'authenticated')
      .setExpirationTime((more as Json).exp ?? Math.floor(clock.now() / 1000) + 3600)
      .sign(key)
  const shared = new TextEncoder().encode(secret)
  const principal = (token: string) =>
    users.principal(
      makeBase().scope({ env }),
      new Request(site, { headers: { authorization: `Bearer ${token}` } }),
    )

  it('are honoured by HS256, RS256, ES256 and EdDSA', async () => {
    const pairs = await Promise.all(
      ['RS256', 'ES256', 'EdDSA'].map(async (alg) => ({ alg, ...(await generateKeyPair(alg)) })),
    )
    const keys = await Promise.all(
      pairs.map(async ({ alg, publicKey }) => ({ ...(await exportJWK(publicKey)), alg, kid: alg })),
    )
    await setUp({ with: [trust([{ issuer, keys, secret: () => secret }])] })
    for (const { alg, privateKey } of pairs)
      expect(await principal(await sign(privateKey, alg, {}, { kid: alg }))).toMatchObject({
        id: unknown,
        role: 'authenticated',
      })
    const token = await sign(shared, 'HS256', { aal: 'aal1' })
    expect(await principal(token)).toMatchObject({ id: unknown, claims: { aal: 'aal1' } })
    // `auth` itself asks the database for the user; the session is elsewhere.
    expect(await code(await getUser(ask, token), 403)).toBe('user_not_found')
    await rows(
      `INSERT INTO leanto_auth_users (id, app_metadata, user_metadata, created_at, updated_at)
       VALUES (?, '{}', '{}', 1, 1)`,
      unknown,
    )
    expect((await expectStatus(await getUser(ask, token), 200)).id).toBe(unknown)
    // Ours are as ever.
    const { access_token } = await signUp(ask, 'ann@example.com')
    await expectStatus(await getUser(ask, access_token), 200)
  })

  it('never by a public key as secret, nor by what a token says of itself (cases 31, 34)', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'a' }
    await setUp({
      with: [
        trust([
          { issuer, keys: [jwk] },
          { issuer: `${issuer}2`, secret },
        ]),
      ],
    })
    const text = (value: string) => new TextEncoder().encode(value)
    const noUsers = ['service_role', 'anon', undefined]
    const bad = [
      await sign(text(JSON.stringify(jwk)), 'HS256'),
      await sign(text(jwk.x as string), 'HS256', {}, { kid: 'a' }),
      await sign(shared, 'HS256'),
      await sign(privateKey, 'ES256', { iss: `${issuer}2` }),
      await sign(privateKey, 'ES256', { iss: 'https://nobody.example' }),
      await sign(privateKey, 'ES256', { aud: 'other' }),
      await sign(privateKey, 'ES256', { exp: Math.floor(clock.now() / 1000) }),
      await sign(privateKey, 'ES256', { sub: 'role:admin' }),
      await sign((await generateKeyPair('ES256')).privateKey, 'ES256', {}, { jwk, kid: 'a' }),
      await sign((await generateKeyPair('RS256')).privateKey, 'RS256', {}, { kid: 'a' }),
      ...(await Promise.all(noUsers.map((role) => sign(privateKey, 'ES256', { role })))),
      `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify({ iss: issuer, ...claims(unknown) }))}.`.replaceAll(
        '=',
        '',
      ),
    ]
    for (const token of bad)
      await expect(principal(token), token).rejects.toMatchObject({ status: 401 })
    expect(await principal(await sign(privateKey, 'ES256'))).toMatchObject({ id: unknown })
  })

  it.each([
    [[]],
    [[{ issuer }]],
    [[{ issuer: '', secret }]],
    [[{ issuer, secret: 'short' }]],
    [[{ issuer, secret: `-----BEGIN PUBLIC KEY-----${'A'.repeat(64)}` }]],
    [[{ issuer, secret: JSON.stringify({ kty: 'EC', x: 'x'.repeat(43) }) }]],
    [[{ issuer, keys: [{ kty: 'EC' }] }]],
    [[{ issuer, keys: [{ kty: 'oct', k: 'x', alg: 'HS256' }] }]],
    [[{ issuer, keys: [{ kty: 'oct', k: 'x', alg: 'ES256' }] }]],
    [[{ issuer, keys: [{ kty: 'EC', d: 'private', alg: 'ES256' }] }]],
    [
      [
        { issuer, secret },
        { issuer, secret },
      ],
    ],
  ])('are not built of %j', (issuers) => {
    expect(() => trust(issuers as never)).toThrow(TypeError)
  })
})
