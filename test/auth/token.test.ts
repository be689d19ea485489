import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import {
  base64url,
  decodeJwt,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JWTPayload,
  SignJWT,
} from 'jose'
import { apiKeys } from 'leanto'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, clock, freshDatabase, makeBase, site, testSecret } from '../kit/world.ts'
import {
  claimsOf,
  expectStatus,
  getUser,
  issuer,
  type Json,
  json,
  makeAuth,
  mountAuth,
  refresh,
  rows,
  signUp,
} from './world.ts'

let users = makeAuth()
let ask = mountAuth(users)
beforeEach(async () => {
  users = makeAuth()
  ask = mountAuth(users)
  await freshDatabase([users])
})

const scope = (base = makeBase()) => base.scope({ env })
const jwks = async (of = ask): Promise<Json[]> =>
  (await json(await of('/auth/v1/.well-known/jwks.json'))).keys
const kidOf = (token: string) => JSON.parse(atob(token.split('.')[0] as string)).kid

describe('a forged token (cases 31 and 32)', () => {
  /** Signs by a key of the forger’s, with everything else as it should be. */
  async function forge(change: (claims: JWTPayload) => JWTPayload, header: object = {}) {
    const { access_token } = await signUp(ask, 'ann@example.com')
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const token = await new SignJWT(change(decodeJwt(access_token)))
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: kidOf(access_token), ...header })
      .sign(privateKey)
    return { token, access_token, publicKey }
  }
  const refusedEverywhere = async (token: string) => {
    const response = await getUser(ask, token)
    expect((await expectStatus(response, 403)).error_code).toBe('bad_jwt')
    const request = new Request(site, { headers: { authorization: `Bearer ${token}` } })
    await expect(users.principal(scope(), request)).rejects.toMatchObject({ status: 401 })
  }

  it('by another key is refused', async () => {
    const { token, access_token } = await forge((claims) => claims)
    await refusedEverywhere(token)
    expect((await getUser(ask, access_token)).status).toBe(200)
  })

  it('that brings its own key along is refused (case 34)', async () => {
    const { publicKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = await exportJWK(publicKey)
    for (const header of [
      { jwk },
      { jku: 'https://evil.example/jwks.json' },
      { x5u: 'https://evil.example/cert', x5c: ['AAAA'] },
      { kid: undefined, jwk },
    ])
      await refusedEverywhere((await forge((claims) => claims, header)).token)
        .catch((error) => {
          throw new Error(`${JSON.stringify(header)}: ${error}`)
        })
        .finally(() => freshDatabase([users]))
  })

  it('without a signature, or signed by what is public, is refused', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    const [head, body, signature] = access_token.split('.') as [string, string, string]
    const [jwk] = await jwks()
    const encode = (value: object) => base64url.encode(JSON.stringify(value))
    const kid = kidOf(access_token)
    for (const alg of ['none', 'None', 'NONE'])
      for (const end of ['', signature])
        await refusedEverywhere(`${encode({ alg, kid })}.${body}.${end}`)
    const spki = await exportSPKI((await importJWK({ ...jwk, ext: true }, 'ES256')) as CryptoKey)
    for (const secret of [spki, JSON.stringify(jwk), jwk.x, testSecret, ''])
      await refusedEverywhere(
        await new SignJWT(decodeJwt(access_token))
          .setProtectedHeader({ alg: 'HS256', kid })
          .sign(new TextEncoder().encode(secret || '0'.repeat(32))),
      )
    await refusedEverywhere(
      `${head}.${encode({ ...claimsOf(access_token), sub: 'x' })}.${signature}`,
    )
    await refusedEverywhere(`${head}.${body}.${signature.slice(0, -4)}AAAA`)
    await refusedEverywhere(`${head}.${body}.`)
    await refusedEverywhere(`${head}.${body}`)
  })

  it('of the right key says who issued it, for whom, and until when', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    // The key itself, as if another part of the app signed id tokens and the like with it.
    const { open } = await import('leanto')
    const [row] = await rows('SELECT id, sealed FROM leanto_auth_keys')
    const key = await importJWK(
      JSON.parse((await open(scope(), `auth-key:${row.id}`, row.sealed)) as string),
      'ES256',
    )
    const sign = (change: object) =>
      new SignJWT({ ...decodeJwt(access_token), ...change })
        .setProtectedHeader({ alg: 'ES256', kid: row.id })
        .sign(key)
    expect((await getUser(ask, await sign({}))).status).toBe(200)
    const now = clock.now() / 1000
    for (const change of [
      { iss: 'https://evil.example/auth/v1' },
      { iss: `${issuer}/` },
      { iss: undefined },
      { aud: 'anon' },
      { aud: undefined },
      { aud: [] },
      { exp: now },
      { exp: undefined },
      { exp: 'never' },
      { nbf: now + 60 },
      { sub: undefined },
      { sub: '' },
      { sub: 'not-a-uuid' },
      { sub: ['a'] },
      { role: undefined },
      { role: 'service_role' },
      { session_id: undefined },
      { session_id: '*' },
    ])
      await refusedEverywhere(await sign(change))
  })

  it('that expires is refused from that second on (case 13)', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    clock.advance(3599)
    expect((await getUser(ask, access_token)).status).toBe(200)
    clock.advance(1)
    await refusedEverywhere(access_token)
  })
})

