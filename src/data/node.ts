import { aggregated } from './aggregate.ts'
import { cast } from './cast.ts'
import { columnSql, every, fieldOf, type View, visibleFields } from './compile.ts'
import { type Embed, embedOf, embedSql, type Naming } from './embed.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import { insertionOrder } from './insertion-order.ts'
import { type Operand, operandOf } from './operand.ts'
import type { Node, Selected, SelectedEmbed } from './query.ts'
import { isToOne } from './relations.ts'
import type { Output, ValueOutput } from './rows.ts'
import { keyOf } from './select.ts'
import { type Fragment, sameSql, sql } from './sql.ts'
import { filterSql, type OrderTerm, orderBy, orderTerms } from './where.ts'

/** What is asked of one table, held against it. */
export interface NodePlan {
  readonly outputs: readonly Output[]
  readonly embeds: ReadonlyMap<string, Embed>
  /** The tables; the policy of an embed is in them, that of the request's own table is not. */
  readonly from: Fragment
  /** The filters, and that inner embeds have rows. */
  readonly where: Fragment
  /** `ORDER BY`, by which no two rows are equal. */
  readonly order: Fragment
  /** What of it was asked for. */
  readonly terms: readonly OrderTerm[]
  /** `GROUP BY`, where there is an aggregate. */
  readonly grouped: Fragment | undefined
  readonly limit: number | undefined
  readonly offset: number
}

/**
 * @throws {Fault} what `select`, filters and order may: 42703, 42803, 42883, PGRST108, PGRST118, PGRST127, PGRST200, …
 */
export function compileNode(view: View, node: Node, naming: Naming): NodePlan {
  const select = node.select.map((item) => counted(view, item))
  const embeds = new Map<string, Embed>()
  for (const item of select)
    if (item.kind === 'embed') {
      const embed = embedOf(view, item, naming)
      if (!item.spread || !embeds.has(embed.name)) embeds.set(embed.name, embed)
    }
  const isGrouped = aggregates(select)
  const outputs = outputsOf(view, select, embeds, isGrouped)
  const inner = [...embeds.values()].filter(({ selected }) => selected.inner)
  const terms = orderTerms(view, node, embeds)
  if (isGrouped) mustBeGrouped(view, terms, outputs)
  return {
    outputs,
    embeds,
    from: sql`${view.resource.table}`,
    where: every([filterSql(view, node.filters, embeds), ...inner.map((embed) => embed.exists)]),
    order: orderBy(isGrouped ? terms : insertionOrder(view, terms)),
    terms,
    grouped: isGrouped ? groupBy(outputs) : undefined,
    limit: node.limit,
    offset: node.offset,
  }
}

/**
 * `count` without parentheses: `select=id,comments(count)` is what Supabase's pages teach. Postgres takes a column that is
 * not there for a function of the row: https://docs.postgrest.org/en/v12/references/api/aggregate_functions.html#the-case-of-count
 */
function counted(view: View, item: Selected): Selected {
  if (item.kind !== 'column' || item.column !== 'count' || item.aggregate || item.steps.length > 0)
    return item
  if (fieldOf(view, 'count') || view.resource.computed.has('count')) return item
  const { alias, cast: aggregateCast } = item
  return {
    kind: 'column',
    steps: [],
    aggregate: 'count',
    ...(alias === undefined ? {} : { alias }),
    ...(aggregateCast === undefined ? {} : { aggregateCast }),
  }
}

/** Aggregates of a spread count for the table that it is spread into. */
const aggregates = (select: readonly Selected[]): boolean =>
  select.some((item) =>
    item.kind === 'column'
      ? item.aggregate !== undefined
      : item.kind === 'embed' && item.spread && aggregates(item.node.select),
  )

