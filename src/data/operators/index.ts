import { dataFaults } from '../faults.ts'
import type { Operand } from '../operand.ts'
import { glob, like } from '../pattern.ts'
import type { Test } from '../query.ts'
import { type Fragment, sql } from '../sql.ts'
import { inJson } from '../stored.ts'
import type { WireType } from '../wire.ts'

const comparisons = new Map([
  ['eq', '='],
  ['neq', '<>'],
  ['gt', '>'],
  ['gte', '>='],
  ['lt', '<'],
  ['lte', '<='],
  ['isdistinct', 'is not'],
])
const equality = new Set(['eq', 'neq', 'isdistinct'])

/**
 * A test as a condition, not yet negated.
 *
 * @throws {Fault} 22P02 or a sister for a value of the wrong form, 42883 for an operator that the type has not.
 */
export function testSql(operand: Operand, { operator, value }: Test): Fragment {
  const { type } = operand
  if (typeof value !== 'string') return inSql(operand, value)
  if (operator === 'is') return isSql(operand, value)
  if (operator === 'like' || operator === 'ilike') {
    if (!type.textual) throw noOperator(type, operator === 'like' ? '~~' : '~~*')
    return operator === 'like' ? glob(operand.value, value) : like(operand.value, value)
  }
  const sign = comparisons.get(operator)
  if (!sign)
    throw dataFaults.PGRST127({ details: `the operator ${operator} is not supported here` })
  if (!type.ordered && !equality.has(operator)) throw noOperator(type, sign)
  return sql`${comparable(operand)} ${sql.raw(sign)} ${type.parse(value)}`
}

const comparable = ({ type, value }: Operand): Fragment => type.comparable?.(value) ?? value

/** The values travel as one JSON parameter: D1 binds at most 100. SQLite uses the column's index all the same. */
function inSql(operand: Operand, values: readonly string[]): Fragment {
  const stored = values.map((value) => operand.type.parse(value))
  const value = sql.raw(stored[0] instanceof ArrayBuffer ? 'unhex(value)' : 'value')
  return sql`${comparable(operand)} in (select ${value} from json_each(${JSON.stringify(stored.map(inJson))}))`
}

const isWords = new Map([
  ['null', 'is null'],
  ['not_null', 'is not null'],
  ['true', 'is 1'],
  ['false', 'is 0'],
  ['unknown', 'is null'],
])

function isSql({ value: operand, type }: Operand, value: string): Fragment {
  const word = value.toLowerCase()
  const test = isWords.get(word)
  if (!test)
    throw dataFaults.PGRST100({
      message: `"failed to parse filter (is.${value.slice(0, 100)})" (line 1, column 4)`,
      details: `unexpected "${value.slice(0, 1)}" expecting isVal: (null, not_null, true, false, unknown)`,
    })
  if (type.name !== 'boolean' && !word.endsWith('null'))
    throw dataFaults['22P02']({
      message: `argument of IS ${word.toUpperCase()} must be type boolean, not type ${type.name}`,
    })
  return sql`${operand} ${sql.raw(test)}`
}

const noOperator = (type: WireType, sign: string) =>
  dataFaults['42883']({
    message: `operator does not exist: ${type.name} ${sign} unknown`,
    hint: 'No operator matches the given name and argument types.',
  })
