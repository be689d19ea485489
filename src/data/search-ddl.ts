import { type DerivedMigration, quotedName } from '../core/derived.ts'
import { following, nameOf, trigger } from './derived.ts'
import type { SearchConfig, Searched } from './search.ts'

/** The index of a table's words. */
export const indexOf = (table: string): string => nameOf('search', table)

// Postgres tells é from e, and so does this; FTS5 by itself would not.
const tokenizers: Record<SearchConfig, string> = {
  english: 'porter unicode61 remove_diacritics 0',
  simple: 'unicode61 remove_diacritics 0',
}

/** What FTS5 makes beside an index, and we, by the ends of their names. */
const beside = ['data', 'idx', 'content', 'docsize', 'config', 'insert', 'update', 'delete']

/** @throws {TypeError} if the index of a table would have the name of what belongs to another one's. */
export function searchMigrations(searched: readonly Searched[]): readonly DerivedMigration[] {
  const indexes = new Set(searched.map(({ table }) => indexOf(table)))
  for (const { table } of searched)
    for (const end of beside)
      if (indexes.has(`${indexOf(table)}_${end}`))
        throw new TypeError(
          `data: \`search\` cannot be of both tables ${table} and ${table}_${end}: their indexes' names meet`,
        )
  return searched.map(searchMigration)
}

/**
 * The index, what fills it, and the triggers that keep it. It holds no text (it is contentless, with deletes by rowid:
 * https://www.sqlite.org/fts5.html#contentless_delete_tables), so it can never disagree with the table about what a row
 * held before: that would spoil an index with external content.
 */
function searchMigration(searched: Searched): DerivedMigration {
  const { table, columns, config } = searched
  const index = quotedName(indexOf(table))
  const names = [...columns].map(quotedName)
  const rowid = (row?: string) => idSql(searched, row)
  const values = (row?: string) => [rowid(row), ...names.map((name) => wordsSql(of(row, name)))]
  const into = `INSERT INTO ${index} (rowid, ${names.join(', ')})`
  const add = `${into} VALUES (${values('new').join(', ')})`
  const side = (row: string, more = '') =>
    `(${[rowid(row), ...names.map((name) => of(row, name))].map((value) => value + more).join(', ')})`
  const made = (event: string) => nameOf('search', table, event)
  return following('search', {
    table,
    makes: [
      ...['insert', 'update', 'delete'].map(
        (event) => ({ type: 'trigger', name: made(event) }) as const,
      ),
      { type: 'table', name: indexOf(table) },
    ],
    sql: [
      `CREATE VIRTUAL TABLE ${index} USING fts5(${names.join(', ')}, content='', contentless_delete=1, tokenize='${tokenizers[config]}')`,
      `${into} SELECT ${values().join(', ')} FROM ${quotedName(table)}`,
      trigger({
        name: made('insert'),
        when: 'AFTER INSERT',
        table,
        // Of a row that REPLACE takes away, SQLite runs no delete trigger.
        run: `DELETE FROM ${index} WHERE rowid = ${rowid('new')}; ${add}`,
      }),
      trigger({
        name: made('update'),
        when: 'AFTER UPDATE',
        table,
        // By the byte: under the column's own collation a change may be none.
        condition: `${side('old', ' COLLATE BINARY')} IS NOT ${side('new')}`,
        run: `DELETE FROM ${index} WHERE rowid IN (${rowid('old')}, ${rowid('new')}); ${add}`,
      }),
      trigger({
        name: made('delete'),
        when: 'AFTER DELETE',
        table,
        run: `DELETE FROM ${index} WHERE rowid = ${rowid('old')}`,
      }),
    ],
  })
}

const of = (row: string | undefined, name: string): string =>
  row === undefined ? name : `${row}.${name}`

const idSql = ({ rowid: { name, isColumn } }: Searched, row?: string): string =>
  of(row, isColumn ? quotedName(name) : name)

/** A blob in a text column is no text, and must not fail the host's write. */
const wordsSql = (value: string): string => `iif(typeof(${value}) = 'blob', NULL, ${value})`
