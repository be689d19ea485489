import { dataFaults } from './faults.ts'
import type { Filter } from './query.ts'
import { Reader } from './reader.ts'

/** The operators of this module; `in` and `is` take values of their own form. */
const operators = new Set([
  'eq',
  'neq',
  'gt',
  'gte',
  'lt',
  'lte',
  'like',
  'ilike',
  'is',
  'isdistinct',
  'in',
])

/** PostgREST's other operators: known, so that the answer can say that they are not here. */
const absent = new Set('match imatch cs cd ov sl sr nxr nxl adj fts plfts phfts wfts'.split(' '))

// Nesting is the client's choice; SQL and this parser have their ends.
const maxDepth = 8

/** A filter of the query string: `?column=not.eq.5`. */
export function parseTest(key: string, value: string): Filter {
  if (key.includes('->')) throw notHere('JSON paths', key)
  const name = new Reader(key, 'filter')
  const column = name.name()
  if (name.peek() === '.')
    throw dataFaults.PGRST200({
      message: `Could not find a relationship to '${column.slice(0, 100)}' in the schema cache`,
      details: 'Embedding other tables is not supported here.',
    })
  name.end()
  const reader = new Reader(value, 'filter')
  const test = operatorOf(reader, column)
  const filter = { ...test, value: operandOf(reader, test.operator, () => reader.rest()) }
  reader.end()
  return filter
}

/** A group of the query string: `?or=(a.eq.1,and(b.gt.2,c.is.null))`, `?not.and=(…)`. */
export function parseLogic(key: string, value: string): Filter {
  const negated = key.startsWith('not.')
  const reader = new Reader(value, 'logic tree')
  const filters = group(reader, 1)
  reader.end()
  return { kind: key.endsWith('or') ? 'or' : 'and', negated, filters }
}

function group(reader: Reader, depth: number): Filter[] {
  if (depth > maxDepth)
    throw dataFaults.PGRST100({
      message: 'logic tree too deep',
      details: `It may nest ${maxDepth} levels.`,
    })
  const filters: Filter[] = []
  reader.expect('(')
  do {
    reader.space()
    filters.push(member(reader, depth))
    reader.space()
  } while (reader.take(','))
  reader.expect(')')
  return filters
}

function member(reader: Reader, depth: number): Filter {
  for (const [opening, kind, negated] of groupOpenings)
    if (reader.ahead(opening)) {
      reader.take(opening.slice(0, -1))
      return { kind, negated, filters: group(reader, depth + 1) }
    }
  const column = reader.name()
  if (reader.ahead('->')) throw notHere('JSON paths', column)
  reader.expect('.')
  const test = operatorOf(reader, column)
  return { ...test, value: operandOf(reader, test.operator, () => oneOf(reader)) }
}

const groupOpenings = [
  ['and(', 'and', false],
  ['or(', 'or', false],
  ['not.and(', 'and', true],
  ['not.or(', 'or', true],
] as const

type Test = Extract<Filter, { kind: 'test' }>

function operatorOf(reader: Reader, column: string): Omit<Test, 'value'> {
  const negated = reader.take('not.')
  const operator = reader.word()
  if (absent.has(operator) || (operators.has(operator) && reader.peek() === '('))
    throw notHere(`the operator ${operator}${reader.peek() === '(' ? '(…)' : ''}`, column)
  if (!operators.has(operator)) throw reader.unexpected('operator (eq, gt, ...)')
  reader.expect('.')
  return { kind: 'test', column, negated, operator }
}

function operandOf(reader: Reader, operator: string, single: () => string): Test['value'] {
  return operator === 'in' ? list(reader) : single()
}

/** `(1,"two, with a comma",3)`. An empty list is a list: nothing is in it. */
function list(reader: Reader): string[] {
  reader.expect('(')
  if (reader.take(')')) return []
  const values: string[] = []
  do values.push(oneOf(reader))
  while (reader.take(','))
  reader.expect(')')
  return values
}

/** Quoted, if it is so to its end; supabase-js leaves a value with a lone quote as it is. */
const oneOf = (reader: Reader): string => reader.quotedBefore(',)') ?? reader.until(',)')

const notHere = (what: string, where: string) =>
  dataFaults.PGRST127({ details: `${what} is not supported here: ${where.slice(0, 100)}` })
