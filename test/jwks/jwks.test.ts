import { reset } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { Hono } from 'hono'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { type Algorithm, type JwksOptions, jwks } from 'leanto/jwks'
import { beforeEach, describe, expect, it } from 'vitest'
import { asker, clock, type Env, makeBase } from '../kit/world.ts'

const issuer = 'https://issuer.example'
const url = `${issuer}/jwks.json`
const audience = 'notes'

/** The foreign issuer: another app, reached by the `fetch` option. */
class Issuer {
  keys: JWK[] = []
  fetches = 0
  answer: (() => Response | Promise<Response>) | undefined
  readonly signers = new Map<string, { key: CryptoKey; alg: string }>()

  async add(kid: string, alg = 'ES256', change: (jwk: JWK) => JWK = (jwk) => jwk): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    this.signers.set(kid, { key: privateKey, alg })
    this.keys.push(change({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }))
  }

  readonly fetch = async (to: string, init: RequestInit): Promise<Response> => {
    expect(to).toBe(url)
    expect(init.redirect).toBe('manual')
    expect(init.signal).toBeInstanceOf(AbortSignal)
    this.fetches += 1
    return this.answer ? this.answer() : Response.json({ keys: this.keys })
  }

  /** A token that is right in every respect but those that are given. */
  async token(kid: string, claims: Record<string, unknown> = {}, header = {}): Promise<string> {
    const signer = this.signers.get(kid)
    if (!signer) throw new Error(`no key ${kid}`)
    const now = Math.floor(clock.now() / 1000)
    const all = { iss: issuer, aud: audience, sub: 'user-1', exp: now + 600, ...claims }
    return new SignJWT(all).setProtectedHeader({ alg: signer.alg, kid, ...header }).sign(signer.key)
  }
}

let outside: Issuer
let ask: ReturnType<typeof asker>

const makeAsker = (options: Partial<JwksOptions<Env>> = {}) => {
  const base = makeBase()
  const users = jwks(base, { issuer, url, audience, fetch: outside.fetch, ...options })
  const app = new Hono<{ Bindings: Env }>()
    .get('/me', users.signedIn, (c) => c.json({ ...c.var.principal }, 200))
    .get('/who', users.identify, (c) => c.json({ ...c.var.principal }, 200))
  return asker(app as never)
}

const status = async (token: string, by = ask) => (await by('/me', { token })).status

beforeEach(async () => {
  await reset()
  outside = new Issuer()
  await outside.add('one')
  ask = makeAsker()
})

describe('a foreign token', () => {
  it('names its bearer, who is never the service', async () => {
    const token = await outside.token('one', { role: 'service', email: 'ada@example.org' })
    const response = await ask('/me', { token })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      id: 'user-1',
      role: 'authenticated',
      claims: { iss: issuer, email: 'ada@example.org' },
    })
  })

  it.each(['RS256', 'PS256', 'ES384', 'EdDSA', 'Ed25519'])('may be signed by %s', async (alg) => {
    await outside.add('other', alg)
    expect(await status(await outside.token('other'))).toBe(200)
  })

  it('is not needed to be a guest, nor beside an API key', async () => {
    expect(await (await ask('/who')).json()).toMatchObject({ id: null, role: 'anon' })
    expect((await ask('/me')).status).toBe(401)
    expect(await (await ask('/me', { key: 'secret' })).json()).toMatchObject({ role: 'service' })
    expect((await ask('/me', { key: 'publishable' })).status).toBe(401)
    expect(outside.fetches).toBe(0)
  })
})

describe('a token that is bound to a key', () => {
  // Nobody asks for a proof of it here, so whoever has stolen it would be as good as who it was for (RFC 9449, 7.2; RFC 8705, 3).
  it.each([[{ jkt: 'k'.repeat(43) }], [{ 'x5t#S256': 'k'.repeat(43) }], [{}], [null]])(
    'is no bearer’s: cnf is %j',
    async (cnf) => {
      const token = await outside.token('one', { cnf })
      for (const path of ['/me', '/who']) {
        const response = await ask(path, { token })
        expect(response.status).toBe(401)
        expect(response.headers.get('www-authenticate')).toBe('DPoP error="invalid_token"')
      }
      const headers = { authorization: `DPoP ${token}`, dpop: 'a.b.c' }
      expect((await ask('/me', { headers })).status).toBe(401)
    },
  )
})

