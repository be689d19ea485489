import type { BuildColumn } from 'drizzle-orm'
import type { SQLiteColumnBuilderBase, SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Computed } from './computed.ts'
import type { ComputedRelation } from './computed-relations.ts'
import type { Exposed } from './expose.ts'
import type { Columns, NameOf, RelationshipsOf } from './relationships.ts'

/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json | undefined }

/** A value's type on the wire: the JSON form of it. A branded text is a text. */
type Wire<Value> = unknown extends Value
  ? Json
  : Json extends Value
    ? Value
    : Value extends string | number | boolean | null | undefined
      ? Value
      : Value extends Date | bigint | Uint8Array | ArrayBuffer
        ? string
        : { [K in keyof Value]: Wire<Value[K]> }

type ValueOf<C> = C extends { _: { data: infer Data; notNull: infer NotNull } }
  ? Wire<Data> | (NotNull extends true ? never : null)
  : never
type IsGenerated<C> = C extends { _: { generated: undefined } } ? false : true
type IsOptional<C> = C extends { _: { notNull: false } } | { _: { hasDefault: true } }
  ? true
  : false

/** Shows a type's members instead of the names of what made it. */
type Flat<T> = { [K in keyof T]: T[K] }

type RowOf<C, Hidden> = { [K in Exclude<keyof C, Hidden> as NameOf<C[K]>]: ValueOf<C[K]> }

/** The names under a declaration; none of one whose type was widened. */
type NamesIn<Declared> = string extends keyof Declared ? never : keyof Declared & string

/** With what is computed, which supabase-js leaves out of `*`. */
type WithComputed<Row, Declared> = [NamesIn<Declared>] extends [never]
  ? Row
  : Flat<Row & { [Name in NamesIn<Declared>]: ComputedValueOf<Declared[Name & keyof Declared]> }>

type ComputedValueOf<C> =
  C extends Computed<infer Builder extends SQLiteColumnBuilderBase>
    ? ValueOf<BuildColumn<string, Builder, 'sqlite'>>
    : never

/** The keys that a client may write: not hidden, not read-only, not generated. */
type WrittenKeys<C, Closed> = {
  [K in Exclude<keyof C, Closed>]: IsGenerated<C[K]> extends true ? never : K
}[Exclude<keyof C, Closed>]

type UpdateOf<C, Closed> = { [K in WrittenKeys<C, Closed> as NameOf<C[K]>]?: ValueOf<C[K]> }

type OptionalKeys<C, Closed, Defaults> = {
  [K in WrittenKeys<C, Closed>]: K extends Defaults ? K : IsOptional<C[K]> extends true ? K : never
}[WrittenKeys<C, Closed>]

type InsertOf<C, Closed, Optional> = Flat<
  { [K in Exclude<WrittenKeys<C, Closed>, Optional> as NameOf<C[K]>]: ValueOf<C[K]> } & {
    [K in Extract<WrittenKeys<C, Closed>, Optional> as NameOf<C[K]>]?: ValueOf<C[K]>
  }
>

type TableOf<Tables extends Record<string, Exposed>, Name extends keyof Tables & string> =
  NonNullable<Tables[Name]['types']> extends {
    table: infer T extends SQLiteTable
    hidden: infer Hidden
    readOnly: infer ReadOnly
    defaults: infer Defaults
    computed: infer Declared
  }
    ? {
        Row: WithComputed<RowOf<Columns<T>, Hidden>, Declared>
        Insert: InsertOf<
          Columns<T>,
          Hidden | ReadOnly,
          OptionalKeys<Columns<T>, Hidden | ReadOnly, Defaults>
        >
        Update: UpdateOf<Columns<T>, Hidden | ReadOnly>
        Relationships: RelationshipsOf<Tables, Name>
        ComputedFields: NamesIn<Declared>
      }
    : never

