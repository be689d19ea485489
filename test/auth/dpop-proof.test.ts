import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { Fault } from 'leanto'
import { beforeAll, describe, expect, it } from 'vitest'
import { type ExpectedProof, verifyProof } from '../../src/auth/oauth-server/dpop/proof.ts'
import { clock } from '../kit/world.ts'
import { base64url, type Made, makeProver, type Prover } from './dpop-world.ts'

const url = 'https://app.example/auth/v1/oauth/token'
const expected = (more: Partial<ExpectedProof> = {}): ExpectedProof => ({
  method: 'POST',
  urls: [url],
  now: clock.now(),
  seconds: 60,
  ...more,
})

let client: Prover
beforeAll(async () => {
  client = await makeProver()
})

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
    return 'taken'
  } catch (error) {
    return error instanceof Fault ? error.code : `a bug: ${String(error)}`
  }
}
const shown = (proof: string, more: Partial<ExpectedProof> = {}) =>
  codeOf(verifyProof(proof, expected(more)))
const made = async (change: Made, more: Partial<ExpectedProof> = {}) =>
  shown(await client.prove('POST', url, undefined, change), more)

describe('a proof', () => {
  it.each(['ES256', 'EdDSA', 'Ed25519', 'RS256', 'PS256'])('is taken under %s', async (alg) => {
    const { prove, jkt } = await makeProver(alg)
    const proof = await verifyProof(await prove('POST', url), expected())
    expect(proof).toEqual({ jkt, jti: `${jkt}-1` })
  })

  it('has the thumbprint of RFC 7638, whatever else its key says', async () => {
    const header = { jwk: { ...client.jwk, kid: 'x', use: 'sig', key_ops: ['verify'] } }
    const { jkt } = await verifyProof(
      await client.prove('POST', url, undefined, { header }),
      expected(),
    )
    expect(jkt).toBe(client.jkt)
  })

  it.each([
    'https://app.example/auth/v1/oauth/token?a=1',
    'https://app.example/auth/v1/oauth/token#a',
    'HTTPS://APP.example:443/auth/v1/oauth/token',
    'https://app.example/auth/v1/./oauth/%74oken',
  ])('is for the same place where it says %s', async (htu) => {
    expect(await made({ payload: { htu } })).toBe('taken')
  })

  it.each([
    ['another path', 'https://app.example/auth/v1/oauth/token/'],
    ['another host', 'https://evil.example/auth/v1/oauth/token'],
    ['another port', 'https://app.example:8443/auth/v1/oauth/token'],
    ['no TLS', 'http://app.example/auth/v1/oauth/token'],
    ['credentials', 'https://app.example@evil.example/auth/v1/oauth/token'],
    ['a user', 'https://me@app.example/auth/v1/oauth/token'],
    ['a path alone', '/auth/v1/oauth/token'],
    ['another case', 'https://app.example/auth/v1/oauth/Token'],
    ['a slash that is escaped', 'https://app.example/auth/v1/oauth%2Ftoken'],
    ['no text', 7],
    ['nothing', undefined],
  ])('is refused where its htu has %s', async (_, htu) => {
    expect(await made({ payload: { htu } })).toBe('invalid_dpop_proof')
  })

  it.each([
    ['another method', { htm: 'GET' }],
    ['a method in small letters', { htm: 'post' }],
    ['no method', { htm: undefined }],
    ['no jti', { jti: undefined }],
    ['an empty jti', { jti: '' }],
    ['a jti that is no text', { jti: 1 }],
    ['no iat', { iat: undefined }],
    ['an iat that is text', { iat: '1' }],
    ['milliseconds', { iat: clock.now() }],
    ['an end that has passed', { exp: Math.floor(clock.now() / 1000) - 1 }],
    ['a start to come', { nbf: Math.floor(clock.now() / 1000) + 600 }],
  ])('is refused with %s', async (_, payload) => {
    expect(await made({ payload })).toBe('invalid_dpop_proof')
  })

  it.each([
    [-61, 'invalid_dpop_proof'],
    [-60, 'taken'],
    [60, 'taken'],
    [61, 'invalid_dpop_proof'],
  ])('that is %d seconds off is %s', async (seconds, code) => {
    expect(await made({ payload: { iat: Math.floor(clock.now() / 1000) + seconds } })).toBe(code)
  })

  /** By hand, for `jose` does not sign everything. */
  const signed = async (header: object): Promise<string> => {
    const head = { alg: 'ES256', typ: 'dpop+jwt', jwk: client.jwk, ...header }
    const claims = { jti: 'x', htm: 'POST', htu: url, iat: Math.floor(clock.now() / 1000) }
    const text = `${base64url(head)}.${base64url(claims)}`
    const bytes = new TextEncoder().encode(text)
    const algorithm = { name: 'ECDSA', hash: 'SHA-256' }
    const signature = await crypto.subtle.sign(algorithm, client.privateKey, bytes)
    return `${text}.${Buffer.from(signature).toString('base64url')}`
  }

  it.each([
    ['of another type', { typ: 'JWT' }],
    ['of no type', { typ: undefined }],
    ['without a key', { jwk: undefined }],
    ['with a key that is text', { jwk: 'key' }],
    ['with a list of keys', { jwk: [] }],
    ['with a key that is none', { jwk: { kty: 'EC' } }],
    ['with a key off the curve', { jwk: { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' } }],
    ['with a key that is elsewhere', { jwk: undefined, jku: 'https://evil.example/keys' }],
    ['with a header that must be understood', { crit: ['dpop'], dpop: true }],
  ])('is refused %s', async (_, header) => {
    expect(await shown(await signed({}))).toBe('taken')
    expect(await shown(await signed(header))).toBe('invalid_dpop_proof')
  })

  it('is refused with the private key in it', async () => {
    const jwk = await exportJWK(client.privateKey)
    expect(jwk.d).toBeTypeOf('string')
    expect(await made({ header: { jwk } })).toBe('invalid_dpop_proof')
    for (const name of ['p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])
      expect(await made({ header: { jwk: { ...client.jwk, [name]: 'x' } } })).toBe(
        'invalid_dpop_proof',
      )
  })

  it('is refused without a signature, and with one that is not its key’s', async () => {
    const [head = '', body = '', signature = ''] = (await client.prove('POST', url)).split('.')
    const none = base64url({ alg: 'none', typ: 'dpop+jwt', jwk: client.jwk })
    const other = await makeProver()
    for (const proof of [
      `${none}.${body}.`,
      `${none}.${body}.${signature}`,
      `${head}.${body}.`,
      `${head}.${base64url({ jti: 'x', htm: 'POST', htu: url })}.${signature}`,
      await client.prove('POST', url, undefined, { key: other.privateKey }),
      await client.prove('POST', url, undefined, { header: { jwk: other.jwk } }),
    ])
      expect(await shown(proof)).toBe('invalid_dpop_proof')
  })

  it('is refused under a secret that it shows itself', async () => {
    const secret = crypto.getRandomValues(new Uint8Array(32))
    const claims = { jti: 'x', htm: 'POST', htu: url, iat: Math.floor(clock.now() / 1000) }
    const k = Buffer.from(secret).toString('base64url')
    for (const jwk of [{ kty: 'oct', k }, client.jwk]) {
      const proof = await new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', typ: 'dpop+jwt', jwk })
        .sign(secret)
      expect(await shown(proof)).toBe('invalid_dpop_proof')
    }
  })

  it('is refused under an algorithm that is not listed, and a weak key', async () => {
    for (const alg of ['ES384', 'RS512']) {
      const { prove } = await makeProver(alg)
      expect(await shown(await prove('POST', url))).toBe('invalid_dpop_proof')
    }
    const weak = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, hash: 'SHA-256' }
    const pair = await crypto.subtle.generateKey(
      { ...weak, publicExponent: new Uint8Array([1, 0, 1]) },
      true,
      ['sign', 'verify'],
    )
    const { publicKey, privateKey } = pair as CryptoKeyPair
    const head = { alg: 'RS256', typ: 'dpop+jwt', jwk: await exportJWK(publicKey) }
    const claims = { jti: 'x', htm: 'POST', htu: url, iat: Math.floor(clock.now() / 1000) }
    const text = `${base64url(head)}.${base64url(claims)}`
    const signature = await crypto.subtle.sign(
      'RSASSA-PKCS1-v1_5',
      privateKey,
      new TextEncoder().encode(text),
    )
    const proof = `${text}.${Buffer.from(signature).toString('base64url')}`
    expect(await shown(proof)).toBe('invalid_dpop_proof')
  })

  it.each([
    '',
    'x',
    'a.b',
    'a.b.c',
    'a.b.c.d',
    `${'e30.'.repeat(2)}e30`,
    `${base64url('null')}.${base64url('null')}.x`,
    `${base64url({ alg: 'ES256' })}.${base64url('[]')}.x`,
    `x.${'a'.repeat(9000)}.x`,
  ])('is refused where it is no JWT (%#)', async (proof) => {
    expect(await shown(proof)).toBe('invalid_dpop_proof')
  })

  it('is one: two come joined, and neither counts', async () => {
    const proof = await client.prove('POST', url)
    expect(await shown(`${proof}, ${proof}`)).toBe('invalid_dpop_proof')
  })

  it('is for the access token that comes with it', async () => {
    const proof = (token?: string) => client.prove('POST', url, token)
    const { publicKey } = await generateKeyPair('ES256')
    expect(publicKey.type).toBe('public')
    expect(await shown(await proof('one'), { accessToken: 'one' })).toBe('taken')
    expect(await shown(await proof('one'), { accessToken: 'other' })).toBe('invalid_dpop_proof')
    expect(await shown(await proof(), { accessToken: 'one' })).toBe('invalid_dpop_proof')
  })

  it('has one of the nonces, where there are any, whatever its clock says', async () => {
    const nonces = ['new', 'old']
    for (const nonce of nonces) expect(await made({ payload: { nonce } }, { nonces })).toBe('taken')
    const wrongClock = { iat: 1, nonce: 'new' }
    expect(await made({ payload: wrongClock }, { nonces })).toBe('taken')
    for (const nonce of [undefined, '', 'older', ['new'], 1])
      expect(await made({ payload: { nonce } }, { nonces })).toBe('use_dpop_nonce')
    const refused = verifyProof(await client.prove('POST', url), expected({ nonces }))
    await expect(refused).rejects.toMatchObject({ headers: { 'dpop-nonce': 'new' } })
  })
})
