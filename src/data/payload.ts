import { denied, fieldOf, type View } from './compile.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import { type Fragment, sql } from './sql.ts'
import { driverValue, inJson, type Stored } from './stored.ts'
import { firstVersion } from './version.ts'

export type JsonObject = Record<string, unknown>

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * The body's rows.
 *
 * @throws {Fault} PGRST102 if the body is no object or list of objects.
 */
export function rowsOf(body: unknown): JsonObject[] {
  const rows = Array.isArray(body) ? body : [body]
  if (!rows.every(isObject))
    throw dataFaults.PGRST102({
      message: 'Empty or invalid json',
      details: 'expecting an object or a list of objects',
    })
  return rows
}

/**
 * A column that a body names.
 *
 * @throws {Fault} PGRST204 if it does not exist for the caller, 428C9 if it is generated or a version, 42501 if it is read-only.
 */
export function writableField(view: View, name: string): Field {
  const field = fieldOf(view, name)
  const table = view.resource.name
  if (!field)
    throw dataFaults.PGRST204({
      message: `Could not find the '${name.slice(0, 100)}' column of '${table}' in the schema cache`,
    })
  if (field.generated || field.version)
    throw dataFaults['428C9']({
      message: `column "${field.name}" of "${table}" can only be set to its default`,
    })
  if (field.readOnly && view.who.role !== 'service')
    throw denied(view.who, `permission denied for column ${field.name} of table ${table}`)
  return field
}

/** A body's value as it is stored. JSON null is Fragment NULL. */
export const storedValue = (field: Field, value: unknown): Stored =>
  value === null || value === undefined ? null : field.type.encode(value)

/** A body's value in SQL: its own, or one of an earlier operation of the batch. */
export const writtenValue = (view: View, field: Field, value: unknown): Fragment =>
  view.earlier?.value(field, value) ?? sql`${storedValue(field, value)}`

/** What an insert writes: the columns, and a list of stored values per row, ready to be one JSON parameter. */
export interface Inserted {
  readonly fields: readonly Field[]
  /** The fields that the body itself names: what an upsert updates. */
  readonly given: readonly Field[]
  /** Each row as JSON text. */
  readonly rows: readonly string[]
  /** Per field, how its value is taken out of a row of `json_each`. */
  readonly values: readonly Fragment[]
}

/** Stands in a row for "the column's own SQL default"; a list there is where an earlier operation's value is. */
const useDefault = {}

/**
 * Lays the body's rows out as columns: what is given, what the policies' `defaults` and drizzle's `$default` add.
 *
 * @param columns `columns=`: the keys that count.
 * @param fillMissing `Prefer: missing=default`: a key that a row lacks gets the column's default, not null.
 * @throws {Fault} PGRST102 if rows have unlike keys and `columns` does not say which count.
 */
export function layOut(
  view: View,
  rows: readonly JsonObject[],
  {
    columns,
    fillMissing,
    now,
  }: { columns?: readonly string[]; fillMissing: boolean; now: () => number },
): Inserted {
  const names = columns ?? Object.keys(rows[0] ?? {})
  if (!columns && rows.some((row) => !sameKeys(row, names)))
    throw dataFaults.PGRST102({ message: 'All object keys must match' })
  const given = [...new Set(names)].map((name) => writableField(view, name))
  const givenNames = new Set(given.map(({ name }) => name))
  const added = [...view.resource.fields.values()].filter(
    (field) =>
      !givenNames.has(field.name) &&
      !field.generated &&
      (field.version || makesDefault(view, field)),
  )
  const fields = [...given, ...added]
  // A row of which nothing is given still has to name a column.
  if (fields.length === 0) fields.push(fillerOf(view))
  const defaults: (Fragment | undefined)[] = fields.map(() => undefined)
  const referring = new Set<Field>()
  const laid = rows.map((row) =>
    JSON.stringify(
      fields.map((field, i) => {
        if (Object.hasOwn(row, field.name) && givenNames.has(field.name)) {
          const earlier = view.earlier?.place(field, row[field.name])
          if (!earlier) return inJson(storedValue(field, row[field.name]))
          referring.add(field)
          return earlier
        }
        if (givenNames.has(field.name) && !fillMissing) return null
        if (field.version) return firstVersion(field, { now })
        const value = makesDefault(view, field) ? defaultValue(view, field) : undefined
        if (value !== undefined && !isSql(value)) return inJson(driverValue(field.column, value))
        defaults[i] = value === undefined ? columnDefault(field) : boundValue(field, value)
        return useDefault
      }),
    ),
  )
  const values = fields.map((field, i) =>
    valueSql(field, i, defaults[i], referring.has(field) ? view.earlier : undefined),
  )
  return { fields, given, rows: laid, values }
}

const sameKeys = (row: JsonObject, names: readonly string[]) =>
  Object.keys(row).length === names.length && names.every((name) => Object.hasOwn(row, name))

const makerOf = ({ resource: { policies } }: View, { key }: Field) =>
  (policies.set?.[key] ?? policies.defaults?.[key]) as ((who: View['who']) => unknown) | undefined

/** What the server sets by itself, if it is such a column. */
export function serverValue(view: View, field: Field): Fragment | undefined {
  const make = view.resource.policies.set?.[field.key]
  return make && boundValue(field, make(view.who))
}

const makesDefault = (view: View, field: Field): boolean =>
  makerOf(view, field) !== undefined || columnMakes(field)

const columnMakes = ({ column }: Field): boolean =>
  column.defaultFn !== undefined ||
  (column.default === undefined && column.onUpdateFn !== undefined)

/** Never `undefined`, which would stand for the column's own default. */
function defaultValue(view: View, field: Field): unknown {
  const make = makerOf(view, field)
  const { defaultFn, onUpdateFn } = field.column
  return (make ? make(view.who) : (defaultFn ?? onUpdateFn)?.()) ?? null
}

function fillerOf({ resource }: View): Field {
  const fields = [...resource.primaryKey, ...resource.fields.values()]
  return fields.find((field) => !field.generated) as Field
}

function valueSql(
  field: Field,
  index: number,
  whenAbsent: Fragment | undefined,
  earlier: View['earlier'],
): Fragment {
  const path = sql.raw(`'$[${index}]'`)
  const taken = sql`json_extract(leanto_given.value, ${path})`
  const value = field.type.blob ? sql`unhex(${taken})` : taken
  if (!whenAbsent && !earlier) return value
  const absent = whenAbsent ? sql` when 'object' then ${whenAbsent}` : sql.empty
  const referred = earlier ? sql` when 'array' then ${earlier.at(field, taken)}` : sql.empty
  return sql`case json_type(leanto_given.value, ${path})${absent}${referred} else ${value} end`
}

/** The default that the column has in SQL, as drizzle's table declares it. Kept: it never changes. */
export function columnDefault(field: Field): Fragment {
  let known = columnDefaults.get(field)
  if (!known) columnDefaults.set(field, (known = boundValue(field, field.column.default)))
  return known
}

const columnDefaults = new WeakMap<Field, Fragment>()

/** What drizzle's `$onUpdate` makes. */
export const updatedValue = (field: Field): Fragment =>
  boundValue(field, field.column.onUpdateFn?.())

/** A value of the drizzle type, or an expression: a host's default may be either. */
const boundValue = ({ column }: Field, value: unknown): Fragment =>
  isSql(value) ? sql`(${value})` : sql`${driverValue(column, value)}`

const isSql = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'getSQL' in value
