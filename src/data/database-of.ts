import type { SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Exposed } from './expose.ts'
import type { Columns, NameOf, RelationshipsOf } from './relationships.ts'

/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json | undefined }

/** A drizzle value's type on the wire: the JSON form of it. */
type Wire<Value> = unknown extends Value
  ? Json
  : Value extends Date | bigint | Uint8Array | ArrayBuffer
    ? string
    : Value

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
  }
    ? {
        Row: RowOf<Columns<T>, Hidden>
        Insert: InsertOf<
          Columns<T>,
          Hidden | ReadOnly,
          OptionalKeys<Columns<T>, Hidden | ReadOnly, Defaults>
        >
        Update: UpdateOf<Columns<T>, Hidden | ReadOnly>
        Relationships: RelationshipsOf<Tables, Name>
      }
    : never

/**
 * The types of a `data` module's tables as supabase-js wants them, derived from the drizzle tables, so that nothing is
 * generated: `createClient<DatabaseOf<typeof store>>(url, key)`. Columns go by their SQL names; hidden ones are absent,
 * read-only and generated ones cannot be written.
 */
export interface DatabaseOf<Store extends { readonly tables: Record<string, Exposed> }> {
  /** Which PostgREST's features supabase-js's types offer. */
  __InternalSupabase: { PostgrestVersion: '14' }
  public: {
    Tables: { [Name in keyof Store['tables'] & string]: TableOf<Store['tables'], Name> }
    Views: Record<never, never>
    Functions: Record<never, never>
    Enums: Record<never, never>
    CompositeTypes: Record<never, never>
  }
}
