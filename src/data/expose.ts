import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type GetColumnData, getTableColumns, type SQL } from 'drizzle-orm'
import { getTableConfig, type SQLiteColumn, type SQLiteTable } from 'drizzle-orm/sqlite-core'
import { type Computed, computedFields } from './computed.ts'
import type { ComputedRelation } from './computed-relations.ts'
import { checkLive, keptOf, type LiveOption } from './live.ts'
import type { Relation } from './relations.ts'
import { checkSearch, type Search, type SearchOption, searchOf } from './search.ts'
import type { Fragment } from './sql.ts'
import type { Who } from './who.ts'
import { type WireType, wireType } from './wire.ts'
import { checkWriting } from './writing-rules.ts'

/**
 * Who may touch which rows: a condition that becomes part of the statement itself, or `true` for every row and `false`
 * or `undefined` for none. It sees guests too; their `who.id` is NULL in SQL and so equals nothing.
 */
export type Policy = (who: Who) => SQL | boolean | undefined

type Keys<Table extends SQLiteTable> = keyof Table['_']['columns'] & string
type DataOf<Table extends SQLiteTable, Key> =
  Key extends Keys<Table> ? GetColumnData<Table['_']['columns'][Key]> : unknown

/** `'table.column'`: an exposed table by its name in the URL, and a column of it by its key in drizzle. */
export type Referenced = `${string}.${string}`

/** Under a column's key: what the column refers to. */
interface ColumnReference {
  readonly to: Referenced
  /** Whether no two rows share a value, so that the relation is one-to-one. It must be so in the drizzle table. */
  readonly unique?: true
}

/** Under a constraint's name: which columns (keys as in drizzle), and what each of them refers to, in the same table. */
interface NamedReference<Key extends string = string> {
  readonly columns: readonly [Key, ...Key[]]
  readonly to: readonly [Referenced, ...Referenced[]]
  /** As in `ColumnReference`, of all columns together. */
  readonly unique?: true
}

export type Reference = Referenced | ColumnReference | NamedReference

type References<Key extends string, Name extends PropertyKey> = {
  readonly [N in Name]: N extends Key ? Referenced | ColumnReference : NamedReference<Key>
}

/** Closed by default: an operation without a policy is permitted to nobody but `service`. */
export interface Policies<
  Table extends SQLiteTable = SQLiteTable,
  Hidden extends string = string,
  ReadOnly extends string = string,
  Defaults extends string = string,
  Refs extends Record<string, Reference> = Record<string, Reference>,
  ServerSet extends string = string,
  Version extends string = string,
  Columns extends Record<string, Computed> = Record<string, Computed>,
  Relations extends Record<string, ComputedRelation> = Record<string, ComputedRelation>,
> {
  /** The rows that may be read. As in Postgres, it also bounds which rows update and delete can reach, and what a write may return. */
  select?: Policy
  /** Checked against the new row. */
  insert?: Policy
  /** Checked against the old row and the new row. */
  update?: Policy
  /** Checked against the row. */
  delete?: Policy
  /** Values for columns that an insert leaves out, from who asks: `{ ownerId: (who) => who.id }`. Keys as in drizzle. */
  defaults?: { [Key in Defaults]: (who: Who) => DataOf<Table, Key> }
  /** Columns (keys as in drizzle) that do not exist for clients: not in select, filter, order, body or error. `service` sees them. */
  hidden?: readonly Hidden[]
  /** Columns (keys as in drizzle) that clients may read but not write. `service` may. */
  readOnly?: readonly ReadOnly[]
  /**
   * What columns refer to, for `select` to embed: `{ ownerId: 'profiles.id' }`. At run time drizzle's foreign keys are
   * enough; they carry no type, so what `DatabaseOf` is to know is said here. Keys are columns (as in drizzle), or else
   * names of constraints: `{ notes_seat: { columns: ['hall', 'seat'], to: ['seats.hall', 'seats.no'] } }`.
   */
  references?: Refs & NoInfer<References<Keys<Table>, keyof Refs>>
  /** The most rows that one read answers. @default 1000 */
  maxRows?: number
  /**
   * Whether its changes are logged, for `changes` to read: by whomever, one row written more for each row that is
   * inserted, updated or deleted. Takes triggers, which `npx leanto migrations` writes, and a primary key. To tell who
   * could see a row that is gone, the log must have kept what the select policy asks of: `{ keep: ['ownerId'] }`.
   * @default false
   */
  live?: LiveOption<Keys<Table>>
  /**
   * The text columns (keys as in drizzle) that `fts`, `plfts`, `phfts` and `wfts` may search. An index of their words is kept
   * by triggers, which `npx leanto migrations` writes; a write costs what FTS5 writes for it. To search several columns as
   * one, declare a generated column.
   */
  search?: SearchOption<Keys<Table>>
  /**
   * What is the geometry when `application/geo+json` is asked for: a JSON column (key as in drizzle) that holds one, or
   * `[longitude, latitude]`; or two columns of numbers, in that order.
   */
  point?: Keys<Table> | readonly [longitude: Keys<Table>, latitude: Keys<Table>]
  /**
   * Values that the server sets at every insert and update, from who asks: `{ updatedBy: (who) => who.id }`. Keys as in
   * drizzle. Clients may not write these columns; `service` may, and what it leaves out is set for it as for anyone.
   */
  set?: { [Key in ServerSet]: (who: Who) => DataOf<Table, Key> | SQL }
  /**
   * The column (key as in drizzle: an integer, or a timestamp) that says how often or when a row was changed. Every insert
   * and update sets it, nobody else may, and it is the row's `ETag`, which `If-Match` asks for.
   */
  version?: Version
  /**
   * Checks what clients write, beside drizzle's types: any Standard Schema, of a row as it is sent, with its columns'
   * names in SQL. What the schema makes of it is what is written. One for both, or one for each.
   */
  schema?: RowSchema | { readonly insert: RowSchema; readonly update: RowSchema }
  /** Columns that are worked out at each read, by their names for clients: `{ full_name: computed(text(), sql`…`) }`. */
  computed?: Columns
  /** Ways to other tables that no foreign key says, by their names for clients: `{ recent: relation({ comments }, …) }`. */
  relations?: Relations
}

