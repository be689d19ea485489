import { fromBase64url } from '../base64url.ts'

/** A browser's `PublicKeyCredential.toJSON()` (WebAuthn Level 3, 5.1.1), read as far as a server looks. */
interface Response {
  /** Of the credential, base64url. */
  readonly id: string
  /** JSON, as the browser wrote it: the hash of just these bytes is signed. */
  readonly clientData: Uint8Array<ArrayBuffer>
}

export interface RegistrationResponse extends Response {
  readonly attestationObject: Uint8Array<ArrayBuffer>
  /** How the authenticator can be reached, for the next time: `usb`, `internal`, … */
  readonly transports: readonly string[]
}

export interface AssertionResponse extends Response {
  readonly authenticatorData: Uint8Array<ArrayBuffer>
  readonly signature: Uint8Array<ArrayBuffer>
  /** Whose the authenticator says it is, base64url. */
  readonly userHandle: string | undefined
}

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const bytesOf = (value: unknown) => (typeof value === 'string' ? fromBase64url(value) : null)

/** @returns `null` if it is no credential in JSON. */
export function readRegistration(json: unknown): RegistrationResponse | null {
  const read = readResponse(json)
  const attestationObject = bytesOf(read?.response.attestationObject)
  if (!read || !attestationObject) return null
  const { id, clientData, response } = read
  return { id, clientData, attestationObject, transports: transportsOf(response.transports) }
}

/** @returns `null` if it is no credential in JSON. */
export function readAssertion(json: unknown): AssertionResponse | null {
  const read = readResponse(json)
  const authenticatorData = bytesOf(read?.response.authenticatorData)
  const signature = bytesOf(read?.response.signature)
  if (!read || !authenticatorData || !signature) return null
  const { id, clientData, response } = read
  // Browsers of old say `null` for none.
  const userHandle = response.userHandle ?? undefined
  if (userHandle !== undefined && typeof userHandle !== 'string') return null
  return { id, clientData, authenticatorData, signature, userHandle }
}

function readResponse(json: unknown): (Response & { response: Fields }) | null {
  if (!isObject(json) || json.type !== 'public-key' || !isObject(json.response)) return null
  const { id, rawId = id, response } = json
  const clientData = bytesOf(response.clientDataJSON)
  // 1023 bytes are the most that an id may have (7.1, step 25).
  if (typeof id !== 'string' || id === '' || id.length > 1364 || rawId !== id) return null
  return bytesOf(id) && clientData ? { id, clientData, response } : null
}

/** What a browser tells of itself: kept as far as it is words, a few, and short. */
const transportsOf = (value: unknown): string[] =>
  Array.isArray(value)
    ? value.filter((one) => typeof one === 'string' && /^[a-z-]{1,20}$/.test(one)).slice(0, 8)
    : []
