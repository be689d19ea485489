import { type DerivedMigration, quotedName } from '../core/derived.ts'
import { following, nameOf, type Trigger, trigger } from './derived.ts'
import type { SearchConfig, Searched } from './search.ts'

/** The index of a table's words. */
export const indexOf = (table: string): string => nameOf('search', table)

// Postgres tells é from e, and so does this; FTS5 by itself would not.
const tokenizers: Record<SearchConfig, string> = {
  english: 'porter unicode61 remove_diacritics 0',
  simple: 'unicode61 remove_diacritics 0',
}

/** In the order in which they are made; SQLite runs the one that was made last first. */
const events = ['insert', 'again', 'update', 'delete'] as const

/** What FTS5 makes beside an index, and we, by the ends of their names. */
const beside = ['data', 'idx', 'content', 'docsize', 'config', ...events]

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
  const { table, columns } = searched
  const made = (event: string) => nameOf('search', table, event)
  const ddl = statementsOf(searched)
  return following('search', {
    table,
    makes: [
      ...events.map((event) => ({ type: 'trigger', name: made(event) }) as const),
      { type: 'table', name: indexOf(table) },
    ],
    sql: [
      `CREATE VIRTUAL TABLE ${ddl.index} USING fts5(${[...columns].map(quotedName).join(', ')}, content='', contentless_delete=1, tokenize='${tokenizers[searched.config]}')`,
      ddl.fill,
      ...events.map((event) => trigger({ name: made(event), table, ...ddl[event] })),
    ],
  })
}

type Deed = Pick<Trigger, 'when' | 'condition' | 'run'>

function statementsOf(searched: Searched): Record<(typeof events)[number], Deed> & {
  index: string
  fill: string
} {
  const { table, columns } = searched
  const index = quotedName(indexOf(table))
  const names = [...columns].map(quotedName)
  const rowid = (row?: string) => idSql(searched, row)
  const values = (row?: string) => [rowid(row), ...names.map((name) => wordsSql(of(row, name)))]
  const into = `INSERT INTO ${index} (rowid, ${names.join(', ')})`
  const there = `EXISTS (SELECT 1 FROM ${index} WHERE rowid = ${rowid('new')})`
  const side = (row: string, more = '') =>
    `(${[rowid(row), ...names.map((name) => of(row, name))].map((value) => value + more).join(', ')})`
  const words = values('new')
  const set = ['rowid', ...names].map((name, i) => `${name} = ${words[i]}`).join(', ')
  return {
    index,
    fill: `${into} SELECT ${values().join(', ')} FROM ${quotedName(table)}`,
    insert: {
      when: 'AFTER INSERT',
      condition: `NOT ${there}`,
      run: `${into} VALUES (${words.join(', ')})`,
    },
    // Of a row that REPLACE takes away, SQLite runs no delete trigger: its rowid may come again.
    again: {
      when: 'AFTER INSERT',
      condition: there,
      run: `UPDATE ${index} SET ${set} WHERE rowid = ${rowid('new')}`,
    },
    update: {
      when: 'AFTER UPDATE',
      // By the byte: under the column's own collation a change may be none.
      condition: `${side('old', ' COLLATE BINARY')} IS NOT ${side('new')}`,
      run: `UPDATE OR REPLACE ${index} SET ${set} WHERE rowid = ${rowid('old')}`,
    },
    delete: { when: 'AFTER DELETE', run: `DELETE FROM ${index} WHERE rowid = ${rowid('old')}` },
  }
}

const of = (row: string | undefined, name: string): string =>
  row === undefined ? name : `${row}.${name}`

const idSql = ({ rowid: { name, isColumn } }: Searched, row?: string): string =>
  of(row, isColumn ? quotedName(name) : name)

/** A blob in a text column is no text, and must not fail the host's write. */
const wordsSql = (value: string): string => `iif(typeof(${value}) = 'blob', NULL, ${value})`
