import { Fault } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import type { View } from './compile.ts'
import { unavailable } from './db-fault.ts'
import type { Resource } from './expose.ts'
import { dataFaults } from './faults.ts'
import type { Found } from './function.ts'
import { oneFound, rowsFound } from './function-found.ts'
import {
  asksNothing,
  declaredRows,
  inferredColumns,
  rowResource,
  rowsGiven,
} from './function-rows.ts'
import { primaryScope, readOnlyScope } from './function-scope.ts'
import type { Query } from './query.ts'
import { pastTheEnd, type ReadInput, type ReadResult, read } from './read.ts'
import type { Row } from './rows.ts'
import type { Call } from './rpc.ts'
import type { Outcome } from './rpc-answer.ts'
import { toHex } from './stored.ts'
import { textPathType } from './wire.ts'

/**
 * Calls the handler.
 *
 * @returns What it gave, and the scope in which it did: where its rows are read as well.
 * @throws {Fault} its own, or what a constraint that it met is in the protocol's words.
 */
export async function runHandler(
  scope: Scope,
  { callable: { fn, readOnly }, who }: Call,
  args: unknown,
): Promise<{ own: Scope; result: unknown }> {
  const own = readOnly ? readOnlyScope(scope) : primaryScope(scope)
  try {
    return { own, result: await fn.handler(own, args, who) }
  } catch (error) {
    throw handlerFault(error)
  }
}

const constraints = [
  ['UNIQUE constraint failed', '23505'],
  ['NOT NULL constraint failed', '23502'],
  ['CHECK constraint failed', '23514'],
  ['FOREIGN KEY constraint failed', '23503'],
  ['SQLITE_CONSTRAINT_TRIGGER', 'P0001'],
] as const

/** What the handler did is not for the client to read: of a constraint, its kind is told and no name. */
function handlerFault(error: unknown): unknown {
  if (error instanceof Fault || !(error instanceof Error)) return error
  // Drizzle puts the database's error into one of its own, whose text holds SQL and values.
  const inner = error.cause instanceof Error ? error.cause : error
  const found = constraints.find(([words]) => inner.message.includes(words))
  if (found) return dataFaults[found[1]]({ cause: error })
  const passing = unavailable(inner)
  return passing === inner ? error : passing
}

/** Where the rows that a function of a table has found are, and what is asked of them. */
export function sourceOf(call: Call, result: unknown): { view: View; input: ReadInput } {
  const { callable, who, input } = call
  const found = callable.single ? oneFound(result as Found) : (result as Found)
  const { view, source } = rowsFound({ resource: callable.table as Resource, who }, found)
  return { view, input: { ...input, source } }
}

/** What is answered to what a handler gave. */
export async function outcomeOf(scope: Scope, call: Call, result: unknown): Promise<Outcome> {
  const { callable, input } = call
  const { offset } = input.window
  if (callable.table) {
    const { view, input: within } = sourceOf(call, result)
    const found = await read(scope, view, within)
    return { kind: callable.single ? 'row' : 'rows', result: found, offset, view }
  }
  if (result === undefined) return { kind: 'void' }
  const value = callable.rows ? result : inWire(result)
  const list = listOf(value)
  if (!list) return valueOutcome(call, value)
  const found = await plainRows(scope, call, list)
  return { kind: Array.isArray(value) ? 'rows' : 'row', result: found, offset, view: undefined }
}

/** A value as it travels: a date as ISO, a bigint as its digits, bytes as Postgres's hex. */
const inWire = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, function (this: Record<string, unknown>, key, part: unknown) {
      if (typeof part === 'bigint') return String(part)
      // As it was before `toJSON`, which a Buffer has.
      const whole = this[key]
      if (whole instanceof ArrayBuffer) return hexOf(new Uint8Array(whole))
      if (ArrayBuffer.isView(whole))
        return hexOf(new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength))
      return part
    }),
  )

const hexOf = (bytes: Uint8Array): string => `\\x${toHex(bytes)}`

const isRow = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The rows of a value, if it is some: a list of objects, or one. */
function listOf(value: unknown): Row[] | undefined {
  const list = Array.isArray(value) ? value : [value]
  return list.every(isRow) ? list : undefined
}

async function plainRows(scope: Scope, call: Call, rows: readonly Row[]): Promise<ReadResult> {
  const { callable, who, input } = call
  const { query, count } = input
  if (!asksNothing(query) && (callable.rows || rows.length > 0)) {
    const resource = callable.rows ?? rowResource(callable.name, inferredColumns(rows))
    const { view, source } = rowsGiven({ resource, who }, rows)
    return read(scope, view, { ...input, source })
  }
  const shown = cut(rows, input)
  const { outputs, rows: given } = callable.rows
    ? declaredRows({ resource: callable.rows, who }, shown)
    : { outputs: plainOutputs(rows), rows: shown as Row[] }
  return { outputs, rows: given, count: shown.length, total: count ? rows.length : null }
}

/** @throws {Fault} PGRST103 for an offset past the counted end. */
function cut<Item>(list: readonly Item[], { window, count }: ReadInput): Item[] {
  const { offset, limit = list.length } = window
  if (count && offset > list.length) throw pastTheEnd(offset, list.length)
  return list.slice(offset, offset + limit)
}

const plainOutputs = (rows: readonly Row[]) =>
  [...new Set(rows.flatMap((row) => Object.keys(row)))].map((name) => ({
    kind: 'value' as const,
    name,
    value: undefined as never,
    type: textPathType,
  }))

/** @throws {Fault} 42703 for what can only be asked of rows. */
function valueOutcome({ callable: { name }, input }: Call, value: unknown): Outcome {
  if (!asksNothing(input.query)) throw noColumns(name, input.query)
  if (!Array.isArray(value)) return { kind: 'value', value }
  const { offset } = input.window
  const shown = cut(value, input)
  const total = input.count ? value.length : null
  return { kind: 'value', value: shown, window: { count: shown.length, total, offset } }
}

function noColumns(name: string, { select, filters, order }: Query) {
  const selected = select.find((item) => item.kind === 'column' && item.column !== undefined)
  const tested = filters.find((filter) => filter.kind === 'test')
  const column = [selected, tested, order[0]].find((item) => item && 'column' in item) as
    | { column: string }
    | undefined
  return dataFaults['42703']({
    message: `column ${name}.${(column?.column ?? '*').slice(0, 100)} does not exist`,
    details: 'The function returns no rows.',
  })
}
