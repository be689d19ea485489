import { referredValue } from './capture.ts'
import { mustAllow, needField, type View } from './compile.ts'
import type { Earlier, Place } from './earlier.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import { fieldOutput } from './node.ts'
import type { Operand } from './operand.ts'
import { testSql } from './operators/index.ts'
import type { JsonObject } from './payload.ts'
import type { Query } from './query.ts'
import type { ValueOutput } from './rows.ts'
import { type Fragment, sql } from './sql.ts'

/** An operation as later ones see it. */
export interface Source {
  readonly id: string
  readonly view: View
  readonly query: Query
  readonly method: string
  /** What an insert was given, once that is known. */
  rows: readonly JsonObject[]
  /** What later operations use of its rows, and how many rows there must be for that. */
  readonly referred: ValueOutput[]
  needed: number
}

/** A value of a row of an earlier operation: `{ "$ref": "a.id" }`, `{ "$ref": "a[1].id" }`. */
class Ref {
  readonly id: string
  readonly row: number
  readonly column: string

  constructor(text: string) {
    const [, id, row = '0', column] = text.match(/^([\w-]+)(?:\[(\d{1,5})\])?\.(.+)$/s) ?? []
    if (id === undefined || column === undefined)
      throw dataFaults.PT400({
        message: `${JSON.stringify(text.slice(0, 100))} is no reference`,
        details: 'Write it as "id.column", or "id[1].column" for another row than the first.',
      })
    this.id = id
    this.row = Number(row)
    this.column = column
  }
}

/** A body with its references read. `{ "$literal": … }` stands for what is in it, as it is. */
export function withRefs(body: unknown): unknown {
  if (Array.isArray(body)) return body.map(rowWithRefs)
  return rowWithRefs(body)
}

const rowWithRefs = (row: unknown): unknown =>
  typeof row === 'object' && row !== null && !Array.isArray(row)
    ? Object.fromEntries(Object.entries(row).map(([key, value]) => [key, special(value)]))
    : row

function special(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return value
  if ('$ref' in value && typeof value.$ref === 'string') return new Ref(value.$ref)
  return '$literal' in value ? value.$literal : value
}

