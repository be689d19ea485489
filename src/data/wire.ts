import { type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import { isStorable } from '../core/body.ts'
import { dataFaults } from './faults.ts'

/** A value as D1 binds and returns it. */
export type Stored = string | number | null | ArrayBuffer

/**
 * How one kind of column looks on the wire. The rule: a value is the JSON form of its drizzle type (a `Date` an ISO
 * string, a `Buffer` Postgres's `\x…` hex, a bigint its digits), and what is not of that form is refused, not coerced.
 */
export interface WireType {
  /** Postgres's name for it, as clients read it in errors. */
  readonly name: string
  /** From the database to JSON. Absent where the stored value is the JSON value. */
  readonly decode?: (stored: unknown) => unknown
  /** From JSON in a body. @throws {Fault} 22P02 or a sister */
  readonly encode: (json: unknown) => Stored
  /** From a filter's text. @throws {Fault} 22P02 or a sister */
  readonly parse: (text: string) => Stored
  /** Whether `<` and its sisters make sense. */
  readonly ordered: boolean
  /** Whether `like` makes sense. */
  readonly textual: boolean
  /** Whether the stored form is a blob: it then travels as hex inside a JSON parameter. */
  readonly blob: boolean
  /** The column's value for `=`, where equal values may be stored differently. */
  readonly comparable?: (value: SQL) => SQL
}

const wrong = (type: string, given: unknown) => {
  const shown = typeof given === 'string' ? given : (JSON.stringify(given) ?? '')
  return dataFaults['22P02']({
    message: `invalid input syntax for type ${type}: "${shown.length > 100 ? `${shown.slice(0, 100)}…` : shown}"`,
  })
}

/** @throws {Fault} 22P05 or 22021: Postgres stores neither NUL nor half a surrogate pair, and neither do we. */
export function storable(text: string): string {
  if (isStorable(text)) return text
  if (text.includes('\0'))
    throw dataFaults['22P05']({ details: '\\u0000 cannot be converted to text.' })
  throw dataFaults['22P02']({
    message: 'invalid input syntax for type json',
    details: 'Unicode high surrogate must not follow a high surrogate, nor stand alone.',
  })
}

const base = { ordered: true, textual: false, blob: false }

function textType(column: SQLiteColumn): WireType {
  const { enumValues } = column
  const { length } = column as unknown as { length?: number }
  const check = (text: string): string => {
    if (enumValues && enumValues.length > 0 && !enumValues.includes(text))
      throw dataFaults['22P02']({
        message: `invalid input value for enum ${column.name}: "${text.slice(0, 100)}"`,
      })
    if (length !== undefined && [...text].length > length)
      throw dataFaults['22001']({ message: `value too long for type character varying(${length})` })
    return storable(text)
  }
  return {
    ...base,
    name: 'text',
    textual: true,
    encode: (json) => {
      if (typeof json !== 'string') throw wrong('text', json)
      return check(json)
    },
    parse: storable,
  }
}

const integerShape = /^\s*[+-]?\d+\s*$/
const numberShape = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i

function numberType(name: 'integer' | 'double precision'): WireType {
  const integer = name === 'integer'
  const parse = (text: string): number => {
    if (!(integer ? integerShape : numberShape).test(text)) throw wrong(name, text)
    const value = Number(text)
    if (!Number.isFinite(value) || (integer && !Number.isSafeInteger(value)))
      throw dataFaults['22003']({
        message: `value "${text.slice(0, 100)}" is out of range for type ${name}`,
      })
    return value
  }
  return {
    ...base,
    name,
    // A numeric string is a literal that Postgres reads too, without loss; anything else is refused.
    encode: (json) => {
      if (typeof json !== 'number' && typeof json !== 'string') throw wrong(name, json)
      return parse(typeof json === 'number' && integer ? expanded(json) : String(json))
    },
    parse,
  }
}

// String(1e21) is '1e+21': an integer all the same, and out of range.
const expanded = (number: number) =>
  Number.isInteger(number) ? BigInt(number).toString() : String(number)

const trueWords = new Set(['true', 't', 'yes', 'y', 'on', '1'])
const falseWords = new Set(['false', 'f', 'no', 'n', 'off', '0'])

const booleanType: WireType = {
  ...base,
  name: 'boolean',
  decode: (stored) => (stored === null ? null : stored !== 0),
  encode: (json) => {
    if (typeof json !== 'boolean' && typeof json !== 'string') throw wrong('boolean', json)
    return booleanType.parse(String(json))
  },
  parse: (text) => {
    const word = text.trim().toLowerCase()
    if (trueWords.has(word)) return 1
    if (falseWords.has(word)) return 0
    throw wrong('boolean', text)
  },
}

const isoShape =
  /^\s*\d{4,6}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?\s*$/i

function timestampType(column: SQLiteColumn): WireType {
  const name = 'timestamp with time zone'
  const parse = (text: string): Stored => {
    if (!isoShape.test(text))
      throw dataFaults['22007']({
        message: `invalid input syntax for type ${name}: "${text.slice(0, 100)}"`,
      })
    const iso = text.trim().toUpperCase().replace(' ', 'T')
    const zoned = !iso.includes('T') || /(?:Z|[+-]\d\d(?::?\d\d)?)$/.test(iso) ? iso : `${iso}Z`
    const date = new Date(
      zoned.replace(/([+-]\d\d)$/, '$1:00').replace(/([+-]\d\d)(\d\d)$/, '$1:$2'),
    )
    if (Number.isNaN(date.getTime()))
      throw dataFaults['22003']({
        message: `date/time field value out of range: "${text.slice(0, 100)}"`,
      })
    return column.mapToDriverValue(date) as number
  }
  return {
    ...base,
    name,
    decode: (stored) => {
      if (stored === null) return null
      const date = column.mapFromDriverValue(stored) as Date
      return Number.isNaN(date.getTime()) ? null : date.toISOString()
    },
    encode: (json) => {
      if (typeof json !== 'string') throw wrong(name, json)
      return parse(json)
    },
    parse,
  }
}

const bytesOf = (stored: unknown): Uint8Array =>
  stored instanceof ArrayBuffer ? new Uint8Array(stored) : Uint8Array.from(stored as number[])

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

const fromHex = (hex: string): ArrayBuffer =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)).buffer

