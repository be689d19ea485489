import { describe, expect, it } from 'vitest'
import { checkAssertion, checkRegistration } from '../../src/auth/passkeys/ceremony.ts'
import { base64url, hash } from '../../src/core/secret.ts'
import { fromHex } from './authenticator.ts'
import vectors from './webauthn-vectors.json' with { type: 'json' }

/*
 * The test vectors of W3C WebAuthn Level 3 (section 16, "Test Vectors") with the algorithms that we take: each byte and each
 * signature as it is printed there.
 */

const base = {
  rpId: 'example.org',
  origins: ['https://example.org'],
  embedders: 'any',
  userVerification: false,
} as const

const utf8 = (text: string) => new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>
const expectedOf = async (challenge: string, more: object = {}) => ({
  ...base,
  challenge: await hash(base64url(fromHex(challenge))),
  ...more,
})

async function registered({ credentialId, registration }: (typeof vectors)[0], more: object = {}) {
  const response = {
    id: credentialId,
    clientData: utf8(registration.clientData),
    attestationObject: fromHex(registration.attestationObject),
    transports: [],
  }
  return checkRegistration(response, await expectedOf(registration.challenge, more))
}

const assertionOf = ({ credentialId, authentication }: (typeof vectors)[0]) => ({
  id: credentialId,
  clientData: utf8(authentication.clientData),
  authenticatorData: fromHex(authentication.authenticatorData),
  signature: fromHex(authentication.signature),
  userHandle: undefined,
})

describe.each(vectors.map((vector) => [vector.name, vector] as const))('%s', (name, vector) => {
  it('is registered', async () => {
    const made = await registered(vector)
    expect(made).toMatchObject({ credentialId: vector.credentialId, counter: 0 })
    // The flags, as the vector's seventh random byte has them.
    const data = vector.registration.attestationObject.split('61757468446174615')[1] ?? ''
    const at = data.indexOf('bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b5') + 64
    const flags = Number.parseInt(data.slice(at, at + 2), 16)
    expect(made?.backupEligible).toBe((flags & 8) !== 0)
    expect(made?.backedUp).toBe((flags & 16) !== 0)
  })

  it('signs in', async () => {
    const stored = await registered(vector)
    if (!stored) throw new Error('not registered')
    const expected = await expectedOf(vector.authentication.challenge)
    expect(await checkAssertion(assertionOf(vector), expected, stored)).toMatchObject({
      counter: 0,
    })
  })

  it.each([
    ['another challenge', { challenge: 'x' }],
    ['another domain', { rpId: 'example.com' }],
    ['another origin', { origins: ['https://example.com'] }],
    ['a frame, where it is in one', { embedders: ['https://example.net'] }],
  ])('does neither for %s', async (_, more) => {
    const framed = 'embedders' in more && !/crossOrigin|topOrigin/.test(name)
    expect((await registered(vector, more)) === null).toBe(!framed)
    const stored = await registered(vector)
    if (!stored) throw new Error('not registered')
    const expected = await expectedOf(vector.authentication.challenge, more)
    const asserted = await checkAssertion(assertionOf(vector), expected, stored)
    expect(asserted === null).toBe(!framed)
  })

  it('does not sign in with any bit of the signature or of what it signs changed', async () => {
    const stored = await registered(vector)
    if (!stored) throw new Error('not registered')
    const expected = await expectedOf(vector.authentication.challenge)
    for (const field of ['signature', 'authenticatorData'] as const) {
      const { length } = assertionOf(vector)[field]
      // The first bytes of a signature are its DER, the last its number.
      for (const at of [0, 1, 2, 3, 4, length >> 1, length - 1]) {
        const response = assertionOf(vector)
        response[field][at] = (response[field][at] as number) ^ 1
        expect(await checkAssertion(response, expected, stored), `${field} ${at}`).toBeNull()
      }
    }
    const response = assertionOf(vector)
    response.clientData = utf8(vector.authentication.clientData.replace('}', ' }'))
    expect(await checkAssertion(response, expected, stored)).toBeNull()
  })
})

it('takes the page that holds the frame from a list', async () => {
  const vector = vectors.find(({ name }) => name === 'none.ES256.topOrigin')
  if (!vector) throw new Error('no vector')
  expect(await registered(vector, { embedders: ['https://example.com'] })).not.toBeNull()
  expect(await registered(vector, { embedders: [] })).toBeNull()
})

it('refuses a self attestation that is not its own', async () => {
  const vector = vectors.find(({ name }) => name === 'packed-self.ES256')
  if (!vector) throw new Error('no vector')
  const { attestationObject } = vector.registration
  const changed = attestationObject.replace('20067a20', '20067a21')
  expect(changed).not.toBe(attestationObject)
  const registration = { ...vector.registration, attestationObject: changed }
  expect(await registered({ ...vector, registration })).toBeNull()
})

it('has a vector for each algorithm, and those without attestation', () => {
  expect(vectors.map(({ name }) => name)).toEqual([
    'none.ES256',
    'packed-self.ES256',
    'none.ES256.crossOrigin',
    'none.ES256.topOrigin',
    'none.ES256.long-credential-id',
    'packed.RS256',
    'packed.EdDSA',
  ])
})
