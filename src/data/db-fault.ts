import { getTableName } from 'drizzle-orm'
import { Fault } from '../core/fault.ts'
import { denied, fieldOf, type View } from './compile.ts'
import { dataFaults } from './faults.ts'
import { notSingle } from './rows.ts'

type Operation = 'insert' | 'update' | 'delete'

/**
 * Turns what D1 threw into the protocol's fault, with the constraint's name and without SQL or driver text. What is
 * not understood is given back as it is: a bug, or a failure of the database.
 */
export function dbFault(error: unknown, view: View, operation: Operation): unknown {
  if (error instanceof Fault || !(error instanceof Error)) return error
  const { message } = error
  const guarded = message.match(/bad JSON path: '+leanto:(\w+):(\d*)/)
  if (guarded) return guardFault(view, guarded[1] as string, guarded[2] as string, error)
  const constraint = constraintFault(message, view, operation, error)
  if (constraint) return constraint
  // First: an overloaded database also speaks of "too many", namely requests.
  const passing = unavailable(error)
  return passing === error ? (limitFault(message, error) ?? error) : passing
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
    // A cast of a value that is none.
    case '22P02':
      return dataFaults['22P02']({ cause })
    default:
      return cause
  }
}

function constraintFault(message: string, view: View, operation: Operation, cause: unknown) {
  const { name } = view.resource
  const [, kind, what = ''] =
    message.match(
      /(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: ([^\n]*?))?(?:: SQLITE|$)/,
    ) ?? []
  switch (kind) {
    case 'UNIQUE': {
      const columns = columnsOf(view, what)
      // A constraint's name tells of its columns: with a hidden one, the fault keeps to its own words.
      if (columns.some((column) => !fieldOf(view, column))) return dataFaults['23505']({ cause })
      const constraint =
        view.resource.uniques.get(columns.join()) ?? `${name}_${columns.join('_')}_key`
      return dataFaults['23505']({
        message: `duplicate key value violates unique constraint "${constraint}"`,
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
        // A check without a name is called by its SQL.
        message: `new row for relation "${name}" violates check constraint${/^\w+$/.test(what) && !view.resource.fields.has(what) ? ` "${what}"` : ''}`,
        cause,
      })
    case 'FOREIGN KEY':
      return dataFaults['23503']({
        message: `${operation === 'delete' ? 'update or delete' : 'insert or update'} on table "${name}" violates foreign key constraint`,
        cause,
      })
  }
  // A host's RAISE(ABORT, …): refused on purpose, in words that were not written for clients.
  if (message.includes('SQLITE_CONSTRAINT_TRIGGER')) return dataFaults.P0001({ cause })
  if (message.includes('ON CONFLICT clause does not match')) return dataFaults['42P10']({ cause })
  if (message.includes('datatype mismatch')) return dataFaults['22P02']({ cause })
  return undefined
}

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
