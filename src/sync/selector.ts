import { compare } from './collate.ts'
import type { Doc } from './definition.ts'
import { isObject } from './document.ts'
import { bad } from './faults.ts'
import { safePattern } from './pattern.ts'

/*
 * Mango's selectors: https://docs.couchdb.org/en/stable/api/database/find.html#selector-syntax
 * A selector becomes a tree of conditions on fields. Negations are moved down to them, as CouchDB does: a field that is
 * not there fulfils none but `$exists: false`, also negated.
 */

export type Node =
  | { kind: 'and'; nodes: readonly Node[] }
  | { kind: 'or'; nodes: readonly Node[] }
  | Condition

export interface Condition {
  kind: 'field'
  path: readonly string[]
  operator: string
  argument: unknown
  test: (value: unknown) => boolean
}

const opposite: Record<string, string> = {
  $eq: '$ne',
  $ne: '$eq',
  $lt: '$gte',
  $gte: '$lt',
  $gt: '$lte',
  $lte: '$gt',
  $in: '$nin',
  $nin: '$in',
}

const deepest = 60

/** @throws {Fault} `invalid_selector_json`, `invalid_operator`, `bad_arg` (400). */
export function parseSelector(selector: unknown): Node {
  if (!isObject(selector)) throw bad('invalid_selector_json', 'Selector must be a JSON object')
  return build(selector, [], false, 0)
}

function build(
  selector: Record<string, unknown>,
  path: readonly string[],
  negated: boolean,
  depth: number,
): Node {
  if (depth > deepest) throw bad('bad_arg', 'The selector is nested too deeply')
  const nodes = Object.entries(selector).map(([key, value]) =>
    entry(key, value, path, negated, depth),
  )
  return nodes.length === 1 ? (nodes[0] as Node) : { kind: negated ? 'or' : 'and', nodes }
}

function entry(
  key: string,
  value: unknown,
  path: readonly string[],
  negated: boolean,
  depth: number,
): Node {
  const list = (negate: boolean) => {
    if (!Array.isArray(value)) throw badArgument(key, value)
    return value.map((one) => operand(one, path, negate, depth + 1))
  }
  if (key === '$and') return { kind: negated ? 'or' : 'and', nodes: list(negated) }
  if (key === '$or') return { kind: negated ? 'and' : 'or', nodes: list(negated) }
  if (key === '$nor') return { kind: negated ? 'or' : 'and', nodes: list(!negated) }
  if (key === '$not') return operand(value, path, !negated, depth + 1)
  if (key.startsWith('$')) return condition(path, key, value, negated, depth)
  const inner = [...path, ...fieldPath(key)]
  return operand(value, inner, negated, depth + 1)
}

function operand(value: unknown, path: readonly string[], negated: boolean, depth: number): Node {
  if (!isObject(value)) {
    if (path.length === 0 && value !== null && typeof value === 'object')
      throw bad('bad_arg', 'A selector must be a JSON object')
    return condition(path, '$eq', value, negated, depth)
  }
  if (Object.keys(value).length === 0 && path.length > 0)
    return condition(path, '$eq', value, negated, depth)
  return build(value, path, negated, depth)
}

/** `a.b` is `b` within `a`; `a\.b` is one name. */
export const fieldPath = (name: string): string[] =>
  name.split(/(?<!\\)\./).map((part) => part.replaceAll('\\.', '.'))

const badArgument = (operator: string, value: unknown) =>
  bad('bad_arg', `Bad argument for operator ${operator}: ${JSON.stringify(value)?.slice(0, 200)}`)

function condition(
  path: readonly string[],
  operator: string,
  argument: unknown,
  negated: boolean,
  depth: number,
): Condition {
  if (negated && operator === '$exists') return condition(path, '$exists', !argument, false, depth)
  const turned = negated ? opposite[operator] : undefined
  if (turned) return condition(path, turned, argument, false, depth)
  const test = testOf(operator, argument, path.join() === '_id' ? asIds : compare, depth)
  const field: Condition = { kind: 'field', path, operator, argument, test }
  return negated ? { ...field, operator: '$not', test: (value) => !test(value) } : field
}

const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value

/** Ids are ordered as Erlang orders terms: by code point, and text after all that is none. */
const asIds: typeof compare = (id, other) =>
  typeof other === 'string' && (id as string) <= other ? -Number(id !== other) : 1

