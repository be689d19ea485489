import {
  type Aggregate,
  emptyNode,
  type JsonStep,
  type Selected,
  type SelectedEmbed,
} from './query.ts'
import { Reader } from './reader.ts'

// Each level of embedding is a subquery in a subquery, and this parser's recursion.
const maxDepth = 8
// D1 answers with at most 100 columns; more items than that cannot be meant.
const maxItems = 200

/**
 * Parses `select`: https://docs.postgrest.org/en/v14/references/api/tables_views.html#vertical-filtering
 *
 * @throws {Fault} PGRST100
 */
export function parseSelect(text: string): Selected[] {
  if (text.trim() === '') return []
  const reader = new Reader(text, 'select parameter')
  const items = { left: maxItems }
  const selected = list(reader, 0, items)
  reader.end()
  return selected
}

function list(reader: Reader, depth: number, items: { left: number }): Selected[] {
  const selected: Selected[] = []
  do {
    reader.space()
    if (items.left-- === 0) throw reader.unexpected(`at most ${maxItems} items`)
    selected.push(item(reader, depth, items))
    reader.space()
  } while (reader.take(','))
  return selected
}

function item(reader: Reader, depth: number, items: { left: number }): Selected {
  if (reader.take('...')) {
    const target = reader.name()
    return embed(reader, { target, spread: true }, depth, items)
  }
  if (reader.take('*')) return { kind: 'all' }
  let name = reader.name()
  let alias: string | undefined
  if (reader.peek() === ':' && !reader.ahead('::')) {
    reader.take(':')
    alias = name
    name = reader.name()
    if (isReserved(alias)) throw reader.unexpected('another alias')
  }
  const named = alias === undefined ? {} : { alias }
  if (name === 'count' && reader.take('()'))
    return {
      kind: 'column',
      steps: [],
      ...named,
      aggregate: 'count',
      ...castOf(reader, 'aggregateCast'),
    }
  if (reader.peek() === '(' || reader.peek() === '!')
    return embed(reader, { target: name, spread: false, ...named }, depth, items)
  const steps = reader.steps()
  if (alias === undefined && isReserved(keyOf(steps) ?? '')) throw reader.unexpected('an alias')
  return {
    kind: 'column',
    column: name,
    steps,
    ...named,
    ...castOf(reader, 'cast'),
    ...aggregateOf(reader),
  }
}

/**
 * What an answer may not call a value: SQL text ends at a NUL, what a row calls `__proto__` is no key of it, and we have
 * names of our own there, such as that of its version.
 */
const isReserved = (name: string): boolean =>
  name === '__proto__' || name.includes('\0') || name.includes('leanto:')

/** `data->a->0` is called `a`, `data->0` is called `data`. */
export const keyOf = (steps: readonly JsonStep[]): string | undefined =>
  steps.findLast(({ key }) => typeof key === 'string')?.key as string | undefined

const castOf = (reader: Reader, key: 'cast' | 'aggregateCast') =>
  reader.take('::') ? { [key]: reader.typeName() } : {}

function aggregateOf(reader: Reader) {
  if (!reader.take('.')) return {}
  const aggregate = reader.word()
  if (!aggregates.has(aggregate)) throw reader.unexpected('sum(), avg(), count(), max() or min()')
  reader.expect('()')
  return { aggregate: aggregate as Aggregate, ...castOf(reader, 'aggregateCast') }
}

const aggregates = new Set(['count', 'sum', 'avg', 'min', 'max'])

function embed(
  reader: Reader,
  about: { target: string; spread: boolean; alias?: string },
  depth: number,
  items: { left: number },
): SelectedEmbed {
  if (depth === maxDepth) throw reader.unexpected(`at most ${maxDepth} levels of embedding`)
  let hint: string | undefined
  let join: string | undefined
  while (reader.take('!')) {
    const name = reader.name()
    if (join === undefined && (name === 'inner' || name === 'left')) join = name
    else if (hint === undefined) hint = name
    else throw reader.unexpected('"("')
  }
  reader.expect('(')
  const inside = reader.peek() === ')' ? [] : list(reader, depth + 1, items)
  reader.expect(')')
  return {
    kind: 'embed',
    ...about,
    ...(hint === undefined ? {} : { hint }),
    inner: join === 'inner',
    node: emptyNode(inside),
  }
}