/** The same in a filter: `?note_id=eq.{"$ref":"a.id"}`. */
function specialText(text: string): unknown {
  if (!/^\s*\{\s*"\$(ref|literal)"\s*:/.test(text)) return text
  try {
    return special(JSON.parse(text))
  } catch {
    return text
  }
}

const signs = new Map([
  ['eq', '='],
  ['neq', '<>'],
  ['gt', '>'],
  ['gte', '>='],
  ['lt', '<'],
  ['lte', '<='],
  ['isdistinct', 'is not'],
])

/**
 * What an operation may use of those before it.
 *
 * @param key Under which the batch captures.
 * @param index The operation's own.
 */
export function earlierOf(key: string, sources: readonly Source[], index: number): Earlier {
  const found = ({ id }: Ref): number => {
    const at = sources.findIndex((source) => source.id === id)
    if (at < 0 || at >= index)
      throw dataFaults.PT400({
        message: `There is no operation ${JSON.stringify(id.slice(0, 100))} before this one`,
      })
    return at
  }
  /** Takes the value down, so that the earlier operation captures it. */
  const placeOf = (ref: Ref): { place: Place; field: Field } => {
    const at = found(ref)
    const source = sources[at] as Source
    const field = referredField(source, ref.column)
    let column = source.referred.findIndex((output) => output.field === field)
    if (column < 0) column = source.referred.push(fieldOutput(source.view, field)) - 1
    source.needed = Math.max(source.needed, ref.row + 1)
    return { place: [at, ref.row, column], field }
  }
  const at = (place: Place, blob: boolean) => {
    const [n, row, index] = place.map((number) => sql.raw(String(number))) as [
      Fragment,
      Fragment,
      Fragment,
    ]
    return referredValue({ key }, { n, row, index, blob })
  }
  const place = (target: Field, json: unknown) => {
    if (!(json instanceof Ref)) return undefined
    const found = placeOf(json)
    mustBeAssignable(found.field, target)
    return found.place
  }
  return {
    place,
    value(field, json) {
      const found = place(field, json)
      return found && at(found, field.type.blob)
    },
    at({ type }, json) {
      const part = (i: number) => sql`json_extract(${json}, ${sql.raw(`'$[${i}]'`)})`
      return referredValue({ key }, { n: part(0), row: part(1), index: part(2), blob: type.blob })
    },
    test(operand, test) {
      const value = typeof test.value === 'string' ? specialText(test.value) : undefined
      if (!(value instanceof Ref))
        return typeof value === 'string' ? testSql(operand, { ...test, value }) : undefined
      const found = placeOf(value)
      const sign = signs.get(test.operator)
      if (!sign || test.quantifier)
        throw dataFaults.PT400({ message: `The operator ${test.operator} takes no reference` })
      mustBeComparable(found.field, operand)
      return sql`${operand.value} ${sql.raw(sign)} ${at(found.place, found.field.type.blob)}`
    },
    stoodIn: (view, row) =>
      mapped(row, (value, name) =>
        value instanceof Ref ? standIn(sources[found(value)] as Source, value, view, name) : value,
      ),
    referring: (row) =>
      Object.fromEntries(Object.entries(row).filter(([, value]) => value instanceof Ref)),
  }
}

const mapped = (row: JsonObject, of: (value: unknown, key: string) => unknown): JsonObject =>
  Object.fromEntries(Object.entries(row).map(([key, value]) => [key, of(value, key)]))

/** What a reference reads, its caller could read as well: whoever may not, may not use it either. */
function referredField({ view, query, method, id }: Source, column: string): Field {
  mustAllow(view, 'select')
  const isGrouped = query.select.some((item) => item.kind === 'column' && item.aggregate)
  if (method === 'HEAD' || (method === 'GET' && isGrouped))
    throw dataFaults.PT400({ message: `Operation "${id}" has no rows to refer to` })
  return needField(view, column)
}

const kindOf = ({ column }: Field): string => {
  const { mode } = column as unknown as { mode?: string }
  return `${column.columnType} ${column.getSQLType()} ${mode ?? ''}`
}

const boundsOf = ({ column }: Field): string => {
  const { length } = column as unknown as { length?: number }
  const bounds = [column.enumValues?.length ? column.enumValues : null, length ?? null]
  return bounds.every((bound) => bound === null) ? '' : JSON.stringify(bounds)
}

/** The stored value is taken over as it is: it must be one that the column could hold. */
function mustBeAssignable(source: Field, target: Field) {
  const bounds = boundsOf(target)
  if (kindOf(source) === kindOf(target) && (bounds === '' || bounds === boundsOf(source))) return
  throw dataFaults['42804']({
    message: `column "${target.name}" is of type ${target.type.name} but the reference is of another: ${source.type.name}`,
  })
}

function mustBeComparable(source: Field, { field, type }: Operand) {
  const same = field ? kindOf(source) === kindOf(field) : source.type.name === type.name
  if (same && type.name !== 'json') return
  throw dataFaults['42883']({
    message: `operator does not exist: ${type.name} = ${source.type.name}`,
    hint: 'A reference is compared with a column of its own type.',
  })
}

/**
 * What stands for a reference while a schema checks the row: the value itself, where the request holds it, or any
 * number, where it is a key that the database counts. Another value could be one that the schema would refuse.
 */
function standIn(source: Source, { row, column }: Ref, view: View, name: string): unknown {
  const given = source.rows[row]
  if (given && Object.hasOwn(given, column) && !(given[column] instanceof Ref)) return given[column]
  const [key, ...more] = source.view.resource.primaryKey
  const counted =
    key?.name === column && more.length === 0 && key.column.columnType === 'SQLiteInteger'
  if (counted && source.method === 'POST') return 1
  throw dataFaults.PGRST127({
    details: `The schema of "${view.resource.name}" cannot check ${JSON.stringify(name)}: of what it refers to, the value is not known beforehand.`,
  })
}
