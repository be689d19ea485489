import { type DerivedMigration, quotedName, quotedText } from '../core/derived.ts'
import type { Migration } from '../core/migrate.ts'
import { following, nameOf, trigger } from './derived.ts'
import type { Live, LiveColumn } from './live.ts'

/**
 * The change log. `seq` only grows: the newest entry cannot be deleted, so that the next number is always a new one. That
 * is what AUTOINCREMENT is for, which would write a second row for each entry.
 */
export const changesMigration: Migration = {
  id: '0002_changes',
  sql: [
    `CREATE TABLE IF NOT EXISTS leanto_data_changes (
       seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, table_name TEXT NOT NULL, operation TEXT NOT NULL,
       key TEXT NOT NULL, old TEXT, quiet INTEGER NOT NULL DEFAULT 0
     )`,
    'CREATE TRIGGER IF NOT EXISTS leanto_data_changes_newest BEFORE DELETE ON leanto_data_changes WHEN old.seq = (SELECT max(seq) FROM leanto_data_changes) BEGIN SELECT RAISE(IGNORE); END',
  ],
}

const events = ['insert', 'update', 'delete'] as const

/** The names of a live table's triggers. */
export const liveTriggers = ({ table }: Live): string[] =>
  events.map((event) => nameOf('live', table, event))

/**
 * The triggers that log a table's changes. They name no column beyond those that they need: SQLite refuses to drop a
 * column that a trigger names.
 */
export function liveMigration(live: Live): DerivedMigration {
  const { table } = live
  return following('live', {
    table,
    makes: liveTriggers(live).map((name) => ({ type: 'trigger', name })),
    sql: events.map((event) =>
      trigger({
        name: nameOf('live', table, event),
        when: `AFTER ${event.toUpperCase()}`,
        table,
        run: `INSERT INTO leanto_data_changes (at, table_name, operation, key, old, quiet) VALUES (${[
          `CAST(unixepoch('subsec') * 1000 AS INTEGER)`,
          quotedText(table),
          quotedText(event),
          jsonSql(event === 'delete' ? 'old' : 'new', live.key),
          event === 'insert' ? 'NULL' : jsonSql('old', [...live.key, ...live.kept]),
          event === 'update' ? quietSql(live) : '0',
        ].join(', ')})`,
      }),
    ),
  })
}

/** 1 for an update that changes no column that clients see. */
function quietSql({ visible }: Live): string {
  if (!visible) return '0'
  if (visible.length === 0) return '1'
  // One comparison of two lists: a hundred of two columns would be too deep for D1. And by the byte: under the column's
  // own collation a change of case may be none.
  const side = (row: string, more = '') =>
    `(${visible.map(({ name }) => `${row}.${quotedName(name)}${more}`).join(', ')})`
  return `${side('old', ' COLLATE BINARY')} IS ${side('new')}`
}

/** Columns of a row as a JSON object. What JSON has no form for, `storedOf` in `changes.ts` reads back. */
function jsonSql(row: 'old' | 'new', columns: readonly LiveColumn[]): string {
  const parts = columns.flatMap(({ name }, i) => [
    quotedText(`${i === 0 ? '{' : ','}${JSON.stringify(name)}:`),
    valueSql(`${row}.${quotedName(name)}`),
  ])
  return joined([...parts, `'}'`])
}

/** Nothing that a column may hold fails the host's write: it may be of any type, whatever the column's. */
const valueSql = (value: string): string =>
  `iif(typeof(${value}) = 'blob', '{"hex":"' || hex(${value}) || '"}', iif(typeof(${value}) = 'integer' AND ${value} NOT BETWEEN ${Number.MIN_SAFE_INTEGER} AND ${Number.MAX_SAFE_INTEGER}, '"' || ${value} || '"', json_quote(${value})))`

/** Texts, one after the other. A chain of all hundred columns would be deeper than D1 lets expressions be. */
function joined(parts: readonly string[]): string {
  if (parts.length <= 20) return parts.join(' || ')
  const groups = Array.from({ length: Math.ceil(parts.length / 20) }, (_, i) =>
    parts.slice(i * 20, i * 20 + 20),
  )
  return joined(groups.map((group) => `(${group.join(' || ')})`))
}