export type RowSchema = StandardSchemaV1<unknown, object>

/** A table with its policies. Made by `expose`. */
export interface Exposed<
  // biome-ignore lint/suspicious/noExplicitAny: any table; its columns come in where it is named.
  Table extends SQLiteTable = any,
  // biome-ignore lint/suspicious/noExplicitAny: bivariant on purpose, so that every exposed table fits into one list.
  Hidden extends string = any,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  ReadOnly extends string = any,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  Defaults extends string = any,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  Refs extends Record<string, Reference> = any,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  Columns extends Record<string, Computed> = any,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  Relations extends Record<string, ComputedRelation> = any,
> {
  readonly table: Table
  readonly policies: Policies<Table, Hidden, ReadOnly, Defaults, Refs>
  /** Only a type: what `DatabaseOf` reads. Never there at run time. */
  readonly types?: {
    table: Table
    hidden: Hidden
    readOnly: ReadOnly
    defaults: Defaults
    references: Refs
    computed: Columns
    relations: Relations
  }
}

// NoInfer: inside `tables: { … }` TypeScript would else take `any` from there for an option that is not given.
/**
 * Opens one of the host's drizzle tables to clients, by policies.
 *
 * @throws {TypeError} if a policy is no function, or an option names a column that the table lacks.
 */
export function expose<
  Table extends SQLiteTable,
  const Hidden extends Keys<Table> = never,
  const ReadOnly extends Keys<Table> = never,
  const Defaults extends Keys<Table> = never,
  const Refs extends Record<string, Reference> = Record<never, never>,
  const ServerSet extends Keys<Table> = never,
  const Version extends Keys<Table> = never,
  const Columns extends Record<string, Computed> = Record<never, never>,
  const Relations extends Record<string, ComputedRelation<Table>> = Record<never, never>,
>(
  table: Table,
  policies: Policies<
    Table,
    Hidden,
    ReadOnly,
    Defaults,
    Refs,
    ServerSet,
    Version,
    Columns,
    Relations
  >,
): Exposed<
  Table,
  NoInfer<Hidden>,
  NoInfer<ReadOnly | ServerSet | Version>,
  NoInfer<Defaults>,
  NoInfer<Refs>,
  NoInfer<Columns>,
  NoInfer<Relations>
