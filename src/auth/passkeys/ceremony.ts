import { base64url, equal, hash } from '../../core/secret.ts'
import { fromBase64url } from '../base64url.ts'
import { type AuthenticatorData, readAuthenticatorData } from './authenticator-data.ts'
import { CborError, readOneCbor } from './cbor.ts'
import { hasSigned, isUsable, type PublicKey, publicKeyOf, storedKey } from './cose.ts'
import type { AssertionResponse, RegistrationResponse } from './credential.ts'

/*
 * The two ceremonies of WebAuthn Level 3 (7.1 and 7.2), as far as a server has to look. Pure: what is stored, and what is
 * used once, is the callers' to see to. An answer that does not hold is `null`; why, only its sender could want to know.
 */

/** What an answer has to fit. */
export interface Expected {
  /** The hash (`hash`) of the challenge that was given out, in base64url. */
  readonly challenge: string
  readonly rpId: string
  /** Where the page, or app, that asked may be. */
  readonly origins: readonly string[]
  /** Which pages may hold that page in a frame: none, those, or any. */
  readonly embedders: readonly string[] | 'any'
  /** Whether a touch is not enough: a finger, a face or a PIN. */
  readonly userVerification: boolean
}

/** A credential that was made, to be kept. Binary values are base64url. */
export interface Registered {
  readonly credentialId: string
  /** COSE. */
  readonly publicKey: string
  readonly counter: number
  readonly aaguid: string
  readonly backupEligible: boolean
  readonly backedUp: boolean
  readonly transports: readonly string[]
}

/** Of a stored credential, what an assertion is held against. */
export interface Stored {
  /** COSE, base64url. */
  readonly publicKey: string
  readonly counter: number
  readonly backupEligible: boolean
}

/** What an assertion says anew. */
export interface Asserted {
  readonly counter: number
  readonly backedUp: boolean
}

export async function checkRegistration(
  response: RegistrationResponse,
  expected: Expected,
): Promise<Registered | null> {
  if (!(await isClientData(response.clientData, 'webauthn.create', expected))) return null
  const attestation = quietly(() => readOneCbor(response.attestationObject))
  if (!(attestation instanceof Map)) return null
  const [fmt, statement, bytes] = ['fmt', 'attStmt', 'authData'].map((key) => attestation.get(key))
  if (typeof fmt !== 'string' || !(statement instanceof Map)) return null
  if (!(bytes instanceof Uint8Array)) return null
  const data = quietly(() => readAuthenticatorData(bytes))
  if (!data?.attested || !(await isForUs(data, expected))) return null
  const { credentialId, cose, aaguid } = data.attested
  const key = publicKeyOf(data.attested.key)
  if (!key || !(await isUsable(key))) return null
  if (base64url(credentialId) !== response.id) return null
  const signed = await withHashOf(bytes, response.clientData)
  if (!(await isAttested({ fmt, statement, key, signed }))) return null
  return {
    credentialId: response.id,
    publicKey: base64url(cose),
    counter: data.counter,
    aaguid,
    backupEligible: data.backupEligible,
    backedUp: data.backedUp,
    transports: response.transports,
  }
}

/**
 * @returns `null` also if the authenticator has counted no further: there may be two of it (7.2, step 22). Who stores the
 * count has to ask again, for what runs in parallel.
 */
export async function checkAssertion(
  response: AssertionResponse,
  expected: Expected,
  stored: Stored,
): Promise<Asserted | null> {
  if (!(await isClientData(response.clientData, 'webauthn.get', expected))) return null
  const data = quietly(() => readAuthenticatorData(response.authenticatorData))
  if (!data || !(await isForUs(data, expected))) return null
  if (data.backupEligible !== stored.backupEligible) return null
  const counts = data.counter > stored.counter || (data.counter === 0 && stored.counter === 0)
  if (!counts) return null
  const cose = fromBase64url(stored.publicKey)
  const key = cose && quietly(() => storedKey(cose))
  if (!key) throw new Error('leanto: a stored passkey has a key that cannot be read')
  const signed = await withHashOf(response.authenticatorData, response.clientData)
  if (!(await hasSigned(key, response.signature, signed))) return null
  return { counter: data.counter, backedUp: data.backedUp }
}

/** What the browser has seen: what for, with which challenge, on whose page. */
async function isClientData(
  bytes: Uint8Array,
  type: 'webauthn.create' | 'webauthn.get',
  { challenge, origins, embedders }: Expected,
): Promise<boolean> {
  const said = quietly(
    () =>
      JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Record<
        string,
        unknown
      > | null,
  )
  if (typeof said !== 'object' || said === null || said.type !== type) return false
  if (typeof said.challenge !== 'string' || typeof said.origin !== 'string') return false
  if (!(await equal(await hash(said.challenge), challenge))) return false
  if (!origins.includes(said.origin)) return false
  const { crossOrigin = false, topOrigin } = said
  if (crossOrigin === false && topOrigin === undefined) return true
  // In a frame of a page that is not ours: whoever holds it could lay things over what the user is asked.
  if (embedders === 'any') return true
  return typeof topOrigin === 'string' && embedders.includes(topOrigin)
}

async function isForUs(
  { rpIdHash, userPresent, userVerified }: AuthenticatorData,
  { rpId, userVerification }: Expected,
): Promise<boolean> {
  const ours = await sha256(new TextEncoder().encode(rpId))
  const same = ours.every((byte, i) => byte === rpIdHash[i])
  return same && userPresent && (userVerified || !userVerification)
}

/**
 * We ask for no attestation. What comes all the same is either the credential's own signature, which must be right, or the
 * word of a maker whose certificates we do not have: that is none, as if it had been left out (7.1, step 24).
 */
async function isAttested({
  fmt,
  statement,
  key,
  signed,
}: {
  fmt: string
  statement: Map<number | string, unknown>
  key: PublicKey
  signed: Uint8Array<ArrayBuffer>
}): Promise<boolean> {
  if (fmt === 'none') return statement.size === 0
  if (fmt !== 'packed' || statement.has('x5c')) return true
  const signature = statement.get('sig')
  if (statement.get('alg') !== key.algorithm || !(signature instanceof Uint8Array)) return false
  return hasSigned(key, signature as Uint8Array<ArrayBuffer>, signed)
}

async function withHashOf(
  data: Uint8Array,
  clientData: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const digest = await sha256(clientData)
  const signed = new Uint8Array(data.length + digest.length)
  signed.set(data)
  signed.set(digest, data.length)
  return signed
}

const sha256 = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))

/** `null` of what is not written as it should be; whatever else goes wrong is a bug. */
function quietly<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof CborError || error instanceof SyntaxError || error instanceof TypeError)
      return null
    throw error
  }
}
