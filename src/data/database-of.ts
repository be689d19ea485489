import type { SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Exposed } from './expose.ts'

/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json | undefined }

/** A drizzle value's type on the wire: the JSON form of it. */
type Wire<Value> = unknown extends Value
  ? Json
  : Value extends Date | bigint | Uint8Array | ArrayBuffer
    ? string
    : Value

/** What drizzle knows of one column. */
interface ColumnFacts {
  name: string
  data: unknown
  notNull: boolean
  hasDefault: boolean
  generated: unknown
}

/** The facts of a table's columns, by their keys in drizzle. */
type Columns<T extends SQLiteTable> = {
  [K in keyof T['_']['columns']]: T['_']['columns'][K]['_'] & ColumnFacts
}

type ValueOf<C extends ColumnFacts> = Wire<C['data']> | (C['notNull'] extends true ? never : null)

type RowOf<C extends Record<string, ColumnFacts>> = {
  [K in keyof C as C[K]['name']]: ValueOf<C[K]>
}

type UpdateOf<C extends Record<string, ColumnFacts>> = {
  [K in keyof C as C[K]['name']]?: ValueOf<C[K]>
}

type InsertOf<C extends Record<string, ColumnFacts>, Defaults> = {
  [K in keyof C as MayBeLeftOut<C[K], K, Defaults> extends true ? never : C[K]['name']]: ValueOf<
    C[K]
  >
} & {
  [K in keyof C as MayBeLeftOut<C[K], K, Defaults> extends true ? C[K]['name'] : never]?: ValueOf<
    C[K]
  >
}

type MayBeLeftOut<C extends ColumnFacts, K, Defaults> = C['notNull'] extends false
  ? true
  : C['hasDefault'] extends true
    ? true
    : K extends Defaults
      ? true
      : false

/** Columns that a client may write: neither read-only nor generated. */
type Writable<C extends Record<string, ColumnFacts>, ReadOnly> = {
  [K in keyof C as K extends ReadOnly
    ? never
    : C[K]['generated'] extends undefined
      ? K
      : never]: C[K]
}

type TableOf<E> =
  E extends Exposed<infer T, infer Hidden, infer ReadOnly, infer Defaults>
    ? Omit<Columns<T>, Hidden> extends infer C extends Record<string, ColumnFacts>
      ? {
          Row: RowOf<C>
          Insert: InsertOf<Writable<C, ReadOnly>, Defaults>
          Update: UpdateOf<Writable<C, ReadOnly>>
          Relationships: []
        }
      : never
    : never

/**
 * The types of a `data` module's tables as supabase-js wants them, derived from the drizzle tables, so that nothing is
 * generated: `createClient<DatabaseOf<typeof store>>(url, key)`. Columns go by their SQL names; hidden ones are absent,
 * read-only and generated ones cannot be written.
 */
export interface DatabaseOf<Store extends { readonly tables: Record<string, unknown> }> {
  public: {
    Tables: { [Name in keyof Store['tables']]: TableOf<Store['tables'][Name]> }
    Views: Record<never, never>
    Functions: Record<never, never>
    Enums: Record<never, never>
    CompositeTypes: Record<never, never>
  }
}