/** One function of `/rpc`. Without arguments supabase-js wants an object that can have none. */
type FunctionOf<Tables extends Record<string, Exposed>, F> = F extends {
  readonly types?: { args: infer Args; returns: infer Returns }
}
  ? Flat<
      {
        Args: [keyof Args] extends [never] ? Record<PropertyKey, never> : Args
      } & ([RowsOf<F>] extends [never]
        ? { Returns: Wire<Awaited<Returns>> }
        : RowsOf<F> extends keyof Tables & string
          ? ReturnsRows<Tables, RowsOf<F>, F>
          : never)
    >
  : never

/** The table whose rows a function returns; `never` if it is of none. */
type RowsOf<F> = F extends { readonly types?: { table: infer Table extends string } }
  ? Table
  : never

/** Rows of a table, as Supabase writes them: what is selected of them is inferred, and what is embedded. */
type ReturnsRows<
  Tables extends Record<string, Exposed>,
  Name extends keyof Tables & string,
  F,
> = F extends { readonly types?: { single: true } }
  ? {
      Returns: PlainRow<Tables, Name> | null
      SetofOptions: { from: '*'; to: Name; isOneToOne: true; isSetofReturn: false }
    }
  : {
      Returns: PlainRow<Tables, Name>[]
      SetofOptions: { from: '*'; to: Name; isOneToOne: false; isSetofReturn: true }
    }

/** What `*` selects. */
type PlainRow<Tables extends Record<string, Exposed>, Name extends keyof Tables & string> = Omit<
  TableOf<Tables, Name>['Row'],
  TableOf<Tables, Name>['ComputedFields']
>

type FunctionsIn<Store> = Store extends { readonly functions: infer Functions extends object }
  ? Functions
  : Record<never, never>

type RelationsIn<E extends Exposed> = NonNullable<E['types']>['relations']

type RelationNames<Tables extends Record<string, Exposed>> = {
  [Name in keyof Tables]: NamesIn<RelationsIn<Tables[Name]>>
}[keyof Tables]

/** A computed relation as Supabase writes it: as a function from a row to rows, which no client need ever call. */
type RelationFunction<Tables extends Record<string, Exposed>, Name> = {
  [From in keyof Tables & string]: Name extends NamesIn<RelationsIn<Tables[From]>>
    ? RelationsIn<Tables[From]>[Name] extends ComputedRelation<
        SQLiteTable,
        infer To extends keyof Tables & string,
        infer Many
      >
      ? {
          Args: { '': TableOf<Tables, From>['Row'] }
          Returns: TableOf<Tables, To>['Row'][]
          SetofOptions: {
            from: From
            to: To
            isOneToOne: Many extends true ? false : true
            isSetofReturn: true
          }
        }
      : never
    : never
}[keyof Tables & string]

type FunctionsOf<Store extends { readonly tables: Record<string, Exposed> }> = {
  [Name in (keyof FunctionsIn<Store> & string) | RelationNames<Store['tables']>]:
    | (Name extends keyof FunctionsIn<Store>
        ? FunctionOf<Store['tables'], FunctionsIn<Store>[Name]>
        : never)
    | RelationFunction<Store['tables'], Name>
}

/**
 * The types of a `data` module's tables and functions as supabase-js wants them, derived from the drizzle tables, so that nothing is
 * generated: `createClient<DatabaseOf<typeof store>>(url, key)`. Columns go by their SQL names; hidden ones are absent,
 * read-only and generated ones cannot be written.
 */
export interface DatabaseOf<Store extends { readonly tables: Record<string, Exposed> }> {
  /** Which PostgREST's features supabase-js's types offer. */
  __InternalSupabase: { PostgrestVersion: '14' }
  public: {
    Tables: { [Name in keyof Store['tables'] & string]: TableOf<Store['tables'], Name> }
    Views: Record<never, never>
    Functions: FunctionsOf<Store>
    Enums: Record<never, never>
    CompositeTypes: Record<never, never>
  }
}
