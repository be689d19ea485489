/** What CBOR (RFC 8949) can say in WebAuthn: no tags, no floats, nothing of unknown length. */
export type Cbor = number | string | boolean | null | Uint8Array<ArrayBuffer> | Cbor[] | CborMap
export type CborMap = Map<number | string, Cbor>

/** An authenticator nests four deep at most (CTAP 2.2, 8: "Message Encoding"). */
const deepest = 8

export class CborError extends Error {}

/**
 * Reads one item. Whoever sends it has written every length in it: none is believed past the end of the bytes, so that
 * what is read costs no more than what was sent.
 *
 * @param at Where it begins.
 * @returns The value, and where what follows begins.
 * @throws {CborError} if it is cut short, nests too deep, has a key twice, or says what WebAuthn does not.
 */
export function readCbor(
  bytes: Uint8Array<ArrayBuffer>,
  at = 0,
  depth = 0,
): { value: Cbor; end: number } {
  if (depth > deepest) throw new CborError('nested too deep')
  const head = bytes[at]
  if (head === undefined) throw new CborError('cut short')
  const major = head >> 5
  if (major === 7) return { value: simple(head & 31), end: at + 1 }
  const { value: length, end } = argument(bytes, at, head & 31)
  switch (major) {
    case 0:
      return { value: length, end }
    case 1:
      return { value: -1 - length, end }
    case 2:
      return { value: slice(bytes, end, length), end: end + length }
    case 3:
      return { value: text(slice(bytes, end, length)), end: end + length }
    case 4:
      return list(bytes, end, length, depth)
    case 5:
      return map(bytes, end, length, depth)
    default:
      throw new CborError('a tag')
  }
}

/** As `readCbor`, of bytes that hold nothing else. */
export function readOneCbor(bytes: Uint8Array<ArrayBuffer>): Cbor {
  const { value, end } = readCbor(bytes)
  if (end !== bytes.length) throw new CborError('more than one item')
  return value
}

function simple(info: number): Cbor {
  if (info === 20) return false
  if (info === 21) return true
  if (info === 22) return null
  throw new CborError('a float, or a simple value that is not known')
}

function argument(bytes: Uint8Array<ArrayBuffer>, at: number, info: number) {
  if (info < 24) return { value: info, end: at + 1 }
  if (info > 27) throw new CborError('of unknown length')
  const size = 2 ** (info - 24)
  const end = at + 1 + size
  if (end > bytes.length) throw new CborError('cut short')
  let value = 0
  for (let i = at + 1; i < end; i++) value = value * 256 + (bytes[i] as number)
  if (!Number.isSafeInteger(value)) throw new CborError('a number too great')
  return { value, end }
}

function slice(bytes: Uint8Array<ArrayBuffer>, at: number, length: number) {
  if (length > bytes.length - at) throw new CborError('cut short')
  return bytes.slice(at, at + length)
}

function text(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CborError('no UTF-8')
  }
}

function list(bytes: Uint8Array<ArrayBuffer>, at: number, length: number, depth: number) {
  // An item is a byte at least.
  if (length > bytes.length - at) throw new CborError('cut short')
  const value: Cbor[] = []
  let end = at
  for (let i = 0; i < length; i++) {
    const item = readCbor(bytes, end, depth + 1)
    value.push(item.value)
    end = item.end
  }
  return { value, end }
}

function map(bytes: Uint8Array<ArrayBuffer>, at: number, length: number, depth: number) {
  if (length > (bytes.length - at) / 2) throw new CborError('cut short')
  const value: CborMap = new Map()
  let end = at
  for (let i = 0; i < length; i++) {
    const key = readCbor(bytes, end, depth + 1)
    if (typeof key.value !== 'number' && typeof key.value !== 'string')
      throw new CborError('a key that is neither number nor text')
    if (value.has(key.value)) throw new CborError('a key twice')
    const item = readCbor(bytes, key.end, depth + 1)
    value.set(key.value, item.value)
    end = item.end
  }
  return { value, end }
}
