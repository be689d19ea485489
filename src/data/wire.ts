import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import { isStorable } from '../core/body.ts'
import { dataFaults } from './faults.ts'
import { instantOf, timestampName } from './instant.ts'
import { type Fragment, sql } from './sql.ts'
import { affinityOf, bytesOf, driverValue, fromHex, type Stored, toHex, utf8 } from './stored.ts'

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
  /** The column's value as `parse` writes it, where equal values may be stored differently. */
  readonly comparable?: (column: Fragment) => Fragment
  /** What values have alike if, and only if, they are equal; absent where they are that themselves. */
  readonly equal?: (value: Fragment) => Fragment
  /** As text in SQL, in Postgres's words; absent where SQLite's own cast to text is that. */
  readonly text?: (value: Fragment) => Fragment
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
// One way to match each text: with two, a long run of digits would take time in its square (ReDoS).
const numberShape = /^\s*[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i

export function numberType(name: 'integer' | 'double precision'): WireType {
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
    // Postgres writes 1, where SQLite writes 1.0.
    ...(integer
      ? {}
      : {
          text: (value: Fragment) =>
            sql`case when abs(${value}) < 1e15 and ${value} = cast(${value} as integer) then cast(cast(${value} as integer) as text) else cast(${value} as text) end`,
        }),
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

export const booleanType: WireType = {
  ...base,
  name: 'boolean',
  text: (value) => sql`case ${value} when 1 then 'true' when 0 then 'false' end`,
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

function timestampType(column: SQLiteColumn): WireType {
  const perUnit = (column as unknown as { mode?: string }).mode === 'timestamp' ? 1000 : 1
  return {
    ...base,
    name: timestampName,
    text: (value) => {
      const part = perUnit === 1 ? sql`((${value} % 1000) + 1000) % 1000` : sql`0`
      const seconds = perUnit === 1 ? sql`(${value} - ${part}) / 1000` : value
      return sql`strftime('%Y-%m-%dT%H:%M:%S', ${seconds}, 'unixepoch') || printf('.%03dZ', ${part})`
    },
    decode: (stored) => {
      if (stored === null) return null
      const date = column.mapFromDriverValue(stored) as Date
      return Number.isNaN(date.getTime()) ? null : date.toISOString()
    },
    encode: (json) => {
      if (typeof json !== 'string') throw wrong(timestampName, json)
      return column.mapToDriverValue(new Date(Math.floor(instantOf(json)))) as number
    },
    // Exact, also where the column keeps whole seconds: `lt.…:00.5` is true of second 0.
    parse: (text) => instantOf(text) / perUnit,
  }
}

const bytesType: WireType = {
  ...base,
  name: 'bytea',
  text: (value) => sql`'\\x' || lower(hex(${value}))`,
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

function jsonType(blob: boolean): WireType {
  return {
    ...base,
    name: 'json',
    ordered: false,
    blob,
    ...(blob ? { text: (value: Fragment) => sql`cast(${value} as text)` } : {}),
    // The host may have put anything there: what is no JSON equals nothing, rather than failing the statement.
    comparable: (column) => {
      const text = sql`CAST(${column} AS TEXT)`
      return sql`CASE WHEN json_valid(${text}) THEN json(${text}) END`
    },
    // As jsonb has it: the order of keys does not count, nor does 1.0 for 1. Each value of the tree, by where it stands.
    equal: (json) =>
      sql`(select nullif(json_group_array(json_array(fullkey, case when type in ('integer', 'real') then 'number' else type end, case when type = 'real' and abs(atom) < 1e15 and atom = cast(atom as integer) then cast(atom as integer) else atom end)), '[]') from (select fullkey, type, atom from json_tree(${json}) order by fullkey))`,
    decode: (stored) => {
      if (stored === null) return null
      const text = typeof stored === 'string' ? stored : new TextDecoder().decode(bytesOf(stored))
      const json = jsonOf(text)
      return json === undefined ? text : json
    },
    encode: (json) => {
      checkJson(json)
      const text = JSON.stringify(json)
      return blob ? utf8(text) : text
    },
    parse: (text) => {
      const json = jsonOf(text)
      if (json === undefined) throw wrong('json', text)
      checkJson(json)
      return JSON.stringify(json)
    },
  }
}

/** Text that is no column: what `->>` finds, or a cast makes. */
export const textPathType: WireType = {
  ...base,
  name: 'text',
  textual: true,
  encode: () => null,
  parse: storable,
}

/** JSON that is no column: what `->` finds, or a cast makes. */
export const jsonPathType: WireType = jsonType(false)

/** What a cast to `date` makes. */
export const dateType: WireType = { ...textPathType, name: 'date' }

/** `undefined` if the text is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// SQLite reads JSON of 1,000 levels; a row with more would fail every statement that looks into it.
const maxJsonDepth = 500

/** Walks with a list of its own, not by recursion: nesting is the client's choice. */
function checkJson(json: unknown) {
  const left: [value: unknown, depth: number][] = [[json, 0]]
  for (let next = left.pop(); next; next = left.pop()) {
    const [value, depth] = next
    if (typeof value === 'string') storable(value)
    // `1e400` is read as Infinity, which JSON.stringify would turn into null.
    else if (typeof value === 'number' && !Number.isFinite(value))
      throw dataFaults['22003']({ message: 'a number in the json is out of range' })
    else if (typeof value === 'object' && value !== null) {
      if (depth === maxJsonDepth)
        throw dataFaults['54000']({
          message: 'json is nested too deeply',
          details: `It may nest ${maxJsonDepth} levels.`,
        })
      for (const [key, part] of Object.entries(value)) {
        storable(key)
        left.push([part, depth + 1])
      }
    }
  }
}

// Reading digits as a number takes more than linear time; Postgres's own numeric ends at 131,072.
const maxDigits = 1000

function bigintType(column: SQLiteColumn): WireType {
  const parse = (text: string): Stored => {
    if (!integerShape.test(text)) throw wrong('bigint', text)
    if (text.length > maxDigits)
      throw dataFaults['22003']({ message: 'value is out of range for type bigint' })
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
    if (text.length > maxDigits || !Number.isFinite(Number(text)))
      throw dataFaults['22003']({ message: 'value is out of range for type numeric' })
    return text.trim()
  },
}

function customType(column: SQLiteColumn): WireType {
  const name = column.getSQLType()
  const blob = affinityOf(column) === 'blob'
  const convert = (value: unknown): Stored => {
    let stored: Stored | undefined
    try {
      stored = driverValue(column, value)
    } catch {
      // The host's `toDriver` was written for the type that TypeScript knows, not for what a client may send.
    }
    if (stored === undefined || (blob && !(stored instanceof ArrayBuffer))) throw wrong(name, value)
    return stored
  }
  return {
    ...base,
    name,
    blob,
    decode: (stored) => (stored === null ? null : column.mapFromDriverValue(stored)),
    encode: (json) => {
      checkJson(json)
      return convert(json)
    },
    parse: (text) => convert(storable(text)),
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
