import { columnSql, type View } from './compile.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import { rowidOf } from './insertion-order.ts'
import { type Fragment, sql } from './sql.ts'

/** A part of what tells a table's rows apart. */
export interface KeyPart {
  readonly value: Fragment
  readonly blob: boolean
  /** None for SQLite's rowid. */
  readonly field?: Field
}

/**
 * What tells a table's rows apart: its primary key, or else SQLite's rowid.
 *
 * @throws {Fault} PGRST127 for a table that has neither.
 */
export function identityOf(view: View): KeyPart[] {
  const { primaryKey } = view.resource
  if (primaryKey.length > 0)
    return primaryKey.map((field) => ({
      value: columnSql(view, field),
      blob: field.type.blob,
      field,
    }))
  return [{ value: needRowid(view), blob: false }]
}

/** @throws {Fault} PGRST127 for a table without one. */
export function needRowid(view: View): Fragment {
  const rowid = rowidOf(view)
  if (rowid) return rowid
  throw dataFaults.PGRST127({
    details: `The rows of "${view.resource.name}" cannot be told apart: it has neither a key that is known beforehand nor a rowid.`,
  })
}

/** `id in (…)`, `(a, b) in (…)`. */
export function isOneOf(key: readonly KeyPart[], from: (values: Fragment) => Fragment): Fragment {
  const values = sql.join(
    key.map(({ value }) => value),
    ', ',
  )
  return sql`${key.length === 1 ? values : sql`(${values})`} in (${from(values)})`
}
