import { dataFaults } from '../faults.ts'
import { jsonSortKeys, type Operand } from '../operand.ts'
import { glob, like } from '../pattern.ts'
import type { Test } from '../query.ts'
import { type Fragment, sql } from '../sql.ts'
import { inJson } from '../stored.ts'
import { containmentSql } from './containment.ts'
import { noOperator } from './no-operator.ts'
import { regexSql } from './regex.ts'

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
const patterns = new Set(['like', 'ilike', 'match', 'imatch'])

/**
 * A test as a condition, not yet negated.
 *
 * @throws {Fault} 22P02 or a sister for a value of the wrong form, 42883 for an operator that the type has not.
 */
export function testSql(operand: Operand, test: Test): Fragment {
  const { operator, value, quantifier } = test
  if (quantifier) return quantifiedSql(operand, test, value as readonly string[])
  if (typeof value !== 'string') return inSql(operand, value)
  if (operator === 'is') return isSql(operand, value)
  if (patterns.has(operator)) return patternSql(operand, operator, value)
  if (operator === 'cs' || operator === 'cd' || operator === 'ov')
    return containmentSql(operand, operator, value)
  const sign = comparisons.get(operator)
  // Ranges there are none; text is searched by `search.ts`.
  if (!sign) throw noOperator(operand.type, operator)
  return compareSql(operand, operator, sql`${parsed(operand, operator, value)}`)
}

function compareSql(operand: Operand, operator: string, value: Fragment): Fragment {
  const sign = sql.raw(comparisons.get(operator) as string)
  if (!operand.type.ordered && !equality.has(operator)) {
    if (operand.type.name !== 'json') throw noOperator(operand.type, operator)
    return sql`(${sql.join(atoms(comparable(operand)), ', ')}) ${sign} (${sql.join(atoms(value), ', ')})`
  }
  return sql`${equal(operand, comparable(operand))} ${sign} ${equal(operand, value)}`
}

const equal = ({ type }: Operand, value: Fragment): Fragment => type.equal?.(value) ?? value

/** jsonb's order, of values of which one is no array and no object; there null is a value as well. */
const atoms = (json: Fragment): Fragment[] => {
  const [rank, atom] = jsonSortKeys(json)
  return [rank, sql`coalesce(${atom}, 0)`]
}

/**
 * A filter's text as it is stored.
 *
 * @throws {Fault} PGRST127 for an array or object that is to be sorted in.
 */
function parsed({ type }: Operand, operator: string, text: string) {
  const stored = type.parse(text)
  if (type.name === 'json' && !equality.has(operator) && /^[[{]/.test(String(stored)))
    throw dataFaults.PGRST127({
      details: 'The order of JSON arrays and objects among themselves is not implemented.',
      hint: 'Compare with a number, a text in quotes, a boolean or null; or use cs and cd.',
    })
  return stored
}

const comparable = ({ type, value }: Operand): Fragment => type.comparable?.(value) ?? value

function patternSql({ type, value }: Operand, operator: string, text: string): Fragment {
  if (!type.textual) throw noOperator(type, operator)
  if (operator === 'like') return glob(value, text)
  if (operator === 'ilike') return like(value, text)
  return regexSql(value, text, operator === 'imatch')
}

// Each pattern is a term of its own; SQLite's expressions end at a depth of 100.
const maxPatterns = 50

/** `eq(any).{1,2}`: comparisons take any number of values as one parameter, patterns are written out. */
function quantifiedSql(
  operand: Operand,
  { operator, quantifier }: Test,
  values: readonly string[],
): Fragment {
  const any = quantifier === 'any'
  if (values.length === 0) return sql.raw(any ? '0' : '1')
  if (patterns.has(operator)) {
    if (values.length > maxPatterns)
      throw dataFaults['54000']({
        message: `too many patterns: ${maxPatterns} fit into one filter`,
      })
    const parts = values.map((value) => sql`(${patternSql(operand, operator, value)})`)
    return sql.join(parts, any ? ' or ' : ' and ')
  }
  if (any && operator === 'eq') return inSql(operand, values)
  const { list, value } = listOf(operand, operator, values)
  const test = compareSql(operand, operator, value)
  const found = any
    ? sql`exists (select 1 from json_each(${list}) as "leanto:value" where ${test})`
    : sql`not exists (select 1 from json_each(${list}) as "leanto:value" where not (${test}))`
  return sql`case when ${operand.value} is null then null else ${found} end`
}

/** Values as one JSON parameter, and how one of them is taken out of it: D1 binds at most 100. */
function listOf(operand: Operand, operator: string, values: readonly string[]) {
  const stored = values.map((value) => parsed(operand, operator, value))
  const blob = stored[0] instanceof ArrayBuffer
  return {
    list: JSON.stringify(stored.map(inJson)),
    value: sql.raw(blob ? 'unhex("leanto:value".value)' : '"leanto:value".value'),
  }
}

/** SQLite uses the column's index all the same. */
function inSql(operand: Operand, values: readonly string[]): Fragment {
  const { list, value } = listOf(operand, 'eq', values)
  return sql`${equal(operand, comparable(operand))} in (select ${equal(operand, value)} from json_each(${list}) as "leanto:value")`
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
