import { dataFaults } from '../faults.ts'
import type { Operand } from '../operand.ts'
import { type Fragment, sql } from '../sql.ts'
import { storable } from '../wire.ts'
import { arrayOf } from './array-literal.ts'
import { noOperator } from './no-operator.ts'

/*
 * `cs`, `cd` and `ov`: jsonb's `@>` and `<@`, and the arrays' `&&`, on JSON columns:
 * https://www.postgresql.org/docs/current/datatype-json.html#JSON-CONTAINMENT. One side is known when the statement is
 * written, so it is written out: a condition for each of its values, and a walk over the stored side for each of its lists.
 */

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** A stored JSON value in a statement: its text, its type (`json_type`'s words), and its value if it is no list or object. */
interface Node {
  readonly json: Fragment
  readonly type: Fragment
  readonly atom: Fragment
}

// Each value is a condition, each level a sub-select.
const maxValues = 64
const maxDepth = 8

class Walks {
  #count = 0
  #values = 0

  /** A name of its own for each walk. */
  next(): Fragment {
    return sql.identifier(`leanto:j${++this.#count}`)
  }

  /** @throws {Fault} 54000 past what a statement holds. */
  enter(depth: number) {
    if (++this.#values > maxValues || depth > maxDepth)
      throw dataFaults['54000']({
        message: 'the value to compare with is too large',
        details: `It may hold ${maxValues} values, ${maxDepth} levels deep.`,
      })
  }
}

/** @throws {Fault} 42883 for what is no JSON, 22P02 for an operand that is none, 54000 for one that is too large. */
export function containmentSql(
  operand: Operand,
  operator: 'cs' | 'cd' | 'ov',
  text: string,
): Fragment {
  if (operand.type.name !== 'json') throw noOperator(operand.type, operator)
  const json = operand.type.comparable?.(operand.value) ?? operand.value
  const root: Node = {
    json,
    type: sql`json_type(${json})`,
    atom: sql`json_extract(${json}, '$')`,
  }
  const condition = conditionOf(root, operator, storable(text))
  return sql`case when ${json} is null then null else ${condition} end`
}

function conditionOf(root: Node, operator: 'cs' | 'cd' | 'ov', text: string): Fragment {
  // `{}` is the empty object, and the empty array of Postgres's own arrays.
  if (text.trim() === '{}' && operator === 'cs') return sql`${root.type} in ('object', 'array')`
  if (operator === 'ov' && text.trim() === '{}') return sql.raw('0')
  const parsed = parse(text)
  const walks = new Walks()
  if (operator === 'ov') return overlaps(root, parsed)
  if (parsed.loose) {
    const values = parsed.value as readonly Json[]
    return operator === 'cs'
      ? looselyHolds(root, values, walks)
      : looselyWithin(root, values, walks)
  }
  return operator === 'cs'
    ? holds(root, parsed.value, walks, 0)
    : within(root, parsed.value, walks, 0)
}

/** JSON, or an array as Postgres writes it, whose values have no type: `{a,1}` finds `"1"` and `1`. */
function parse(text: string): { value: Json; loose: boolean } {
  try {
    return { value: JSON.parse(text) as Json, loose: false }
  } catch {
    const values = arrayOf(text)
    if (values) return { value: values, loose: true }
    throw dataFaults['22P02']({
      message: 'invalid input syntax for type json',
      details: `Token "${text.slice(0, 100)}" is invalid.`,
    })
  }
}

const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isList = (value: Json): value is readonly Json[] => Array.isArray(value)

/** A value that is no list or object. */
function is({ type, atom }: Node, value: Json): Fragment {
  if (value === null) return sql`${type} = 'null'`
  if (typeof value === 'boolean') return sql`${type} = ${String(value)}`
  if (typeof value === 'number') return sql`(${type} in ('integer', 'real') and ${atom} = ${value})`
  return sql`(${type} = 'text' and ${atom} = ${value})`
}

/** The children of a list or an object; of anything else there are none. */
const walk = ({ json, type }: Node, name: Fragment, kind: 'array' | 'object'): Fragment =>
  sql`json_each(case when ${type} = ${sql.raw(`'${kind}'`)} then ${json} else ${sql.raw(kind === 'array' ? "'[]'" : "'{}'")} end) as ${name}`

const childOf = (name: Fragment): Node => ({
  json: sql`${name}.value`,
  type: sql`${name}.type`,
  atom: sql`${name}.atom`,
})

const all = (conditions: readonly Fragment[]): Fragment =>
  conditions.length === 0 ? sql.raw('1') : sql`(${sql.join(conditions, ' and ')})`

const any = (conditions: readonly Fragment[]): Fragment =>
  conditions.length === 0 ? sql.raw('0') : sql`(${sql.join(conditions, ' or ')})`

/** `stored @> value`. */
function holds(node: Node, value: Json, walks: Walks, depth: number): Fragment {
  walks.enter(depth)
  if (isObject(value)) {
    const parts = Object.entries(value).map(([key, part]) => {
      const name = walks.next()
      return sql`exists (select 1 from ${walk(node, name, 'object')} where ${name}.key = ${storable(key)} and ${holds(childOf(name), part, walks, depth + 1)})`
    })
    return all([sql`${node.type} = 'object'`, ...parts])
  }
  const some = (part: Json) => {
    const name = walks.next()
    return sql`exists (select 1 from ${walk(node, name, 'array')} where ${holds(childOf(name), part, walks, depth + 1)})`
  }
  if (isList(value)) return all([sql`${node.type} = 'array'`, ...value.map(some)])
  // A list holds what stands in it, but only at the top.
  return depth === 0 ? any([is(node, value), some(value)]) : is(node, value)
}

/** `stored <@ value`. */
function within(node: Node, value: Json, walks: Walks, depth: number): Fragment {
  walks.enter(depth)
  const name = walks.next()
  const child = childOf(name)
  if (isObject(value)) {
    const known = Object.entries(value).map(
      ([key, part]) =>
        sql`(${name}.key = ${storable(key)} and ${within(child, part, walks, depth + 1)})`,
    )
    return sql`(${node.type} = 'object' and not exists (select 1 from ${walk(node, name, 'object')} where not ${any(known)}))`
  }
  if (isList(value)) {
    const known = value.map((part) => within(child, part, walks, depth + 1))
    const list = sql`(${node.type} = 'array' and not exists (select 1 from ${walk(node, name, 'array')} where not ${any(known)}))`
    if (depth > 0) return list
    const single = value.filter((part) => !isObject(part) && !isList(part))
    return any([list, ...single.map((part) => is(node, part))])
  }
  return is(node, value)
}

/** As text, whatever JSON type it has; nothing for lists and objects. */
const textOf = ({ type, atom }: Node): Fragment =>
  sql`case ${type} when 'true' then 'true' when 'false' then 'false' else cast(${atom} as text) end`

function looselyHolds(node: Node, values: readonly Json[], walks: Walks): Fragment {
  const parts = values.map((value) => {
    walks.enter(0)
    const name = walks.next()
    return sql`exists (select 1 from ${walk(node, name, 'array')} where ${textOf(childOf(name))} = ${value})`
  })
  return all([sql`${node.type} = 'array'`, ...parts])
}

function looselyWithin(node: Node, values: readonly Json[], walks: Walks): Fragment {
  const name = walks.next()
  const known = sql`coalesce(${textOf(childOf(name))} in (select value from json_each(${JSON.stringify(values)})), 0)`
  return sql`(${node.type} = 'array' and not exists (select 1 from ${walk(node, name, 'array')} where not ${known}))`
}

/** `stored && value`: any value of the one is in the other. */
function overlaps(node: Node, { value, loose }: { value: Json; loose: boolean }): Fragment {
  if (!isList(value) || value.some((part) => isObject(part) || isList(part)))
    throw dataFaults['22P02']({ message: 'malformed array literal' })
  const name = sql.identifier('leanto:j0')
  const child = childOf(name)
  const list = JSON.stringify(value)
  // One parameter holds them all, however many.
  const same = loose
    ? sql`${textOf(child)} in (select value from json_each(${list}))`
    : sql`exists (select 1 from json_each(${list}) as "leanto:other" where "leanto:other".atom = ${child.atom} and ("leanto:other".type = ${child.type} or ("leanto:other".type in ('integer', 'real') and ${child.type} in ('integer', 'real'))))`
  return sql`exists (select 1 from ${walk(node, name, 'array')} where ${same})`
}
