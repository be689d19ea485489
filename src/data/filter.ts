import { dataFaults } from './faults.ts'
import type { Filter, Test } from './query.ts'
import { Reader } from './reader.ts'

/** PostgREST's operators: https://docs.postgrest.org/en/v14/references/api/tables_views.html#operators */
const operators = new Set(
  'eq neq gt gte lt lte like ilike match imatch is isdistinct in cs cd ov sl sr nxr nxl adj fts plfts phfts wfts'.split(
    ' ',
  ),
)

/** Those that take `(any)` or `(all)` and a list. */
const quantified = new Set('eq gt gte lt lte like ilike match imatch'.split(' '))

const searching = new Set('fts plfts phfts wfts'.split(' '))

// Nesting is the client's choice; SQL and this parser have their ends.
const maxDepth = 8

/** A filter of the query string: `?column->step=not.eq.5`. */
export function parseTest(name: string, key: string, value: string): Filter {
  const path = new Reader(name === key ? key : lastOf(name, key), 'tree path')
  const column = path.name()
  const steps = path.steps()
  path.end()
  const reader = new Reader(value, 'filter')
  const test = operatorOf(reader)
  const filter: Test = {
    kind: 'test',
    column,
    steps,
    ...test,
    value: operandOf(reader, test, false),
  }
  reader.end()
  return filter
}

/** The column of `author.name->first` with its steps, quoted again if a character of it asks for that. */
function lastOf(name: string, key: string): string {
  const arrow = key.indexOf('->')
  const quoted = `"${name.replace(/["\\]/g, '\\$&')}"`
  return arrow < 0 ? quoted : quoted + key.slice(arrow)
}

/** A group of the query string: `?or=(a.eq.1,and(b.gt.2,c.is.null))`, `?not.and=(…)`. */
export function parseLogic(kind: 'and' | 'or', negated: boolean, value: string): Filter {
  const reader = new Reader(value, 'logic tree')
  const filters = group(reader, 1)
  reader.end()
  return { kind, negated, filters }
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
  const steps = reader.steps()
  reader.expect('.')
  const test = operatorOf(reader)
  return { kind: 'test', column, steps, ...test, value: operandOf(reader, test, true) }
}

const groupOpenings = [
  ['and(', 'and', false],
  ['or(', 'or', false],
  ['not.and(', 'and', true],
  ['not.or(', 'or', true],
] as const

type Operator = Pick<Test, 'negated' | 'operator' | 'quantifier' | 'language'>

/** `not.like(any).`, `fts(english).` */
function operatorOf(reader: Reader): Operator {
  const negated = reader.take('not.')
  const operator = reader.word()
  if (!operators.has(operator)) throw reader.unexpected('operator (eq, gt, ...)')
  let more: Partial<Operator> = {}
  if (reader.take('(')) {
    const word = reader.until(')')
    if (quantified.has(operator) && (word === 'any' || word === 'all')) more = { quantifier: word }
    else if (searching.has(operator) && /^\w+$/.test(word)) more = { language: word }
    else throw reader.unexpected('operator (eq, gt, ...)')
    reader.expect(')')
  }
  reader.expect('.')
  return { negated, operator, ...more }
}

function operandOf(
  reader: Reader,
  { operator, quantifier }: Operator,
  inGroup: boolean,
): Test['value'] {
  if (operator === 'in') return list(reader, '(', ')')
  if (quantifier) return list(reader, '{', '}')
  if (!inGroup) return reader.rest()
  // `{1,2}` and `[1,2]` hold commas of their own.
  return reader.quotedBefore(',)') ?? reader.bracketed() ?? reader.until(',)')
}

/** `(1,"two, with a comma",3)`. An empty list is a list: nothing is in it. */
function list(reader: Reader, opening: string, closing: string): string[] {
  reader.expect(opening)
  if (reader.take(closing)) return []
  const values: string[] = []
  const stops = `,${closing}`
  // Quoted, if it is so to its end; supabase-js leaves a value with a lone quote as it is.
  do values.push(reader.quotedBefore(stops) ?? reader.until(stops))
  while (reader.take(','))
  reader.expect(closing)
  return values
}
