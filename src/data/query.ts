import { dataFaults } from './faults.ts'
import { parseLogic, parseTest } from './filter.ts'
import { Reader } from './reader.ts'

/** One column of `select`: `alias:column`. `*` stands for every visible column. */
export interface Selected {
  column: string
  alias?: string
}

export interface Ordered {
  column: string
  descending: boolean
  nulls: 'first' | 'last'
}

/** A filter: a test of one column, or a group of filters. */
export type Filter =
  | {
      kind: 'test'
      column: string
      negated: boolean
      operator: string
      value: string | readonly string[]
    }
  | { kind: 'and' | 'or'; negated: boolean; filters: readonly Filter[] }

/** A request's query string, parsed but not yet held against a table. */
export interface Query {
  select: readonly Selected[]
  filters: readonly Filter[]
  order: readonly Ordered[]
  limit?: number
  offset: number
  /** `columns=`: the body's columns that count. */
  columns?: readonly string[]
  onConflict?: readonly string[]
}

// SQLite refuses expressions deeper than 100 (D1's limit), and a chain of n terms is n deep. Policies need room as well.
const maxTerms = 64

/**
 * Parses a PostgREST query string.
 *
 * @throws {Fault} PGRST100 with what was wrong and where.
 */
export function parseQuery(params: URLSearchParams): Query {
  const query: Query = { select: [{ column: '*' }], filters: [], order: [], offset: 0 }
  const filters: Filter[] = []
  const seen = new Set<string>()
  for (const [key, value] of params) {
    if (reserved.has(key)) {
      if (seen.has(key))
        throw dataFaults.PGRST100({
          message: `"${key}" is given more than once`,
          details: 'Give it once.',
        })
      seen.add(key)
    }
    switch (key) {
      case 'select':
        query.select = parseSelect(value)
        break
      case 'order':
        query.order = parseOrder(value)
        break
      case 'limit':
      case 'offset':
        query[key] = parseCount(key, value)
        break
      case 'columns':
      case 'on_conflict': {
        const names = new Reader(value, `${key} parameter`).names()
        if (key === 'columns') query.columns = names
        else query.onConflict = names
        break
      }
      case 'and':
      case 'or':
      case 'not.and':
      case 'not.or':
        filters.push(parseLogic(key, value))
        break
      default:
        filters.push(parseTest(key, value))
    }
  }
  const terms = countTerms(filters)
  if (terms > maxTerms)
    throw dataFaults.PGRST100({
      message: `too many filters (${terms})`,
      details: `A request may hold ${maxTerms}.`,
      hint: 'Many values of one column fit into one in.(…).',
    })
  query.filters = filters
  return query
}

const reserved = new Set(['select', 'order', 'limit', 'offset', 'columns', 'on_conflict'])

const countTerms = (filters: readonly Filter[]): number =>
  filters.reduce(
    (sum, filter) => sum + (filter.kind === 'test' ? 1 : 1 + countTerms(filter.filters)),
    0,
  )

function parseCount(key: 'limit' | 'offset', value: string): number {
  if (/^-\d+$/.test(value) && key === 'limit')
    throw dataFaults.PGRST103({ details: 'Limit should be greater than or equal to zero.' })
  const count = Number(value)
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(count))
    throw dataFaults.PGRST100({
      message: `failed to parse ${key} parameter (${value.slice(0, 100)})`,
      details: 'expecting a whole number',
    })
  return count
}

function parseSelect(text: string): Selected[] {
  if (text.trim() === '') return []
  const reader = new Reader(text, 'select parameter')
  const selected: Selected[] = []
  do {
    reader.space()
    if (reader.take('...')) throw notYet('spread embeds', text)
    if (reader.take('*')) {
      selected.push({ column: '*' })
    } else {
      let column = reader.name()
      let alias: string | undefined
      if (reader.peek() === ':' && !reader.ahead('::')) {
        reader.take(':')
        alias = column
        column = reader.name()
      }
      if (reader.peek() === '(' || reader.peek() === '!') throw noRelation(column)
      if (reader.ahead('->')) throw notYet('JSON paths', text)
      if (reader.ahead('::')) throw notYet('casts', text)
      if (reader.peek() === '.') throw notYet('aggregates', text)
      // SQL text ends at a NUL, and what a row calls `__proto__` is no key of it.
      if (alias === '__proto__' || alias?.includes('\0')) throw reader.unexpected('another alias')
      selected.push(alias === undefined ? { column } : { column, alias })
    }
    reader.space()
  } while (reader.take(','))
  reader.end()
  return selected
}

function parseOrder(text: string): Ordered[] {
  const reader = new Reader(text, 'order')
  const ordered: Ordered[] = []
  do {
    reader.space()
    const column = reader.name()
    if (reader.ahead('->')) throw notYet('JSON paths', text)
    if (reader.peek() === '(') throw noRelation(column)
    const words: string[] = []
    while (reader.take('.')) words.push(reader.word())
    const direction = words[0] === 'asc' || words[0] === 'desc' ? words.shift() : 'asc'
    const nulls = words[0] === 'nullsfirst' || words[0] === 'nullslast' ? words.shift() : undefined
    if (words.length > 0) throw reader.unexpected('asc, desc, nullsfirst or nullslast')
    const descending = direction === 'desc'
    // Postgres holds null for greater than all: last when ascending, first when descending.
    const last = nulls === undefined ? !descending : nulls === 'nullslast'
    ordered.push({ column, descending, nulls: last ? 'last' : 'first' })
    reader.space()
  } while (reader.take(','))
  reader.end()
  return ordered
}

const notYet = (what: string, text: string) =>
  dataFaults.PGRST127({ details: `${what} are not supported here: ${text.slice(0, 100)}` })

const noRelation = (name: string) =>
  dataFaults.PGRST200({
    message: `Could not find a relationship to '${name.slice(0, 100)}' in the schema cache`,
    details: 'Embedding other tables is not supported here.',
  })
