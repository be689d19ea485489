import { type Condition, condition } from '../condition.ts'
import { invalid } from './wire.ts'

/** How an attribute is asked about, in SQL. */
export interface Attribute {
  /** An expression; or, of what there are many, what makes one of an expression over `e.value`. */
  readonly sql: string
  /** Every entry of a JSON list. */
  readonly many?: string
  /** Whether case tells (RFC 7643, 2.2). @default false */
  readonly exact?: boolean
  readonly type?: 'boolean' | 'time'
}

/** By name in lower case. */
export type Attributes = Readonly<Record<string, Attribute>>

const token = /\s*(?:([()])|("(?:[^"\\]|\\.)*")|([^\s()"]+))/y
const valuePath = /("(?:[^"\\]|\\.)*")|\[\s*type\s+eq\s+("(?:[^"\\]|\\.)*")\s*\]/gi
const operators = ['eq', 'ne', 'co', 'sw', 'ew', 'pr', 'gt', 'ge', 'lt', 'le']
/** `urn:…:User:emails#0.value` */
const nameShape = /^(?:urn:[\w:.]+:(?=[a-z]))?([a-z][\w.-]*)(?:#(\d+))?(\.\w+)?$/
const compared: Readonly<Record<string, string>> = { gt: '>', ge: '>=', lt: '<', le: '<=' }

/** Comparisons that one filter has at most. */
const mostTerms = 20

/**
 * A filter of RFC 7644, 3.4.2.2, as SQL: comparisons with `and`, `or`, `not` and parentheses. A value path such as
 * `emails[type eq "work"].value` asks about every entry.
 *
 * @throws {ScimError} `invalidFilter` (400).
 */
export function filterSql(filter: string | undefined, attributes: Attributes): Condition {
  if (filter === undefined) return condition('1')
  // `emails[type eq "work"].value` becomes one word, with what its type must be kept aside.
  const types: string[] = []
  const words = wordsOf(
    filter.replace(valuePath, (all, quoted, type) => {
      if (quoted !== undefined) return all
      types.push(String(readValue(type)))
      return `#${types.length - 1}`
    }),
  )
  let at = 0
  let terms = 0
  const wrong = () => invalid('The filter cannot be read', 'invalidFilter')
  const word = () => words[at]?.toLowerCase()
  const joined = (by: 'or' | 'and', next: (depth: number) => Condition, depth: number) => {
    const parts = [next(depth)]
    while (word() === by) {
      at++
      parts.push(next(depth))
    }
    return condition(
      `(${parts.map(({ sql }) => sql).join(` ${by} `)})`,
      ...parts.flatMap(({ values }) => values),
    )
  }
  const any = (depth: number): Condition => joined('or', all, depth)
  const all = (depth: number): Condition => joined('and', one, depth)
  const one = (depth: number): Condition => {
    if (depth > 10) throw wrong()
    if (word() === 'not') {
      at++
      if (word() !== '(') throw wrong()
      const inner = one(depth + 1)
      return condition(`NOT ${inner.sql}`, ...inner.values)
    }
    if (word() === '(') {
      at++
      const inner = any(depth + 1)
      if (words[at++] !== ')') throw wrong()
      return inner
    }
    return comparison()
  }
  const comparison = (): Condition => {
    if (++terms > mostTerms) throw wrong()
    const [, path = '', kind, sub = ''] = words[at++]?.toLowerCase().match(nameShape) ?? []
    const name = path + sub
    const operator = words[at++]?.toLowerCase() ?? ''
    const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    if (!attribute || !operators.includes(operator)) throw wrong()
    if (kind !== undefined && !attribute.many) throw wrong()
    const type = kind === undefined ? undefined : types[Number(kind)]
    return comparing(
      attribute,
      operator,
      operator === 'pr' ? undefined : readValue(words[at++]),
      type,
    )
  }
  const made = any(0)
  if (at !== words.length) throw wrong()
  return made
}

function wordsOf(text: string): string[] {
  const words: string[] = []
  token.lastIndex = 0
  if (text.length > 2000) throw invalid('The filter is too long', 'invalidFilter')
  for (let end = 0; text.slice(end).trim() !== ''; end = token.lastIndex) {
    token.lastIndex = end
    const found = token.exec(text)
    if (!found) throw invalid('The filter cannot be read', 'invalidFilter')
    words.push((found[1] ?? found[2] ?? found[3]) as string)
  }
  return words
}

function readValue(word: string | undefined): string | number | boolean | null {
  try {
    const value = JSON.parse(
      /^(?:true|false|null)$/i.test(word ?? '') ? (word ?? '').toLowerCase() : (word ?? ''),
    )
    if (typeof value !== 'object' || value === null) return value
  } catch {}
  throw invalid('A value of the filter cannot be read', 'invalidFilter')
}

function comparing(
  { sql, many, exact, type }: Attribute,
  operator: string,
  value: unknown,
  kind: string | undefined,
): Condition {
  const { sql: test, values } = tested(sql, { exact, type }, operator, value)
  if (!many) return condition(`(${test})`, ...values)
  const typed = kind === undefined ? '' : `AND lower(e.value ->> 'type') = lower(?)`
  return condition(
    `EXISTS (SELECT 1 FROM json_each(${many}) e WHERE ${test} ${typed})`,
    ...values,
    ...(kind === undefined ? [] : [kind]),
  )
}

function tested(
  sql: string,
  { exact, type }: Pick<Attribute, 'exact' | 'type'>,
  operator: string,
  value: unknown,
): Condition {
  if (operator === 'pr') return condition(`${sql} IS NOT NULL`)
  if (type === 'boolean') {
    const truth = typeof value === 'string' ? value.toLowerCase() === 'true' : value
    if (typeof truth !== 'boolean' || !['eq', 'ne'].includes(operator))
      throw invalid('Only true and false are compared with this', 'invalidFilter')
    return condition(`${sql} ${operator === 'eq' ? '=' : '<>'} ?`, truth ? 1 : 0)
  }
  if (type === 'time') {
    const time = Date.parse(String(value))
    if (Number.isNaN(time)) throw invalid('A time is expected', 'invalidFilter')
    const by = { eq: '=', ne: '<>', ...compared }[operator]
    if (!by) throw invalid('Times are compared by eq, ne, gt, ge, lt and le', 'invalidFilter')
    return condition(`${sql} ${by} ?`, time)
  }
  if (typeof value !== 'string') throw invalid('A text is expected', 'invalidFilter')
  const left = exact ? sql : `lower(${sql})`
  const right = exact ? value : value.toLowerCase()
  if (operator === 'eq') return condition(`${left} = ?`, right)
  if (operator === 'ne') return condition(`${left} IS NOT ?`, right)
  if (operator === 'co') return condition(`instr(${left}, ?) > 0`, right)
  if (operator === 'sw') return condition(`substr(${left}, 1, length(?)) = ?`, right, right)
  if (operator === 'ew') return condition(`substr(${left}, -length(?)) = ?`, right, right)
  return condition(`${left} ${compared[operator]} ?`, right)
}