describe('what is refused (cases 31 to 33)', () => {
  it.each([
    ['another issuer', { iss: 'https://evil.example' }],
    ['no issuer', { iss: undefined }],
    ['another audience', { aud: 'another-app' }],
    ['no audience', { aud: undefined }],
    ['an expired token', { exp: Math.floor(clock.time / 1000) - 1 }],
    ['a token without expiry', { exp: undefined }],
    ['a token of the future', { nbf: Math.floor(clock.time / 1000) + 60 }],
    ['a token without subject', { sub: undefined }],
    ['an empty subject', { sub: '' }],
    ['a subject that is no text', { sub: { $ne: null } as never }],
  ])('%s', async (_, claims) => {
    const token = await outside.token('one', claims)
    const response = await ask('/me', { token })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(await response.json()).toMatchObject({ code: 'bad_token' })
    // A bad token is no guest either.
    expect((await ask('/who', { token })).status).toBe(401)
  })

  it('`none`, and HS256 keyed with the public key', async () => {
    const part = (value: unknown) => btoa(JSON.stringify(value)).replaceAll('=', '')
    const claims = { iss: issuer, aud: audience, sub: 'admin', exp: clock.now() / 1000 + 600 }
    expect(await status(`${part({ alg: 'none', kid: 'one' })}.${part(claims)}.`)).toBe(401)
    const asSecret = new TextEncoder().encode(JSON.stringify(outside.keys[0]))
    const forged = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .sign(asSecret)
    expect(await status(forged)).toBe(401)
  })

  it('a symmetric key in the set, and one published with its private half', async () => {
    const secret = new Uint8Array(32).fill(7)
    outside.keys.push({ kty: 'oct', kid: 'shared', alg: 'HS256', k: btoa('\x07'.repeat(32)) })
    const claims = { iss: issuer, aud: audience, sub: 'admin', exp: clock.now() / 1000 + 600 }
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 'shared' })
      .sign(secret)
    expect(await status(token)).toBe(401)
    await outside.add('leaked', 'ES256', (jwk) => ({ ...jwk, d: 'AAAA' }))
    clock.advance(60)
    expect(await status(await outside.token('leaked'))).toBe(401)
    expect(await status(await outside.token('one'))).toBe(200)
  })

  it('an algorithm that is not on the list, with or without `alg` in the key', async () => {
    await outside.add('rsa', 'RS256', ({ alg: _, ...jwk }) => jwk)
    expect(await status(await outside.token('rsa'))).toBe(200)
    const strict = makeAsker({ algorithms: ['ES256'] })
    expect(await status(await outside.token('rsa'), strict)).toBe(401)
    expect(await status(await outside.token('one'), strict)).toBe(200)
  })

  it('a key that is for encryption, or for another algorithm', async () => {
    await outside.add('enc', 'RS256', (jwk) => ({ ...jwk, use: 'enc' }))
    await outside.add('other', 'RS256', (jwk) => ({ ...jwk, alg: 'PS256' }))
    expect(await status(await outside.token('enc'))).toBe(401)
    expect(await status(await outside.token('other'))).toBe(401)
  })

  it.each(['Basic dTpw', 'Bearer', 'Bearer a b', 'Bearer ,', 'x', 'Bearer a.b.c', 'Bearer ..'])(
    'the header %j, as 401 and never 500',
    async (authorization) => {
      expect((await ask('/me', { headers: { authorization } })).status).toBe(401)
    },
  )
})

describe('the keys (case 34)', () => {
  it('are fetched once, and not where the token says', async () => {
    const evil = new Issuer()
    await evil.add('one')
    const header = {
      jku: 'https://evil.example/jwks.json',
      x5u: 'https://evil.example/x',
      jwk: evil.keys[0],
    }
    expect(await status(await evil.token('one', {}, header))).toBe(401)
    for (let i = 0; i < 5; i++) expect(await status(await outside.token('one'))).toBe(200)
    expect(outside.fetches).toBe(1)
    expect(evil.fetches).toBe(0)
  })

  it('are fetched once by requests that come together', async () => {
    const token = await outside.token('one')
    const together = await Promise.all(Array.from({ length: 20 }, () => status(token)))
    expect(new Set(together)).toEqual(new Set([200]))
    expect(outside.fetches).toBe(1)
  })

  it('are fetched again for an unknown key, once in 30 seconds', async () => {
    expect(await status(await outside.token('one'))).toBe(200)
    await outside.add('two')
    const token = await outside.token('two')
    expect(await status(token)).toBe(401)
    clock.advance(31)
    // The rotation overlaps: the old key goes on, and the new one works for all who come at once.
    expect(await Promise.all([status(token), status(token)])).toEqual([200, 200])
    expect(await status(await outside.token('one'))).toBe(200)
    const madeUp = await outside.token('one', {}, { kid: 'made-up' })
    for (let i = 0; i < 50; i++) expect(await status(madeUp)).toBe(401)
    expect(outside.fetches).toBe(2)
    clock.advance(31)
    await Promise.all(Array.from({ length: 50 }, () => status(madeUp)))
    expect(outside.fetches).toBe(3)
  })

  it('are kept in KV for other isolates, an hour at most', async () => {
    const token = await outside.token('one', { exp: clock.now() / 1000 + 99_999 })
    expect(await status(token)).toBe(200)
    const second = makeAsker()
    expect(await status(token, second)).toBe(200)
    clock.advance(59 * 60)
    expect(await status(token, makeAsker())).toBe(200)
    expect(outside.fetches).toBe(1)
    outside.keys = []
    await outside.add('two')
    clock.advance(2 * 60)
    expect(await status(token, second)).toBe(401)
    expect(outside.fetches).toBe(2)
  })

  it('come from the issuer if what KV holds is odd', async () => {
    expect(await status(await outside.token('one'))).toBe(200)
    const [entry] = (await env.KV.list()).keys
    for (const odd of ['', 'null', '{', '[]', '{"keys":1}', '{"fetchedAt":9e15,"keys":[]}']) {
      await env.KV.put(entry?.name ?? '', odd)
      expect(await status(await outside.token('one'), makeAsker())).toBe(200)
    }
  })

  it('of two issuers are not mixed', async () => {
    const other = new Issuer()
    await other.add('one')
    let tenant = 'a'
    const byTenant = makeAsker({
      url: () => `https://${tenant}.example/keys`,
      fetch: async (to) => Response.json({ keys: (to.includes('//a.') ? outside : other).keys }),
    })
    const [ours, theirs] = [await outside.token('one'), await other.token('one')]
    for (let i = 0; i < 3; i++) {
      tenant = 'a'
      expect([await status(ours, byTenant), await status(theirs, byTenant)]).toEqual([200, 401])
      tenant = 'b'
      expect([await status(ours, byTenant), await status(theirs, byTenant)]).toEqual([401, 200])
    }
  })
})

