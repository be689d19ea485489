import type { QueryResult, Statement } from '../core/database.ts'
import type { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import type { Slot } from './capture.ts'
import type { View } from './compile.ts'
import type { Field } from './expose.ts'
import type { Output, Row } from './rows.ts'

export type Operation = 'select' | 'insert' | 'update' | 'delete'

/** What a plan is made in: the scope of a request, or of one operation of a batch. */
export type Planning = Pick<Scope, 'db' | 'now'>

/** What the database told about an operation, by its statements' results or from a slot. */
export interface Told {
  /** How many rows it wrote; of a read, how many there are in all, if that was asked. */
  readonly affected: number | null
  /** How many of an upsert's rows were there before. */
  readonly found: number
  readonly rows: Row[]
}

/** One operation, understood and not yet run, so that any number of them go into one batch. */
export interface Plan<Result> {
  readonly view: View
  readonly operation: Operation
  /** The columns that it writes. */
  readonly written?: readonly Field[]
  /** What does it. None if there is nothing to do. */
  statements(): Statement[]
  /** Of the results of `statements`. */
  told(results: readonly QueryResult[]): Told
  /** What does it and leaves in the slot what is told: for an answer that must outlive the trip, or be used within it. */
  capture(slot: Slot): Statement[]
  /** What a slot holds of each row. */
  readonly outputs: readonly Output[]
  finish(told: Told): Result
  /** What one of its guards means, where that is its own. */
  guarded?(code: string, count: string): Fault | undefined
}

/** A row of `leanto_data_answers`. */
export interface Captured {
  readonly n: number
  readonly part: number
  readonly affected: number | null
  readonly found: number
  /** JSON. */
  readonly rows: string | null
}
