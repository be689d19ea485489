import { dataFaults } from './faults.ts'
import { parseLogic, parseTest } from './filter.ts'
import { Reader } from './reader.ts'
import { parseSelect } from './select.ts'

/** A step into a JSON value: `->key`, `->0`, and as text `->>key`. */
export interface JsonStep {
  readonly key: string | number
  readonly text: boolean
}

export type Aggregate = 'count' | 'sum' | 'avg' | 'min' | 'max'

/** One item of `select`. */
export type Selected =
  /** `*`: every visible column. */
  | { readonly kind: 'all' }
  /** `alias:column->step::cast.aggregate()::cast`; without a column it is `count()`, of rows. */
  | {
      readonly kind: 'column'
      readonly column?: string
      readonly steps: readonly JsonStep[]
      readonly alias?: string
      readonly cast?: string
      readonly aggregate?: Aggregate
      readonly aggregateCast?: string
    }
  | SelectedEmbed

/** `alias:target!hint!inner(…)`, or `...target(…)`. */
export interface SelectedEmbed {
  readonly kind: 'embed'
  readonly target: string
  readonly hint?: string
  readonly alias?: string
  readonly inner: boolean
  readonly spread: boolean
  readonly node: Node
}

export interface Ordered {
  column: string
  steps: readonly JsonStep[]
  /** The embed whose column it is: `order=author(name)`. */
  relation?: string
  /** `order=title.rank.desc`: by how much of what is searched in the column a row has. */
  rank?: true
  descending: boolean
  nulls: 'first' | 'last'
}

/** A test of one column, or of an embed: `?column=not.eq.5`. */
export interface Test {
  kind: 'test'
  column: string
  steps: readonly JsonStep[]
  negated: boolean
  operator: string
  /** `eq(any).{1,2}` */
  quantifier?: 'any' | 'all'
  /** `fts(english).word` */
  language?: string
  /** Several for `in` and for a quantifier. */
  value: string | readonly string[]
}

/** A filter: a test, or a group of filters. */
export type Filter = Test | { kind: 'and' | 'or'; negated: boolean; filters: readonly Filter[] }

/** What is asked of one table: the request's own, or an embedded one. */
export interface Node {
  select: readonly Selected[]
  filters: Filter[]
  order: readonly Ordered[]
  limit?: number
  offset: number
}

/** A request's query string, parsed but not yet held against a table. */
export interface Query extends Node {
  /** `columns=`: the body's columns that count. */
  columns?: readonly string[]
  onConflict?: readonly string[]
  /** `cursor=`: where the page begins; empty for the first. */
  cursor?: string
}

export const emptyNode = (select: readonly Selected[]): Node => ({
  select,
  filters: [],
  order: [],
  offset: 0,
})

// SQLite refuses expressions deeper than 100 (D1's limit), and a chain of n terms is n deep. Policies need room as well.
const maxTerms = 64

/**
 * Parses a PostgREST query string.
 *
 * @throws {Fault} PGRST100 with what was wrong and where; PGRST108 for a filter of an embed that is not in `select`.
 */