describe('Authorization', () => {
  it.each([
    'Basic YW5uOnBhc3N3b3Jk',
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer {"alg":"none"}',
    'bearer: x',
    'Token x',
    ',',
    'Bearer x, Bearer y',
  ])('%j is 401, never 500 (case 33)', async (authorization) => {
    const response = await getUser(ask, undefined, { headers: { authorization } })
    expect((await expectStatus(response, 401)).error_code).toBe('no_authorization')
  })

  it.each([
    'x',
    '...',
    'a.b.c',
    'e30.e30.e30',
    'bnVsbA.bnVsbA.bnVsbA',
    '='.repeat(3),
    'x'.repeat(9000),
  ])('Bearer %j is 401 or 403, never 500 (case 33)', async (token) => {
    const { status } = await getUser(ask, token)
    expect([401, 403]).toContain(status)
  })

  it('is the only way in: cookies and query are nothing (case 64)', async () => {
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    const cookie = ['sb-access-token', 'access_token', 'token', 'sb-app-auth-token']
      .map((name) => `${name}=${token}`)
      .join('; ')
    expect((await getUser(ask, undefined, { headers: { cookie } })).status).toBe(401)
    for (const query of [`access_token=${token}`, `token=${token}`, `apikey=${token}`])
      expect((await ask(`/auth/v1/user?${query}`)).status).toBe(401)
    for (const type of ['application/json', 'application/x-www-form-urlencoded', 'text/plain']) {
      const headers = { cookie, 'content-type': type, origin: 'https://evil.example' }
      const response = await ask('/auth/v1/user', {
        method: 'PUT',
        body: '{"data":{"x":1}}',
        headers,
      })
      expect(response.status).toBe(401)
    }
    const request = new Request(site, { headers: { cookie } })
    expect(await users.principal(scope(), request)).toMatchObject({ id: null, role: 'anon' })
  })

  it('with an unknown API key is 401', async () => {
    const { access_token: token } = await signUp(ask, 'ann@example.com')
    const response = await getUser(ask, token, { headers: { apikey: 'sb_publishable_guess' } })
    expect((await expectStatus(response, 401)).error_code).toBe('no_authorization')
  })
})

