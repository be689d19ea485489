import { getTableColumns } from 'drizzle-orm'
import { getTableConfig, type SQLiteColumn, type SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Exposed } from './expose.ts'
import { type WireType, wireType } from './wire.ts'

/** What `expose(table, { live })` takes. */
export type LiveOption<Key extends string> =
  | boolean
  | {
      /**
       * Columns (keys as in drizzle) whose old values are logged beside the key: those that the select policy asks of.
       * They stay in the log for days after the row is gone; no secrets, and nothing long.
       */
      readonly keep?: readonly Key[]
    }

/** A column of a live table, by its name in SQL. */
export interface LiveColumn {
  readonly name: string
  readonly type: WireType
}

/** A table whose changes are logged: what all that expose it declare, taken together. */
export interface Live {
  /** In SQL, as it stands in the log. */
  readonly table: string
  /** In URLs. */
  readonly names: readonly string[]
  readonly key: readonly LiveColumn[]
  /** Beside the key. */
  readonly kept: readonly LiveColumn[]
  /** What clients can see, if there is anything that they cannot. */
  readonly visible: readonly LiveColumn[] | undefined
}

/** @throws {TypeError} if the table cannot be live. The columns in `keep` are checked with the other options. */
export function checkLive(table: SQLiteTable, live: LiveOption<string> | undefined) {
  if (live === undefined || live === false) return
  const { name } = getTableConfig(table)
  const keep: unknown = live === true ? undefined : live?.keep
  if (live !== true && (typeof live !== 'object' || live === null))
    throw new TypeError(`expose(${name}): \`live\` must be true or { keep: [columns] }`)
  if (keep !== undefined && !Array.isArray(keep))
    throw new TypeError(`expose(${name}): \`live.keep\` must be a list of column keys`)
  if (keyOf(table).length === 0)
    throw new TypeError(
      `expose(${name}): \`live\` needs a primary key, for the log to name rows by; the drizzle table has none`,
    )
  if (name.toLowerCase().startsWith('leanto_data_'))
    throw new TypeError(`expose(${name}): \`live\` cannot log the tables of the data module itself`)
}

/** The keys of the columns that `live` keeps. */
export const keptOf = (live: LiveOption<string> | undefined): readonly string[] =>
  (typeof live === 'object' ? live.keep : undefined) ?? []

/** The live tables, in the order in which they are exposed. */
export function liveTables(tables: Readonly<Record<string, Exposed>>): readonly Live[] {
  const byTable = new Map<string, [name: string, Exposed][]>()
  for (const entry of Object.entries(tables)) {
    const [, { table, policies }] = entry
    if (!policies.live) continue
    const { name } = getTableConfig(table)
    byTable.set(name, [...(byTable.get(name) ?? []), entry])
  }
  return [...byTable].map(([table, exposed]) => liveOf(table, exposed))
}

function liveOf(table: string, exposed: readonly [name: string, Exposed][]): Live {
  const columns = new Map<string, LiveColumn>()
  const kept = new Set<string>()
  const hidden = new Set<string>()
  const visible = new Set<string>()
  for (const [, { table, policies }] of exposed) {
    const keep = keptOf(policies.live)
    for (const [key, column] of Object.entries(getTableColumns(table)) as [
      string,
      SQLiteColumn,
    ][]) {
      const { name } = column
      if (!columns.has(name)) columns.set(name, { name, type: wireType(column) })
      if (keep.includes(key)) kept.add(name)
      ;(policies.hidden?.includes(key) ? hidden : visible).add(name)
    }
  }
  const pick = (names: Iterable<string>) =>
    [...names].map((name) => columns.get(name) as LiveColumn)
  const key = keyOf((exposed[0] as [string, Exposed])[1].table)
  return {
    table,
    names: exposed.map(([name]) => name),
    key: pick(key),
    kept: pick(kept).filter(({ name }) => !key.includes(name)),
    // Who reads it under another name, without that column hidden, sees it all the same.
    visible: [...hidden].every((name) => visible.has(name)) ? undefined : pick(visible),
  }
}

/** The names of the primary key's columns. */
function keyOf(table: SQLiteTable): string[] {
  const { primaryKeys, columns } = getTableConfig(table)
  return (primaryKeys[0]?.columns ?? columns.filter(({ primary }) => primary)).map(
    ({ name }) => name,
  )
}
