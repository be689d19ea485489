import { guard } from './compile.ts'
import { dataFaults } from './faults.ts'
import type { Operand } from './operand.ts'
import { type Fragment, sql } from './sql.ts'
import {
  booleanType,
  dateType,
  jsonPathType,
  numberType,
  textPathType,
  type WireType,
} from './wire.ts'

type Target = 'text' | 'integer' | 'real' | 'boolean' | 'json' | 'date'

/** Postgres's names of the types that SQLite can hold. */
const targets = new Map<string, Target>(
  Object.entries({
    text: ['text', 'varchar', 'character varying', 'citext'],
    integer: ['integer', 'int', 'int2', 'int4', 'int8', 'smallint', 'bigint'],
    real: ['real', 'float', 'float4', 'float8', 'double precision', 'numeric', 'decimal'],
    boolean: ['boolean', 'bool'],
    json: ['json', 'jsonb'],
    date: ['date'],
  } satisfies Record<Target, string[]>).flatMap(([target, names]) =>
    names.map((name) => [name, target as Target]),
  ),
)

const typeOf: Record<Target, WireType> = {
  text: textPathType,
  integer: numberType('integer'),
  real: numberType('double precision'),
  boolean: booleanType,
  json: jsonPathType,
  date: dateType,
}

/**
 * `::type`. What Postgres would refuse is refused: SQLite's own CAST makes 0 of `abc`.
 *
 * @throws {Fault} 42704 for a type that is not here, 42846 for two types of which one is never the other; the statement
 * fails with 22P02 for a value that is none.
 */
export function cast(operand: Operand, name: string): Operand {
  const target = targets.get(name)
  if (!target) throw dataFaults['42704']({ message: `type "${name.slice(0, 100)}" does not exist` })
  const from = kindOf(operand.type)
  if (from === target) return operand
  const value = conversions[target](operand, from)
  if (!value)
    throw dataFaults['42846']({ message: `cannot cast type ${operand.type.name} to ${name}` })
  return { value, type: typeOf[target] }
}

function kindOf({ name, blob }: WireType): Target | 'time' | 'other' {
  if (name === 'double precision') return 'real'
  if (name === 'timestamp with time zone') return 'time'
  if (name === 'integer' || name === 'boolean' || name === 'json' || name === 'text') return name
  if (name === 'date') return name
  return (name === 'bigint' || name === 'numeric') && !blob ? 'integer' : 'other'
}

type Conversion = (operand: Operand, from: ReturnType<typeof kindOf>) => Fragment | undefined

const isWhole = (value: Fragment) =>
  sql`trim(${value}) not glob '*[^0-9+-]*' and trim(${value}) glob '*[0-9]' and substr(trim(${value}), 2) not glob '*[+-]*'`
// JSON's numbers are Postgres's, but for a sign or a point in front.
const isNumber = (value: Fragment) =>
  sql`json_valid(trim(${value})) and json_type(trim(${value})) in ('integer', 'real')`
const isNumeric = (value: Fragment) => sql`(${isWhole(value)}) or (${isNumber(value)})`
const isJsonNumber = (value: Fragment) => sql`json_type(${value}) in ('integer', 'real')`

const checked = (value: Fragment, ok: Fragment, result: Fragment): Fragment =>
  sql`case when ${value} is null then null when ${ok} then ${result} else ${guard(sql.raw('0'), '22P02')} end`

const conversions: Record<Target, Conversion> = {
  text: ({ value, type }) => type.text?.(value) ?? sql`cast(${value} as text)`,
  integer: ({ value }, from) => {
    const whole = sql`cast(round(${value}) as integer)`
    if (from === 'real') return whole
    if (from === 'boolean') return sql`cast(${value} as integer)`
    if (from === 'text') return checked(value, isWhole(value), sql`cast(trim(${value}) as integer)`)
    return from === 'json' ? checked(value, isJsonNumber(value), whole) : undefined
  },
  real: ({ value }, from) => {
    const real = sql`cast(${value} as real)`
    if (from === 'integer') return real
    if (from === 'text') return checked(value, isNumeric(value), sql`cast(trim(${value}) as real)`)
    return from === 'json' ? checked(value, isJsonNumber(value), real) : undefined
  },
  boolean: ({ value }, from) => {
    if (from === 'integer') return sql`(${value} <> 0)`
    if (from === 'json')
      return checked(value, sql`${value} in ('true', 'false')`, sql`(${value} = 'true')`)
    if (from !== 'text') return undefined
    const word = sql`lower(trim(${value}))`
    return sql`case when ${value} is null then null when ${word} in ('true', 't', 'yes', 'y', 'on', '1') then 1 when ${word} in ('false', 'f', 'no', 'n', 'off', '0') then 0 else ${guard(sql.raw('0'), '22P02')} end`
  },
  json: ({ value }, from) =>
    from === 'text' ? checked(value, sql`json_valid(${value})`, sql`json(${value})`) : undefined,
  date: ({ value, type }, from) => {
    if (from === 'time') return sql`substr(${type.text?.(value) ?? value}, 1, 10)`
    return from === 'text'
      ? checked(
          value,
          sql`date(substr(${value}, 1, 10)) = substr(${value}, 1, 10)`,
          sql`substr(${value}, 1, 10)`,
        )
      : undefined
  },
}
