/*
 * As much of DER (X.690) as a certificate and an ECDSA signature need. It reads what came over TLS from a named host, or
 * what a signature check will still refuse; whatever is odd throws.
 */

interface Element {
  readonly tag: number
  /** With tag and length. */
  readonly whole: Uint8Array<ArrayBuffer>
  readonly content: Uint8Array<ArrayBuffer>
}

/** The elements that stand one after the other. @throws {RangeError} */
function elements(bytes: Uint8Array<ArrayBuffer>): Element[] {
  const found: Element[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at] as number
    let length = bytes[at + 1] ?? 0x80
    let start = at + 2
    if (length > 0x7f) {
      const size = length & 0x7f
      if (size < 1 || size > 3) throw new RangeError('DER')
      length = 0
      for (let i = 0; i < size; i++) length = length * 256 + (bytes[start + i] ?? 0)
      start += size
    }
    const end = start + length
    if (end > bytes.length) throw new RangeError('DER')
    found.push({ tag, whole: bytes.slice(at, end), content: bytes.slice(start, end) })
    at = end
  }
  return found
}

/** The SubjectPublicKeyInfo of an X.509 certificate (RFC 5280, 4.1). @throws {RangeError} */
export function publicKeyOf(certificate: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const [body] = elements(elements(certificate)[0]?.content ?? certificate)
  const fields = elements(body?.content ?? certificate)
  // [0] version (left out in version 1), serial, algorithm, issuer, validity, subject, key
  const key = fields[fields[0]?.tag === 0xa0 ? 6 : 5]
  if (key?.tag !== 0x30) throw new RangeError('DER')
  return key.whole
}

/** An ECDSA signature of P-256 as Web Crypto takes it: both numbers in 32 bytes each. @throws {RangeError} */
export function rawSignature(der: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const numbers = elements(elements(der)[0]?.content ?? der)
  const raw = new Uint8Array(64)
  for (const [i, { content }] of numbers.slice(0, 2).entries()) {
    const digits = content.slice(content.findIndex((byte) => byte !== 0))
    if (digits.length > 32) throw new RangeError('DER')
    raw.set(digits, 32 * (i + 1) - digits.length)
  }
  return raw
}
