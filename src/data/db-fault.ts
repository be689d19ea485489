import { getTableName } from 'drizzle-orm'
import { Fault } from '../core/fault.ts'
import { denied, fieldOf, type View } from './compile.ts'
import { checkName, foreignKeyName, indexName } from './constraint-names.ts'
import type { Field } from './expose.ts'
import { dataFaults } from './faults.ts'
import type { Operation } from './plan.ts'
import { notSingle } from './rows.ts'

/** What a `guard` raised: the step of a transaction that it belongs to, its code, and a number. */
export function guardOf(error: unknown) {
  const found =
    error instanceof Error
      ? error.message.match(/bad JSON path: '+leanto(?:@(\d+))?:(\w+):(\d*)/)
      : null
  if (!found) return undefined
  const [, step, code = '', count = ''] = found
  return { step: step === undefined ? undefined : Number(step), code, count }
}

/** What was done when an error came. */
interface Broken {
  readonly operation: Operation
  /** The columns that were written. */
  readonly written?: readonly Field[]
}

/**
 * Turns what D1 threw into the protocol's fault, with the constraint's name and without SQL or driver text. What is
 * not understood is given back as it is: a bug, or a failure of the database.
 */
export function dbFault(error: unknown, view: View, about: Broken): unknown {
  if (error instanceof Fault || !(error instanceof Error)) return error
  const { message } = error
  const guarded = guardOf(error)
  if (guarded) return guardFault(view, guarded.code, guarded.count, error)
  if (message.includes('no such table: leanto_data_') || isIndexFault(message, view))
    return dataFaults.PT500({
      message:
        'The tables of leanto are missing: run `npx leanto migrations` and apply what it writes',
      cause: error,
    })
  const constraint = constraintFault(message, view, about, error)
  if (constraint) return constraint
  // First: an overloaded database also speaks of "too many", namely requests.
  const passing = unavailable(error)
  return passing === error ? (limitFault(message, error) ?? error) : passing
}

/** The index of full text is older than what is declared: FTS5 names its columns without their table. */
function isIndexFault(message: string, { resource }: View): boolean {
  const name = message.match(/no such column: (.+?)(?:: SQLITE_ERROR)?$/)?.[1]
  return (
    name !== undefined &&
    [resource, ...resource.relations.map(({ target }) => target)].some(({ search }) =>
      search?.columns.has(name),
    )
  )
}

function guardFault(view: View, code: string, count: string, cause: unknown): unknown {
  switch (code) {
    case 'PGRST116':
      return notSingle(count)
    case 'PGRST124':
      return dataFaults.PGRST124({ details: `The query affects ${count} rows` })
    case '42501':
      return denied(
        view.who,
        `new row violates row-level security policy for table "${view.resource.name}"`,
      )
    case 'PGRST127':
      return dataFaults.PGRST127({
        details: `The rows that were written to "${view.resource.name}" cannot be told apart: a trigger writes to it as well.`,
      })
    case 'PT412':
      return dataFaults.PT412()
    case 'PT424':
      return dataFaults.PT424({ details: `It has no row ${count}.` })
    case '54000':
      return dataFaults['54000']({
        message: 'the answer is too large to be kept within a transaction',
      })
    // A cast of a value that is none.
    case '22P02':
      return dataFaults['22P02']({ cause })
    default:
      return cause
  }
}

function constraintFault(
  message: string,
  view: View,
  { operation, written = [] }: Broken,
  cause: unknown,
) {
  const { name } = view.resource
  const [, kind, what = ''] =
    message.match(
      /(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: ([^\n]*?))?(?:: SQLITE|$)/,
    ) ?? []
  switch (kind) {
    case 'UNIQUE': {
      const index = indexName(view, what)
      if (index) return dataFaults['23505']({ message: duplicate(index), cause })
      const columns = columnsOf(view, what)
      // A constraint's name tells of its columns: with a hidden one, the fault keeps to its own words.
      if (columns.some((column) => !fieldOf(view, column))) return dataFaults['23505']({ cause })
      const constraint =
        view.resource.uniques.get(columns.join()) ?? `${name}_${columns.join('_')}_key`
      return dataFaults['23505']({
        message: duplicate(constraint),
        details: `Key (${columns.join(', ')}) already exists.`,
        cause,
      })
    }
    case 'NOT NULL': {
      const [column = ''] = columnsOf(view, what)
      const shown = fieldOf(view, column) ? `in column "${column}" ` : ''
      return dataFaults['23502']({
        message: `null value ${shown}of relation "${name}" violates not-null constraint`,
        cause,
      })
    }
    case 'CHECK':
      return dataFaults['23514']({
        message: `new row for relation "${name}" violates check constraint${inQuotes(checkName(view, what))}`,
        cause,
      })
    case 'FOREIGN KEY': {
      const key = foreignKeyName(view, written, operation === 'insert')
      return dataFaults['23503']({
        message: `${operation === 'delete' ? 'update or delete' : 'insert or update'} on table "${name}" violates foreign key constraint${inQuotes(key)}`,
        cause,
      })
    }
  }
  // A host's RAISE(ABORT, …): refused on purpose, in words that were not written for clients.
  if (message.includes('SQLITE_CONSTRAINT_TRIGGER')) return dataFaults.P0001({ cause })
  if (message.includes('ON CONFLICT clause does not match')) return dataFaults['42P10']({ cause })
  // The second is a STRICT table's.
  if (/datatype mismatch|cannot store \w+ value in \w+ column/.test(message))
    return dataFaults['22P02']({ cause })
  return undefined
}

const duplicate = (constraint: string) =>
  `duplicate key value violates unique constraint "${constraint}"`

const inQuotes = (name: string | undefined) => (name === undefined ? '' : ` "${name}"`)

/** `notes.owner_id, notes.title` → the column names; empty ones for another table's, which a trigger writes. */
const columnsOf = ({ resource }: View, what: string): string[] => {
  const table = `${getTableName(resource.table)}.`
  return what
    .split(', ')
    .map((column) => (column.startsWith(table) ? column.slice(table.length) : ''))
}

function limitFault(message: string, cause: unknown) {
  if (message.includes('integer overflow'))
    return dataFaults['22003']({ message: 'bigint out of range', cause })
  if (
    /too big|too complex|too many|too large|too deep|expression tree|statement too long/i.test(
      message,
    )
  )
    return dataFaults['54000']({ cause })
  return undefined
}

/**
 * D1's passing failures (https://developers.cloudflare.com/d1/observability/debug-d1/) as 503: clients may try again,
 * supabase-js does so by itself. Anything else as it is.
 */
export const unavailable = (error: unknown): unknown =>
  error instanceof Error &&
  !(error instanceof Fault) &&
  /overloaded|network connection lost|to be reset|was reset|reset because|transient issue|timed? ?out/i.test(
    error.message,
  )
    ? dataFaults.PGRST001({ cause: error })
    : error
