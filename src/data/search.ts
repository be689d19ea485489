import { getTableColumns } from 'drizzle-orm'
import { getTableConfig, type SQLiteColumn, type SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Exposed } from './expose.ts'
import { affinityOf } from './stored.ts'
import { wireType } from './wire.ts'

/**
 * How words are told: `english` takes them by their stems (Porter's) and leaves out what every text holds, `simple` takes
 * them as they are. In neither does case count.
 */
export type SearchConfig = 'english' | 'simple'

/** What `expose(table, { search })` takes. */
export type SearchOption<Key extends string> =
  | readonly Key[]
  | {
      /** Keys as in drizzle, of text columns. */
      readonly columns: readonly Key[]
      /** @default 'english', as in Postgres */
      readonly config?: SearchConfig
    }

/** What clients may search of a table. */
export interface Search {
  /** Columns by their names in SQL. */
  readonly columns: ReadonlySet<string>
  readonly config: SearchConfig
}

/** A table with an index of words: what all that expose it declare, taken together. */
export interface Searched extends Search {
  /** In SQL. */
  readonly table: string
  /** What the index calls a row by, as it is in the row: an integer key's column, or else SQLite's rowid. */
  readonly rowid: { readonly name: string; readonly isColumn: boolean }
}

const configs: readonly unknown[] = ['english', 'simple'] satisfies SearchConfig[]

/** FTS5 has columns of these names itself. */
const taken = new Set(['rank', 'rowid'])

/** @throws {TypeError} if the table cannot be searched by these columns. */
export function checkSearch(table: SQLiteTable, search: SearchOption<string> | undefined) {
  if (search === undefined) return
  const { name } = getTableConfig(table)
  const refuse = (why: string) => new TypeError(`expose(${name}): \`search\` ${why}`)
  const { columns, config = 'english' } = longForm(search)
  if (!Array.isArray(columns) || columns.length === 0)
    throw refuse("must be a list of column keys: ['title', 'body']")
  if (!configs.includes(config)) throw refuse("takes the config 'english' or 'simple'")
  const own: Record<string, SQLiteColumn> = getTableColumns(table)
  for (const key of columns) {
    const column = Object.hasOwn(own, key) ? own[key] : undefined
    if (!column) throw refuse(`names ${JSON.stringify(key)}, which is no column key of it`)
    if (!wireType(column).textual) throw refuse(`names ${key}, which is no text`)
    if (taken.has(column.name.toLowerCase()))
      throw refuse(`names ${key}: FTS5 takes no column of the name ${column.name}`)
  }
  if (keyOf(table).length === 0) throw refuse('needs a primary key; the drizzle table has none')
  if (name.toLowerCase().startsWith('leanto_data_'))
    throw refuse('cannot be of the tables of the data module itself')
}

const longForm = (search: SearchOption<string>) =>
  (Array.isArray(search) ? { columns: search } : (search ?? {})) as {
    columns: readonly string[]
    config?: SearchConfig
  }

/** What one exposed table declares. */
export function searchOf({ table, policies }: Exposed): Search | undefined {
  if (policies.search === undefined) return undefined
  const { columns, config = 'english' } = longForm(policies.search)
  const own = getTableColumns(table) as Record<string, SQLiteColumn>
  return { columns: new Set(columns.map((key) => (own[key] as SQLiteColumn).name)), config }
}

/**
 * The tables that are searched, in the order in which they are exposed.
 *
 * @throws {TypeError} if a table is exposed twice with different configs: it has one index.
 */
export function searchedTables(tables: Readonly<Record<string, Exposed>>): readonly Searched[] {
  const searched = new Map<string, Searched>()
  for (const exposed of Object.values(tables)) {
    const search = searchOf(exposed)
    if (!search) continue
    const { name: table } = getTableConfig(exposed.table)
    const before = searched.get(table)
    if (before && before.config !== search.config)
      throw new TypeError(`data: \`search\` of ${table} is declared with two configs`)
    searched.set(table, {
      table,
      config: search.config,
      columns: new Set([...(before?.columns ?? []), ...search.columns]),
      rowid: rowidOf(exposed.table),
    })
  }
  return [...searched.values()]
}

function rowidOf(table: SQLiteTable): Searched['rowid'] {
  const [key, ...more] = keyOf(table)
  if (key && more.length === 0 && affinityOf(key) === 'integer')
    return { name: key.name, isColumn: true }
  return { name: rowidName(Object.values(getTableColumns(table))), isColumn: false }
}

/** SQLite's rowid goes by three names, of which a column may have taken some. */
export const rowidName = (columns: readonly SQLiteColumn[]): string =>
  ['rowid', '_rowid_', 'oid'].find(
    (name) => !columns.some((column) => column.name.toLowerCase() === name),
  ) ?? 'rowid'

function keyOf(table: SQLiteTable): readonly SQLiteColumn[] {
  const { primaryKeys, columns } = getTableConfig(table)
  return primaryKeys[0]?.columns ?? columns.filter(({ primary }) => primary)
}