function testOf(
  operator: string,
  argument: unknown,
  by: typeof compare,
  depth: number,
): (value: unknown) => boolean {
  const order = (passes: (n: number) => boolean) => (value: unknown) => passes(by(value, argument))
  const need = (right: boolean) => {
    if (!right) throw badArgument(operator, argument)
  }
  const inner = () => {
    need(isObject(argument))
    const node = build(argument as Record<string, unknown>, [], false, depth + 1)
    return (value: unknown) => matches(node, value)
  }
  switch (operator) {
    case '$eq':
      return order((n) => n === 0)
    case '$ne':
      return order((n) => n !== 0)
    case '$lt':
      return order((n) => n < 0)
    case '$lte':
      return order((n) => n <= 0)
    case '$gt':
      return order((n) => n > 0)
    case '$gte':
      return order((n) => n >= 0)
    case '$exists':
      need(typeof argument === 'boolean')
      return () => argument as boolean
    case '$type':
      need(typeof argument === 'string')
      return (value) => typeOf(value) === argument
    case '$in':
      need(Array.isArray(argument))
      return isIn(argument as unknown[])
    case '$nin': {
      need(Array.isArray(argument))
      const among = isIn(argument as unknown[])
      return (value) => !among(value)
    }
    case '$all':
      need(Array.isArray(argument))
      return hasAll(argument as unknown[])
    case '$size':
      need(Number.isSafeInteger(argument) && (argument as number) >= 0)
      return (value) => Array.isArray(value) && value.length === argument
    case '$mod': {
      const [divisor, remainder] = Array.isArray(argument) ? argument : []
      need(
        (argument as unknown[])?.length === 2 &&
          Number.isSafeInteger(divisor) &&
          Number.isSafeInteger(remainder) &&
          divisor !== 0,
      )
      return (value) => Number.isInteger(value) && (value as number) % divisor === remainder
    }
    case '$regex': {
      need(typeof argument === 'string')
      const pattern = safePattern(argument as string)
      return (value) => typeof value === 'string' && pattern.test(value)
    }
    case '$beginsWith':
      need(typeof argument === 'string')
      return (value) => typeof value === 'string' && value.startsWith(argument as string)
    case '$elemMatch': {
      const test = inner()
      return (value) => Array.isArray(value) && value.some(test)
    }
    case '$allMatch': {
      const test = inner()
      return (value) => Array.isArray(value) && value.length > 0 && value.every(test)
    }
    case '$keyMapMatch': {
      const test = inner()
      return (value) => isObject(value) && Object.keys(value).some(test)
    }
    default:
      throw bad('invalid_operator', `Invalid operator: ${operator}`)
  }
}

const isIn = (list: readonly unknown[]) => (value: unknown) =>
  Array.isArray(value)
    ? list.some((one) => value.some((element) => compare(element, one) === 0))
    : list.some((one) => compare(value, one) === 0)

const hasAll = (list: readonly unknown[]) => (value: unknown) =>
  Array.isArray(value) &&
  list.length > 0 &&
  (list.every((one) => value.some((element) => compare(element, one) === 0)) ||
    (list.length === 1 && Array.isArray(list[0]) && compare(value, list[0]) === 0))

const nothing = Symbol('nothing')

/** A field's value; `nothing` if it is not there. An element of a list goes by its number. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value
  for (const name of path) {
    if (Array.isArray(at) && /^\d+$/.test(name) && Number(name) < at.length) at = at[Number(name)]
    else if (isObject(at) && Object.hasOwn(at, name)) at = at[name]
    else return nothing
  }
  return at
}

export const isThere = (value: unknown): boolean => value !== nothing

export function matches(node: Node, value: unknown): boolean {
  if (node.kind === 'and') return node.nodes.every((one) => matches(one, value))
  if (node.kind === 'or') return node.nodes.some((one) => matches(one, value))
  const found = valueAt(value, node.path)
  if (found === nothing) return node.operator === '$exists' && node.argument === false
  return node.test(found)
}

/** A test of documents by a selector. @throws {Fault} as `parseSelector`. */
export const selectorTest = (selector: unknown): ((doc: Doc) => boolean) => {
  const node = parseSelector(selector)
  return (doc) => matches(node, doc)
}
