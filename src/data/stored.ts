import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'

/** A value as D1 binds and returns it. */
export type Stored = string | number | null | ArrayBuffer

/** A value of the drizzle type, as drizzle itself would bind it. */
export function driverValue(column: SQLiteColumn, value: unknown): Stored {
  if (value === null || value === undefined) return null
  const stored = column.mapToDriverValue(value) as unknown
  if (typeof stored === 'boolean') return stored ? 1 : 0
  if (ArrayBuffer.isView(stored))
    return stored.buffer.slice(
      stored.byteOffset,
      stored.byteOffset + stored.byteLength,
    ) as ArrayBuffer
  return stored as Stored
}

/** How SQLite converts what is stored in a column: https://www.sqlite.org/datatype3.html#determination_of_column_affinity */
export function affinityOf(column: SQLiteColumn): 'integer' | 'text' | 'blob' | 'real' | 'numeric' {
  const type = column.getSQLType()
  if (/int/i.test(type)) return 'integer'
  if (/char|clob|text/i.test(type)) return 'text'
  if (type === '' || /blob/i.test(type)) return 'blob'
  return /real|floa|doub/i.test(type) ? 'real' : 'numeric'
}

export const bytesOf = (stored: unknown): Uint8Array =>
  stored instanceof ArrayBuffer ? new Uint8Array(stored) : Uint8Array.from(stored as number[])

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

export const fromHex = (hex: string): ArrayBuffer =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)).buffer

export const utf8 = (text: string): ArrayBuffer =>
  new TextEncoder().encode(text).buffer as ArrayBuffer

/** A stored value inside a JSON parameter. */
export const inJson = (stored: Stored): string | number | null =>
  stored instanceof ArrayBuffer ? toHex(new Uint8Array(stored)) : stored