describe('signing keys', () => {
  it('are one, however many make the first (50 parallel sign-ups)', async () => {
    const relaxed = Array.from({ length: 50 }, () =>
      mountAuth(makeAuth({ limits: { signUps: false } })),
    )
    const sessions = await Promise.all(relaxed.map((of, i) => signUp(of, `user${i}@example.com`)))
    expect(new Set(sessions.map(({ access_token }) => kidOf(access_token))).size).toBe(1)
    expect(await rows('SELECT count(*) AS n FROM leanto_auth_keys')).toEqual([{ n: 1 }])
    for (const { access_token } of sessions)
      expect((await getUser(ask, access_token)).status).toBe(200)
  })

  it('rotate with overlap: the old one verifies until all it signed is over (case 34)', async () => {
    const before = await signUp(ask, 'ann@example.com')
    const kid = await users.rotateKeys(scope())
    expect(kid).not.toBe(kidOf(before.access_token))
    const after = await expectStatus(await refresh(ask, before.refresh_token), 200)
    expect(kidOf(after.access_token)).toBe(kid)
    expect(new Set((await jwks()).map((key) => key.kid))).toEqual(
      new Set([kidOf(before.access_token), kid]),
    )
    for (const token of [before.access_token, after.access_token]) {
      expect((await getUser(ask, token)).status).toBe(200)
      // In an isolate that has never seen a key, too.
      expect((await getUser(mountAuth(makeAuth()), token)).status).toBe(200)
    }
    clock.advance(3600 + 300 + 300 - 1)
    expect(await jwks()).toHaveLength(2)
    await users.scheduled(scope())
    expect(await rows('SELECT count(*) AS n FROM leanto_auth_keys')).toEqual([{ n: 2 }])
    clock.advance(1)
    expect((await jwks()).map((key) => key.kid)).toEqual([kid])
    await users.scheduled(scope())
    expect((await rows('SELECT id FROM leanto_auth_keys')).map(({ id }) => id)).toEqual([kid])
  })

  it('that were rotated elsewhere are found at once', async () => {
    const { refresh_token } = await signUp(ask, 'ann@example.com')
    const elsewhere = makeAuth()
    await elsewhere.rotateKeys(scope())
    const { access_token } = await json(await refresh(mountAuth(elsewhere), refresh_token))
    // By 50 requests at the same time, of which one looks.
    const answers = await Promise.all(Array.from({ length: 50 }, () => getUser(ask, access_token)))
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200))
  })

  it('are asked for once in 30 s, however many tokens name unknown ones (case 34)', async () => {
    const { access_token } = await signUp(ask, 'ann@example.com')
    const unknown = (i: number) => {
      const head = base64url.encode(JSON.stringify({ alg: 'ES256', kid: `made-up-${i}` }))
      return [head, ...access_token.split('.').slice(1)].join('.')
    }
    const base = makeBase()
    const attempt = async (i: number) => {
      const source = {
        env,
        req: { raw: new Request(site, { headers: { authorization: `Bearer ${unknown(i)}` } }) },
      }
      const own = base.scope(source)
      await expect(users.principal(own, source.req.raw)).rejects.toMatchObject({ status: 401 })
      return own.cost.trips
    }
    const trips = await Promise.all(Array.from({ length: 50 }, (_, i) => attempt(i)))
    expect(trips.reduce((a, b) => a + b)).toBe(1)
    clock.advance(29)
    expect(await attempt(51)).toBe(0)
    clock.advance(1)
    expect(await attempt(52)).toBe(1)
    expect(await attempt(53)).toBe(0)
  })

  it('sealed under a secret that has changed make way for a new one', async () => {
    const before = await signUp(ask, 'ann@example.com')
    const base = makeBase({ secret: () => `${testSecret}-changed` })
    const changed = mountAuth(makeAuth({}, { secret: () => `${testSecret}-changed` }))
    const after = await expectStatus(await refresh(changed, before.refresh_token), 200)
    expect(kidOf(after.access_token)).not.toBe(kidOf(before.access_token))
    // What the old one signed is good until it expires.
    expect((await getUser(changed, before.access_token)).status).toBe(200)
    expect((await jwks(changed)).map((key) => key.kid)).toHaveLength(2)
    clock.advance(3600 + 600)
    expect((await jwks(changed)).map((key) => key.kid)).toEqual([kidOf(after.access_token)])
    await users.scheduled(scope(base))
    expect(await rows('SELECT count(*) AS n FROM leanto_auth_keys')).toEqual([{ n: 1 }])
  })
})

describe('in the host’s own routes', () => {
  it('users.signedIn and users.identify say who it is', async () => {
    const app = new Hono()
      .get('/me', users.signedIn, (c) => c.json({ ...c.var.principal }, 200))
      .get('/who', users.identify, (c) => c.json(c.var.principal.role, 200))
    const host = asker(app)
    const { access_token: token, user } = await signUp(ask, 'ann@example.com')
    expect(await json(await host('/me', { token }))).toMatchObject({
      id: user.id,
      role: 'authenticated',
      claims: { email: 'ann@example.com', sub: user.id },
    })
    expect(await json(await host('/who', { token }))).toBe('authenticated')
    expect(await json(await host('/who', { token, key: 'publishable' }))).toBe('authenticated')
    expect(await json(await host('/who'))).toBe('anon')
    expect(await json(await host('/who', { key: 'publishable' }))).toBe('anon')
    expect(await json(await host('/who', { key: 'secret' }))).toBe('service')
    expect(await json(await host('/who', { token: (await apiKeys(testSecret)).secret }))).toBe(
      'service',
    )
    for (const options of [{}, { key: 'publishable' as const }, { token: 'a.b.c' }]) {
      const response = await host('/me', options)
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
    }
    expect((await host('/who', { token: 'a.b.c' })).status).toBe(401)
  })
})