/** `select`, held against the table. `*` is every visible column; naming one twice keeps one. */
function outputsOf(
  view: View,
  select: readonly Selected[],
  embeds: ReadonlyMap<string, Embed>,
  isGrouped: boolean,
): Output[] {
  const outputs = new Map<string, Output>()
  const add = (output: Output) => outputs.set(output.name, output)
  for (const item of select) {
    if (item.kind === 'all')
      for (const field of visibleFields(view)) {
        add(fieldOutput(view, field))
      }
    else if (item.kind === 'column') add(columnOutput(view, item))
    else for (const output of embedOutputs(item, embeds, isGrouped, outputs.size)) add(output)
  }
  return [...outputs.values()]
}

export const fieldOutput = (view: View, field: Field): ValueOutput =>
  valueOutput(field.name, { value: columnSql(view, field), type: field.type, field })

const valueOutput = (name: string, { value, type, field }: Operand): ValueOutput => ({
  kind: 'value',
  name,
  value,
  type,
  ...(field ? { field } : {}),
})

function columnOutput(view: View, item: Extract<Selected, { kind: 'column' }>): Output {
  const { column, steps, alias, aggregate } = item
  let operand: Operand | undefined
  if (column !== undefined) {
    operand = operandOf(view, { column, steps })
    if (item.cast !== undefined) operand = cast(operand, item.cast)
  }
  if (aggregate) {
    const result = aggregated(aggregate, operand)
    const final = item.aggregateCast === undefined ? result : cast(result, item.aggregateCast)
    return {
      ...valueOutput(alias ?? aggregate, final),
      aggregate: { name: aggregate, of: operand },
    }
  }
  return valueOutput(alias ?? keyOf(steps) ?? (column as string), operand as Operand)
}

function embedOutputs(
  item: SelectedEmbed,
  embeds: ReadonlyMap<string, Embed>,
  isGrouped: boolean,
  position: number,
): Output[] {
  const embed = [...embeds.values()].find(({ selected }) => selected === item)
  // The second one of a name stands for both.
  if (!embed) return []
  const { relation, plan, name } = embed
  const many = !isToOne(relation)
  if (item.spread && aggregates(item.node.select)) {
    if (many)
      throw dataFaults.PGRST127({
        details: 'Aggregates are not implemented for one-to-many or many-to-many spreads.',
      })
  }
  if (item.spread && isGrouped && !many)
    return plan.outputs.map((output) => spreadValue(embed, output))
  // An embed of nothing filters, and shows nothing.
  if (isEmpty(plan.outputs)) return []
  return [
    {
      kind: 'embed',
      name: item.spread ? `leanto:spread:${position}` : name,
      value: embedSql(embed),
      many: many || plan.grouped !== undefined,
      spread: item.spread,
      outputs: plan.outputs,
    },
  ]
}

const isEmpty = (outputs: readonly Output[]): boolean => outputs.length === 0

/** A column of the one related row, as a column of the table itself: so that it can be grouped by, or aggregated. */
function spreadValue({ scalar, plan: { grouped } }: Embed, output: Output): Output {
  if (!grouped || output.kind === 'embed' || !output.aggregate)
    return { ...output, value: scalar(output.value) }
  const { name, of = { value: sql.raw('1'), type: output.type } } = output.aggregate
  return { ...output, value: aggregated(name, { ...of, value: scalar(of.value) }).value }
}

const isAggregate = (output: Output): boolean =>
  output.kind === 'value' && output.aggregate !== undefined

/** Every output that is no aggregate, by its position in the list. */
function groupBy(outputs: readonly Output[]): Fragment {
  const positions = outputs.flatMap((output, i) =>
    isAggregate(output) ? [] : [sql.raw(String(i + 1))],
  )
  return positions.length === 0 ? sql.empty : sql` group by ${sql.join(positions, ', ')}`
}

/** Within a group, a column that the group does not share has no one value to sort by. */
function mustBeGrouped(view: View, terms: readonly OrderTerm[], outputs: readonly Output[]) {
  for (const { value } of terms)
    if (!outputs.some((output) => !isAggregate(output) && sameSql(output.value, value)))
      throw dataFaults['42803']({
        message: `the order of "${view.resource.name}" must be by a column in the GROUP BY clause`,
      })
}
