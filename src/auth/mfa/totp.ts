import { encode } from 'uqr'
import { base32, fromBase32 } from './base32.ts'

/** In seconds (RFC 6238, 5.2). */
const period = 30
const digits = 6
/** Steps that a clock may be off, either way (RFC 6238, 5.2). */
const skew = 1

/** 160 bits, the length of SHA-1's output (RFC 4226, 4 R6), as base32. */
export const newSecret = (): string => base32(crypto.getRandomValues(new Uint8Array(20)))

/** The number of the 30 seconds that a time is in. @param now Unix time in milliseconds. */
export const stepAt = (now: number): number => Math.floor(now / 1000 / period)

/**
 * The code of one step (RFC 4226 with SHA-1, which is what authenticator apps do whatever a URI asks for).
 *
 * @param secret In base32.
 */
export async function totpCode(secret: string, step: number): Promise<string> {
  const raw = fromBase32(secret)
  if (!raw) throw new TypeError('leanto: a TOTP secret is not base32')
  const algorithm = { name: 'HMAC', hash: 'SHA-1' }
  const key = await crypto.subtle.importKey('raw', raw, algorithm, false, ['sign'])
  const counter = new DataView(new ArrayBuffer(8))
  counter.setBigUint64(0, BigInt(step))
  const mac = new DataView(await crypto.subtle.sign('HMAC', key, counter))
  const offset = mac.getUint8(mac.byteLength - 1) & 15
  const number = mac.getUint32(offset) & 0x7fffffff
  return String(number % 10 ** digits).padStart(digits, '0')
}

/**
 * The step that a code is of, within one before and one after now.
 *
 * @returns `null` for a wrong code. The newest step if the code is of two, for none before it is good afterwards.
 */
export async function stepOf(secret: string, code: string, now: number): Promise<number | null> {
  const current = stepAt(now)
  let found: number | null = null
  // No early exit: how long it takes does not say which step it was.
  for (let step = current - skew; step <= current + skew; step++)
    if (sameCode(await totpCode(secret, step), code)) found = step
  return found
}

function sameCode(right: string, code: string): boolean {
  if (code.length !== right.length) return false
  let difference = 0
  for (let i = 0; i < right.length; i++) difference |= right.charCodeAt(i) ^ code.charCodeAt(i)
  return difference === 0
}

/** What the authenticator app reads (Google's Key URI format). */
export function totpUri(secret: string, { issuer, account }: { issuer: string; account: string }) {
  const label = [issuer, account].map(encodeURIComponent).join(':')
  // No URLSearchParams: apps show its `+` for a space as it is.
  return `otpauth://totp/${label}?algorithm=SHA1&digits=${digits}&issuer=${encodeURIComponent(issuer)}&period=${period}&secret=${secret}`
}

/**
 * The URI as a QR code: an SVG without `#`, so that clients can put it into a `data:` URL as it is. A line for each run
 * of dark modules, for the library's own drawing of each module is five times as long.
 */
export function qrCode(uri: string): string {
  const { data, size } = encode(uri, { ecc: 'M', border: 4 })
  let path = ''
  data.forEach((row, y) => {
    for (let x = 0; x < size; x++) {
      if (!row[x]) continue
      const start = x
      while (row[x + 1]) x++
      path += `M${start} ${y}h${x + 1 - start}v1H${start}z`
    }
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><rect fill="white" width="${size}" height="${size}"/><path fill="black" d="${path}"/></svg>`
}
