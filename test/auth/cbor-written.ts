/** Writes CBOR (RFC 8949) as authenticators do, for tests. */
export type Written =
  | number
  | string
  | boolean
  | null
  | Uint8Array
  | Written[]
  | Map<unknown, Written>

export const concat = (
  ...parts: readonly (Uint8Array | readonly number[])[]
): Uint8Array<ArrayBuffer> => Uint8Array.from(parts.flatMap((part) => [...part]))

function head(major: number, value: number): number[] {
  if (value < 24) return [(major << 5) | value]
  const sizes = [1, 2, 4]
  const size = sizes.find((one) => value < 256 ** one) ?? 4
  const bytes = Array.from(
    { length: size },
    (_, i) => Math.floor(value / 256 ** (size - 1 - i)) & 255,
  )
  return [(major << 5) | (24 + sizes.indexOf(size)), ...bytes]
}

export function cbor(value: Written): Uint8Array<ArrayBuffer> {
  if (typeof value === 'number') return concat(value < 0 ? head(1, -1 - value) : head(0, value))
  if (typeof value === 'string') {
    const text = new TextEncoder().encode(value)
    return concat(head(3, text.length), text)
  }
  if (value instanceof Uint8Array) return concat(head(2, value.length), value)
  if (Array.isArray(value)) return concat(head(4, value.length), ...value.map(cbor))
  if (value instanceof Map)
    return concat(
      head(5, value.size),
      ...[...value].flatMap(([key, held]) => [cbor(key as Written), cbor(held)]),
    )
  return concat([value === false ? 0xf4 : value === true ? 0xf5 : 0xf6])
}