export function parseQuery(params: URLSearchParams): Query {
  const selected = params.get('select')
  const query: Query = emptyNode(selected === null ? [{ kind: 'all' }] : parseSelect(selected))
  const seen = new Set<string>()
  let terms = 0
  for (const [key, value] of params) {
    const path = pathOf(key)
    const name = path.at(-1)?.name ?? ''
    const word = path.at(-1)?.quoted ? '' : name
    if (reserved.has(path.length === 1 ? word : '') || windowed.has(word)) {
      if (seen.has(key)) throw twice(key)
      seen.add(key)
    }
    if (path.length === 1 && word === 'select') continue
    if (path.length === 1 && (word === 'columns' || word === 'on_conflict')) {
      const names = new Reader(value, `${word} parameter`).names()
      if (word === 'columns') query.columns = names
      else query.onConflict = names
      continue
    }
    if (path.length === 1 && word === 'cursor') {
      query.cursor = value
      continue
    }
    const logic = word === 'and' || word === 'or'
    const negated = logic && path.at(-2)?.name === 'not'
    const node = nodeAt(query, path.slice(0, negated ? -2 : -1))
    if (word === 'order') node.order = parseOrder(value)
    else if (word === 'limit' || word === 'offset') node[word] = parseCount(word, value)
    else {
      const filter = logic ? parseLogic(word, negated, value) : parseTest(name, key, value)
      terms += countTerms([filter])
      node.filters.push(filter)
    }
  }
  if (terms > maxTerms)
    throw dataFaults.PGRST100({
      message: `too many filters (${terms})`,
      details: `A request may hold ${maxTerms}.`,
      hint: 'Many values of one column fit into one in.(…).',
    })
  return query
}

const reserved = new Set(['select', 'columns', 'on_conflict', 'cursor'])
const windowed = new Set(['order', 'limit', 'offset'])

const twice = (key: string) =>
  dataFaults.PGRST100({
    message: `"${key.slice(0, 100)}" is given more than once`,
    details: 'Give it once.',
  })

/** `author.posts.title` → its names. A JSON path stays with the last of them. */
function pathOf(key: string): { name: string; quoted: boolean }[] {
  const arrow = key.indexOf('->')
  if (!key.slice(0, arrow < 0 ? undefined : arrow).includes('.'))
    return [{ name: key, quoted: key.startsWith('"') }]
  const reader = new Reader(arrow < 0 ? key : key.slice(0, arrow), 'tree path')
  const path: { name: string; quoted: boolean }[] = []
  do {
    const quoted = reader.peek() === '"'
    path.push({ name: reader.name(), quoted })
  } while (reader.take('.'))
  reader.end()
  return path
}

/** The node of an embed: the one that is called so in the answer, or else one of that table. */
function nodeAt(root: Node, path: readonly { name: string }[]): Node {
  let node = root
  for (const { name } of path) {
    const embeds = node.select.filter((item) => item.kind === 'embed')
    const found =
      embeds.find(({ alias, target }) => (alias ?? target) === name) ??
      embeds.find(({ target }) => target === name)
    if (!found) throw notEmbedded(name)
    node = found.node
  }
  return node
}

export const notEmbedded = (name: string) =>
  dataFaults.PGRST108({
    message: `'${name.slice(0, 100)}' is not an embedded resource in this request`,
    hint: `Verify that '${name.slice(0, 100)}' is included in the 'select' query parameter.`,
  })

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

function parseOrder(text: string): Ordered[] {
  const reader = new Reader(text, 'order')
  const ordered: Ordered[] = []
  do {
    reader.space()
    let column = reader.name()
    let relation: string | undefined
    if (reader.take('(')) {
      relation = column
      column = reader.name()
    }
    const steps = reader.steps()
    if (relation !== undefined) reader.expect(')')
    const words: string[] = []
    while (reader.take('.')) words.push(reader.word())
    const rank = words[0] === 'rank' && words.shift() !== undefined
    const direction = words[0] === 'asc' || words[0] === 'desc' ? words.shift() : 'asc'
    const nulls = words[0] === 'nullsfirst' || words[0] === 'nullslast' ? words.shift() : undefined
    if (words.length > 0) throw reader.unexpected('asc, desc, nullsfirst, nullslast or rank')
    const descending = direction === 'desc'
    // Postgres holds null for greater than all: last when ascending, first when descending.
    const last = nulls === undefined ? !descending : nulls === 'nullslast'
    ordered.push({
      column,
      steps,
      ...(relation === undefined ? {} : { relation }),
      ...(rank ? { rank } : {}),
      descending,
      nulls: last ? 'last' : 'first',
    })
    reader.space()
  } while (reader.take(','))
  reader.end()
  return ordered
}
