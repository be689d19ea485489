import { getTableName } from 'drizzle-orm'
import { quotedName } from '../../core/derived.ts'
import { columnSql, type View } from '../compile.ts'
import { dataFaults } from '../faults.ts'
import type { Operand } from '../operand.ts'
import type { Test } from '../query.ts'
import { rowidName, type SearchConfig } from '../search.ts'
import { indexOf } from '../search-ddl.ts'
import { type Fragment, sql } from '../sql.ts'
import { affinityOf } from '../stored.ts'
import { storable } from '../wire.ts'
import { matchOf, wanted } from './match.ts'
import { noOperator } from './no-operator.ts'
import { tsquery } from './tsquery.ts'
import { phrase, plain, type TextQuery, web, wordsOf } from './words.ts'

/** PostgREST's operators of full text: https://docs.postgrest.org/en/v14/references/api/tables_views.html#full-text-search */
const queries: Record<string, (text: string) => TextQuery> = {
  fts: tsquery,
  plfts: plain,
  phfts: (text) => phrase(wordsOf(text)),
  wfts: web,
}

export const searches = ({ operator }: Test): boolean => Object.hasOwn(queries, operator)

/**
 * A search of a column, not yet negated. It asks whether a row is among those that the index has, and so nothing of rows
 * that the caller may not see.
 *
 * @param negated Whether it will be, here or further out: then a null must stay one.
 * @throws {Fault} 42883 for a column that is not searched, 42601 for what is no tsquery, 42704 and PGRST127 for another
 * configuration than the table's.
 */
export function searchSql(
  view: View,
  operand: Operand,
  { operator, language, value: given }: Test,
  negated: boolean,
): Fragment {
  const { field, value } = operand
  const { search, column } = searched(view, operand, operator)
  if (language !== undefined) mustBeOf(language, search.config)
  const match = matchOf(queryOf(operator, given as string), search.config)
  const nullable = field?.column.notNull !== true
  // A query that asks nothing finds nothing; of a null it is not known.
  const unknown = sql`(${value} is null and null)`
  if (!match) return negated && nullable ? unknown : sql.raw('0')
  const index = indexSql(view)
  const text = `${column} : (${match.text})`
  const found = among(view, sql`select rowid from ${index} where ${index} match ${text}`)
  if (match.negated)
    return nullable ? sql`(not ${found} and (${value} is not null or null))` : sql`not ${found}`
  return negated && nullable ? sql`(${found} or ${unknown})` : found
}

// Each is looked up for each row that is sorted.
const maxRanked = 32

/**
 * What sorts rows by how much of their searches they have: how many of the words and phrases that are asked of the column,
 * anywhere in the filters, stand in the row. It is of the row alone. FTS5's own `rank` is not: it weighs a word by the
 * number of rows that have it, hidden ones too.
 *
 * @param tests The searches of the column.
 * @throws {Fault} 42883 for a column that is not searched; PGRST127 if nothing is searched; 54000 for too many words.
 */
export function rankSql(
  view: View,
  operand: Operand,
  tests: readonly { test: Test; negated: boolean }[],
): Fragment {
  const { search, column } = searched(view, operand, 'fts')
  if (tests.length === 0)
    throw dataFaults.PGRST127({
      details: `A rank is of what is read and searched: "${operand.field?.name}" has no filter by fts, plfts, phfts or wfts beside it.`,
    })
  const phrases = tests.flatMap(({ test: { operator, value }, negated }) =>
    wanted(queryOf(operator, value as string), search.config, negated),
  )
  const told = [...new Set(phrases)]
  if (told.length > maxRanked)
    throw dataFaults['54000']({ message: `a rank may be of ${maxRanked} words and phrases` })
  const list = JSON.stringify(told.map((text) => `${column} : (${text})`))
  const index = indexSql(view)
  return sql`(select count(*) from json_each(${list}) as "leanto:phrase" cross join ${index} where ${index} match "leanto:phrase".value and ${index}.rowid = ${rowidOf(view)})`
}

/** @throws {Fault} 42883 */
function searched(view: View, operand: Operand, operator: string) {
  const { search } = view.resource
  const { field } = operand
  if (!field || !search?.columns.has(field.name)) throw notSearched(operand, operator)
  return { search, column: quotedName(field.name) }
}

const queryOf = (operator: string, text: string) => queries[operator]?.(storable(text)) as TextQuery

const indexSql = ({ resource: { table } }: View): Fragment =>
  sql.identifier(indexOf(getTableName(table)))

/** Whether a row is among those that the index names. */
function among(view: View, rows: Fragment): Fragment {
  const key = integerKey(view)
  if (key) return sql`${key} in (${rows})`
  if (view.name === undefined) return sql`${ownRowid(view)} in (${rows})`
  const { name: _, ...own } = view
  return sql`(${keysSql(view)}) in (select ${keysSql(own)} from ${view.resource.table} where ${ownRowid(view)} in (${rows}))`
}

/** What the index calls the row. */
function rowidOf(view: View): Fragment {
  const key = integerKey(view)
  if (key) return key
  if (view.name === undefined) return ownRowid(view)
  const { name: _, ...own } = view
  return sql`(select ${ownRowid(view)} from ${view.resource.table} where (${keysSql(own)}) = (${keysSql(view)}))`
}

function integerKey(view: View): Fragment | undefined {
  const [key, ...more] = view.resource.primaryKey
  return key && more.length === 0 && affinityOf(key.column) === 'integer'
    ? columnSql(view, key)
    : undefined
}

/** Only under the table's own name: under another one it may be a subquery, which has no rowid. */
const ownRowid = ({ resource: { table, fields } }: View): Fragment =>
  sql`${table}.${sql.raw(rowidName([...fields.values()].map(({ column }) => column)))}`

const keysSql = (view: View): Fragment =>
  sql.join(
    view.resource.primaryKey.map((part) => columnSql(view, part)),
    ', ',
  )

function notSearched({ field, type }: Operand, operator: string) {
  const fault = noOperator(type, operator)
  if (!type.textual || !field) return fault
  return dataFaults['42883']({
    message: fault.message,
    hint: `The column is not declared to be searched: expose(…, { search: [${JSON.stringify(field.key)}] }).`,
  })
}

/** Those that Postgres has. */
const configs = new Set(
  (
    'simple arabic armenian basque catalan danish dutch english finnish french german greek hindi hungarian indonesian irish ' +
    'italian lithuanian nepali norwegian portuguese romanian russian serbian spanish swedish tamil turkish yiddish'
  ).split(' '),
)

function mustBeOf(language: string, config: SearchConfig) {
  if (language === config) return
  if (!configs.has(language))
    throw dataFaults['42704']({
      message: `text search configuration "${language.slice(0, 100)}" does not exist`,
    })
  throw dataFaults.PGRST127({
    details: `The columns are indexed with the text search configuration "${config}", and with no other.`,
  })
}