> {
  const { name } = getTableConfig(table)
  const columns: Record<string, SQLiteColumn> = getTableColumns(table)
  for (const operation of ['select', 'insert', 'update', 'delete'] as const) {
    const policy: unknown = policies[operation]
    if (policy !== undefined && typeof policy !== 'function')
      throw new TypeError(
        `expose(${name}): \`${operation}\` must be a function (who) => condition; for every row write () => true`,
      )
  }
  checkLive(table, policies.live)
  checkSearch(table, policies.search)
  const named = {
    defaults: Object.keys(policies.defaults ?? {}),
    hidden: policies.hidden,
    readOnly: policies.readOnly,
    point: [policies.point ?? []].flat(),
    set: Object.keys(policies.set ?? {}),
    version: policies.version === undefined ? [] : [policies.version],
    live: keptOf(policies.live),
  }
  for (const [option, keys = []] of Object.entries(named))
    for (const key of keys)
      if (!Object.hasOwn(columns, key))
        throw new TypeError(
          `expose(${name}): \`${option}\` names ${JSON.stringify(key)}, which is no column key of it`,
        )
  // SQLite takes a negative limit for none.
  if (policies.maxRows !== undefined && !isCount(policies.maxRows))
    throw new TypeError(`expose(${name}): \`maxRows\` must be a whole number of at least 1`)
  checkWriting(name, policies, columns)
  computedFields(name, policies.computed ?? {}, Object.values(columns))
  return Object.freeze({ table, policies: Object.freeze({ ...policies }) }) as never
}

export const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) > 0

/** A column as clients know it: by its SQL name. */
export interface Field {
  readonly name: string
  /** Its key in the drizzle table. */
  readonly key: string
  readonly column: SQLiteColumn
  readonly type: WireType
  readonly hidden: boolean
  /** `service` may write it. */
  readonly readOnly: boolean
  /** Counts the row's changes: nobody may write it. */
  readonly version: boolean
  readonly generated: boolean
  /** Where it is in no table: what it holds, for a row of the table under its own name. */
  readonly computed?: (who: Who) => Fragment
}

/** A table as the verbs use it: derived once, when the module is built. */
export interface Resource {
  /** In the URL and in messages. */
  readonly name: string
  readonly table: SQLiteTable
  readonly policies: Policies
  /** By SQL name. A Map, so that `constructor` and `__proto__` are names like any other: unknown ones. */
  readonly fields: ReadonlyMap<string, Field>
  /** Columns that can be read by their names, but are not in the table. */
  readonly computed: ReadonlyMap<string, Field>
  readonly primaryKey: readonly Field[]
  readonly version: Field | undefined
  /** Unique sets of columns by their columns' names, with the constraint's name. */
  readonly uniques: ReadonlyMap<string, string>
  readonly maxRows: number
  /** What of it is searched. */
  readonly search: Search | undefined
  /** The columns of the GeoJSON geometry: one, two or none. */
  readonly point: readonly string[]
  /** Where `select` can go from here; filled once all tables are known. */
  readonly relations: Relation[]
}

export function resourceOf(name: string, { table, policies }: Exposed): Resource {
  const config = getTableConfig(table)
  const fields = new Map<string, Field>()
  for (const [key, column] of Object.entries(getTableColumns(table)) as [string, SQLiteColumn][])
    fields.set(column.name, {
      name: column.name,
      key,
      column,
      type: wireType(column),
      hidden: policies.hidden?.includes(key) ?? false,
      readOnly: policies.readOnly?.includes(key) || policies.set?.[key] !== undefined,
      version: policies.version === key,
      generated: column.generated !== undefined,
    })
  const keyColumns =
    config.primaryKeys[0]?.columns ?? config.columns.filter((column) => column.primary)
  const primaryKey = keyColumns.map((column) => fields.get(column.name) as Field)
  return Object.freeze({
    name,
    table,
    policies,
    fields,
    computed: computedFields(config.name, policies.computed ?? {}, config.columns),
    primaryKey,
    version: [...fields.values()].find(({ version }) => version),
    uniques: uniquesOf(config, primaryKey),
    maxRows: policies.maxRows ?? 1000,
    search: searchOf({ table, policies }),
    point: [policies.point ?? []]
      .flat()
      .map((key) => (getTableColumns(table)[key] as SQLiteColumn).name),
    relations: [],
  })
}

/** Names as Postgres's clients look for them: `notes_pkey`, or the name that drizzle gave. */
function uniquesOf(config: ReturnType<typeof getTableConfig>, primaryKey: readonly Field[]) {
  const uniques = new Map<string, string>()
  const add = (columns: readonly string[], name: string) => uniques.set(columns.join(), name)
  for (const column of config.columns)
    if (column.isUnique)
      add([column.name], column.uniqueName ?? `${config.name}_${column.name}_unique`)
  for (const unique of config.uniqueConstraints)
    add(
      unique.columns.map((column) => column.name),
      unique.getName() ?? `${config.name}_unique`,
    )
  for (const index of config.indexes)
    if (index.config.unique)
      add(
        index.config.columns.map((column) => ('name' in column ? String(column.name) : '')),
        index.config.name,
      )
  if (primaryKey.length > 0)
    add(
      primaryKey.map(({ name }) => name),
      `${config.name}_pkey`,
    )
  return uniques
}