describe('an issuer that fails lets nobody in (case 30)', () => {
  it.each<[string, () => Response | Promise<Response>]>([
    ['is down', () => Promise.reject(new TypeError('connection refused'))],
    ['answers 500', () => new Response('oops', { status: 500 })],
    ['answers 404', () => Response.json({ keys: outside.keys }, { status: 404 })],
    ['redirects', () => Response.redirect('https://evil.example/jwks.json')],
    ['answers HTML', () => new Response('<p>')],
    ['answers null', () => Response.json(null)],
    ['answers keys that are no list', () => Response.json({ keys: 'x' })],
    ['answers too much', () => Response.json({ keys: outside.keys, x: 'x'.repeat(300_000) })],
  ])('%s', async (_, answer) => {
    outside.answer = answer
    const response = await ask('/me', { token: await outside.token('one') })
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('5')
    const body = await response.text()
    expect(JSON.parse(body)).toMatchObject({ code: 'identity_unavailable' })
    expect(body).not.toContain('example')
    // And it is not asked by everyone at once, until it may be well again.
    expect(await status(await outside.token('one'))).toBe(503)
    expect(outside.fetches).toBe(1)
    outside.answer = undefined
    clock.advance(6)
    expect(await status(await outside.token('one'))).toBe(200)
  })

  it('is a 503 for a key that cannot be looked up, while known keys go on', async () => {
    expect(await status(await outside.token('one'))).toBe(200)
    await outside.add('two')
    outside.answer = () => new Response(null, { status: 502 })
    clock.advance(31)
    for (let i = 0; i < 2; i++) expect(await status(await outside.token('two'))).toBe(503)
    expect(await status(await outside.token('one'))).toBe(200)
  })

  it('passes over keys that are no keys', async () => {
    outside.keys.unshift(null as never, 'x' as never, {} as never, {
      kty: 'EC',
      kid: 'one',
      crv: 'P-999',
    })
    expect(await status(await outside.token('one'))).toBe(200)
  })
})

describe('options', () => {
  const good = { issuer, url, audience }
  it.each<[object, string]>([
    [{ ...good, issuer: '' }, '`issuer`'],
    [{ ...good, audience: undefined }, '`audience`'],
    [{ ...good, url: 'jwks.json' }, '`url`'],
    [{ ...good, url: 'http://issuer.example/jwks.json' }, '`url` must be an https: address'],
    [{ ...good, url: 'http://localhost.evil.example/' }, '`url` must be an https: address'],
    [{ ...good, algorithms: [] }, '`algorithms` is empty'],
    [{ ...good, algorithms: ['HS256' as Algorithm] }, '`algorithms` holds "HS256"'],
    [{ ...good, fetch: 1 }, '`fetch`'],
  ])('%j throws when it is built', (options, message) => {
    expect(() => jwks(makeBase(), options as never)).toThrow(TypeError)
    expect(() => jwks(makeBase(), options as never)).toThrow(message)
  })

  it('of the bindings are checked when they are used: no plain http outside of local development', async () => {
    const plain = makeAsker({ url: 'http://localhost:1/jwks.json' })
    expect(await status(await outside.token('one'), plain)).toBe(500)
    const unset = makeAsker({ audience: () => undefined as never })
    expect(await status(await outside.token('one'), unset)).toBe(500)
    expect(outside.fetches).toBe(0)
  })
})
