import { hex } from './revision.ts'

/*
 * The order of JSON values in views and indexes: https://docs.couchdb.org/en/stable/ddocs/views/collation.html
 * null, false, true, numbers, text, lists, objects. Text is ordered as ICU's root order does for ASCII: by letters first,
 * case last, small before capital. Other letters come after, by code point, those with accents at their base letter.
 */

/** ASCII in the order of the Unicode Collation Algorithm; letters by their small form. */
const order = new Map(
  [...`\t\n\r _-,;:!?.'"()[]{}@*/\\&#%\`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz`].map(
    (character, i) => [character, i + 2] as const,
  ),
)

const encoder = new TextEncoder()

/** @returns Primary weights, then accents and case, each ended by 0: compared as bytes they order as text does. */
function textBytes(text: string): number[] {
  const primary: number[] = []
  const rest: number[] = []
  for (const character of text.normalize('NFD')) {
    // Control characters weigh nothing.
    if (/[^\P{Cc}\t-\r]/u.test(character)) continue
    if (/\p{Mn}/u.test(character)) {
      rest.push(3, ...encoder.encode(character))
      continue
    }
    const small = character.toLowerCase()
    const weight = order.get(small)
    if (weight !== undefined) primary.push(weight)
    // Above every weight of ASCII, and no 0 among them.
    else primary.push(0xf0, ...encoder.encode(small).map((byte) => byte || 1))
    rest.push(small === character ? 1 : 2)
  }
  return [...primary, 0, ...rest, 0]
}

/** Big-endian IEEE 754, with the bits turned so that bytes order as numbers do. */
function numberBytes(number: number): number[] {
  const view = new DataView(new ArrayBuffer(8))
  // -0 and 0 are one number.
  view.setFloat64(0, number === 0 ? 0 : number)
  const bytes = [...new Uint8Array(view.buffer)]
  return (bytes[0] as number) & 0x80
    ? bytes.map((byte) => byte ^ 0xff)
    : bytes.map((byte, i) => (i === 0 ? byte | 0x80 : byte))
}

function bytesOf(value: unknown): number[] {
  if (value === null || value === undefined) return [1]
  if (value === false) return [2]
  if (value === true) return [3]
  if (typeof value === 'number') return [4, ...numberBytes(value)]
  if (typeof value === 'string') return [5, ...textBytes(value)]
  if (Array.isArray(value)) return [6, ...value.flatMap(bytesOf), 0]
  const entries = Object.entries(value as object)
  return [7, ...entries.flatMap(([name, one]) => [...bytesOf(name), ...bytesOf(one)]), 0]
}

/** A value as hex digits that sort, as text, as the value does. */
export const sortKey = (value: unknown): string => hex(new Uint8Array(bytesOf(value)).buffer)

/** @returns Below, at or above 0. */
export function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [sortKey(a), sortKey(b)]
  return left < right ? -1 : left > right ? 1 : 0
}
