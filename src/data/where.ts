import { every, type View } from './compile.ts'
import type { Embed } from './embed.ts'
import { dataFaults } from './faults.ts'
import { operandOf } from './operand.ts'
import { testSql } from './operators/index.ts'
import { rankSql, searches, searchSql } from './operators/search.ts'
import { type Filter, type Node, notEmbedded, type Ordered, type Test } from './query.ts'
import { isToOne } from './relations.ts'
import { type Fragment, sql } from './sql.ts'

type Embeds = ReadonlyMap<string, Embed>

const none: Embeds = new Map()

/** The filters of one table as a condition. A test for null of an embed asks whether it has rows. */
export const filterSql = (
  view: View,
  filters: readonly Filter[],
  embeds: Embeds = none,
): Fragment => every(filters.map((filter) => oneFilter(view, filter, { embeds, inverted: false })))

interface Around {
  readonly embeds: Embeds
  /** Whether a group around it is negated. */
  readonly inverted: boolean
}

function oneFilter(view: View, filter: Filter, { embeds, inverted }: Around): Fragment {
  const turned = inverted || filter.negated
  if (filter.kind === 'test') {
    const embed = filter.steps.length === 0 ? embeds.get(filter.column) : undefined
    if (embed && isNullTest(filter)) return filter.negated ? embed.exists : sql`not ${embed.exists}`
    const operand = operandOf(view, filter)
    const test = searches(filter)
      ? searchSql(view, operand, filter, turned)
      : (view.earlier?.test(operand, filter) ?? testSql(operand, filter))
    return filter.negated ? sql`not (${test})` : test
  }
  const parts = filter.filters.map(
    (part) => sql`(${oneFilter(view, part, { embeds, inverted: turned })})`,
  )
  const joined = sql.join(parts, filter.kind === 'or' ? ' or ' : ' and ')
  return filter.negated ? sql`not (${joined})` : joined
}

const isNullTest = ({ operator, value }: Test): boolean =>
  operator === 'is' && typeof value === 'string' && value.toLowerCase() === 'null'

/** One term of `ORDER BY`: what it sorts by, and how. */
export interface OrderTerm {
  readonly value: Fragment
  readonly how: Fragment
  readonly descending: boolean
  /** Where null is placed. */
  readonly nulls?: 'first' | 'last'
}

/**
 * `order`, held against the table. Nulls are placed as Postgres places them; only where there can be any, so that an
 * index serves.
 *
 * @throws {Fault} 42703; PGRST108 and PGRST118 for a column of what is not embedded, or of many rows; PGRST127 for a rank
 * where nothing is searched.
 */
export const orderTerms = (
  view: View,
  { order, filters }: Pick<Node, 'order' | 'filters'>,
  embeds: Embeds = none,
): OrderTerm[] =>
  order.flatMap((term) => {
    const { descending, nulls, relation } = term
    if (term.rank) return rankTerm(view, term, filters)
    const operand = relation === undefined ? operandOf(view, term) : undefined
    const keys = operand
      ? (operand.sortKeys ?? [operand.value])
      : relatedKeys(view, relation as string, term, embeds)
    const direction = descending ? ' desc' : ' asc'
    const how = sql.raw(operand?.field?.column.notNull ? direction : `${direction} nulls ${nulls}`)
    return keys.map((value) => ({ value, how, descending, nulls }))
  })

/** It is never null. */
function rankTerm(view: View, term: Ordered, filters: readonly Filter[]): OrderTerm {
  const { descending, relation, column } = term
  if (relation !== undefined)
    throw dataFaults.PGRST127({
      details: `Rows are not ordered by the rank of a related row: ${relation}(${column}).`,
    })
  const value = rankSql(view, operandOf(view, term), searchesOf(filters, column, false))
  return { value, how: sql.raw(descending ? ' desc' : ' asc'), descending }
}

/** The searches of a column, at whatever depth. */
const searchesOf = (
  filters: readonly Filter[],
  column: string,
  inverted: boolean,
): { test: Test; negated: boolean }[] =>
  filters.flatMap((filter) => {
    const negated = inverted !== filter.negated
    if (filter.kind !== 'test') return searchesOf(filter.filters, column, negated)
    const here = filter.column === column && filter.steps.length === 0 && searches(filter)
    return here ? [{ test: filter, negated }] : []
  })

function relatedKeys(view: View, relation: string, term: Ordered, embeds: Embeds): Fragment[] {
  const embed = embeds.get(relation)
  if (!embed) throw notEmbedded(relation)
  if (!isToOne(embed.relation))
    throw dataFaults.PGRST118({
      message: `A related order on '${embed.name}' is not possible`,
      details: `'${view.resource.name}' and '${embed.name}' do not form a many-to-one or one-to-one relationship`,
    })
  const { value, sortKeys = [value] } = operandOf(embed.view, term)
  return sortKeys.map(embed.scalar)
}

export const orderBy = (terms: readonly OrderTerm[]): Fragment =>
  terms.length === 0
    ? sql.empty
    : sql` order by ${sql.join(
        terms.map(({ value, how }) => sql`${value}${how}`),
        ', ',
      )}`