const bytesType: WireType = {
  ...base,
  name: 'bytea',
  blob: true,
  decode: (stored) => (stored === null ? null : `\\x${toHex(bytesOf(stored))}`),
  encode: (json) => {
    if (typeof json !== 'string') throw wrong('bytea', json)
    return bytesType.parse(json)
  },
  parse: (text) => {
    if (!/^\\x(?:[0-9a-f]{2})*$/i.test(text)) throw wrong('bytea', text)
    return fromHex(text.slice(2))
  },
}

const utf8 = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer as ArrayBuffer

function jsonType(blob: boolean): WireType {
  const store = (text: string): Stored => (blob ? utf8(text) : text)
  return {
    ...base,
    name: 'json',
    ordered: false,
    blob,
    comparable: (value) => sql`json(CAST(${value} AS TEXT))`,
    decode: (stored) => {
      if (stored === null) return null
      const text = typeof stored === 'string' ? stored : new TextDecoder().decode(bytesOf(stored))
      return JSON.parse(text)
    },
    encode: (json) => {
      checkJson(json)
      return store(JSON.stringify(json))
    },
    parse: (text) => {
      try {
        return store(JSON.stringify(JSON.parse(text)))
      } catch {
        throw wrong('json', text)
      }
    },
  }
}

// Walked with a list of its own, not by recursion: nesting is the client's choice.
function checkJson(json: unknown) {
  const left: unknown[] = [json]
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    if (typeof value === 'string') storable(value)
    else if (typeof value === 'object' && value !== null)
      for (const [key, part] of Object.entries(value)) {
        storable(key)
        left.push(part)
      }
  }
}

function bigintType(column: SQLiteColumn): WireType {
  const parse = (text: string): Stored => {
    if (!integerShape.test(text)) throw wrong('bigint', text)
    const stored = column.mapToDriverValue(BigInt(text.trim())) as unknown
    return typeof stored === 'string' ? stored : utf8(String(BigInt(text.trim())))
  }
  return {
    ...base,
    name: 'bigint',
    // Digits as text in a blob: equal when the same, but not in the order of the numbers.
    ordered: column.columnType !== 'SQLiteBigInt',
    blob: column.columnType === 'SQLiteBigInt',
    decode: (stored) => {
      if (stored === null) return null
      return typeof stored === 'object' ? new TextDecoder().decode(bytesOf(stored)) : String(stored)
    },
    encode: (json) => {
      if (typeof json !== 'string' && !Number.isSafeInteger(json)) throw wrong('bigint', json)
      return parse(String(json))
    },
    parse,
  }
}

const numericTextType: WireType = {
  ...base,
  name: 'numeric',
  decode: (stored) => (stored === null ? null : String(stored)),
  encode: (json) => {
    if (typeof json !== 'string' && typeof json !== 'number') throw wrong('numeric', json)
    return numericTextType.parse(String(json))
  },
  parse: (text) => {
    if (!numberShape.test(text)) throw wrong('numeric', text)
    return text.trim()
  },
}

function customType(column: SQLiteColumn): WireType {
  return {
    ...base,
    name: column.getSQLType(),
    decode: (stored) => (stored === null ? null : column.mapFromDriverValue(stored)),
    encode: (json) => {
      checkJson(json)
      return column.mapToDriverValue(json) as Stored
    },
    parse: (text) => column.mapToDriverValue(storable(text)) as Stored,
  }
}

/** The wire type of a drizzle column. */
export function wireType(column: SQLiteColumn): WireType {
  switch (column.columnType) {
    case 'SQLiteText':
      return textType(column)
    case 'SQLiteInteger':
      return numberType('integer')
    case 'SQLiteReal':
    case 'SQLiteNumericNumber':
      return numberType('double precision')
    case 'SQLiteBoolean':
      return booleanType
    case 'SQLiteTimestamp':
      return timestampType(column)
    case 'SQLiteTextJson':
      return jsonType(false)
    case 'SQLiteBlobJson':
      return jsonType(true)
    case 'SQLiteBlobBuffer':
      return bytesType
    case 'SQLiteBigInt':
    case 'SQLiteNumericBigInt':
      return bigintType(column)
    case 'SQLiteNumeric':
      return numericTextType
    default:
      return customType(column)
  }
}

/** A stored value inside a JSON parameter. */
export const inJson = (stored: Stored): string | number | null =>
  stored instanceof ArrayBuffer ? toHex(new Uint8Array(stored)) : stored
