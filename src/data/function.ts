import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { BuildColumn, GetColumnData, SQL, SQLWrapper } from 'drizzle-orm'
import type { SQLiteColumnBuilderBase } from 'drizzle-orm/sqlite-core'
import type { Scope } from '../core/scope.ts'
import type { Who } from './who.ts'

/** Which rows of its table a function returns. */
export type Found =
  /** Those for which a condition over the table holds; `true` for all, `false` or nothing for none. */
  | SQL
  | boolean
  | null
  | undefined
  /** Those of these primary keys, in this order: values, or objects that hold the key by its names in drizzle. */
  | readonly unknown[]
  /** A condition with an order, and with how many rows at most. */
  | {
      readonly where?: SQL | boolean | undefined
      readonly orderBy?: SQLWrapper | readonly SQLWrapper[]
      readonly limit?: number
    }

export interface FunctionOptions {
  /**
   * Who may call it; `service` may always. Closed by default: without it nobody else may.
   */
  allow?: (who: Who) => boolean
  /**
   * Whether it writes nothing: only then GET and HEAD may call it. Its `scope.db` is the nearest replica, and refuses
   * whatever is no SELECT.
   * @default false
   */
  readOnly?: boolean
}

/** Of a function that returns rows of an exposed table. */
export interface TableFunctionOptions<Table extends string> extends FunctionOptions {
  /** The table by its name in the URL. */
  returns: Table
  /** Whether it returns one row, as an object, or null. @default false */
  single?: boolean
  /**
   * Whether it shows every row that it finds, as Postgres's `SECURITY DEFINER` does. Otherwise the table's select policy
   * holds for them. Hidden columns stay hidden, and what is embedded keeps its own policy.
   * @default false
   */
  unsafeWithoutPolicy?: boolean
}

type Columns = Readonly<Record<string, SQLiteColumnBuilderBase>>

/** Of a function that returns rows of no table. */
export interface RowFunctionOptions<Declared extends Columns> extends FunctionOptions {
  /**
   * The columns of its rows, as drizzle writes them: `{ id: integer().notNull(), at: integer({ mode: 'timestamp_ms' }) }`.
   * Clients filter and sort by them as by a table's, also where there are no rows. Other keys do not leave.
   */
  returns: Declared
}

type Handler<Env, Schema extends StandardSchemaV1, Returns> = (
  scope: Scope<Env>,
  args: StandardSchemaV1.InferOutput<Schema>,
  who: Who,
) => Returns

type ValueIn<B> = B extends SQLiteColumnBuilderBase
  ? GetColumnData<BuildColumn<string, B, 'sqlite'>>
  : never
type RowIn<Declared extends Columns> = {
  readonly [Name in keyof Declared]: ValueIn<Declared[Name]>
}
type RowOut<Declared extends Columns> = { [Name in keyof Declared]: ValueIn<Declared[Name]> }

/** A function that clients call under `/rpc/:name`. Made by `fn`. */
export interface Fn<
  // biome-ignore lint/suspicious/noExplicitAny: bivariant on purpose, so that every function fits into one list.
  Args = any,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  Returns = any,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  Table extends string = any,
  Single extends boolean = boolean,
> {
  readonly schema: StandardSchemaV1
  // biome-ignore lint/suspicious/noExplicitAny: what it takes is known where it is declared.
  readonly handler: (scope: Scope<any>, args: any, who: Who) => unknown
  readonly options: FunctionOptions &
    Partial<Omit<TableFunctionOptions<string>, 'returns'>> & { readonly returns?: string | Columns }
  /** Only a type: what `DatabaseOf` reads. Never there at run time. */
  readonly types?: { args: Args; returns: Returns; table: Table; single: Single }
}

/** What `functions` must also be: for one that returns rows of a table that is not exposed, a text that says so. */
export type CheckedFunctions<Tables, Functions> = {
  [Name in keyof Functions]: Functions[Name] extends {
    readonly types?: { table: infer Table extends string }
  }
    ? string extends Table
      ? unknown
      : [Table] extends [keyof Tables]
        ? unknown
        : `returns: ${Table} is the name of no table of these`
    : unknown
}

/**
 * A function that clients call: `supabase.rpc('name', args)`. Its rows are selected, filtered, sorted, counted and, if they
 * are a table's, embedded like a table's: https://docs.postgrest.org/en/v14/references/api/functions.html
 *
 * ```ts
 * fn(v.object({ words: v.string() }), (scope, { words }) => like(notes.title, `%${words}%`), {
 *   returns: 'notes', readOnly: true, allow: () => true,
 * })
 * ```
 *
 * @param schema Any Standard Schema. It is given the arguments as an object, or whatever else the body holds; those of a
 * query string or form are texts, each read as what the schema takes: `5` as a number, `{a,b}` as a list.
 * @param handler What it gives is the answer: a value, an object, a list of them, nothing (204), or, with `returns`, which
 * rows. A Fault that it throws is the client's error, anything else a bare 500. What it writes in one `scope.db.batch` is
 * written whole or not at all; an answer that cannot be made afterwards does not undo it.
 * @throws {TypeError} if an option is missing or wrong.
 */
export function fn<Env, Schema extends StandardSchemaV1, const Table extends string>(
  schema: Schema,
  handler: Handler<Env, Schema, Found | Promise<Found>>,
  options: TableFunctionOptions<Table> & { single: true },
): Fn<StandardSchemaV1.InferInput<Schema>, unknown, Table, true>
export function fn<Env, Schema extends StandardSchemaV1, const Table extends string>(
  schema: Schema,
  handler: Handler<Env, Schema, Found | Promise<Found>>,
  options: TableFunctionOptions<Table> & { single?: false },
): Fn<StandardSchemaV1.InferInput<Schema>, unknown, Table, false>
export function fn<
  Env,
  Schema extends StandardSchemaV1,
  Declared extends Columns,
  Rows extends RowIn<Declared> | readonly RowIn<Declared>[],
>(
  schema: Schema,
  handler: Handler<Env, Schema, Rows | Promise<Rows>>,
  options: RowFunctionOptions<Declared>,
): Fn<
  StandardSchemaV1.InferInput<Schema>,
  Rows extends readonly unknown[] ? RowOut<Declared>[] : RowOut<Declared>,
  never
>
export function fn<Env, Schema extends StandardSchemaV1, Returns>(
  schema: Schema,
  handler: Handler<Env, Schema, Returns>,
  options?: FunctionOptions & { returns?: undefined },
): Fn<StandardSchemaV1.InferInput<Schema>, Returns, never>
export function fn(
  schema: StandardSchemaV1,
  handler: Fn['handler'],
  options: Fn['options'] = {},
): Fn {
  if (typeof schema?.['~standard']?.validate !== 'function')
    throw new TypeError('fn: the schema must be a Standard Schema, such as v.object({ … })')
  if (typeof handler !== 'function')
    throw new TypeError('fn: the handler must be a function (scope, args, who) => answer')
  if (options.allow !== undefined && typeof options.allow !== 'function')
    throw new TypeError(
      'fn: `allow` must be a function (who) => boolean; for everyone write () => true',
    )
  return Object.freeze({ schema, handler, options: Object.freeze({ ...options }) })
}
