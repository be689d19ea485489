import { allows, columnSql, every, fieldOf, mustAllow, rowsSql, type View } from './compile.ts'
import type { Field, Resource } from './expose.ts'
import { compileNode, type NodePlan } from './node.ts'
import type { SelectedEmbed } from './query.ts'
import { findRelation, isToOne, noRelation, type Relation } from './relations.ts'
import { type Output, packed } from './rows.ts'
import { type Fragment, sql } from './sql.ts'

/** A table inside another one's answer. Everything here is a subquery of the statement that it stands in. */
export interface Embed {
  /** What it is called in the answer, in filters and in `order`. */
  readonly name: string
  readonly relation: Relation
  readonly selected: SelectedEmbed
  readonly view: View
  readonly plan: NodePlan
  /** Whether it has a row. */
  readonly exists: Fragment
  /** An expression over its one row; null without one. */
  scalar(value: Fragment): Fragment
}

/** What one request's embeds share. */
export interface Naming {
  next: number
}

/**
 * @throws {Fault} PGRST200, PGRST201, 42501 and what its select, filters and order may throw.
 */
export function embedOf(parent: View, selected: SelectedEmbed, naming: Naming): Embed {
  const { target, hint, alias } = selected
  const relation = findRelation(
    parent.resource.relations.filter((one) => isVisible(parent, one)),
    { origin: parent.resource.name, target, ...(hint === undefined ? {} : { hint }) },
  )
  const name = `leanto:${naming.next++}`
  const view: View = {
    resource: relation.target,
    who: parent.who,
    name,
    ...(parent.earlier ? { earlier: parent.earlier } : {}),
  }
  mustAllow(view, 'select')
  const plan = compileNode(view, selected.node, naming)
  const from = sourceOf(parent, view, relation, naming)
  const where = every([from.join, plan.where])
  const scalar = (value: Fragment): Fragment =>
    sql`(select ${value} from ${from.tables} where ${where} limit 1)`
  return {
    name: alias ?? target,
    relation,
    selected,
    view,
    plan: { ...plan, from: from.tables, where },
    exists: sql`exists ${scalar(sql.raw('1'))}`,
    scalar,
  }
}

/** A relation by columns that the caller may not see is none: it would tell of them. */
function isVisible({ who, resource }: View, { target, columns, junction }: Relation): boolean {
  const seen = (at: Resource, names: readonly string[]) =>
    names.every((name) => fieldOf({ resource: at, who }, name))
  const own = columns.map(([name]) => name)
  const other = columns.map(([, name]) => name)
  if (!junction) return seen(resource, own) && seen(target, other)
  const [from, to] = [0, 1].map((i) => junction.columns.map((pair) => pair[i] as string))
  return (
    seen(resource, own) &&
    seen(junction.resource, [...other, ...(from as string[])]) &&
    seen(target, to as string[])
  )
}

/** The tables, each bounded by its select policy, and how their rows belong to the parent's row. */
function sourceOf(parent: View, view: View, relation: Relation, naming: Naming) {
  const { junction, columns, computed } = relation
  if (computed) return { tables: boundedTable(view), join: computed.on(parent, view) }
  const own = (name: string) => columnSql(parent, field(parent.resource, name))
  if (!junction) {
    const join = columns.map(
      ([mine, other]) => sql`${columnSql(view, field(view.resource, other))} = ${own(mine)}`,
    )
    return { tables: boundedTable(view), join: sql.join(join, ' and ') }
  }
  const middle: View = {
    resource: junction.resource,
    who: view.who,
    name: `leanto:${naming.next++}`,
  }
  if (view.who.role !== 'service' && !junction.resource.policies.select)
    throw noRelation(parent.resource.name, view.resource.name)
  const on = junction.columns.map(
    ([from, to]) =>
      sql`${columnSql(view, field(view.resource, to))} = ${columnSql(middle, field(middle.resource, from))}`,
  )
  const join = columns.map(
    ([mine, other]) => sql`${columnSql(middle, field(middle.resource, other))} = ${own(mine)}`,
  )
  return {
    tables: sql`${boundedTable(middle)} join ${boundedTable(view)} on ${sql.join(on, ' and ')}`,
    join: sql.join(join, ' and '),
  }
}

const field = (resource: Resource, name: string): Field => resource.fields.get(name) as Field

/** The rows of a table that the caller may read. */
const boundedTable = (view: View): Fragment =>
  rowsSql(view, allows(view.resource.policies.select, view.who))

/** The embed as one JSON value: a row as an array, many rows as an array of those. */
export function embedSql({ relation, view, plan }: Embed): Fragment {
  const { from, where, outputs, order, grouped, limit, offset } = plan
  if (isToOne(relation) && !grouped)
    return sql`(select ${packed(outputs)} from ${from} where ${where} limit 1)`
  const window = sql.raw(
    `limit ${Math.min(limit ?? Number.MAX_SAFE_INTEGER, view.resource.maxRows)} offset ${offset}`,
  )
  const row = grouped
    ? sql`select ${packed(asNamed(outputs))} as v from (select ${namedSql(outputs)} from ${from} where ${where}${grouped}${order} ${window})`
    : sql`select ${packed(outputs)} as v from ${from} where ${where}${order} ${window}`
  return sql`(select json_group_array(json(v)) from (${row}))`
}

const nameAt = (index: number): Fragment => sql.identifier(`leanto:v${index}`)

export const namedSql = (outputs: readonly Output[]): Fragment =>
  sql.join(
    outputs.map(({ value }, i) => sql`${value} as ${nameAt(i)}`),
    ', ',
  )

export const asNamed = (outputs: readonly Output[]): Output[] =>
  outputs.map((output, i) => ({ ...output, value: nameAt(i) }))
