import { quotedText } from '../core/derived.ts'
import type { Scope } from '../core/scope.ts'
import type { Json } from './database-of.ts'
import { type Exposed, isCount } from './expose.ts'
import { type Live, type LiveColumn, liveTables } from './live.ts'
import { fromHex, type Stored, toHex } from './stored.ts'

/** One change of one row, of a table that is `live`. */
export interface Change<Name extends string = string> {
  /** Its place among all changes of the database. */
  readonly seq: number
  /** When, in Unix milliseconds, by the database's clock. */
  readonly at: number
  /** The names under which the table is exposed: one, unless it is exposed more than once. */
  readonly tables: readonly Name[]
  readonly operation: 'insert' | 'update' | 'delete'
  /** The row's key, by the columns' SQL names, as clients write it; of an update the one that it has since. */
  readonly key: Readonly<Record<string, Json>>
  /** What it was before, of an update or a delete: its key and what `live.keep` names. Hidden columns among it, too. */
  readonly old: Readonly<Record<string, Json>> | null
  /**
   * An update that changed no column that clients see: it may be told only to those for whom the row came into view or
   * went out of it (SECURITY-CASES 69).
   */
  readonly quiet: boolean
}

export interface ChangesPage<Name extends string = string> {
  readonly changes: readonly Change<Name>[]
  /** What to give as `since` next time. */
  readonly last: number
  /** Whether there is more to read now. */
  readonly more: boolean
  /**
   * What came after `since` is no longer whole: trimmed, or the database was restored to an earlier state. There are no
   * changes then. Read the tables anew, after this answer, and go on from `last`.
   */
  readonly gap: boolean
}

export interface ChangesInput<Name extends string> {
  /** The `last` of the page before; 0 for all that is kept; `'now'` for what comes from now on, and no changes yet. */
  readonly since: number | 'now'
  /** The most changes of one page, up to 1000. @default 100 */
  readonly limit?: number
  /** Names of live tables. @default all */
  readonly tables?: readonly Name[]
}

/** How many entries one page looks through for those of its tables. */
const reach = 10_000

/**
 * What changed in the live tables, in the order in which it happened: also what the host itself, its triggers and its
 * foreign keys did, or a hand at the console. One trip, to the primary, by the log's key alone. Rows that `REPLACE` pushes
 * out are not in it: SQLite fires no trigger for them.
 *
 * It knows no policy and is not for clients: whoever passes a change on asks first, for each receiver, what `select` says
 * of the row now and, by `old`, said of it before (SECURITY-CASES 68).
 *
 * @throws {TypeError} if `since`, `limit` or `tables` makes no sense, or no table is live.
 */
export async function changes<const Tables extends Record<string, Exposed>>(
  scope: Scope,
  store: { readonly tables: Tables },
  { since, limit = 100, tables }: ChangesInput<keyof Tables & string>,
): Promise<ChangesPage<keyof Tables & string>> {
  if (since !== 'now' && !(Number.isSafeInteger(since) && since >= 0))
    throw new TypeError('changes: `since` must be the `last` of a page, 0 or "now"')
  if (!isCount(limit) || limit > 1000)
    throw new TypeError('changes: `limit` must be a whole number from 1 to 1000')
  const log = logOf(store.tables, tables)
  const from = since === 'now' ? 0 : since
  const bounds = scope.db.prepare(
    'SELECT (SELECT min(seq) FROM leanto_data_changes) AS first, (SELECT max(seq) FROM leanto_data_changes) AS head',
  )
  const page = scope.db
    .prepare(
      `SELECT seq, at, table_name, operation, key, old, quiet FROM leanto_data_changes
       WHERE seq > ?1 AND seq <= ?2 AND table_name IN (${[...log.keys()].map(quotedText).join(', ')})
       ORDER BY seq LIMIT ?3`,
    )
    .bind(from, from + reach, limit)
  const [bound, rows] = await scope.db.batch(since === 'now' ? [bounds] : [bounds, page])
  const { first, head } = (bound?.results[0] ?? {}) as {
    first?: number | null
    head?: number | null
  }
  const newest = head ?? 0
  if (since === 'now') return { changes: [], last: newest, more: false, gap: false }
  if (since > newest || since + 1 < (first ?? 1))
    return { changes: [], last: newest, more: false, gap: true }
  const found = (rows?.results ?? []) as unknown as Entry[]
  const last =
    found.length === limit ? (found[limit - 1] as Entry).seq : Math.min(since + reach, newest)
  return {
    changes: found.map((entry) => changeOf(entry, log)) as Change<keyof Tables & string>[],
    last,
    more: last < newest,
    gap: false,
  }
}

/** A row of the log. */
interface Entry {
  seq: number
  at: number
  table_name: string
  operation: Change['operation']
  key: string
  old: string | null
  quiet: number
}

const changeOf = ({ table_name, key, old, quiet, ...entry }: Entry, log: Log): Change => {
  const live = log.get(table_name) as Live
  return {
    seq: entry.seq,
    at: entry.at,
    tables: live.names,
    operation: entry.operation,
    key: shown(key, live),
    old: old === null ? null : shown(old, live),
    quiet: quiet === 1,
  }
}

function shown(json: string, { key, kept }: Live): Record<string, Json> {
  const columns = new Map([...key, ...kept].map((column) => [column.name, column]))
  const row = JSON.parse(json) as Record<string, StoredJson>
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, wireOf(columns.get(name), storedOf(value))]),
  )
}

/** A stored value as a trigger wrote it. */
type StoredJson = string | number | null | { hex: string }

const storedOf = (json: StoredJson): Stored =>
  typeof json === 'object' && json !== null ? fromHex(json.hex) : json

/** As it looks on the wire. An entry may be older than its column's type, and a host's own conversion may throw. */
function wireOf(column: LiveColumn | undefined, stored: Stored): Json {
  const plain = stored instanceof ArrayBuffer ? `\\x${toHex(new Uint8Array(stored))}` : stored
  if (!column?.type.decode) return plain
  try {
    return column.type.decode(stored) as Json
  } catch {
    return plain
  }
}

type Log = ReadonlyMap<string, Live>

// What a store exposes never changes.
const logs = new WeakMap<object, Log>()

function logOf(
  exposed: Readonly<Record<string, Exposed>>,
  names: readonly string[] | undefined,
): Log {
  let log = logs.get(exposed)
  if (!log)
    logs.set(exposed, (log = new Map(liveTables(exposed).map((live) => [live.table, live]))))
  if (log.size === 0)
    throw new TypeError('changes: no table is live: expose(table, { live: true })')
  if (!names) return log
  const asked = new Map<string, Live>()
  for (const name of names) {
    const found = [...log.values()].find((live) => live.names.includes(name))
    if (!found) throw new TypeError(`changes: the table ${JSON.stringify(name)} is not live`)
    asked.set(found.table, found)
  }
  if (asked.size === 0) throw new TypeError('changes: `tables` is empty')
  return asked
}
