import type { View } from './compile.ts'
import type { Field } from './expose.ts'
import type { Operand } from './operand.ts'
import type { JsonObject } from './payload.ts'
import type { Test } from './query.ts'
import type { Fragment } from './sql.ts'

/** The operation, the row and the column of a value that an earlier operation captured: by index each. */
export type Place = readonly [operation: number, row: number, column: number]

/** What an operation of a batch may use of the operations before it. */
export interface Earlier {
  /** Where a body's value is, if it refers to one: `{ "$ref": "a.id" }`. @throws {Fault} 42804 if it is of another type */
  place(field: Field, json: unknown): Place | undefined
  /** That value. */
  value(field: Field, json: unknown): Fragment | undefined
  /** The value at a place that stands in SQL as JSON. */
  at(field: Field, place: Fragment): Fragment
  /** A filter's test against such a value, or against a text that only looks like one. */
  test(operand: Operand, test: Test): Fragment | undefined
  /** A row in which such values are stood in for, so that a schema can check the rest. */
  stoodIn(view: View, row: JsonObject): JsonObject
  /** Those keys of a row that refer to such values. */
  referring(row: JsonObject): JsonObject
}
