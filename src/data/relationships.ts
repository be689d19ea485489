import type { SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Exposed } from './expose.ts'

/*
 * Types only: `references` as supabase-js's types want them, and whether they can be true.
 */

type Tables = Record<string, Exposed>

export type Columns<T extends SQLiteTable> = T['_']['columns']

/** What drizzle knows of a column; `never` has no facts. */
export type NameOf<C> = C extends { _: { name: infer Name extends string } } ? Name : never

type TypesOf<E extends Exposed> = NonNullable<E['types']>
type ColumnsOf<E extends Exposed> = Columns<TypesOf<E>['table']>
/** None of a table whose type was widened: nothing is known of it. */
type ReferencesOf<E extends Exposed> = string extends keyof TypesOf<E>['references']
  ? Record<never, never>
  : TypesOf<E>['references']

/** A reference in its longest form. `Keys` are drizzle's, `Targets` are 'table.column'. */
export interface Full<
  Name extends string,
  Keys extends readonly string[],
  Targets extends readonly string[],
  Unique extends boolean,
> {
  name: Name
  keys: Keys
  targets: Targets
  unique: Unique
}

type FullOf<Name extends string, E extends Exposed, Key> = Key extends keyof ReferencesOf<E> &
  string
  ? LongOf<Name, ColumnsOf<E>, Key, ReferencesOf<E>[Key]>
  : never

type LongOf<Name extends string, C, Key extends string, Reference> = Key extends keyof C
  ? Full<
      `${Name}_${NameOf<C[Key]>}_fkey`,
      readonly [Key],
      readonly [Extract<Reference extends { to: infer To } ? To : Reference, string>],
      IsUnique<C, readonly [Key], Reference>
    >
  : Reference extends {
        columns: infer Keys extends readonly string[]
        to: infer Targets extends readonly string[]
      }
    ? Full<Key, Keys, Targets, IsUnique<C, Keys, Reference>>
    : never

type IsUnique<C, Keys, Reference> = Reference extends { unique: true }
  ? true
  : Keys extends readonly [infer Key extends keyof C]
    ? C[Key] extends { _: { isPrimaryKey: true } }
      ? true
      : false
    : false

type TableIn<Target> = Target extends `${infer Name}.${string}` ? Name : never
type KeyIn<Target> = Target extends `${string}.${infer Key}` ? Key : never
type KeysIn<Targets extends readonly string[]> = { [I in keyof Targets]: KeyIn<Targets[I]> }

/** The SQL names of columns, by their keys. */
type NamesOf<C, Keys> = Keys extends readonly [infer Key, ...infer Rest]
  ? [NameOf<Key extends keyof C ? C[Key] : never>, ...NamesOf<C, Rest>]
  : []

type RelationshipOf<T extends Tables, Name extends keyof T, F> =
  F extends Full<infer Constraint, infer Keys, infer Targets, infer Unique>
    ? {
        foreignKeyName: Constraint
        columns: NamesOf<ColumnsOf<T[Name]>, Keys>
        isOneToOne: Unique
        referencedRelation: TableIn<Targets[0]>
        referencedColumns: NamesOf<ColumnsOf<T[TableIn<Targets[0]>]>, KeysIn<Targets>>
      }
    : never

/** The references that clients may use: a hidden column is no column of any relation. */
type SeenKeys<T extends Tables, Name extends keyof T & string> = {
  [Key in keyof ReferencesOf<T[Name]>]: IsSeen<T, Name, FullOf<Name, T[Name], Key>> extends true
    ? Key
    : never
}[keyof ReferencesOf<T[Name]>]

type IsSeen<T extends Tables, Name extends keyof T, F> =
  F extends Full<string, infer Keys, infer Targets, boolean>
    ? [
        Extract<Keys[number], TypesOf<T[Name]>['hidden']>,
        Extract<KeyIn<Targets[number]>, TypesOf<T[TableIn<Targets[0]>]>['hidden']>,
      ] extends [never, never]
      ? true
      : false
    : false

/** The last member of a union: a function of many signatures is inferred by its last. */
type LastOf<Union> = (Union extends unknown ? (give: () => Union) => void : never) extends (
  give: infer All,
) => void
  ? All extends () => infer Last
    ? Last
    : never
  : never

/** `Relationships` of a table: a tuple, which is how supabase-js walks them. */
export type RelationshipsOf<
  T extends Tables,
  Name extends keyof T & string,
  Keys = SeenKeys<T, Name>,
  Done extends unknown[] = [],
> = [Keys] extends [never]
  ? Done
  : RelationshipsOf<
      T,
      Name,
      Exclude<Keys, LastOf<Keys>>,
      [RelationshipOf<T, Name, FullOf<Name, T[Name], LastOf<Keys>>>, ...Done]
    >

type DataOf<C, Key> = Key extends keyof C
  ? C[Key] extends { _: { data: infer Data } }
    ? Data
    : never
  : never

/** Columns of unlike types are never equal. A branded type is like the one that it brands. */
type AreAlike<One, Other> = [One] extends [Other] ? true : [Other] extends [One] ? true : false

/** What is wrong with one reference; `never` if nothing is. */
type FlawOf<T extends Tables, Name extends keyof T & string, Key> =
  FullOf<Name, T[Name], Key> extends Full<string, infer Keys, infer Targets, boolean>
    ? Keys['length'] extends Targets['length']
      ? {
          [I in keyof Targets]: FlawOfTarget<T, Targets[I], Targets[0], ColumnAt<T[Name], Keys, I>>
        }[number]
      : `references: ${Key & string} has not as many columns as it refers to`
    : never

type ColumnAt<E extends Exposed, Keys, I> = I extends keyof Keys
  ? DataOf<ColumnsOf<E>, Keys[I]>
  : never

type FlawOfTarget<T extends Tables, Target extends string, First, Data> =
  TableIn<Target> extends infer To extends keyof T & string
    ? To extends TableIn<First>
      ? KeyIn<Target> extends keyof ColumnsOf<T[To]>
        ? AreAlike<Data, DataOf<ColumnsOf<T[To]>, KeyIn<Target>>> extends true
          ? never
          : `references: ${Target} is of another type`
        : `references: ${Target} names no column key of that table`
      : `references: ${Target} is of another table than ${First & string}`
    : `references: ${Target} names no table of these`

/** What `tables` must also be: for a table with a reference that cannot be true, a text that says why. */
export type Checked<T extends Tables> = {
  [Name in keyof T & string]: {
    [Key in keyof ReferencesOf<T[Name]>]: FlawOf<T, Name, Key>
  }[keyof ReferencesOf<T[Name]>] extends infer Flaw
    ? [Flaw] extends [never]
      ? unknown
      : Flaw
    : never
}
