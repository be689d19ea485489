import { coreFaults } from './fault.ts'
import type { Scope } from './scope.ts'

/** Works for requests to loopback host names only; `npm start` of an example may use it. */
export const developmentSecret = 'leanto-development-secret-for-localhost-only'

const minimumLength = 32
const howToSet =
  'make one with `npx leanto secret` and set it with `npx wrangler secret put LEANTO_SECRET` (locally: in `.dev.vars`)'

/**
 * The secret if it may be used here.
 *
 * @throws {Fault} `misconfigured` (500), with a message that says how to set it: missing, under 32 characters, or the
 * documented development value outside of local development.
 */
export function checkSecret(secret: unknown, local: boolean): string {
  const refuse = (why: string) =>
    coreFaults.misconfigured({ message: `leanto's secret ${why}: ${howToSet}` })
  if (typeof secret !== 'string' || secret === '') throw refuse('is missing')
  if (secret.length < minimumLength) throw refuse(`is shorter than ${minimumLength} characters`)
  if (secret === developmentSecret && !local) throw refuse('is the development value')
  return secret
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** @param bytes How many random bytes; 32 is 256 bits. @returns base64url without padding. */
export const randomToken = (bytes = 32): string =>
  base64url(crypto.getRandomValues(new Uint8Array(bytes)))

/** SHA-256, base64url. For tokens with at least 128 random bits; a password needs `password.ts` of `auth`. */
export const hash = async (text: string): Promise<string> =>
  base64url(await crypto.subtle.digest('SHA-256', encoder.encode(text)))

/** Constant-time comparison: digests are compared, because `timingSafeEqual` throws on unequal lengths. */
export async function equal(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all(
    [a, b].map((text) => crypto.subtle.digest('SHA-256', encoder.encode(text))),
  )
  const x = new Uint8Array(left as ArrayBuffer)
  const y = new Uint8Array(right as ArrayBuffer)
  let difference = 0
  for (let i = 0; i < x.length; i++) difference |= (x[i] as number) ^ (y[i] as number)
  return difference === 0
}

/** 32 bytes derived from the secret for one purpose (HKDF-SHA-256, RFC 5869); another purpose, other bytes. */
export async function derive(secret: string, purpose: string): Promise<ArrayBuffer> {
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), 'HKDF', false, [
    'deriveBits',
  ])
  const info = encoder.encode(`leanto:${purpose}`)
  return crypto.subtle.deriveBits(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info },
    key,
    256,
  )
}

const sealingKey = async (secret: string, purpose: string) =>
  crypto.subtle.importKey('raw', await derive(secret, `seal:${purpose}`), 'AES-GCM', false, [
    'encrypt',
    'decrypt',
  ])

/**
 * Encrypts text under a key derived from the secret (AES-256-GCM, random 96-bit nonce).
 *
 * @param purpose What is sealed, and for whom: only the same purpose opens it.
 * @returns base64url of nonce and ciphertext.
 */
export async function seal(scope: Scope, purpose: string, text: string): Promise<string> {
  const nonce = crypto.getRandomValues(new Uint8Array(12))
  const key = await sealingKey(scope.secret, purpose)
  const sealed = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv: nonce },
    key,
    encoder.encode(text),
  )
  const bytes = new Uint8Array(nonce.length + sealed.byteLength)
  bytes.set(nonce)
  bytes.set(new Uint8Array(sealed), nonce.length)
  return base64url(bytes)
}

/** @returns The text, or `null` if it was sealed under another secret or purpose, or was changed. */
export async function open(scope: Scope, purpose: string, sealed: string): Promise<string | null> {
  try {
    const bytes = fromBase64url(sealed)
    const key = await sealingKey(scope.secret, purpose)
    const algorithm = { name: 'AES-GCM', iv: bytes.slice(0, 12) }
    return decoder.decode(await crypto.subtle.decrypt(algorithm, key, bytes.slice(12)))
  } catch {
    return null
  }
}

export function base64url(bytes: ArrayBuffer | Uint8Array): string {
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  let binary = ''
  for (const byte of view) binary += String.fromCharCode(byte)
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** @throws if the text is not base64url. */
const fromBase64url = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) =>
    char.charCodeAt(0),
  )
