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
import { matchOf } from './match.ts'
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
 * that the caller may not see: no rank, which would count their words.
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
  const { search, table } = view.resource
  const { field, value } = operand
  if (!field || !search?.columns.has(field.name)) throw notSearched(operand, operator)
  if (language !== undefined) mustBeOf(language, search.config)
  const query = queries[operator]?.(storable(given as string)) as TextQuery
  const match = matchOf(query, search.config)
  const nullable = !field.column.notNull
  // A query that asks nothing finds nothing; of a null it is not known.
  const unknown = sql`(${value} is null and null)`
  if (!match) return negated && nullable ? unknown : sql.raw('0')
  const index = sql.identifier(indexOf(getTableName(table)))
  const text = `${quotedName(field.name)} : (${match.text})`
  const found = among(view, sql`select rowid from ${index} where ${index} match ${text}`)
  if (match.negated)
    return nullable ? sql`(not ${found} and (${value} is not null or null))` : sql`not ${found}`
  return negated && nullable ? sql`(${found} or ${unknown})` : found
}

/** Whether a row is among those that the index names. */
function among(view: View, rows: Fragment): Fragment {
  const { primaryKey, table, fields } = view.resource
  const [key, ...more] = primaryKey
  if (key && more.length === 0 && affinityOf(key.column) === 'integer')
    return sql`${columnSql(view, key)} in (${rows})`
  const rowid = sql`${table}.${sql.raw(rowidName([...fields.values()].map(({ column }) => column)))}`
  if (view.name === undefined) return sql`${rowid} in (${rows})`
  // Under another name the table may be a subquery, which has no rowid.
  const keys = (of: View) =>
    sql.join(
      primaryKey.map((part) => columnSql(of, part)),
      ', ',
    )
  const { name: _, ...own } = view
  return sql`(${keys(view)}) in (select ${keys(own)} from ${table} where ${rowid} in (${rows}))`
}

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
